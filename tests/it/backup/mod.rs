//! What `backup` promises: its lines and statuses, what lies on the storage afterwards, and who else accepts it.

mod manifest;
mod reach;

use crate::support::archive::{decode, sha256};
use crate::support::entry::Entry;
use crate::support::opened::Opened;
use crate::support::postgres::{Database, postgres};
use crate::support::sandbox::{ENCRYPTION_PASSWORD, SHAPES, Sandbox, Shape};
use backupkit::format::encoding::Codec;
use rustix::fs::{FlockOperation, flock};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const PLAIN: Shape = Shape::new(false, false);
const SEALED: Shape = Shape::new(true, true);

/// A database of two tables, one of them empty.
fn small(major: u32) -> Database<'static> {
    let database = postgres(major).create_database("small");
    database.sql(
        "CREATE TABLE word (id int, word text); CREATE TABLE nothing (id int);
         INSERT INTO word SELECT n, 'word ' || n FROM generate_series(1, 1000) AS n",
    );
    database
}

fn json_lines(text: &str) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).expect("each line is JSON");
    text.lines().map(parse).collect()
}

#[test]
fn a_line_says_name_state_bytes_place_and_duration() {
    let (sandbox, database) = (Sandbox::new(18), small(18));
    sandbox.configure_for(&[&database], SEALED);
    let output = sandbox.run(&["backup"]).exits(0);
    let text = output.text();
    let fields: Vec<&str> = text.trim_end().split('\t').collect();
    let [name, state, bytes, place, took] = fields[..] else {
        panic!("{text:?}");
    };
    assert_eq!((name, state), (database.name.as_str(), "ok"));
    assert!(place.starts_with('/'), "{place}");
    let stored = fs::metadata(place).expect("it is there").len();
    assert_eq!(bytes, stored.to_string());
    assert!(took.starts_with(|first: char| first.is_ascii_digit()));
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn json_lines_tell_each_database_and_end_with_a_summary() {
    let (sandbox, database) = (Sandbox::new(18), small(18));
    let missing = Entry::of(&database).named("missing").connection(&format!(
        "host: '{}', port: {}, database: no_such_database, user: postgres",
        database.server.directory.display(),
        database.server.port
    ));
    sandbox.configure_with("", &[missing, Entry::of(&database).shape(SEALED)]);
    let lines = json_lines(&sandbox.run(&["backup", "--json"]).exits(3).text());
    let [failed, ok, summary] = &lines[..] else {
        panic!("{lines:#?}");
    };

    assert_eq!(failed["type"], "backup");
    assert_eq!(
        (&failed["database"], &failed["status"]),
        (&"missing".into(), &"failed".into())
    );
    let error = &failed["error"];
    assert!(
        error["message"]
            .as_str()
            .unwrap_or("")
            .contains("no_such_database"),
        "{failed}"
    );
    assert!(
        error["exit_status"].is_u64() && error["kind"].is_string(),
        "{failed}"
    );

    assert_eq!(
        (&ok["type"], &ok["status"]),
        (&"backup".into(), &"ok".into())
    );
    let place = ok["destination"].as_str().expect("a destination");
    let stored = fs::read(place).expect("it is there");
    assert_eq!(ok["bytes"], stored.len());
    assert_eq!(ok["sha256"], sha256(&stored));
    assert!(place.ends_with(ok["key"].as_str().expect("a key")));
    for time in ["started_at", "finished_at"] {
        let time = ok[time].as_str().expect("a time");
        assert!(time.ends_with('Z') && time.contains('T'), "{time}");
    }

    assert_eq!(summary["type"], "summary");
    assert_eq!((&summary["ok"], &summary["failed"]), (&1.into(), &1.into()));
    assert_eq!(summary["bytes"], stored.len());
}

#[test]
fn one_failure_of_several_exits_3_and_stops_nothing_and_failing_all_exits_1() {
    let (sandbox, database) = (Sandbox::new(18), small(18));
    let gone = |name: &str, database: &str| {
        Entry::of(&small(18)).named(name).connection(&format!(
            "host: 127.0.0.1, port: 1, database: {database}, user: postgres, password: x"
        ))
    };
    let entries = [gone("first", "a"), Entry::of(&database), gone("last", "b")];
    sandbox.configure_with("", &entries);

    let output = sandbox.run(&["backup"]).exits(3);
    let states: Vec<Vec<String>> = output
        .text()
        .lines()
        .map(|line| line.split('\t').take(2).map(String::from).collect())
        .collect();
    assert_eq!(
        states,
        [
            ["first", "failed"],
            [&database.name, "ok"],
            ["last", "failed"]
        ]
    );
    assert_eq!(
        sandbox.files("storage/first"),
        [".lock", "last-failure.json"]
    );
    sandbox
        .run(&["backup", "--db", "first", "--db", "last"])
        .exits(1);
    sandbox.run(&["backup", "--db", "first"]).exits(1);
    sandbox.run(&["backup", "--db", "nobody"]).exits(10);
}

#[test]
fn a_name_given_twice_is_backed_up_once() {
    let (sandbox, database) = (Sandbox::new(18), small(18));
    sandbox.configure_for(&[&database], PLAIN);
    let name = &database.name;
    let output = sandbox
        .run(&["backup", "--db", name, "--db", name])
        .exits(0);
    assert_eq!(output.text().lines().count(), 1);
}

#[test]
fn nobody_else_can_read_what_is_stored() {
    let (sandbox, database) = (Sandbox::new(18), small(18));
    sandbox.configure_for(&[&database], PLAIN);
    let archive = sandbox.back_up(&database.name);
    let mode = |path: &Path| {
        let metadata = fs::metadata(path).expect("it is there");
        metadata.permissions().mode() & 0o7777
    };
    for file in [
        &archive.path,
        &archive.checksum_path(),
        &archive.manifest_path(),
    ] {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    assert_eq!(mode(&sandbox.path("storage")), 0o700);
    assert_eq!(mode(&sandbox.path("storage").join(&database.name)), 0o700);
    // and there is nothing else
    assert_eq!(
        sandbox.files("storage").len(),
        4,
        "{:?}",
        sandbox.files("storage")
    );
}

#[test]
fn the_usual_tools_accept_what_is_stored() {
    let (sandbox, database) = (Sandbox::new(18), small(18));
    for shape in SHAPES {
        sandbox.configure_for(&[&database], shape);
        let archive = sandbox.back_up(&database.name);
        let file = archive.path.display();
        let checked = sandbox
            .shell(&format!(
                "cd $(dirname {file}) && sha256sum -c --strict {file}.sha256"
            ))
            .exits(0);
        assert_eq!(checked.text().lines().count(), 1);
        let list = match (shape.codec, shape.encrypted) {
            (Codec::None, false) => format!("pg_restore -l {file}"),
            (Codec::Gzip, false) => format!("gzip -t {file} && gzip -dc {file} | pg_restore -l"),
            (Codec::Zstd, false) => format!("zstd -qt {file} && zstd -dc {file} | pg_restore -l"),
            (_, true) => {
                let decoded = decode(&archive.path, ENCRYPTION_PASSWORD).exits(0);
                assert!(decoded.stderr.contains(&archive.id()), "{}", decoded.stderr);
                fs::write(sandbox.path("decoded"), decoded.stdout).expect("write it");
                "pg_restore -l decoded".to_string()
            }
        };
        let list = sandbox.shell(&list).exits(0).text();
        assert!(list.contains("TABLE DATA public word"), "{shape:?}: {list}");
    }
}

#[test]
fn two_runs_of_one_database_do_not_overlap() {
    let (sandbox, database) = (Sandbox::new(18), small(18));
    sandbox.configure_for(&[&database], PLAIN);
    let first = sandbox.back_up(&database.name);
    let lock_path = first.path.with_file_name(".lock");
    let lock = fs::File::open(&lock_path).expect("the lock is a file");
    flock(&lock, FlockOperation::LockExclusive).expect("nobody holds it");

    let refused = sandbox.run(&["backup"]).exits(11);
    assert!(refused.text().contains("\tfailed\t"));
    assert!(refused.stderr.contains("--lock-wait"), "{}", refused.stderr);
    sandbox.run(&["backup", "--lock-wait", "1s"]).exits(11);

    let opened = Opened::watch(&lock_path);
    let waiting = sandbox.start(&["backup", "--lock-wait=2m"]);
    opened.wait();
    drop(lock);
    waiting.wait().exits(0);
}

#[test]
fn a_table_that_is_held_fails_the_backup_and_names_who_holds_it() {
    let (sandbox, database) = (Sandbox::new(18), small(18));
    sandbox.configure_with("", &[Entry::of(&database).backup("lock_timeout: 1s")]);
    let holder = database.hold("word");
    let failed = sandbox.run(&["backup"]).exits(1);
    assert!(
        failed.stderr.contains("the one in the way") && failed.stderr.contains("lock_timeout"),
        "{}",
        failed.stderr
    );
    assert_eq!(
        sandbox.files("storage"),
        [".lock", "last-failure.json"].map(|name| format!("{}/{name}", database.name))
    );
    drop(holder);
    sandbox.back_up(&database.name);
}

#[test]
fn options_that_would_break_the_stream_are_refused_by_name() {
    let (sandbox, database) = (Sandbox::new(18), small(18));
    for (option, name) in [
        ("--format=plain", "--format"),
        ("-Fp", "--format"),
        ("--file=/tmp/x", "--file"),
        ("-j4", "--jobs"),
        ("-Z9", "--compress"),
        ("--create", "--create"),
        ("--inserts", "--inserts"),
        ("--dbname=postgres://u:canary@h/d", "--dbname"),
    ] {
        sandbox.configure_with(
            "",
            &[Entry::of(&database).backup(&format!("options: ['{option}']"))],
        );
        let refused = sandbox.run(&["backup"]).exits(2);
        assert!(refused.stderr.contains(name), "{}", refused.stderr);
        assert!(!refused.stderr.contains("canary"), "{}", refused.stderr);
        assert!(!sandbox.path("storage").exists());
    }
}

#[test]
fn backups_pile_up_and_never_replace_each_other() {
    let (sandbox, database) = (Sandbox::new(18), small(18));
    sandbox.configure_for(&[&database], PLAIN);
    let first = sandbox.back_up(&database.name);
    let before = first.bytes();
    let second = sandbox.back_up(&database.name);
    assert_ne!(first.path, second.path);
    assert_eq!(first.bytes(), before);
}
