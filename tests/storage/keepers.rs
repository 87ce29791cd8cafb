//! Who keeps the contract: a directory, and S3 storage on a strict server, on a busy one and on one that ignores conditions.

use super::common::storage;
use super::contract::holds;
use super::proxy::Proxy;
use super::s3s::Server;
use backupkit::storage::Storage;
use backupkit::storage::local::Local;

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
