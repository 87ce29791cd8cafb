use super::member::*;
use super::*;
use crate::error::{Error, Kind, Result};
use crate::format::codec::block::Block;
use crate::format::codec::testing::{Failing, Full, Raw, filter, sample};
use crate::format::codec::{Compressor, Decompressor};
use std::io::{self, BufReader, Cursor, Read, Write};

fn compress(plain: &[u8], level: Level, threads: usize) -> Vec<u8> {
    let mut writer = Compressor::new(Vec::new(), Gzip::new(level), threads).unwrap();
    // pieces that never meet the edge of a block
    for piece in plain.chunks(100_003) {
        writer.write_all(piece).unwrap();
    }
    writer.finish().unwrap()
}

fn decompress(packed: impl Read) -> Result<Vec<u8>> {
    let mut plain = Vec::new();
    let mut reader = Decompressor::<_, Gzip>::new(BufReader::new(packed), 2)?;
    match reader.read_to_end(&mut plain) {
        Ok(_) => Ok(plain),
        Err(error) => {
            let again = reader.read(&mut [0; 1]);
            assert!(again.is_err(), "a failed stream must not end well later");
            Err(error.into())
        }
    }
}

#[track_caller]
fn assert_damaged(packed: &[u8], what: &str) {
    let error = decompress(packed).expect_err(what);
    assert_eq!(error.kind(), Kind::Damaged, "{what}: {error:?}");
}

#[test]
fn every_length_around_a_block_comes_back_whole() {
    let plain = sample(5 * BLOCK + 1);
    for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, plain.len()] {
        for threads in [1, 2, 4] {
            let packed = compress(&plain[..length], Level::Adaptive, threads);
            let back = decompress(&packed[..]).unwrap();
            assert!(
                back == plain[..length],
                "{length} bytes with {threads} threads"
            );
        }
    }
}

#[test]
fn gzip_reads_what_we_write() {
    for length in [0, 1, BLOCK, 3 * BLOCK + 17] {
        let plain = sample(length);
        let packed = compress(&plain, Level::Fixed(3), 2);
        assert!(
            filter("gzip", &["-t"], &packed).0,
            "gzip -t refuses {length} bytes"
        );
        assert!(filter("gzip", &["-dc"], &packed) == (true, plain));
    }
}

#[test]
fn nothing_is_one_empty_member_and_a_full_block_has_none_after_it() {
    let empty = compress(b"", Level::Adaptive, 2);
    assert_eq!(length_of_ours(&empty[..HEADER]), Some(empty.len()));
    let full = compress(&sample(BLOCK), Level::Adaptive, 2);
    assert_eq!(length_of_ours(&full[..HEADER]), Some(full.len()));
}

#[test]
fn every_level_reads_back_and_a_higher_one_is_no_larger() {
    let plain = sample(BLOCK + 5);
    let sizes: Vec<usize> = (1..=12)
        .map(|level| {
            let packed = compress(&plain, Level::Fixed(level), 1);
            assert!(decompress(&packed[..]).unwrap() == plain);
            packed.len()
        })
        .collect();
    assert!(sizes[11] < sizes[0], "{sizes:?}");
}

#[test]
fn foreign_streams_of_several_members_are_read() {
    let (first, second) = (sample(300_000), sample(7));
    let mut packed = filter("gzip", &["-c"], &first).1;
    packed.extend(filter("gzip", &["-9", "-c"], &second).1);
    let mut plain = [first.clone(), second].concat();
    assert!(decompress(&packed[..]).unwrap() == plain);

    // ours first, then theirs, then ours again
    let mut mixed = compress(&first, Level::Fixed(1), 2);
    mixed.extend(&packed);
    mixed.extend(compress(b"the end", Level::Fixed(1), 2));
    plain.splice(0..0, first);
    plain.extend(b"the end");
    assert!(decompress(&mixed[..]).unwrap() == plain);
}

#[test]
fn a_foreign_member_that_looks_like_ours_but_is_too_long_is_still_read() {
    let mut packed = compress(&sample(1000), Level::Fixed(1), 1);
    packed[OURS.len()..HEADER].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(decompress(&packed[..]).unwrap() == sample(1000));
}

#[test]
fn bytes_after_the_last_member_are_damage() {
    let plain = sample(1000);
    for packed in [
        compress(&plain, Level::Fixed(3), 2),
        filter("gzip", &["-c"], &plain).1,
    ] {
        for tail in [
            &b"\0"[..],
            &[0; 512],
            b"x",
            &[b'x'; 100],
            b"\x1f\x8b",
            b"PGDMP",
        ] {
            assert_damaged(&[&packed[..], tail].concat(), &format!("tail {tail:?}"));
        }
    }
}

#[test]
fn every_truncation_is_damage_except_between_members() {
    let plain = sample(BLOCK + 100);
    let ours = compress(&plain, Level::Fixed(1), 2);
    let edge = length_of_ours(&ours[..HEADER]).unwrap();
    let theirs = filter("gzip", &["-c"], &plain[..200]).1;
    for cut in (0..40).chain(edge - 40..edge).chain(edge + 1..ours.len()) {
        assert_damaged(&ours[..cut], &format!("ours cut at {cut}"));
    }
    assert_eq!(
        decompress(&ours[..edge + 30]).unwrap_err().to_string(),
        format!("the gzip stream ends inside the member that begins at byte {edge}")
    );
    // the layer above has to notice this one
    assert!(decompress(&ours[..edge]).unwrap() == plain[..BLOCK]);
    for cut in 0..theirs.len() {
        assert_damaged(&theirs[..cut], &format!("theirs cut at {cut}"));
    }
}

#[test]
fn no_flipped_byte_gives_other_bytes() {
    let plain = sample(600);
    for packed in [
        compress(&plain, Level::Fixed(6), 1),
        filter("gzip", &["-nc"], &plain).1,
    ] {
        for at in 0..packed.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut flipped = packed.clone();
                flipped[at] ^= flip;
                // a time stamp or the like may differ, the content may not
                match decompress(&flipped[..]) {
                    Ok(back) => assert!(back == plain, "byte {at} flipped by {flip:#x}"),
                    Err(error) => assert_eq!(error.kind(), Kind::Damaged, "{error:?}"),
                }
            }
        }
    }
}

#[test]
fn blocks_before_the_damage_are_given_and_none_after_it() {
    let plain = sample(4 * BLOCK);
    let mut packed = compress(&plain, Level::Fixed(1), 2);
    let first = length_of_ours(&packed[..HEADER]).unwrap();
    packed[first + 1000] ^= 1;
    let mut reader = Decompressor::<_, Gzip>::new(&packed[..], 2).unwrap();
    let mut back = Vec::new();
    let error = Error::from(reader.read_to_end(&mut back).unwrap_err());
    assert!(back == plain[..BLOCK]);
    assert_eq!(
        error.to_string(),
        format!("the gzip member that begins at byte {first} is damaged")
    );
    assert!(reader.read(&mut [0; 1]).is_err());
}

#[test]
fn a_failure_of_the_reader_below_comes_out_as_it_is() {
    let plain = sample(2 * BLOCK);
    for packed in [
        compress(&plain, Level::Fixed(1), 2),
        filter("gzip", &["-c"], &plain).1,
    ] {
        // before the first byte, in a header, in the data, in a trailer, at the end
        for cut in [0, 5, 19, 50_000, packed.len() - 3, packed.len()] {
            let failing = Failing::new(&packed[..cut]);
            let error = decompress(failing).unwrap_err();
            assert_eq!(error.kind(), Kind::WrongPassword, "cut at {cut}: {error:?}");
            assert_eq!(error.first_hint(), Some("try the previous one"));
        }
    }
    let raw = io::Error::from_raw_os_error(5);
    let mut reader = Decompressor::<_, Gzip>::new(BufReader::new(Raw(Some(raw))), 1).unwrap();
    let error = reader.read(&mut [0; 10]).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(5));
}

#[test]
fn a_writer_that_takes_little_at_a_time_gets_it_all() {
    let plain = sample(BLOCK + 9);
    let full = Full {
        taken: Vec::new(),
        room: usize::MAX,
    };
    let mut writer = Compressor::new(full, Gzip::new(Level::Fixed(1)), 2).unwrap();
    writer.write_all(&plain).unwrap();
    let packed = writer.finish().unwrap().taken;
    assert!(decompress(&packed[..]).unwrap() == plain);
}

#[test]
fn a_failure_of_the_writer_below_comes_out_and_the_stream_never_ends_well() {
    let plain = sample(20 * BLOCK);
    let full = Full {
        taken: Vec::new(),
        room: 1000,
    };
    let mut writer = Compressor::new(full, Gzip::new(Level::Fixed(1)), 2).unwrap();
    let error = Error::from(writer.write_all(&plain).unwrap_err());
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(writer.write(b"more").is_err());
    assert!(writer.flush().is_err());
    assert!(writer.finish().is_err());
}

#[test]
fn a_compressor_that_is_dropped_writes_no_end() {
    let plain = sample(3 * BLOCK + 1);
    let mut packed = Vec::new();
    let mut writer = Compressor::new(&mut packed, Gzip::new(Level::Fixed(1)), 2).unwrap();
    writer.write_all(&plain).unwrap();
    drop(writer);
    if let Ok(back) = decompress(&packed[..]) {
        assert!(back.len() < plain.len());
    }
}

#[test]
fn flushing_sends_on_all_that_was_taken() {
    let mut writer =
        Compressor::new(Cursor::new(Vec::new()), Gzip::new(Level::Fixed(1)), 2).unwrap();
    writer.write_all(b"before").unwrap();
    writer.flush().unwrap();
    writer.write_all(b" and after").unwrap();
    let packed = writer.finish().unwrap().into_inner();
    assert_eq!(decompress(&packed[..]).unwrap(), b"before and after");
}

#[test]
fn a_member_that_claims_4_gib_is_refused_before_allocating() {
    let mut packed = compress(&sample(1000), Level::Fixed(1), 1);
    let length = packed.len() - 4;
    packed[length..].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut block = Block {
        packed,
        ..Block::default()
    };
    let error = unpack(&mut libdeflater::Decompressor::new(), &mut block).unwrap_err();
    assert_eq!(error.kind(), Kind::Damaged);
    assert_eq!(block.plain.capacity(), 0);
}
