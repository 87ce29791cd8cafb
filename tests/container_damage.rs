//! Every way to damage a sealed archive that we could think of: it is always noticed, and what was released
//! until then is the beginning of the plaintext and nothing else.

mod container;

use backupkit::error::{Error, Kind};
use backupkit::format::seal::{Derivations, Expect, Keys, Opener, Sealer, open_bytes, seal_bytes};
use backupkit::text::escape::printable;
use container::{keys, keys_of, plain, read, vectors};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read, Write};

const LABEL: &str = "app_db/20261120_020000.123456789Z";
const HEADER: usize = 171 + LABEL.len();
const FRAME: usize = 65_536 + 16;

/// An archive, its plaintext, and the keys that open it; all of it costs one derivation.
struct Archive {
    plain: Vec<u8>,
    sealed: Vec<u8>,
    keys: Keys,
}

impl Archive {
    fn new(length: usize) -> Archive {
        let keys = keys(&Derivations::new());
        let plain = plain(length);
        let sealed = seal_bytes(&plain, &keys, LABEL).unwrap();
        Archive {
            plain,
            sealed,
            keys,
        }
    }

    /// The frames without the header.
    fn frames(&self) -> Vec<&[u8]> {
        self.sealed[HEADER..].chunks(FRAME).collect()
    }

    /// The header, then these frames.
    fn of(&self, frames: &[&[u8]]) -> Vec<u8> {
        [&[&self.sealed[..HEADER]], frames].concat().concat()
    }

    fn assert_noticed(&self, damaged: &[u8], what: &str) {
        let (released, result) = read(damaged, &self.keys);
        assert!(
            self.plain.starts_with(&released),
            "{what}: released bytes that are not the plaintext's"
        );
        match result {
            Ok(()) => panic!("{what}: nothing was noticed"),
            Err(error) => assert!(
                matches!(error.kind(), Kind::Damaged | Kind::WrongPassword),
                "{what}: {error:?}"
            ),
        }
    }

    fn assert_flips_noticed(&self, places: impl IntoIterator<Item = usize>) {
        let mut damaged = self.sealed.clone();
        for place in places {
            for mask in [0x01, 0x80, 0xff] {
                damaged[place] ^= mask;
                self.assert_noticed(&damaged, &format!("byte {place} ^ {mask:#x}"));
                damaged[place] ^= mask;
            }
        }
    }

    /// The places around which frames begin and end.
    fn edges(&self) -> BTreeSet<usize> {
        (HEADER..self.sealed.len())
            .step_by(FRAME)
            .chain([self.sealed.len()])
            .flat_map(|edge| edge.saturating_sub(18)..=edge + 2)
            .filter(|&place| place < self.sealed.len())
            .collect()
    }
}

#[test]
fn any_flipped_byte_of_a_small_archive_is_noticed() {
    let archive = Archive::new(1500);
    archive.assert_flips_noticed(0..archive.sealed.len());
}

#[test]
fn a_damaged_header_is_never_called_a_wrong_password() {
    let derivations = Derivations::new();
    let keys = keys(&derivations);
    let sealed = seal_bytes(b"rows", &keys, LABEL).unwrap();
    for place in 8..HEADER {
        let mut damaged = sealed.clone();
        damaged[place] ^= 1;
        let error = read(&damaged, &keys).1.unwrap_err();
        assert_eq!(error.kind(), Kind::Damaged, "byte {place}: {error:?}");
        assert!(
            error.to_string().contains("header is damaged"),
            "byte {place}: {error:?}"
        );
    }
    assert_eq!(
        derivations.count(),
        1,
        "a damaged header costs no derivation"
    );
}

#[test]
fn any_cut_of_a_small_archive_is_noticed() {
    for length in [0, 1, 1500] {
        let archive = Archive::new(length);
        for end in 0..archive.sealed.len() {
            archive.assert_noticed(
                &archive.sealed[..end],
                &format!("{length} bytes cut at {end}"),
            );
        }
    }
}

#[test]
fn a_flipped_byte_of_a_large_archive_is_noticed() {
    let archive = Archive::new(140 * 1024);
    archive.assert_flips_noticed(0..HEADER);
    archive.assert_flips_noticed(archive.edges());
    archive.assert_flips_noticed((HEADER..archive.sealed.len()).step_by(6007));
}

#[test]
fn a_cut_of_a_large_archive_is_noticed() {
    for length in [140 * 1024, 131_072] {
        let archive = Archive::new(length);
        for end in archive.edges() {
            archive.assert_noticed(
                &archive.sealed[..end],
                &format!("{length} bytes cut at {end}"),
            );
        }
    }
}

#[test]
fn frames_can_be_neither_swapped_nor_repeated_nor_left_out() {
    // the last frame as long as the others, so that nothing but its nonce tells it from them
    for length in [140 * 1024, 3 * 65_536] {
        let archive = Archive::new(length);
        let [a, b, c] = archive.frames()[..] else {
            panic!("three frames were wanted");
        };
        let all = [a, b, c];
        assert_eq!(archive.of(&all), archive.sealed);
        let mut orders = BTreeSet::from([vec![]]);
        for _ in 0..4 {
            let longer = orders
                .iter()
                .flat_map(|order| (0..3).map(|frame| [&order[..], &[frame]].concat()));
            orders = orders.iter().cloned().chain(longer).collect();
        }
        assert!(orders.remove(&vec![0, 1, 2]));
        for order in orders {
            let frames: Vec<&[u8]> = order.iter().map(|&frame| all[frame]).collect();
            archive.assert_noticed(&archive.of(&frames), &format!("frames {order:?}"));
        }
    }
}

#[test]
fn appended_bytes_are_noticed() {
    for length in [0, 1500, 65_535, 65_536, 140 * 1024] {
        let archive = Archive::new(length);
        for extra in [1, 15, 16, 17, FRAME - 1, FRAME, FRAME + 1] {
            let damaged = [&archive.sealed[..], &vec![0; extra]].concat();
            archive.assert_noticed(&damaged, &format!("{length} bytes and {extra} more"));
        }
        let twice = [&archive.sealed[..], &archive.sealed[..]].concat();
        archive.assert_noticed(&twice, &format!("{length} bytes twice"));
    }
}

#[test]
fn frames_of_another_archive_are_noticed() {
    let archive = Archive::new(140 * 1024);
    let other = seal_bytes(&archive.plain, &archive.keys, LABEL).unwrap();
    assert_ne!(
        archive.sealed[HEADER..],
        other[HEADER..],
        "a new container has a new key"
    );
    for frame in 0..3 {
        let range = HEADER + frame * FRAME..archive.sealed.len().min(HEADER + (frame + 1) * FRAME);
        let mut mixed = archive.sealed.clone();
        mixed[range.clone()].copy_from_slice(&other[range]);
        archive.assert_noticed(&mixed, &format!("frame {frame} of another archive"));
    }
    let mixed = [&archive.sealed[..HEADER], &other[HEADER..]].concat();
    archive.assert_noticed(&mixed, "the header of another archive");
}

#[test]
fn a_changed_header_with_a_right_checksum_is_noticed() {
    let archive = Archive::new(1500);
    let end = HEADER - 48;
    // not the kdf salt and the cost: each would cost a derivation of its own
    let costly = 44 + LABEL.len() + 3..44 + LABEL.len() + 3 + 28;
    for place in (8..end).filter(|place| !costly.contains(place)) {
        let mut damaged = archive.sealed.clone();
        damaged[place] ^= 1;
        let checksum = Sha256::digest(&damaged[..end]);
        damaged[end..end + 16].copy_from_slice(&checksum[..16]);
        archive.assert_noticed(&damaged, &format!("byte {place} with a new checksum"));
    }
}

#[test]
fn damage_to_an_archive_of_the_old_kind_is_noticed() {
    let archive = Archive {
        plain: plain(5000),
        sealed: fs::read(vectors().join("v1-small-frames.enc")).unwrap(),
        keys: keys(&Derivations::new()),
    };
    assert!(read(&archive.sealed, &archive.keys).1.is_ok());
    let length = archive.sealed.len();
    archive.assert_flips_noticed(
        (0..100)
            .chain((100..length).step_by(37))
            .chain(length - 30..length),
    );
    for end in (0..100)
        .chain((100..length).step_by(13))
        .chain(length - 30..length)
    {
        archive.assert_noticed(&archive.sealed[..end], &format!("cut at {end}"));
    }
}

#[test]
fn what_was_sealed_is_read_back_whatever_its_length() {
    let keys = keys(&Derivations::new());
    for length in [
        0, 1, 65_535, 65_536, 65_537, 131_071, 131_072, 131_073, 200_000,
    ] {
        let plain = plain(length);
        for chunk in [1000, 65_536, 100_000] {
            let mut sealer = Sealer::new(Vec::new(), &keys, LABEL).unwrap();
            for part in plain.chunks(chunk) {
                sealer.write_all(part).unwrap();
                assert_eq!(sealer.write(&[]).unwrap(), 0);
            }
            let sealed = sealer.finish().unwrap();
            let frames = length.div_ceil(65_536).max(1);
            assert_eq!(sealed.len(), HEADER + length + 16 * frames, "{length}");
            let mut opener = Opener::open(Trickle(&sealed), &keys, Expect::Label(LABEL)).unwrap();
            assert_eq!(opener.label(), Some(LABEL));
            let mut read = Vec::new();
            opener.read_to_end(&mut read).unwrap();
            assert!(read == plain, "{length}");
            assert_eq!(opener.read(&mut [0]).unwrap(), 0, "the end stays the end");
        }
    }
}

/// A reader that gives a little at a time, as a network does.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(4093);
        self.0.read(&mut buffer[..count])
    }
}

#[test]
fn an_unfinished_archive_does_not_open() {
    let keys = keys(&Derivations::new());
    for length in [0, 1000, 65_536, 70_000] {
        let mut file = Vec::new();
        let mut sealer = Sealer::new(&mut file, &keys, LABEL).unwrap();
        sealer.write_all(&plain(length)).unwrap();
        sealer.flush().unwrap();
        drop(sealer);
        let (_, result) = read(&file, &keys);
        assert_eq!(result.unwrap_err().kind(), Kind::Damaged, "{length}");
    }
}

#[test]
fn after_a_failure_nothing_more_is_read_or_written() {
    let archive = Archive::new(140 * 1024);
    let mut damaged = archive.sealed.clone();
    damaged[HEADER + FRAME + 5] ^= 1;
    let mut opener = Opener::open(&damaged[..], &archive.keys, Expect::Any).unwrap();
    let mut released = Vec::new();
    assert!(opener.read_to_end(&mut released).is_err());
    assert_eq!(released.len(), 65_536);
    let again = Error::from(opener.read(&mut [0; 10]).unwrap_err());
    assert_eq!(again.kind(), Kind::Damaged);

    /// Takes the header, fails once, and would take all that follows.
    struct FailsOnce(u32);
    impl Write for FailsOnce {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += 1;
            match self.0 {
                2 => Err(io::ErrorKind::StorageFull.into()),
                _ => Ok(bytes.len()),
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut sealer = Sealer::new(FailsOnce(0), &archive.keys, LABEL).unwrap();
    assert!(sealer.write_all(&archive.plain).is_err());
    assert!(sealer.write_all(&archive.plain).is_err());
    assert!(sealer.finish().is_err());
}

#[test]
fn an_archive_under_another_name_is_refused_and_both_are_named() {
    let archive = Archive::new(100);
    let error =
        open_bytes(&archive.sealed, &archive.keys, Expect::Label("other/2026")).unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    let text = error.report();
    assert!(
        text.contains(LABEL) && text.contains("other/2026") && text.contains("--force"),
        "{text}"
    );
    let opened = open_bytes(&archive.sealed, &archive.keys, Expect::Any).unwrap();
    assert_eq!(opened, archive.plain);

    let hostile = "app\u{1b}[2J\n\u{202e}x/é";
    let sealed = seal_bytes(b"x", &archive.keys, hostile).unwrap();
    let text = open_bytes(&sealed, &archive.keys, Expect::Label(LABEL))
        .unwrap_err()
        .report();
    assert!(text.contains(&printable(hostile)), "{text}");
    assert_eq!(printable(hostile), "app\\u{1b}[2J\\n\\u{202e}x/é");
}

#[test]
fn a_changed_password_still_opens_what_the_previous_one_sealed() {
    let derivations = Derivations::new();
    let sealed = seal_bytes(b"rows", &keys_of(&["first"], &derivations), LABEL).unwrap();
    let changed = keys_of(&["second", "first"], &derivations);
    assert_eq!(open_bytes(&sealed, &changed, Expect::Any).unwrap(), b"rows");
    let sealed = seal_bytes(b"rows", &changed, LABEL).unwrap();
    let wrong = open_bytes(&sealed, &keys_of(&["first"], &derivations), Expect::Any).unwrap_err();
    assert_eq!(wrong.kind(), Kind::WrongPassword);
    assert_eq!(derivations.count(), 2, "one for each password");
}

#[test]
fn without_a_password_the_configuration_is_to_blame() {
    let derivations = Derivations::new();
    let none = keys_of(&[], &derivations);
    let sealed = Archive::new(1).sealed;
    for error in [
        open_bytes(&sealed, &none, Expect::Any).unwrap_err(),
        seal_bytes(b"", &none, LABEL).unwrap_err(),
    ] {
        assert_eq!(error.kind(), Kind::Usage);
        assert!(error.first_hint().unwrap().contains("encryption.password"));
    }
}

#[test]
fn a_label_that_is_too_long_is_refused() {
    let keys = keys(&Derivations::new());
    assert!(seal_bytes(b"", &keys, &"x".repeat(1024)).is_ok());
    assert_eq!(
        seal_bytes(b"", &keys, &"x".repeat(1025))
            .unwrap_err()
            .kind(),
        Kind::Usage
    );
}
