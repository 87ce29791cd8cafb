//! What a drill cannot judge is neither good nor bad: what the place lacks, and what nobody could read.

use super::{DRILL, backed_up, drill, nothing_is_left, place};
use crate::support::entry::Entry;
use crate::support::postgres::{Database, Server, postgres};
use crate::support::program;
use serde_json::Value;
use std::fs;

/// An archive of `database` that pg_dump writes with these options.
fn dumped(database: &Database<'_>, options: &[&str]) -> Vec<u8> {
    let mut command = database.server.client("pg_dump");
    command
        .env("PGDATABASE", &database.name)
        .arg("-Fc")
        .args(options);
    program::run(command, "").exits(0).stdout
}

/// The first place of `what` in `bytes`.
#[track_caller]
fn find(bytes: &[u8], what: &str) -> usize {
    let place = bytes
        .windows(what.len())
        .position(|window| window == what.as_bytes());
    place.expect("it is there")
}

#[test]
fn what_the_server_of_the_drill_lacks_makes_no_backup_bad() {
    const ROOM: usize = 120;
    let remark = "r".repeat(ROOM);
    for (major, statement, words) in [
        (
            14,
            "SECURITY LABEL FOR selinux ON TABLE public.t IS 'x'",
            "provider's library",
        ),
        (
            15,
            "CREATE COLLATION public.c (provider = libc, locale = 'xx_NOWHERE')",
            "dpkg-reconfigure locales",
        ),
        (
            16,
            "CREATE TABLE public.x (a text COLLATE \"xx_NO.where\")",
            "dpkg-reconfigure locales",
        ),
        (
            17,
            "CREATE TEXT SEARCH DICTIONARY public.d (TEMPLATE = ispell, DictFile = nowhere, AffFile = nowhere)",
            "install that file",
        ),
        (
            18,
            "CREATE FUNCTION public.f() RETURNS int LANGUAGE c AS '$libdir/nowhere', 'f'",
            "package of that library",
        ),
        (
            14,
            "SELECT current_setting('cron.database_name')",
            "a line of its configuration",
        ),
        (15, "SELECT now() AT TIME ZONE 'No/Where'", "time zones"),
        (16, "CREATE EXTENSION nowhere", "extension's package"),
        // and this is its own fault
        (17, "SELECT 1 / 0", ""),
    ] {
        let database = postgres(major).create_database("lacking");
        database.sql(&format!(
            "CREATE TABLE t AS SELECT 1 AS one; COMMENT ON TABLE t IS '{remark}'"
        ));
        let mut archive = dumped(&database, &["-Z0"]);
        let before = format!("COMMENT ON TABLE public.t IS '{remark}'");
        let place = find(&archive, &before);
        let padded = format!("{statement:width$}", width = before.len());
        archive[place..place + before.len()].copy_from_slice(padded.as_bytes());
        let sandbox = backed_up(&database);
        let stored = sandbox.store(
            &format!("{}/20260101_000000.000000000Z.dump", database.name),
            &archive,
        );
        let name = stored.id();
        let output = sandbox.run(&["verify", "--level", "restore", &name]);
        match words {
            "" => drop(output.exits(13)),
            words => {
                assert!(
                    output.stderr.contains(words),
                    "{statement}: {}",
                    output.stderr
                );
                assert!(output.exits(1).text().contains("undecided"), "{statement}");
                sandbox.run(&["status"]).exits(0);
            }
        }
        nothing_is_left(&sandbox);
    }
}

#[test]
fn rows_that_nobody_read_are_not_called_good() {
    let database = postgres(18).create_database("unread");
    database.sql(
        "CREATE TABLE t AS SELECT n, md5(n::text) AS text FROM generate_series(1, 20000) AS n",
    );
    let sandbox = place(18);
    sandbox.configure_with(DRILL, &[Entry::of(&database)]);
    for options in [
        &["--compress=zstd"][..],
        &["--compress=lz4"],
        &["--inserts", "-Z0"],
    ] {
        let mut archive = dumped(&database, options);
        for zeroed in [0, 200] {
            let middle = archive.len() / 2;
            archive[middle..middle + zeroed].fill(0);
            fs::write(sandbox.path("file"), &archive).expect("write a file");
            let output = sandbox.run(&["verify", "--json", "./file"]);
            // where the damage hits a length it is seen
            if zeroed > 0 && output.status.code() == Some(13) {
                continue;
            }
            let output = output.exits(1);
            let told: Value = serde_json::from_str(&output.text()).expect("JSON");
            assert!(
                told.to_string().contains("what the table public.t holds"),
                "{options:?}: {told}"
            );
            let drilled = sandbox.run(&["verify", "--level", "restore", "./file"]);
            match zeroed {
                0 => {
                    assert!(
                        drilled.stderr.contains("cannot be compared"),
                        "{}",
                        drilled.stderr
                    );
                    drilled.exits(1);
                }
                _ => assert!(matches!(drilled.status.code(), Some(1 | 13)), "{options:?}"),
            }
        }
    }
}

#[test]
fn a_library_that_a_view_needs_is_loaded_and_no_worker_with_it() {
    let server = Server::start(17, &["shared_preload_libraries=pg_stat_statements"]);
    let database = server.create_database("watched");
    database.sql(
        "CREATE EXTENSION pg_stat_statements;
         CREATE MATERIALIZED VIEW seen AS SELECT count(*) >= 0 AS any FROM pg_stat_statements",
    );
    let entry = Entry::of(&database).drill(
        "assert: [\"SELECT current_setting('shared_preload_libraries') = 'pg_stat_statements'\", \
                   \"SELECT current_setting('max_worker_processes') = '0'\"]",
    );
    let sandbox = place(17);
    sandbox.configure_with(DRILL, &[entry]);
    sandbox.back_up(&database.name);
    drill(&sandbox).exits(0);

    // into a server that loads nothing the restore fails, and says what to do
    let target = postgres(17).create_database("unwatched");
    let entries = [
        Entry::of(&database).named("source"),
        Entry::of(&target).named("target"),
    ];
    sandbox.configure_with("", &entries);
    sandbox.back_up("source");
    let output = sandbox
        .run(&["restore", "--from", "source", "--db", "target", "--force"])
        .exits(1);
    assert!(
        output.stderr.contains("to shared_preload_libraries"),
        "{}",
        output.stderr
    );
}

#[test]
fn the_jobs_of_a_backup_never_run_on_a_lent_server() {
    let server = Server::start(16, &[]);
    server
        .maintenance()
        .sql("CREATE ROLE lender LOGIN CREATEDB CREATEROLE PASSWORD 'lender'");
    let database = postgres(16).create_database("planned");
    database.sql("CREATE EXTENSION citext; CREATE TABLE t AS SELECT 1 AS one");
    let mut archive = dumped(&database, &["-Z0"]);
    // another extension of as many letters
    while let Some(place) = archive.windows(6).position(|window| window == b"citext") {
        archive[place..place + 6].copy_from_slice(b"pg_net");
    }
    let sandbox = place(16);
    fs::write(sandbox.path("file"), &archive).expect("write a file");
    for (user, password, words) in [
        ("postgres", server.password.as_str(), "extension's package"),
        ("lender", "lender", "those of the backup could run there"),
    ] {
        let connection = server.maintenance().connection(user, password);
        let top = format!("drill: {{ connection: {{ {connection} }} }}");
        sandbox.configure_with(&top, &[Entry::of(&database)]);
        let output = sandbox
            .run(&["verify", "--level", "restore", "./file"])
            .exits(1);
        assert!(output.stderr.contains(words), "{user}: {}", output.stderr);
        let left = "SELECT count(*) FROM pg_database WHERE datname LIKE 'backupkit%'";
        assert_eq!(server.maintenance().sql(left), "0");
    }
}

#[test]
fn tablespaces_are_made_in_a_throwaway_server_and_left_out_of_a_lent_one() {
    let server = Server::start(16, &["allow_in_place_tablespaces=on"]);
    for name in ["fast", "own", "with space"] {
        server
            .maintenance()
            .sql(&format!("CREATE TABLESPACE \"{name}\" LOCATION ''"));
    }
    let database = server.create_database("spread");
    let name = &database.name;
    server
        .maintenance()
        .sql(&format!("ALTER DATABASE {name} SET TABLESPACE own"));
    database.sql("CREATE TABLE p (i int) PARTITION BY LIST (i) TABLESPACE pg_default");
    database.sql(
        "CREATE TABLE t TABLESPACE fast AS SELECT 1 AS one; CREATE INDEX i ON t (one) TABLESPACE \"with space\"",
    );
    let assertion = "assert: ['SELECT count(*) = 2 FROM pg_class WHERE reltablespace >= 16384']";
    let sandbox = place(16);
    let entry = || Entry::of(&database).drill(assertion);
    sandbox.configure_with(DRILL, &[entry()]);
    sandbox.back_up(&database.name);
    drill(&sandbox).exits(0);
    nothing_is_left(&sandbox);

    let connection = postgres(16)
        .maintenance()
        .connection("postgres", &postgres(16).password);
    let top = format!("drill: {{ connection: {{ {connection} }} }}");
    sandbox.configure_with(&top, &[Entry::of(&database)]);
    let output = sandbox
        .run(&["verify", "--level", "restore", "latest", "--json"])
        .exits(0);
    assert!(
        output
            .text()
            .contains("restored without its tablespaces: fast, pg_default, with space"),
        "{}",
        output.text()
    );
}

#[test]
fn a_locale_that_the_machine_lacks_has_one_hint_and_that_is_of_the_drill() {
    let database = postgres(18).create_database("elsewhere");
    let mut archive = dumped(&database, &["-Z0"]);
    let name = find(&archive, " LOCALE = '") + " LOCALE = '".len();
    let length = archive[name..].iter().position(|byte| *byte == b'\'');
    archive[name..name + length.expect("an end")].fill(b'x');
    let sandbox = place(18);
    sandbox.configure_with(DRILL, &[Entry::of(&database)]);
    fs::write(sandbox.path("dumped"), archive).expect("write a file");
    let output = sandbox.run(&["verify", "./dumped", "--level", "restore"]);
    let told = output.exits(1).stderr;
    assert!(told.contains("on the machine of the drill"), "{told}");
    assert_eq!(told.matches("hint: ").count(), 1, "{told}");
}
