//! What `list` promises: every backup there is, newest first, and nothing else.

use crate::support::entry::Entry;
use crate::support::postgres::{Database, postgres};
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
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        lines[0],
        ["BACKUP", "AGE", "SIZE", "RATIO", "TOOK", "KIND", "STORAGE"]
    );
    let shown: Vec<&str> = lines[1..].iter().map(|line| line[0]).collect();
    assert_eq!(shown, [new.id(), old.id(), other.id()]);
    let kinds: Vec<&str> = lines[1..].iter().map(|line| line[line.len() - 2]).collect();
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
