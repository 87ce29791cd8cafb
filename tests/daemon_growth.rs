//! Two hundred runs of the daemon, each told to somebody, cost it nothing that stays: no memory, thread, descriptor or
//! zombie. By a clock that runs a thousand times as fast, and alone in its process, which is what is measured.

#[allow(dead_code)] // one test needs little of it
#[path = "it/support/mod.rs"]
mod support;

use rustix::process::getpid;
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use support::entry::Entry;
use support::fast::{FastDaemon, life};
use support::postgres::{bin, postgres};
use support::processes::{self, process};
use support::receiver::Receiver;
use support::sandbox::{Sandbox, Shape};
use support::wait;

/// Until the caches are warm.
const FIRST: usize = 20;
const RUNS: usize = 200;
/// What an allocator keeps or gives back as it likes, in KiB.
const SLACK: u64 = 2 * 1024;
/// glibc gives threads arenas of their own, and which run gets which is chance: megabytes of it, after a while.
const ARENAS: &str = "MALLOC_ARENA_MAX";

/// What this process holds.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    threads: String,
    descriptors: usize,
    children: Vec<String>,
}

fn held() -> (Held, u64) {
    let ours = process(getpid());
    let status = |field| ours.status(field).expect("we live");
    let mut children = processes::all();
    children.retain(|child| child.status("PPid") == Some(getpid().to_string()));
    let held = Held {
        threads: status("Threads"),
        descriptors: fs::read_dir("/proc/self/fd").expect("/proc").count(),
        children: children.into_iter().map(|child| child.name).collect(),
    };
    let resident = status("VmRSS");
    let resident = resident.strip_suffix(" kB").expect("it is in KiB");
    (held, resident.parse().expect("it is a number"))
}

#[test]
fn two_hundred_runs_leave_no_memory_thread_descriptor_or_zombie_behind() {
    if std::env::var_os(ARENAS).is_none() {
        let ourselves = std::env::current_exe().expect("we are a program");
        let mut again = Command::new(ourselves);
        let status = again.arg("--nocapture").env(ARENAS, "1").status();
        return assert!(status.expect("it starts").success());
    }
    let database = postgres(18).create_database("small");
    database.sql("CREATE TABLE t AS SELECT n, md5(n::text) FROM generate_series(1, 1000) AS n");
    let sandbox = Sandbox::new(18);
    let entry = Entry::of(&database)
        .named("app")
        .shape(Shape::new(true, true))
        .encryption("enabled: true, password: 'correct horse'")
        .retention("keep_last: 5")
        .backup("schedule: '* * * * *'");
    let told = Receiver::good();
    let top = format!(
        "bin_dir: '{}'\nnotifications:\n  - {{ type: webhook, on: [success, failure], config: {{ url: '{}' }} }}",
        bin(18).display(),
        told.url
    );
    sandbox.configure_with(&top, &[entry]);

    let daemon = FastDaemon::start(&sandbox);
    let (mut seen, mut heard) = (BTreeSet::new(), 0);
    let mut until = |count: usize| {
        wait::until(&format!("{count} backups"), || {
            let files = sandbox.files("storage/app");
            seen.extend(files.into_iter().filter(|file| file.ends_with(".json")));
            (seen.len() >= count).then_some(())
        });
        // the one that goes on ends, and what came due meanwhile
        daemon.clock.stop();
        wait::until("no run goes on", || {
            let (life, alive) = life(&sandbox)?;
            (alive && life.running.is_empty()).then_some(())
        });
        // and so has what receives its notifications, which lives here as well
        let mut before = None;
        let held = wait::until("what there was goes", || {
            let (now, resident) = held();
            let still = before.replace(now.clone()) == Some(now.clone());
            still.then_some((now, resident))
        });
        heard += told.rest().len();
        daemon.clock.go_on();
        held
    };
    let (first, first_resident) = until(FIRST);
    // in parts, because no wait here may be longer than two minutes
    for part in 1..4 {
        let (_, resident) = until(FIRST + RUNS * part / 4);
        println!("{resident} KiB after {part} quarters");
    }
    let (last, last_resident) = until(FIRST + RUNS);
    println!("{first:?} and {first_resident} KiB, after {RUNS} runs {last_resident} KiB");
    assert_eq!(last, first);
    let grown = last_resident.saturating_sub(first_resident);
    assert!(grown < SLACK, "{first_resident} KiB, then {last_resident}");
    assert!(heard >= RUNS, "{heard} notifications of {RUNS} runs");
    daemon.stop();
    assert_eq!(
        sandbox.files("storage/app").len(),
        5 * 3 + 1,
        "five backups and the lock"
    );
}
