//! `pin` and `unpin`. A storage that cannot be asked keeps no other one from being pinned on.

use crate::cancel::Cancel;
use crate::error::{Error, Kind, Result};
use crate::repository::names::BackupId;
use crate::repository::pins::{self, PinnedCopy, Pinning};
use crate::repository::places::Places;
use crate::text::ours;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// Pins or unpins each copy of `id`. Where there is none it fails, with [`Kind::NotFound`] or with why a storage could not
/// be asked.
pub fn run(
    id: &BackupId,
    pinning: Pinning,
    places: &Places,
    lock_wait: Duration,
    now: DateTime<Utc>,
    cancel: &Cancel,
) -> Result<Vec<PinnedCopy>> {
    let copies = pins::set(id, pinning, places, lock_wait, now, cancel)?;
    let mut failures = places.take_failures();
    // where it is nowhere, one that could not be asked is why
    let why = match copies.is_empty() {
        true => failures.pop(),
        false => None,
    };
    let verb = match pinning {
        Pinning::Pinned => "pinned",
        Pinning::Unpinned => "unpinned",
    };
    for (name, error) in failures {
        let report = error.report();
        log::warn!("on the storage {name}, {id} is not {verb}, if it is there: {report}");
    }
    match why {
        Some((_, error)) => Err(error.doing(format!("cannot look for {id}"))),
        None if copies.is_empty() => {
            Err(
                Error::new(Kind::NotFound, format!("there is no backup {id}")).hint(format!(
                    "see which there are with: {}",
                    ours::command("list")
                )),
            )
        }
        None => Ok(copies),
    }
}
