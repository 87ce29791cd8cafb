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
/// So much of such a record is kept: an OID and a path.
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
}

#[derive(Debug)]
enum ReadState {
    /// A record begins at the next aligned place.
    Between,
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
        }
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
            ReadState::Between | ReadState::Within(_) => {}
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
        if self.kind() == TABLESPACE_MADE {
            let room = KEPT.saturating_sub(self.kept.len()).min(count);
            self.kept.extend_from_slice(&bytes[..room]);
        }
        count
    }

    /// What it says of a tablespace: an OID and a path that ends with a zero, behind what tells how long they are.
    fn tablespace(&self) -> (u32, String) {
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
                _ => return (0, String::new()),
            };
            let is_data = matches!(rest.first(), Some(&SHORT | &LONG));
            rest = rest.get(length..).unwrap_or_default();
            if is_data {
                break;
            }
        }
        let Some((oid, path)) = rest.split_first_chunk::<4>() else {
            return (0, String::new());
        };
        let path = path.split(|byte| *byte == 0).next().unwrap_or_default();
        let path = String::from_utf8_lossy(path).into_owned();
        (u32::from_le_bytes(*oid), path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: u64 = 1 << 20;
    const MAGIC: u16 = 0xd116;
    const TIMELINE: u32 = 3;
    /// The first record begins in the third page.
    const START: Lsn = Lsn(5 * SEGMENT + 2 * PAGE + 32);

    /// Writes WAL as a server does.
    struct Writer {
        bytes: Vec<u8>,
        last: u64,
    }

    impl Writer {
        fn new() -> Writer {
            let mut writer = Writer {
                bytes: Vec::new(),
                last: 7,
            };
            while writer.at() < START.0 {
                writer.put(&[1], 0);
            }
            writer
        }

        fn at(&self) -> u64 {
            5 * SEGMENT + self.bytes.len() as u64
        }

        /// Adds bytes of a record, and the headers of pages where they are due.
        fn put(&mut self, mut bytes: &[u8], mut flags: u16) {
            while !bytes.is_empty() {
                let at = self.at();
                if at.is_multiple_of(PAGE) {
                    let size = if at.is_multiple_of(SEGMENT) { 40 } else { 24 };
                    let mut header = vec![0; size];
                    let long = if size == 40 { LONG } else { 0 };
                    header[..2].copy_from_slice(&MAGIC.to_le_bytes());
                    header[2..4].copy_from_slice(&(flags | long).to_le_bytes());
                    header[4] = TIMELINE as u8;
                    if size == 40 {
                        header[36..40].copy_from_slice(&(PAGE as u32).to_le_bytes());
                    }
                    header[8..16].copy_from_slice(&at.to_le_bytes());
                    header[16..20].copy_from_slice(&(bytes.len() as u32).to_le_bytes());
                    self.bytes.extend(header);
                }
                let room = (PAGE - self.at() % PAGE) as usize;
                let (now, later) = bytes.split_at(room.min(bytes.len()));
                self.bytes.extend_from_slice(now);
                bytes = later;
                if flags == 0 && !bytes.is_empty() {
                    flags = CONTINUES;
                }
            }
        }

        fn align(&mut self) {
            while !self.at().is_multiple_of(ALIGNMENT) {
                self.bytes.push(0);
            }
        }

        /// Where the next record begins, which may be behind the header of a page.
        fn next(&mut self) -> u64 {
            self.align();
            match self.at() {
                at if at.is_multiple_of(SEGMENT) => at + 40,
                at if at.is_multiple_of(PAGE) => at + 24,
                at => at,
            }
        }

        fn record(&mut self, kind: (u8, u8), data: &[u8]) -> u64 {
            let begins = self.next();
            let mut record = ((RECORD + data.len()) as u32).to_le_bytes().to_vec();
            record.extend([0; 4]);
            record.extend(self.last.to_le_bytes());
            record.extend([kind.1, kind.0, 0, 0]);
            let checksum = crc32c::crc32c_append(crc32c::crc32c(data), &record);
            record.extend(checksum.to_le_bytes());
            record.extend(data);
            self.put(&record, 0);
            self.last = begins;
            begins
        }
    }

    fn read(bytes: &[u8], piece: usize) -> WalRecords {
        let mut records = WalRecords::new(START, SEGMENT, TIMELINE);
        bytes.chunks(piece).for_each(|bytes| records.feed(bytes));
        records
    }

    /// Records of many lengths, over the ends of pages and of a segment, with a switch to the next segment and a tablespace in them.
    fn written() -> (Vec<u8>, Lsn, MadeTablespace) {
        let mut writer = Writer::new();
        for length in (0..700).chain([20_000, 3, 8144, 8120]) {
            writer.record((10, 0x10), &vec![length as u8; length]);
        }
        let mut data = vec![SHORT, 10];
        data.extend(16_400u32.to_le_bytes());
        data.extend(b"/new\0");
        let at = writer.record(TABLESPACE_MADE, &data);
        let made = MadeTablespace {
            at: Lsn(at),
            oid: 16_400,
            path: "/new".into(),
        };
        writer.record(SWITCH, &[]);
        let end = writer.at().next_multiple_of(SEGMENT);
        // nothing is read of it
        writer.bytes.resize((end - 5 * SEGMENT) as usize, 3);
        writer.record((1, 0), &[9; 1000]);
        writer.align();
        let stop = writer.at();
        writer.record((1, 0), &[9; 100]);
        (writer.bytes, Lsn(stop), made)
    }
    const SHORT: u8 = 255;

    #[test]
    fn every_record_is_read_however_it_comes() {
        let (mut bytes, stop, made) = written();
        for piece in [1, 7, 8192, 100_000, bytes.len()] {
            let records = read(&bytes, piece);
            let found = records.up_to(stop).unwrap();
            assert_eq!(found, Some(&made));
        }
        // the next one is cut off, and what follows are zeros
        let end = (stop.0 - 5 * SEGMENT) as usize + 30;
        bytes.truncate(end);
        bytes.resize((2 * SEGMENT) as usize, 0);
        let records = read(&bytes, 5000);
        assert_eq!(records.up_to(stop).unwrap(), Some(&made));
        assert!(records.up_to(Lsn(stop.0 + 8)).is_err());
    }

    #[test]
    fn what_was_damaged_is_found_before_the_end_and_nowhere_else() {
        let (bytes, stop, made) = written();
        let first = (START.0 - 5 * SEGMENT) as usize;
        let end = (made.at.0 - 5 * SEGMENT) as usize;
        for at in (first..end).step_by(997) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x20;
            let records = read(&damaged, 100_000);
            let found = records.up_to(stop);
            // padding, the transaction's number in the header of a page and the like are of no record
            let is_checked = damaged[at] != 0x20 || at % 8192 > 24;
            assert!(found.is_err() || !is_checked || bytes[at] == 0, "{at}");
            assert!(read(&damaged, 100_000).up_to(START).is_ok());
        }
        assert!(read(&bytes[..end], 4096).up_to(stop).is_err());
    }

    #[test]
    fn a_record_that_a_crash_cut_off_is_passed_over() {
        let mut writer = Writer::new();
        writer.record((10, 0), &[1; 100]);
        let last = writer.last;
        writer.record((10, 0), &[1; 9000]);
        let page = (writer.at() - writer.at() % PAGE - 5 * SEGMENT) as usize;
        writer.bytes.truncate(page);
        writer.last = last;
        // the record that says so is the first of the page
        let mut header = vec![0; 24];
        header[..2].copy_from_slice(&MAGIC.to_le_bytes());
        header[2..4].copy_from_slice(&GIVEN_UP.to_le_bytes());
        header[4] = TIMELINE as u8;
        let at = writer.at();
        header[8..16].copy_from_slice(&at.to_le_bytes());
        writer.bytes.extend(header);
        writer.record((0, 0xd0), &[0; 16]);
        writer.align();
        let stop = Lsn(writer.at());
        assert_eq!(read(&writer.bytes, 333).up_to(stop).unwrap(), None);
    }
}
