//! `wal-fetch`: one file of WAL from its storages to a server that recovers. That there is none is said only where that is known:
//! PostgreSQL takes it for the end of the archive, and begins to serve what it has by then.

mod deliver;
mod job;
mod later;
mod way;

use crate::cancel::Cancel;
use crate::error::{Error, Kind, Result};
use crate::postgres::wal_file::{SegmentName, WalFile};
use crate::repository::wal_archive::{StoredWal, WalListing, system_of};
use crate::repository::wal_names::ArchivedFile;
use crate::storage::Storage;
use std::sync::Arc;
use std::time::{Duration, Instant};
use way::{Way, storages};

pub use job::WalFetch;

/// So often a file is looked for once more where a later one is there.
const LOOK: Duration = Duration::from_secs(1);

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetched {
    Delivered,
    /// Every storage was asked, and none has it, nor anything that comes after it.
    NotThere,
}

/// A copy, and where it is.
type FoundCopy<'a> = (&'a Arc<dyn Storage>, StoredWal);

/// Delivers the file, or says that there is none.
pub fn run(fetch: &WalFetch, cancel: &Cancel) -> Result<Fetched> {
    let give_up = Instant::now() + fetch.patience;
    loop {
        let (found, failed) = find(fetch, cancel)?;
        // what was written of a segment ends its timeline: where something comes after it, the whole one is missing
        let is_partial = found
            .iter()
            .any(|(_, stored)| matches!(stored.archived.file, WalFile::Partial(_)));
        let found = match fetch.file {
            WalFile::Segment(segment)
                if is_partial && later::after(segment, fetch, cancel)?.is_some() =>
            {
                Vec::new()
            }
            _ => found,
        };
        if !found.is_empty() {
            return match is_of_way(fetch, &found, cancel)? {
                true => first_good(fetch, &found, cancel),
                false => Ok(Fetched::NotThere),
            };
        }
        if let Some(error) = failed {
            let (file, cluster) = (fetch.file, fetch.cluster);
            return Err(error.doing(format!(
                "cannot find out whether there is {file} of {cluster}"
            )));
        }
        let WalFile::Segment(segment) = fetch.file else {
            return Ok(Fetched::NotThere);
        };
        match later::after(segment, fetch, cancel)? {
            None => {
                require_archives(fetch, cancel)?;
                return Ok(Fetched::NotThere);
            }
            Some(later) if Instant::now() >= give_up => return Err(gap(fetch, later)),
            // segments arrive out of order
            Some(_) => cancel.pause(LOOK)?,
        }
    }
}

/// Fails where a storage holds no archive of the cluster at all: it is not known to lack a file, its disk may not be mounted.
fn require_archives(fetch: &WalFetch, cancel: &Cancel) -> Result<()> {
    for storage in storages(fetch)? {
        if system_of(fetch.cluster, storage.as_ref(), cancel)?.is_none() {
            return Err(Error::new(
                Kind::Unavailable,
                format!(
                    "{} holds no archive of WAL, so whether there is {} of {} cannot be found out",
                    storage.locate(fetch.cluster),
                    fetch.file,
                    fetch.cluster
                ),
            )
            .hint("see whether its disk is mounted; a storage that never had any of it does not belong to this configuration"));
        }
    }
    Ok(())
}

/// The copies of the file on all storages, and why one of these could not be asked. Where none has a segment, what was written of
/// it when a promotion ended its timeline is as good.
fn find<'a>(fetch: &'a WalFetch, cancel: &Cancel) -> Result<(Vec<FoundCopy<'a>>, Option<Error>)> {
    let wanted = wanted(fetch);
    let partial = match fetch.file {
        WalFile::Segment(segment) => Some(ArchivedFile {
            file: WalFile::Partial(segment),
            ..wanted.clone()
        }),
        _ => None,
    };
    let (mut whole, mut partly, mut failed) = (Vec::new(), Vec::new(), None);
    for place in fetch.places {
        let listed = match &place.storage {
            Ok(storage) => WalListing::beside(&wanted, storage.as_ref(), cancel)
                .map(|listing| (storage, listing)),
            Err(error) => Err(Error::new(error.kind(), error.chain())),
        };
        match listed {
            Ok((storage, listing)) => {
                let copies = |of: &ArchivedFile| -> Vec<FoundCopy> {
                    let of = listing.of(of).cloned();
                    of.map(|stored| (storage, stored)).collect()
                };
                whole.extend(copies(&wanted));
                partly.extend(partial.as_ref().map_or(Vec::new(), copies));
            }
            Err(error) if error.ends_the_run() => return Err(error),
            Err(error) => {
                failed.get_or_insert(error.doing(format!("the storage {}", place.name)));
            }
        }
    }
    // a storage that is away may have it whole
    let mut found = match whole.is_empty() && failed.is_none() {
        true => partly,
        false => whole,
    };
    // the first that was archived under a name goes before a second one
    found.sort_by_key(|(_, stored)| stored.archived.other);
    Ok((found, failed))
}

/// False for a segment of a timeline that was left before it: a recovery that came to the end of its own timeline asks for it, and
/// would go astray.
fn is_of_way(fetch: &WalFetch, found: &[FoundCopy], cancel: &Cancel) -> Result<bool> {
    let (WalFile::Segment(segment), Some(target)) = (fetch.file, fetch.timeline) else {
        return Ok(true);
    };
    if segment.timeline == target {
        return Ok(true);
    }
    let way = Way::of(fetch, segment.timeline, cancel)?;
    // where its size cannot be read it is damaged, which is found out when it is delivered
    let mut sizes = found.iter().filter_map(|(storage, stored)| {
        deliver::segment_size(fetch.open, stored, storage.as_ref(), cancel).ok()
    });
    Ok(sizes.next().is_none_or(|size| way.holds(segment, size)))
}

/// Delivers the first of the copies that is good.
fn first_good(fetch: &WalFetch, found: &[FoundCopy], cancel: &Cancel) -> Result<Fetched> {
    let mut failed = None;
    for (storage, stored) in found {
        match deliver::deliver(fetch.open, stored, storage.as_ref(), fetch.target, cancel) {
            Ok(()) => return Ok(Fetched::Delivered),
            Err(error) if error.ends_the_run() => return Err(error),
            Err(error) => {
                // the last word is the first failure
                if let Some(earlier) = failed.replace(error) {
                    log::error!("{}", Error::report(&earlier));
                }
            }
        }
    }
    Err(failed.unwrap_or_else(|| Error::failed("nothing was found")))
}

fn gap(fetch: &WalFetch, later: SegmentName) -> Error {
    let (file, cluster) = (fetch.file, fetch.cluster);
    Error::refused(format!(
        "the WAL of {cluster} has a hole: {file} is on no storage, and {later} is"
    ))
    .hint(format!(
        "if the server of {cluster} has it still in pg_wal, archive it from there; else recover to a moment before it"
    ))
}

/// What is asked for, as it is stored.
fn wanted(fetch: &WalFetch) -> ArchivedFile {
    ArchivedFile::new(fetch.cluster, fetch.system_identifier, fetch.file)
}
