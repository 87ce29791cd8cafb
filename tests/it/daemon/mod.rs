//! The daemon as built, by the real clock. What waits for a minute of it is in `minutes`, side by side.

mod bucket;
mod fast;
mod manager;
pub mod minutes;

use crate::support::entry::Entry;
use crate::support::postgres::{Database, postgres};
use crate::support::processes::{self, Process};
use crate::support::program::{self, Output, Running};
use crate::support::sandbox::Sandbox;
use crate::support::wait;
use rustix::process::Signal;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// The name of the database in the configuration, whichever it is.
const NAME: &str = "app";
const EVERY_MINUTE: &str = "schedule: '* * * * *'";
/// What the daemon says while a backup goes on.
const RUNNING: &str = "STATUS=running: backup of app";
/// What it says while none does.
const IDLE: &str = "STATUS=idle; next: backup of app at ";

/// A daemon under way, with a service manager that hears what it says.
struct Daemon {
    run: Running,
    manager: UnixDatagram,
}

impl Daemon {
    /// Starts one, and returns once it is ready.
    #[track_caller]
    fn start(sandbox: &Sandbox, options: &[&str]) -> Daemon {
        let path = sandbox.path("notify");
        let manager = UnixDatagram::bind(&path).expect("bind a socket");
        let patience = Some(Duration::from_secs(200));
        manager.set_read_timeout(patience).expect("set a limit");
        let mut command = sandbox.command(&[&["daemon"], options].concat());
        command.env("NOTIFY_SOCKET", &path);
        let daemon = Daemon {
            run: program::start(command, ""),
            manager,
        };
        daemon.hears("READY=1");
        daemon
    }

    /// The next thing that the daemon says.
    #[track_caller]
    fn next(&self) -> String {
        let mut buffer = [0; 4096];
        loop {
            match self.manager.recv(&mut buffer) {
                Ok(length) => return String::from_utf8_lossy(&buffer[..length]).into_owned(),
                // a wait with a limit is not taken up again by itself
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("the daemon says nothing: {error}"),
            }
        }
    }

    /// Waits until the daemon says something that begins with this.
    #[track_caller]
    fn hears(&self, beginning: &str) -> String {
        loop {
            let said = self.next();
            if said.starts_with(beginning) {
                return said;
            }
        }
    }

    /// Stops it tidily, whatever it is at.
    #[track_caller]
    fn stop(self) -> Output {
        self.run.signal(Signal::TERM);
        self.run.wait().exits(0)
    }
}

fn tiny() -> Database<'static> {
    let database = postgres(18).create_database("tiny");
    database.sql("CREATE TABLE t AS SELECT 1 AS one");
    database
}

fn archives(sandbox: &Sandbox, name: &str) -> usize {
    let files = sandbox.files(&format!("storage/{name}"));
    files.iter().filter(|file| file.ends_with(".dump")).count()
}

/// The pg_dump that dumps, once it does.
#[track_caller]
fn dumping(sandbox: &Sandbox) -> Process {
    wait::until("pg_dump runs", || {
        let mut children = processes::of(&sandbox.path(""));
        // and not one that is asked for its version
        children.retain(|child| {
            child.name == "pg_dump" && processes::contains(&child.arguments, b"--format")
        });
        children.pop()
    })
}

#[track_caller]
fn wait_for_archives(sandbox: &Sandbox, name: &str, count: usize) {
    wait::until(&format!("{count} archives of {name}"), || {
        (archives(sandbox, name) >= count).then_some(())
    });
}

#[test]
fn the_next_runs_are_told_without_waiting_for_them() {
    let sandbox = Sandbox::new(18);
    let entry = |name| Entry::new(name, "url: 'postgres://u@nowhere/d'".into());
    sandbox.configure_with(
        "max_parallel: 2",
        &[
            entry("leap").backup("schedule: '0 0 29 2 *'"),
            entry("never"),
            entry("new_year").backup("schedule: '@yearly'"),
        ],
    );
    let output = sandbox.run(&["daemon", "--dry-run"]).exits(0);
    let text = output.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 10, "{text}");
    for (index, name, ending) in [
        (0, "leap", "-02-29T00:00:00Z"),
        (5, "new_year", "-01-01T00:00:00Z"),
    ] {
        for line in &lines[index..index + 5] {
            assert!(
                line.starts_with(&format!("{name}\tbackup\t")) && line.ends_with(ending),
                "{text}"
            );
        }
    }
    assert!(output.stderr.contains("without a schedule: never"));

    let output = sandbox.run(&["daemon", "--dry-run", "--json"]).exits(0);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(document["unscheduled"], serde_json::json!(["never"]));
    let leap = &document["jobs"][0];
    assert_eq!(
        (&leap["database"], &leap["task"]),
        (&"leap".into(), &"backup".into())
    );
    let told: Vec<&str> = lines[..5]
        .iter()
        .filter_map(|line| line.split('\t').nth(2))
        .collect();
    assert_eq!(leap["next"], serde_json::json!(told));

    sandbox.run(&["daemon", "--json"]).exits(2);
    sandbox.configure_with("", &[entry("never")]);
    let output = sandbox.run(&["daemon"]).exits(2);
    assert!(output.stderr.contains("no database has a schedule"));
}

#[test]
fn a_signal_while_idle_ends_the_daemon_with_0() {
    let database = tiny();
    for signal in [Signal::TERM, Signal::INT] {
        let sandbox = Sandbox::new(18);
        let entry = Entry::of(&database)
            .named(NAME)
            .backup("schedule: '@yearly'");
        sandbox.configure_with("", &[entry]);
        let daemon = Daemon::start(&sandbox, &[]);
        daemon.hears(IDLE);
        daemon.run.signal(signal);
        daemon.run.wait().exits(0);
        assert_eq!(sandbox.files("storage"), [""; 0]);
    }
}

#[test]
fn a_second_daemon_for_one_configuration_is_refused() {
    let database = tiny();
    let sandbox = Sandbox::new(18);
    let entry = Entry::of(&database)
        .named(NAME)
        .backup("schedule: '@yearly'");
    sandbox.configure_with("", &[entry]);
    let daemon = Daemon::start(&sandbox, &[]);
    let output = sandbox.run(&["daemon"]).exits(11);
    let pid = daemon.run.pid().as_raw_nonzero();
    assert!(
        output
            .stderr
            .contains(&format!("process {pid} is the daemon"))
    );
    daemon.stop();
}
