//! What the bytes of a backup have to be.

use super::{House, PLAIN, SEALED, path, says};
use crate::support::archive::{gzip, seal, zstd};
use crate::support::entry::Entry;
use crate::support::postgres::Database;
use crate::support::sandbox::{ENCRYPTION_PASSWORD, Shape};
use std::fs;

#[test]
fn plain_bytes_under_an_encrypted_name_are_damage() {
    let house = House::new(PLAIN);
    let plain = house.sandbox.back_up("source").bytes();
    for (name, bytes) in [("dump.enc", plain.clone()), ("dump.gz.enc", gzip(&plain))] {
        let key = format!("source/20990101_000000.000000000Z.{name}");
        house.sandbox.store(&key, &bytes);
        house.refuses(&key, &["--force"], 13, &["header mismatch"]);
    }
}

#[test]
fn a_name_that_differs_from_the_bytes_warns_and_with_strict_sniff_fails() {
    let house = House::new(PLAIN);
    let plain = house.sandbox.back_up("source").bytes();
    for (name, bytes) in [
        ("dump.gz", plain.clone()),
        ("dump", gzip(&plain)),
        ("dump.zst", gzip(&plain)),
        ("dump.gz", zstd(&plain)),
    ] {
        let key = format!("source/20990101_000000.000000000Z.{name}");
        let stored = house.sandbox.store(&key, &bytes);
        house.refuses(
            &key,
            &["--force", "--strict-sniff"],
            15,
            &["header mismatch: the name says"],
        );
        house
            .sandbox
            .run(&["cat", "--strict-sniff", &key])
            .exits(15);
        let restored = house.restore(&key, &["--force", "--clean"]).exits(0);
        says(
            &restored,
            &["warning: header mismatch", "going by the bytes"],
        );
        house.target.sql("DROP TABLE word, nothing");
        fs::remove_file(stored.path).expect("it is there");
    }
    // the right name in a configuration that writes another shape
    let archive = house.sandbox.back_up("source");
    house.configure(Shape::new(true, false), "", "lock_timeout: 10m");
    let strict = ["--force", "--strict-sniff"];
    house.refuses(
        &archive.id(),
        &strict,
        15,
        &["the configuration says gzip, the bytes say plain"],
    );
}

#[test]
fn empty_unknown_and_cut_input_is_damage_in_every_shape() {
    let house = House::new(PLAIN);
    let dump = house.sandbox.back_up("source").bytes();
    let cut = &dump[..dump.len() * 2 / 3];
    for (what, plain) in [
        ("empty", &b""[..]),
        ("unknown", b"<html>not found</html>"),
        ("cut", cut),
        ("only a magic", b"PGDMP"),
    ] {
        for (shape, bytes) in [
            ("plain", plain.to_vec()),
            ("gz", gzip(plain)),
            ("enc", seal(plain, ENCRYPTION_PASSWORD, "source/x")),
            (
                "gz.enc",
                seal(&gzip(plain), ENCRYPTION_PASSWORD, "source/x"),
            ),
        ] {
            let file = house.sandbox.path("broken");
            fs::write(&file, bytes).expect("write it");
            house.configure(SEALED, "", "lock_timeout: 10m");
            let output = house.restore("./broken", &[]);
            assert_eq!(
                output.status.code(),
                Some(13),
                "{what} {shape}: {}",
                output.stderr
            );
            house.target_is_empty();
        }
    }
}

#[test]
fn a_checksum_that_differs_is_damage_and_a_missing_one_is_not() {
    let house = House::new(PLAIN);
    let archive = house.sandbox.back_up("source");
    let checksum = fs::read_to_string(archive.checksum_path()).expect("read it");
    fs::write(
        archive.checksum_path(),
        checksum.replace(&checksum[..4], "0000"),
    )
    .expect("write it");
    house.refuses("source/latest", &["--force"], 13, &["checksum"]);
    fs::remove_file(archive.checksum_path()).expect("it is there");
    house.restore("source/latest", &["--force"]).exits(0);
}

#[test]
fn a_wrong_password_a_missing_one_and_a_previous_one_are_told_apart() {
    let house = House::new(SEALED);
    let older = house.sandbox.back_up("source");
    let archive = house.sandbox.back_up("source");
    let with = |keys: &str| {
        let entry = |database: &Database<'_>, name: &str| {
            let entry = Entry::of(database).named(name).shape(SEALED);
            entry.encryption(keys)
        };
        let entries = [
            entry(&house.source, "source"),
            entry(&house.target, "target"),
        ];
        house.sandbox.configure_with("", &entries);
    };
    with("enabled: true, password: 'another one'");
    house.refuses("source/latest", &["--force"], 12, &["wrong password"]);
    // the way to open this one stands before the next older one, which is restored by `restore` alone
    let verify = ["verify", "--level", "restore", &archive.id()];
    let command = format!("backupkit restore --from {}", older.id());
    for failed in [
        house.restore("source/latest", &["--force"]).exits(12),
        house.sandbox.run(&verify).exits(12),
    ] {
        let at = |words: &str| {
            failed
                .stderr
                .find(words)
                .unwrap_or_else(|| panic!("no {words}: {}", failed.stderr))
        };
        assert!(at("previous_passwords") < at(&command), "{}", failed.stderr);
        assert_eq!(failed.stderr.matches("previous_passwords").count(), 1);
    }
    house.configure(PLAIN, "", "lock_timeout: 10m");
    house.refuses("source/latest", &["--force"], 2, &["encryption"]);
    house.refuses(path(&archive), &[], 2, &["encryption"]);

    with(&format!(
        "enabled: true, password: 'another one', previous_passwords: ['older', '{ENCRYPTION_PASSWORD}']"
    ));
    house.restore("source/latest", &["--force"]).exits(0);
    // what is written from now on needs the new password alone
    let new = house.sandbox.back_up("source");
    with("enabled: true, password: 'another one'");
    house.sandbox.run(&["cat", &new.id()]).exits(0);
    house.sandbox.run(&["cat", &archive.id()]).exits(12);
}
