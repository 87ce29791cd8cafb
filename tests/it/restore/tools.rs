//! The tools that a restore needs, and the locks that it waits for.

use super::{House, PLAIN, says, sql_of};
use crate::support::clients;
use crate::support::entry::Entry;
use crate::support::postgres::{Database, bin, postgres};
use crate::support::sandbox::Sandbox;
use std::fs;

#[test]
fn only_the_tools_that_are_needed_have_to_be_there() {
    let house = House::new(PLAIN);
    house.sandbox.back_up("source");
    let script = sql_of(&house.source);
    fs::write(house.sandbox.path("script"), script).expect("write it");
    let no_tools = clients(&house.sandbox, 18, &[]);
    let top = format!("bin_dir: '{}'", no_tools.display());
    house.configure(PLAIN, &top, "lock_timeout: 10m");
    house.refuses(
        "source/latest",
        &["--force"],
        1,
        &["pg_restore not found", "postgresql-client"],
    );
    house.refuses(
        "./script",
        &["--allow-sql-fallback"],
        1,
        &["psql not found"],
    );

    clients(&house.sandbox, 18, &["pg_restore"]);
    let restored = house.restore("source/latest", &["--force"]).exits(0);
    says(&restored, &["psql is not installed"]);
    house.target.holds_the_same_as(&house.source);
    // without psql nobody looked whether the target is empty; pg_restore notices and undoes
    let before = house.target.fingerprint();
    let again = house.restore("source/latest", &["--force"]).exits(1);
    says(&again, &["already exists", "--clean"]);
    assert_eq!(house.target.fingerprint(), before);
}

#[test]
fn a_pg_restore_that_is_too_old_for_the_dump_is_explained() {
    let house = House::new(PLAIN);
    house.sandbox.back_up("source");
    let top = format!("bin_dir: '{}'", bin(15).display());
    house.configure(PLAIN, &top, "lock_timeout: 10m");
    house.refuses(
        "source/latest",
        &["--force"],
        1,
        &[
            "made by pg_dump 17 or newer",
            "newest pg_restore here is 15",
        ],
    );
}

#[test]
fn a_newer_pg_restore_into_an_older_server_says_that_it_needs_psql() {
    let server = postgres(14);
    let (source, target) = (
        server.create_database("source"),
        server.create_database("target"),
    );
    source.sql("CREATE TABLE a AS SELECT 1 AS one");
    let sandbox = Sandbox::new(18);
    let some = clients(&sandbox, 18, &["pg_dump", "pg_restore"]);
    let top = format!("bin_dir: '{}'", some.display());
    let entries = [
        Entry::of(&source).named("source"),
        Entry::of(&target).named("target"),
    ];
    sandbox.configure_with(&top, &entries);
    sandbox.back_up("source");
    let arguments = [
        "restore",
        "--from",
        "source/latest",
        "--db",
        "target",
        "--force",
    ];
    let failed = sandbox.run(&arguments).exits(1);
    says(&failed, &["transaction_timeout", "install psql"]);
    clients(&sandbox, 18, &["psql"]);
    sandbox.run(&arguments).exits(0);
    target.holds_the_same_as(&source);
}

fn a_held_table_stops_a_restore(client: u32, server: u32) {
    let server = postgres(server);
    let (source, target) = (
        server.create_database("source"),
        server.create_database("target"),
    );
    for database in [&source, &target] {
        database.sql("CREATE TABLE a AS SELECT 1 AS one");
    }
    target.sql("UPDATE a SET one = 2");
    let sandbox = Sandbox::new(client);
    let entry = |database: &Database<'_>, name: &str| {
        let entry = Entry::of(database).named(name);
        entry.backup("lock_timeout: 1s")
    };
    sandbox.configure_with(
        &format!("bin_dir: '{}'", bin(client).display()),
        &[entry(&source, "source"), entry(&target, "target")],
    );
    sandbox.back_up("source");
    let holder = target.hold("a");
    let arguments = [
        "restore",
        "--from",
        "source/latest",
        "--db",
        "target",
        "--force",
        "--clean",
    ];
    let failed = sandbox.run(&arguments).exits(1);
    says(&failed, &["lock", "the one in the way"]);
    drop(holder);
    assert_eq!(target.sql("SELECT one FROM a"), "2");
    sandbox.run(&arguments).exits(0);
    target.holds_the_same_as(&source);
}

#[test]
fn a_held_table_stops_a_restore_and_names_who_holds_it() {
    a_held_table_stops_a_restore(18, 18);
}

#[test]
fn a_held_table_stops_a_restore_into_an_older_server_as_well() {
    a_held_table_stops_a_restore(18, 16);
}

#[test]
fn a_backup_that_waits_for_a_lock_says_at_once_who_holds_it() {
    let database = postgres(18).create_database("app");
    database.sql("CREATE TABLE a AS SELECT 1 AS one");
    let sandbox = Sandbox::new(18);
    sandbox.configure_with(
        "",
        &[Entry::of(&database).named("app").backup("lock_timeout: 5m")],
    );
    let holder = database.hold("a");
    // the message goes to a file, so that it can be seen while the backup waits
    let script = "backupkit backup 2> told & backup=$!
        until grep -q 'the one in the way' told; do sleep 0.1; kill -0 $backup || exit 9; done; touch seen; wait $backup";
    let command = {
        let mut bash = std::process::Command::new("/bin/bash");
        let program = std::path::Path::new(env!("CARGO_BIN_EXE_backupkit"));
        let directory = program.parent().expect("it lies in a directory");
        bash.args([
            "-c",
            &format!("PATH={}:$PATH; {script}", directory.display()),
        ]);
        sandbox.inside(bash)
    };
    let run = crate::support::program::start(command, "");
    crate::support::program::until("the holder is named", || sandbox.path("seen").exists());
    drop(holder);
    run.wait().exits(0);
    let told = fs::read_to_string(sandbox.path("told")).expect("a file");
    assert_eq!(told.matches("waiting for a lock").count(), 1, "{told}");
}
