//! What lies on a storage, and the small objects beside an archive, read with a limit on their size.

use super::check_records::{self, CheckRecords};
use super::listing::{Entry, Listing};
use super::manifest::{self, Manifest};
use super::names::{BackupId, Part};
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Kind, Result};
use crate::storage::Storage;
use std::io::Read;

/// What lies on `storage` of one database, or of all.
pub fn listing_of(
    storage: &dyn Storage,
    database: Option<&str>,
    cancel: &Cancel,
) -> Result<Listing> {
    let objects = storage.list(database, cancel)?;
    // `app` is no prefix of `app2`, whatever a storage makes of it
    let wanted = |key: &str| match database {
        Some(database) => key
            .split_once('/')
            .is_some_and(|(directory, _)| directory == database),
        None => true,
    };
    let objects = objects.iter().filter(|object| wanted(&object.key));
    Ok(Listing::new(
        objects.map(|object| (object.key.as_str(), object.bytes)),
    ))
}

/// The manifest beside a backup, if there is one.
pub fn read_manifest(
    storage: &dyn Storage,
    entry: &Entry,
    cancel: &Cancel,
) -> Result<Option<Manifest>> {
    if !entry.has_manifest {
        return Ok(None);
    }
    manifest_of(storage, &entry.id, cancel).map(Some)
}

/// The manifest of a backup that has one.
pub fn manifest_of(storage: &dyn Storage, id: &BackupId, cancel: &Cancel) -> Result<Manifest> {
    let key = id.manifest_key();
    let bytes = read_small(storage.open(&key, cancel)?, manifest::LARGEST, &key)?;
    Manifest::from_json(&bytes, &key)
}

/// The records of checks beside the archive `entry`: one object each, and those of earlier versions all in one. One that
/// was deleted meanwhile is none.
pub fn records_of(storage: &dyn Storage, entry: &Entry, cancel: &Cancel) -> Result<CheckRecords> {
    let old = entry.has_old_checks.then_some(Part::OldChecks);
    let each = entry.checks.iter().map(|began| Part::Check(*began));
    let mut records = CheckRecords::default();
    for part in old.into_iter().chain(each) {
        let key = entry.id.key(part);
        let stored = match storage.open(&key, cancel) {
            Err(error) if error.kind() == Kind::NotFound => continue,
            opened => opened?,
        };
        let read = read_small(stored, check_records::LARGEST, &key)
            .and_then(|bytes| CheckRecords::from_json(&bytes, &key));
        match read {
            Ok(read) => records.checks.extend(read.checks),
            // one that is damaged says nothing, and hides no other
            Err(error) if error.kind() == Kind::Damaged => log::warn!("{}", error.report()),
            Err(error) => return Err(error),
        }
    }
    records.checks.sort_by_key(|check| check.at);
    Ok(records)
}

/// All of a small object; one that is larger than it may be is damaged.
pub fn read_small(reader: impl Read, largest: u64, name: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader
        .take(largest + 1)
        .read_to_end(&mut bytes)
        .doing(|| format!("cannot read {name}"))?;
    if bytes.len() as u64 > largest {
        return Err(Error::damaged(format!(
            "{name} is larger than {largest} bytes"
        )));
    }
    Ok(bytes)
}
