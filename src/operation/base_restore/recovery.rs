//! Where a recovery goes beyond its base backup: which timeline, how far the archived WAL reaches, and whether the target lies
//! within. All of it is known before anything is written.

use crate::cancel::Cancel;
use crate::error::{Doing, Error, Result};
use crate::postgres::replication::Lsn;
use crate::postgres::wal_file::{SegmentName, WalFile};
use crate::repository::manifest::ClusterFacts;
use crate::repository::wal_archive::{OpenWal, StoredWal, WalListing};
use crate::repository::wal_inventory::WalInventory;
use crate::repository::wal_names::ArchivedFile;
use crate::source::physical::coverage::Coverage;
use crate::source::physical::restore::settings::RecoverySettings;
use crate::source::physical::timeline_history::Lineage;
use crate::source::physical::wal_check::is_segment_size;
use crate::source::physical::wal_records::{WalRecords, WalTimes};
use crate::storage::Storage;
use crate::text::rfc3339;
use chrono::{DateTime, Utc};
use std::io::{self, Read};
use std::sync::Arc;

/// A history has no more bytes.
const LARGEST_HISTORY: u64 = 1 << 20;

/// How far a recovery goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecoveryTarget {
    /// To the end of what is archived.
    End,
    /// To the last commit that is no later.
    Time(DateTime<Utc>),
    Lsn(Lsn),
    /// The transaction with this identifier.
    Transaction(u64),
    /// A restore point.
    Named(String),
    /// To the end of the base backup.
    Immediate,
}

/// A recovery with everything decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// What was asked for.
    pub asked: RecoveryTarget,
    /// What the server is told.
    pub target: RecoveryTarget,
    /// What is exactly at the target is left out.
    pub is_exclusive: bool,
    pub timeline: u32,
    pub coverage: Coverage,
    /// Of its WAL, in bytes.
    pub segment_size: u64,
    /// The last commit in that WAL, where there is one.
    pub last_commit: Option<DateTime<Utc>>,
    /// How the server gets WAL.
    pub restore_command: String,
}

impl Recovery {
    /// What the server is told.
    pub(super) fn settings(&self) -> RecoverySettings {
        let target = match &self.target {
            RecoveryTarget::End => None,
            RecoveryTarget::Time(time) => Some((
                "recovery_target_time",
                time.format("%Y-%m-%d %H:%M:%S%.6f+00").to_string(),
            )),
            RecoveryTarget::Lsn(lsn) => Some(("recovery_target_lsn", lsn.to_string())),
            RecoveryTarget::Transaction(id) => Some(("recovery_target_xid", id.to_string())),
            RecoveryTarget::Named(name) => Some(("recovery_target_name", name.clone())),
            RecoveryTarget::Immediate => Some(("recovery_target", "immediate".to_string())),
        };
        RecoverySettings {
            restore_command: self.restore_command.clone(),
            timeline: self.timeline,
            target,
            is_exclusive: self.is_exclusive,
        }
    }
}

/// What a recovery is decided by.
pub struct RecoveryRequest<'a> {
    /// The name of the cluster.
    pub cluster: &'a str,
    /// The base backup that it begins with.
    pub base: &'a ClusterFacts,
    pub target: RecoveryTarget,
    pub is_exclusive: bool,
    /// The one that was asked for.
    pub timeline: Option<u32>,
    pub storages: &'a [Arc<dyn Storage>],
    pub open: OpenWal<'a>,
    /// The command for a recovery to this timeline.
    pub restore_command: &'a dyn Fn(u32) -> String,
}

/// A base backup as it lies in the WAL.
struct WalPlace {
    timeline: u32,
    system_identifier: u64,
    start: Lsn,
    stop: Lsn,
    segment_size: u64,
}

/// Decides. `None` where nothing is archived that the backup does not hold itself, and nothing else was asked for.
pub fn plan(request: &RecoveryRequest, cancel: &Cancel) -> Result<Option<Recovery>> {
    let place = WalPlace::of(request.base)?;
    let inventory = WalInventory::list(
        request.cluster,
        place.system_identifier,
        request.storages,
        cancel,
    )?;
    let lineage = lineage(request, &place, &inventory, cancel)?;
    let coverage = Coverage::of(&inventory, &lineage, place.start, place.segment_size);
    if coverage.last.is_none() && request.target == RecoveryTarget::End {
        return match coverage.hole {
            None => {
                log::warn!(
                    "no WAL of {} is archived from the backup on, which is restored as it was at its end",
                    request.cluster
                );
                Ok(None)
            }
            Some(hole) => Err(holed(request, hole, None)),
        };
    }
    let times = Times {
        request,
        place: &place,
        cancel,
    };
    let known = times.latest(&inventory, &lineage, &coverage)?;
    let target = decided(request, &place, &coverage, known)?;
    let timeline = lineage.target();
    Ok(Some(Recovery {
        asked: request.target.clone(),
        target,
        is_exclusive: request.is_exclusive,
        timeline,
        coverage,
        segment_size: place.segment_size,
        last_commit: known.last_end,
        restore_command: (request.restore_command)(timeline),
    }))
}

impl WalPlace {
    fn of(facts: &ClusterFacts) -> Result<WalPlace> {
        let damaged = |what: &str| Error::damaged(format!("the manifest tells {what}"));
        let lsn = |text: &str| text.parse().map_err(|()| damaged("no place in the WAL"));
        if !is_segment_size(facts.wal_segment_size) {
            return Err(damaged("a size of WAL segments that there is not"));
        }
        let identifier = facts.system_identifier.parse();
        Ok(WalPlace {
            timeline: facts.timeline,
            system_identifier: identifier.map_err(|_| damaged("no system identifier"))?,
            start: lsn(&facts.start_lsn)?,
            stop: lsn(&facts.stop_lsn)?,
            segment_size: facts.wal_segment_size,
        })
    }
}

/// The timelines that are gone through: to the one that was asked for, else to the newest that leads on from the backup.
fn lineage(
    request: &RecoveryRequest,
    place: &WalPlace,
    inventory: &WalInventory,
    cancel: &Cancel,
) -> Result<Lineage> {
    let mut leading = Vec::new();
    for (timeline, copies) in &inventory.histories {
        if *timeline < place.timeline {
            continue;
        }
        let lineage = match history(request, *timeline, copies, cancel) {
            Ok(lineage) => lineage,
            Err(error) if error.ends_the_run() || request.timeline == Some(*timeline) => {
                return Err(error);
            }
            Err(error) => {
                log::warn!("timeline {timeline} is left out: {}", error.chain());
                continue;
            }
        };
        // one that branched off before the backup ended does not hold it
        let holds = |lineage: &Lineage| {
            let member = lineage.member(place.timeline);
            member.is_some_and(|member| {
                member.begin <= place.start && member.end.is_none_or(|end| end >= place.stop)
            })
        };
        if holds(&lineage) {
            leading.push(lineage);
        }
    }
    if leading.iter().all(|one| one.target() != place.timeline) {
        leading.push(Lineage::alone(place.timeline));
    }
    let known: Vec<String> = leading.iter().map(|one| one.target().to_string()).collect();
    let known = known.join(", ");
    if let Some(wanted) = request.timeline {
        let found = leading.into_iter().find(|one| one.target() == wanted);
        return found.ok_or_else(|| {
            Error::refused(format!(
                "the timeline {wanted} does not lead on from the backup, which is of timeline {}",
                place.timeline
            ))
            .hint(format!("these do: {known}"))
        });
    }
    leading.sort_by_key(Lineage::target);
    let Some(newest) = leading.pop() else {
        return Ok(Lineage::alone(place.timeline));
    };
    // two servers went on from one: which one is meant, only their owner knows
    let is_left = |segment: &&SegmentName| {
        let known = |one: &Lineage| one.target() == segment.timeline;
        !newest.holds(**segment, place.segment_size)
            && segment.start(place.segment_size) >= place.stop.segment_start(place.segment_size)
            && leading.iter().any(known)
    };
    match (&request.target, inventory.segments.iter().find(is_left)) {
        (RecoveryTarget::End | RecoveryTarget::Immediate, _) | (_, None) => Ok(newest),
        (_, Some(left)) => Err(Error::refused(format!(
            "the timelines {known} lead on from the backup, and {} went on after {} had branched off",
            left.timeline,
            newest.target()
        ))
        .hint("say which one is meant: --target-timeline N")),
    }
}

fn history(
    request: &RecoveryRequest,
    timeline: u32,
    copies: &[(String, StoredWal)],
    cancel: &Cancel,
) -> Result<Lineage> {
    let mut failed = None;
    for (name, stored) in copies {
        let mut storages = request.storages.iter();
        let Some(storage) = storages.find(|storage| storage.name() == name) else {
            continue;
        };
        let read = || {
            let bytes = request.open.open(stored, storage.as_ref(), cancel)?;
            let mut text = String::new();
            bytes.take(LARGEST_HISTORY).read_to_string(&mut text)?;
            Lineage::parse(timeline, &text)
        };
        match read().doing(|| format!("cannot read {}", storage.locate(&stored.key()))) {
            Ok(lineage) => return Ok(lineage),
            Err(error) if error.ends_the_run() => return Err(error),
            Err(error) => drop(failed.get_or_insert(error)),
        }
    }
    Err(failed.unwrap_or_else(|| Error::failed(format!("timeline {timeline} has no history"))))
}

/// What the server is told, where the target can be reached.
fn decided(
    request: &RecoveryRequest,
    place: &WalPlace,
    coverage: &Coverage,
    known: WalTimes,
) -> Result<RecoveryTarget> {
    let end = coverage
        .last
        .map(|last| Lsn(last.start(place.segment_size).0 + place.segment_size));
    match &request.target {
        RecoveryTarget::End => match coverage.hole {
            None => Ok(RecoveryTarget::End),
            Some(hole) => Err(holed(request, hole, known.last_end)),
        },
        RecoveryTarget::Lsn(lsn) if *lsn < place.stop => Err(before_base(
            request,
            &format!("{lsn}"),
            &format!("{}", place.stop),
        )),
        RecoveryTarget::Lsn(lsn) if end.is_none_or(|end| *lsn >= end) => {
            Err(uncovered(request, &lsn.to_string(), coverage, known))
        }
        RecoveryTarget::Time(time) if *time < request.base.stop_time => Err(before_base(
            request,
            &rfc3339::millisecond(*time),
            &rfc3339::millisecond(request.base.stop_time),
        )),
        RecoveryTarget::Time(time) => match known {
            // the server stops before the first commit that is later, and so there has to be one
            WalTimes {
                last_end: Some(last),
                ..
            } if last > *time => Ok(request.target.clone()),
            // it is the last one, and so all that is archived
            WalTimes {
                last_end: Some(last),
                ..
            } if last == *time && coverage.hole.is_none() => Ok(RecoveryTarget::End),
            // nothing was committed from there on: what was written later proves it
            WalTimes {
                latest: Some((latest, at)),
                ..
            } if latest > *time => Ok(RecoveryTarget::Lsn(at)),
            _ => Err(uncovered(
                request,
                &rfc3339::millisecond(*time),
                coverage,
                known,
            )),
        },
        other => Ok(other.clone()),
    }
}

fn before_base(request: &RecoveryRequest, target: &str, end: &str) -> Error {
    Error::refused(format!(
        "{target} lies before {end}, where the backup of {} ends that it would begin with",
        request.cluster
    ))
    .hint("begin with an earlier one: --from NAME/TIMESTAMP; backupkit list shows which there are")
}

fn uncovered(
    request: &RecoveryRequest,
    target: &str,
    coverage: &Coverage,
    known: WalTimes,
) -> Error {
    let from = rfc3339::millisecond(request.base.stop_time);
    let up_to = match known.last_end {
        Some(last) => format!("recoverable {from} to {}", rfc3339::millisecond(last)),
        None => "nothing was committed since the backup".to_string(),
    };
    let hole = coverage.hole.map_or(String::new(), |(missing, _)| {
        format!("; {missing} is on no storage")
    });
    Error::refused(format!("no WAL covers {target}: {up_to}{hole}")).hint(
        "without --at it goes to the end of what is archived; what the server has not archived yet it hands over with: select pg_switch_wal()",
    )
}

fn holed(
    request: &RecoveryRequest,
    (missing, next): (SegmentName, SegmentName),
    last: Option<DateTime<Utc>>,
) -> Error {
    let error = Error::refused(format!(
        "the WAL of {} has a hole: {missing} is on no storage, and {next} is",
        request.cluster
    ));
    match last {
        Some(last) => error.hint(format!(
            "the last commit before it can be had: --at {}",
            rfc3339::precise(last)
        )),
        None => error.hint(
            "the backup by itself can be had: --from NAME/TIMESTAMP; a new one makes the WAL after it count",
        ),
    }
}

/// Looks into WAL for times.
struct Times<'a> {
    request: &'a RecoveryRequest<'a>,
    place: &'a WalPlace,
    cancel: &'a Cancel,
}

impl Times<'_> {
    /// The latest times of what is covered: back from its end, until a transaction ends there.
    fn latest(
        &self,
        inventory: &WalInventory,
        lineage: &Lineage,
        coverage: &Coverage,
    ) -> Result<WalTimes> {
        let mut known = WalTimes::default();
        let Some(last) = coverage.last else {
            return Ok(known);
        };
        let size = self.place.segment_size;
        let mut segments: Vec<SegmentName> = inventory
            .segments
            .iter()
            .chain(&inventory.partials)
            .filter(|segment| lineage.holds(**segment, size))
            .filter(|segment| segment.start(size) <= last.start(size))
            .filter(|segment| segment.start(size) >= coverage.first.start(size))
            .copied()
            .collect();
        segments.sort_by_key(|segment| (segment.start(size), segment.timeline));
        for segment in segments.into_iter().rev() {
            known = known.max(self.of(segment)?);
            if known.last_end.is_some() {
                break;
            }
        }
        Ok(known)
    }

    /// Those in one segment, from the first copy that can be read.
    fn of(&self, segment: SegmentName) -> Result<WalTimes> {
        let mut failed = None;
        for file in [WalFile::Segment(segment), WalFile::Partial(segment)] {
            let (cluster, identifier) = (self.request.cluster, self.place.system_identifier);
            let wanted = ArchivedFile::new(cluster, identifier, file);
            for storage in self.request.storages {
                let listing = match WalListing::beside(&wanted, storage.as_ref(), self.cancel) {
                    Ok(listing) => listing,
                    Err(error) if error.ends_the_run() => return Err(error),
                    Err(error) => {
                        failed.get_or_insert(error);
                        continue;
                    }
                };
                for stored in listing.of(&wanted) {
                    match self.read(segment, stored, storage.as_ref()) {
                        Ok(times) => return Ok(times),
                        Err(error) if error.ends_the_run() => return Err(error),
                        Err(error) => drop(failed.get_or_insert(error)),
                    }
                }
            }
        }
        Err(failed.unwrap_or_else(|| Error::failed(format!("{segment} is gone"))))
    }

    fn read(
        &self,
        segment: SegmentName,
        stored: &StoredWal,
        storage: &dyn Storage,
    ) -> Result<WalTimes> {
        let doing = || format!("cannot read {}", storage.locate(&stored.key()));
        let mut bytes = self.request.open.open(stored, storage, self.cancel)?;
        let size = self.place.segment_size;
        let mut records = WalRecords::of_segment(segment.start(size), size, segment.timeline);
        let mut buffer = vec![0; 1 << 18];
        loop {
            match bytes.read(&mut buffer) {
                Ok(0) => return Ok(*records.times()),
                Ok(count) => records.feed(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).doing(doing),
            }
        }
    }
}
