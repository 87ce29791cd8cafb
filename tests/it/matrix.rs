//! Every pg_dump from 14 to 18 against every server that it may meet: what comes back is what was there.

use crate::support::entry::Entry;
use crate::support::postgres::{Database, MAJORS, bin, postgres};
use crate::support::sandbox::{SHAPES, Sandbox, Shape};

/// A table, a comment and a function that hold what a restore script of PostgreSQL 17 has in its preamble.
const LOOKALIKES: &str = "
    CREATE TABLE odd.script (line text);
    INSERT INTO odd.script VALUES ('SET transaction_timeout = 0;'), ('SET lock_timeout = 0;'), ('BEGIN;'), ('COMMIT;'), ('--');
    COMMENT ON TABLE odd.script IS 'first line
SET transaction_timeout = 0;
last line';
    CREATE FUNCTION odd.script() RETURNS text LANGUAGE sql AS '
SET transaction_timeout = 0;
SELECT ''x''';";

/// Backs `source` up with the clients of `client` and restores it beside itself.
fn comes_back(source: &Database<'_>, client: u32, shape: Shape) {
    let target = source.server.create_database("target");
    let sandbox = Sandbox::new(client);
    // only these clients, whatever this machine has installed
    let bin_dir = format!("bin_dir: '{}'", bin(client).display());
    let entry = |database: &Database<'_>| Entry::of(database).shape(shape);
    sandbox.configure_with(&bin_dir, &[entry(source), entry(&target)]);

    let archive = sandbox.back_up(&source.name);
    assert!(archive.key().ends_with(shape.suffix()), "{archive:?}");
    let dump = &archive.manifest()["dump"];
    for (version, major) in [
        (&dump["pg_dump_version"], client),
        (&dump["server_version"], source.server.major),
    ] {
        let version = version.as_str().expect("a version");
        assert!(version.starts_with(&format!("{major}.")), "{version}");
    }

    let from = archive.id();
    sandbox
        .run(&["restore", "--from", &from, "--db", &target.name, "--force"])
        .exits(0);
    target.holds_the_same_as(source);
    source
        .server
        .maintenance()
        .sql(&format!("DROP DATABASE {}", target.name));
}

fn every_client_brings_it_back_on(server: u32) {
    let source = postgres(server).shop();
    source.sql(LOOKALIKES);
    for client in MAJORS.into_iter().filter(|client| *client >= server) {
        comes_back(&source, client, Shape::new(true, true));
    }
}

fn every_shape_brings_it_back_on(server: u32) {
    let source = postgres(server).shop();
    source.sql(LOOKALIKES);
    for shape in SHAPES {
        // this one is what every client does above
        if shape != Shape::new(true, true) {
            comes_back(&source, server, shape);
        }
    }
}

#[test]
fn every_client_from_14_on_brings_a_database_of_14_back() {
    every_client_brings_it_back_on(14);
}

#[test]
fn every_client_from_15_on_brings_a_database_of_15_back() {
    every_client_brings_it_back_on(15);
}

#[test]
fn every_client_from_16_on_brings_a_database_of_16_back() {
    every_client_brings_it_back_on(16);
}

#[test]
fn every_client_from_17_on_brings_a_database_of_17_back() {
    every_client_brings_it_back_on(17);
}

#[test]
fn its_own_client_brings_a_database_of_18_back() {
    every_client_brings_it_back_on(18);
}

#[test]
fn every_shape_brings_a_database_of_14_back() {
    every_shape_brings_it_back_on(14);
}

#[test]
fn every_shape_brings_a_database_of_15_back() {
    every_shape_brings_it_back_on(15);
}

#[test]
fn every_shape_brings_a_database_of_16_back() {
    every_shape_brings_it_back_on(16);
}

#[test]
fn every_shape_brings_a_database_of_17_back() {
    every_shape_brings_it_back_on(17);
}

#[test]
fn every_shape_brings_a_database_of_18_back() {
    every_shape_brings_it_back_on(18);
}
