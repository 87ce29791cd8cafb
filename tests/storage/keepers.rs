//! Who keeps the contract: a directory, and S3 storage on a strict server, on a busy one and on one that ignores conditions.

use super::common::{cancel, settings, storage};
use super::contract::{claims_are_kept, holds};
use super::proxy::Proxy;
use super::s3s::Server;
use backupkit::process::boot_clock::since_boot;
use backupkit::storage::Storage;
use backupkit::storage::local::Local;
use backupkit::storage::s3::S3;
use chrono::{DateTime, TimeDelta, Utc};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

#[test]
fn local() {
    let directory = tempfile::tempdir().unwrap();
    let storage = Local::new("local", directory.path().join("store")).unwrap();
    holds(&storage);
    let key = "app/20261120_020000.000000001Z.dump";
    let path = directory.path().join("store").join(key);
    assert_eq!(storage.locate(key), path.display().to_string());
    assert_eq!(storage.limit(), None);
}

#[test]
fn s3() {
    let server = Server::start();
    let storage = storage(&server.address);
    holds(&storage);
    assert_eq!(storage.locate("app/x y"), "s3://backups/team a/pg/app/x y");
    assert!(storage.limit().unwrap() > 1 << 39);
    assert_eq!(server.unfinished(), [""; 0]);
}

#[test]
fn s3_through_a_server_that_refuses_every_third_request() {
    let server = Server::start();
    let proxy = Proxy::before(&server.address);
    proxy.refuse_every(3);
    holds(&storage(&proxy.address));
    assert_eq!(server.unfinished(), [""; 0]);
}

#[test]
fn s3_on_a_server_that_ignores_conditional_writes() {
    let server = Server::start();
    let proxy = Proxy::before(&server.address);
    proxy.ignore_conditions();
    holds(&storage(&proxy.address));
    assert_eq!(server.unfinished(), [""; 0]);
}

#[test]
fn a_directory_and_s3_keep_conditional_writes_and_some_servers_do_not() {
    let directory = tempfile::tempdir().unwrap();
    let local = Local::new("local", directory.path().join("store")).unwrap();
    assert!(claims_are_kept(&local));
    let server = Server::start();
    assert!(claims_are_kept(&storage(&server.address)));
    let proxy = Proxy::before(&server.address);
    proxy.refuse_every(3);
    assert!(claims_are_kept(&storage(&proxy.address)));
    proxy.ignore_conditions();
    assert!(!claims_are_kept(&storage(&proxy.address)));
}

/// By how many minutes the clock of a machine is behind.
static BEHIND: AtomicI64 = AtomicI64::new(5);

fn behind() -> DateTime<Utc> {
    Utc::now() - TimeDelta::minutes(BEHIND.load(Ordering::SeqCst))
}

#[test]
fn a_request_to_delete_expires_within_minutes_by_the_clock_of_the_server() {
    let server = Server::start();
    let mut settings = settings(&server.address);
    settings.now = behind;
    let storage = S3::new(settings).unwrap();
    let keys = [
        "app/lease.1.json".to_string(),
        "app/lease.2.json".to_string(),
    ];
    for key in &keys {
        assert!(storage.claim(key, b"x", &cancel()).unwrap());
    }
    let soon = || Ok(since_boot() + Duration::from_secs(60));
    // the clock may be wrong
    storage
        .delete_until(&keys[..1], Some(&soon), &cancel())
        .unwrap();
    assert_eq!(storage.stat(&keys[0], &cancel()).unwrap(), None);
    // but a machine that was suspended since its last answer, and does not know, is too late
    for late in [&keys[1..], &keys[..]] {
        BEHIND.fetch_add(3, Ordering::SeqCst);
        storage
            .delete_until(late, Some(&soon), &cancel())
            .unwrap_err();
    }
    assert!(server.file(&format!("team a/pg/{}", keys[1])).exists());
}
