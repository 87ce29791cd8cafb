//! A signal ends a run tidily: its children are stopped, what it wrote is removed, the target is as it was, and the
//! exit status tells the signal. A second signal ends it at once.

use crate::support::opened::Opened;
use crate::support::postgres::{Database, Server, large, postgres};
use crate::support::processes::{self, Frozen, Process, process};
use crate::support::program::{self, Running};
use crate::support::sandbox::Shape;
use crate::support::scene::{MIDDLE, NAME, Scene};
use crate::support::strace::Trace;
use crate::support::wait;
use rustix::fs::{FlockOperation, flock};
use rustix::io::ioctl_fionread;
use rustix::pipe::fcntl_getpipe_size;
use rustix::process::{Pid, Signal};
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

const GZIP: Shape = Shape::new(true, false);
const GZIP_SEALED: Shape = Shape::new(true, true);
/// The signals that people and service managers send, and what a run that they ended exits with.
const SIGNALS: [(Signal, i32); 2] = [(Signal::INT, 130), (Signal::TERM, 143)];

/// The server's process that serves a session in `database` which `condition` holds for, once there is one.
#[track_caller]
fn backend(database: &Database<'_>, condition: &str) -> Process {
    let name = &database.name;
    let sql = format!(
        "SELECT pid FROM pg_stat_activity WHERE datname = '{name}' AND application_name LIKE 'backupkit%' AND {condition}"
    );
    let maintenance = database.server.maintenance();
    wait::until(&format!("a session with {condition}"), || {
        let pid = maintenance.sql(&sql).parse().ok()?;
        Some(process(Pid::from_raw(pid)?))
    })
}

fn postmaster(server: &Server) -> Process {
    let file = fs::read_to_string(server.directory.join("data/postmaster.pid"));
    let pid = file
        .expect("the server runs")
        .lines()
        .next()
        .map(str::parse);
    process(Pid::from_raw(pid.expect("a line").expect("a number")).expect("a process"))
}

/// A session that holds a lock until it is dropped.
struct Holder<'server> {
    database: &'server Database<'server>,
    _psql: Running,
}

impl<'server> Holder<'server> {
    const SLEEPS: &'static str = "FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname";

    fn of(lock: &str, database: &'server Database<'server>) -> Holder<'server> {
        let mut psql = database.server.client("psql");
        psql.args(["-X", "-d", &database.name, "-c"]);
        psql.arg(format!("BEGIN; LOCK TABLE {lock}; SELECT pg_sleep(1000)"));
        let holder = Holder {
            database,
            _psql: program::start(psql, ""),
        };
        wait::until("the session sleeps", || {
            (holder.asks("count(*)") == "1").then_some(())
        });
        holder
    }

    fn asks(&self, what: &str) -> String {
        let Database { server, name } = self.database;
        server
            .maintenance()
            .sql(&format!("SELECT {what} {} = '{name}'", Holder::SLEEPS))
    }
}

impl Drop for Holder<'_> {
    fn drop(&mut self) {
        // the server would not notice that psql is gone before it wakes
        self.asks("pg_terminate_backend(pid, 10000)");
    }
}

#[test]
fn a_signal_stops_a_backup_and_leaves_nothing() {
    for (signal, status) in SIGNALS {
        let mut scene = Scene::new();
        scene.configure(large(), GZIP_SEALED);
        let run = scene.sandbox.start(&["backup"]);
        scene.wait_for_archive(MIDDLE);
        run.signal(signal);
        let output = run.wait().exits(status);
        assert!(
            output.stderr.contains("stopped by SIG"),
            "{}",
            output.stderr
        );
        scene.is_as_before();
        scene.next_run_works();
    }
}

#[test]
fn a_signal_stops_a_pg_dump_that_stands_still() {
    for (signal, status) in SIGNALS {
        let mut scene = Scene::new();
        scene.configure(large(), GZIP);
        let (run, backupkit, pg_dump) = scene.in_the_middle();
        run.signal(signal);
        backupkit.signal(Signal::CONT);
        run.wait().exits(status);
        assert!(pg_dump.has_ended());
        scene.is_as_before();
        scene.next_run_works();
    }
}

#[test]
fn a_signal_stops_a_backup_whose_server_hangs() {
    let server = Server::start(18, &[]);
    let database = server.large();
    let scene = Scene::new();
    scene.configure(&database, GZIP);
    let (run, backupkit, pg_dump) = scene.in_the_middle();
    let _frozen = backend(&database, "application_name LIKE 'backupkit backup %'").freeze();
    pg_dump.signal(Signal::CONT);
    backupkit.signal(Signal::CONT);
    run.signal(Signal::TERM);
    run.wait().exits(143);
    scene.is_as_before();
}

/// A backup that was sent SIGINT, whose pg_dump does not end of the signals that it gets for that: it wants to tell
/// its server first, and nobody answers there.
struct Deaf {
    scene: Scene,
    run: Running,
    pg_dump: Frozen,
    _frozen: [Frozen; 2],
    _server: Server,
}

impl Deaf {
    fn new() -> Deaf {
        let server = Server::start(18, &[]);
        let database = server.large();
        let scene = Scene::new();
        scene.configure(&database, GZIP);
        let (run, backupkit, pg_dump) = scene.in_the_middle();
        let frozen = [
            backend(&database, "application_name LIKE 'backupkit backup %'").freeze(),
            postmaster(&server).freeze(),
        ];
        backupkit.signal(Signal::CONT);
        run.signal(Signal::INT);
        wait::until("pg_dump handles SIGINT", || {
            let blocked = pg_dump.status("SigBlk").expect("it has not ended");
            let blocked = u64::from_str_radix(&blocked, 16).expect("a mask");
            (blocked & 1 << (Signal::INT.as_raw() - 1) != 0).then_some(())
        });
        Deaf {
            scene,
            run,
            pg_dump,
            _frozen: frozen,
            _server: server,
        }
    }
}

#[test]
fn a_pg_dump_that_heeds_no_signal_is_killed() {
    let mut deaf = Deaf::new();
    let Deaf { scene, run, .. } = &mut deaf;
    run.ends().exits(130);
    scene.is_as_before();
    assert!(deaf.pg_dump.has_ended());
    deaf.scene.next_run_works();
}

#[test]
fn a_second_signal_ends_a_run_at_once() {
    let mut deaf = Deaf::new();
    let Deaf { scene, run, .. } = &mut deaf;
    run.signal(Signal::TERM);
    // the first one would have ended it with 130, once pg_dump had been killed
    run.ends().exits(143);
    let left = scene.files();
    // what it was writing, and the mark that says so
    assert_eq!(left.len(), scene.before.len() + 2, "{:?}", left.keys());
    scene.next_run_works();
}

#[test]
fn a_signal_ends_the_wait_for_another_run() {
    let scene = Scene::new();
    let lock = scene.storage.join(NAME).join(".lock");
    let held = File::open(&lock).expect("open the lock");
    flock(&held, FlockOperation::NonBlockingLockExclusive).expect("it is free");
    for (signal, status) in SIGNALS {
        let opened = Opened::watch(&lock);
        let run = scene.sandbox.start(&["backup", "--lock-wait", "10m"]);
        opened.wait();
        run.signal(signal);
        run.wait().exits(status);
        scene.is_as_before();
    }
}

#[test]
fn a_signal_ends_the_wait_for_a_server_that_does_not_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let port = listener.local_addr().expect("it has one").port();
    let mut scene = Scene::new();
    let connection = format!("host: 127.0.0.1, port: {port}, database: d, user: u");
    for command in [&["backup"][..], &["restore", "--from", "latest"]] {
        scene.connect(connection.clone(), GZIP);
        let run = scene.sandbox.start(command);
        let _silent = listener.accept().expect("somebody connects");
        run.signal(Signal::TERM);
        run.wait().exits(143);
        scene.is_as_before();
    }
    scene.next_run_works();
}

#[test]
fn a_signal_stops_a_restore_in_the_middle_of_the_rows_and_leaves_the_target_as_it_was() {
    for (signal, status) in SIGNALS {
        let scene = Scene::new();
        scene.configure(large(), GZIP_SEALED);
        scene.sandbox.run(&["backup"]).exits(0);
        let target = postgres(18).create_database("target");
        let before = target.fingerprint();
        scene.configure(&target, GZIP_SEALED);
        let run = scene.sandbox.start(&["restore", "--from", "latest"]);
        backend(&target, "query LIKE 'COPY%'");
        // even one that stands still
        let pg_restore = scene.child("pg_restore").freeze();
        run.signal(signal);
        run.wait().exits(status);
        assert!(pg_restore.has_ended());
        assert_eq!(target.fingerprint(), before);
    }
}

#[test]
fn a_signal_stops_a_restore_that_waits_for_a_lock_and_leaves_the_target_as_it_was() {
    // by pg_restore, and by psql, which runs the script that pg_restore writes for so old a server
    for major in [18, 15] {
        let scene = Scene::new();
        let target = postgres(major).create_database("target");
        target.sql("CREATE TABLE t AS SELECT 'another' AS one");
        let before = target.fingerprint();
        scene.configure(&target, GZIP);
        let holder = Holder::of("t IN ACCESS SHARE MODE", &target);
        let run = scene
            .sandbox
            .start(&["restore", "--from", "latest", "--clean"]);
        backend(&target, "wait_event_type = 'Lock'");
        run.signal(Signal::TERM);
        run.wait().exits(143);
        scene.is_as_before();
        // nothing of it waits on in the server, where everybody else would have to wait behind it
        assert_eq!(
            target.sql("SET lock_timeout = '10s'; SELECT one FROM t"),
            "another"
        );
        drop(holder);
        assert_eq!(target.fingerprint(), before);
    }
}

/// Nobody is left to wait for what is locked, neither here nor in the server.
#[test]
fn a_run_that_is_killed_waits_for_no_lock_any_more() {
    let scene = Scene::new();
    let ended = || {
        processes::of(&scene.sandbox.path(""))
            .is_empty()
            .then_some(())
    };
    for major in [18, 15] {
        let target = postgres(major).create_database("target");
        target.sql("CREATE TABLE t AS SELECT 'another' AS one");
        scene.configure(&target, GZIP);
        for (command, mode) in [
            (&["backup"][..], "ACCESS EXCLUSIVE"),
            (&["restore", "--from", "latest", "--clean"], "ACCESS SHARE"),
        ] {
            let holder = Holder::of(&format!("t IN {mode} MODE"), &target);
            let run = scene.sandbox.start(command);
            backend(&target, "wait_event_type = 'Lock'");
            run.signal(Signal::KILL);
            wait::until("all children have ended", ended);
            wait::until("nobody waits in the server", || {
                let sql =
                    "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 't'::regclass";
                (target.sql(sql) == "0").then_some(())
            });
            drop(holder);
        }
    }
}

#[test]
fn a_restore_that_is_killed_leaves_the_target_as_it_was_or_restored() {
    let scene = Scene::new();
    scene.configure(large(), GZIP);
    scene.sandbox.run(&["backup"]).exits(0);
    for major in [18, 15] {
        let target = postgres(major).create_database("target");
        let before = target.fingerprint();
        scene.configure(&target, GZIP);
        for when in [1, 2, 5, 10, 20] {
            let inject = format!("inject=write:signal=KILL:when={when}");
            let (command, _) = Trace::command(
                &scene.sandbox,
                &["-e", &inject],
                &["restore", "--from", "latest"],
            );
            let output = program::run(command, "");
            assert_eq!(
                output.status.signal(),
                Some(Signal::KILL.as_raw()),
                "{}",
                output.stderr
            );
            wait::until("all children have ended", || {
                processes::of(&scene.sandbox.path(""))
                    .is_empty()
                    .then_some(())
            });
            assert_eq!(target.fingerprint(), before, "{inject}");
        }
    }
}

#[test]
fn a_signal_ends_a_cat_that_nobody_reads() {
    let scene = Scene::new();
    scene.configure(large(), GZIP);
    scene.sandbox.run(&["backup"]).exits(0);
    let mut command = scene.sandbox.command(&["cat", "latest"]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut cat = command.spawn().expect("it starts");
    let pid = Pid::from_child(&cat);
    wait::until("the pipe is full", || {
        let pipe = cat.stdout.as_ref()?;
        let (held, room) = (ioctl_fionread(pipe).ok()?, fcntl_getpipe_size(pipe).ok()?);
        // the last page may have room that no whole write fits into
        (held + 4096 > room as u64).then_some(())
    });
    rustix::process::kill_process(pid, Signal::TERM).expect("it runs");
    let status = wait::until("it has ended", || cat.try_wait().expect("it is ours"));
    assert_eq!(status.code(), Some(143));
}
