//! A look at the tar of the WAL that a base backup needs: every segment of it, each of this cluster, timeline and place, and every
//! record in them.

use super::tar_stream::{Member, MemberKind, MemberSink, TarStream};
use super::wal_header::{HEADER, WalHeader};
use super::wal_records::{MadeTablespace, WalRecords};
use crate::error::{Error, Result};
use crate::format::inspect::StreamInspector;
use crate::postgres::replication::Lsn;
use crate::postgres::wal_file::SegmentName;
use crate::repository::manifest::ClusterFacts;

/// Looks at the tar as it passes.
#[derive(Debug)]
pub struct WalCheck {
    tar: TarStream,
    start: Lsn,
    segments: Segments,
}

#[derive(Debug)]
struct Segments {
    timeline: u32,
    size: u64,
    system_identifier: u64,
    /// Where the segment begins that comes next, and where the first one does.
    next: Lsn,
    first: Lsn,
    header: Vec<u8>,
    records: WalRecords,
}

impl WalCheck {
    /// For the WAL that the backup with these facts needs, with the place where that ends. Damaged, where that cannot be told.
    pub fn of(facts: &ClusterFacts) -> Result<(WalCheck, Lsn)> {
        let damaged = |what: &str| Error::damaged(format!("the manifest tells {what}"));
        let lsn = |text: &str| {
            text.parse::<Lsn>()
                .map_err(|()| damaged("no place in the WAL"))
        };
        let size = facts.wal_segment_size;
        if !is_segment_size(size) {
            return Err(damaged("a size of WAL segments that there is not"));
        }
        let identifier = facts.system_identifier.parse();
        let identifier = identifier.map_err(|_| damaged("no system identifier"))?;
        let check = WalCheck::new(facts.timeline, size, identifier, lsn(&facts.start_lsn)?);
        Ok((check, lsn(&facts.stop_lsn)?))
    }

    /// For the WAL from `start` on.
    pub fn new(timeline: u32, size: u64, system_identifier: u64, start: Lsn) -> WalCheck {
        WalCheck {
            tar: TarStream::default(),
            start,
            segments: Segments {
                timeline,
                size,
                system_identifier,
                next: start.segment_start(size),
                first: start.segment_start(size),
                header: Vec::new(),
                records: WalRecords::new(start, size, timeline),
            },
        }
    }

    /// Where it begins.
    pub fn start(&self) -> Lsn {
        self.start
    }

    /// Fails unless all up to `stop` was there and whole. Returns a tablespace that was made meanwhile: whoever replays it makes it
    /// where it lay, which may be where it lives.
    pub fn up_to(&self, stop: Lsn) -> Result<Option<&MadeTablespace>> {
        match self.segments.next >= stop {
            true => self.segments.records.up_to(stop),
            false => Err(Error::damaged(format!(
                "its WAL ends at {}, and it needs all up to {stop}",
                self.segments.next
            ))),
        }
    }
}

/// True of the sizes that PostgreSQL takes.
pub fn is_segment_size(size: u64) -> bool {
    size.is_power_of_two() && (1 << 20..=1 << 30).contains(&size)
}

impl StreamInspector for WalCheck {
    fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        self.tar.feed(bytes, &mut self.segments)
    }

    fn end(&mut self) -> Result<()> {
        self.tar.finish()
    }
}

impl MemberSink for Segments {
    fn begin(&mut self, member: &Member) -> Result<()> {
        let expected = SegmentName::of(self.timeline, self.next, self.size).to_string();
        let fits = member.name == expected && member.kind == MemberKind::File(self.size);
        self.header.clear();
        match fits {
            true => Ok(()),
            false => Err(Error::damaged(format!(
                "its WAL has {} where the segment {expected} is due",
                member.name
            ))),
        }
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.records.feed(bytes);
        let missing = HEADER - self.header.len();
        if missing == 0 {
            return Ok(());
        }
        self.header
            .extend_from_slice(&bytes[..missing.min(bytes.len())]);
        match self.header.len() == HEADER {
            true => self.judge(),
            false => Ok(()),
        }
    }

    fn end(&mut self) -> Result<()> {
        self.next = Lsn(self.next.0 + self.size);
        Ok(())
    }
}

impl Segments {
    fn judge(&self) -> Result<()> {
        let Ok(header) = <&[u8; HEADER]>::try_from(self.header.as_slice()) else {
            return Ok(());
        };
        let found = WalHeader::parse(header);
        let timeline = match self.next == self.first {
            // that in which a timeline begins starts with the one before
            true => found.timeline.clamp(1, self.timeline),
            false => self.timeline,
        };
        let expected = WalHeader {
            timeline,
            start: self.next,
            system_identifier: self.system_identifier,
            segment_size: self.size,
        };
        match found == expected {
            true => Ok(()),
            false => Err(Error::damaged(format!(
                "the segment {} of its WAL is of another cluster, timeline or place",
                SegmentName::of(self.timeline, self.next, self.size)
            ))),
        }
    }
}
