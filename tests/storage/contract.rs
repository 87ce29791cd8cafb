//! What every storage promises, as one suite for all of them.

use super::common::{PART, assert_same, bytes, cancel, ours, read};
use backupkit::cancel::Cause;
use backupkit::error::{Error, Kind};
use backupkit::storage::lock::Lock;
use backupkit::storage::{Object, Storage};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::time::Duration;

pub fn holds(storage: &dyn Storage) {
    an_empty_storage_is_empty(storage);
    what_is_written_is_read_whatever_its_size(storage);
    nothing_shows_before_the_commit_or_without_it(storage);
    a_commit_never_replaces(storage);
    only_a_replacement_replaces(storage);
    what_is_not_there_is_not_found(storage);
    listings_keep_directories_apart(storage);
    names_survive(storage);
    keys_may_be_nested(storage);
    directories_are_told_level_by_level(storage);
    reading_may_begin_anywhere(storage);
    a_listing_hands_on_one_object_after_another(storage);
    deleting_is_complete_and_forgiving(storage);
    a_cancelled_token_stops_everything(storage);
    a_sweep_leaves_what_is_whole(storage);
    one_lock_a_directory(storage);
}

fn key(directory: &str, nanos: u32) -> String {
    format!("{directory}/20261120_020000.{nanos:09}Z.dump.gz")
}

fn keys(storage: &dyn Storage, directory: Option<&str>) -> BTreeSet<String> {
    let objects = storage.list(directory, &cancel()).unwrap();
    objects.into_iter().map(|object| object.key).collect()
}

fn an_empty_storage_is_empty(storage: &dyn Storage) {
    assert_eq!(storage.list(None, &cancel()).unwrap(), []);
    assert_eq!(storage.list(Some("app"), &cancel()).unwrap(), []);
    assert_eq!(storage.sweep("app", &ours, &cancel()).unwrap(), [""; 0]);
}

fn what_is_written_is_read_whatever_its_size(storage: &dyn Storage) {
    let sizes = [0, 1, 70_000, PART, PART + 1, 3 * PART];
    for (number, size) in sizes.into_iter().enumerate() {
        let (key, bytes) = (key("sizes", number as u32), bytes(size));
        let mut upload = storage.create(&key, &cancel()).unwrap();
        for piece in bytes.chunks(999_983) {
            upload.write_all(piece).unwrap();
        }
        upload.commit().unwrap();
        assert_same(&read(storage, &key), &bytes);
        let found = storage.stat(&key, &cancel()).unwrap();
        let object = Object {
            key,
            bytes: size as u64,
        };
        assert_eq!(found, Some(object));
    }
    let listed = storage.list(Some("sizes"), &cancel()).unwrap();
    let mut listed: Vec<u64> = listed.iter().map(|object| object.bytes).collect();
    listed.sort_unstable();
    assert_eq!(listed, sizes.map(|size| size as u64));
}

fn nothing_shows_before_the_commit_or_without_it(storage: &dyn Storage) {
    for size in [10, 2 * PART + 1] {
        let key = key("hidden", size as u32);
        let mut upload = storage.create(&key, &cancel()).unwrap();
        upload.write_all(&bytes(size)).unwrap();
        assert_eq!(storage.stat(&key, &cancel()).unwrap(), None);
        assert!(!keys(storage, None).contains(&key));
        drop(upload);
        assert_eq!(storage.stat(&key, &cancel()).unwrap(), None);
        assert!(keys(storage, Some("hidden")).is_empty());
    }
}

fn a_commit_never_replaces(storage: &dyn Storage) {
    let key = key("once", 1);
    storage.put(&key, b"first", &cancel()).unwrap();
    for size in [10, PART + 1] {
        let mut upload = storage.create(&key, &cancel()).unwrap();
        upload.write_all(&bytes(size)).unwrap();
        upload.commit().unwrap_err();
    }
    assert_eq!(read(storage, &key), b"first");
    assert_eq!(keys(storage, Some("once")).len(), 1);
}

fn only_a_replacement_replaces(storage: &dyn Storage) {
    let key = key("again", 1);
    for text in ["first", "another one", "3"] {
        storage.replace(&key, text.as_bytes(), &cancel()).unwrap();
        assert_eq!(read(storage, &key), text.as_bytes());
    }
    assert_eq!(keys(storage, Some("again")).len(), 1);
}

fn what_is_not_there_is_not_found(storage: &dyn Storage) {
    let key = key("app", 404);
    let error = storage.open(&key, &cancel()).err().unwrap();
    assert_eq!(error.kind(), Kind::NotFound, "{error:?}");
    assert_eq!(storage.stat(&key, &cancel()).unwrap(), None);
    for strange in ["../x", "app/../../x", "app//x", "."] {
        assert!(storage.open(strange, &cancel()).is_err(), "{strange}");
        assert!(storage.delete(&[strange.into()], &cancel()).is_err());
    }
}

fn listings_keep_directories_apart(storage: &dyn Storage) {
    for directory in ["app", "app2"] {
        storage.put(&key(directory, 7), b"x", &cancel()).unwrap();
    }
    assert_eq!(keys(storage, Some("app")), BTreeSet::from([key("app", 7)]));
    assert_eq!(
        keys(storage, Some("app2")),
        BTreeSet::from([key("app2", 7)])
    );
    let all = keys(storage, None);
    assert!(all.contains(&key("app", 7)) && all.contains(&key("app2", 7)));
}

fn names_survive(storage: &dyn Storage) {
    let directories = [
        "with space",
        "a+b=c&d",
        "größe ☃",
        "per%20cent",
        "x'\"<y>",
        "~!*()",
    ];
    for directory in directories {
        let key = key(directory, 1);
        storage.put(&key, directory.as_bytes(), &cancel()).unwrap();
        assert_eq!(read(storage, &key), directory.as_bytes());
        assert_eq!(
            keys(storage, Some(directory)),
            BTreeSet::from([key.clone()])
        );
        assert!(keys(storage, None).contains(&key));
    }
    let all = directories.map(|directory| key(directory, 1));
    storage.delete(&all, &cancel()).unwrap();
    for directory in directories {
        assert!(keys(storage, Some(directory)).is_empty(), "{directory}");
    }
}

fn directories_are_told_level_by_level(storage: &dyn Storage) {
    let told = |directory: &str| {
        let mut told = storage.directories(directory, &cancel()).unwrap();
        told.sort();
        told
    };
    assert_eq!(told("levels"), [""; 0]);
    for key in [
        "levels/1/a/x",
        "levels/1/b/y",
        "levels/2/c/z",
        "levels/x",
        "levels1/3/x",
    ] {
        storage.put(key, b"x", &cancel()).unwrap();
    }
    assert_eq!(told("levels"), ["1", "2"]);
    assert_eq!(told("levels/1"), ["a", "b"]);
    assert_eq!(told("levels/1/a"), [""; 0]);
}

fn keys_may_be_nested(storage: &dyn Storage) {
    let log = "main/wal/7412345678901234567/0000000100000012";
    let segment = |number: u32| format!("{log}/00000001000000120000{number:04X}");
    let base = key("main", 1);
    let history = "main/wal/7412345678901234567/history/00000002.history".to_string();
    for key in [&segment(1), &segment(2), &base, &history] {
        storage.put(key, key.as_bytes(), &cancel()).unwrap();
        assert_eq!(read(storage, key), key.as_bytes());
        assert_eq!(storage.stat(key, &cancel()).unwrap().unwrap().key, *key);
    }
    let mut upload = storage.create(&segment(3), &cancel()).unwrap();
    upload.write_all(b"given up").unwrap();
    drop(upload);
    assert_eq!(
        keys(storage, Some(log)),
        BTreeSet::from([segment(1), segment(2)])
    );
    // what lies deeper is listed neither with the directory above it nor with all of them
    assert_eq!(keys(storage, Some("main")), BTreeSet::from([base.clone()]));
    assert!(keys(storage, Some("main/wal")).is_empty());
    let all = keys(storage, None);
    assert!(all.contains(&base) && !all.contains(&segment(1)) && !all.contains(&history));
    storage
        .put(&segment(1), b"again", &cancel())
        .expect_err("it is taken");
    storage.replace(&segment(1), b"anew", &cancel()).unwrap();
    assert_eq!(read(storage, &segment(1)), b"anew");
    storage
        .delete(&[segment(1), segment(2), history, base], &cancel())
        .unwrap();
    assert!(keys(storage, Some(log)).is_empty());
    assert_eq!(storage.stat(&segment(1), &cancel()).unwrap(), None);
}

fn reading_may_begin_anywhere(storage: &dyn Storage) {
    let key = key("offset", 1);
    let whole = bytes(2 * PART + 17);
    let mut upload = storage.create(&key, &cancel()).unwrap();
    upload.write_all(&whole).unwrap();
    upload.commit().unwrap();
    let end = whole.len();
    for offset in [0, 1, 70_000, PART, end - 1, end, end + 1, end + PART] {
        let mut rest = Vec::new();
        let opened = storage.open_at(&key, offset as u64, &cancel());
        opened.unwrap().read_to_end(&mut rest).unwrap();
        assert_same(&rest, &whole[offset.min(end)..]);
    }
    let missing = storage
        .open_at("offset/nothing", 5, &cancel())
        .err()
        .unwrap();
    assert_eq!(missing.kind(), Kind::NotFound);
    storage.delete(&[key], &cancel()).unwrap();
}

fn a_listing_hands_on_one_object_after_another(storage: &dyn Storage) {
    let all: Vec<String> = (0..5).map(|number| key("streamed", number)).collect();
    for key in &all {
        storage.put(key, b"x", &cancel()).unwrap();
    }
    let mut seen = Vec::new();
    let visited = storage.visit(Some("streamed"), &cancel(), &mut |object| {
        seen.push(object.key);
        match seen.len() {
            3 => Err(Error::failed("enough")),
            _ => Ok(()),
        }
    });
    assert_eq!(visited.unwrap_err().to_string(), "enough");
    assert_eq!(seen.len(), 3);
    storage.delete(&all, &cancel()).unwrap();
}

fn deleting_is_complete_and_forgiving(storage: &dyn Storage) {
    let (one, two, stays) = (key("gone", 1), key("gone", 2), key("gone", 3));
    for key in [&one, &two, &stays] {
        storage.put(key, b"x", &cancel()).unwrap();
    }
    let missing = key("gone", 4);
    storage
        .delete(std::slice::from_ref(&one), &cancel())
        .unwrap();
    storage
        .delete(&[one, two, missing.clone()], &cancel())
        .unwrap();
    storage.delete(&[missing], &cancel()).unwrap();
    storage.delete(&[], &cancel()).unwrap();
    assert_eq!(keys(storage, Some("gone")), BTreeSet::from([stays]));
}

fn a_cancelled_token_stops_everything(storage: &dyn Storage) {
    let key = key("stopped", 1);
    let token = cancel();
    let mut upload = storage.create(&key, &token).unwrap();
    upload.write_all(&bytes(PART + 1)).unwrap();
    token.cancel(Cause::Signal(15));
    drop(upload);
    assert!(keys(storage, Some("stopped")).is_empty());
    let error = storage.list(None, &token).unwrap_err();
    assert_eq!(error.kind(), Kind::Signal(15));
}

fn a_sweep_leaves_what_is_whole(storage: &dyn Storage) {
    let key = key("swept", 1);
    storage.put(&key, b"x", &cancel()).unwrap();
    assert_eq!(storage.sweep("swept", &ours, &cancel()).unwrap(), [""; 0]);
    assert_eq!(keys(storage, Some("swept")), BTreeSet::from([key]));
}

fn one_lock_a_directory(storage: &dyn Storage) {
    let lock = |directory: &str| {
        let path = storage.lock_file(directory).unwrap();
        Lock::take(&path, Duration::ZERO, &cancel())
    };
    let held = lock("app").unwrap();
    assert_eq!(lock("app").unwrap_err().kind(), Kind::Locked);
    drop(lock("app2").unwrap());
    drop(held);
    drop(lock("app").unwrap());
}

/// What hosts leave for each other; says whether the storage keeps conditional writes.
pub fn claims_are_kept(storage: &dyn Storage) -> bool {
    let key = "claimed/lease.1.json";
    assert_eq!(storage.read_dated(key, 9, &cancel()).unwrap(), None);
    assert!(storage.claim(key, b"first", &cancel()).unwrap());
    // a directory tells the time by the lock that whoever reads there holds
    let _lock = Lock::take(
        &storage.lock_file("claimed").unwrap(),
        Duration::ZERO,
        &cancel(),
    );
    let read = || storage.read_dated(key, 9, &cancel()).unwrap().unwrap();
    let age = read().age.expect("it tells how old it is");
    assert!(age < Duration::from_secs(600), "{age:?}");
    let is_conditional = !storage.claim(key, b"second", &cancel()).unwrap();
    let stays: &[u8] = if is_conditional { b"first" } else { b"second" };
    assert_eq!(read().bytes, stays);
    let beginning = storage.read_dated(key, 4, &cancel()).unwrap().unwrap();
    assert_eq!(beginning.bytes, &stays[..4]);
    // what may no longer be deleted is not
    let now = backupkit::process::boot_clock::since_boot;
    let over = || Ok(now() - Duration::from_secs(1));
    for keys in [
        vec![key.to_string()],
        vec![key.to_string(), "claimed/lease.2.json".into()],
    ] {
        let late = storage.delete_until(&keys, Some(&over), &cancel());
        assert!(late.unwrap_err().chain().contains("too late"));
        let not_at_all = || Err(Error::failed("the lease is over"));
        storage
            .delete_until(&keys, Some(&not_at_all), &cancel())
            .unwrap_err();
    }
    assert_eq!(read().bytes, stays);
    let soon = || Ok(now() + Duration::from_secs(60));
    storage
        .delete_until(&[key.to_string()], Some(&soon), &cancel())
        .unwrap();
    assert_eq!(storage.stat(key, &cancel()).unwrap(), None);
    is_conditional
}
