//! A drill that is ended at any point leaves neither processes nor files behind: at once where it can still clear up,
//! else with the next drill.

use super::{DRILL, clusters, drill, nothing_is_left, place, servers, stand_in};
use crate::support::entry::Entry;
use crate::support::postgres::{bin, postgres};
use crate::support::processes::{self, Frozen, Process, process};
use crate::support::program::Running;
use crate::support::sandbox::Sandbox;
use crate::support::wait;
use rustix::process::{Pid, Signal};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;

/// The programs that a drill runs one after the other.
const POINTS: [&str; 4] = ["initdb", "pg_restore", "pg_dump", "pg_amcheck"];

/// A sandbox where each of the programs can be caught.
fn sandbox() -> Sandbox {
    let database = postgres(18).create_database("killed");
    database.sql("CREATE TABLE t AS SELECT n, md5(n::text) FROM generate_series(1, 1000) AS n");
    let mut sandbox = place(18);
    let caught = sandbox.path("caught");
    fs::create_dir(&caught).expect("make a directory");
    fs::set_permissions(&caught, Permissions::from_mode(0o777)).expect("it is ours");
    for program in POINTS {
        // stands still once, where it is told to
        let script = format!(
            "cd {}; if rmdir hold-{program} 2>/dev/null; then echo $$ >pid-{program}; kill -STOP $$; fi; cd - >/dev/null\n\
             exec $real \"$@\"",
            caught.display()
        );
        sandbox = stand_in(sandbox, 18, program, &script);
    }
    // initdb takes the server that lies beside it
    symlink(bin(18).join("postgres"), sandbox.path("stand-ins/postgres")).expect("link a program");
    sandbox.configure_with(DRILL, &[Entry::of(&database)]);
    sandbox.back_up(&database.name);
    sandbox
}

/// Starts a drill and returns once it has come to this program, which then stands still.
fn caught_in(sandbox: &Sandbox, program: &str) -> (Running, Frozen) {
    let caught = sandbox.path("caught");
    let told = caught.join(format!("pid-{program}"));
    let _ = fs::remove_file(&told);
    fs::create_dir(caught.join(format!("hold-{program}"))).expect("make a directory");
    let run = sandbox.start(&["verify", "--level", "restore", "latest"]);
    let pid = wait::until(&format!("{program} runs"), || {
        let pid = fs::read_to_string(&told).ok()?.trim().parse().ok()?;
        Pid::from_raw(pid)
    });
    (run, process(pid).freezes_itself())
}

#[test]
fn a_drill_that_is_told_to_stop_clears_up() {
    let sandbox = sandbox();
    for program in POINTS {
        let (run, frozen) = caught_in(&sandbox, program);
        run.signal(Signal::TERM);
        let output = run.wait().exits(143);
        drop(frozen);
        assert!(
            output.stderr.contains("stopped by SIGTERM"),
            "{}",
            output.stderr
        );
        nothing_is_left(&sandbox);
    }
}

#[test]
fn what_a_killed_drill_leaves_is_removed_by_the_next_one() {
    let sandbox = sandbox();
    for program in POINTS {
        let (run, frozen) = caught_in(&sandbox, program);
        run.signal(Signal::KILL);
        let ended = run.wait();
        assert_eq!(ended.status.signal(), Some(9));
        drop(frozen);
        wait::until("its processes are gone", || {
            (servers(&sandbox).is_empty() && processes::of(&sandbox.path("")).is_empty())
                .then_some(())
        });
        assert_eq!(clusters(&sandbox).len(), 1, "killed in {program}");
        drill(&sandbox).exits(0);
        nothing_is_left(&sandbox);
    }
}

#[test]
fn a_drill_lets_the_cluster_of_another_drill_be() {
    let sandbox = sandbox();
    let (run, frozen) = caught_in(&sandbox, "pg_restore");
    drill(&sandbox).exits(0);
    assert_eq!(clusters(&sandbox).len(), 1);
    drop(frozen);
    run.wait().exits(0);
    nothing_is_left(&sandbox);
}

/// Those of the server's processes that a kill takes.
type Victims = fn(&Process) -> bool;

#[test]
fn a_server_that_dies_is_named_and_the_backup_is_not_blamed() {
    let sandbox = sandbox();
    // the kernel kills any one of them where memory is short
    let leader: Victims = |process| !process.arguments.starts_with(b"postgres: ");
    let checkpointer: Victims = |process| process.arguments.starts_with(b"postgres: checkpointer");
    let all: Victims = |_| true;
    for victims in [all, leader, checkpointer] {
        let (run, frozen) = caught_in(&sandbox, "pg_restore");
        let ours = servers(&sandbox);
        let mut found = processes::all();
        found.retain(|process| {
            process.name == "postgres" && ours.contains(&process.pid) && victims(process)
        });
        assert!(!found.is_empty());
        for process in found {
            process.signal(Signal::KILL);
        }
        drop(frozen);
        let output = run.wait().exits(1);
        for part in ["throwaway server went away", "signal 9"] {
            assert!(output.stderr.contains(part), "{part}: {}", output.stderr);
        }
        nothing_is_left(&sandbox);
    }
}
