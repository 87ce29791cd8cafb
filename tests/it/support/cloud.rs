//! A bucket on a real S3 server, s3s-fs, and a sandbox that keeps backups there.
//!
//! The server is behind a proxy that can do one wrong thing to one request.

use super::archive::sha256;
use super::entry::Entry;
use super::postgres::Database;
use super::program::{Output, Running};
use super::proxy::{Fault, Proxy};
use super::s3s::{ACCESS_KEY, BUCKET, SECRET_KEY, Server};
use super::sandbox::{Sandbox, Shape, is_of_hosts};
use std::fs;

pub const STORAGE: &str = "s3main";
const NAME: &str = "app";
pub const PREFIX: &str = "team a/pg";
/// What a run in the middle of an upload waits for: that the second part never gets anywhere.
pub const SECOND_PART: &str = "partNumber=2&";

/// A bucket, and a sandbox whose configuration keeps the database `app` there.
pub struct Cloud {
    pub sandbox: Sandbox,
    pub server: Server,
    pub proxy: Proxy,
    /// The name of the lock of a database on a bucket, which lies where the machine's runs find it.
    pub lock: String,
}

fn lock_of(address: &str) -> String {
    let place = format!("http://{address}/{BUCKET}/{PREFIX}/");
    let hash = &sha256(place.as_bytes())[..16];
    format!("s3-{hash}-{NAME}.lock")
}

impl Cloud {
    /// `entry` is the database, whatever its name.
    pub fn new(entry: Entry) -> Cloud {
        let server = Server::start();
        let proxy = Proxy::before(&server.address);
        let sandbox = Sandbox::new(18)
            .with("S3_ACCESS_KEY", ACCESS_KEY)
            .with("S3_SECRET_KEY", SECRET_KEY);
        let cloud = Cloud {
            lock: lock_of(&proxy.address),
            sandbox,
            server,
            proxy,
        };
        cloud.configure(&cloud.keys(), entry);
        cloud
    }

    /// The same for this database, compressed and encrypted.
    pub fn of(database: &Database<'_>) -> Cloud {
        Cloud::new(Entry::of(database).shape(Shape::new(true, true)))
    }

    /// What stands in `s3: { … }`: small parts, so that small archives have several.
    pub fn keys(&self) -> String {
        format!(
            "bucket: {BUCKET}, region: us-east-1, prefix: '{PREFIX}', endpoint: 'http://{}', part_size: 5MiB, \
             concurrency: 2, access_key: '${{S3_ACCESS_KEY}}', secret_key: '${{S3_SECRET_KEY}}'",
            self.proxy.address
        )
    }

    /// A configuration with these keys and this database on this bucket alone.
    pub fn configure(&self, keys: &str, entry: Entry) {
        self.configure_with("", keys, entry.storage(STORAGE));
    }

    /// The same with a further storage before the bucket; `entry` says which it goes to.
    pub fn configure_with(&self, storage: &str, keys: &str, entry: Entry) {
        self.sandbox.configure(&format!(
            "version: 1\nstorage:\n{storage}  - name: {STORAGE}\n    type: s3\n    s3: {{ {keys} }}\ndatabases:\n{}",
            entry.named(NAME).to_yaml()
        ));
    }

    /// Runs the program.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.sandbox.run(arguments)
    }

    /// The objects of the bucket, by their keys below the prefix, but for the record of a failure and what hosts
    /// leave for each other.
    pub fn objects(&self) -> Vec<String> {
        let directory = self.server.file(PREFIX).join(NAME);
        let mut names: Vec<String> = fs::read_dir(directory)
            .into_iter()
            .flatten()
            .map(|entry| entry.expect("read a directory").file_name())
            .map(|name| format!("{NAME}/{}", name.display()))
            .filter(|key| !key.ends_with("last-failure.json") && !is_of_hosts(key))
            .collect();
        names.sort();
        names
    }

    /// The bytes of an object.
    pub fn object(&self, key: &str) -> Vec<u8> {
        fs::read(self.server.file(PREFIX).join(key)).expect("read an object")
    }

    /// The archives of the bucket.
    pub fn archives(&self) -> Vec<String> {
        let mut keys = self.objects();
        keys.retain(|key| key.ends_with(".dump.gz") || key.ends_with(".dump.gz.enc"));
        keys
    }

    /// Starts a backup and returns when its second part is stuck.
    pub fn in_mid_upload(&self) -> Running {
        self.proxy.once("PUT", SECOND_PART, Fault::Stall);
        let run = self.sandbox.start(&["backup"]);
        self.proxy.wait_for("PUT", SECOND_PART);
        run
    }
}
