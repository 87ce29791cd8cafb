//! `--clean`: what the backup holds is replaced, and nothing else is ever dropped.

use super::{House, PLAIN, says};
use crate::support::clients;
use crate::support::entry::Entry;
use crate::support::postgres::{bin, postgres};
use crate::support::sandbox::Sandbox;
use std::fs;
use std::os::unix::fs::PermissionsExt;

const PARTITIONS: &str = "
    CREATE TABLE part (id int PRIMARY KEY) PARTITION BY RANGE (id);
    CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (1) TO (9); INSERT INTO part VALUES (3);
    CREATE TABLE refers (id int REFERENCES part); INSERT INTO refers VALUES (3);
    CREATE VIEW seen AS SELECT * FROM part";

const CLEAN: [&str; 2] = ["--force", "--clean"];

#[test]
fn partitions_and_their_keys_are_replaced() {
    for (client, server) in [(14, 14), (16, 16), (18, 18), (18, 14)] {
        let server = postgres(server);
        let (source, target) = (server.shop(), server.create_database("target"));
        source.sql(PARTITIONS);
        let sandbox = Sandbox::new(client);
        let entries = [
            Entry::of(&source).named("source"),
            Entry::of(&target).named("target"),
        ];
        let top = format!("bin_dir: '{}'", bin(client).display());
        sandbox.configure_with(&top, &entries);
        sandbox.back_up("source");
        for _ in 0..2 {
            let arguments = ["restore", "--from", "source", "--db", "target"];
            sandbox.run(&[&arguments[..], &CLEAN].concat()).exits(0);
            target.holds_the_same_as(&source);
            target.sql("DELETE FROM refers; INSERT INTO part VALUES (5)");
        }
    }
}

#[test]
fn what_came_to_depend_on_things_in_another_order_is_replaced() {
    let house = House::new(PLAIN);
    house.source.sql("CREATE TABLE a (i int); CREATE TABLE b (i int); CREATE VIEW a_view AS SELECT * FROM b;
        CREATE TYPE mood AS ENUM ('good'); CREATE TABLE moods (m mood); CREATE FUNCTION f(mood) RETURNS int LANGUAGE sql AS 'SELECT 1'");
    house.sandbox.back_up("source");
    house.restore("source", &["--force"]).exits(0);
    house.target.sql("CREATE OR REPLACE VIEW a_view AS SELECT a.i FROM a; ALTER TABLE b ADD x int DEFAULT f('good'), ADD UNIQUE (i);
        ALTER TABLE a ADD FOREIGN KEY (i) REFERENCES b (i); CREATE SEQUENCE s OWNED BY b.x");
    house.restore("source", &CLEAN).exits(0);
    house.target.holds_the_same_as(&house.source);
}

#[test]
fn range_types_keys_of_partitions_and_aggregates_of_nothing_are_replaced() {
    let house = House::new(PLAIN);
    house.source.sql(PARTITIONS);
    house.source.sql(
        "CREATE TYPE span AS RANGE (subtype = int); CREATE TABLE spans (s span);
        CREATE FUNCTION one_more(bigint) RETURNS bigint LANGUAGE sql AS 'SELECT $1 + 1';
        CREATE AGGREGATE rows_of(*) (SFUNC = one_more, STYPE = bigint, INITCOND = 0)",
    );
    house.sandbox.back_up("source");
    house.restore("source", &["--force"]).exits(0);
    for part in [&[][..], &["--table", "part"], &["--jobs", "2"]] {
        let run = [&CLEAN, part].concat();
        house.restore("source", &run).exits(0);
        house.target.holds_the_same_as(&house.source);
    }
}

#[test]
fn what_only_the_target_has_is_named_and_everything_stays() {
    let house = House::new(PLAIN);
    house.source.sql(PARTITIONS);
    house.sandbox.back_up("source");
    house.restore("source", &["--force"]).exits(0);
    for (mine, undo, named) in [
        (
            "CREATE VIEW mine AS SELECT * FROM part",
            "DROP VIEW mine",
            "view public.mine",
        ),
        (
            "CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (10) TO (20)",
            "DROP TABLE part_2 CASCADE; ALTER TABLE refers DROP CONSTRAINT IF EXISTS refers_id_fkey; ALTER TABLE refers ADD FOREIGN KEY (id) REFERENCES part",
            "table public.part_2",
        ),
        (
            "CREATE TABLE mine (id int REFERENCES word)",
            "DROP TABLE mine",
            "constraint mine_id_fkey on table public.mine",
        ),
        (
            "CREATE TABLE mine (w word)",
            "DROP TABLE mine",
            "column w of table public.mine",
        ),
        (
            "CREATE FUNCTION mine(word) RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "DROP FUNCTION mine",
            "function public.mine(",
        ),
        (
            "CREATE TABLE mine (i int) INHERITS (word)",
            "DROP TABLE mine",
            "table public.mine",
        ),
    ] {
        house.target.sql(mine);
        let before = house.target.fingerprint();
        let refused = house.restore("source", &CLEAN).exits(15);
        says(
            &refused,
            &["the target holds what the backup does not", named, "--to"],
        );
        assert_eq!(house.target.fingerprint(), before, "{mine}");
        house.target.sql(undo);
    }
    house.restore("source", &CLEAN).exits(0);
    house.target.holds_the_same_as(&house.source);
}

#[test]
fn what_stands_under_the_same_name_is_replaced_whatever_it_is() {
    let house = House::new(PLAIN);
    house.sandbox.back_up("source");
    house
        .target
        .sql("CREATE VIEW word AS SELECT 1 AS one; CREATE SEQUENCE nothing");
    house.restore("source", &CLEAN).exits(0);
    house.target.holds_the_same_as(&house.source);
}

#[test]
fn names_that_need_quotes_are_replaced_and_are_no_sql() {
    let house = House::new(PLAIN);
    house
        .source
        .sql(r#"CREATE SCHEMA "a ""b"; CREATE TABLE "a ""b"."it's; $clean0$ \ ünï" (i int)"#);
    house.sandbox.back_up("source");
    for _ in 0..2 {
        house.restore("source", &CLEAN).exits(0);
        house.target.holds_the_same_as(&house.source);
    }
}

#[test]
fn clean_over_several_connections_makes_room_first_and_says_that_it_is_not_atomic() {
    let house = House::new(PLAIN);
    house.source.sql(PARTITIONS);
    house.sandbox.back_up("source");
    let arguments = [&CLEAN[..], &["--jobs", "3"]].concat();
    for _ in 0..2 {
        let output = house.restore("source", &arguments).exits(0);
        says(&output, &["not one transaction"]);
        house.target.holds_the_same_as(&house.source);
    }
    // what is refused is refused before anything is dropped
    house.target.sql("CREATE VIEW mine AS SELECT * FROM part");
    let before = house.target.fingerprint();
    let refused = house.restore("source", &arguments).exits(15);
    says(&refused, &["view public.mine"]);
    assert_eq!(house.target.fingerprint(), before);
}

const PUBLISHED: &str = "SELECT string_agg(pubname || ' ' || tablename, ', ' ORDER BY pubname, tablename) FROM pg_publication_tables";

#[test]
fn a_publication_that_only_the_target_has_keeps_its_tables() {
    let house = House::new(PLAIN);
    house.sandbox.back_up("source");
    house.restore("source", &["--force"]).exits(0);
    house.target.sql("CREATE PUBLICATION pub FOR TABLE word");
    let before = house.target.fingerprint();
    let refused = house.restore("source", &CLEAN).exits(15);
    says(
        &refused,
        &[
            "the target holds what the backup does not",
            "word in publication pub",
        ],
    );
    assert_eq!(house.target.fingerprint(), before);
    assert_eq!(house.target.sql(PUBLISHED), "pub word");
}

#[test]
fn a_table_comes_back_into_the_publications_of_the_backup_that_the_target_has() {
    let house = House::new(PLAIN);
    house.source.sql("CREATE TABLE \"a b\" (i int); CREATE PUBLICATION pub FOR TABLE word, \"a b\"; CREATE PUBLICATION \"p q\" FOR TABLE word");
    house.sandbox.back_up("source");
    house.restore("source", &["--force"]).exits(0);
    let all = "p q word, pub a b, pub word";
    assert_eq!(house.target.sql(PUBLISHED), all);
    for table in ["word", "a b"] {
        let arguments = [&CLEAN[..], &["--table", table]].concat();
        house.restore("source", &arguments).exits(0);
        assert_eq!(house.target.sql(PUBLISHED), all);
    }
    house.restore("source", &CLEAN).exits(0);
    assert_eq!(house.target.sql(PUBLISHED), all);
    // a publication that is not there is not what was asked for
    house.target.sql("DROP PUBLICATION \"p q\"");
    for part in [["--table", "word"], ["--schema", "public"]] {
        let arguments = [&CLEAN[..], &part].concat();
        house.restore("source", &arguments).exits(0);
        assert_eq!(house.target.sql(PUBLISHED), "pub a b, pub word");
    }
}

#[test]
fn a_pg_restore_that_lets_archives_run_commands_is_not_used_for_its_script() {
    let house = House::new(PLAIN);
    house.sandbox.back_up("source");
    house.restore("source", &["--force"]).exits(0);
    let directory = clients(&house.sandbox, 18, &["pg_dump", "psql"]);
    let wrapper = directory.join("pg_restore");
    let real = bin(18).join("pg_restore");
    let top = format!("bin_dir: '{}'", directory.display());
    house.configure(PLAIN, &top, "lock_timeout: 10m");
    let before = house.target.fingerprint();
    // as it was, and with a line that an archive's own version number forges
    for edit in [
        r"/^\\\(un\)\?restrict /d",
        r"/^\\unrestrict /d; s/^\(\\restrict .*\)$/-- Dumped from database version x\n\1/",
    ] {
        let script = format!("#!/bin/sh\n'{}' \"$@\" | sed '{edit}'\n", real.display());
        fs::write(&wrapper, script).expect("write it");
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).expect("executable");
        let refused = house.restore("source/latest", &CLEAN).exits(15);
        says(&refused, &["lets an archive run commands", "update"]);
        assert_eq!(house.target.fingerprint(), before);
    }
}

/// psql runs what stands between backquotes behind `\unrestrict`, up to and including 14.23.
#[test]
fn no_command_of_an_archive_reaches_psql() {
    for client in [14, 18] {
        let house = House::on(PLAIN, client);
        house.sandbox.back_up("source");
        house.restore("source", &["--force"]).exits(0);
        let directory = clients(&house.sandbox, client, &["pg_dump", "psql"]);
        let (wrapper, real) = (directory.join("pg_restore"), bin(client).join("pg_restore"));
        let top = format!("bin_dir: '{}'", directory.display());
        house.configure(PLAIN, &top, "lock_timeout: 10m");
        let before = house.target.fingerprint();
        let ran = house.sandbox.path("ran");
        // as if the definition of a table held it
        let command = format!("\\\\unrestrict `touch {}`", ran.display());
        let script = format!(
            "#!/bin/sh\n'{}' \"$@\" | sed 's|^CREATE TABLE public.word|{command}\\n&|'\n",
            real.display()
        );
        fs::write(&wrapper, script).expect("write it");
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).expect("executable");
        let refused = house.restore("source/latest", &CLEAN).exits(15);
        says(&refused, &["a command for psql"]);
        assert!(!ran.exists());
        assert_eq!(house.target.fingerprint(), before);
    }
}
