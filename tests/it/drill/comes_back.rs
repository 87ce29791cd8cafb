//! What was backed up comes back, whatever it is.

use super::{DRILL, backed_up, drill, nothing_is_left, place};
use crate::support::entry::Entry;
use crate::support::postgres::{Database, postgres};
use crate::support::program;
use crate::support::sandbox::Shape;

fn everything_comes_back_on(major: u32) {
    let database = postgres(major).everything();
    let sandbox = place(major);
    let entry = Entry::of(&database).shape(Shape::new(true, true));
    sandbox.configure_with(DRILL, &[entry]);
    sandbox.back_up(&database.name);
    let output = drill(&sandbox).exits(0);
    assert!(!output.stderr.contains("not compared"), "{}", output.stderr);
    nothing_is_left(&sandbox);
}

#[test]
fn everything_comes_back_on_14() {
    everything_comes_back_on(14);
}

#[test]
fn everything_comes_back_on_15() {
    everything_comes_back_on(15);
}

#[test]
fn everything_comes_back_on_16() {
    everything_comes_back_on(16);
}

#[test]
fn everything_comes_back_on_17() {
    everything_comes_back_on(17);
}

#[test]
fn everything_comes_back_on_18() {
    everything_comes_back_on(18);
}

#[test]
fn pgbench_comes_back_on_every_version() {
    for major in crate::support::postgres::MAJORS {
        let database = postgres(major).create_database("bench");
        let mut pgbench = database.server.client("pgbench");
        pgbench.args(["-i", "-q", "-s", "1", "--foreign-keys", &database.name]);
        program::run(pgbench, "").exits(0);
        let sandbox = backed_up(&database);
        drill(&sandbox).exits(0);
        nothing_is_left(&sandbox);
    }
}

#[test]
fn more_tables_than_a_server_has_locks_for_by_default_come_back() {
    let database = postgres(18).create_database("many");
    database.sql(r"SELECT format('CREATE TABLE t%s AS SELECT %1$s AS n', n) FROM generate_series(1, 6000) AS n \gexec");
    let sandbox = backed_up(&database);
    let arguments = ["verify", "--level", "restore", "latest", "--json"];
    let output = sandbox.run(&arguments).exits(0);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(document["checks"][0]["tables"], 6000);
    nothing_is_left(&sandbox);
}

/// A database of this encoding with what is special about it.
fn in_encoding(encoding: &str, rows: &str) {
    let server = postgres(17);
    let name = format!("encoded {encoding}");
    server.maintenance().sql(&format!(
        "CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"
    ));
    let database = Database { server, name };
    database.sql(&format!("SET client_encoding = '{encoding}'; {rows}"));
    let sandbox = place(17);
    sandbox.configure_with(DRILL, &[Entry::of(&database).named("encoded")]);
    sandbox.back_up("encoded");
    drill(&sandbox).exits(0);
}

#[test]
fn rows_come_back_in_every_encoding() {
    in_encoding(
        "LATIN1",
        "CREATE TABLE t AS SELECT chr(n) AS c FROM generate_series(160, 255) AS n",
    );
    in_encoding(
        "SQL_ASCII",
        r"CREATE TABLE t AS SELECT E'\xff\x80' AS c; COMMENT ON TABLE t IS E'\xfe'",
    );
    in_encoding(
        "EUC_JP",
        "CREATE TABLE t AS SELECT convert_from(decode('e697a5e69cac', 'hex'), 'UTF8') AS c",
    );
    in_encoding(
        "WIN1251",
        "CREATE TABLE t AS SELECT chr(n) AS c FROM generate_series(192, 255) AS n",
    );
}

#[test]
fn rows_that_are_loaded_through_their_root_come_back() {
    let database = postgres(18).everything();
    let sandbox = place(18);
    let entry = Entry::of(&database).backup("options: [\"--load-via-partition-root\"]");
    sandbox.configure_with(DRILL, &[entry]);
    let manifest = sandbox.back_up(&database.name).manifest().to_string();
    assert!(manifest.contains("\"root\""), "{manifest}");
    drill(&sandbox).exits(0);
}

#[test]
fn a_part_of_a_database_comes_back() {
    let database = postgres(16).everything();
    let sandbox = place(16);
    let options =
        "options: [\"--exclude-table-data=shop.*\", \"--exclude-schema=odd\", \"--no-comments\"]";
    sandbox.configure_with(DRILL, &[Entry::of(&database).backup(options)]);
    sandbox.back_up(&database.name);
    drill(&sandbox).exits(0);
}

#[test]
fn the_text_of_rows_depends_on_no_setting_of_the_database() {
    let rows = "CREATE TABLE t AS SELECT sha256('x') AS b, 1234.5::money AS m, now() AS t";
    let (usual, unusual) = (
        postgres(18).create_database("usual"),
        postgres(18).create_database("unusual"),
    );
    usual.sql(&rows.replace("now()", "timestamptz '2020-01-01 00:00Z'"));
    unusual.sql(&format!(
        "ALTER DATABASE {} SET bytea_output = escape; ALTER DATABASE {} SET timezone = 'Asia/Tokyo'",
        unusual.name, unusual.name
    ));
    unusual.sql(&rows.replace("now()", "timestamptz '2020-01-01 00:00Z'"));
    let sandbox = place(18);
    sandbox.configure_with(DRILL, &[Entry::of(&usual), Entry::of(&unusual)]);
    let manifests = [&usual, &unusual].map(|database| sandbox.back_up(&database.name).manifest());
    let digests = manifests
        .each_ref()
        .map(|manifest| &manifest["tables"][0]["digest"]);
    assert!(digests[0].is_string());
    assert_eq!(digests[0], digests[1]);
    assert_eq!(manifests[1]["dump"]["fixed_output"], true);
    for database in [&usual, &unusual] {
        let latest = format!("{}/latest", database.name);
        sandbox
            .run(&["verify", "--level", "restore", &latest])
            .exits(0);
    }
}

#[test]
fn what_a_drill_found_is_recorded_and_listed() {
    let database = postgres(18).create_database("recorded");
    database.sql("CREATE TABLE a (n int); CREATE TABLE b AS SELECT 1 AS n");
    let sandbox = backed_up(&database);
    let output = sandbox
        .run(&["verify", "--level", "restore", "latest", "--json"])
        .exits(0);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let check = &document["checks"][0];
    assert_eq!(
        (&check["result"], &check["tables"]),
        (&"good".into(), &2.into())
    );
    assert!(check["restore_seconds"].as_f64().expect("a number") > 0.0);

    let record = sandbox
        .files("storage")
        .into_iter()
        .find(|name| name.ends_with(".verified.json"));
    let record = std::fs::read(sandbox.path("storage").join(record.expect("a record")))
        .expect("read a file");
    let record: serde_json::Value = serde_json::from_slice(&record).expect("JSON");
    let recorded = &record["checks"][0];
    assert_eq!(
        (&recorded["level"], &recorded["result"]),
        (&"restore".into(), &"good".into())
    );
    assert_eq!(recorded["restore_seconds"], check["restore_seconds"]);

    let listed = sandbox.run(&["list"]).exits(0).text();
    assert!(listed.contains("restore"), "{listed}");
    let report = sandbox.run(&["verify", "--report"]).exits(0).text();
    assert!(report.contains("restore"), "{report}");
}
