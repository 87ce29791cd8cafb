//! Whatever goes wrong during a backup, nothing that is not whole appears under a final name, nothing keeps running,
//! the older backups stay as they are, and the next run works and removes what was left.

use crate::support::disk::Disk;
use crate::support::entry::Entry;
use crate::support::postgres::{Server, large, postgres};
use crate::support::processes::{self, process};
use crate::support::program;
use crate::support::sandbox::{Sandbox, Shape, is_of_hosts};
use crate::support::scene::{MIDDLE, NAME, Scene};
use crate::support::strace::Trace;
use crate::support::wait;
use rustix::process::Signal;
use std::fs;
use std::os::unix::process::ExitStatusExt;

const PLAIN: Shape = Shape::new(false, false);
const GZIP: Shape = Shape::new(true, false);
const GZIP_SEALED: Shape = Shape::new(true, true);

#[test]
fn a_pg_dump_that_is_killed_leaves_nothing() {
    for shape in [PLAIN, GZIP, GZIP_SEALED] {
        let mut scene = Scene::new();
        scene.configure(large(), shape);
        let (run, backupkit, pg_dump) = scene.in_the_middle();
        pg_dump.signal(Signal::KILL);
        backupkit.signal(Signal::CONT);
        let output = run.wait().exits(1);
        assert!(
            output.stderr.contains("pg_dump was killed by signal 9"),
            "{}",
            output.stderr
        );
        assert!(
            output.text().starts_with("app\tfailed\t0\t-\t"),
            "{}",
            output.text()
        );
        scene.is_as_before();
        scene.next_run_works();
    }
}

#[test]
fn a_server_that_stops_in_the_middle_leaves_nothing() {
    let mut scene = Scene::new();
    let server = Server::start(18, &[]);
    let database = server.large();
    scene.configure(&database, GZIP);
    let (run, backupkit, pg_dump) = scene.in_the_middle();
    drop(server);
    pg_dump.signal(Signal::CONT);
    backupkit.signal(Signal::CONT);
    let output = run.wait().exits(1);
    assert!(
        output.stderr.contains("pg_dump exited with status 1"),
        "{}",
        output.stderr
    );
    assert!(output.stderr.contains("hint: "), "{}", output.stderr);
    scene.is_as_before();
    scene.next_run_works();
}

#[test]
fn a_table_that_may_not_be_read_leaves_nothing() {
    let mut scene = Scene::new();
    let server = postgres(18);
    let (database, role) = (
        server.create_database("guarded"),
        server.create_role("reader"),
    );
    database.sql(&format!(
        "CREATE TABLE open AS SELECT 1 AS one; GRANT SELECT ON open TO {role}; CREATE TABLE closed ()"
    ));
    scene.connect(database.connection(&role, &role), GZIP);
    let output = scene.sandbox.run(&["backup"]).exits(1);
    assert!(
        output.stderr.contains("permission denied for table closed"),
        "{}",
        output.stderr
    );
    assert!(output.stderr.contains("hint: "), "{}", output.stderr);
    scene.is_as_before();
    scene.next_run_works();
}

#[test]
fn a_row_policy_met_after_other_tables_were_dumped_leaves_nothing() {
    let mut scene = Scene::new();
    let server = postgres(18);
    let (database, role) = (
        server.create_database("policed"),
        server.create_role("reader"),
    );
    database.sql(&format!(
        "CREATE TABLE a AS SELECT md5(n::text) FROM generate_series(1, 100000) AS n;
         CREATE TABLE b AS SELECT 1 AS one; ALTER TABLE b ENABLE ROW LEVEL SECURITY;
         GRANT SELECT ON a, b TO {role}"
    ));
    scene.connect(database.connection(&role, &role), GZIP);
    let output = scene.sandbox.run(&["backup"]).exits(1);
    assert!(
        output.stderr.contains("row-level security"),
        "{}",
        output.stderr
    );
    scene.is_as_before();
    scene.next_run_works();
}

#[test]
fn a_full_disk_leaves_nothing() {
    let mut disk = Disk::new(2048);
    let storage = disk.path.join("storage");
    let mut scene = Scene::on(Sandbox::new(18), storage);
    for shape in [PLAIN, GZIP, GZIP_SEALED] {
        scene.configure(large(), shape);
        let output = scene.sandbox.run(&["backup"]).exits(1);
        assert!(
            output.stderr.contains("No space left on device"),
            "{}",
            output.stderr
        );
        assert!(
            output.stderr.contains("hint: free some space"),
            "{}",
            output.stderr
        );
        scene.is_as_before();
    }
    scene.next_run_works();
    // a disk on which not even the lock can be noted
    fs::write(disk.path.join("filler"), vec![0; 4 << 20]).expect_err("it is full");
    scene.configure(&scene.small, GZIP);
    scene.sandbox.run(&["backup"]).exits(1);
    scene.is_as_before();
    disk.resize(8192);
    scene.next_run_works();
}

#[test]
fn a_read_only_disk_leaves_nothing_and_can_still_be_read() {
    let mut disk = Disk::new(2048);
    let storage = disk.path.join("storage");
    let mut scene = Scene::on(Sandbox::new(18), storage);
    disk.make_read_only();
    let output = scene.sandbox.run(&["backup"]).exits(1);
    assert!(
        output.stderr.contains("Read-only file system"),
        "{}",
        output.stderr
    );
    scene.is_as_before();
    assert!(scene.sandbox.run(&["list"]).exits(0).text().contains(NAME));
    scene.sandbox.run(&["cat", "latest"]).exits(0);
    disk.make_writable();
    scene.next_run_works();
}

/// Backs up again and again, each time with the next call of a kind failing, until no such call is left.
fn a_failing_call_leaves_nothing(call: &str, error: &str, at_least: usize) {
    let mut scene = Scene::new();
    let mut count = 0;
    loop {
        let inject = format!("inject={call}:error={error}:when={}", count + 1);
        let (command, trace) = Trace::command(&scene.sandbox, &["-e", &inject], &["backup"]);
        let output = program::run(command, "");
        if !trace.injected() {
            output.exits(0);
            break;
        }
        count += 1;
        let files = scene.files();
        if output.status.code() == Some(0) || output.stderr.contains("cannot write to stdout") {
            // it did no harm
            assert_eq!(
                files.len(),
                scene.before.len() + 3,
                "{inject}: {:?}\n{}",
                files.keys(),
                output.stderr
            );
            scene.are_whole(&files);
            scene.before = files;
        } else {
            assert_eq!(
                files,
                scene.before,
                "{inject}: {:?}\n{}",
                files.keys(),
                output.stderr
            );
            output.exits(1);
        }
    }
    assert!(count >= at_least, "only {count} calls of {call}");
    scene.before = scene.files();
    scene.next_run_works();
}

#[test]
fn a_write_that_finds_no_space_leaves_nothing() {
    a_failing_call_leaves_nothing("write", "ENOSPC", 5);
}

#[test]
fn a_sync_that_fails_leaves_nothing() {
    // three files and three times the directory
    a_failing_call_leaves_nothing("fsync", "EIO", 6);
}

#[test]
fn a_rename_that_fails_leaves_nothing() {
    a_failing_call_leaves_nothing("renameat2", "EIO", 3);
}

#[test]
fn a_file_system_without_exclusive_renames_gets_whole_backups() {
    let mut scene = Scene::new();
    let no_renames = ["-e", "inject=renameat2:error=EINVAL"];
    let no_removing = [&no_renames[..], &["-e", "inject=unlink:error=EIO"]].concat();
    for options in [&no_renames[..], &no_removing] {
        let (command, trace) = Trace::command(&scene.sandbox, options, &["backup"]);
        program::run(command, "").exits(0);
        assert!(trace.injected());
        // the next run removes the names that could not be removed
        scene.sandbox.run(&["backup"]).exits(0);
        let files = scene.files();
        assert_eq!(files.len(), scene.before.len() + 6, "{:?}", files.keys());
        scene.are_whole(&files);
        scene.before = files;
    }
}

#[test]
fn a_file_system_with_neither_exclusive_renames_nor_links_gets_no_half_of_a_backup() {
    let mut scene = Scene::new();
    let options = [
        "-e",
        "inject=renameat2:error=EINVAL",
        "-e",
        "inject=linkat,link:error=EPERM",
    ];
    let (command, trace) = Trace::command(&scene.sandbox, &options, &["backup"]);
    program::run(command, "").exits(1);
    assert!(trace.injected());
    scene.is_as_before();
    scene.next_run_works();
}

/// Backs up again and again, killed each time in the next call of a kind, until no such call is left.
fn a_kill_leaves_only_what_the_next_run_removes(call: &str, at_least: usize) {
    let mut scene = Scene::new();
    let mut count = 0;
    loop {
        let inject = format!("inject={call}:signal=KILL:when={}", count + 1);
        let (command, _) = Trace::command(&scene.sandbox, &["-e", &inject], &["backup"]);
        let output = program::run(command, "");
        if output.status.signal() != Some(Signal::KILL.as_raw()) {
            output.exits(0);
            break;
        }
        count += 1;
        wait::until("all children have ended", || {
            processes::of(&scene.sandbox.path(""))
                .is_empty()
                .then_some(())
        });
        let mut files = scene.files();
        for (name, bytes) in &scene.before {
            assert_eq!(
                files.get(name),
                Some(bytes),
                "{inject}: {name} is not what it was"
            );
        }
        files.retain(|name, _| !name.ends_with(".tmp") && !scene.before.contains_key(name));
        // an archive appears whole before its sidecars do, and with its mark
        let is_marked = files.keys().any(|name| name.ends_with(".run"));
        let is_finished = files.keys().any(|name| name.ends_with("Z.json"));
        if let Some(archive) = files.keys().find(|name| name.ends_with(".dump.gz")) {
            assert!(is_marked || is_finished, "{inject}: {:?}", files.keys());
            let cat = format!("{NAME}/{archive}");
            scene.sandbox.run(&["cat", &cat]).exits(0);
        } else {
            assert!(files.len() <= usize::from(is_marked), "{inject}: {files:?}");
        }
        // what is not finished goes, and of what is the mark
        match is_finished {
            true => files.retain(|name, _| !name.ends_with(".run")),
            false => files.clear(),
        }
        // the next run removes what is unfinished, and only this
        scene.sandbox.run(&["backup"]).exits(0);
        let after = scene.files();
        assert!(
            after.keys().all(|name| !name.ends_with(".tmp")),
            "{inject}: {:?}",
            after.keys()
        );
        let kept = scene.before.len() + files.len();
        assert_eq!(after.len(), kept + 3, "{inject}: {:?}", after.keys());
        scene.before = after;
    }
    assert!(count >= at_least, "only {count} calls of {call}");
}

#[test]
fn a_kill_in_any_write_leaves_only_what_the_next_run_removes() {
    a_kill_leaves_only_what_the_next_run_removes("write", 5);
}

#[test]
fn a_kill_in_any_sync_leaves_only_what_the_next_run_removes() {
    a_kill_leaves_only_what_the_next_run_removes("fsync", 6);
}

#[test]
fn a_kill_in_any_rename_leaves_only_what_the_next_run_removes() {
    a_kill_leaves_only_what_the_next_run_removes("renameat2", 3);
}

#[test]
fn a_kill_in_the_middle_ends_pg_dump_too() {
    let mut scene = Scene::new();
    scene.configure(large(), GZIP_SEALED);
    let run = scene.sandbox.start(&["backup"]);
    scene.wait_for_archive(MIDDLE);
    let _frozen = process(run.pid()).freeze();
    let pg_dump = scene.child("pg_dump");
    run.signal(Signal::KILL);
    wait::until("pg_dump has ended", || pg_dump.has_ended().then_some(()));
    drop(run);
    let left: Vec<_> = scene
        .files()
        .into_keys()
        .filter(|name| !scene.before.contains_key(name))
        .collect();
    assert!(
        matches!(&left[..], [archive, mark] if archive.ends_with(".dump.gz.enc.tmp") && mark.ends_with(".run")),
        "{left:?}"
    );
    let output = scene.next_run_works();
    assert!(
        output.stderr.contains(&left[0]) && output.stderr.contains("removed"),
        "{}",
        output.stderr
    );
}

#[test]
fn a_second_run_leaves_alone_what_a_live_one_is_writing() {
    let mut scene = Scene::new();
    scene.configure(large(), GZIP);
    let (run, backupkit, pg_dump) = scene.in_the_middle();
    let output = scene.sandbox.run(&["backup"]).exits(11);
    let holder = format!("process {}", run.pid());
    assert!(output.stderr.contains(&holder), "{}", output.stderr);

    // even where somebody has removed the lock, and the lease as well
    let directory = scene.storage.join(NAME);
    fs::remove_file(directory.join(".lock")).expect("remove the lock");
    let output = scene.sandbox.run(&["backup"]).exits(11);
    assert!(output.stderr.contains(&holder), "{}", output.stderr);
    for entry in fs::read_dir(&directory).expect("read a directory") {
        let path = entry.expect("an entry").path();
        if is_of_hosts(&path.to_string_lossy()) {
            fs::remove_file(path).expect("remove the lease");
        }
    }
    scene.configure(&scene.small, GZIP);
    scene.sandbox.run(&["backup"]).exits(0);
    assert_eq!(
        scene
            .files()
            .keys()
            .filter(|name| name.ends_with(".tmp"))
            .count(),
        1
    );

    for process in [pg_dump, backupkit] {
        process.signal(Signal::CONT);
    }
    run.wait().exits(0);
    let files = scene.files();
    assert_eq!(files.len(), 9, "{:?}", files.keys());
    scene.are_whole(&files);
    scene.before = files;
    scene.next_run_works();
}

#[test]
fn a_database_that_fails_does_not_keep_the_others_from_their_backups() {
    let scene = Scene::new();
    let (small, password) = (&scene.small, &scene.small.server.password);
    let missing = small
        .connection("postgres", password)
        .replace(&small.name, "not_there");
    let entries = [
        Entry::new("bad", missing).shape(GZIP),
        Entry::of(small).named(NAME).shape(GZIP),
    ];
    scene.sandbox.configure_in(&scene.storage, "", &entries);
    let output = scene.sandbox.run(&["backup"]).exits(3);
    assert!(
        output.text().contains("bad\tfailed\t") && output.text().contains("app\tok\t"),
        "{}",
        output.text()
    );
    assert_eq!(scene.files().len(), 6);
    scene.sandbox.run(&["backup", "--db", "bad"]).exits(10);
}

#[test]
fn a_few_faults_in_every_kind_of_call_lose_nothing() {
    crate::campaign::run(36, 2);
}

#[test]
fn a_limit_of_file_size_is_an_error_with_the_way_out() {
    let mut scene = Scene::new();
    scene.configure(large(), GZIP);
    let limited = |blocks: u32| {
        let program = scene.sandbox.command(&["backup"]);
        let mut command = std::process::Command::new("bash");
        let line = format!("ulimit -f {blocks}; exec \"$0\" backup");
        command.args(["-c", &line]).arg(program.get_program());
        program::run(scene.sandbox.inside(command), "")
    };
    let output = limited(512).exits(1);
    assert!(
        output.stderr.contains("File too large") && output.stderr.contains("hint: raise the limit"),
        "{}",
        output.stderr
    );
    scene.is_as_before();
    limited(0).exits(1);
    scene.is_as_before();
    scene.next_run_works();
}

#[test]
fn a_directory_that_fails_to_close_ends_no_run() {
    let mut scene = Scene::new();
    // those that start no children: strace leaves out the call that it fails, and a pipe that stays open is waited for
    for command in [&["list"][..], &["status"], &["verify"]] {
        // every one of them after the program was loaded, as it is on a file system that broke down
        let options = ["-e", "inject=close:error=EIO:when=10+"];
        let (command, trace) = Trace::command(&scene.sandbox, &options, command);
        let output = program::run(command, "");
        assert!(trace.injected());
        assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
        assert!(output.status.code().is_some(), "{}", output.status);
    }
    scene.before = scene.files();
    scene.next_run_works();
}
