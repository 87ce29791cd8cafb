use super::frame::{FrameHeader, MAGIC_LENGTH};
use super::*;
use crate::error::{Error, Kind, Result};
use crate::format::codec::compress::BlockPacking;
use crate::format::codec::decompress::LONGEST;
use crate::format::codec::source::PackedSource;
use crate::format::codec::testing::{Failing, Full, Raw, filter, sample};
use crate::format::codec::{Compressor, Decompressor};
use std::io::{self, BufReader, Cursor, Read, Write};

const BLOCK: usize = Zstd::BLOCK;

fn compress(plain: &[u8], level: u8, threads: usize) -> Vec<u8> {
    let mut writer = Compressor::new(Vec::new(), Zstd::new(level), threads).unwrap();
    // pieces that never meet the edge of a block
    for piece in plain.chunks(100_003) {
        writer.write_all(piece).unwrap();
    }
    writer.finish().unwrap()
}

fn decompress(packed: impl Read) -> Result<Vec<u8>> {
    let mut plain = Vec::new();
    let mut reader = Decompressor::<_, Zstd>::new(BufReader::new(packed), 2)?;
    match reader.read_to_end(&mut plain) {
        Ok(_) => Ok(plain),
        Err(error) => {
            let again = reader.read(&mut [0; 1]);
            assert!(again.is_err(), "a failed stream must not end well later");
            Err(error.into())
        }
    }
}

/// What zstd itself makes of `plain` on its stdin: a frame that does not name its length.
fn theirs(arguments: &[&str], plain: &[u8]) -> Vec<u8> {
    let (is_well, packed) = filter("zstd", &[&["-qc"], arguments].concat(), plain);
    assert!(is_well);
    packed
}

/// A frame with this header behind its magic, and this body.
fn frame(header: &[u8], body: &[u8]) -> Vec<u8> {
    [b"\x28\xb5\x2f\xfd", header, body].concat()
}

fn header_of(packed: &[u8]) -> FrameHeader {
    let mut source = PackedSource::new(packed);
    let mut taken = Vec::new();
    source.fill(&mut taken, MAGIC_LENGTH).unwrap();
    let header = FrameHeader::read(&mut source, &mut taken, 0).unwrap();
    header.unwrap()
}

#[track_caller]
fn assert_damaged(packed: &[u8], what: &str) {
    let error = decompress(packed).expect_err(what);
    assert_eq!(error.kind(), Kind::Damaged, "{what}: {error:?}");
}

#[test]
fn every_length_around_a_block_comes_back_whole() {
    let plain = sample(3 * BLOCK + 1);
    for length in [
        0,
        1,
        255,
        256,
        70_000,
        BLOCK - 1,
        BLOCK,
        BLOCK + 1,
        plain.len(),
    ] {
        for threads in [1, 3] {
            let packed = compress(&plain[..length], 1, threads);
            let back = decompress(&packed[..]).unwrap();
            assert!(back == plain[..length], "{length} with {threads} threads");
        }
    }
}

#[test]
fn zstd_reads_what_we_write_and_each_frame_names_its_length_and_has_a_checksum() {
    for length in [0, 1, BLOCK, 2 * BLOCK + 17] {
        let plain = sample(length);
        let packed = compress(&plain, 3, 2);
        assert!(
            filter("zstd", &["-qt"], &packed).0,
            "zstd -t, {length} bytes"
        );
        assert!(filter("zstd", &["-qdc"], &packed) == (true, plain));
        let named = header_of(&packed).plain;
        assert_eq!(named, Some(length.min(BLOCK) as u64));
        assert_eq!(packed[4] & 4, 4, "the flag of a checksum");
    }
}

#[test]
fn every_level_reads_back_and_a_higher_one_is_no_larger() {
    let plain = sample(300_000);
    let sizes: Vec<usize> = LEVELS
        .map(|level| {
            let packed = compress(&plain, level, 1);
            assert!(decompress(&packed[..]).unwrap() == plain);
            packed.len()
        })
        .collect();
    assert!(sizes[18] < sizes[0], "{sizes:?}");
}

#[test]
fn streams_of_others_are_read_whatever_their_frames_say() {
    let (first, second) = (sample(LONGEST + 300_000), sample(7));
    let unnamed = theirs(&[], &first);
    assert_eq!(header_of(&unnamed).plain, None);
    let long = theirs(&["-1", &format!("--stream-size={}", first.len())], &first);
    assert_eq!(header_of(&long).plain, Some(first.len() as u64));
    let bare = theirs(&["--no-check", "-19"], &second);
    let skippable = b"\x5a\x2a\x4d\x18\x05\0\0\0notes";
    let ours = compress(&first, 1, 2);
    let mixed = [
        &skippable[..],
        &unnamed,
        &ours,
        skippable,
        &bare,
        &long,
        &bare,
        skippable,
    ];
    let plain = [&first[..], &first, &second, &first, &second].concat();
    assert!(decompress(&mixed.concat()[..]).unwrap() == plain);
    assert_damaged(skippable, "nothing but notes");
    // the largest window that is read
    let wide = theirs(&["--long=27"], &first);
    assert_eq!(header_of(&wide).window, WINDOW);
    assert!(decompress(&wide[..]).unwrap() == first);
}

#[test]
fn a_window_beyond_the_limit_is_refused_whatever_the_frame_claims_to_be() {
    let wide = theirs(&["--long=31"], &sample(1000));
    assert_eq!(header_of(&wide).window, 2 << 30);
    // one segment of 1 TiB, and the largest window that there is
    let claims = frame(&[0xe0, 0, 0, 0, 0, 0, 1, 0, 0], b"\x01\0\0");
    let largest = frame(&[0, 0xff], b"\x01\0\0");
    for packed in [wide, claims, largest] {
        let error = decompress(&packed[..]).unwrap_err();
        assert_eq!(error.kind(), Kind::Damaged);
        assert!(error.to_string().contains("MiB of memory"), "{error}");
        assert!(error.first_hint().unwrap().contains("--long=31"));
    }
    // 1 TiB that are not there in a small window
    let claims = frame(&[0xc0, 0, 0, 0, 0, 0, 0, 1, 0, 0], b"\x01\0\0");
    assert_damaged(&claims, "a claim of 1 TiB");
    // 4 MiB of them, within the limit of what is unpacked apart
    let claims = frame(&[0x80, 0, 0, 0, 0x40, 0], b"\x01\0\0");
    assert_damaged(&claims, "a claim of 4 MiB");
}

#[test]
fn what_a_dictionary_is_needed_for_is_refused_by_its_number() {
    let packed = frame(&[0x03, 0x58, 0x39, 0x30, 0, 0], b"\x01\0\0");
    let error = decompress(&packed[..]).unwrap_err();
    assert_eq!(error.kind(), Kind::Failed);
    assert!(error.to_string().contains("dictionary 12345"), "{error}");
}

#[test]
fn a_short_frame_that_expands_ten_thousandfold_is_read_in_bounded_memory() {
    let zeros = vec![0; 64 * 1024 * 1024];
    let packed = theirs(&["-19"], &zeros);
    assert!(packed.len() * 10_000 < zeros.len(), "{}", packed.len());
    assert!(decompress(&packed[..]).unwrap() == zeros);
}

#[test]
fn bytes_after_the_last_frame_are_damage() {
    let plain = sample(1000);
    for packed in [compress(&plain, 3, 2), theirs(&[], &plain)] {
        for tail in [
            &b"\0"[..],
            &[0; 512],
            b"x",
            b"\x28\xb5\x2f\xfd",
            b"\x1f\x8b",
            b"PGDMP",
        ] {
            let packed = [&packed[..], tail].concat();
            assert_damaged(&packed, &format!("tail {tail:?}"));
        }
    }
}

#[test]
fn every_truncation_is_damage_except_between_frames() {
    let plain = sample(BLOCK + 100);
    let ours = compress(&plain, 1, 2);
    let edge = ours.len() - compress(&plain[BLOCK..], 1, 1).len();
    let theirs = theirs(&[], &plain[..200]);
    for cut in (0..40).chain(edge - 40..edge).chain(edge + 1..ours.len()) {
        assert_damaged(&ours[..cut], &format!("ours cut at {cut}"));
    }
    assert_eq!(
        decompress(&ours[..edge + 30]).unwrap_err().to_string(),
        format!("the zstd stream ends inside the frame that begins at byte {edge}")
    );
    // the layer above has to notice this one
    assert!(decompress(&ours[..edge]).unwrap() == plain[..BLOCK]);
    for cut in 0..theirs.len() {
        assert_damaged(&theirs[..cut], &format!("theirs cut at {cut}"));
    }
    let skippable = b"\x5a\x2a\x4d\x18\x05\0\0\0notes";
    for cut in 1..skippable.len() {
        assert_damaged(&skippable[..cut], &format!("notes cut at {cut}"));
    }
}

#[test]
fn no_flipped_byte_gives_other_bytes() {
    let plain = sample(600);
    for packed in [compress(&plain, 6, 1), theirs(&[], &plain)] {
        for at in 0..packed.len() {
            for flip in [0x01, 0x10, 0x80, 0xff] {
                let mut flipped = packed.clone();
                flipped[at] ^= flip;
                // the window may differ, the content may not; a frame may become one of notes, or want a dictionary
                match decompress(&flipped[..]) {
                    Ok(back) => assert!(back == plain, "byte {at} flipped by {flip:#x}"),
                    Err(error) if at == MAGIC_LENGTH => {
                        assert!([Kind::Damaged, Kind::Failed].contains(&error.kind()));
                    }
                    Err(error) => assert_eq!(error.kind(), Kind::Damaged, "{error:?}"),
                }
            }
        }
    }
}

#[test]
fn blocks_before_the_damage_are_given_and_none_after_it() {
    let plain = sample(3 * BLOCK);
    let first = compress(&plain[..BLOCK], 1, 1).len();
    let mut packed = compress(&plain, 1, 2);
    packed[first + 1000] ^= 1;
    let mut reader = Decompressor::<_, Zstd>::new(&packed[..], 2).unwrap();
    let mut back = Vec::new();
    let error = Error::from(reader.read_to_end(&mut back).unwrap_err());
    assert!(back == plain[..BLOCK]);
    assert_eq!(
        error.to_string(),
        format!("the zstd frame that begins at byte {first} is damaged")
    );
    assert!(reader.read(&mut [0; 1]).is_err());
}

#[test]
fn a_failure_of_the_reader_below_comes_out_as_it_is() {
    let plain = sample(BLOCK);
    for packed in [compress(&plain, 1, 2), theirs(&[], &plain)] {
        // before the first byte, in a magic, in a header, in the data, in a checksum, at the end
        for cut in [0, 3, 5, 50_000, packed.len() - 3, packed.len()] {
            let error = decompress(Failing::new(&packed[..cut])).unwrap_err();
            assert_eq!(error.kind(), Kind::WrongPassword, "cut at {cut}: {error:?}");
            assert_eq!(error.first_hint(), Some("try the previous one"));
        }
    }
    let raw = io::Error::from_raw_os_error(5);
    let mut reader = Decompressor::<_, Zstd>::new(BufReader::new(Raw(Some(raw))), 1).unwrap();
    let error = reader.read(&mut [0; 10]).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(5));
}

#[test]
fn a_failure_of_the_writer_below_comes_out_and_the_stream_never_ends_well() {
    let full = Full {
        taken: Vec::new(),
        room: 1000,
    };
    let mut writer = Compressor::new(full, Zstd::new(1), 2).unwrap();
    let error = Error::from(writer.write_all(&sample(20 * BLOCK)).unwrap_err());
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(writer.flush().is_err());
    assert!(writer.finish().is_err());
}

#[test]
fn flushing_sends_on_all_that_was_taken() {
    let mut writer = Compressor::new(Cursor::new(Vec::new()), Zstd::new(1), 2).unwrap();
    writer.write_all(b"before").unwrap();
    writer.flush().unwrap();
    writer.write_all(b" and after").unwrap();
    let packed = writer.finish().unwrap().into_inner();
    assert_eq!(decompress(&packed[..]).unwrap(), b"before and after");
}
