//! `list`: which backups there are.

use super::select::{entries_of, read_manifest};
use crate::cancel::Cancel;
use crate::catalog::listing::Entry;
use crate::catalog::manifest::Manifest;
use crate::error::{Kind, Result};
use crate::storage::Storage;
use std::collections::HashMap;

/// How many manifests a database are read; each costs a request on remote storage.
const MANIFESTS: usize = 20;

/// One backup, and what is written down about it.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The storage's name.
    pub storage: String,
    /// The address of the archive.
    pub location: String,
    /// What the storage says.
    pub entry: Entry,
    /// What the manifest says, where it was read.
    pub manifest: Option<Manifest>,
}

/// The backups of these databases (or of all that a storage holds) on `storages`, newest first.
pub fn run(
    storages: &[&dyn Storage],
    databases: &[String],
    cancel: &Cancel,
) -> Result<Vec<Listed>> {
    let mut listed = Vec::new();
    for storage in storages {
        let mut entries = Vec::new();
        if databases.is_empty() {
            entries = entries_of(*storage, None, cancel)?;
        }
        for database in databases {
            entries.extend(entries_of(*storage, Some(database), cancel)?);
        }
        entries.sort_by_key(newest_first);
        let mut read: HashMap<String, usize> = HashMap::new();
        for entry in entries {
            let count = read.entry(entry.id.database.clone()).or_default();
            *count += 1;
            let manifest = if *count <= MANIFESTS {
                manifest(*storage, &entry, cancel)?
            } else {
                None
            };
            listed.push(Listed {
                storage: storage.name().to_string(),
                location: storage.locate(&entry.archive_key()),
                entry,
                manifest,
            });
        }
    }
    listed.sort_by_key(|backup| newest_first(&backup.entry));
    Ok(listed)
}

fn newest_first(entry: &Entry) -> (String, std::cmp::Reverse<crate::catalog::name::Timestamp>) {
    (
        entry.id.database.clone(),
        std::cmp::Reverse(entry.id.timestamp),
    )
}

/// A manifest that cannot be read costs its details and not the listing.
fn manifest(storage: &dyn Storage, entry: &Entry, cancel: &Cancel) -> Result<Option<Manifest>> {
    match read_manifest(storage, entry, cancel) {
        Err(error) if matches!(error.kind(), Kind::Damaged | Kind::Failed | Kind::NotFound) => {
            log::warn!("{}", error.report());
            Ok(None)
        }
        other => other,
    }
}
