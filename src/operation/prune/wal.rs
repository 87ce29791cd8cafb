//! Deletes archived WAL that no backup that stays needs to go on from.
//!
//! - What a recovery from a backup begins with is the WAL from its start on. So everything before the lowest start of those that
//!   stay goes, on whatever timeline; with `retention.pitr`, before that of the newest full one that is so old.
//! - Histories of timelines stay. They are small, and tell where the others belong.
//! - Nothing goes where one of those backups does not tell where it begins, or where there is none.
//! - The lowest goes first, so that what is left of a run that is cut off has no hole.

use crate::cancel::Cancel;
use crate::error::{Doing, Error, Result};
use crate::postgres::replication::Lsn;
use crate::postgres::wal_file::{SegmentName, WalFile};
use crate::repository::Repository;
use crate::repository::held::HeldBackup;
use crate::repository::lease::Lease;
use crate::repository::manifest::{ClusterFacts, Manifest};
use crate::repository::names::BackupId;
use crate::repository::wal_archive::{StoredWal, WalListing, system_of};
use crate::repository::wal_names::{ArchivedFile, first_of_log, system_directory, wal_directory};
use crate::source::physical::wal_check::is_segment_size;
use crate::storage::Storage;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;
use std::time::Duration;

/// So many files go with one request.
const BATCH: usize = 500;

/// What went, or would.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PrunedWal {
    pub files: u64,
    pub bytes: u64,
}

/// A cluster on one storage, and what stays there.
pub(super) struct OldWalJob<'a> {
    /// The name of the cluster.
    pub cluster: &'a str,
    pub storage: &'a dyn Storage,
    pub repository: &'a Repository<'a>,
    /// The backups that stay, the newest first.
    pub stays: Vec<StayingBackup<'a>>,
    /// So far back every moment is to be had.
    pub limit: Option<Duration>,
    /// Only say what would go.
    pub dry_run: bool,
    /// The lease that the run holds, as far as it has one.
    pub lease: Option<&'a Lease>,
    pub now: DateTime<Utc>,
}

/// A backup that stays.
#[derive(Debug, Clone, Copy)]
pub(super) struct StayingBackup<'a> {
    pub id: &'a BackupId,
    /// Nothing is known to be wrong with it.
    pub counts: bool,
}

/// Where the WAL of a cluster begins that is needed.
#[derive(Debug, Clone, Copy)]
struct Needed {
    from: Lsn,
    segment_size: u64,
}

/// Deletes; with `dry_run` it only counts.
pub(super) fn run(job: &OldWalJob, cancel: &Cancel) -> Result<PrunedWal> {
    let Some(needed) = needed(job, cancel)? else {
        return Ok(PrunedWal::default());
    };
    let doing = || format!("cannot look for old WAL of {}", job.cluster);
    let systems = job.storage.directories(&wal_directory(job.cluster), cancel);
    let systems: Vec<u64> = systems
        .doing(doing)?
        .iter()
        .filter_map(|name| name.parse().ok())
        .collect();
    if systems.is_empty() {
        return Ok(PrunedWal::default());
    }
    let current = system_of(job.cluster, job.storage, cancel)?;
    let mut done = PrunedWal::default();
    for system in systems {
        let is_current = current
            .as_ref()
            .is_none_or(|current| current.system_identifier == system.to_string());
        let from = match needed.get(&system) {
            Some(needed) => *needed,
            // its first backup is not there yet
            None if is_current => continue,
            // of what was there before pg_upgrade or initdb, and of which no backup is left
            None => Needed {
                from: Lsn(u64::MAX),
                segment_size: 1 << 20,
            },
        };
        let gone = before(job, system, from, cancel)?;
        done.files += gone.files;
        done.bytes += gone.bytes;
    }
    Ok(done)
}

/// Where the WAL begins that is needed, by system identifier; `None` where that cannot be told.
fn needed(job: &OldWalJob, cancel: &Cancel) -> Result<Option<BTreeMap<u64, Needed>>> {
    let held = job.repository.backups();
    let mut needed: BTreeMap<u64, Needed> = BTreeMap::new();
    for staying in up_to_first(job, &held) {
        let Some(backup) = held.iter().find(|held| held.id == *staying.id) else {
            continue;
        };
        let manifest = job.repository.manifest(backup, cancel)?;
        let place = manifest.read().and_then(Manifest::cluster).and_then(place);
        let Some((system, place)) = place else {
            log::warn!(
                "old WAL of {} stays: {} does not tell where it begins",
                job.cluster,
                staying.id
            );
            return Ok(None);
        };
        let lowest = needed.entry(system).or_insert(place);
        lowest.from = lowest.from.min(place.from);
    }
    Ok((!needed.is_empty()).then_some(needed))
}

/// The backups that recoveries begin with: all that stay, or with a limit of age those down to the newest full one that is older.
fn up_to_first<'a>(job: &'a OldWalJob, held: &[HeldBackup]) -> &'a [StayingBackup<'a>] {
    let stays = job.stays.as_slice();
    let Some(limit) = job.limit else {
        return stays;
    };
    let limit = TimeDelta::from_std(limit).unwrap_or(TimeDelta::MAX);
    let is_incremental = |held: &HeldBackup| {
        let mut copies = held.copies.iter();
        copies.any(|copy| copy.entry.kind.is_incremental())
    };
    let begins = |staying: &StayingBackup| {
        let mut held = held.iter().filter(|held| held.id == *staying.id);
        staying.counts
            && job.now - staying.id.timestamp.moment() >= limit
            && !held.any(is_incremental)
    };
    match stays.iter().position(begins) {
        Some(last) => &stays[..=last],
        None => stays,
    }
}

fn place(facts: &ClusterFacts) -> Option<(u64, Needed)> {
    let size = facts.wal_segment_size;
    let from: Lsn = facts.start_lsn.parse().ok()?;
    let needed = Needed {
        from: from.segment_start(size.max(1)),
        segment_size: size,
    };
    is_segment_size(size).then_some((facts.system_identifier.parse().ok()?, needed))
}

/// Deletes what lies before that place.
fn before(job: &OldWalJob, system: u64, needed: Needed, cancel: &Cancel) -> Result<PrunedWal> {
    let first = SegmentName::of(1, needed.from, needed.segment_size);
    let like =
        |segment: SegmentName| ArchivedFile::new(job.cluster, system, WalFile::Segment(segment));
    let all = system_directory(job.cluster, system);
    let mut logs: Vec<SegmentName> = job
        .storage
        .directories(&all, cancel)?
        .iter()
        .filter_map(|name| first_of_log(name))
        .filter(|log| log.log <= first.log)
        .collect();
    logs.sort_by_key(|log| (log.log, log.timeline));
    let mut done = PrunedWal::default();
    for log in logs {
        let listing = WalListing::beside(&like(log), job.storage, cancel)?;
        let place = |stored: &StoredWal| {
            let segment = stored.archived.file.segment();
            segment.map(|segment| (segment.log, segment.number))
        };
        let mut going: Vec<&StoredWal> = listing
            .files
            .iter()
            .filter(|stored| place(stored) < Some((first.log, first.number)))
            .collect();
        going.sort_by_key(|stored| place(stored));
        done.files += going.len() as u64;
        done.bytes += going.iter().map(|stored| stored.bytes).sum::<u64>();
        if job.dry_run {
            continue;
        }
        let keys: Vec<String> = going.iter().map(|stored| stored.key()).collect();
        for batch in keys.chunks(BATCH) {
            let lease = job.lease.ok_or_else(|| {
                Error::failed(format!(
                    "without a lease of {} no WAL is deleted: another host might be working on it",
                    job.cluster
                ))
            })?;
            job.storage
                .delete_until(batch, Some(&|| lease.until()), cancel)
                .doing(|| format!("cannot delete old WAL of {}", job.cluster))?;
        }
    }
    Ok(done)
}
