//! Histories of timelines, and which timelines a recovery to one of them goes through; see `timeline.c` of PostgreSQL's sources.
//!
//! ```text
//! 1  0/3000158  no recovery target specified
//! 2  0/5000000  before 2026-11-25 11:58:03.123456+00
//! ```
//!
//! A line for each timeline before, with tabs in between: its number, and where the next one branched off.

use crate::error::{Error, Result};
use crate::postgres::replication::Lsn;
use crate::postgres::wal_file::SegmentName;

/// The timelines that lead to one, the first first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    members: Vec<LineageMember>,
}

/// A timeline as far as it belongs to a lineage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineageMember {
    pub timeline: u32,
    /// Where it branched off; the first one begins at the beginning.
    pub begin: Lsn,
    /// Where the next one branched off; the last one goes on.
    pub end: Option<Lsn>,
}

impl Lineage {
    /// That of a timeline which has no history: the first one, or one of which nothing is known.
    pub fn alone(timeline: u32) -> Lineage {
        Lineage {
            members: vec![LineageMember {
                timeline,
                begin: Lsn(0),
                end: None,
            }],
        }
    }

    /// That of `timeline`, whose history is `text`.
    pub fn parse(timeline: u32, text: &str) -> Result<Lineage> {
        let damaged = |line: &str| {
            Error::damaged(format!(
                "the history of timeline {timeline} has the line {line:?}"
            ))
        };
        let mut members: Vec<LineageMember> = Vec::new();
        let mut begin = Lsn(0);
        let lines = text.lines().map(str::trim);
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let mut words = line.split_whitespace();
            let number = words.next().and_then(|word| word.parse::<u32>().ok());
            let end = words.next().and_then(|word| word.parse::<Lsn>().ok());
            let (Some(number), Some(end)) = (number, end) else {
                return Err(damaged(line));
            };
            let last = members.last().map_or(0, |member| member.timeline);
            if number <= last || number >= timeline || end < begin {
                return Err(damaged(line));
            }
            members.push(LineageMember {
                timeline: number,
                begin,
                end: Some(end),
            });
            begin = end;
        }
        members.push(LineageMember {
            timeline,
            begin,
            end: None,
        });
        Ok(Lineage { members })
    }

    /// The timeline that it leads to.
    pub fn target(&self) -> u32 {
        self.members.last().map_or(0, |member| member.timeline)
    }

    /// Its timelines, the first first.
    pub fn members(&self) -> &[LineageMember] {
        &self.members
    }

    /// What it knows of `timeline`.
    pub fn member(&self, timeline: u32) -> Option<LineageMember> {
        let mut members = self.members.iter();
        members.find(|member| member.timeline == timeline).copied()
    }

    /// True where some of the WAL in `segment` belongs to it.
    pub fn holds(&self, segment: SegmentName, segment_size: u64) -> bool {
        let start = segment.start(segment_size);
        let ends_after = Lsn(start.0.saturating_add(segment_size));
        self.member(segment.timeline).is_some_and(|member| {
            ends_after > member.begin && member.end.is_none_or(|end| start < end)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u64 = 16 << 20;

    fn segment(name: &str) -> SegmentName {
        SegmentName::parse(name).unwrap()
    }

    #[test]
    fn a_segment_belongs_to_it_up_to_where_the_next_timeline_branched_off() {
        let text = "1\t0/3000158\tno recovery target specified\n\n3\t0/5000000\tbefore x\n";
        let lineage = Lineage::parse(4, text).unwrap();
        assert_eq!(lineage.target(), 4);
        for (name, holds) in [
            ("000000010000000000000002", true),
            ("000000010000000000000003", true),
            ("000000010000000000000004", false),
            ("000000030000000000000002", false),
            ("000000030000000000000003", true),
            ("000000030000000000000004", true),
            ("000000030000000000000005", false),
            ("000000040000000000000004", false),
            ("000000040000000000000005", true),
            ("000000040000000100000000", true),
            ("000000020000000000000003", false),
        ] {
            assert_eq!(lineage.holds(segment(name), SIZE), holds, "{name}");
        }
        assert!(Lineage::alone(1).holds(segment("000000010000000000000001"), SIZE));
    }

    #[test]
    fn what_is_no_history_is_damaged() {
        for text in [
            "x",
            "1",
            "1\t0/1\tx\n1\t0/2\tx",
            "2\t0/1\tx\n1\t0/2\tx",
            "5\t0/1\tx",
            "1\t0/2\tx\n2\t0/1\tx",
        ] {
            let error = Lineage::parse(4, text).unwrap_err();
            assert_eq!(error.kind(), crate::error::Kind::Damaged, "{text}");
        }
    }
}
