//! What the reader says of damaged dumps, and that nothing makes it panic or fill the memory.

use super::{dump, dump_files, read, summary};
use backupkit::error::Kind;
use backupkit::source::logical::archive::{DumpContents, DumpVersion};
use std::ops::Range;

/// Reads `bytes`, which must be found damaged, and says why.
fn damage(bytes: &[u8]) -> String {
    let error = match read(bytes, 4096) {
        Err(error) => error,
        Ok(contents) => panic!("a damaged dump passed: {contents:?}"),
    };
    assert_eq!(error.kind(), Kind::Damaged, "{error}");
    error.to_string()
}

#[test]
fn a_dump_cut_anywhere_is_damaged() {
    for path in dump_files() {
        let bytes = std::fs::read(&path).unwrap();
        if path.ends_with("16-redirected.dump")
            || path.ends_with("17-redirected.dump")
            || path.ends_with("18-redirected.dump")
        {
            continue; // whole at two places: see below
        }
        let step = if bytes.len() > 1000 { 211 } else { 1 };
        for end in (0..bytes.len()).step_by(step).chain([bytes.len() - 1]) {
            damage(&bytes[..end]);
        }
    }
    assert!(damage(b"").contains("it is empty"));
}

#[test]
fn a_dump_with_anything_behind_it_is_damaged() {
    for path in dump_files() {
        for more in [&b"\0"[..], b"\n", b"\x01", b"PGDMP"] {
            let bytes = [&std::fs::read(&path).unwrap(), more].concat();
            let why = damage(&bytes);
            assert!(
                why.contains("follows its last data block"),
                "{path:?}: {why}"
            );
        }
    }
}

#[test]
fn a_copy_of_the_table_of_contents_behind_the_data_passes_only_if_it_is_one() {
    for major in [16, 17, 18] {
        let bytes = dump(&format!("{major}-redirected.dump"));
        let facts = summary(&bytes);
        let tag = b"\0\x08\0\0\0ENCODING\0\x08\0\0\0ENCODING";
        let copy = bytes.windows(tag.len()).rposition(|at| at == tag).unwrap() - 27;
        assert!(copy > bytes.windows(tag.len()).position(|at| at == tag).unwrap());
        assert_eq!(
            summary(&bytes[..copy]),
            facts,
            "the archive is whole without its copy"
        );
        for end in (copy + 1..bytes.len()).step_by(97) {
            assert!(damage(&bytes[..end]).contains("follows its last data block"));
        }
        assert!(damage(&[&bytes[..], b"\0"].concat()).contains("follows its last data block"));
        let mut changed = bytes.clone();
        let owner = bytes
            .windows(15)
            .rposition(|at| at == b"backupkit_owner")
            .unwrap();
        changed[owner] = b'B';
        assert!(damage(&changed).contains("no copy"));
    }
}

/// Where the data blocks of an uncompressed dump lie, found from the first row of its first table.
fn blocks(bytes: &[u8]) -> Vec<Range<usize>> {
    let integer =
        |at: usize| u32::from_le_bytes(bytes[at + 1..at + 5].try_into().unwrap()) as usize;
    let skip_stream = |mut at: usize| {
        while integer(at) > 0 {
            at += 5 + integer(at);
        }
        at + 5
    };
    let first_row = bytes.windows(6).position(|row| row == b"2\ttwo\n").unwrap();
    let (mut at, mut blocks) = (first_row - 11, Vec::new());
    while at < bytes.len() {
        let begin = at;
        at += 6;
        if bytes[begin] == 1 {
            at = skip_stream(at);
        } else {
            while integer(at) > 0 {
                at = skip_stream(at + 5);
            }
            at += 5;
        }
        blocks.push(begin..at);
    }
    blocks
}

#[test]
fn a_lost_a_swapped_and_a_repeated_block_are_named() {
    let bytes = dump("18-plain.dump");
    let blocks = blocks(&bytes);
    let tables = summary(&bytes).tables;
    assert_eq!(
        blocks.len(),
        tables.len() + 3,
        "three entries hold large objects"
    );
    let before = &bytes[..blocks[0].start];
    for lost in 0..blocks.len() {
        let name = match tables.get(lost) {
            Some(data) => format!("the data of table {}", data.table),
            None => "the data of the large objects".to_owned(),
        };
        let with = |order: &[usize]| {
            let mut all = before.to_vec();
            order
                .iter()
                .for_each(|index| all.extend_from_slice(&bytes[blocks[*index].clone()]));
            all
        };
        let mut order: Vec<usize> = (0..blocks.len()).collect();
        assert_eq!(with(&order), bytes);

        order.remove(lost);
        let why = damage(&with(&order));
        assert!(why.contains(&name), "{why}");

        order.insert(lost, lost);
        order.insert(lost, lost);
        let why = damage(&with(&order));
        assert!(
            why.contains("not due") || why.contains("follows its last"),
            "{why}"
        );

        if lost + 1 < blocks.len() {
            order.remove(lost);
            order.swap(lost, lost + 1);
            let why = damage(&with(&order));
            assert!(why.contains(&format!("{name} is missing")), "{why}");
        }
    }
}

#[test]
fn a_lost_row_shows_in_the_facts_of_its_table() {
    let bytes = dump("17-plain.dump");
    let at = bytes.windows(8).position(|row| row == b"event 23").unwrap() - 11 - 5;
    let length = 5 + bytes[at + 1] as usize;
    let without = [&bytes[..at], &bytes[at + length..]].concat();
    let (whole, without) = (summary(&bytes), summary(&without));
    for (one, other) in whole.tables.iter().zip(&without.tables) {
        if one.table.name == "events_old" {
            assert_eq!(other.rows, one.rows - 1);
            assert_eq!(other.bytes, one.bytes - (length as u64 - 5));
            assert_ne!(other.digest, one.digest);
        } else {
            assert_eq!(one, other);
        }
    }
}

#[test]
fn a_flipped_bit_in_compressed_rows_is_damage() {
    let bytes = dump("14-gzip.dump");
    let facts = summary(&bytes);
    // from the first zlib stream (default level: 78 9c) to the end
    let first = bytes.windows(2).position(|two| two == b"\x78\x9c").unwrap();
    let mut same = 0;
    for at in first..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        match read(&flipped, 4096) {
            Err(error) => assert_eq!(error.kind(), Kind::Damaged),
            Ok(DumpContents::Read(contents)) if *contents == facts => same += 1,
            // the OID of a large object is not compressed; the digest covers it
            Ok(contents) => {
                let DumpContents::Read(contents) = contents else {
                    panic!("byte {at}")
                };
                assert_eq!(contents.tables, facts.tables, "byte {at}");
                assert_ne!(contents.large_objects, facts.large_objects, "byte {at}");
            }
        }
    }
    // the last byte of a stream's data has bits that mean nothing
    assert!(
        same <= facts.tables.len() + 4,
        "{same} flips changed nothing"
    );
}

#[test]
fn compressed_rows_without_their_checksum_are_damaged() {
    let mut bytes = dump("15-gzip.dump");
    // the first stream is one piece: its length stands before it, and the last four bytes are the checksum
    let at = bytes.windows(2).position(|two| two == b"\x78\x9c").unwrap();
    let length = usize::from(bytes[at - 4]);
    bytes[at - 4] -= 4;
    bytes.drain(at + length - 4..at + length);
    let why = damage(&bytes);
    assert!(
        why.contains("cut off") && why.contains("table shop.child"),
        "{why}"
    );
}

#[test]
fn a_table_of_contents_that_contradicts_itself_is_damaged() {
    let bytes = dump("18-plain.dump");
    let tag = b"\0\x08\0\0\0ENCODING";
    let first = bytes.windows(tag.len()).position(|at| at == tag).unwrap() - 22;
    let mut with_data = bytes.clone();
    with_data[first + 5 + 1] = 1;
    assert!(damage(&with_data).contains("marked with data"));

    // the second table takes the id of the first, in its entry and in its block
    let (mut twice, blocks) = (bytes.clone(), blocks(&bytes));
    let id = |block: usize| bytes[blocks[block].start + 1..][..5].to_vec();
    let entry = [&id(1)[..], &[0, 1, 0, 0, 0]].concat();
    let entry = bytes
        .windows(entry.len())
        .position(|at| at == entry)
        .unwrap();
    for at in [entry, blocks[1].start + 1] {
        twice[at..at + 5].copy_from_slice(&id(0));
    }
    assert!(damage(&twice).contains("two entries have the id"));
}

#[test]
fn rows_without_their_end_marker_are_damaged() {
    let mut bytes = dump("15-plain.dump");
    let at = bytes
        .windows(5)
        .rposition(|end| end == b"\\.\n\n\n")
        .unwrap();
    bytes[at] = b'x';
    let why = damage(&bytes);
    assert!(
        why.contains("lack their end marker") && why.contains("table"),
        "{why}"
    );
}

#[test]
fn an_unknown_version_passes_unread_and_another_format_does_not() {
    let bytes = dump("18-plain.dump");
    for (major, minor) in [(1, 17), (2, 0), (1, 9)] {
        let mut other = bytes.clone();
        (other[5], other[6]) = (major, minor);
        let version = DumpVersion::new(major, minor);
        for piece in [1, 6, 4096] {
            assert_eq!(
                read(&other, piece).unwrap(),
                DumpContents::Unread { version }
            );
        }
    }
    let with = |at: usize, byte: u8| {
        let mut other = bytes.clone();
        other[at] = byte;
        damage(&other)
    };
    assert!(with(0, b'X').contains("does not begin with PGDMP"));
    assert!(with(8, 8).contains("integers of 8"));
    assert!(with(10, 3).contains("tar"));
    assert!(with(10, 5).contains("directory"));
    assert!(with(11, 9).contains("compression algorithm 9"));
}

#[test]
fn a_damaged_archive_stays_damaged() {
    let mut inspector = backupkit::source::logical::archive::Inspector::new();
    let first = inspector.feed(b"-- plain SQL").unwrap_err();
    let second = inspector.feed(b"PGDMP").unwrap_err();
    assert_eq!(first.to_string(), second.to_string());
    assert_eq!(
        inspector.finish().unwrap_err().to_string(),
        first.to_string()
    );
}

/// A small generator of numbers, so that a failure can be repeated from its seed (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }
}

fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmPeak:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        >> 10
}

#[test]
fn mutated_dumps_neither_panic_nor_take_memory() {
    let dumps: Vec<Vec<u8>> = dump_files()
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    let before = peak_memory();
    for seed in 1..=20_000u64 {
        let mut random = Random(seed);
        let mut bytes = dumps[random.below(dumps.len())].clone();
        // the table of contents comes first and has the most to get wrong
        bytes.truncate(1 + random.below(bytes.len().min(8000)));
        for _ in 0..=random.below(8) {
            let at = random.below(bytes.len());
            match random.below(4) {
                0 => bytes[at] = random.below(256) as u8,
                1 => bytes[at] ^= 1 << random.below(8),
                2 => {
                    let from = random.below(bytes.len());
                    let length = random.below(64).min(bytes.len() - from);
                    let piece = bytes[from..from + length].to_vec();
                    bytes.splice(at..at, piece);
                }
                _ => {
                    let end = (at + 4).min(bytes.len());
                    bytes[at..end].copy_from_slice(&[0xff, 0xff, 0xff, 0x7f][..end - at]);
                }
            }
        }
        let piece = 1 + random.below(5000);
        if let Err(error) = read(&bytes, piece) {
            assert_eq!(error.kind(), Kind::Damaged, "seed {seed}");
        }
    }
    let grown = peak_memory() - before;
    // other tests of this process run beside this one; a length that is believed would be 2 GiB
    assert!(grown < 512, "{grown} MiB more at peak");
}
