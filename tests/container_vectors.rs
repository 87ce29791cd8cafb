//! Reads every container of an independent implementation as the table beside them says.

mod container;

use backupkit::error::Kind;
use backupkit::format::seal::{
    ContainerVersion, Derivations, EpochKey, Expect, Opener, seal_bytes,
};
use container::{keys, keys_of, plain, read, vectors};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

struct Row {
    file: String,
    expect: String,
    bytes: String,
    sha256: String,
}

/// The rows of the table in the vectors' README.
fn table() -> Vec<Row> {
    fs::read_to_string(vectors().join("README.md"))
        .unwrap()
        .lines()
        .filter_map(|line| {
            let cells: Vec<String> = line
                .strip_prefix('|')?
                .split('|')
                .map(|cell| cell.trim().to_owned())
                .collect();
            cells[0].ends_with(".enc").then(|| Row {
                file: cells[0].clone(),
                expect: cells[1].clone(),
                bytes: cells[2].clone(),
                sha256: cells[3].clone(),
            })
        })
        .collect()
}

#[test]
fn every_vector_reads_as_its_table_says() {
    let derivations = Derivations::new();
    let keys = keys(&derivations);
    for row in table() {
        let file = &row.file;
        let sealed = fs::read(vectors().join(file)).unwrap();
        let before = derivations.count();
        let (released, result) = read(&sealed, &keys);
        assert!(
            plain(released.len()) == released,
            "{file} released bytes that are not the plaintext's"
        );
        let expected = match row.expect.as_str() {
            "ok" => {
                result.unwrap_or_else(|error| panic!("{file}: {error:?}"));
                assert_eq!(released.len().to_string(), row.bytes, "{file}");
                let digest: String = Sha256::digest(&released)
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect();
                assert_eq!(digest, row.sha256, "{file}");
                continue;
            }
            "wrong password" => Kind::WrongPassword,
            "damaged" => Kind::Damaged,
            "refused" => {
                assert_eq!(derivations.count(), before, "{file} cost a derivation");
                assert!(released.is_empty(), "{file}");
                Kind::Damaged
            }
            other => panic!("{file}: what is {other:?}?"),
        };
        match result {
            Ok(()) => panic!("{file} was read to its end"),
            Err(error) => assert_eq!(error.kind(), expected, "{file}: {error:?}"),
        }
        assert!(
            file.starts_with("v1") || released.len() % 65_536 == 0,
            "{file} released a part of a frame"
        );
    }
}

#[test]
fn the_table_names_every_vector() {
    let named: BTreeSet<String> = table().into_iter().map(|row| row.file).collect();
    let present: BTreeSet<String> = fs::read_dir(vectors())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".enc"))
        .collect();
    assert_eq!(named, present);
    assert!(named.len() > 40);
}

#[test]
fn a_refusal_says_what_is_wrong() {
    let derivations = Derivations::new();
    let keys = keys(&derivations);
    for (file, words) in [
        ("v2-cipher-7.enc", "needs a newer backupkit"),
        ("v2-argon2-m-2GiB.enc", "outside the limits"),
        (
            "v2-only-unknown-slot.enc",
            "no slot of a kind we hold a key for",
        ),
        ("v2-not-our-password.enc", "wrong password"),
        ("v2-cut-in-header.enc", "header is damaged"),
        ("v2-mixed-kinds.enc", "mixes"),
        ("v2-frames-swap.enc", "damaged at byte 204"),
        ("v2-trailing-byte.enc", "at byte 196860"),
    ] {
        let sealed = fs::read(vectors().join(file)).unwrap();
        let text = read(&sealed, &keys).1.unwrap_err().report();
        assert!(text.contains(words), "{file}: {text}");
    }
}

#[test]
fn the_old_container_is_named_and_opens_with_any_of_the_passwords() {
    let derivations = Derivations::new();
    let old = fs::read(vectors().join("v1-100000.enc")).unwrap();
    let passwords = keys_of(&["new", "newer", "correct horse"], &derivations);
    let opener = Opener::open(&old[..], &passwords, Expect::Label("any")).unwrap();
    assert_eq!(opener.version(), ContainerVersion::V1);
    assert_eq!(opener.version().to_string(), "BKENC001");
    assert_eq!(opener.label(), None);
    let (released, result) = read(&old, &passwords);
    assert!(result.is_ok() && released == plain(100_000));
    let wrong = read(&old, &keys_of(&["new"], &derivations)).1;
    assert_eq!(wrong.unwrap_err().kind(), Kind::WrongPassword);
}

#[test]
fn what_is_sealed_under_an_epoch_key_opens_with_that_key_alone() {
    let text = "922da0f4c79b9e91bda080da1f19d1671517cd6419f54cb10bf14e5e8c5895fd";
    let byte = |at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap();
    let epoch = EpochKey::of(std::array::from_fn::<u8, 32, _>(byte).into());
    let derivations = Derivations::new();
    let with = keys(&derivations).sealing_under(epoch.clone());
    let found = epoch.clone();
    let finding = keys(&derivations).finding_epochs(Arc::new(move |id| {
        Ok((id == found.id()).then(|| found.clone()))
    }));
    let folder = vectors().with_file_name("epoch_vectors");
    let sealed = |file: &str| fs::read(folder.join(file)).unwrap();
    for keys in [&with, &finding] {
        let (released, result) = read(&sealed("epoch-one.enc"), keys);
        assert!(result.is_ok() && released == plain(100_000));
        for (file, kind) in [
            ("epoch-other-id.enc", Kind::WrongPassword),
            ("epoch-id-of-ours-key-of-another.enc", Kind::WrongPassword),
            ("epoch-mixed-with-x25519.enc", Kind::Damaged),
        ] {
            let (released, result) = read(&sealed(file), keys);
            assert!(released.is_empty(), "{file}");
            assert_eq!(result.unwrap_err().kind(), kind, "{file}");
        }
    }
    let (_, without) = read(&sealed("epoch-one.enc"), &keys(&derivations));
    assert_eq!(without.unwrap_err().kind(), Kind::WrongPassword);
    assert_eq!(derivations.count(), 0, "nothing is derived from a password");

    let again = seal_bytes(&plain(70_000), &with, "main/7/wal/x").unwrap();
    let (released, result) = read(&again, &finding);
    assert!(result.is_ok() && released == plain(70_000));
}
