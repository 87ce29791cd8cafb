//! What every storage promises, as one suite for all of them.

use super::common::{PART, assert_same, bytes, cancel, ours, read};
use backupkit::cancel::Cause;
use backupkit::error::Kind;
use backupkit::storage::lock::Lock;
use backupkit::storage::{Object, Storage};
use std::collections::BTreeSet;
use std::io::Write;
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
