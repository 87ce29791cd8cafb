//! A database that is made for a backup of another machine, whose locales are others.

use crate::support::entry::Entry;
use crate::support::postgres::{Database, postgres};
use crate::support::program;
use crate::support::sandbox::Sandbox;
use std::fs;

/// How the dumped database was made, as pg_dump wrote it, and as that of another machine has it.
const HERE: &[u8] = b"LC_COLLATE = 'C.UTF-8' LC_CTYPE = 'C'";

/// `archive` with the locale of another machine in the statement that makes its database.
fn of_locale(archive: &[u8], locale: &str) -> Vec<u8> {
    let find = |what: &[u8]| archive.windows(what.len()).position(|bytes| bytes == what);
    let begin = find(b"CREATE DATABASE").expect("it makes its database");
    let length: [u8; 4] = archive[begin - 4..begin].try_into().expect("four bytes");
    let length = u32::from_le_bytes(length);
    let end = begin + usize::try_from(length).expect("it fits");
    let at = find(HERE).expect("it names its locale");
    let statement = [
        &archive[begin..at],
        locale.as_bytes(),
        &archive[at + HERE.len()..end],
    ]
    .concat();
    let length = u32::try_from(statement.len())
        .expect("it fits")
        .to_le_bytes();
    [&archive[..begin - 4], &length, &statement, &archive[end..]].concat()
}

#[test]
fn a_locale_that_the_server_lacks_is_seen_before_a_database_is_made_and_can_be_another() {
    let server = postgres(14);
    let source = server.create_database_named("elsewhere");
    source.sql("SELECT 1");
    server.maintenance().sql(
        "DROP DATABASE elsewhere;\nCREATE DATABASE elsewhere TEMPLATE template0 LC_COLLATE 'C.UTF-8' LC_CTYPE 'C'",
    );
    source.sql("CREATE TABLE t AS SELECT 5 AS five");
    let mut command = server.client("pg_dump");
    command.args(["--format=custom", "elsewhere"]);
    let archive = program::run(command, "").exits(0).stdout;
    let is_there = |server: &crate::support::postgres::Server, name: &str| {
        let sql = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
        server.maintenance().sql(&sql) == "1"
    };
    let never = "LOCALE = 'English_United States.1252'";
    let other = "LC_COLLATE = 'xx_YY.UTF-8' LC_CTYPE = 'C'";
    let provided = "LOCALE_PROVIDER = builtin LOCALE = 'C' BUILTIN_LOCALE = 'C.UTF-8'";
    let by_icu = "LOCALE_PROVIDER = icu LOCALE = 'C' ICU_LOCALE = 'en-US'";
    for (major, cases) in [
        (
            14,
            &[
                (never, "English_United States.1252"),
                (other, "xx_YY.UTF-8"),
                (provided, "provider builtin"),
                (by_icu, "provider icu"),
            ][..],
        ),
        (
            18,
            &[
                (never, "English_United States.1252"),
                (other, "xx_YY.UTF-8"),
            ],
        ),
    ] {
        let server = postgres(major);
        let sandbox = Sandbox::new(major);
        let anything = server.create_database("anything");
        sandbox.configure_with("", &[Entry::of(&anything)]);
        for (case, (locale, told)) in cases.iter().enumerate() {
            fs::write(sandbox.path("dump"), of_locale(&archive, locale)).expect("write it");
            let name = format!("of_elsewhere_{case}");
            let create = ["restore", "--from", "./dump", "--to", &name, "--create"];
            for dry in [&["--dry-run"][..], &[]] {
                let refused = sandbox.run(&[&create[..], dry].concat()).exits(1);
                let said = &refused.stderr;
                assert!(
                    said.contains(told)
                        && said.contains("hint: make the database with another one"),
                    "{said}"
                );
                assert!(!said.contains("created the database"), "{said}");
            }
            let again = sandbox
                .run(&[&create[..], &["--locale", "nowhere"]].concat())
                .exits(1);
            assert!(
                again.stderr.contains("does not know the locale nowhere"),
                "{}",
                again.stderr
            );
            assert!(!is_there(server, &name));
            sandbox
                .run(&[&create[..], &["--locale", "C.UTF-8"]].concat())
                .exits(0);
            let made = Database { server, name };
            assert_eq!(made.sql("SELECT five FROM t"), "5");
            let locale = "SELECT datcollate FROM pg_database WHERE datname = current_database()";
            assert_eq!(made.sql(locale), "C.UTF-8");
        }
        sandbox
            .run(&["restore", "--from", "./dump", "--locale", "C.UTF-8"])
            .exits(2);
    }
}

#[test]
fn a_pg_restore_that_is_too_old_is_told_before_a_database_is_made() {
    let source = postgres(18).create_database("newer");
    source.sql("CREATE TABLE t ()");
    let mut command = source.server.client("pg_dump");
    command.args(["--format=custom", &source.name]);
    let archive = program::run(command, "").exits(0).stdout;
    let sandbox = Sandbox::new(14);
    let target = postgres(14).create_database("older");
    sandbox.configure_with("", &[Entry::of(&target)]);
    fs::write(sandbox.path("dump"), archive).expect("write it");
    let create = [
        "restore", "--from", "./dump", "--to", "of_newer", "--create",
    ];
    for dry in [&["--dry-run"][..], &[]] {
        let refused = sandbox.run(&[&create[..], dry].concat()).exits(1);
        let said = &refused.stderr;
        assert!(said.contains("the newest pg_restore here is"), "{said}");
        assert!(!said.contains("created the database"), "{said}");
    }
}
