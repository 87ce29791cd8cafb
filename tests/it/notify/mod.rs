//! People are told what became of a backup, whatever became of it, and nothing that goes wrong with the telling
//! makes the backup worse.

mod email;
mod webhook;

use crate::support::entry::Entry;
use crate::support::postgres::postgres;
use crate::support::program::Output;
use crate::support::receiver::Receiver;
use crate::support::sandbox::Sandbox;

/// The name of the database in the configuration.
const NAME: &str = "app";

/// A sandbox whose one database is backed up well.
fn good(notifications: &str) -> Sandbox {
    let database = postgres(18).create_database("told");
    database.sql("CREATE TABLE t AS SELECT 1 AS one");
    let sandbox = Sandbox::new(18);
    configure(&sandbox, notifications, &[Entry::of(&database).named(NAME)]);
    sandbox
}

/// One whose database cannot be reached.
fn failing(notifications: &str) -> Sandbox {
    let sandbox = Sandbox::new(18);
    let connection = "host: 127.0.0.1, port: 1, database: d, user: u";
    configure(
        &sandbox,
        notifications,
        &[Entry::new(NAME, connection.into())],
    );
    sandbox
}

fn configure(sandbox: &Sandbox, notifications: &str, entries: &[Entry]) {
    sandbox.configure_with(&format!("notifications:\n{notifications}"), entries);
}

/// A route to `url` for both kinds of event; `more` are further keys.
fn webhook(url: &str, more: &str) -> String {
    format!("  - {{ type: webhook, on: [success, failure], config: {{ url: '{url}', {more} }} }}\n")
}

impl Output {
    /// The lines of its log that are warnings.
    fn warnings(&self) -> Vec<&str> {
        let lines = self.stderr.lines();
        lines
            .filter_map(|line| line.split_once("warning: "))
            .map(|(_, warning)| warning)
            .collect()
    }
}

#[test]
fn a_run_by_hand_that_ends_well_tells_those_who_were_told_of_a_failure() {
    let failures = Receiver::good();
    let routes = format!(
        "  - {{ type: webhook, on: failure, config: {{ url: '{}' }} }}\n",
        failures.url
    );
    let database = postgres(18).create_database("recovering");
    let sandbox = Sandbox::new(18);
    let good = || Entry::of(&database).named(NAME).storage("[local, second]");
    let with_second = |entry: Entry| {
        let second = sandbox.path("second").display().to_string();
        let local = sandbox.path("storage").display().to_string();
        sandbox.configure(&format!(
            "version: 1\nnotifications:\n{routes}storage:\n  - {{ name: local, type: local, local: {{ path: '{local}' }} }}\n  \
             - {{ name: second, type: local, local: {{ path: '{second}' }} }}\ndatabases:\n{}",
            entry.to_yaml()
        ));
    };
    let run = |status: i32| -> Vec<(String, bool)> {
        sandbox.run(&["backup"]).exits(status);
        let told = failures.rest().into_iter().map(|request| request.json());
        told.map(|event| {
            let outcome = event["outcome"].as_str().expect("an outcome").to_string();
            (outcome, event["recovered"] == true)
        })
        .collect()
    };
    let failed = || vec![("failed".to_string(), false)];
    let recovered = || vec![("ok".to_string(), true)];
    with_second(good());
    assert_eq!(run(0), []);
    with_second(good().connection("host: 127.0.0.1, port: 1, database: d, user: u"));
    assert_eq!(run(1), failed());
    assert_eq!(run(1), failed());
    with_second(good());
    assert_eq!(run(0), recovered());
    assert_eq!(run(0), []);
    // a missing copy is told as a failure as well, and status tells it of the backup and of no run
    let second = sandbox.path("second");
    std::fs::rename(&second, sandbox.path("aside")).expect("move it");
    std::fs::write(&second, "no directory").expect("write a file");
    assert_eq!(run(3), [("degraded".to_string(), false)]);
    let status = sandbox.run(&["status"]).text();
    assert!(!status.contains("the last run failed"), "{status}");
    std::fs::remove_file(&second).expect("remove it");
    std::fs::rename(sandbox.path("aside"), &second).expect("move it back");
    assert_eq!(run(0), recovered());
    assert_eq!(run(0), []);
}
