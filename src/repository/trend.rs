//! The size of a backup beside those of the backups before it.

use super::reference::{entries_of, read_manifest};
use crate::cancel::Cancel;
use crate::error::{Error, Kind, Result};
use crate::repository::listing::Entry;
use crate::repository::manifest::Manifest;
use crate::repository::names::BackupId;
use crate::repository::size_check::{COMPARED, Change};
use crate::storage::Storage;

/// How many manifests are read at most to find backups to compare with.
const LOOKED_AT: usize = 2 * COMPARED;

/// The change of the backup `id` on `storage`, which is asked what it holds; `None` where it does not hold this one.
pub fn of(
    storage: &dyn Storage,
    id: &BackupId,
    partial: bool,
    cancel: &Cancel,
) -> Result<Option<Change>> {
    let entries = entries_of(storage, Some(&id.database), cancel)?;
    let Some(newest) = entries.iter().rev().find(|entry| entry.id == *id) else {
        return Ok(None);
    };
    among(storage, &entries, newest, partial, cancel).map(Some)
}

/// The change of `newest` beside those of `entries`, which are oldest first, that it can be compared with: made in the
/// same way, and partial only if it is. A damaged one, or one whose manifest cannot be read, is left out.
pub fn among(
    storage: &dyn Storage,
    entries: &[Entry],
    newest: &Entry,
    partial: bool,
    cancel: &Cancel,
) -> Result<Change> {
    let earlier = entries.iter().rev().filter(|entry| {
        entry.id.timestamp < newest.id.timestamp
            && entry.id.database == newest.id.database
            && entry.shape == newest.shape
    });
    let mut sizes = Vec::new();
    for entry in earlier.take(LOOKED_AT) {
        match read_manifest(storage, entry, cancel) {
            Ok(manifest) if is_like(entry, manifest.as_ref(), partial) => sizes.push(entry.bytes),
            Ok(_) => {}
            Err(error) if ends_it(&error) => return Err(error),
            Err(error) => log::debug!("{}", error.chain()),
        }
        if sizes.len() == COMPARED {
            break;
        }
    }
    Ok(Change::new(newest.bytes, &sizes))
}

fn is_like(entry: &Entry, manifest: Option<&Manifest>, partial: bool) -> bool {
    let is_partial = manifest.is_some_and(|manifest| manifest.dump.partial);
    is_partial == partial && !entry.differs_from(manifest)
}

/// True for what would stop the next question as well.
fn ends_it(error: &Error) -> bool {
    matches!(error.kind(), Kind::Signal(_) | Kind::Unavailable)
}
