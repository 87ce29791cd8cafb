//! What is archived of the WAL of a cluster, on all of its storages together.

use super::wal_archive::{StoredWal, WalListing};
use super::wal_names::{ArchivedFile, first_of_log, system_directory};
use crate::at_a_time::at_a_time;
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Result};
use crate::postgres::wal_file::{SegmentName, WalFile};
use crate::storage::Storage;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// So many directories are listed at a time.
const AT_A_TIME: usize = 8;

/// The files there are, each once however many storages have it. Memory grows with their number: some dozens of bytes each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WalInventory {
    pub segments: BTreeSet<SegmentName>,
    /// The last ones of timelines that a promotion ended.
    pub partials: BTreeSet<SegmentName>,
    /// Timelines whose history is there, and where.
    pub histories: BTreeMap<u32, Vec<(String, StoredWal)>>,
}

impl WalInventory {
    /// Lists what `storages` have of the cluster with this identifier. One that cannot be listed is warned of, as long as another one
    /// can.
    pub fn list(
        cluster: &str,
        system_identifier: u64,
        storages: &[Arc<dyn Storage>],
        cancel: &Cancel,
    ) -> Result<WalInventory> {
        let mut inventory = WalInventory::default();
        let (mut listed, mut failed) = (false, None);
        for storage in storages {
            let files = files(cluster, system_identifier, storage.as_ref(), cancel)
                .doing(|| format!("cannot list the WAL on the storage {}", storage.name()));
            match files {
                Ok(files) => {
                    listed = true;
                    for stored in files {
                        inventory.add(storage.name(), stored);
                    }
                }
                Err(error) if error.ends_the_run() => return Err(error),
                Err(error) => {
                    if let Some(earlier) = failed.replace(error) {
                        log::warn!("{}", Error::report(&earlier));
                    }
                }
            }
        }
        match failed {
            Some(error) if !listed => return Err(error),
            Some(error) => log::warn!("{}", error.report()),
            None => {}
        }
        Ok(inventory)
    }

    fn add(&mut self, storage: &str, stored: StoredWal) {
        match stored.archived.file {
            WalFile::Segment(segment) => drop(self.segments.insert(segment)),
            WalFile::Partial(segment) => drop(self.partials.insert(segment)),
            WalFile::History(timeline) => {
                let copies = self.histories.entry(timeline).or_default();
                copies.push((storage.to_string(), stored));
            }
            WalFile::BackupLabel(..) => {}
        }
    }

    /// The timelines of which anything is there, the first first.
    pub fn timelines(&self) -> BTreeSet<u32> {
        let segments = self.segments.iter().chain(&self.partials);
        let timelines = segments.map(|segment| segment.timeline);
        timelines.chain(self.histories.keys().copied()).collect()
    }
}

/// What one storage has.
fn files(
    cluster: &str,
    system_identifier: u64,
    storage: &dyn Storage,
    cancel: &Cancel,
) -> Result<Vec<StoredWal>> {
    let all = system_directory(cluster, system_identifier);
    let mut names = storage.directories(&all, cancel)?;
    names.retain(|name| like(name).is_some());
    let listings = at_a_time(AT_A_TIME, &names, |name, stop| {
        stop.check()?;
        let file = like(name).unwrap_or(WalFile::History(1));
        let like = ArchivedFile::new(cluster, system_identifier, file);
        WalListing::beside(&like, storage, cancel)
    })?;
    Ok(listings
        .into_iter()
        .flat_map(|listing| listing.files)
        .collect())
}

/// A file that lies in the directory `name` of a cluster's WAL.
fn like(name: &str) -> Option<WalFile> {
    match name {
        "history" => Some(WalFile::History(1)),
        log => first_of_log(log).map(WalFile::Segment),
    }
}
