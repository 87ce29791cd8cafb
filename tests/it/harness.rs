//! The harness itself: what it says of a database must be true before it judges a backup.

use crate::support::postgres::{Database, MAJORS, Server, postgres};
use crate::support::program::{self, Output};
use crate::support::sandbox::{ENCRYPTION_PASSWORD, SHAPES, Sandbox, Shape};
use rustix::process::Signal;
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// A copy of `source` by the server's own tools.
fn copy<'server>(source: &Database<'server>) -> Database<'server> {
    let server = source.server;
    let mut dump = server.client("pg_dump");
    dump.args(["--format=custom", &source.name]);
    let archive = program::run(dump, "").exits(0).stdout;
    let target = server.create_database("copy");
    let mut restore = server.client("pg_restore");
    restore.args(["--single-transaction", "--dbname", &target.name]);
    program::run(restore, archive).exits(0);
    target
}

fn a_copy_holds_the_same_until_either_is_changed(major: u32) {
    let source = postgres(major).shop();
    copy(&source).holds_the_same_as(&source);

    for change in [
        "UPDATE shop.customer SET credit = credit + 0.01 WHERE id = 7",
        "DELETE FROM audit.event WHERE id = 7",
        r#"UPDATE odd." SELECT " SET t = 'T' WHERE "from" = 20"#,
        "INSERT INTO odd.no_columns DEFAULT VALUES",
        "SELECT nextval('odd.fresh')",
        "SELECT lo_put(910002, 5, 'x')",
        "DROP INDEX shop.order_customer_idx",
        "CREATE OR REPLACE VIEW odd.v AS SELECT 2 AS two",
        "ALTER TABLE odd.no_rows ALTER what SET DEFAULT 'nothing'",
        "REFRESH MATERIALIZED VIEW odd.not_filled",
    ] {
        let before = source.fingerprint();
        source.sql(change);
        assert_ne!(source.fingerprint(), before, "not noticed: {change}");
    }
}

#[test]
fn a_copy_on_14_holds_the_same_until_either_is_changed() {
    a_copy_holds_the_same_until_either_is_changed(14);
}

#[test]
fn a_copy_on_18_holds_the_same_until_either_is_changed() {
    a_copy_holds_the_same_until_either_is_changed(18);
}

#[test]
fn every_major_version_starts() {
    for major in MAJORS {
        let version = postgres(major).maintenance().sql("SHOW server_version_num");
        assert_eq!(&version[..2], major.to_string());
    }
}

#[test]
fn a_role_logs_in_with_its_password_only() {
    let server = postgres(18);
    let role = server.create_role("owner");
    let connect = |user: &str, password: &str| -> Output {
        let mut psql = server.client("psql");
        psql.env("PGPASSWORD", password)
            .args(["-XAtc", "SELECT current_user"]);
        psql.args(["-h", "127.0.0.1", "-U", user, "postgres"]);
        program::run(psql, "")
    };
    assert_eq!(connect(&role, &role).exits(0).text().trim(), role);
    assert_eq!(
        connect("postgres", &server.password).exits(0).text().trim(),
        "postgres"
    );
    connect(&role, "not it").exits(2);
    connect("postgres", "not it").exits(2);
}

#[test]
fn a_server_vanishes_when_its_pipe_closes() {
    let server = Server::start(18, &["max_connections=7"]);
    assert_eq!(server.maintenance().sql("SHOW max_connections"), "7");
    let (directory, port) = (server.directory.clone(), server.port);
    drop(server);
    assert!(!directory.exists());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn a_program_that_hangs_is_killed_with_its_children() {
    let mut shell = Command::new("sh");
    shell.args(["-c", "echo started; sleep 1000 & sleep 1000"]);
    let output = program::start(shell, "").wait_at_most(Duration::from_millis(500));
    let output = output.expect_err("it cannot have ended by itself");
    assert_eq!(output.text(), "started\n");
    assert_eq!(output.status.signal(), Some(Signal::KILL.as_raw()));
}

#[test]
fn a_program_that_runs_can_be_looked_at_and_signalled() {
    let mut shell = Command::new("sleep");
    shell.arg("1000");
    let sleep = program::start(shell, "");
    assert!(PathBuf::from(format!("/proc/{}", sleep.pid())).exists());
    sleep.signal(Signal::TERM);
    assert_eq!(sleep.wait().status.signal(), Some(Signal::TERM.as_raw()));
}

#[test]
fn a_sandbox_holds_the_program_and_nothing_else() {
    let sandbox = Sandbox::new(18).with("CANARY", "sings");
    sandbox.configure("version: 1\n");
    sandbox.run(&["--help"]).exits(0);

    let command = sandbox.command(&[]);
    let names: Vec<_> = command
        .get_envs()
        .filter_map(|(name, _)| name.to_str())
        .collect();
    assert!(
        names.contains(&"CANARY") && !names.contains(&"PGPASSWORD"),
        "{names:?}"
    );
    assert_eq!(sandbox.files(""), ["config.yaml"]);
}

#[test]
fn a_configuration_names_each_database_and_its_shape() {
    let sandbox = Sandbox::new(18);
    let database = postgres(18).create_database("named");
    for shape @ Shape { encrypted, .. } in SHAPES {
        sandbox.configure_for(&[&database], shape);
        let yaml = std::fs::read_to_string(sandbox.path("config.yaml")).expect("read it back");
        let parsed: serde_yaml::Value = serde_yaml::from_str(&yaml).expect("it is YAML");
        let entry = &parsed["databases"][0];
        assert_eq!(entry["connection"]["database"], *database.name);
        assert_eq!(entry["backup"]["encryption"].is_mapping(), encrypted);
        assert_eq!(shape.suffix().ends_with(".enc"), encrypted);
        assert!(!yaml.contains(ENCRYPTION_PASSWORD));
    }
}
