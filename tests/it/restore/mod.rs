//! What `restore` promises: which backup goes where, what is refused, and that a target is as before where it fails.

mod agreement;
mod broken_keys;
mod bytes;
mod clean;
mod globals;
mod incomplete;
mod jobs;
mod locale;
mod locks;
mod login;
mod made;
mod one_table;
mod part;
mod place;
mod preflight;
mod properties;
mod psql_agrees;
mod reference;
mod rights;
mod set_aside;
mod sql;
mod subscriptions;
mod tablespaces;
mod target;
mod tools;

use crate::support::archive::Archive;
use crate::support::entry::Entry;
use crate::support::postgres::{Database, postgres};
use crate::support::program::Output;
use crate::support::sandbox::{Sandbox, Shape};

const PLAIN: Shape = Shape::new(false, false);
const SEALED: Shape = Shape::new(true, true);

/// A configured `source` of two tables and an empty `target`.
struct House {
    sandbox: Sandbox,
    source: Database<'static>,
    target: Database<'static>,
}

impl House {
    fn new(shape: Shape) -> House {
        House::on(shape, 18)
    }

    /// With server and clients of this major version.
    fn on(shape: Shape, major: u32) -> House {
        let house = House {
            sandbox: Sandbox::new(major),
            source: postgres(major).create_database("source"),
            target: postgres(major).create_database("target"),
        };
        house.source.sql(
            "CREATE TABLE word (id int PRIMARY KEY, word text); CREATE TABLE nothing (id int);
             INSERT INTO word SELECT n, 'word ' || n FROM generate_series(1, 1000) AS n",
        );
        house.configure(shape, "", "lock_timeout: 10m");
        house
    }

    /// `top` is a further top-level line, `backup` one more key of both databases.
    fn configure(&self, shape: Shape, top: &str, backup: &str) {
        let entry = |database: &Database<'_>, name| {
            Entry::of(database).named(name).shape(shape).backup(backup)
        };
        self.sandbox.configure_with(
            top,
            &[entry(&self.source, "source"), entry(&self.target, "target")],
        );
    }

    /// Restores into the target.
    fn restore(&self, from: &str, more: &[&str]) -> Output {
        let arguments = ["restore", "--from", from, "--db", "target"];
        self.sandbox.run(&[&arguments[..], more].concat())
    }

    /// Fails with `status`, says all of `words`, and leaves the target empty.
    #[track_caller]
    fn refuses(&self, from: &str, more: &[&str], status: i32, words: &[&str]) {
        let output = self.restore(from, more).exits(status);
        says(&output, words);
        assert_eq!(output.text(), "");
        self.target_is_empty();
    }

    #[track_caller]
    fn target_is_empty(&self) {
        let count = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
        assert_eq!(self.target.sql(count), "0");
    }
}

#[track_caller]
fn says(output: &Output, words: &[&str]) {
    for word in words {
        assert!(
            output.stderr.contains(word),
            "no {word:?} in: {}",
            output.stderr
        );
    }
}

fn path(archive: &Archive) -> &str {
    archive.path.to_str().expect("a path in UTF-8")
}

/// What `pg_dump` prints of a database without any options.
fn sql_of(database: &Database<'_>) -> Vec<u8> {
    let mut command = database.server.client("pg_dump");
    command.env("PGDATABASE", &database.name);
    let script = crate::support::program::run(command, "").exits(0).stdout;
    assert!(script.windows(10).any(|window| window == b"\\restrict "));
    script
}
