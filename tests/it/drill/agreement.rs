//! A drill and the restore agree: what a drill calls good restores into a new database, what it calls bad does not.

use super::{DRILL, place};
use crate::support::entry::Entry;
use crate::support::objects::{PROOF, ROLES, kinds_of};
use crate::support::postgres::{Database, MAJORS, Server, postgres};
use crate::support::program::Output;
use crate::support::sandbox::Sandbox;

/// What a source can hold that no restore brings back.
const BROKEN: [(&str, &str); 4] = [
    (
        "rows without the row that they refer to",
        "CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (id int REFERENCES parent);
         SET session_replication_role = replica; INSERT INTO child VALUES (1)",
    ),
    (
        "a check that its rows no longer pass",
        "CREATE FUNCTION fine(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
         CREATE TABLE t (a int CHECK (fine(a))); INSERT INTO t VALUES (1);
         CREATE OR REPLACE FUNCTION fine(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT false'",
    ),
    (
        "an index by a function that finds its table by the search path",
        "CREATE TABLE known (a int); INSERT INTO known VALUES (1); CREATE TABLE t (a int); INSERT INTO t VALUES (1);
         CREATE FUNCTION found(int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS
           'BEGIN RETURN EXISTS (SELECT FROM known WHERE a = $1); END';
         CREATE INDEX ON t (found(a))",
    ),
    (
        "a materialized view of a function that fails by now",
        "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE MATERIALIZED VIEW m AS SELECT one() AS one;
         CREATE OR REPLACE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1 / 0'",
    ),
];

/// Holds a drill of the newest backup of `database`.
fn drill(sandbox: &Sandbox, database: &Database<'_>) -> Output {
    let backup = format!("{}/latest", database.name);
    sandbox.run(&["verify", "--level", "restore", &backup])
}

/// Restores the newest backup of `database` into one that is made.
fn restore(sandbox: &Sandbox, database: &Database<'_>) -> Output {
    sandbox.run(&[
        "restore",
        "--from",
        &database.name,
        "--db",
        "other",
        "--force",
        "--to",
        "restored",
        "--create",
    ])
}

/// A sandbox with a backup of `database`, whose restores go to `other`.
fn backed_up(database: &Database<'_>, other: &Server) -> Sandbox {
    let sandbox = place(database.server.major);
    let other = Entry::of(&other.maintenance()).named("other");
    sandbox.configure_with(DRILL, &[Entry::of(database), other]);
    sandbox.back_up(&database.name);
    sandbox
}

#[test]
fn every_kind_of_object_is_good_and_restores() {
    for major in MAJORS {
        let (server, other) = (postgres(major), Server::start(major, &[]));
        let database = server.create_database("kinds");
        database.sql(ROLES);
        database.sql(PROOF);
        for kind in kinds_of(server) {
            database.sql(&format!("-- {}\n{}", kind.name, kind.sql));
        }
        let sandbox = backed_up(&database, &other);
        drill(&sandbox, &database).exits(0);
        other.maintenance().sql(ROLES);
        restore(&sandbox, &database).exits(0);
    }
}

#[test]
fn what_is_called_bad_does_not_restore() {
    let other = Server::start(16, &[]);
    for (what, sql) in BROKEN {
        let database = postgres(16).create_database("broken");
        database.sql(sql);
        let sandbox = backed_up(&database, &other);
        let drilled = drill(&sandbox, &database);
        let restored = restore(&sandbox, &database);
        assert_eq!(
            drilled.status.code(),
            Some(13),
            "{what}: {}",
            drilled.stderr
        );
        assert_eq!(
            restored.status.code(),
            Some(1),
            "{what}: {}",
            restored.stderr
        );
    }
}
