//! What waits for a minute of the real clock, or for two: all of it at the same time, whichever is asked for first.
//! One after the other these tests would keep everything else waiting.

use super::bucket::Bucket;
use super::*;
use crate::support::processes::process;
use crate::support::proxy::Fault;
use crate::support::receiver::{Answer, Receiver};
use rustix::process::Pid;
use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::panic::resume_unwind;
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};

macro_rules! side_by_side {
    ($(fn $name:ident() $body:block)*) => {
        $(#[test]
        fn $name() {
            end_of(stringify!($name));
        })*

        const ALL: &[(&str, fn())] = &[$((stringify!($name), || $body)),*];
    };
}

type Threads = Mutex<BTreeMap<&'static str, JoinHandle<()>>>;

/// All of them, started if nobody has.
fn all() -> &'static Threads {
    static THREADS: OnceLock<Threads> = OnceLock::new();
    THREADS.get_or_init(|| {
        let start = |(name, body): &(&'static str, fn())| {
            let thread = thread::Builder::new().name(name.to_string());
            (*name, thread.spawn(*body).expect("start a thread"))
        };
        Mutex::new(ALL.iter().map(start).collect())
    })
}

/// Has them wait beside what comes before them.
pub fn begin() {
    all();
}

/// Waits for the one of this name.
fn end_of(name: &str) {
    let mut threads = all().lock().unwrap_or_else(PoisonError::into_inner);
    let thread = threads.remove(name).expect("it is asked for once");
    drop(threads);
    if let Err(panic) = thread.join() {
        resume_unwind(panic);
    }
}

/// A route to this receiver, for everything.
fn told_to(receiver: &Receiver) -> String {
    let url = &receiver.url;
    format!(
        "notifications:\n  - {{ type: webhook, on: [success, failure], config: {{ url: '{url}' }} }}"
    )
}

fn no_children(sandbox: &Sandbox) {
    let left = processes::of(&sandbox.path(""));
    assert!(left.is_empty(), "still running: {left:?}");
}

/// The children of a process, zombies included.
fn children(pid: Pid) -> Vec<Process> {
    let mut children = processes::all();
    children.retain(|child| child.status("PPid") == Some(pid.to_string()));
    children
}

side_by_side! {
    fn a_password_file_that_changes_between_two_runs_needs_no_restart() {
        let server = postgres(18);
        let role = server.create_role("rotated");
        let database = server.create_database_of(&role, "rotated");
        let sandbox = Sandbox::new(18);
        let file = sandbox.path("password");
        let sandbox = sandbox.with("DB_PASSWORD_FILE", file.to_str().expect("UTF-8"));
        fs::write(&file, &role).expect("write the password");
        let entry = Entry::of(&database)
            .named(NAME)
            .login(&database, &role, "${DB_PASSWORD}");
        sandbox.configure_with("", &[entry.backup(EVERY_MINUTE)]);

        let daemon = Daemon::start(&sandbox, &[]);
        daemon.hears(RUNNING);
        daemon.hears(IDLE);
        assert_eq!(archives(&sandbox, NAME), 1);
        server
            .maintenance()
            .sql(&format!("ALTER ROLE {role} PASSWORD 'another'"));
        fs::write(&file, "another\n").expect("write the password");
        daemon.hears(RUNNING);
        daemon.hears(IDLE);
        assert_eq!(archives(&sandbox, NAME), 2);
        let output = daemon.stop();
        assert_eq!(output.stdout, b"");
        for secret in [role.as_str(), "another"] {
            let said = output.stderr.replace(&database.name, "");
            assert!(!said.contains(secret), "{said}");
        }
    }

    fn a_server_that_vanishes_fails_one_database_and_works_again_when_it_returns() {
        let (away, here) = (tiny(), tiny());
        let sandbox = Sandbox::new(18);
        let socket = sandbox.path("socket");
        fs::create_dir(&socket).expect("make a directory");
        let connection = format!(
            "host: '{}', port: 5432, database: {}, user: postgres",
            socket.display(),
            away.name
        );
        sandbox.configure_with(
            "",
            &[
                Entry::new(NAME, connection).backup(EVERY_MINUTE),
                Entry::of(&here).named("other").backup(EVERY_MINUTE),
            ],
        );
        let daemon = Daemon::start(&sandbox, &[]);
        wait_for_archives(&sandbox, "other", 1);
        assert_eq!(archives(&sandbox, NAME), 0);
        let server = away.server;
        let real = server.directory.join(format!(".s.PGSQL.{}", server.port));
        symlink(real, socket.join(".s.PGSQL.5432")).expect("link the socket");
        wait_for_archives(&sandbox, NAME, 1);
        wait_for_archives(&sandbox, "other", 2);
        let output = daemon.stop();
        assert!(
            output.stderr.contains("cannot back up app: "),
            "{}",
            output.stderr
        );
        assert!(
            output.stderr.contains("app: backed up, again"),
            "{}",
            output.stderr
        );
    }

    fn a_run_that_takes_too_long_is_stopped_and_says_so() {
        let database = tiny();
        let sandbox = Sandbox::new(18);
        let entry = Entry::of(&database).named(NAME).backup(EVERY_MINUTE);
        sandbox.configure_with("", &[entry]);
        // pg_dump waits for the table, and stands still on top of that
        let held = database.hold("t");
        let daemon = Daemon::start(&sandbox, &["--run-timeout", "6s"]);
        daemon.hears(RUNNING);
        let pg_dump = dumping(&sandbox);
        let frozen = pg_dump.freeze();
        daemon.hears(IDLE);
        assert!(frozen.has_ended());
        drop(held);
        daemon.hears(RUNNING);
        daemon.hears(IDLE);
        assert_eq!(archives(&sandbox, NAME), 1);
        assert_eq!(
            sandbox.files("storage/app").len(),
            5,
            "the backup, the lock and the record of the failure"
        );
        let output = daemon.stop();
        let said = "cannot back up app: stopped after 6s, which is the limit of --run-timeout";
        assert!(output.stderr.contains(said), "{}", output.stderr);
        assert!(
            !output.stderr.contains("is tried again"),
            "{}",
            output.stderr
        );
    }

    fn a_new_configuration_is_run_by_and_a_run_under_way_ends_with_the_old_one() {
        let database = tiny();
        let sandbox = Sandbox::new(18);
        let entry = || Entry::of(&database).named(NAME).backup(EVERY_MINUTE);
        sandbox.configure_with("", &[entry()]);
        let held = database.hold("t");
        let daemon = Daemon::start(&sandbox, &[]);
        daemon.hears(RUNNING);
        sandbox.configure_in(&sandbox.path("elsewhere"), "", &[entry()]);
        daemon.run.signal(Signal::HUP);
        daemon.hears("RELOADING=1");
        drop(held);
        wait_for_archives(&sandbox, NAME, 1);
        wait::until("a backup elsewhere", || {
            let files = sandbox.files("elsewhere");
            files
                .iter()
                .any(|file| file.ends_with(".json"))
                .then_some(())
        });
        assert_eq!(archives(&sandbox, NAME), 1);
        daemon.stop();
    }

    fn the_first_process_of_a_container_reaps_orphans_and_stops_tidily() {
        let database = tiny();
        let sandbox = Sandbox::new(18);
        let entry = Entry::of(&database).named(NAME).backup(EVERY_MINUTE);
        sandbox.configure_with("", &[entry]);
        let manager = UnixDatagram::bind(sandbox.path("notify")).expect("bind a socket");

        // an orphan is made before the daemon takes the shell's place as process 1
        let mut command = Command::new("unshare");
        let namespaces = ["--user", "--map-root-user", "--pid", "--fork"];
        command.args(namespaces).args(["--kill-child", "sh", "-c"]);
        command.arg("(sleep 2 &); exec \"$0\" daemon");
        command.arg(env!("CARGO_BIN_EXE_backupkit"));
        let mut command = sandbox.inside(command);
        command.env("NOTIFY_SOCKET", sandbox.path("notify"));
        let run = program::start(command, "");
        let init = wait::until("the container has a first process", || {
            children(run.pid()).pop().map(|init| init.pid)
        });
        let daemon = wait::until("the daemon runs under it", || {
            let mut below = children(init);
            below.retain(|child| child.name == "backupkit");
            below.pop()
        });
        wait::until("the orphan has been reaped", || {
            let below = children(init);
            let only = below.len() == 1 && below[0].pid == daemon.pid;
            (only && process(init).name == "backupkit").then_some(())
        });
        let daemon = Daemon { run, manager };
        daemon.hears(RUNNING);
        daemon.hears(IDLE);
        assert_eq!(archives(&sandbox, NAME), 1);

        let zombies = || {
            let mut below = children(init);
            below.retain(Process::has_ended);
            below
        };
        assert!(zombies().is_empty(), "{:?}", zombies());
        process(init).signal(Signal::TERM);
        daemon.hears("STOPPING=1");
        let output = daemon.run.wait().exits(0);
        assert!(
            output.stderr.contains("daemon stopped"),
            "{}",
            output.stderr
        );
    }

    fn a_signal_while_dumping_stops_pg_dump_and_a_second_one_ends_at_once() {
        for twice in [false, true] {
            let database = tiny();
            let sandbox = Sandbox::new(18);
            let entry = Entry::of(&database).named(NAME).backup(EVERY_MINUTE);
            let failures = Receiver::good();
            sandbox.configure_with(&told_to(&failures), &[entry]);
            let _held = database.hold("t");
            let daemon = Daemon::start(&sandbox, &[]);
            daemon.hears(RUNNING);
        let pg_dump = dumping(&sandbox);
            // it does not end of the first signals that it gets
            let frozen = twice.then(|| pg_dump.freeze());
            daemon.run.signal(Signal::TERM);
            daemon.hears("STOPPING=1");
            if twice {
                daemon.run.signal(Signal::TERM);
                let output = daemon.run.wait();
                assert_eq!(
                    output.status.code(),
                    Some(143),
                    "{:?}",
                    output.status.signal()
                );
                drop(frozen);
                continue;
            }
            let output = daemon.run.wait().exits(0);
            assert!(pg_dump.has_ended());
            assert!(
                output.stderr.contains("cannot back up app: "),
                "{}",
                output.stderr
            );
            assert!(
                output.stderr.contains("stopped by SIGTERM"),
                "{}",
                output.stderr
            );
            no_children(&sandbox);
            assert_eq!(sandbox.files("storage"), ["app/.lock", "app/last-failure.json"]);
            let told = failures.request().json();
            assert_eq!((&told["status"], &told["db"]), (&"failure".into(), &NAME.into()));
            assert!(told["error"].to_string().contains("stopped by SIGTERM"), "{told}");
        }
    }

    fn a_signal_while_people_are_told_waits_for_no_receiver_that_hangs() {
        let database = tiny();
        let sandbox = Sandbox::new(18);
        let entry = Entry::of(&database).named(NAME).backup(EVERY_MINUTE);
        let hangs = Receiver::start(&[Answer::Hang]);
        sandbox.configure_with(&told_to(&hangs), &[entry]);
        let daemon = Daemon::start(&sandbox, &[]);
        assert_eq!(hangs.request().json()["status"], "success");
        let output = daemon.stop();
        assert!(output.stderr.contains("app: backed up, "), "{}", output.stderr);
        assert!(output.stderr.contains("warning: "), "{}", output.stderr);
        assert_eq!(archives(&sandbox, NAME), 1);
        no_children(&sandbox);
    }

    fn a_signal_while_uploading_leaves_no_object() {
        let database = tiny();
        let bucket = Bucket::of(&database);
        bucket.proxy.once("PUT", ".dump", Fault::Stall);
        let daemon = Daemon::start(&bucket.sandbox, &[]);
        bucket.proxy.wait_for("PUT", ".dump");
        let output = daemon.stop();
        assert!(
            output.stderr.contains("cannot back up app: "),
            "{}",
            output.stderr
        );
        assert_eq!(bucket.archives(), 0);
        assert_eq!(bucket.server.unfinished(), [""; 0]);
        no_children(&bucket.sandbox);
    }

    fn a_signal_while_pruning_keeps_the_backup_that_was_made() {
        let database = tiny();
        let bucket = Bucket::of(&database);
        bucket.sandbox.run(&["backup"]).exits(0);
        bucket.proxy.once("DELETE", ".dump", Fault::Stall);
        let daemon = Daemon::start(&bucket.sandbox, &[]);
        bucket.proxy.wait_for("DELETE", ".dump");
        let output = daemon.stop();
        assert!(
            output.stderr.contains("app: backed up, "),
            "{}",
            output.stderr
        );
        assert!(
            output.stderr.contains("is stored, but old ones stay"),
            "{}",
            output.stderr
        );
        assert_eq!(bucket.archives(), 2);
        no_children(&bucket.sandbox);
    }
}
