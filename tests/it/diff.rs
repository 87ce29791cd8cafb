//! What `diff` promises: what became of each table between two backups, from their manifests alone.

use crate::support::archive::Archive;
use crate::support::entry::Entry;
use crate::support::postgres::{Database, postgres};
use crate::support::sandbox::{Sandbox, Shape};
use serde_json::Value;
use std::fs;

fn house(shape: Shape) -> (Sandbox, Database<'static>) {
    let (sandbox, database) = (Sandbox::new(18), postgres(18).create_database("differs"));
    database.sql(
        "CREATE TABLE grew AS SELECT generate_series(1, 10) AS n;
         CREATE TABLE shrank AS SELECT generate_series(1, 10) AS n;
         CREATE TABLE halved AS SELECT generate_series(1, 10) AS n;
         CREATE TABLE changed AS SELECT generate_series(1, 10) AS n;
         CREATE TABLE same AS SELECT generate_series(1, 10) AS n;
         CREATE TABLE vanished AS SELECT 1 AS n;",
    );
    sandbox.configure_with("", &[Entry::of(&database).named("app").shape(shape)]);
    (sandbox, database)
}

/// One backup before and one after everything has changed, and what the second one said.
fn two(sandbox: &Sandbox, database: &Database<'_>) -> (Archive, Archive, Value) {
    let before = sandbox.back_up("app");
    database.sql(
        "INSERT INTO grew VALUES (11);
         DELETE FROM shrank WHERE n > 4;
         DELETE FROM halved WHERE n > 5;
         UPDATE changed SET n = 0 WHERE n = 7;
         DROP TABLE vanished;
         CREATE TABLE appeared AS SELECT 1 AS n;",
    );
    let output = sandbox.run(&["backup", "--json"]).exits(0);
    let text = output.text();
    let line = text.lines().next().expect("a line for the database");
    let said: Value = serde_json::from_str(line).expect("JSON");
    let path = said["destination"].as_str().expect("a destination").into();
    (before, Archive { path }, said)
}

#[test]
fn what_has_no_rows_of_its_own_is_counted_by_its_kind() {
    let (sandbox, database) = house(Shape::new(false, false));
    let before = sandbox.back_up("app");
    database.sql(
        "CREATE MATERIALIZED VIEW computed AS SELECT * FROM grew; CREATE VIEW seen AS SELECT * FROM same;
         CREATE VIEW seen_too AS SELECT * FROM seen",
    );
    sandbox.back_up("app");
    let both = [before.id(), "app/latest".to_string()];
    let diff = sandbox.run(&["diff", "--json", &both[0], &both[1]]);
    let diff: Value = serde_json::from_slice(&diff.exits(0).stdout).expect("JSON");
    assert_eq!(diff["tables"], serde_json::json!([]));
    assert_eq!(
        diff["objects"],
        serde_json::json!({
            "MATERIALIZED VIEW": {"before": 0, "after": 1},
            "MATERIALIZED VIEW DATA": {"before": 0, "after": 1},
            "VIEW": {"before": 0, "after": 2},
        })
    );
    let text = sandbox.run(&["diff", &both[0], &both[1]]).exits(0).text();
    assert!(text.contains("2 VIEW instead of 0"), "{text}");
    let same = sandbox.run(&["diff", &both[1], &both[1]]).exits(0).text();
    assert!(!same.contains("objects"), "{same}");
}

#[test]
fn what_became_of_each_table_is_told_without_reading_an_archive() {
    for shape in [Shape::new(true, false), Shape::new(true, true)] {
        let (sandbox, database) = house(shape);
        let (before, after, said) = two(&sandbox, &database);
        for archive in [&before, &after] {
            fs::write(&archive.path, "not an archive any more").expect("write an archive");
        }
        let diff = sandbox
            .run(&["diff", "--json", &before.id(), "app/latest"])
            .exits(0);
        let diff: Value = serde_json::from_slice(&diff.stdout).expect("JSON");
        assert_eq!(diff["before"], before.id());
        assert_eq!(diff["after"], after.id());
        assert_eq!(diff["same"], 1);
        let tables = diff["tables"].as_array().expect("tables").iter();
        let told: Vec<String> = tables
            .map(|table| {
                let rows = |side: &str| table[side]["rows"].to_string();
                let word = |key: &str| table[key].as_str().expect("a word").to_string();
                format!(
                    "{} {} {} {}",
                    word("name"),
                    word("change"),
                    rows("before"),
                    rows("after")
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                "appeared appeared null 1",
                "changed changed 10 10",
                "grew grew 10 11",
                "halved shrank 10 5",
                "shrank shrank 10 4",
                "vanished vanished 1 null",
            ]
        );
        let text = sandbox
            .run(&["diff", &before.id(), &after.id()])
            .exits(0)
            .text();
        assert!(
            text.contains("public.shrank    shrank    10    4"),
            "{text}"
        );
        let same = sandbox
            .run(&["diff", &after.id(), &after.id()])
            .exits(0)
            .text();
        assert_eq!(same, "no table differs; 6 the same\n");

        // what lost more than half is a warning of the backup
        let warnings: Vec<&str> = said["warnings"]
            .as_array()
            .expect("warnings")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        assert_eq!(
            warnings,
            [
                "public.shrank has 4 rows, the backup before has 10",
                "public.vanished is gone, the backup before has 1 rows of it"
            ]
        );
    }
}

#[test]
fn a_sealed_manifest_takes_its_password_and_a_backup_without_one_is_told() {
    let (sandbox, database) = house(Shape::new(true, true));
    let (before, after, _) = two(&sandbox, &database);
    let sandbox = sandbox.with("BACKUPKIT_ENC_PASSWORD", "wrong");
    sandbox.run(&["diff", &before.id(), &after.id()]).exits(12);
    let sandbox = sandbox.with("BACKUPKIT_ENC_PASSWORD", "correct horse");
    fs::remove_file(before.manifest_path()).expect("remove a file");
    let told = sandbox
        .run(&["diff", &before.id(), &after.id()])
        .exits(1)
        .stderr;
    assert!(told.contains("has no manifest"), "{told}");
    let path = after.path.to_str().expect("UTF-8");
    sandbox.run(&["diff", &after.id(), path]).exits(2);
}
