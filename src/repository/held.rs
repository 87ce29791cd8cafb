//! A backup as several storages hold it.

use super::listing::Entry;
use super::names::BackupId;
use crate::format::encoding::ArchiveEncoding;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// A backup on one storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// The storage's name.
    pub storage: String,
    /// What its listing says.
    pub entry: Entry,
}

/// One backup, encoded in one way, with each copy of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldBackup {
    pub id: BackupId,
    /// What its archive went through.
    pub encoding: ArchiveEncoding,
    /// Its copies, one at least, in the order of the storages.
    pub copies: Vec<Copy>,
}

/// What several storages list, by backup: the newest first, and of those of one moment by name.
pub fn merge<'a>(listings: impl IntoIterator<Item = (&'a str, Vec<Entry>)>) -> Vec<HeldBackup> {
    let mut found: BTreeMap<(Reverse<BackupId>, ArchiveEncoding), Vec<Copy>> = BTreeMap::new();
    for (storage, entries) in listings {
        for entry in entries {
            let copies = found.entry((Reverse(entry.id.clone()), entry.encoding));
            copies.or_default().push(Copy {
                storage: storage.to_string(),
                entry,
            });
        }
    }
    let held = found.into_iter();
    held.map(|((Reverse(id), encoding), copies)| HeldBackup {
        id,
        encoding,
        copies,
    })
    .collect()
}
