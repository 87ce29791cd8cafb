//! What `list` promises: every backup there is, newest first, and nothing else.

use crate::support::entry::Entry;
use crate::support::postgres::{Database, postgres};
use crate::support::program::Output;
use crate::support::repository;
use crate::support::sandbox::{Sandbox, Shape};
use serde_json::Value;
use std::fs;

const PLAIN: Shape = Shape::new(false, false);

/// A sandbox with the configured databases `first` and `second`, both of them the same tiny one.
fn house(shape: Shape, backup: &str) -> (Sandbox, Database<'static>) {
    let (sandbox, database) = (Sandbox::new(18), postgres(18).create_database("listed"));
    database.sql("CREATE TABLE t AS SELECT 1 AS one");
    configure(&sandbox, &database, shape, backup);
    (sandbox, database)
}

fn configure(sandbox: &Sandbox, database: &Database<'_>, shape: Shape, backup: &str) {
    let entry = |name| Entry::of(database).named(name).shape(shape).backup(backup);
    sandbox.configure_with("", &[entry("first"), entry("second")]);
}

fn json(sandbox: &Sandbox, more: &[&str]) -> Vec<Value> {
    let output = sandbox.run(&[&["list", "--json"], more].concat()).exits(0);
    let document: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    document["backups"].as_array().expect("backups").clone()
}

fn ids(listed: &[Value]) -> Vec<&str> {
    let ids = listed.iter().map(|backup| backup["id"].as_str());
    ids.map(|id| id.expect("an id")).collect()
}

#[test]
fn each_backup_is_a_line_newest_first_with_what_the_manifest_knows() {
    let (sandbox, database) = house(PLAIN, "lock_timeout: 1m");
    let old = sandbox.back_up("first");
    configure(
        &sandbox,
        &database,
        Shape::new(true, true),
        "lock_timeout: 1m",
    );
    let new = sandbox.back_up("first");
    let other = sandbox.back_up("second");

    let text = sandbox.run(&["list"]).exits(0).text();
    let lines: Vec<Vec<&str>> = text
        .lines()
        .take_while(|line| !line.is_empty())
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        lines[0],
        [
            "BACKUP", "AGE", "SIZE", "RATIO", "TOOK", "KIND", "VERIFIED", "STORAGE"
        ]
    );
    let shown: Vec<&str> = lines[1..].iter().map(|line| line[0]).collect();
    assert_eq!(shown, [new.id(), old.id(), other.id()]);
    let kinds: Vec<&str> = lines[1..].iter().map(|line| line[line.len() - 3]).collect();
    assert_eq!(kinds, ["gz+enc", "plain", "gz+enc"]);

    let listed = json(&sandbox, &[]);
    assert_eq!(ids(&listed), shown);
    let newest = &listed[0];
    assert_eq!(newest["key"], new.key());
    assert_eq!(newest["location"], new.path.display().to_string());
    assert_eq!(newest["bytes"], new.bytes().len());
    assert_eq!(
        (&newest["gzip"], &newest["encrypted"]),
        (&true.into(), &true.into())
    );
    let manifest = new.manifest();
    assert_eq!(newest["sha256"], manifest["archive"]["sha256"]);
    assert_eq!(newest["plain_bytes"], manifest["dump"]["bytes"]);
    assert_eq!(newest["started_at"], manifest["started_at"]);
    assert_eq!(ids(&json(&sandbox, &["--db", "second"])), [other.id()]);
    assert_eq!(json(&sandbox, &["--db=first", "--db=second"]).len(), 3);
}

/// A configuration of nothing but storages, which are not asked to be written to: the directories `one` and `two`,
/// and `more`.
fn storages(more: &str) -> Sandbox {
    let sandbox = Sandbox::new(18);
    let local = |name: &str| {
        let path = sandbox.path(name);
        format!(
            "  - {{ name: {name}, type: local, local: {{ path: '{}' }} }}\n",
            path.display()
        )
    };
    let connection = "host: localhost, port: 5432, database: d, user: u".to_string();
    let app = Entry::new("app", connection)
        .storage("[one, two]")
        .to_yaml();
    let (one, two) = (local("one"), local("two"));
    sandbox.configure(&format!(
        "version: 1\nstorage:\n{one}{two}{more}databases:\n{app}"
    ));
    sandbox
}

fn plant(sandbox: &Sandbox, key: &str, bytes: &[u8]) {
    let path = sandbox.path(key);
    fs::create_dir_all(path.parent().expect("a key has a directory")).expect("make a directory");
    fs::write(path, bytes).expect("write a file");
}

#[test]
fn a_backup_is_one_row_with_all_its_copies_and_each_storage_is_totalled() {
    let sandbox = storages("");
    let at = |storage: &str, day: u32, suffix: &str| {
        format!("{storage}/app/202611{day:02}_020000.000000001Z{suffix}")
    };
    for (storage, day) in [("one", 1), ("one", 2), ("two", 2), ("two", 3)] {
        plant(&sandbox, &at(storage, day, ".dump.gz"), b"four");
    }
    plant(&sandbox, &at("two", 2, ".pin"), b"");
    let text = sandbox.run(&["list"]).exits(0).text();
    let words = |line: &str| {
        line.split_whitespace()
            .map(str::to_string)
            .collect::<Vec<_>>()
    };
    let lines: Vec<Vec<String>> = text.lines().map(words).collect();
    let storages: Vec<&str> = lines[1..4]
        .iter()
        .map(|row| &**row.last().unwrap())
        .collect();
    assert_eq!(storages, ["two", "one,two", "one"]);
    assert!(text.lines().nth(2).unwrap().contains("gz pinned"), "{text}");
    assert!(lines[4].is_empty(), "{text}");
    assert_eq!(lines[5], ["STORAGE", "BACKUPS", "SIZE", "OLDEST"]);
    assert_eq!(lines[6], ["one", "2", "8", "B", "2026-11-01T02:00:00Z"]);
    assert_eq!(lines[7], ["two", "2", "8", "B", "2026-11-02T02:00:00Z"]);

    let output = sandbox.run(&["list", "--json"]).exits(0);
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let both = &document["backups"][1];
    assert_eq!(
        (&both["storage"], &both["pinned"]),
        (&"one".into(), &true.into())
    );
    let copies = [&both["copies"][0], &both["copies"][1]];
    assert_eq!(copies.map(|copy| &copy["storage"]), ["one", "two"]);
    assert_eq!(copies.map(|copy| copy["pinned"] == true), [false, true]);
    let total = &document["storages"][1];
    assert_eq!(
        (&total["storage"], &total["backups"], &total["bytes"]),
        (&"two".into(), &2.into(), &8.into())
    );
    assert_eq!(total["oldest"], "2026-11-02T02:00:00.000000001Z");
}

#[test]
fn a_manifest_is_read_once_a_backup_and_for_the_newest_20_alone() {
    let sandbox = storages("");
    // one that cannot be read says so, which counts the reads
    for day in 1..=25 {
        for suffix in [".dump", ".json"] {
            plant(
                &sandbox,
                &format!("one/app/202611{day:02}_020000.000000001Z{suffix}"),
                b"{",
            );
        }
    }
    let read = |output: &Output| output.stderr.matches("warning: the manifest").count();
    let newest = sandbox.run(&["list", "--json"]).exits(0);
    let document: Value = serde_json::from_slice(&newest.stdout).expect("JSON");
    assert_eq!(document["backups"].as_array().expect("backups").len(), 20);
    assert_eq!(
        document["backups"][0]["id"],
        "app/20261125_020000.000000001Z"
    );
    assert_eq!(
        (&document["older"], &document["storages"][0]["backups"]),
        (&5.into(), &25.into())
    );
    assert_eq!(read(&newest), 20, "{}", newest.stderr);
    assert!(
        newest.stderr.contains("5 older backups are not shown"),
        "{}",
        newest.stderr
    );
    let all = sandbox.run(&["list", "--all"]).exits(0);
    assert_eq!(all.text().lines().count(), 1 + 25 + 1 + 3);
    assert_eq!(read(&all), 20);

    // a second copy is asked only where the first has nothing to say
    let house = house(PLAIN, "lock_timeout: 1m").0;
    let archive = house.back_up("first");
    let manifest = fs::read(archive.manifest_path()).expect("read a manifest");
    let id = archive.id().replace("first/", "app/");
    let sandbox = storages("");
    for (storage, manifest) in [("one", &manifest[..]), ("two", b"{")] {
        plant(&sandbox, &format!("{storage}/{id}.dump"), b"x");
        plant(&sandbox, &format!("{storage}/{id}.json"), manifest);
    }
    let listed = sandbox.run(&["list", "--json"]).exits(0);
    assert_eq!(read(&listed), 0, "{}", listed.stderr);
    fs::write(sandbox.path(&format!("one/{id}.json")), b"{").expect("write it");
    fs::write(sandbox.path(&format!("two/{id}.json")), &manifest).expect("write it");
    let listed = sandbox.run(&["list", "--json"]).exits(0);
    assert_eq!(read(&listed), 1, "{}", listed.stderr);
    let document: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    assert!(document["backups"][0]["sha256"].is_string());
}

#[test]
fn a_storage_that_cannot_be_listed_hides_no_other() {
    let more = "  - { name: more, type: s3, s3: { bucket: b, region: r, access_key: '${NOT_SET}', secret_key: x } }\n";
    let sandbox = storages(more);
    plant(&sandbox, "two/app/20261101_020000.000000001Z.dump", b"x");
    plant(&sandbox, "one", b"a file and no directory");
    let output = sandbox.run(&["list"]).exits(3);
    for warning in [
        "warning: storage one: cannot list ",
        "warning: storage more: ",
        "NOT_SET",
    ] {
        assert!(output.stderr.contains(warning), "{}", output.stderr);
    }
    let text = output.text();
    assert!(text.contains("app/20261101_020000.000000001Z"), "{text}");
    assert!(text.contains("more     ?"), "{text}");
    let output = sandbox.run(&["list", "--json"]).exits(3);
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let statuses = [0, 1, 2].map(|index| &document["storages"][index]["status"]);
    assert_eq!(statuses, ["failed", "ok", "failed"]);
    assert_eq!(document["storages"][2]["error"]["kind"], "usage");
    assert_eq!(document["backups"].as_array().expect("backups").len(), 1);
}

#[test]
fn no_backups_is_no_error_and_an_unknown_name_is() {
    let (sandbox, _database) = house(PLAIN, "lock_timeout: 1m");
    let none = sandbox.run(&["list"]).exits(0);
    assert_eq!(none.text(), "");
    assert!(none.stderr.contains("no backups yet"), "{}", none.stderr);
    assert!(json(&sandbox, &["--db", "first"]).is_empty());
    let unknown = sandbox.run(&["list", "--db", "frist"]).exits(10);
    assert!(
        unknown.stderr.contains("did you mean first?"),
        "{}",
        unknown.stderr
    );
}

#[test]
fn foreign_files_and_writes_in_progress_are_neither_listed_nor_named() {
    let (sandbox, _database) = house(PLAIN, "lock_timeout: 1m");
    let archive = sandbox.back_up("first");
    for foreign in [
        "first/README.txt",
        "first/20261120.dump",
        "first/20261120_020000.123456789Z.dump.gz.tmp",
        "first/20261320_020000.123456789Z.dump.gz",
        "first/20261120_020000.123456789Z.dump.bz2",
        "first/20261120_020000.123456789Z.json",
        "first/deeper/20261120_020000.123456789Z.dump",
        "20261120_020000.123456789Z.dump",
        "lost+found/x",
    ] {
        sandbox.store(foreign, b"whatever");
    }
    let output = sandbox.run(&["list", "--json"]).exits(0);
    assert_eq!(output.stderr, "");
    assert_eq!(ids(&json(&sandbox, &[])), [archive.id()]);
}

#[test]
fn an_archive_without_a_manifest_is_listed_and_restorable() {
    let (sandbox, _database) = house(PLAIN, "lock_timeout: 1m");
    let go = repository().join("tests/archives/0.1.0/go_db/20240229_020000.123456789Z.dump.gz.enc");
    let target = postgres(18).create_database("from_go");
    let entry = Entry::of(&target)
        .named("go_db")
        .shape(Shape::new(true, true));
    sandbox.configure_with("", &[entry]);
    let key = "go_db/20240229_020000.123456789Z.dump.gz.enc";
    sandbox.store(key, &fs::read(go).expect("read a frozen archive"));
    let listed = json(&sandbox, &[]);
    assert_eq!(listed[0]["key"], key);
    assert_eq!(listed[0]["manifest"], false);
    assert_eq!(listed[0]["started_at"], "2024-02-29T02:00:00.123456789Z");
    let text = sandbox.run(&["list"]).exits(0).text();
    assert!(text.contains("go_db/20240229_020000.123456789Z"), "{text}");

    let restored = sandbox.run(&["restore", "--from", "go_db/latest"]).exits(0);
    assert!(restored.stderr.contains("BKENC001"), "{}", restored.stderr);
    assert_eq!(target.sql("SELECT count(*) FROM word"), "3");
}

#[test]
fn backups_of_a_database_that_is_no_longer_configured_are_listed() {
    let (sandbox, database) = house(PLAIN, "lock_timeout: 1m");
    let archive = sandbox.back_up("first");
    sandbox.configure_with("", &[Entry::of(&database).named("second")]);
    assert_eq!(ids(&json(&sandbox, &[])), [archive.id()]);
    assert_eq!(ids(&json(&sandbox, &["--db", "first"])), [archive.id()]);
}

#[test]
fn a_partial_backup_is_marked() {
    let (sandbox, _database) = house(PLAIN, "options: ['-n', 'public']");
    sandbox.back_up("first");
    assert_eq!(json(&sandbox, &[])[0]["partial"], true);
    let text = sandbox.run(&["list"]).exits(0).text();
    assert!(text.contains("plain partial"), "{text}");
}

#[test]
fn a_manifest_that_cannot_be_read_costs_its_details_only() {
    let (sandbox, _database) = house(PLAIN, "lock_timeout: 1m");
    let archive = sandbox.back_up("first");
    for broken in ["", "{", "[]", r#"{"schema":1}"#, r#"{"schema":99}"#] {
        fs::write(archive.manifest_path(), broken).expect("write it");
        let output = sandbox.run(&["list", "--json"]).exits(0);
        assert!(output.stderr.contains("warning:"), "{}", output.stderr);
        let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(document["backups"][0]["id"], archive.id());
        assert!(document["backups"][0]["sha256"].is_null());
    }
}
