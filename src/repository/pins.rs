//! Pins: a backup that retention leaves alone for good, on every storage that holds it.

use super::deletion;
use super::names::{BackupId, Part, is_ours};
use super::places::Places;
use super::sidecars::listing_of;
use crate::cancel::Cancel;
use crate::error::{Doing, Result};
use crate::storage::Storage;
use crate::storage::lock::Lock;
use crate::text::rfc3339;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// Whether a backup is to be pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pinning {
    /// Retention is to leave it alone.
    Pinned,
    /// Retention judges it by the rules again.
    Unpinned,
}

/// One copy of a backup that is pinned, or no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedCopy {
    /// The storage's name.
    pub storage: String,
    /// False where it was as wanted already.
    pub changed: bool,
}

/// Pins or unpins each copy of `id` on `places`, and gives those that are as wanted now. The lock keeps a prune on this
/// machine from deleting what is being pinned; one on another host is told by the pin, or waited for.
pub fn set(
    id: &BackupId,
    pinning: Pinning,
    places: &Places,
    lock_wait: Duration,
    now: DateTime<Utc>,
    cancel: &Cancel,
) -> Result<Vec<PinnedCopy>> {
    let names: Vec<String> = places.names().map(str::to_string).collect();
    let mut copies = Vec::new();
    for name in names {
        // looked for before the lock, which would make a directory for a database that is not there
        let found = places.ask(&name, |storage| is_there(storage, id, cancel))?;
        if found != Some(true) {
            continue;
        }
        let Some(storage) = places.usable(&name) else {
            continue;
        };
        // a lock that another run holds is a reason to stop, and not to pin some of the copies
        let changed = set_one(storage.as_ref(), id, pinning, lock_wait, now, cancel)?;
        copies.extend(changed.map(|changed| PinnedCopy {
            storage: name,
            changed,
        }));
    }
    Ok(copies)
}

/// Whether the copy was changed; `None` where it is gone.
fn set_one(
    storage: &dyn Storage,
    id: &BackupId,
    pinning: Pinning,
    lock_wait: Duration,
    now: DateTime<Utc>,
    cancel: &Cancel,
) -> Result<Option<bool>> {
    let _lock = Lock::take(&storage.lock_file(&id.database)?, lock_wait, cancel)?;
    // what a pin that died left would stand in the way of this one
    storage.sweep(&id.database, &is_ours, cancel)?;
    let listing = listing_of(storage, Some(&id.database), cancel)?;
    let Some(backup) = listing.backups.iter().find(|backup| backup.id == *id) else {
        return Ok(None);
    };
    let key = id.key(Part::Pin);
    let address = || storage.locate(&key);
    match (backup.has(Part::Pin), pinning) {
        (false, Pinning::Pinned) => {
            let when = rfc3339::second(now);
            let written = storage.put(&key, format!("{when}\n").as_bytes(), cancel);
            if let Err(error) = written.doing(|| format!("cannot write {}", address()))
                && (error.ends_the_run() || !is_pinned(storage, id, cancel)?)
            {
                return Err(error);
            }
        }
        // a pin that was killed while it waited says nothing of whether it came in time
        (true, Pinning::Pinned) => {}
        (true, Pinning::Unpinned) => storage
            .delete(std::slice::from_ref(&key), cancel)
            .doing(|| format!("cannot delete {}", address()))?,
        (false, Pinning::Unpinned) => return Ok(Some(false)),
    }
    if pinning == Pinning::Pinned && !deletion::outlasts(storage, id, cancel)? {
        storage.delete(std::slice::from_ref(&key), cancel)?;
        let name = storage.name();
        log::warn!("retention has deleted {id} on the storage {name} while it was pinned");
        return Ok(None);
    }
    Ok(Some(backup.has(Part::Pin) != (pinning == Pinning::Pinned)))
}

/// Whether there is a pin, whoever made it: of two hosts that pin a backup at the same moment one finds the other's
/// where it wrote its own.
fn is_pinned(storage: &dyn Storage, id: &BackupId, cancel: &Cancel) -> Result<bool> {
    let listing = listing_of(storage, Some(&id.database), cancel)?;
    let mut backups = listing.backups.iter();
    Ok(backups.any(|backup| backup.id == *id && backup.has(Part::Pin)))
}

fn is_there(storage: &dyn Storage, id: &BackupId, cancel: &Cancel) -> Result<bool> {
    let listing = listing_of(storage, Some(&id.database), cancel)?;
    Ok(listing.backups.iter().any(|backup| backup.id == *id))
}
