//! Where a restore goes: another database, one that is made for it, and what would happen there.

use super::{House, PLAIN, SEALED, says};
use crate::support::entry::Entry;
use crate::support::postgres::{Database, Server, bin, postgres};
use crate::support::sandbox::Sandbox;
use crate::support::terminal::on_a_terminal;
use serde_json::Value;
use std::fs;

/// A name that no database on the shared server has.
fn unused(house: &House) -> String {
    format!("{}_new", house.target.name)
}

fn exists(house: &House, name: &str) -> bool {
    let sql = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
    house.target.server.maintenance().sql(&sql) == "1"
}

#[test]
fn a_database_is_made_like_the_one_that_was_dumped_and_holds_the_same() {
    for (client, server) in [(18, 18), (14, 14), (18, 14)] {
        let server = postgres(server);
        let name = format!("latin_{client}");
        server.maintenance().sql(&format!(
            "CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'"
        ));
        let source = Database {
            server,
            name: name.clone(),
        };
        source.sql("CREATE TABLE word AS SELECT 'caf' || chr(233) AS word");
        let sandbox = Sandbox::new(client);
        let top = format!("bin_dir: '{}'", bin(client).display());
        sandbox.configure_with(&top, &[Entry::of(&source).named("app")]);
        sandbox.back_up("app");
        let to = format!("{name}_made");
        let arguments = [
            "restore", "--from", "app", "--to", &to, "--create", "--json",
        ];
        let output = sandbox.run(&arguments).exits(0);
        let summary: Value = serde_json::from_str(&output.text()).expect("JSON");
        assert_eq!(summary["created"], true);
        assert_eq!(summary["compared_tables"], 1);
        let made = Database {
            server,
            name: to.clone(),
        };
        made.holds_the_same_as(&source);
        assert_eq!(made.sql("SHOW server_encoding"), "LATIN1");
        // it is there now, and not empty
        let again = sandbox.run(&arguments).exits(15);
        says(&again, &["not empty", "public.word"]);
    }
}

#[test]
fn a_database_that_was_made_is_dropped_again_where_the_restore_fails() {
    let house = House::new(PLAIN);
    let archive = house.sandbox.back_up("source");
    let name = unused(&house);
    // damage that shows only at the very end
    let mut bytes = archive.bytes();
    let length = bytes.len();
    bytes.truncate(length - 3);
    fs::write(&archive.path, &bytes).expect("write it");
    fs::remove_file(archive.checksum_path()).expect("it has a checksum");
    let arguments = ["restore", "--from", "source", "--to", &name, "--create"];
    let failed = house.sandbox.run(&arguments).exits(13);
    says(&failed, &["dropped the database"]);
    assert!(!exists(&house, &name));
}

#[test]
fn without_create_a_database_that_is_missing_stays_so() {
    let house = House::new(PLAIN);
    house.sandbox.back_up("source");
    let name = unused(&house);
    let failed = house
        .sandbox
        .run(&["restore", "--from", "source", "--to", &name])
        .exits(10);
    says(&failed, &[&name, "does not exist"]);
    assert!(!exists(&house, &name));
}

#[test]
fn nothing_is_restored_into_what_every_new_database_is_copied_from() {
    let server = Server::start(18, &[]);
    let source = postgres(18).create_database("source");
    source.sql("CREATE TABLE word AS SELECT 1 AS one");
    let sandbox = Sandbox::new(18);
    let configured = Entry::of(&server.create_database("target")).named("target");
    sandbox.configure_with("", &[Entry::of(&source).named("source"), configured]);
    sandbox.back_up("source");
    let words = [
        "restore", "--from", "source", "--db", "target", "--force", "--clean", "--yes",
    ];
    for name in ["template0", "template1"] {
        for more in [&["--create"][..], &[], &["--dry-run"]] {
            let refused = sandbox.run(&[&words, &["--to", name][..], more].concat());
            says(&refused.exits(15), &[name, "--to NAME --create"]);
        }
    }
    let tables = "SELECT count(*) FROM pg_class WHERE relname = 'word'";
    assert_eq!(server.create_database("new").sql(tables), "0");
}

#[test]
fn the_next_older_backup_is_named_where_this_one_is_damaged() {
    let house = House::new(SEALED);
    let older = house.sandbox.back_up("source");
    let newer = house.sandbox.back_up("source");
    let mut bytes = newer.bytes();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&newer.path, &bytes).expect("write it");
    let command = format!("backupkit restore --from {}", older.id());
    house.refuses("source/latest", &["--force"], 13, &[&command]);
    // and there is nothing older than the oldest
    fs::write(&older.path, &bytes).expect("write it");
    let failed = house.restore(&older.id(), &["--force"]).exits(13);
    assert!(!failed.stderr.contains("next older"), "{}", failed.stderr);
}

#[test]
fn a_dry_run_tells_what_would_happen_and_changes_nothing() {
    let server = Server::start(18, &[]);
    let source = postgres(18).create_database("source");
    let role = postgres(18).create_role("owner_of_all");
    source.sql(&format!(
        "CREATE TABLE word AS SELECT 1 AS one; ALTER TABLE word OWNER TO {role}; CREATE VIEW v AS SELECT * FROM word"
    ));
    let target = server.create_database("target");
    let sandbox = Sandbox::new(18);
    let entries = [
        Entry::of(&source).named("source"),
        Entry::of(&target).named("target"),
    ];
    sandbox.configure_with("", &entries);
    let archive = sandbox.back_up("source");
    let before = target.fingerprint();
    let dry = [
        "restore",
        "--from",
        "source",
        "--db",
        "target",
        "--force",
        "--dry-run",
    ];
    // the role is missing on that server, which the restore would fail for
    let refused = sandbox.run(&dry).exits(1);
    says(&refused, &["no role", "CREATE ROLE", "--no-owner"]);
    let text = refused.text();
    for word in [
        &*target.name,
        &archive.id(),
        &role,
        "PostgreSQL 18",
        "pg_restore 18",
        "everything is as before",
    ] {
        assert!(text.contains(word), "no {word}: {text}");
    }
    let made = [
        &dry[..],
        &["--to", "made", "--create", "--json", "--jobs", "2"],
    ]
    .concat();
    let json = sandbox.run(&made).exits(1).text();
    let json: Value = serde_json::from_str(json.lines().next().expect("a line")).expect("JSON");
    assert_eq!(json["creates"], true);
    assert_eq!(json["relations"], 2);
    assert_eq!(json["missing_roles"], serde_json::json!([role]));
    assert_eq!(json["stored_bytes"], archive.bytes().len());
    assert_eq!(json["plain_bytes"], archive.manifest()["dump"]["bytes"]);
    assert_eq!(json["server_major"], 18);
    assert_eq!(target.fingerprint(), before);
    let databases = "SELECT count(*) FROM pg_database WHERE datname = 'made'";
    assert_eq!(target.sql(databases), "0");
    // what would be refused is
    let unowned = [&dry[..], &["--no-owner"]].concat();
    says(&sandbox.run(&unowned).exits(0), &[]);
    target.sql("CREATE TABLE mine (i int)");
    says(&sandbox.run(&dry).exits(15), &["not empty"]);
}

#[test]
fn options_that_do_not_go_together_are_refused_before_anything_is_read() {
    let house = House::new(PLAIN);
    for more in [
        &["--data-only", "--schema-only"][..],
        &["--clean", "--data-only"],
        &["--backup-first"],
        &["--backup-first", "--clean", "--to", "x"],
        &["--disable-triggers"],
        &["--allow-create-in-dump"],
        &["--jobs", "1"],
        &["--jobs", "many"],
    ] {
        house.restore("source", more).exits(2);
    }
}

#[test]
fn what_a_terminal_is_asked_names_the_target_and_only_yes_goes_on() {
    let house = House::new(PLAIN);
    house.sandbox.back_up("source");
    house.target.sql("CREATE TABLE word (mine text)");
    let before = house.target.fingerprint();
    let restore = |more: &[&str], answers: &[(&str, &str)]| {
        let words = [
            "restore", "--from", "source", "--db", "target", "--force", "--clean",
        ];
        on_a_terminal(&house.sandbox, &[&words, more].concat(), answers)
    };
    const QUESTION: &str = "Type yes to go on:";
    let asked = restore(&[], &[(QUESTION, "no")]).exits(15);
    let shown = format!(
        "127.0.0.1:{}/{}",
        house.target.server.port, house.target.name
    );
    assert!(asked.text().contains(&shown), "{}", asked.text());
    let shown = asked.text();
    let (_, waiting) = shown.split_once(QUESTION).expect("it is asked");
    assert!(!waiting.contains("looking at"), "{waiting}");
    let begun = format!("restoring {}", house.target.name);
    assert!(!asked.text().contains(&begun), "{}", asked.text());
    assert_eq!(house.target.fingerprint(), before);
    restore(&[], &[(QUESTION, "yes")]).exits(0);
    house.target.holds_the_same_as(&house.source);
    let unasked = restore(&["--yes"], &[]).exits(0);
    assert!(!unasked.text().contains(QUESTION), "{}", unasked.text());
}

#[test]
fn what_clean_replaces_is_backed_up_and_pinned_first() {
    let house = House::new(SEALED);
    house.sandbox.back_up("source");
    house
        .target
        .sql("CREATE TABLE word AS SELECT 'mine' AS word");
    let clean = ["--force", "--clean", "--backup-first"];
    house.restore("source", &clean).exits(0);
    let list = house
        .sandbox
        .run(&["list", "--db", "target", "--json"])
        .exits(0);
    let list: Value = serde_json::from_str(&list.text()).expect("JSON");
    let backups = list["backups"].as_array().expect("an array");
    assert_eq!(backups.len(), 1, "{list}");
    assert_eq!(backups[0]["pinned"], true);
    // whoever wants the latest backup does not mean that one
    says(
        &house.restore("target", &["--clean"]).exits(10),
        &["passing over target/", "made before a restore"],
    );
    // but by its name it brings back what was there
    let kept = backups[0]["id"].as_str().expect("a name");
    house.restore(kept, &["--clean"]).exits(0);
    assert_eq!(house.target.sql("SELECT word FROM word"), "mine");

    // where the restore would be refused none is made
    house
        .target
        .sql("CREATE VIEW in_the_way AS SELECT * FROM word");
    says(&house.restore("source", &clean).exits(15), &["in_the_way"]);
    house.target.sql("DROP VIEW in_the_way");
    let list = house.sandbox.run(&["list", "--db", "target"]).exits(0);
    assert_eq!(list.text().matches("target/").count(), 1, "{}", list.text());

    // where it cannot be made nothing is dropped
    let before = house.target.fingerprint();
    let storage = house.sandbox.path("storage/target");
    fs::remove_dir_all(&storage).expect("remove it");
    fs::write(&storage, "in the way").expect("write it");
    let failed = house.restore("source", &clean).exits(1);
    says(&failed, &["cannot back up target first"]);
    assert_eq!(house.target.fingerprint(), before);
}
