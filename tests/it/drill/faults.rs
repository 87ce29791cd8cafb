//! What a restore loses is found, and named by its table. The faults are made by a `pg_restore` that stands before the
//! real one in `PATH`.

use super::{DRILL, drill, nothing_is_left, place, stand_in};
use crate::support::archive::Archive;
use crate::support::entry::Entry;
use crate::support::postgres::{Database, postgres};
use crate::support::program::Output;
use std::fs;

/// A drill of `database` where pg_restore is this script.
#[track_caller]
fn drill_with(database: &Database<'_>, script: &str) -> Output {
    let major = database.server.major;
    let sandbox = stand_in(place(major), major, "pg_restore", script);
    sandbox.configure_with(DRILL, &[Entry::of(database)]);
    sandbox.back_up(&database.name);
    let output = drill(&sandbox);
    nothing_is_left(&sandbox);
    output
}

/// Everything that is asked for but the entries of the archive's list that match. A list that is asked for holds numbers alone.
fn without(entries: &str) -> String {
    format!(
        "cat >\"$PGHOST/archive\"\n$real -l \"$PGHOST/archive\" >\"$PGHOST/all\"\n\
         grep -E '{entries}' \"$PGHOST/all\" | sed 's/^\\([0-9]*;\\).*/^\\1/' >\"$PGHOST/gone\"\n\
         asked=$(printf '%s\\n' \"$@\" | sed -n 's/^--use-list=//p')\n\
         grep -vf \"$PGHOST/gone\" \"${{asked:-$PGHOST/all}}\" >\"$PGHOST/list\"\n\
         exec $real \"$@\" --use-list=\"$PGHOST/list\" <\"$PGHOST/archive\""
    )
}

/// Everything, and then this SQL.
fn and_then(sql: &str) -> String {
    format!("$real \"$@\"\nexec psql -X -q -v ON_ERROR_STOP=1 -c \"{sql}\" \"${{@: -1}}\"")
}

#[test]
fn a_table_that_the_restore_skips_is_named() {
    let database = postgres(18).shop();
    let output = drill_with(&database, &without(" TABLE (DATA )?odd edges ")).exits(13);
    let told = output.text();
    assert!(told.contains("odd.edges"), "{told}");
    assert!(
        told.contains("is missing after the restore, with 4 rows"),
        "{told}"
    );
}

#[test]
fn rows_that_the_restore_skips_are_missed() {
    let database = postgres(16).shop();
    let output = drill_with(&database, &without(" TABLE DATA odd no_columns ")).exits(13);
    let told = output.text();
    assert!(told.contains("odd.no_columns"), "{told}");
    assert!(
        told.contains("has 0 rows after the restore instead of 2"),
        "{told}"
    );
}

#[test]
fn a_lost_row_is_found_in_its_table() {
    let database = postgres(17).shop();
    let sql = r#"DELETE FROM odd.tree WHERE id = 2 AND set_config('session_replication_role', 'replica', false) <> ''"#;
    let output = drill_with(&database, &and_then(sql)).exits(13);
    let told = output.text();
    assert!(told.contains("odd.tree"), "{told}");
    assert!(
        told.contains("has 2 rows after the restore instead of 3"),
        "{told}"
    );
}

#[test]
fn a_changed_byte_is_found_in_its_table() {
    let database = postgres(15).shop();
    let sql = r#"UPDATE odd.unlogged SET n = 6 WHERE n = 5"#;
    let output = drill_with(&database, &and_then(sql)).exits(13);
    let told = output.text();
    assert!(told.contains("odd.unlogged"), "{told}");
    assert!(told.contains("not the same"), "{told}");
}

#[test]
fn a_lost_index_and_a_lost_large_object_are_found() {
    let database = postgres(18).everything();
    let output = drill_with(&database, &without(" INDEX everything clustered_by ")).exits(13);
    assert!(
        output.text().contains("objects of kind INDEX"),
        "{}",
        output.text()
    );
    let output = drill_with(&database, &and_then("SELECT lo_unlink(920001)")).exits(13);
    assert!(output.text().contains("large objects"), "{}", output.text());
}

#[test]
fn a_table_whose_columns_come_back_in_another_order_is_compared_row_by_row() {
    let database = postgres(18).create_database("orders");
    database.sql(
        "CREATE TABLE parent (a int); CREATE TABLE child (x text, \"y, z\" text) INHERITS (parent);
         ALTER TABLE parent ADD COLUMN b text DEFAULT 'b';
         INSERT INTO child SELECT n, 'x', E'y\\t' || n FROM generate_series(1, 500) AS n",
    );
    drill_with(&database, &and_then("SELECT 1")).exits(0);
    // the same rows and bytes in the table, but not in the order of the archive
    let swapped = r#"UPDATE child SET x = b, b = x WHERE a = 77"#;
    let output = drill_with(&database, &and_then(swapped)).exits(13);
    assert!(output.text().contains("public.child"), "{}", output.text());
    let output = drill_with(&database, &and_then("DELETE FROM child WHERE a = 77")).exits(13);
    assert!(
        output
            .text()
            .contains("has 499 rows after the restore instead of 500"),
        "{}",
        output.text()
    );
}

#[test]
fn an_archive_swapped_for_another_good_one_is_found() {
    let database = postgres(18).create_database("swapped");
    database.sql("CREATE TABLE t AS SELECT 1 AS one");
    let sandbox = place(18);
    sandbox.configure_with(DRILL, &[Entry::of(&database)]);
    let first = sandbox.back_up(&database.name);
    database.sql("INSERT INTO t VALUES (2)");
    let second = sandbox.back_up(&database.name);
    fs::copy(&first.path, &second.path).expect("copy a file");
    let file = |archive: &Archive| {
        let name = archive.path.file_name().expect("a file");
        name.to_str().expect("UTF-8").to_string()
    };
    let line = fs::read_to_string(first.checksum_path()).expect("read a file");
    let line = line.replace(&file(&first), &file(&second));
    fs::write(second.checksum_path(), line).expect("write a file");
    let output = drill(&sandbox).exits(13);
    assert!(
        output
            .text()
            .contains("public.t: holds 1 rows instead of 2"),
        "{}",
        output.text()
    );
    nothing_is_left(&sandbox);
}

#[test]
fn a_statement_that_the_server_refuses_makes_a_bad_backup() {
    let database = postgres(18).create_database("refused");
    // the function counts rows of another table, which is filled later: the constraint cannot hold then
    database.sql(
        "CREATE TABLE zz (n int); INSERT INTO zz VALUES (1);
         CREATE FUNCTION filled() RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN EXISTS (SELECT FROM public.zz); END';
         CREATE TABLE aa (n int CHECK (filled())); INSERT INTO aa VALUES (1)",
    );
    let sandbox = super::backed_up(&database);
    let output = drill(&sandbox).exits(13);
    assert!(
        output.text().contains("it does not restore"),
        "{}",
        output.text()
    );
    assert!(
        output.text().contains("violates check constraint"),
        "{}",
        output.text()
    );
    nothing_is_left(&sandbox);
}

#[test]
fn a_missing_extension_is_a_bad_drill_and_not_a_bad_backup() {
    let database = postgres(18).create_database("extended");
    database.sql("CREATE TABLE t (n int)");
    let script = "cat >/dev/null; echo 'pg_restore: error: could not execute query: ERROR:  extension \"postgis\" is not available' >&2; exit 1";
    let output = drill_with(&database, script).exits(1);
    assert!(
        output.stderr.contains("install the extension's package"),
        "{}",
        output.stderr
    );
}
