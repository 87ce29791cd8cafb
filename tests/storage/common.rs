//! What the tests of the storage share.

use super::s3s::{ACCESS_KEY, BUCKET, SECRET_KEY, Server};
use backupkit::cancel::Cancel;
use backupkit::repository::names::Name;
use backupkit::secret::Secret;
use backupkit::storage::Storage;
use backupkit::storage::s3::{Limits, S3, S3Settings};
use std::io::Read;
use std::time::Duration;

pub const MIB: usize = 1 << 20;
/// The smallest part S3 takes, so that small objects have several.
pub const PART: usize = 5 * MIB;
pub const PREFIX: &str = "team a/pg";

/// Settings that reach the server behind `address`, with limits that a busy machine does not meet.
pub fn settings(address: &str) -> S3Settings {
    S3Settings {
        prefix: format!("/{PREFIX}/"),
        endpoint: Some(format!("http://{address}")),
        access_key: Some(Secret::new(ACCESS_KEY)),
        secret_key: Some(Secret::new(SECRET_KEY)),
        part_size: Some(PART as u64),
        concurrency: 2,
        limits: Limits {
            connect: Duration::from_secs(20),
            idle: Duration::from_secs(30),
            total: Duration::from_secs(60),
        },
        patience: Duration::from_secs(60),
        ..S3Settings::new("s3main", BUCKET, "us-east-1")
    }
}

/// A storage that soon gives up on a server that says nothing.
pub fn hasty(address: &str) -> S3 {
    let mut settings = settings(address);
    settings.limits.idle = Duration::from_secs(1);
    S3::new(settings).unwrap()
}

pub fn storage(address: &str) -> S3 {
    S3::new(settings(address)).unwrap()
}

/// What a backup calls its own.
pub fn ours(key: &str) -> bool {
    Name::parse(key).is_some()
}

pub fn cancel() -> Cancel {
    Cancel::new().unwrap()
}

/// `length` bytes that differ from place to place.
pub fn bytes(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

pub fn read(storage: &dyn Storage, key: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut reader = storage.open(key, &cancel()).unwrap();
    reader.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Fails without printing megabytes.
#[track_caller]
pub fn assert_same(got: &[u8], wanted: &[u8]) {
    assert!(
        got == wanted,
        "{} bytes, not the {} that were written",
        got.len(),
        wanted.len()
    );
}

/// Nothing of an upload is left on the server, finished or not.
#[track_caller]
pub fn assert_nothing_left(server: &Server, key: &str) {
    assert!(!server.file(&format!("{PREFIX}/{key}")).exists(), "{key}");
    assert_eq!(server.unfinished(), [""; 0]);
}
