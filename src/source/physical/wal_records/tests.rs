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
