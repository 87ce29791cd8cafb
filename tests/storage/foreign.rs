//! What others left in a local storage is neither listed nor opened, followed or waited for.

use super::common::{cancel, ours, read};
use backupkit::error::Kind;
use backupkit::storage::Storage;
use backupkit::storage::local::Local;
use backupkit::storage::lock::Lock;
use rustix::fs::{CWD, Mode, mkfifoat};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

const KEY: &str = "app/20261120_020000.000000001Z.dump";

fn pipe(path: &Path) {
    mkfifoat(CWD, path, Mode::from_raw_mode(0o600)).unwrap();
}

fn listed(storage: &dyn Storage, directory: Option<&str>) -> Vec<String> {
    let objects = storage.list(directory, &cancel()).unwrap();
    objects.into_iter().map(|object| object.key).collect()
}

#[test]
fn links_pipes_and_closed_directories_stand_in_the_way_of_nothing() {
    let place = tempfile::tempdir().unwrap();
    let local = Local::new("local", place.path()).unwrap();
    local.put(KEY, b"x", &cancel()).unwrap();
    let mut closed = Vec::new();
    for directory in [place.path().to_path_buf(), place.path().join("app")] {
        symlink("nowhere", directory.join("dangling")).unwrap();
        symlink("loop", directory.join("loop")).unwrap();
        symlink("/etc/passwd", directory.join("passwd")).unwrap();
        pipe(&directory.join("pipe"));
        pipe(&directory.join("20261120_020000.000000002Z.dump.tmp"));
        let private = directory.join("private");
        std::fs::create_dir(&private).unwrap();
        std::fs::set_permissions(&private, PermissionsExt::from_mode(0o000)).unwrap();
        closed.push(private);
    }
    assert_eq!(listed(&local, None), [KEY]);
    assert_eq!(listed(&local, Some("app")), [KEY]);
    assert_eq!(local.sweep("app", &ours, &cancel()).unwrap(), [""; 0]);
    for directory in closed {
        std::fs::set_permissions(directory, PermissionsExt::from_mode(0o700)).unwrap();
    }
}

#[test]
fn what_is_no_regular_file_counts_as_not_there() {
    let place = tempfile::tempdir().unwrap();
    let local = Local::new("local", place.path()).unwrap();
    local.put(KEY, b"x", &cancel()).unwrap();
    let at = |name: &str| place.path().join("app").join(name);
    symlink(place.path().join(KEY), at("link")).unwrap();
    symlink("loop", at("loop")).unwrap();
    pipe(&at("pipe"));
    std::fs::create_dir(at("directory")).unwrap();
    for name in ["link", "loop", "pipe", "directory"] {
        let key = format!("app/{name}");
        assert_eq!(local.stat(&key, &cancel()).unwrap(), None, "{name}");
        let error = local.open(&key, &cancel()).err().unwrap();
        assert_eq!(error.kind(), Kind::NotFound, "{name}: {error:?}");
    }
    // a replacement takes the place of a link, and leaves what it leads to
    local.replace("app/link", b"new", &cancel()).unwrap();
    assert_eq!(read(&local, "app/link"), b"new");
    assert_eq!(read(&local, KEY), b"x");
}

#[test]
fn a_lock_is_never_waited_for_on_a_pipe() {
    let place = tempfile::tempdir().unwrap();
    let local = Local::new("local", place.path()).unwrap();
    local.put(KEY, b"x", &cancel()).unwrap();
    let lock = local.lock_file("app").unwrap();
    pipe(&lock);
    let error = Lock::take(&lock, Duration::ZERO, &cancel()).unwrap_err();
    assert_eq!(error.first_hint(), None);
    assert!(error.report().contains("not a regular file"), "{error:?}");
}
