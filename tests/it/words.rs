//! What is said where the server refuses: why, and a next step that helps, since each is taken here.

use crate::support::entry::Entry;
use crate::support::postgres::{Database, postgres};
use crate::support::program;
use crate::support::sandbox::Sandbox;
use crate::support::terminal::on_a_terminal;

/// A database, and a login at it that is refused.
struct Refused<'a> {
    database: &'a Database<'static>,
    role: &'a str,
    /// What makes the server refuse.
    by: String,
    status: i32,
    why: String,
    /// What of the hint is done.
    hint: String,
}

#[test]
fn a_login_that_is_refused_says_why_and_how_it_is_let_in() {
    let server = postgres(18);
    let postgres = server.maintenance();
    let database = server.create_database("refused");
    let role = server.create_role("login");
    let (name, quoted) = (&database.name, format!("\"{}\"", database.name));
    let user = format!("\"{role}\"");
    for Refused {
        database,
        role,
        by,
        status,
        why,
        hint,
    } in [
        Refused {
            database: &database,
            role: &role,
            by: format!("ALTER ROLE {role} NOLOGIN"),
            status: 1,
            why: format!("FATAL:  role {user} is not permitted to log in"),
            hint: format!("ALTER ROLE {user} LOGIN"),
        },
        Refused {
            database: &database,
            role: &role,
            by: format!("ALTER ROLE {role} CONNECTION LIMIT 0"),
            status: 1,
            why: format!("FATAL:  too many connections for role {user}"),
            hint: format!("ALTER ROLE {user} CONNECTION LIMIT -1"),
        },
        Refused {
            database: &database,
            role: &role,
            by: format!("ALTER DATABASE {name} CONNECTION LIMIT 0"),
            status: 1,
            why: format!("FATAL:  too many connections for database {quoted}"),
            hint: format!("ALTER DATABASE {quoted} CONNECTION LIMIT -1"),
        },
        Refused {
            database: &database,
            role: &role,
            by: format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"),
            status: 1,
            why: format!("FATAL:  database {quoted} is not currently accepting connections"),
            hint: format!("ALTER DATABASE {quoted} ALLOW_CONNECTIONS true"),
        },
        Refused {
            database: &database,
            role: &role,
            by: format!("REVOKE CONNECT ON DATABASE {name} FROM PUBLIC"),
            status: 1,
            why: format!("FATAL:  permission denied for database {quoted}"),
            hint: format!("GRANT CONNECT ON DATABASE {quoted} TO"),
        },
        Refused {
            database: &database,
            role: &role,
            by: format!("ALTER DATABASE {name} RENAME TO {name}_old"),
            status: 10,
            why: format!("FATAL:  database {quoted} does not exist"),
            hint: "check connection.database".into(),
        },
    ] {
        let sandbox = Sandbox::new(18);
        let entry = Entry::of(database).login(database, role, role);
        sandbox.configure_with("", &[entry]);
        sandbox.run(&["backup"]).exits(0);
        postgres.sql(&by);
        let told = sandbox.run(&["backup"]).exits(status).stderr;
        assert!(told.contains(&why), "{told}");
        assert!(told.contains(&hint), "{told}");
        assert!(!told.contains("psql exited"), "{told}");
        assert!(!told.contains("--create"), "{told}");
        postgres.sql(&match hint.as_str() {
            hint if hint.starts_with("GRANT") => format!("{hint} {role}"),
            "check connection.database" => format!("ALTER DATABASE {name}_old RENAME TO {name}"),
            hint => hint.to_string(),
        });
        sandbox.run(&["backup"]).exits(0);
    }
}

#[test]
fn limits_of_time_stop_no_question_and_a_large_object_says_what_reaches_it() {
    let server = postgres(18);
    let database = server.create_database("limits");
    database.sql("CREATE TABLE t AS SELECT 1 AS a; SELECT lo_from_bytea(0, 'abc')");
    let role = server.create_role("reader");
    let postgres = server.maintenance();
    postgres.sql(&format!(
        "GRANT pg_read_all_data TO {role};
         ALTER ROLE {role} SET statement_timeout = '3ms'; ALTER ROLE {role} SET lock_timeout = '3ms';
         ALTER ROLE {role} SET idle_in_transaction_session_timeout = '1s'; ALTER ROLE {role} SET transaction_timeout = '10s'"
    ));
    let sandbox = Sandbox::new(18);
    let entry = Entry::of(&database)
        .named("app")
        .login(&database, &role, &role);
    sandbox.configure_with("", &[entry]);
    let told = sandbox.run(&["backup"]).exits(1).stderr;
    assert!(
        told.contains("ERROR:  permission denied for large object"),
        "{told}"
    );
    assert!(
        told.contains("pg_read_all_data does not reach large objects"),
        "{told}"
    );
    let helps = format!("ALTER ROLE \"{role}\" SET lo_compat_privileges = on");
    assert!(told.contains(&helps), "{told}");
    let tested = sandbox.run(&["test"]).exits(1).text();
    assert!(
        tested.contains("cannot read large object") && tested.contains(&helps),
        "{tested}"
    );
    postgres.sql(&helps);
    sandbox.run(&["backup"]).exits(0);
}

#[test]
fn a_function_that_needs_a_search_path_says_so_when_its_index_is_restored() {
    // newer ones make no such index
    let database = postgres(16).create_database("path");
    database.sql(
        "CREATE TABLE word (w text); CREATE FUNCTION norm(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower($1)';
         CREATE FUNCTION key(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN norm($1); END';
         CREATE FUNCTION own(text) RETURNS text LANGUAGE plpgsql IMMUTABLE SET search_path = public
             AS 'BEGIN RETURN norm($1); END';
         CREATE FUNCTION full_name(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN public.norm($1); END';
         INSERT INTO word VALUES ('A'); CREATE INDEX ON word (key(w)); CREATE INDEX ON word (own(w));
         CREATE INDEX ON word (full_name(w)); CREATE INDEX ON word (norm(w))",
    );
    let sandbox = Sandbox::new(16);
    sandbox.configure_with("", &[Entry::of(&database).named("app")]);
    sandbox.run(&["backup"]).exits(0);
    let tested = sandbox.run(&["test"]).exits(0).text();
    assert!(
        tested.contains("warn  database app: public.key(text) is used by an index"),
        "{tested}"
    );
    for harmless in ["own(text)", "full_name(text)", "norm(text) is used"] {
        assert!(!tested.contains(harmless), "{tested}");
    }
    let into = format!("{}_again", database.name);
    let restore = ["restore", "--from", "app/latest", "--to", &into, "--create"];
    let told = sandbox.run(&restore).exits(1).stderr;
    assert!(
        told.contains("function norm(text) does not exist"),
        "{told}"
    );
    assert!(told.contains("SET search_path"), "{told}");
    // both ways that the hint names
    let plain = sandbox.run(&["cat", "app/latest"]).exits(0).stdout;
    let by_hand = database.server.create_database("by_hand");
    let mut pg_restore = database.server.client("pg_restore");
    pg_restore.args(["-d", &by_hand.name]);
    program::run(pg_restore, plain).exits(1);
    assert_eq!(
        by_hand.sql("SELECT count(*) FROM word, pg_indexes WHERE tablename = 'word'"),
        "3"
    );
    database.sql("ALTER FUNCTION key(text) SET search_path = public");
    sandbox.run(&["backup"]).exits(0);
    sandbox.run(&restore).exits(0);
    let tested = sandbox.run(&["test"]).exits(0).text();
    assert!(!tested.contains("key(text)"), "{tested}");
}

#[test]
fn what_is_quiet_says_nothing_of_success_and_all_of_failure_and_a_terminal_gets_lines_that_fit() {
    let server = postgres(18);
    let database = server.create_database("quiet");
    let sandbox = Sandbox::new(18);
    let missing = format!(
        "host: 127.0.0.1, port: {}, database: nothing, user: postgres, password: {}",
        server.port, server.password
    );
    let entry = Entry::of(&database).named("app").retention("keep_last: 1");
    sandbox.configure_with("", &[entry]);
    for command in [
        &["backup", "--quiet"][..],
        &["--quiet", "backup"],
        &["verify", "--quiet"],
        &["prune", "--quiet"],
        &[
            "restore",
            "--quiet",
            "--from",
            "app",
            "--to",
            "quiet_copy",
            "--create",
        ],
    ] {
        let output = sandbox.run(command).exits(0);
        assert_eq!(
            (output.text().as_str(), output.stderr.as_str()),
            ("", ""),
            "{command:?}"
        );
    }
    let tested = sandbox.run(&["test", "--quiet"]).exits(0).text();
    assert!(!tested.contains("ok  "), "{tested}");
    for clash in ["--json", "--verbose"] {
        let told = sandbox.run(&["backup", "--quiet", clash]).exits(2).stderr;
        assert!(told.contains("do not go together"), "{told}");
    }
    // a program reads the same as ever
    let piped = sandbox.run(&["backup"]).exits(0).text();
    let fields: Vec<&str> = piped.trim_end().split('\t').collect();
    assert!(
        fields.len() == 5 && fields[2].parse::<u64>().is_ok(),
        "{piped}"
    );
    let listed = sandbox.run(&["list"]).exits(0).text();
    assert!(
        listed.starts_with("BACKUP  ")
            && listed
                .lines()
                .next()
                .is_some_and(|line| line.ends_with("STORAGE")),
        "{listed}"
    );

    let shown = on_a_terminal(&sandbox, &["list"], &[]).exits(0).text();
    for line in shown.lines() {
        assert!(line.trim_end().chars().count() <= 80, "{line}");
    }
    assert!(shown.contains("\r\n    STORAGE"), "{shown}");
    let green = "\x1b[32mok\x1b[0m";
    assert!(
        on_a_terminal(&sandbox, &["backup"], &[])
            .exits(0)
            .text()
            .contains(green)
    );
    for (name, value) in [("NO_COLOR", "1"), ("CLICOLOR", "0"), ("TERM", "dumb")] {
        let plain = Sandbox::new(18).with(name, value);
        plain.configure_with("", &[Entry::of(&database).named("app")]);
        let shown = on_a_terminal(&plain, &["backup"], &[]).exits(0).text();
        assert!(
            !shown.contains("\x1b[32m") && shown.contains("  ok  "),
            "{name}: {shown}"
        );
        assert!(
            !shown.contains('\t') && shown.contains("KiB") || shown.contains(" B  "),
            "{name}: {shown}"
        );
    }

    sandbox.configure_with("", &[Entry::new("app", missing)]);
    let failed = sandbox.run(&["backup", "--quiet"]).exits(10);
    assert_eq!(failed.text(), "");
    assert!(
        failed
            .stderr
            .contains("database \"nothing\" does not exist"),
        "{}",
        failed.stderr
    );
}

#[test]
fn a_command_that_is_advised_names_the_configuration_that_this_run_was_given() {
    let database = postgres(18).create_database("named");
    let sandbox = Sandbox::new(18);
    sandbox.configure_with("", &[Entry::of(&database).named("app")]);
    let config = sandbox.path("my config.yaml");
    std::fs::rename(sandbox.path("config.yaml"), &config).expect("it is ours");
    let config = config.to_str().expect("a path in UTF-8");
    let told = sandbox
        .run(&["-c", config, "pin", "app/20260101_000000.000000000Z"])
        .exits(10)
        .stderr;
    assert!(
        told.contains(&format!("backupkit -c '{config}' list")),
        "{told}"
    );
    let told = sandbox
        .run(&["verify", "-c", config, "--latest"])
        .exits(10)
        .stderr;
    assert!(
        told.contains(&format!("backupkit -c '{config}' backup")),
        "{told}"
    );
    // and so it is where none of it is stored here
    std::fs::write(sandbox.path("nothing"), "").expect("write a file");
    for (from, status) in [("app/latest", 10), ("./nothing", 13)] {
        let restore = ["restore", "-c", config, "--from", from];
        let told = sandbox.run(&restore).exits(status).stderr;
        assert!(
            told.contains(&format!("backupkit -c '{config}' list")),
            "{told}"
        );
    }
}

#[test]
fn what_a_server_says_to_each_session_is_told_once_a_run() {
    let database = postgres(18).create_database("noted");
    let sandbox = Sandbox::new(18);
    sandbox.configure_with("", &[Entry::of(&database)]);
    database.server.maintenance().sql(&format!(
        "UPDATE pg_database SET datcollversion = '0' WHERE datname = '{}'",
        database.name
    ));
    for command in [&["backup"][..], &["test"]] {
        let told = sandbox.run(command).exits(0).stderr;
        let warning = format!("WARNING:  database \"{}\" has ", database.name);
        assert_eq!(told.matches(&warning).count(), 1, "{command:?}: {told}");
    }
}
