//! How far the archived WAL leads on from a base backup without a hole.

use super::timeline_history::Lineage;
use crate::postgres::replication::Lsn;
use crate::postgres::wal_file::SegmentName;
use crate::repository::wal_inventory::WalInventory;

/// The WAL that a recovery can count on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coverage {
    /// The segment that the backup needs first.
    pub first: SegmentName,
    /// The last one without a hole before it; `None` where not even the first is there.
    pub last: Option<SegmentName>,
    /// A segment that is missing, and the next one that is there.
    pub hole: Option<(SegmentName, SegmentName)>,
}

impl Coverage {
    /// Follows `lineage` from the segment that `start` is in, through segments of this size.
    pub fn of(
        inventory: &WalInventory,
        lineage: &Lineage,
        start: Lsn,
        segment_size: u64,
    ) -> Coverage {
        let due = |lsn: Lsn| due(lineage, lsn, segment_size);
        let mut at = start.segment_start(segment_size);
        let first = due(at);
        let mut last = None;
        loop {
            let segment = due(at);
            if inventory.segments.contains(&segment) {
                last = Some(segment);
                at = Lsn(at.0.saturating_add(segment_size));
                continue;
            }
            let later = |other: &&SegmentName| {
                lineage.holds(**other, segment_size) && other.start(segment_size) > at
            };
            let next = inventory.segments.iter().filter(later);
            let next = next.min_by_key(|other| other.start(segment_size)).copied();
            if next.is_none() {
                last = partly(inventory, lineage, at, segment_size).or(last);
            }
            return Coverage {
                first,
                last,
                hole: next.map(|next| (segment, next)),
            };
        }
    }
}

/// The segment in which the WAL of `lineage` at `start` is looked for first: where a timeline branched off, the later one has it.
fn due(lineage: &Lineage, start: Lsn, segment_size: u64) -> SegmentName {
    let of = |timeline| SegmentName::of(timeline, start, segment_size);
    let members = lineage.members().iter().rev();
    let mut holding = members.map(|member| of(member.timeline));
    let found = holding.find(|segment| lineage.holds(*segment, segment_size));
    found.unwrap_or_else(|| of(lineage.target()))
}

/// What there is of the segment at `start`, where the one that is due is not: of the timeline before it, or what was written of it.
fn partly(
    inventory: &WalInventory,
    lineage: &Lineage,
    start: Lsn,
    segment_size: u64,
) -> Option<SegmentName> {
    let members = lineage.members().iter().rev();
    let segments = members.map(|member| SegmentName::of(member.timeline, start, segment_size));
    let mut holding = segments.filter(|segment| lineage.holds(*segment, segment_size));
    holding.find(|segment| {
        inventory.segments.contains(segment) || inventory.partials.contains(segment)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u64 = 16 << 20;

    fn segment(name: &str) -> SegmentName {
        SegmentName::parse(name).unwrap()
    }

    fn inventory(names: &[&str]) -> WalInventory {
        WalInventory {
            segments: names.iter().map(|name| segment(name)).collect(),
            ..WalInventory::default()
        }
    }

    fn covered(names: &[&str], lineage: &Lineage) -> (Option<String>, Option<(String, String)>) {
        let start: Lsn = "0/2000028".parse().unwrap();
        let coverage = Coverage::of(&inventory(names), lineage, start, SIZE);
        let hole = coverage.hole;
        (
            coverage.last.map(|last| last.to_string()),
            hole.map(|(missing, next)| (missing.to_string(), next.to_string())),
        )
    }

    fn name(timeline: u32, number: u32) -> String {
        format!("{timeline:08X}00000000{number:08X}")
    }

    #[test]
    fn it_ends_before_the_first_hole() {
        let alone = Lineage::alone(1);
        let names = [name(1, 1), name(1, 2), name(1, 3), name(1, 5)];
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let hole = Some((name(1, 4), name(1, 5)));
        assert_eq!(covered(&names, &alone), (Some(name(1, 3)), hole));
        assert_eq!(covered(&names[..3], &alone), (Some(name(1, 3)), None));
        let hole = Some((name(1, 2), name(1, 5)));
        assert_eq!(covered(&names[3..], &alone), (None, hole));
        assert_eq!(covered(&[], &alone), (None, None));
    }

    #[test]
    fn it_goes_over_to_the_timeline_that_branched_off_and_not_beyond_on_the_old_one() {
        let lineage = Lineage::parse(2, "1\t0/3800000\tx\n").unwrap();
        let both = [name(1, 2), name(1, 3), name(1, 4), name(2, 3), name(2, 4)];
        let both: Vec<&str> = both.iter().map(String::as_str).collect();
        assert_eq!(covered(&both, &lineage), (Some(name(2, 4)), None));
        // up to where it branched off
        assert_eq!(covered(&both[..3], &lineage), (Some(name(1, 3)), None));
        let hole = Some((name(2, 3), name(2, 4)));
        let without = [both[0], both[1], both[4]];
        assert_eq!(covered(&without, &lineage), (Some(name(1, 2)), hole));
    }
}
