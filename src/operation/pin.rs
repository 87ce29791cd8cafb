//! `pin` and `unpin`: a backup that retention leaves alone for good, on every storage that holds it.
//!
//! A storage that cannot be asked keeps no other one from being pinned on.

use crate::cancel::Cancel;
use crate::error::{Doing, Error, Kind, Result};
use crate::repository::find::Place;
use crate::repository::names::{BackupId, Part};
use crate::repository::reference::listing_of;
use crate::storage::Storage;
use crate::storage::lock::Lock;
use chrono::{DateTime, SecondsFormat, Utc};
use std::time::Duration;

/// One copy of the backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// The storage's name.
    pub storage: String,
    /// False where it was as wanted already.
    pub changed: bool,
}

/// Pins (or, with `pinned` false, unpins) each copy of `id`. Where there is none it fails, with [`Kind::NotFound`] or
/// with why a storage could not be asked. The lock keeps a prune on this machine from deleting what is being pinned.
pub fn run(
    id: &BackupId,
    pinned: bool,
    places: Vec<Place>,
    lock_wait: Duration,
    now: DateTime<Utc>,
    cancel: &Cancel,
) -> Result<Vec<Copy>> {
    let key = id.key(Part::Pin);
    let (mut copies, mut failures) = (Vec::new(), Vec::new());
    for place in places {
        // looked for before the lock, which would make a directory for a database that is not there
        let looked = place.storage.and_then(|storage| {
            let found = exists(storage.as_ref(), id, cancel)?;
            Ok(found.then_some(storage))
        });
        let storage = match looked {
            Ok(Some(storage)) => storage,
            Ok(None) => continue,
            Err(error) if matches!(error.kind(), Kind::Signal(_)) => return Err(error),
            Err(error) => {
                failures.push((place.name, error));
                continue;
            }
        };
        let _lock = Lock::take(&storage.lock_file(&id.database)?, lock_wait, cancel)?;
        let listing = listing_of(storage.as_ref(), Some(&id.database), cancel)?;
        let Some(backup) = listing.backups.iter().find(|backup| backup.id == *id) else {
            continue;
        };
        let changed = backup.has(Part::Pin) != pinned;
        let address = || storage.locate(&key);
        match (changed, pinned) {
            (false, _) => {}
            (true, true) => {
                let when = now.to_rfc3339_opts(SecondsFormat::Secs, true);
                storage
                    .put(&key, format!("{when}\n").as_bytes(), cancel)
                    .doing(|| format!("cannot write {}", address()))?;
            }
            (true, false) => storage
                .delete(std::slice::from_ref(&key), cancel)
                .doing(|| format!("cannot delete {}", address()))?,
        }
        copies.push(Copy {
            storage: storage.name().to_string(),
            changed,
        });
    }
    // where it is nowhere, one that could not be asked is why
    let why = if copies.is_empty() {
        failures.pop()
    } else {
        None
    };
    let verb = if pinned { "pinned" } else { "unpinned" };
    for (name, error) in failures {
        let report = error.report();
        log::warn!("on the storage {name}, {id} is not {verb}, if it is there: {report}");
    }
    match why {
        Some((_, error)) => Err(error.doing(format!("cannot look for {id}"))),
        None if copies.is_empty() => Err(Error::new(
            Kind::NotFound,
            format!("there is no backup {id}"),
        )
        .hint("see which there are with: backupkit list")),
        None => Ok(copies),
    }
}

fn exists(storage: &dyn Storage, id: &BackupId, cancel: &Cancel) -> Result<bool> {
    let listing = listing_of(storage, Some(&id.database), cancel)?;
    Ok(listing.backups.iter().any(|backup| backup.id == *id))
}
