//! The timelines that a recovery goes through, by the histories that are archived.

use super::deliver;
use super::job::WalFetch;
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Result};
use crate::postgres::wal_file::{SegmentName, WalFile};
use crate::repository::wal_archive::WalListing;
use crate::repository::wal_names::ArchivedFile;
use crate::source::physical::timeline_history::Lineage;
use crate::storage::Storage;
use std::sync::Arc;

/// The way that a recovery takes; unknown where the history that would tell it is archived nowhere, and then all may be on it.
pub(super) struct Way(Option<Lineage>);

impl Way {
    /// That to the timeline of `fetch`, else to the newest that is archived, which `at_least` may be.
    pub fn of(fetch: &WalFetch, at_least: u32, cancel: &Cancel) -> Result<Way> {
        let like = WalFile::History(at_least);
        let like = ArchivedFile::new(fetch.cluster, fetch.system_identifier, like);
        let mut histories = Vec::new();
        for storage in storages(fetch)? {
            let listing = WalListing::beside(&like, storage.as_ref(), cancel)
                .doing(|| format!("the storage {}", storage.name()))?;
            histories.extend(listing.files.into_iter().map(|stored| (storage, stored)));
        }
        let newest = histories
            .iter()
            .map(|(_, stored)| stored.archived.file.timeline());
        let newest = newest.max().unwrap_or(at_least).max(at_least);
        let target = fetch.timeline.unwrap_or(newest);
        let mut failed = None;
        for (storage, stored) in &histories {
            if stored.archived.file != WalFile::History(target) {
                continue;
            }
            match deliver::text_of(fetch.open, stored, storage.as_ref(), cancel)
                .and_then(|text| Lineage::parse(target, &text))
            {
                // of a branch that nobody named: the timeline that is asked for is another way
                Ok(lineage) if fetch.timeline.is_none() && lineage.member(at_least).is_none() => {
                    return Ok(Way(None));
                }
                Ok(lineage) => return Ok(Way(Some(lineage))),
                Err(error) if error.ends_the_run() => return Err(error),
                Err(error) => drop(failed.get_or_insert(error)),
            }
        }
        match failed {
            Some(error) => Err(error),
            // the first timeline has none, and before any other one lies what its history says
            None => Ok(Way((target <= at_least).then(|| Lineage::alone(target)))),
        }
    }

    /// True where it goes through `timeline`.
    pub fn goes_through(&self, timeline: u32) -> bool {
        self.0
            .as_ref()
            .is_none_or(|known| known.member(timeline).is_some())
    }

    /// True where some of the WAL in `segment` is on it.
    pub fn holds(&self, segment: SegmentName, segment_size: u64) -> bool {
        self.0
            .as_ref()
            .is_none_or(|known| known.holds(segment, segment_size))
    }
}

/// All storages; one that cannot be used may have what is looked for.
pub(super) fn storages<'a>(fetch: &'a WalFetch) -> Result<Vec<&'a Arc<dyn Storage>>> {
    let storages = fetch.places.iter().map(|place| match &place.storage {
        Ok(storage) => Ok(storage),
        Err(error) => Err(Error::new(error.kind(), error.chain())),
    });
    storages.collect()
}
