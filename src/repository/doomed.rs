//! Deletion in two steps, for a storage that keeps no conditional writes, where two hosts may hold a lease at the same time.
//!
//! A run of retention writes down what it finds that goes, in `<name>/doomed.<n>.json`. A later run deletes of that only what it
//! finds on its own as well, an [`INTERVAL`] later by the clock of the storage. Where two runs differ about a backup, nothing is
//! deleted at all, and what the one had written about it is taken back.

use super::lease::Lease;
use super::listing::Listing;
use super::mark_names::{HostMark, MarkKind};
use super::names::BackupId;
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Result};
use crate::storage::Storage;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// The least time between the two steps.
pub const INTERVAL: Duration = Duration::from_secs(3600);
/// No mark is larger than this.
const LARGEST: u64 = 1 << 20;

/// What a mark says. JSON, additive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct DoomedRecord {
    schema: u32,
    tool: String,
    /// The timestamps of the backups.
    backups: BTreeSet<String>,
}

/// One mark as it was read.
struct DoomedMark {
    key: String,
    backups: BTreeSet<String>,
    age: Option<Duration>,
}

/// What earlier runs found that goes.
pub struct Doomed<'a> {
    storage: &'a dyn Storage,
    database: &'a str,
    marks: Vec<DoomedMark>,
}

impl<'a> Doomed<'a> {
    /// Reads the marks that `listing` shows. One that cannot be read says nothing, and is taken back with the others.
    pub fn read(
        storage: &'a dyn Storage,
        database: &'a str,
        listing: &Listing,
        cancel: &Cancel,
    ) -> Result<Doomed<'a>> {
        let mut marks = Vec::new();
        for number in listing.numbers(database, MarkKind::Doomed) {
            let key = key(database, number);
            let (backups, age) = match storage.read_dated(&key, LARGEST, cancel) {
                Ok(Some(dated)) => {
                    let said: Option<DoomedRecord> = serde_json::from_slice(&dated.bytes).ok();
                    (said.map(|said| said.backups).unwrap_or_default(), dated.age)
                }
                Ok(None) => continue,
                Err(error) => return Err(error),
            };
            marks.push(DoomedMark { key, backups, age });
        }
        Ok(Doomed {
            storage,
            database,
            marks,
        })
    }

    /// A backup of `stays` that an earlier run found to go.
    pub fn disagreement<'b>(
        &self,
        stays: impl IntoIterator<Item = &'b BackupId>,
    ) -> Option<&'b BackupId> {
        let mut stays = stays.into_iter();
        stays.find(|id| self.of(id).next().is_some())
    }

    /// How long until `id` may be deleted; zero where it may be now, and `None` where no earlier run found that it goes.
    pub fn left(&self, id: &BackupId) -> Option<Duration> {
        let left = self.of(id).map(|mark| match mark.age {
            Some(age) => INTERVAL.saturating_sub(age),
            None => INTERVAL,
        });
        left.min()
    }

    fn of(&self, id: &BackupId) -> impl Iterator<Item = &DoomedMark> {
        let timestamp = id.timestamp.to_string();
        let marks = self.marks.iter();
        marks.filter(move |mark| mark.backups.contains(&timestamp))
    }

    /// Writes down those of `goes` that no mark names yet, and takes back what names backups that are not among them. A mark
    /// that is changed counts from now on.
    pub fn update(&self, goes: &[&BackupId], lease: &Lease, cancel: &Cancel) -> Result<()> {
        let name = self.database;
        let doing = || format!("cannot write down what goes of {name}");
        let unmarked = goes.iter().filter(|id| self.left(id).is_none());
        let unmarked: BTreeSet<String> = unmarked.map(|id| id.timestamp.to_string()).collect();
        if !unmarked.is_empty() {
            let key = key(self.database, lease.number());
            self.write(&key, unmarked, cancel).doing(doing)?;
        }
        let goes: BTreeSet<String> = goes.iter().map(|id| id.timestamp.to_string()).collect();
        let mut empty = Vec::new();
        for mark in &self.marks {
            let stays: BTreeSet<String> = mark.backups.intersection(&goes).cloned().collect();
            if stays.is_empty() {
                empty.push(mark.key.clone());
            } else if stays != mark.backups {
                self.write(&mark.key, stays, cancel).doing(doing)?;
            }
        }
        match empty.is_empty() {
            true => Ok(()),
            false => self.storage.delete(&empty, cancel).doing(doing),
        }
    }

    fn write(&self, key: &str, backups: BTreeSet<String>, cancel: &Cancel) -> Result<()> {
        let record = DoomedRecord {
            schema: 1,
            tool: format!("backupkit {}", env!("CARGO_PKG_VERSION")),
            backups,
        };
        let bytes = serde_json::to_vec(&record)
            .map_err(|error| Error::failed("cannot write a mark").because(error))?;
        self.storage.replace(key, &bytes, cancel)
    }
}

fn key(database: &str, number: u64) -> String {
    let mark = HostMark {
        database: database.to_string(),
        kind: MarkKind::Doomed,
        number,
    };
    mark.to_string()
}
