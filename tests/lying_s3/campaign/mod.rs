//! One lie at a time: two honest backups, then a backup, a list, a verify, a restore and a prune while the server lies.
//!
//! What holds, whatever the lie:
//!
//! - A backup that ends with 0 is on the server, byte for byte.
//! - The honest backups that retention keeps are all still there.
//! - A restore brings the right rows, or does not end with 0.
//! - What `prune` says it deleted is gone.
//! - Nothing runs on past a signal.
//! - Once the server is honest again, `list` and `verify` find everything well.

pub mod deletes;
pub mod listings;
pub mod parts;
pub mod reads;
pub mod writes;

use crate::support::archive::sha256;
use crate::support::cloud::{PREFIX, STORAGE};
use crate::support::entry::Entry;
use crate::support::liar::{Asked, Liar, Lie};
use crate::support::postgres::{Database, postgres};
use crate::support::program::{self, Output};
use crate::support::s3s::{ACCESS_KEY, BUCKET, SECRET_KEY, Server};
use crate::support::sandbox::{Sandbox, Shape};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;
use std::sync::OnceLock;

/// How a command has to end while the server lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// With 0.
    Good,
    /// With another status.
    Told,
    Either,
}

/// One lie, and what has to come of it.
#[derive(Clone, Copy)]
pub struct Mode {
    pub name: &'static str,
    lie: Lie,
    in_parts: bool,
    backup: Verdict,
    list: Verdict,
    prune: Verdict,
    /// Seconds after which a command that tries again and again is ended by a signal.
    limit: u32,
}

impl Mode {
    /// A lie to a backup of one part, which has to notice it.
    pub const fn new(name: &'static str, lie: Lie) -> Mode {
        Mode {
            name,
            lie,
            in_parts: false,
            backup: Verdict::Told,
            list: Verdict::Either,
            prune: Verdict::Either,
            limit: 60,
        }
    }

    /// A lie about a backup of several parts.
    pub const fn in_parts(mut self) -> Mode {
        self.in_parts = true;
        self
    }

    pub const fn backup(mut self, verdict: Verdict) -> Mode {
        self.backup = verdict;
        self
    }

    pub const fn list(mut self, verdict: Verdict) -> Mode {
        self.list = verdict;
        self
    }

    pub const fn prune(mut self, verdict: Verdict) -> Mode {
        self.prune = verdict;
        self
    }

    /// The server stays as it is for longer than anybody waits here.
    pub const fn for_ever(mut self) -> Mode {
        self.limit = 8;
        self
    }
}

/// True where it is about an archive, and not about what lies beside it.
pub fn is_archive(asked: &Asked) -> bool {
    asked.key.ends_with(".dump.gz")
}

fn source(in_parts: bool) -> &'static Database<'static> {
    static SMALL: OnceLock<Database<'static>> = OnceLock::new();
    static LARGE: OnceLock<Database<'static>> = OnceLock::new();
    let fill = |name: &str, rows: u32, width: u32| {
        let database = postgres(18).create_database(name);
        database.sql(&format!(
            "CREATE SEQUENCE turns; CREATE TABLE t AS SELECT n, string_agg(md5(n || ' ' || i), '') AS text
             FROM generate_series(1, {rows}) AS n, generate_series(1, {width}) AS i GROUP BY n"
        ));
        database
    };
    match in_parts {
        // 12 MB once compressed: three parts
        true => LARGE.get_or_init(|| fill("lied_to_in_parts", 700, 1000)),
        false => SMALL.get_or_init(|| fill("lied_to", 300, 100)),
    }
}

fn rows(database: &Database<'_>) -> String {
    database.sql("SELECT count(*), sum(hashtextextended(t::text, 0)) FROM t")
}

struct Scene {
    sandbox: Sandbox,
    server: Server,
    liar: Liar,
    limit: u32,
}

impl Scene {
    fn new(limit: u32) -> Scene {
        let server = Server::start();
        let liar = Liar::before(&server.address, &server.file(""));
        let sandbox = Sandbox::new(18)
            .with("S3_ACCESS_KEY", ACCESS_KEY)
            .with("S3_SECRET_KEY", SECRET_KEY);
        Scene {
            sandbox,
            server,
            liar,
            limit,
        }
    }

    fn configure(&self, database: &Database<'_>, keep: u32) {
        let entry = Entry::of(database)
            .named("app")
            .shape(Shape::new(true, false))
            .storage(STORAGE)
            .retention(&format!("keep_last: {keep}"));
        self.sandbox.configure(&format!(
            "version: 1\nstorage:\n  - name: {STORAGE}\n    type: s3\n    s3: {{ bucket: {BUCKET}, region: us-east-1, \
             prefix: '{PREFIX}', endpoint: 'http://{}', part_size: 5MiB, concurrency: 2, \
             access_key: '${{S3_ACCESS_KEY}}', secret_key: '${{S3_SECRET_KEY}}' }}\ndatabases:\n{}",
            self.liar.address,
            entry.to_yaml()
        ));
    }

    /// Runs the program, which gets a SIGTERM after the limit, and no mercy a while later.
    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("timeout");
        command
            .args(["--preserve-status", "-s", "TERM", "-k", "30"])
            .arg(self.limit.to_string())
            .arg(env!("CARGO_BIN_EXE_backupkit"))
            .args(arguments);
        program::start(self.sandbox.inside(command), "").wait()
    }

    /// The archives on the server's disk, by their keys, with their checksums.
    fn archives(&self) -> BTreeMap<String, String> {
        let directory = self.server.file(PREFIX).join("app");
        let files = std::fs::read_dir(directory).expect("read a directory");
        let names = files.map(|file| file.expect("a file").file_name());
        names
            .map(|name| format!("app/{}", name.display()))
            .filter(|key| key.ends_with(".dump.gz"))
            .map(|key| {
                let bytes = std::fs::read(self.server.file(PREFIX).join(&key));
                (key, sha256(&bytes.expect("read an object")))
            })
            .collect()
    }

    /// The keys of the archives that `list` shows.
    fn listed(output: &Output) -> Vec<String> {
        let listed: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let backups = listed["backups"].as_array().into_iter().flatten();
        let keys = backups.filter_map(|backup| backup["key"].as_str());
        keys.map(str::to_string).collect()
    }
}

/// Plays one mode. What does not hold is returned, with what the program said.
pub fn survives(mode: &Mode) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut complain = |what: &str, output: &Output| {
        complaints.push(format!(
            "{}: {what}: {}\n{}{}",
            mode.name,
            output.status,
            output.text(),
            output.stderr
        ));
    };
    let database = source(mode.in_parts);
    let honest = Scene {
        limit: 120,
        ..Scene::new(mode.limit)
    };
    honest.configure(database, 2);
    for _ in 0..2 {
        honest.run(&["backup"]).exits(0);
        // two backups of one second would be the same to the byte
        database.sql("SELECT nextval('turns')");
    }
    let good = honest.archives();
    let scene = Scene {
        limit: mode.limit,
        ..honest
    };
    let ends = |output: &Output, verdict: Verdict| match (output.status.code(), verdict) {
        // killed
        (None | Some(137), _) => false,
        (Some(0), Verdict::Told) => false,
        (Some(0), _) | (_, Verdict::Told | Verdict::Either) => true,
        (_, Verdict::Good) => false,
    };

    scene.liar.lies(mode.lie);
    let backup = scene.run(&["backup", "--json"]);
    if !ends(&backup, mode.backup) {
        complain("backup", &backup);
    }
    let after = scene.archives();
    let is_ok = backup.status.code() == Some(0);
    let newest = good.keys().last().expect("two backups");
    let event: Value = serde_json::from_slice(
        backup
            .stdout
            .split(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default(),
    )
    .unwrap_or_default();
    if is_ok
        && after
            .get(event["key"].as_str().unwrap_or_default())
            .map(String::as_str)
            != event["sha256"].as_str()
    {
        complain("a backup that is ok is not on the server", &backup);
    }
    let left = good
        .iter()
        .filter(|(key, hash)| after.get(*key) == Some(*hash));
    // of three, retention keeps two
    if left.count() < if is_ok { 1 } else { 2 } || !after.contains_key(newest) {
        complain("an honest backup is gone after the backup", &backup);
    }

    let list = scene.run(&["list", "--json"]);
    if !ends(&list, mode.list) {
        complain("list", &list);
    }
    let verify = scene.run(&["verify"]);
    if !ends(&verify, Verdict::Either) {
        complain("verify", &verify);
    }
    let target = postgres(18).create_database("lied");
    scene.configure(&target, 2);
    let restore = scene.run(&["restore", "--from", "app/latest"]);
    if !ends(&restore, Verdict::Either) {
        complain("restore", &restore);
    }
    if restore.status.code() == Some(0) && rows(&target) != rows(database) {
        complain("a restore that is ok has other rows", &restore);
    }

    scene.configure(database, 1);
    let before = scene.archives();
    let prune = scene.run(&["prune"]);
    if !ends(&prune, mode.prune) {
        complain("prune", &prune);
    }
    let left = scene.archives();
    let is_there = |id: &str| left.keys().any(|key| key.contains(id));
    let text = prune.text();
    let deleted = text
        .lines()
        .filter_map(|line| line.strip_prefix("delete\t"));
    if deleted
        .filter_map(|line| line.split('\t').next())
        .any(is_there)
    {
        complain("prune says that it deleted what is there", &prune);
    }
    let kept = before.iter().rev().find(|(key, hash)| {
        good.get(*key) == Some(*hash) || (is_ok && event["key"] == key.as_str())
    });
    if kept.is_none_or(|(key, hash)| left.get(key) != Some(hash)) {
        complain("the newest good backup is gone after the prune", &prune);
    }

    // for those who ask with --nocapture what came of it
    let ends = [backup, list, verify, restore, prune].map(|output| output.status.code());
    println!("{}: {ends:?}", mode.name);

    scene.liar.repents();
    let honest = Scene {
        limit: 120,
        ..scene
    };
    let list = honest.run(&["list", "--json"]);
    let listed = Scene::listed(&list);
    if list.status.code() != Some(0)
        || left
            .keys()
            .any(|key| good.contains_key(key) && !listed.contains(key))
    {
        complain("list, once the server is honest", &list);
    }
    let verify = honest.run(&["verify"]);
    if verify.status.code() != Some(0) {
        complain("verify, once the server is honest", &verify);
    }
    complaints
}
