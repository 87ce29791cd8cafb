//! Archives of a part of a database, by pg_dump's own options: what they lack is told before anything is made.

use super::{House, PLAIN, says};
use crate::support::postgres::Database;
use crate::support::program;
use std::fs;

/// An archive of the source by these options of pg_dump, as the file `part`.
fn dump(house: &House, options: &[&str]) {
    let mut command = house.source.server.client("pg_dump");
    command
        .arg("--format=custom")
        .args(options)
        .arg(&house.source.name);
    let archive = program::run(command, "").exits(0).stdout;
    fs::write(house.sandbox.path("part"), archive).expect("write it");
}

#[test]
fn rows_alone_are_refused_a_new_database_and_go_into_the_tables_that_are_there() {
    let house = House::new(PLAIN);
    dump(&house, &["--data-only"]);
    let create = ["--to", "of_rows_alone", "--create"];
    for dry in [&["--dry-run"][..], &[]] {
        let refused = house
            .restore("./part", &[&create[..], dry].concat())
            .exits(1);
        says(
            &refused,
            &[
                "the rows of public.nothing, public.word and no such table",
                "--data-only",
            ],
        );
        assert!(
            !refused.stderr.contains("created the database"),
            "{}",
            refused.stderr
        );
    }
    let empty = house.restore("./part", &["--data-only"]).exits(1);
    says(
        &empty,
        &["the target has no table", "the backup holds rows alone"],
    );
    house
        .target
        .sql("CREATE TABLE word (id int PRIMARY KEY, word text); CREATE TABLE nothing (id int)");
    let full = house.restore("./part", &[]).exits(15);
    says(
        &full,
        &["hint: the backup holds rows alone: add them", "--data-only"],
    );
    house.restore("./part", &["--data-only"]).exits(0);
    house.target.holds_the_same_as(&house.source);
}

#[test]
fn a_table_without_its_schema_is_told_with_the_schema_that_is_to_be_made() {
    let house = House::new(PLAIN);
    house
        .source
        .sql("CREATE SCHEMA \"a b\"; CREATE TABLE \"a b\".t AS SELECT 1 AS one");
    dump(&house, &["--table", "\"a b\".t"]);
    for more in [&[][..], &["--to", "of_one_table", "--create"]] {
        let refused = house.restore("./part", more).exits(1);
        says(
            &refused,
            &[
                "in the schema a b and not the schema itself",
                "CREATE SCHEMA \"a b\"",
            ],
        );
        assert!(
            !refused.stderr.contains("created the database"),
            "{}",
            refused.stderr
        );
    }
    house.target.sql("CREATE SCHEMA \"a b\"");
    house.restore("./part", &[]).exits(0);
    assert_eq!(house.target.sql("SELECT one FROM \"a b\".t"), "1");
    // one of the schema public needs nothing
    dump(&house, &["--table", "word"]);
    house
        .restore("./part", &["--to", "of_a_word", "--create"])
        .exits(0);
    let made = Database {
        server: house.source.server,
        name: "of_a_word".into(),
    };
    assert_eq!(made.sql("SELECT count(*) FROM word"), "1000");
}
