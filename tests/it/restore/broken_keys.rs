//! A database whose rows break its own keys: a restore says whose fault that is, and brings it back where that is asked for.

use super::{House, PLAIN, says};
use crate::support::entry::Entry;
use crate::support::postgres::postgres;
use serde_json::Value;

/// An orphan in a table and one in a partition, and rows that are there twice though a unique index is over them.
const BROKEN: &str = r#"
    CREATE TABLE p (id int PRIMARY KEY, v text);
    CREATE TABLE c (id int PRIMARY KEY, p int CONSTRAINT "c's $1$ key" REFERENCES p);
    COMMENT ON CONSTRAINT "c's $1$ key" ON c IS 'a key';
    CREATE TABLE whole (id int PRIMARY KEY, p int REFERENCES p);
    CREATE TABLE "part ed" (id int, p int) PARTITION BY LIST (id);
    CREATE TABLE part1 PARTITION OF "part ed" FOR VALUES IN (1);
    ALTER TABLE "part ed" ADD CONSTRAINT part_fk FOREIGN KEY (p) REFERENCES p;
    INSERT INTO p VALUES (1, 'a'); INSERT INTO whole VALUES (1, 1);
    SET session_replication_role = replica;
    INSERT INTO c VALUES (1, 1), (2, 7); INSERT INTO "part ed" VALUES (1, 9);
    RESET session_replication_role;
    CREATE TABLE twice (id int, v text); INSERT INTO twice VALUES (1, 'a');
    CREATE UNIQUE INDEX twice_v ON twice (v); ALTER TABLE twice ADD CONSTRAINT twice_key UNIQUE (id);
    COMMENT ON INDEX twice_v IS 'an index'; COMMENT ON CONSTRAINT twice_key ON twice IS 'a key';
    CREATE TABLE unchecked (p int); ALTER TABLE unchecked ADD FOREIGN KEY (p) REFERENCES p NOT VALID;
    CREATE TABLE of_twice (id int CONSTRAINT of_twice_fk REFERENCES twice (id)); INSERT INTO of_twice VALUES (1);
    UPDATE pg_index SET indislive = false, indisready = false, indisvalid = false WHERE indrelid = 'twice'::regclass"#;
/// In a session that does not know the indexes yet.
const TWICE: &str = "INSERT INTO twice VALUES (1, 'a');
    UPDATE pg_index SET indislive = true, indisready = true, indisvalid = true WHERE indrelid = 'twice'::regclass";
const KEYS: &str = "SELECT string_agg(conname || ' ' || convalidated, ', ' ORDER BY conname) FROM pg_constraint
    WHERE conrelid IN ('c'::regclass, 'whole'::regclass, '\"part ed\"'::regclass, 'twice'::regclass, 'of_twice'::regclass)
      AND contype IN ('f', 'u')";

#[test]
fn rows_that_break_their_keys_come_back_where_that_is_asked_for() {
    for (major, partitioned) in [(14, "left out"), (18, "NOT VALID")] {
        let house = House::on(PLAIN, major);
        house.source.sql(BROKEN);
        house.source.sql(TWICE);
        assert_eq!(house.source.sql("SELECT count(*) FROM twice"), "2");
        house.sandbox.back_up("source");
        let refused: &[&str] = &[
            "of the backup",
            "as those of the database did",
            "--allow-broken-keys",
        ];
        house.refuses("source", &["--force"], 1, refused);

        let partition_key = match major {
            14 => "",
            _ => "part_fk false, ",
        };
        let keys = format!("c's $1$ key false, {partition_key}whole_p_fkey true");
        let said = |name: &str, fate: &str| format!("{name} ({fate})");
        let expected = [
            said("key public.twice twice_key", "left out"),
            said("index public.twice_v", "left out"),
            said("foreign key public.c c's $1$ key", "NOT VALID"),
            said("foreign key public.of_twice of_twice_fk", "left out"),
            said("foreign key public.part ed part_fk", partitioned),
        ];
        for way in [
            &[][..],
            &["--clean"],
            &["--clean", "--no-single-transaction"],
            &["--clean", "--jobs", "2"],
        ] {
            let options = [&["--force", "--json", "--allow-broken-keys"], way].concat();
            let output = house.restore("source", &options).exits(0);
            says(&output, &["the rows of the backup break"]);
            let summary: Value = serde_json::from_str(&output.text()).expect("JSON");
            let mut told: Vec<&str> = summary["broken_keys"]
                .as_array()
                .expect("a list")
                .iter()
                .filter_map(Value::as_str)
                .collect();
            told.sort_unstable();
            let mut expected = expected.clone();
            expected.sort_unstable();
            assert_eq!(told, expected, "{major} {way:?}");
            assert_eq!(house.target.sql(KEYS), keys, "{major} {way:?}");
            assert_eq!(house.target.sql("SELECT count(*) FROM c"), "2");
            assert_eq!(house.target.sql("SELECT count(*) FROM twice"), "2");
            let comment =
                "SELECT obj_description(oid) FROM pg_constraint WHERE conname ~ '[$]1[$]'";
            assert_eq!(house.target.sql(comment), "a key");
        }
        // it did not come back as it was, so it is no proof of the backup; and a drill says what a restore would
        let drilled = house
            .sandbox
            .run(&["verify", "source", "--level", "restore"])
            .exits(13);
        says(&drilled, &["does not restore", "its own rows break a key"]);
    }
}

#[test]
fn a_backup_whose_keys_hold_is_the_same_with_and_without() {
    let house = House::new(PLAIN);
    let source = postgres(18).shop();
    house.sandbox.configure_with(
        "",
        &[
            Entry::of(&source).named("source"),
            Entry::of(&house.target).named("target"),
        ],
    );
    house.sandbox.back_up("source");
    for way in [&[][..], &["--clean", "--jobs", "4"]] {
        let options = [&["--force", "--json", "--allow-broken-keys"], way].concat();
        let output = house.restore("source", &options).exits(0);
        let summary: Value = serde_json::from_str(&output.text()).expect("JSON");
        assert_eq!(summary["broken_keys"], Value::Array(vec![]));
        house.target.holds_the_same_as(&source);
    }
}

#[test]
fn a_check_whose_function_has_changed_is_left_out_as_the_runbook_says() {
    let house = House::new(PLAIN);
    house.source.sql(
        "CREATE FUNCTION small(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 < 10';
         CREATE TABLE k (id int PRIMARY KEY, n int CONSTRAINT is_small CHECK (small(n))); INSERT INTO k VALUES (1, 5);
         CREATE TABLE f (k int REFERENCES k); INSERT INTO f VALUES (1);
         CREATE OR REPLACE FUNCTION small(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 < 4'",
    );
    house.sandbox.back_up("source");
    house.refuses(
        "source",
        &["--force"],
        1,
        &[
            "breaks this check",
            "THE ROWS BREAK A KEY in backupkit-runbook(7)",
        ],
    );
    house
        .restore("source", &["--force", "--schema-only"])
        .exits(0);
    house.target.sql("ALTER TABLE k DROP CONSTRAINT is_small");
    house
        .restore("source", &["--force", "--data-only", "--disable-triggers"])
        .exits(0);
    assert_eq!(house.target.sql("SELECT k.*, f.* FROM k, f"), "1|5|1");
}
