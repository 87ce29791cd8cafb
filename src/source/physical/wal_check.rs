//! A look at the tar of the WAL that a base backup needs: every segment of it, each of this cluster, timeline and place.

use super::tar_stream::{Member, MemberKind, MemberSink, TarStream};
use crate::error::{Error, Result};
use crate::format::inspect::StreamInspector;
use crate::postgres::replication::Lsn;
use crate::repository::manifest::Manifest;

/// What a segment begins with: magic, flags, timeline, its place, and in its first page the cluster and the size of segments.
const HEADER: usize = 40;

/// Looks at the tar as it passes.
#[derive(Debug)]
pub struct WalCheck {
    tar: TarStream,
    segments: Segments,
}

#[derive(Debug)]
struct Segments {
    timeline: u32,
    size: u64,
    system_identifier: u64,
    /// Where the segment begins that comes next.
    next: Lsn,
    stop: Lsn,
    header: Vec<u8>,
}

impl WalCheck {
    /// For the WAL that the backup of `manifest` needs. Damaged, where that cannot be told.
    pub fn of(manifest: &Manifest) -> Result<WalCheck> {
        let damaged = |what: &str| Error::damaged(format!("the manifest tells {what}"));
        let facts = manifest
            .cluster()
            .ok_or_else(|| damaged("nothing of the cluster that it is of"))?;
        let lsn = |text: &str| {
            text.parse::<Lsn>()
                .map_err(|()| damaged("no place in the WAL"))
        };
        let size = facts.wal_segment_size;
        if !is_segment_size(size) {
            return Err(damaged("a size of WAL segments that there is not"));
        }
        let identifier = facts.system_identifier.parse();
        Ok(WalCheck::new(
            facts.timeline,
            size,
            identifier.map_err(|_| damaged("no system identifier"))?,
            lsn(&facts.start_lsn)?,
            lsn(&facts.stop_lsn)?,
        ))
    }

    /// For the WAL from `start` to `stop`.
    fn new(timeline: u32, size: u64, system_identifier: u64, start: Lsn, stop: Lsn) -> WalCheck {
        WalCheck {
            tar: TarStream::default(),
            segments: Segments {
                timeline,
                size,
                system_identifier,
                next: start.segment_start(size),
                stop,
                header: Vec::new(),
            },
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
        self.tar.finish()?;
        match self.segments.next >= self.segments.stop {
            true => Ok(()),
            false => Err(Error::damaged(format!(
                "its WAL ends at {}, and it needs all up to {}",
                self.segments.next, self.segments.stop
            ))),
        }
    }
}

impl MemberSink for Segments {
    fn begin(&mut self, member: &Member) -> Result<()> {
        let expected = self.next.segment_name(self.timeline, self.size);
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
        let four = |at: usize| {
            let bytes = self.header.get(at..at + 4);
            bytes
                .and_then(|bytes| <[u8; 4]>::try_from(bytes).ok())
                .map_or(0, u32::from_le_bytes)
        };
        let eight = |at: usize| u64::from(four(at + 4)) << 32 | u64::from(four(at));
        let found = (four(4), eight(8), eight(24), u64::from(four(32)));
        let expected = (
            self.timeline,
            self.next.0,
            self.system_identifier,
            self.size,
        );
        match found == expected {
            true => Ok(()),
            false => Err(Error::damaged(format!(
                "the segment {} of its WAL is of another cluster, timeline or place",
                self.next.segment_name(self.timeline, self.size)
            ))),
        }
    }
}
