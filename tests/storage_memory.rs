//! Memory stays bounded whatever the size of an object. Alone in its process, because the peak is the process's.

#[path = "support/s3s.rs"]
mod s3s;

use backupkit::cancel::Cancel;
use backupkit::secret::Secret;
use backupkit::storage::Storage;
use backupkit::storage::s3::{S3, S3Settings};
use s3s::{ACCESS_KEY, BUCKET, SECRET_KEY, Server};
use std::io::{Read, Write};

const MIB: usize = 1 << 20;
const PART: usize = 8 * MIB;
const CONCURRENCY: usize = 2;
const KEY: &str = "app/20261120_020000.000000001Z.dump";

/// The most memory this process ever had, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib: usize = line
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    kib * 1024
}

#[test]
fn an_object_far_larger_than_the_buffers_goes_up_and_comes_back() {
    let server = Server::start();
    let storage = S3::new(S3Settings {
        endpoint: Some(format!("http://{}", server.address)),
        access_key: Some(Secret::new(ACCESS_KEY)),
        secret_key: Some(Secret::new(SECRET_KEY)),
        part_size: Some(PART as u64),
        concurrency: CONCURRENCY,
        ..S3Settings::new("s3main", BUCKET, "us-east-1")
    })
    .unwrap();
    let cancel = Cancel::new().unwrap();
    let block: Vec<u8> = (0..MIB).map(|at| (at * 7 % 251) as u8).collect();
    let blocks = 256;
    let mut upload = storage.create(KEY, &cancel).unwrap();
    for _ in 0..blocks {
        upload.write_all(&block).unwrap();
    }
    upload.commit().unwrap();
    let mut reader = storage.open(KEY, &cancel).unwrap();
    let mut read = vec![0; MIB];
    for _ in 0..blocks {
        reader.read_exact(&mut read).unwrap();
        assert!(read == block);
    }
    assert_eq!(reader.read(&mut read).unwrap(), 0);
    assert!(server.unfinished().is_empty());
    assert!(server.file(KEY).is_file());
    let bound = 64 * MIB + PART * CONCURRENCY;
    println!("peak {} MiB", peak() / MIB);
    assert!(peak() <= bound, "{} bytes at the peak", peak());
}
