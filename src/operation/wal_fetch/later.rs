//! Whether something comes after a segment that is not there: then it is a hole, and not the end.

use super::deliver;
use super::job::WalFetch;
use super::way::{Way, storages};
use crate::cancel::Cancel;
use crate::error::{Doing, Result};
use crate::postgres::wal_file::{SegmentName, WalFile};
use crate::repository::wal_archive::WalListing;
use crate::repository::wal_names::{ArchivedFile, first_of_log, system_directory};
use crate::storage::Storage;

/// The first segment that is archived after `missing`, on its timeline or on one that leads from there to the one that is
/// recovered to; all storages are asked. `None` where `missing` is not of that way, so that nobody needs it.
pub(super) fn after(
    missing: SegmentName,
    fetch: &WalFetch,
    cancel: &Cancel,
) -> Result<Option<SegmentName>> {
    let way = Way::of(fetch, missing.timeline, cancel)?;
    let mut first: Option<SegmentName> = None;
    for storage in storages(fetch)? {
        let said = first_after(missing, fetch, &way, storage.as_ref(), cancel);
        let said = said.doing(|| format!("the storage {}", storage.name()))?;
        let place = |segment: &SegmentName| (segment.log, segment.number);
        first = first.into_iter().chain(said).min_by_key(place);
    }
    Ok(first)
}

fn first_after(
    missing: SegmentName,
    fetch: &WalFetch,
    way: &Way,
    storage: &dyn Storage,
    cancel: &Cancel,
) -> Result<Option<SegmentName>> {
    let mut logs = logs(fetch, storage, cancel)?;
    logs.retain(|log| {
        log.timeline >= missing.timeline && log.log >= missing.log && way.goes_through(log.timeline)
    });
    // in the order of the WAL, so that the first that counts ends the search
    logs.sort_by_key(|log| (log.log, log.timeline));
    let mut size = None;
    for log in logs {
        let like = WalFile::Segment(log);
        let like = ArchivedFile::new(fetch.cluster, fetch.system_identifier, like);
        let mut files = WalListing::beside(&like, storage, cancel)?.files;
        files.sort();
        for stored in files {
            let WalFile::Segment(found) = stored.archived.file else {
                continue;
            };
            let place = |segment: SegmentName| (segment.log, segment.number, segment.timeline);
            if place(found) <= place(missing) {
                continue;
            }
            let size = match size {
                Some(size) => size,
                None => {
                    let found = deliver::segment_size(fetch.open, &stored, storage, cancel)?;
                    *size.insert(found)
                }
            };
            if !way.holds(missing, size) {
                return Ok(None);
            }
            if way.holds(found, size) {
                return Ok(Some(found));
            }
        }
    }
    Ok(None)
}

/// The first segment of each log of which something is archived.
fn logs(fetch: &WalFetch, storage: &dyn Storage, cancel: &Cancel) -> Result<Vec<SegmentName>> {
    let directory = system_directory(fetch.cluster, fetch.system_identifier);
    let names = storage.directories(&directory, cancel)?;
    Ok(names.iter().filter_map(|name| first_of_log(name)).collect())
}
