//! People are told what became of a backup, whatever became of it, and nothing that goes wrong with the telling
//! makes the backup worse.

mod email;
mod webhook;

use crate::support::entry::Entry;
use crate::support::postgres::postgres;
use crate::support::program::Output;
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
