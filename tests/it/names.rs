//! Names that are not ours: whatever they are, they steer no terminal, begin no line and no field.

use crate::support::entry::Entry;
use crate::support::postgres::{Database, postgres};
use crate::support::program::Output;
use crate::support::sandbox::Sandbox;
use crate::support::terminal::on_a_terminal;
use std::fs;

/// It sets the title of a terminal, clears it by a code of seven and by one of eight bits, turns the direction of what follows, and begins
/// lines and a field of its own.
const EVIL: &str =
    "x\u{1b}]0;OWNED\u{7}\u{1b}[2J\u{9b}2J\u{202e}\u{2028}\nbegun\n  hint: begun\r\tfield";
/// How it is shown.
const SHOWN: &str =
    r"x\u{1b}]0;OWNED\u{7}\u{1b}[2J\u{9b}2J\u{202e}\u{2028}\nbegun\n  hint: begun\r\tfield";

#[track_caller]
fn is_harmless(text: &str) {
    for c in ['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}', '\u{2028}', '\r'] {
        assert!(!text.contains(c), "{c:?} in {text:?}");
    }
    let begun = |line: &str| {
        line.trim_start().starts_with("begun") || line.trim_start().starts_with("hint: begun")
    };
    assert!(!text.lines().any(begun), "{text:?}");
    assert!(!text.contains("\tfield"), "{text:?}");
}

/// Harmless, and it names it.
#[track_caller]
fn shows(output: &Output) {
    let text = format!("{}{}", output.text(), output.stderr);
    is_harmless(&text);
    assert!(text.contains(SHOWN), "{text}");
}

struct House {
    sandbox: Sandbox,
    database: Database<'static>,
}

/// A database in which everything is called like that, backed up.
fn house() -> House {
    let database = postgres(18).create_database("names");
    database.sql(&format!(
        "CREATE SCHEMA \"{EVIL}\"; CREATE TABLE \"{EVIL}\".\"{EVIL}\" (id int); CREATE TABLE \"{EVIL}\" (\"{EVIL}\" int);
         CREATE VIEW theirs AS SELECT * FROM \"{EVIL}\""
    ));
    let sandbox = Sandbox::new(18);
    sandbox.configure_with("", &[Entry::of(&database).named("names")]);
    sandbox.run(&["backup"]).exits(0);
    House { sandbox, database }
}

#[test]
fn names_of_a_database_are_shown_by_their_codes_wherever_they_are_shown() {
    let House { sandbox, database } = house();
    let restore = ["restore", "--from", "names/latest"];
    let and = |more: &[&str]| sandbox.run(&[&restore[..], more].concat());
    shows(&and(&["--clean", "--dry-run"]).exits(0));
    shows(&and(&[]).exits(15));
    let restored = and(&["--clean", "--table", &format!("public.{EVIL}")]).exits(0);
    is_harmless(&restored.stderr);
    shows(&and(&["--clean", "--table", &format!("public.{EVIL}no")]).exits(2));
    // what the server says of it
    database.sql(&format!(
        "CREATE VIEW \"{EVIL} mine\" AS SELECT * FROM \"{EVIL}\".\"{EVIL}\""
    ));
    shows(&and(&["--clean"]).exits(15));
    database.sql(&format!(
        "DROP VIEW \"{EVIL} mine\"; INSERT INTO \"{EVIL}\" VALUES (1), (2), (3)"
    ));
    sandbox.run(&["backup"]).exits(0);
    let listed = sandbox.run(&["list", "--json"]).exits(0).text();
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    let id = |at: usize| listed["backups"][at]["id"].as_str().expect("an id");
    shows(&sandbox.run(&["diff", id(0), id(1)]).exits(0));
}

#[test]
fn the_question_before_a_table_is_dropped_shows_its_name_by_its_codes() {
    let House { sandbox, .. } = house();
    let arguments = ["restore", "--from", "names/latest", "--clean"];
    let asked = on_a_terminal(&sandbox, &arguments, &[("Type yes to go on:", "no")]).exits(15);
    let text = asked.text().replace("\r\n", "\n");
    assert!(text.contains(SHOWN), "{text}");
    for steering in ["\u{1b}]0", "\u{1b}[2J", "\u{9b}", "\u{202e}", "\u{7}"] {
        assert!(!text.contains(steering), "{steering:?} in {text:?}");
    }
    assert!(
        !text
            .lines()
            .any(|line| line.trim_start().starts_with("begun")),
        "{text:?}"
    );
}

#[test]
fn what_a_server_says_is_quoted_line_by_line() {
    let House { sandbox, database } = house();
    let target = postgres(18).create_database("target");
    let script = "DO $$ BEGIN RAISE EXCEPTION E'a\\x1b[2J\\nbegun' USING DETAIL = E'\\x1b[2J\\n  hint: begun'; END $$;\n";
    fs::write(sandbox.path("script"), script).expect("write it");
    sandbox.configure_with("", &[Entry::of(&target).named("names")]);
    let failed = sandbox
        .run(&[
            "restore",
            "--from",
            "./script",
            "--db",
            "names",
            "--allow-sql-fallback",
        ])
        .exits(1);
    is_harmless(&failed.stderr);
    assert!(failed.stderr.contains("\n  | begun"), "{}", failed.stderr);
    assert!(failed.stderr.contains("\n  | DETAIL:"), "{}", failed.stderr);
    drop(database);
}

#[test]
fn databases_and_roles_are_shown_by_their_codes() {
    let House { sandbox, database } = house();
    let role = "r\u{1b}[2J\nbegun";
    database.sql(&format!(
        "CREATE ROLE \"{role}\"; ALTER DATABASE {} OWNER TO \"{role}\"; ALTER TABLE \"{EVIL}\" OWNER TO \"{role}\"",
        database.name
    ));
    sandbox.run(&["backup"]).exits(0);
    let name = "d\u{1b}[2J\nbegun";
    let restore = [
        "restore",
        "--from",
        "names/latest",
        "--to",
        name,
        "--create",
    ];
    for (more, status) in [(&["--dry-run"][..], 0), (&[], 0), (&["--dry-run"], 15)] {
        let output = sandbox.run(&[&restore[..], more].concat()).exits(status);
        let said = format!("{}{}", output.text(), output.stderr);
        is_harmless(&said);
        assert!(said.contains(r"d\u{1b}[2J\nbegun"), "{said}");
        assert!(
            status == 15 || said.contains(r"r\u{1b}[2J\nbegun"),
            "{said}"
        );
    }
    database.sql(&format!("DROP DATABASE \"{name}\""));
}

#[test]
fn json_holds_names_as_they_are_and_nothing_that_steers() {
    let House { sandbox, .. } = house();
    let preview = sandbox
        .run(&[
            "restore",
            "--from",
            "names/latest",
            "--clean",
            "--dry-run",
            "--json",
        ])
        .exits(0)
        .text();
    is_harmless(&preview);
    let preview: serde_json::Value = serde_json::from_str(&preview).expect("JSON");
    let tables = preview["tables"].as_array().expect("a list");
    assert!(
        tables.contains(&format!("public.{EVIL}").into()),
        "{tables:?}"
    );
}

#[test]
fn what_others_left_on_a_storage_steers_nothing() {
    let House { sandbox, .. } = house();
    let store = sandbox.path("storage");
    for name in [EVIL.replace('/', ""), "names/\u{1b}[2J\nbegun.dump".into()] {
        let place = store.join(&name);
        match name.contains(".dump") {
            true => fs::write(place, "PGDMP").expect("write it"),
            false => fs::create_dir(place).expect("make it"),
        }
    }
    for command in [
        &["list"][..],
        &["status"],
        &["verify", "latest"],
        &["prune", "--dry-run", "--explain"],
    ] {
        let output = sandbox.run(command);
        is_harmless(&format!("{}{}", output.text(), output.stderr));
    }
    for argument in ["\u{1b}[2J\nbegun", "names/\u{9b}2J"] {
        let output = sandbox.run(&["restore", "--from", argument]);
        is_harmless(&format!("{}{}", output.text(), output.stderr));
    }
}
