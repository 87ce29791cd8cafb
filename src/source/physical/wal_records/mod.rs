//! The records of WAL as it passes, each held against its checksum and the one before it; see `xlogrecord.h`, `xlog_internal.h`
//! and `xlogreader.c` of PostgreSQL's sources.
//!
//! ```text
//! page      8 KiB: a header, longer in the first page of a segment, then records; one may go on in the pages that follow
//! record    length, transaction, where the one before it begins, what it is, checksum, and then its data; aligned to 8 bytes
//! ```
//!
//! Where the WAL of a backup ends is known last, and what is behind that may be cut off. So trouble is kept with its place, and
//! told where it is before the end.

mod times;

pub use times::WalTimes;

use crate::error::{Error, Result};
use crate::postgres::replication::Lsn;

/// The size of a page of WAL, unless PostgreSQL was built for another.
const PAGE: u64 = 8192;
const SHORT_HEADER: usize = 24;
const LONG_HEADER: usize = 40;
/// In the flags of a page: a record that began before goes on in it.
const CONTINUES: u16 = 1;
/// In them: its header is the longer one.
const LONG: u16 = 2;
/// In them: the record that was to go on never will, since the server crashed meanwhile.
const GIVEN_UP: u16 = 8;
/// All that there are.
const FLAGS: u16 = 0xf;
/// What a record begins with.
const RECORD: usize = 24;
/// The checksum is the last thing in that, and of all else.
const CHECKSUM: usize = 20;
/// No record is larger: PostgreSQL 16 and newer write none of more than 1020 MiB, older ones none of more than what they allocate.
const LONGEST: u32 = 1 << 30;
const ALIGNMENT: u64 = 8;

/// The kinds of records that are looked into: by resource manager and, in its upper half, the operation.
const SWITCH: (u8, u8) = (0, 0x40);
const TABLESPACE_MADE: (u8, u8) = (5, 0);
/// So much of such a record is kept: an OID and a path, or a time.
const KEPT: usize = 2048;

/// A tablespace that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeTablespace {
    /// Where the record is.
    pub at: Lsn,
    pub oid: u32,
    /// Where it lies on the server.
    pub path: String,
}

impl MadeTablespace {
    /// Why a backup whose WAL makes it is not restored.
    pub fn as_obstacle(&self) -> String {
        format!(
            "the tablespace {} was made while the backup was, and its WAL would make it where it lay: {}",
            self.oid, self.path
        )
    }
}

/// Reads WAL from the start of a segment on.
#[derive(Debug)]
pub struct WalRecords {
    segment_size: u64,
    timeline: u32,
    /// The version of pages, by the first one, and the timeline of the last one.
    magic: Option<u16>,
    reached_timeline: u32,
    /// What is fed next.
    at: u64,
    /// Before it nothing is read: a record begins there.
    start: u64,
    header: Vec<u8>,
    state: ReadState,
    /// Where the last record began.
    last: Option<u64>,
    /// The first one.
    made: Option<MadeTablespace>,
    times: WalTimes,
}

#[derive(Debug)]
enum ReadState {
    /// A record begins at the next aligned place.
    Between,
    /// So many bytes are of a record that began before all that is read.
    Rest(u64),
    Within(Record),
    /// Up to here there is nothing.
    Skipping(u64),
    /// There was something wrong, or nothing more, here.
    Stopped(u64, String),
}

#[derive(Debug)]
struct Record {
    begins: u64,
    header: Vec<u8>,
    /// The checksum of what follows its header, so far.
    checksum: u32,
    /// Of what follows its header.
    left: u64,
    kept: Vec<u8>,
}

impl WalRecords {
    /// For the WAL up to `timeline` whose records are wanted from `start` on; what is fed begins with the segment that it lies in.
    pub fn new(start: Lsn, segment_size: u64, timeline: u32) -> WalRecords {
        WalRecords {
            segment_size,
            timeline,
            magic: None,
            reached_timeline: 1,
            at: start.segment_start(segment_size).0,
            start: start.0,
            header: Vec::new(),
            state: ReadState::Between,
            last: None,
            made: None,
            times: WalTimes::default(),
        }
    }

    /// For one segment of `timeline`, which begins at `start`: what began before it is passed over.
    pub fn of_segment(start: Lsn, segment_size: u64, timeline: u32) -> WalRecords {
        WalRecords {
            state: ReadState::Rest(0),
            ..WalRecords::new(start, segment_size, timeline)
        }
    }

    /// What the records so far say of times.
    pub fn times(&self) -> &WalTimes {
        &self.times
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = self.take(bytes);
            self.at += taken as u64;
            bytes = &bytes[taken..];
        }
    }

    /// Fails unless every record before `stop` was there and whole. Returns the first tablespace that they make.
    pub fn up_to(&self, stop: Lsn) -> Result<Option<&MadeTablespace>> {
        let (reached, why) = match &self.state {
            ReadState::Stopped(at, why) => (*at, why.as_str()),
            ReadState::Within(record) => (record.begins, "it ends within a record"),
            _ => (self.at, "it ends there"),
        };
        if reached < stop.0 {
            return Err(Error::damaged(format!(
                "the WAL is damaged at {}: {why}",
                Lsn(reached)
            )));
        }
        Ok(self.made.as_ref().filter(|made| made.at < stop))
    }

    /// Takes some of `bytes`, and returns how many.
    fn take(&mut self, bytes: &[u8]) -> usize {
        let all = bytes.len();
        let up_to = |count: u64| usize::try_from(count).map_or(all, |count| count.min(all));
        match self.state {
            ReadState::Stopped(..) => return all,
            ReadState::Skipping(end) if self.at < end => return up_to(end - self.at),
            ReadState::Skipping(_) => self.state = ReadState::Between,
            ReadState::Between | ReadState::Within(_) | ReadState::Rest(_) => {}
        }
        let in_page = self.at % PAGE;
        let header = match self.at - in_page {
            page if page.is_multiple_of(self.segment_size) => LONG_HEADER,
            _ => SHORT_HEADER,
        };
        if in_page < header as u64 {
            let count = up_to(header as u64 - in_page);
            self.header.extend_from_slice(&bytes[..count]);
            if self.header.len() == header {
                self.judge_page();
                self.header.clear();
            }
            return count;
        }
        let bytes = &bytes[..up_to(PAGE - in_page)];
        match self.state {
            ReadState::Rest(0) => self.state = ReadState::Between,
            ReadState::Rest(left) => {
                let count = up_to(left).min(bytes.len());
                self.state = ReadState::Rest(left - count as u64);
                return count;
            }
            _ => {}
        }
        if self.at < self.start {
            return up_to((self.start - self.at).min(bytes.len() as u64));
        }
        self.take_data(bytes)
    }

    /// Takes some of what belongs to records.
    fn take_data(&mut self, bytes: &[u8]) -> usize {
        let mut record = match std::mem::replace(&mut self.state, ReadState::Between) {
            ReadState::Within(record) => record,
            _ => {
                let unaligned = self.at % ALIGNMENT;
                if unaligned != 0 {
                    return bytes.len().min((ALIGNMENT - unaligned) as usize);
                }
                Record::at(self.at)
            }
        };
        let mut taken = 0;
        if record.header.len() < RECORD {
            taken = bytes.len().min(RECORD - record.header.len());
            record.header.extend_from_slice(&bytes[..taken]);
            if record.header.len() == RECORD
                && let Err(why) = self.begin(&mut record)
            {
                self.state = ReadState::Stopped(record.begins, why);
                return taken;
            }
        }
        if record.header.len() == RECORD {
            taken += record.take(&bytes[taken..]);
        }
        let is_whole = record.header.len() == RECORD && record.left == 0;
        self.state = match is_whole {
            true => self.end(record, self.at + taken as u64),
            false => ReadState::Within(record),
        };
        taken
    }

    /// The header of a record is there.
    fn begin(&self, record: &mut Record) -> Result<(), String> {
        let length = record.number(0);
        match length {
            0 => return Err("there are no more records".into()),
            24..=LONGEST => record.left = u64::from(length) - RECORD as u64,
            _ => return Err(format!("a record of {length} bytes")),
        }
        let before = u64::from(record.number(12)) << 32 | u64::from(record.number(8));
        match self.last {
            Some(last) if last != before => {
                Err("a record that does not follow the one before".into())
            }
            _ => Ok(()),
        }
    }

    /// A record has ended before `next`.
    fn end(&mut self, record: Record, next: u64) -> ReadState {
        if crc32c::crc32c_append(record.checksum, &record.header[..CHECKSUM]) != record.number(20) {
            return ReadState::Stopped(record.begins, "a record does not fit its checksum".into());
        }
        self.last = Some(record.begins);
        self.times
            .see(record.kind(), Lsn(record.begins), record.main_data());
        match record.kind() {
            SWITCH => ReadState::Skipping(next.next_multiple_of(self.segment_size)),
            TABLESPACE_MADE => {
                let (oid, path) = record.tablespace();
                self.made.get_or_insert(MadeTablespace {
                    at: Lsn(record.begins),
                    oid,
                    path,
                });
                ReadState::Between
            }
            _ => ReadState::Between,
        }
    }

    /// The header of a page is there, the place of whose last byte is not counted yet.
    fn judge_page(&mut self) {
        let page = self.at - self.at % PAGE;
        let two = |at: usize| u16::from_le_bytes([self.header[at], self.header[at + 1]]);
        let four = |at: usize| u32::from(two(at + 2)) << 16 | u32::from(two(at));
        let address = u64::from(four(12)) << 32 | u64::from(four(8));
        let (flags, left) = (two(2), u64::from(four(16)));
        if page < self.start.saturating_sub(self.start % PAGE) {
            return;
        }
        let (magic, timeline) = (two(0), four(4));
        let is_long = page.is_multiple_of(self.segment_size);
        let fault = if address != page {
            Some("a page of another place")
        } else if *self.magic.get_or_insert(magic) != magic || flags & !FLAGS != 0 {
            Some("a page of another version")
        } else if (flags & LONG != 0) != is_long {
            Some("a page that is not the first of its segment, or should be")
        } else if !(self.reached_timeline..=self.timeline).contains(&timeline) {
            Some("a page of another timeline")
        } else if is_long && u64::from(four(36)) != PAGE {
            Some("it is of a server that was built for pages of another size")
        } else {
            None
        };
        if let Some(fault) = fault {
            let begins = match &self.state {
                ReadState::Within(record) => record.begins,
                _ => page,
            };
            self.state = ReadState::Stopped(begins, fault.into());
            return;
        }
        self.reached_timeline = timeline;
        if let ReadState::Rest(_) = self.state {
            self.state = match flags & CONTINUES != 0 {
                true => ReadState::Rest(left),
                false => ReadState::Between,
            };
            return;
        }
        let ReadState::Within(record) = &self.state else {
            if flags & CONTINUES != 0 && self.last.is_some() {
                self.state =
                    ReadState::Stopped(page, "the rest of a record that never began".into());
            }
            return;
        };
        if flags & GIVEN_UP != 0 {
            self.state = ReadState::Between;
            return;
        }
        let expected = match record.header.len() {
            RECORD => record.left,
            // its length comes first and lies in one page
            count => u64::from(record.number(0)).saturating_sub(count as u64),
        };
        if flags & CONTINUES == 0 || left != expected {
            self.state = ReadState::Stopped(record.begins, "a record that does not go on".into());
        }
    }
}

impl Record {
    fn at(begins: u64) -> Record {
        Record {
            begins,
            header: Vec::with_capacity(RECORD),
            checksum: 0,
            left: 0,
            kept: Vec::new(),
        }
    }

    /// The number at this place of its header, 0 as long as that is not there.
    fn number(&self, at: usize) -> u32 {
        let bytes = self.header.get(at..at + 4);
        let bytes = bytes.and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
        bytes.map_or(0, u32::from_le_bytes)
    }

    /// Its resource manager, and the operation.
    fn kind(&self) -> (u8, u8) {
        (self.header[17], self.header[16] & 0xf0)
    }

    /// Takes some of what follows its header.
    fn take(&mut self, bytes: &[u8]) -> usize {
        let count = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let bytes = &bytes[..count];
        self.checksum = crc32c::crc32c_append(self.checksum, bytes);
        self.left -= count as u64;
        if self.kind() == TABLESPACE_MADE || WalTimes::wants(self.kind()) {
            let room = KEPT.saturating_sub(self.kept.len()).min(count);
            self.kept.extend_from_slice(&bytes[..room]);
        }
        count
    }

    /// Its own data, behind what tells how long it is; of a record without pages, as all that are kept are.
    fn main_data(&self) -> &[u8] {
        /// What comes before data of less than 256 bytes, and of more; what may come before that, and how long each is.
        const SHORT: u8 = 255;
        const LONG: u8 = 254;
        const ORIGIN: u8 = 253;
        const TOP_TRANSACTION: u8 = 252;
        let mut rest = self.kept.as_slice();
        loop {
            let length = match rest.first() {
                Some(&SHORT) => 2,
                Some(&LONG | &TOP_TRANSACTION) => 5,
                Some(&ORIGIN) => 3,
                _ => return &[],
            };
            let is_data = matches!(rest.first(), Some(&SHORT | &LONG));
            rest = rest.get(length..).unwrap_or_default();
            if is_data {
                return rest;
            }
        }
    }

    /// What it says of a tablespace: an OID and a path that ends with a zero.
    fn tablespace(&self) -> (u32, String) {
        let Some((oid, path)) = self.main_data().split_first_chunk::<4>() else {
            return (0, String::new());
        };
        let path = path.split(|byte| *byte == 0).next().unwrap_or_default();
        let path = String::from_utf8_lossy(path).into_owned();
        (u32::from_le_bytes(*oid), path)
    }
}

#[cfg(test)]
mod tests;
