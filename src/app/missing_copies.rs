//! What a backup that is on some of its storages alone is told as.

use crate::error::{Error, Kind, Result};
use crate::operation::backup::StoredBackup;

/// Fails where a storage has no copy, naming each.
pub(super) fn missing_copies(stored: &StoredBackup) -> Result<()> {
    let mut said: Vec<String> = Vec::new();
    let mut hint = None;
    for copy in &stored.copies {
        if let Err(error) = &copy.result {
            said.push(format!(
                "not on the storage {}: {}",
                copy.storage,
                error.chain()
            ));
            hint = hint.or(error.first_hint());
        }
    }
    if said.is_empty() {
        return Ok(());
    }
    let error = Error::new(
        Kind::Partial,
        format!("a copy is missing: {}", said.join("; ")),
    );
    Err(match hint {
        Some(hint) => error.hint(hint),
        None => error,
    })
}
