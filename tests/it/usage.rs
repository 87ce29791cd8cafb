//! What the command line and the configuration promise before anything is done.

use crate::support::entry::Entry;
use crate::support::postgres::postgres;
use crate::support::sandbox::Sandbox;
use std::fs;

const COMMANDS: [&str; 7] = ["init", "test", "status", "backup", "restore", "list", "cat"];

#[test]
fn version_and_help_go_to_stdout_without_any_configuration() {
    let sandbox = Sandbox::new(18);
    let version = sandbox.run(&["--version"]).exits(0);
    assert_eq!(
        version.text(),
        format!("backupkit {}\n", env!("CARGO_PKG_VERSION"))
    );
    let help = sandbox.run(&["--help"]).exits(0);
    for word in COMMANDS
        .iter()
        .chain(&["--config", "$BACKUPKIT_CONFIG", "15", "refused"])
    {
        assert!(help.text().contains(word), "{word}: {}", help.text());
    }
    for command in COMMANDS {
        let help = sandbox.run(&[command, "--help"]).exits(0);
        assert!(help.text().contains(&format!("Usage: backupkit {command}")));
        assert_eq!(help.stderr, "");
    }
    assert!(
        sandbox
            .run(&["restore", "--help"])
            .text()
            .contains("--allow-sql-fallback")
    );
}

#[test]
fn what_is_not_understood_exits_2_and_says_where_help_is() {
    let sandbox = Sandbox::new(18);
    for arguments in [
        &[][..],
        &["bakcup"],
        &["backup", "--nope"],
        &["backup", "--lock-wait", "soon"],
        &["restore"],
        &["cat"],
        &["cat", "a", "b"],
        &["diff", "a"],
        &["help", "nothing"],
    ] {
        let output = sandbox.run(arguments).exits(2);
        assert_eq!(output.text(), "");
        assert!(
            output.stderr.contains("--help"),
            "{arguments:?}: {}",
            output.stderr
        );
        for raw in ["Required ", "following subcommands", "Error parsing"] {
            assert!(!output.stderr.contains(raw), "{}", output.stderr);
        }
    }
}

#[test]
fn the_name_alone_shows_the_commands_and_help_of_one_is_its_help() {
    let sandbox = Sandbox::new(18);
    let output = sandbox.run(&[]).exits(2);
    assert_eq!(output.text(), "");
    for line in [
        "usage: backupkit COMMAND [options]",
        "  restore     Restore one backup",
        "  diff  ",
    ] {
        assert!(output.stderr.contains(line), "{}", output.stderr);
    }
    assert!(output.stderr.lines().count() < 25, "{}", output.stderr);
    let help = sandbox.run(&["diff", "--help"]).exits(0).text();
    assert_eq!(sandbox.run(&["help", "diff"]).exits(0).text(), help);
}

#[test]
fn the_configuration_is_found_by_option_else_by_variable() {
    let (sandbox, database) = (Sandbox::new(18), postgres(18).create_database("found"));
    sandbox.configure_with("", &[Entry::of(&database)]);
    sandbox.run(&["list"]).exits(0);
    let other = sandbox.path("other.yaml");
    fs::rename(sandbox.path("config.yaml"), &other).expect("it is there");
    let missing = sandbox.run(&["list"]).exits(2);
    assert!(missing.stderr.contains("config.yaml"), "{}", missing.stderr);
    let path = other.to_str().expect("a path in UTF-8");
    for arguments in [
        &["list", "-c", path][..],
        &["list", "--config", path],
        &["list", &format!("--config={path}")],
        &["-c", path, "list"],
        &[&format!("--config={path}"), "list"],
    ] {
        sandbox.run(arguments).exits(0);
    }
}

#[test]
fn an_option_holds_its_value_behind_an_equals_sign_as_well() {
    let (sandbox, database) = (Sandbox::new(18), postgres(18).create_database("equals"));
    sandbox.configure_with("", &[Entry::of(&database)]);
    let name = format!("--db={}", database.name);
    sandbox.run(&["backup", &name, "--lock-wait=1s"]).exits(0);
    let output = sandbox
        .run(&["restore", "--from=latest", &name, "--clean"])
        .exits(0);
    assert!(output.text().contains("\tok\t"));
}

#[test]
fn a_wrong_configuration_exits_2_with_every_problem_and_as_json_where_asked() {
    let sandbox = Sandbox::new(18);
    sandbox.configure(
        "version: 1\nstorage:\n  - { name: a, type: local }\ndatabases:\n  - name: ../x\n    type: postgres\n    \
         connection: { host: h, port: 99999, database: d, user: u }\n    backup: { storage: b }\n",
    );
    for command in [
        &["backup"][..],
        &["list"],
        &["restore", "--from", "latest"],
        &["cat", "latest"],
    ] {
        let output = sandbox.run(command).exits(2);
        for word in ["local is missing", "slash", "99999", "did you mean a?"] {
            assert!(output.stderr.contains(word), "{word}: {}", output.stderr);
        }
    }
    let json = sandbox.run(&["backup", "--json"]).exits(2).text();
    let error: serde_json::Value = serde_json::from_str(json.trim_end()).expect("one line of JSON");
    assert_eq!(
        (&error["type"], &error["exit_status"]),
        (&"error".into(), &2.into())
    );
    sandbox.configure("version: 1\ndatabase: []\n");
    let output = sandbox.run(&["list"]).exits(2);
    assert!(output.stderr.contains("databases"), "{}", output.stderr);
}

#[test]
fn verbose_says_which_tools_are_used() {
    let (sandbox, database) = (Sandbox::new(18), postgres(18).create_database("verbose"));
    sandbox.configure_with("", &[Entry::of(&database)]);
    let quiet = sandbox.run(&["backup"]).exits(0);
    assert_eq!(quiet.stderr, "");
    let verbose = sandbox.run(&["backup", "--verbose"]).exits(0);
    assert!(
        verbose.stderr.contains("using pg_dump 18."),
        "{}",
        verbose.stderr
    );
    assert!(!verbose.stderr.contains(&database.server.password));
}
