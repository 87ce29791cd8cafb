//! What is about to be deleted: `<name>/deleting.<number>.json`, so that a run on another host and retention never miss each other.
//!
//! Each side writes its own mark first and then looks for the other's. Retention announces what it deletes, lists again, and
//! spares what has a pin or a reader by then. Who pins or reads leaves its mark, lists, and where the backup is announced
//! waits for what becomes of it. So at least one of the two sees the other.
//!
//! An announcement is acted upon within `ACTED_UPON`; an older one was left by a run that died.

use super::lease::Lease;
use super::listing::Listing;
use super::mark_names::{HostMark, MarkKind};
use super::names::{BackupId, Timestamp};
use super::sidecars::listing_of;
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Kind, Result};
use crate::files::random;
use crate::process::boot_clock::since_boot;
use crate::process::machine::host_name;
use crate::storage::{CLEAN_UP, DELETION_HOLDS, Storage};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// So long after it began an announcement is followed by requests to delete, and no longer.
const ACTED_UPON: Duration = Duration::from_secs(60);
/// How often someone who waits looks again.
const AGAIN: Duration = Duration::from_secs(1);
/// Announcements have numbers below this, drawn at random.
const NUMBERS: usize = 1_000_000_000_000;
/// No more of an announcement is read than this many bytes.
const LARGEST: u64 = 1 << 20;

/// So old an announcement means nothing any more. Storages date by the second, and answers take their time.
fn is_stale(age: Duration) -> bool {
    age >= ACTED_UPON + DELETION_HOLDS + Duration::from_secs(5)
}

/// What an announcement says. JSON, additive.
#[derive(Debug, Serialize, Deserialize)]
struct Announcement {
    schema: u32,
    tool: String,
    host: String,
    /// The lease that the run holds.
    lease: String,
    /// The timestamps of the backups.
    backups: Vec<String>,
}

/// An announcement of this run. Dropping it takes it back.
pub struct AnnouncedDeletion<'a> {
    storage: &'a dyn Storage,
    lease: &'a Lease,
    key: String,
    number: u64,
    /// When it began to be written, by the clock since boot.
    began: Duration,
}

impl<'a> AnnouncedDeletion<'a> {
    /// Says that the run that holds `lease` is about to delete `backups`, and nothing that it announced before.
    pub fn new(
        storage: &'a dyn Storage,
        lease: &'a Lease,
        database: &str,
        backups: &[&BackupId],
        cancel: &Cancel,
    ) -> Result<AnnouncedDeletion<'a>> {
        // a number of its own: where two runs hold one lease, neither hides what the other announces
        let number = random::below(NUMBERS) as u64;
        let key = key(database, number);
        let announcement = Announcement {
            schema: 1,
            tool: format!("backupkit {}", env!("CARGO_PKG_VERSION")),
            host: host_name(),
            lease: lease.id(),
            backups: backups.iter().map(|id| id.timestamp.to_string()).collect(),
        };
        let bytes = serde_json::to_vec(&announcement)
            .map_err(|error| Error::failed("cannot announce a deletion").because(error))?;
        let announced = AnnouncedDeletion {
            storage,
            lease,
            began: since_boot(),
            key,
            number,
        };
        let written = storage.replace(&announced.key, &bytes, cancel);
        let written = written.or_else(|error| {
            // on a full disk, which the deletion is to help, an empty one: it may be about any backup
            match storage.claim(&announced.key, &[], cancel) {
                Ok(true) => Ok(()),
                _ => Err(error),
            }
        });
        written.doing(|| format!("cannot announce what is to be deleted of {database}"))?;
        Ok(announced)
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Until when a request to delete may be sent for it, by the clock since boot.
    pub fn until(&self) -> Result<Duration> {
        let lease = self.lease.until()?;
        let own = self.began + ACTED_UPON;
        match since_boot() < own {
            true => Ok(own.min(lease)),
            false => Err(Error::failed(
                "this run was stopped, or the storage was slow, for longer than a deletion may take",
            )
            .hint("run it again: what is left goes the next time")),
        }
    }
}

impl Drop for AnnouncedDeletion<'_> {
    fn drop(&mut self) {
        let key = std::slice::from_ref(&self.key);
        let gone = Cancel::new()
            .and_then(|cancel| self.storage.delete(key, &cancel.with_deadline(CLEAN_UP)));
        if let Err(error) = gone {
            // the next run that holds the lease removes it
            log::debug!("{} stays: {}", self.key, error.chain());
        }
    }
}

/// The key of the announcement with this number.
fn key(database: &str, number: u64) -> String {
    let mark = HostMark {
        database: database.to_string(),
        kind: MarkKind::Deleting,
        number,
    };
    mark.to_string()
}

/// What is announced by others, and may still be deleted.
pub struct OthersDeletions {
    announced: Vec<(String, Option<Announcement>)>,
    /// The keys of those that mean nothing any more.
    pub stale: Vec<String>,
}

impl OthersDeletions {
    /// Reads the announcements with these numbers, but for the one's `own`.
    pub fn read(
        storage: &dyn Storage,
        database: &str,
        numbers: &[u64],
        own: Option<u64>,
        cancel: &Cancel,
    ) -> Result<OthersDeletions> {
        let mut found = OthersDeletions {
            announced: Vec::new(),
            stale: Vec::new(),
        };
        for number in numbers.iter().filter(|number| Some(**number) != own) {
            let key = key(database, *number);
            let dated = match storage.read_dated(&key, LARGEST, cancel) {
                Ok(Some(dated)) => dated,
                Ok(None) => continue,
                Err(error) => return Err(error),
            };
            match dated.age {
                Some(age) if is_stale(age) => found.stale.push(key),
                _ => found
                    .announced
                    .push((key, serde_json::from_slice(&dated.bytes).ok())),
            }
        }
        Ok(found)
    }

    /// The key of one of them, if there is any.
    pub fn any(&self) -> Option<&str> {
        self.announced.first().map(|(key, _)| key.as_str())
    }

    /// True where this backup may be deleted; one that cannot be read may be about any.
    fn names(&self, timestamp: Timestamp) -> bool {
        let timestamp = timestamp.to_string();
        self.announced.iter().any(|(_, said)| {
            said.as_ref()
                .is_none_or(|said| said.backups.contains(&timestamp))
        })
    }
}

/// Waits until nobody is about to delete `id`, of which the caller has left a mark, and says whether it is still there.
pub fn outlasts(storage: &dyn Storage, id: &BackupId, cancel: &Cancel) -> Result<bool> {
    let began = since_boot();
    loop {
        let listing = listing_of(storage, Some(&id.database), cancel)?;
        let numbers = listing.numbers(&id.database, MarkKind::Deleting);
        if numbers.is_empty() || !holds(&listing, id) {
            return Ok(holds(&listing, id));
        }
        let others = OthersDeletions::read(storage, &id.database, &numbers, None, cancel)?;
        if !others.names(id.timestamp) {
            // one that named it may have done its work since that listing, and be gone or be about others by now; a
            // later one sees our mark
            let listing = listing_of(storage, Some(&id.database), cancel)?;
            return Ok(holds(&listing, id));
        }
        // by our own clock as well, where the storage tells no age
        if is_stale(since_boot().saturating_sub(began)) {
            let name = &id.database;
            return Err(Error::new(
                Kind::Locked,
                format!("retention is deleting backups of {name} and does not end"),
            )
            .hint("try again when it has ended"));
        }
        cancel.pause(AGAIN)?;
    }
}

fn holds(listing: &Listing, id: &BackupId) -> bool {
    listing.backups.iter().any(|backup| backup.id == *id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_announced_is_waited_for_until_nothing_of_it_can_have_an_effect() {
        let last_effect = ACTED_UPON + DELETION_HOLDS;
        assert!(!is_stale(last_effect) && is_stale(last_effect + Duration::from_secs(5)));
        let said = |backups: &[&str]| {
            let backups = backups.iter().map(|backup| backup.to_string()).collect();
            Some(Announcement {
                schema: 1,
                tool: String::new(),
                host: String::new(),
                lease: String::new(),
                backups,
            })
        };
        let stamp = "20261120_020000.123456789Z";
        let names = |said| {
            let announced = vec![("key".to_string(), said)];
            let stale = Vec::new();
            let others = OthersDeletions { announced, stale };
            others.names(Timestamp::parse(stamp).unwrap())
        };
        assert!(names(said(&["x", stamp])) && names(None));
        assert!(!names(said(&["20261120_020000.123456780Z"])));
    }
}
