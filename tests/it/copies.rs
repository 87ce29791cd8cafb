//! What several storages promise: one dump, a copy on each, whole or not at all, and each failure told.

use crate::support::archive::sha256;
use crate::support::disk::Disk;
use crate::support::entry::Entry;
use crate::support::postgres::{Database, large, postgres};
use crate::support::processes;
use crate::support::program::Output;
use crate::support::sandbox::{Sandbox, Shape, is_of_hosts};
use crate::support::wait;
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

const GZIP: Shape = Shape::new(true, false);

/// A database, `app`, that is backed up to the storages `one` and `two`.
struct Twins {
    sandbox: Sandbox,
    one: PathBuf,
    two: PathBuf,
    database: Database<'static>,
}

impl Twins {
    fn new() -> Twins {
        let sandbox = Sandbox::new(18);
        let (one, two) = (sandbox.path("one"), sandbox.path("two"));
        Twins::on(sandbox, one, two)
    }

    fn on(sandbox: Sandbox, one: PathBuf, two: PathBuf) -> Twins {
        let database = postgres(18).create_database("twins");
        database.sql("CREATE TABLE t AS SELECT 42 AS answer");
        let twins = Twins {
            sandbox,
            one,
            two,
            database,
        };
        twins.configure(&twins.database, "", "");
        twins
    }

    /// The same storages with backups of this database; `more` is a further storage.
    fn configure(&self, database: &Database<'_>, retention: &str, more: &str) {
        let more_name = if more.is_empty() { "" } else { "more, " };
        let entry = Entry::of(database)
            .named("app")
            .shape(GZIP)
            .retention(retention)
            .storage(&format!("[{more_name}one, two]"));
        let local = |name: &str, path: &Path| {
            let path = path.display();
            format!("  - {{ name: {name}, type: local, local: {{ path: '{path}' }} }}\n")
        };
        self.sandbox.configure(&format!(
            "version: 1\nstorage:\n{}{}{more}databases:\n{}",
            local("one", &self.one),
            local("two", &self.two),
            entry.to_yaml()
        ));
    }

    fn back_up(&self) -> Output {
        self.sandbox.run(&["backup"])
    }

    fn back_up_json(&self, status: i32) -> Value {
        let output = self.sandbox.run(&["backup", "--json"]).exits(status);
        let text = output.text();
        serde_json::from_str(text.lines().next().expect("a line")).expect("JSON")
    }
}

/// What lies on a storage, but for the lock, the lease and what is written down about a failure.
fn files(storage: &Path) -> BTreeMap<String, Vec<u8>> {
    let Ok(entries) = fs::read_dir(storage.join("app")) else {
        return BTreeMap::new();
    };
    let named = entries.map(|entry| {
        let path = entry.expect("read a directory").path();
        let name = path.file_name().expect("a file").to_str().expect("UTF-8");
        (name.to_string(), fs::read(&path).expect("read a file"))
    });
    named
        .filter(|(name, _)| !matches!(&**name, ".lock" | "last-failure.json"))
        .filter(|(name, _)| !is_of_hosts(name))
        .collect()
}

/// The names and bytes of one whole backup.
#[track_caller]
fn is_one_whole_backup(files: &BTreeMap<String, Vec<u8>>) {
    assert_eq!(files.len(), 3, "{:?}", files.keys());
    let (name, archive) = files
        .iter()
        .find(|(name, _)| name.ends_with(".dump.gz"))
        .expect("an archive");
    let checksum = &files[&format!("{name}.sha256")];
    let expected = format!("{}  {name}\n", sha256(archive));
    assert_eq!(String::from_utf8_lossy(checksum), expected);
    let stamp = name.trim_end_matches(".dump.gz");
    let manifest: Value = serde_json::from_slice(&files[&format!("{stamp}.json")]).expect("JSON");
    assert_eq!(manifest["archive"]["sha256"], sha256(archive));
}

#[test]
fn one_dump_is_the_same_whole_backup_on_each_storage() {
    let twins = Twins::new();
    let text = twins.back_up().exits(0).text();
    let copies = (files(&twins.one), files(&twins.two));
    is_one_whole_backup(&copies.0);
    assert_eq!(copies.0, copies.1);
    let archive = copies.0.keys().next().expect("an archive");
    let fields: Vec<&str> = text.trim_end().split('\t').collect();
    let at = |storage: &Path| storage.join("app").join(archive).display().to_string();
    assert_eq!(fields[..2], ["app", "ok"]);
    assert_eq!(fields[3], at(&twins.one));
    assert_eq!(fields[5..], [at(&twins.one), at(&twins.two)]);
    let plain = |from| twins.sandbox.run(&["cat", from]).exits(0).stdout;
    assert!(plain("one:app/latest") == plain("two:app/latest"));

    let event = twins.back_up_json(0);
    assert_eq!(event["status"], "ok");
    let storages = [&event["copies"][0], &event["copies"][1]];
    assert_eq!(storages.map(|copy| &copy["storage"]), ["one", "two"]);
    assert_eq!(storages.map(|copy| &copy["status"]), ["ok", "ok"]);
    assert_eq!(event["destination"], storages[0]["destination"]);
}

#[test]
fn a_storage_that_fails_loses_its_copy_and_no_other() {
    let mut disk = Disk::new(2048);
    let sandbox = Sandbox::new(18);
    let two = sandbox.path("two");
    let twins = Twins::on(sandbox, disk.path.join("storage"), two);
    // full in the middle of the rows
    twins.configure(large(), "", "");
    let output = twins.back_up().exits(3);
    let said = &output.stderr;
    assert!(
        said.contains("the backup of app is not on the storage one: "),
        "{said}"
    );
    assert!(said.contains("No space left on device"), "{said}");
    assert!(files(&twins.one).is_empty());
    let copy = files(&twins.two);
    is_one_whole_backup(&copy);
    let text = output.text();
    let fields: Vec<&str> = text.trim_end().split('\t').collect();
    let archive = copy.keys().next().expect("an archive");
    let path = twins.two.join("app").join(archive).display().to_string();
    assert_eq!(
        (fields[0], fields[1], fields[3]),
        ("app", "degraded", &*path)
    );
    assert_eq!(fields[5..], ["-", &path]);
    twins.sandbox.run(&["cat", "app/latest"]).exits(0);

    // from the first byte on
    disk.make_read_only();
    twins.configure(&twins.database, "", "");
    let event = twins.back_up_json(3);
    assert_eq!(event["status"], "degraded");
    let [one, two] = [&event["copies"][0], &event["copies"][1]];
    assert_eq!([&one["status"], &two["status"]], ["failed", "ok"]);
    let message = one["error"]["message"].as_str().expect("a message");
    assert!(message.contains("Read-only file system"), "{message}");
    assert_eq!(event["destination"], two["destination"]);
    assert!(files(&twins.one).is_empty());
    assert_eq!(files(&twins.two).len(), 6);

    disk.make_writable();
    twins.back_up().exits(0);
    is_one_whole_backup(&files(&twins.one));
}

#[test]
fn a_backup_that_no_storage_takes_failed() {
    let mut disk = Disk::new(2048);
    let (one, two) = (disk.path.join("one"), disk.path.join("two"));
    let twins = Twins::on(Sandbox::new(18), one, two);
    twins.configure(large(), "", "");
    let output = twins.back_up().exits(1);
    assert!(output.text().starts_with("app\tfailed\t0\t-\t"));
    assert_eq!((files(&twins.one).len(), files(&twins.two).len()), (0, 0));
    disk.make_read_only();
    let output = twins.back_up().exits(1);
    for storage in ["one: ", "two: "] {
        assert!(output.stderr.contains(storage), "{}", output.stderr);
    }
    disk.make_writable();
    twins.configure(&twins.database, "", "");
    twins.back_up().exits(0);
}

#[test]
fn a_storage_that_cannot_even_be_opened_is_a_missing_copy() {
    let twins = Twins::new();
    let more = "  - { name: more, type: s3, s3: { bucket: b, region: r, access_key: '${NOT_SET}', secret_key: x } }\n";
    twins.configure(&twins.database, "keep_last: 1", more);
    let output = twins.back_up().exits(3);
    let said = &output.stderr;
    assert!(said.contains("not on the storage more: "), "{said}");
    assert!(said.contains("NOT_SET"), "{said}");
    is_one_whole_backup(&files(&twins.one));
    assert!(files(&twins.one) == files(&twins.two));
    // what it may hold is not known, and that is said
    let found = twins.sandbox.run(&["cat", "app"]).exits(0);
    let said = &found.stderr;
    assert!(
        said.contains("warning: a newer backup may be on the storage more"),
        "{said}"
    );
    twins.sandbox.run(&["cat", "more:app"]).exits(2);
    fs::remove_dir_all(&twins.one).expect("it is there");
    fs::remove_dir_all(&twins.two).expect("it is there");
    let none = twins.sandbox.run(&["cat", "app"]).exits(2);
    assert!(
        none.stderr.contains("the storage more cannot be asked"),
        "{}",
        none.stderr
    );
}

#[test]
fn a_run_that_is_ended_leaves_nothing_on_any_storage() {
    for signal in [Signal::TERM, Signal::KILL] {
        let twins = Twins::new();
        twins.back_up().exits(0);
        let before = files(&twins.one);
        twins.configure(large(), "", "");
        let run = twins.sandbox.start(&["backup"]);
        for storage in [&twins.one, &twins.two] {
            wait::until("an archive is being written", || {
                let begun = fs::read_dir(storage.join("app")).ok()?.any(|entry| {
                    entry.is_ok_and(|entry| {
                        entry
                            .file_name()
                            .to_string_lossy()
                            .ends_with(".dump.gz.tmp")
                    })
                });
                begun.then_some(())
            });
        }
        run.signal(signal);
        let status = run.wait().status;
        match signal {
            Signal::TERM => assert_eq!(status.code(), Some(143)),
            _ => assert_eq!(status.signal(), Some(9)),
        }
        if signal == Signal::KILL {
            // seen by nobody, and swept by the next run
            assert_eq!(files(&twins.one).len(), 5);
            assert_eq!(files(&twins.two).len(), 5);
            wait::until("pg_dump is gone", || {
                processes::of(&twins.sandbox.path(""))
                    .is_empty()
                    .then_some(())
            });
        } else {
            assert!(files(&twins.one) == before);
            assert!(files(&twins.two) == before);
        }
        twins.configure(&twins.database, "", "");
        twins.back_up().exits(0);
        assert_eq!(files(&twins.one).len(), 6);
        assert!(files(&twins.one) == files(&twins.two));
    }
}

#[test]
fn another_run_on_any_of_the_storages_excludes_this_one() {
    let twins = Twins::new();
    twins.back_up().exits(0);
    let before = files(&twins.one);
    let output = twins
        .sandbox
        .shell("flock two/app/.lock backupkit backup")
        .exits(11);
    assert!(output.text().starts_with("app\tfailed\t"));
    assert!(files(&twins.one) == before);
}

#[test]
fn retention_is_applied_on_each_storage_that_has_the_new_backup() {
    let mut disk = Disk::new(2048);
    let sandbox = Sandbox::new(18);
    let one = sandbox.path("one");
    let twins = Twins::on(sandbox, one, disk.path.join("storage"));
    twins.configure(&twins.database, "keep_last: 1", "");
    twins.back_up().exits(0);
    let event = twins.back_up_json(0);
    for copy in 0..2 {
        assert_eq!(event["copies"][copy]["retention"]["deleted"], 1);
    }
    let second = files(&twins.one);
    is_one_whole_backup(&second);
    assert!(files(&twins.two) == second);

    disk.make_read_only();
    let event = twins.back_up_json(3);
    assert_eq!(event["copies"][0]["retention"]["deleted"], 1);
    assert!(event["copies"][1]["retention"].is_null());
    assert!(files(&twins.one) != second);
    assert!(files(&twins.two) == second);
}

#[test]
fn a_restore_finds_the_copy_that_is_left_and_the_newest_of_all() {
    let twins = Twins::new();
    twins.back_up().exits(0);
    let from = |output: Output| output.text().split('\t').nth(3).expect("where").to_string();
    twins.database.sql("DROP TABLE t");
    let restore = |more: &[&str]| twins.sandbox.run(&[&["restore", "--clean"], more].concat());
    // the first of two copies
    let restored = from(restore(&["--from", "app"]).exits(0));
    assert!(Path::new(&restored).starts_with(&twins.one), "{restored}");
    let copy = files(&twins.one);
    let mut archives = copy.keys().filter(|name| name.ends_with(".dump.gz"));
    let archive = archives.next().expect("an archive").clone();
    let id = format!("app/{}", archive.trim_end_matches(".dump.gz"));
    fs::remove_dir_all(twins.one.join("app")).expect("it is there");
    for name in [
        "app",
        "app/latest",
        &id,
        &format!("app/{archive}"),
        "two:app",
    ] {
        let restored = from(restore(&["--from", name]).exits(0));
        assert!(
            Path::new(&restored).starts_with(&twins.two),
            "{name}: {restored}"
        );
        assert_eq!(twins.database.sql("SELECT answer FROM t"), "42");
    }
    restore(&["--from", "one:app"]).exits(10);

    // a newer one on the second storage alone
    twins.back_up().exits(0);
    let second = files(&twins.one);
    twins.back_up().exits(0);
    for name in files(&twins.one)
        .keys()
        .filter(|name| !second.contains_key(*name))
    {
        fs::remove_file(twins.one.join("app").join(name)).expect("it is there");
    }
    let restored = from(restore(&["--from", "app"]).exits(0));
    assert!(Path::new(&restored).starts_with(&twins.two), "{restored}");
    let restored = from(restore(&["--from", "one:app"]).exits(0));
    assert!(Path::new(&restored).starts_with(&twins.one), "{restored}");
}
