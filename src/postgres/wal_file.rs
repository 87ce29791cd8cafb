//! The files that a server archives, by the names that it gives them; see `xlog_internal.h` of PostgreSQL's sources.
//!
//! ```text
//! 000000020000001200000034                   a segment: timeline, log, and its number in that log, 8 hex digits each
//! 000000020000001200000034.partial           the last one of a timeline that a promotion ended
//! 000000020000001200000034.00000028.backup   where a base backup began
//! 00000002.history                           where the timeline branched off
//! ```

use crate::postgres::replication::Lsn;
use std::fmt;

/// The name of a segment. They order by timeline, and in it by place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentName {
    pub timeline: u32,
    /// Which four gigabytes.
    pub log: u32,
    /// Which segment of those.
    pub number: u32,
}

/// A file that a server archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WalFile {
    Segment(SegmentName),
    /// The last segment of a timeline, with what was written of it.
    Partial(SegmentName),
    /// Where a base backup began, with the place in the segment.
    BackupLabel(SegmentName, u32),
    /// The history of this timeline.
    History(u32),
}

/// Bytes of a log, which no segment reaches beyond.
const LOG: u64 = 1 << 32;

impl SegmentName {
    /// The segment of `timeline` that holds `lsn`, where segments are of this size.
    pub fn of(timeline: u32, lsn: Lsn, segment_size: u64) -> SegmentName {
        SegmentName {
            timeline,
            log: (lsn.0 / LOG) as u32,
            number: (lsn.0 % LOG / segment_size) as u32,
        }
    }

    /// Where it begins, where segments are of this size.
    pub fn start(self, segment_size: u64) -> Lsn {
        let within = u64::from(self.number).saturating_mul(segment_size);
        Lsn((u64::from(self.log) * LOG).saturating_add(within))
    }

    /// Reads 24 hex digits as PostgreSQL writes them.
    pub fn parse(text: &str) -> Option<SegmentName> {
        if text.len() != 24 {
            return None;
        }
        Some(SegmentName {
            timeline: hex(text.get(..8)?).filter(|timeline| *timeline > 0)?,
            log: hex(text.get(8..16)?)?,
            number: hex(text.get(16..)?)?,
        })
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:08X}{:08X}{:08X}",
            self.timeline, self.log, self.number
        )
    }
}

impl WalFile {
    /// Reads such a name and nothing else.
    pub fn parse(name: &str) -> Option<WalFile> {
        if let Some(timeline) = name.strip_suffix(".history") {
            let timeline = (timeline.len() == 8).then(|| hex(timeline))??;
            return (timeline > 0).then_some(WalFile::History(timeline));
        }
        if let Some(segment) = name.strip_suffix(".partial") {
            return SegmentName::parse(segment).map(WalFile::Partial);
        }
        if let Some(label) = name.strip_suffix(".backup") {
            let (segment, offset) = label.split_once('.')?;
            let offset = (offset.len() == 8).then(|| hex(offset))??;
            return Some(WalFile::BackupLabel(SegmentName::parse(segment)?, offset));
        }
        SegmentName::parse(name).map(WalFile::Segment)
    }

    /// The segment that it is, or that it belongs to.
    pub fn segment(self) -> Option<SegmentName> {
        match self {
            WalFile::Segment(segment)
            | WalFile::Partial(segment)
            | WalFile::BackupLabel(segment, _) => Some(segment),
            WalFile::History(_) => None,
        }
    }

    /// The timeline that it is of.
    pub fn timeline(self) -> u32 {
        match self {
            WalFile::History(timeline) => timeline,
            WalFile::Segment(segment)
            | WalFile::Partial(segment)
            | WalFile::BackupLabel(segment, _) => segment.timeline,
        }
    }

    /// True of what holds WAL.
    pub fn holds_wal(self) -> bool {
        matches!(self, WalFile::Segment(_) | WalFile::Partial(_))
    }
}

impl fmt::Display for WalFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WalFile::Segment(segment) => write!(f, "{segment}"),
            WalFile::Partial(segment) => write!(f, "{segment}.partial"),
            WalFile::BackupLabel(segment, offset) => write!(f, "{segment}.{offset:08X}.backup"),
            WalFile::History(timeline) => write!(f, "{timeline:08X}.history"),
        }
    }
}

/// Hex digits as PostgreSQL writes them.
fn hex(text: &str) -> Option<u32> {
    let digits = |byte: u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
    match text.bytes().all(digits) {
        true => u32::from_str_radix(text, 16).ok(),
        false => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_read_and_written_and_no_other() {
        for name in [
            "000000020000001200000034",
            "000000020000001200000034.partial",
            "000000020000001200000034.00000028.backup",
            "0000000A.history",
        ] {
            assert_eq!(WalFile::parse(name).unwrap().to_string(), name);
        }
        for name in [
            "",
            "00000002000000120000003",
            "000000000000001200000034",
            "00000002000000120000003g",
            "00000002000000120000003a",
            "+00000020000001200000034",
            "000000020000001200000034.Partial",
            "000000020000001200000034.partial.partial",
            "000000020000001200000034.28.backup",
            "00000000.history",
            "2.history",
            "éé0000020000001200000034",
        ] {
            assert_eq!(WalFile::parse(name), None, "{name}");
        }
    }

    #[test]
    fn segments_are_named_by_their_place_whatever_their_size() {
        let lsn: Lsn = "1/2A000028".parse().unwrap();
        for (size, name) in [
            (16 << 20, "00000003000000010000002A"),
            (1 << 20, "0000000300000001000002A0"),
            (1 << 30, "000000030000000100000000"),
        ] {
            let segment = SegmentName::of(3, lsn, size);
            assert_eq!(segment.to_string(), name);
            assert_eq!(segment.start(size), lsn.segment_start(size));
        }
    }
}
