//! What the configuration asks of a restored database.

use super::{DRILL, drill, nothing_is_left, place};
use crate::support::entry::Entry;
use crate::support::postgres::{Database, postgres};
use crate::support::program::Output;
use crate::support::sandbox::Sandbox;

fn database() -> Database<'static> {
    let database = postgres(18).create_database("examined");
    database.sql("CREATE TABLE users AS SELECT n AS id FROM generate_series(1, 7) AS n");
    database
}

/// A drill with these keys under `drill` of the database.
#[track_caller]
fn with(keys: &str) -> (Sandbox, Output) {
    let database = database();
    let sandbox = place(18);
    sandbox.configure_with(DRILL, &[Entry::of(&database).drill(keys)]);
    sandbox.back_up(&database.name);
    let output = drill(&sandbox);
    nothing_is_left(&sandbox);
    (sandbox, output)
}

#[test]
fn an_assertion_has_to_return_true() {
    with("assert: ['select count(*) = 7 from users', \"select current_user = 'postgres'\"]")
        .1
        .exits(0);
    for (sql, told) in [
        (
            "select count(*) > 7 from users",
            "returned false instead of true",
        ),
        ("select null::bool", "returned nothing instead of true"),
        ("select true from users", "instead of true"),
        (
            "select count(*) > 0 from customers",
            "relation \"customers\" does not exist",
        ),
    ] {
        let (_, output) = with(&format!("assert: ['{sql}']"));
        let told_it = output.text();
        output.exits(13);
        assert!(told_it.contains(told) && told_it.contains(sql), "{told_it}");
    }
}

#[test]
fn an_assertion_that_cannot_be_asked_says_nothing_of_the_backup() {
    let (_, output) = with("assert: ['selct true', 'select sume(id) > 0 from users']");
    let output = output.exits(1);
    let (text, stderr) = (output.text(), output.stderr);
    assert!(
        text.contains("undecided") && !text.contains("bad"),
        "{text}"
    );
    assert!(
        stderr.contains("syntax error at or near") && stderr.contains("correct drill.assert"),
        "{stderr}"
    );
    assert!(
        !stderr.contains("LOCATION") && !stderr.contains("42601"),
        "{stderr}"
    );
}

#[test]
fn a_command_reaches_the_restored_database() {
    let run = "psql -X -At \"$DATABASE_URL\" -c \"select ''rows='' || count(*) from users\" >rows";
    let (sandbox, output) = with(&format!("run: ['{run}']"));
    output.exits(0);
    let rows = std::fs::read_to_string(sandbox.path("rows")).expect("the command ran");
    assert_eq!(rows, "rows=7\n");
}

#[test]
fn a_command_that_fails_is_a_bad_backup_and_one_that_is_not_there_a_bad_drill() {
    let (_, output) = with("run: ['true', 'echo it smells >&2; exit 3']");
    let output = output.exits(13);
    assert!(output.text().contains("it smells"), "{}", output.text());
    let (_, output) = with("run: ['there-is-no-such-command']");
    let output = output.exits(1);
    assert!(output.stderr.contains("drill.run"), "{}", output.stderr);
}

#[test]
fn a_command_that_never_ends_is_ended() {
    let database = database();
    let sandbox = place(18);
    let entry = Entry::of(&database).drill("run: ['sleep 10000']");
    sandbox.configure_with("drill: { user: nobody, timeout: 1s }", &[entry]);
    sandbox.back_up(&database.name);
    let output = drill(&sandbox).exits(1);
    assert!(output.stderr.contains("drill.timeout"), "{}", output.stderr);
    nothing_is_left(&sandbox);
}

#[test]
fn only_the_command_is_told_where_the_database_is() {
    let (_, output) = with("run: ['! grep -lz ^DATABASE_URL= /proc/$PPID/environ']");
    output.exits(0);
    // a later command knows nothing of an earlier one
    let (_, output) = with("run: ['export LEAK=1', 'test -z \"$LEAK\"']");
    output.exits(0);
}
