//! Drills on a server that was lent: it gets a database and the roles that are missing, and both go again.

use super::{drill, place};
use crate::support::entry::Entry;
use crate::support::postgres::{Database, Server, postgres};
use crate::support::processes;
use crate::support::program;
use crate::support::sandbox::Sandbox;
use crate::support::wait;
use rustix::process::Signal;

/// A configuration for drills on `server`.
fn lent(database: &Database<'_>, server: &Server) -> Sandbox {
    let sandbox = place(18);
    let connection = server
        .maintenance()
        .connection("postgres", &server.password);
    let top = format!("drill: {{ connection: {{ {connection} }} }}");
    sandbox.configure_with(&top, &[Entry::of(database)]);
    sandbox.back_up(&database.name);
    sandbox
}

/// What the server has of its own: databases and roles.
fn inventory(server: &Server) -> String {
    server.maintenance().sql(
        "SELECT datname FROM pg_database UNION ALL SELECT rolname || ' ' || coalesce(shobj_description(oid, 'pg_authid'), '')
         FROM pg_roles ORDER BY 1",
    )
}

#[test]
fn a_lent_server_is_afterwards_as_it_was() {
    let server = Server::start(18, &[]);
    let database = postgres(18).everything();
    let sandbox = lent(&database, &server);
    // what the archive needs and this server never had
    server.maintenance().sql("CREATE ROLE everything_reader");
    let before = inventory(&server);
    drill(&sandbox).exits(0);
    assert_eq!(inventory(&server), before);
    assert_eq!(super::clusters(&sandbox), [] as [std::path::PathBuf; 0]);
}

#[test]
fn what_a_killed_drill_leaves_on_a_lent_server_goes_with_the_next_one() {
    let server = Server::start(18, &[]);
    let database = postgres(18).everything();
    let sandbox = lent(&database, &server);
    let before = inventory(&server);
    let run = sandbox.start(&["verify", "--level", "restore", "latest"]);
    let pg_restore = wait::until("pg_restore runs", || {
        let processes = processes::of(&sandbox.path(""));
        processes.into_iter().find(|process| {
            process.name == "pg_restore"
                && process
                    .arguments
                    .windows(8)
                    .any(|piece| piece == b"--dbname")
        })
    });
    let frozen = pg_restore.freeze();
    let during = inventory(&server);
    assert!(during.contains("backupkit_drill_"), "{during}");
    // a second drill sees that the first one lives
    drill(&sandbox).exits(0);
    assert_eq!(inventory(&server), during);

    run.signal(Signal::KILL);
    run.wait();
    drop(frozen);
    wait::until("its sessions are gone", || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'backupkit%'";
        (server.maintenance().sql(sql) == "0").then_some(())
    });
    drill(&sandbox).exits(0);
    assert_eq!(inventory(&server), before);
}

#[test]
fn what_is_left_of_drills_that_are_no_more_goes_and_nothing_else() {
    let server = Server::start(18, &[]);
    let database = postgres(18).create_database("source");
    let sandbox = lent(&database, &server);
    let maintenance = server.maintenance();
    for statement in [
        // somebody else's, by a name that is only like ours
        "CREATE DATABASE backupkitXdrill_1",
        "CREATE DATABASE backupkit_drills",
        "CREATE DATABASE backupkit_drill_results",
        "CREATE DATABASE U&\"backupkit_drill_2\\001Epostgres2\"",
        "CREATE DATABASE postgres2",
        "CREATE ROLE theirs",
        "COMMENT ON ROLE theirs IS 'as in backupkit_drill_2'",
        // of a drill that lives: its session has the name
        "CREATE DATABASE backupkit_drill_3",
        "CREATE ROLE needed",
        "COMMENT ON ROLE needed IS 'backupkit_drill_3'",
    ] {
        maintenance.sql(statement);
    }
    let before = inventory(&server);
    for statement in [
        "CREATE DATABASE backupkit_drill_4",
        "CREATE ROLE \"left \"\"over\"",
        "COMMENT ON ROLE \"left \"\"over\" IS 'backupkit_drill_4'",
        // killed before it had a database, or in the middle of clearing up
        "CREATE ROLE alone",
        "COMMENT ON ROLE alone IS 'backupkit_drill_5'",
        "CREATE DATABASE backupkit_drill_6",
    ] {
        maintenance.sql(statement);
    }
    let mut alive = server.client("psql");
    alive
        .env("PGAPPNAME", "backupkit_drill_3")
        .args(["-X", "-d", "postgres"]);
    let alive = program::start(alive, "\\! sleep 1000\n".to_string());
    wait::until("its session is there", || {
        let sql =
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'backupkit_drill_3'";
        (maintenance.sql(sql) == "1").then_some(())
    });
    drill(&sandbox).exits(0);
    assert_eq!(inventory(&server), before);
    drop(alive);
}

#[test]
fn more_roles_than_an_argument_has_room_for_are_made_and_go_again() {
    let (from, server) = (Server::start(18, &[]), Server::start(18, &[]));
    let database = from.create_database("crowded");
    database.sql(
        "CREATE TABLE t0 (i int); CREATE TABLE t1 (i int); CREATE TABLE t2 (i int);
         DO $$ BEGIN FOR n IN 1..3000 LOOP
           EXECUTE format('CREATE ROLE %I; GRANT SELECT ON t%s TO %1$I', 'reader ' || n || repeat('x', 40), n % 3); END LOOP; END $$",
    );
    let sandbox = lent(&database, &server);
    let before = inventory(&server);
    drill(&sandbox).exits(0);
    assert_eq!(inventory(&server), before);
}

#[test]
fn a_drill_that_is_told_to_stop_clears_a_lent_server_up() {
    let server = Server::start(18, &[]);
    let database = postgres(18).everything();
    let sandbox = lent(&database, &server);
    let before = inventory(&server);
    let run = sandbox.start(&["verify", "--level", "restore", "latest"]);
    wait::until("the database is there", || {
        inventory(&server)
            .contains("backupkit_drill_")
            .then_some(())
    });
    run.signal(Signal::TERM);
    run.wait().exits(143);
    assert_eq!(inventory(&server), before);
}

#[test]
fn rows_are_read_as_meant_whatever_a_lent_server_sets_for_its_sessions() {
    let server = Server::start(18, &["array_nulls=off"]);
    let database = postgres(18).create_database("source");
    database.sql("CREATE TABLE list (texts text[]); INSERT INTO list VALUES (ARRAY[NULL, 'NULL'])");
    let sandbox = lent(&database, &server);
    drill(&sandbox).exits(0);
}

#[test]
fn a_lent_server_that_is_older_than_the_backup_is_refused() {
    let database = postgres(18).create_database("newer");
    let sandbox = lent(&database, postgres(15));
    let output = drill(&sandbox).exits(1);
    assert!(
        output.stderr.contains("the backup is of PostgreSQL 18"),
        "{}",
        output.stderr
    );
}

#[test]
fn the_password_of_a_lent_server_is_told_to_the_command_and_shows_nowhere() {
    let server = Server::start(18, &[]);
    server
        .maintenance()
        .sql("ALTER ROLE postgres PASSWORD 'nachtigall@lent'");
    let database = postgres(18).create_database("source");
    let sandbox = place(18);
    let connection = server
        .maintenance()
        .connection("postgres", "nachtigall@lent");
    // what the command does is nobody's business either
    let script = "set -x\n: $DATABASE_URL\ngrep -aclf canary /proc/[0-9]*/cmdline && exit 9\n\
         psql -X \"$DATABASE_URL\" -c 'select 1' >/dev/null && exit 4";
    std::fs::write(sandbox.path("check"), script).expect("write a script");
    std::fs::write(sandbox.path("canary"), "nachtigall").expect("write a file");
    let run = "sh ./check";
    let entry =
        Entry::of(&database).drill(&format!("connection: {{ {connection} }}, run: ['{run}']"));
    sandbox.configure_with("", &[entry]);
    sandbox.back_up(&database.name);
    let output = sandbox.run(&["verify", "--level", "restore", "latest", "--verbose"]);
    let told = output.text() + &output.stderr;
    output.exits(13);
    assert!(told.contains("status 4"), "{told}");
    assert!(!told.contains("nachtigall"), "{told}");
    for file in sandbox.files("storage") {
        let bytes = std::fs::read(sandbox.path("storage").join(&file)).expect("read a file");
        assert!(!processes::contains(&bytes, b"nachtigall"), "{file}");
        assert!(!file.contains("verified") || processes::contains(&bytes, b"status 4"));
    }
}
