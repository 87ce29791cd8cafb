//! WAL that a server archives by itself, and a cluster that comes back as it was at a moment.

use crate::support::postgres::{SUPERUSER, Server, bin, free_port, pg_ctl};
use crate::support::program::{self, Output};
use crate::support::sandbox::Sandbox;
use crate::support::started::Started;
use crate::support::wait::until;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A server that archives, with its configuration, its password and its storages where its own user reads and writes.
struct ArchivingScene {
    sandbox: Sandbox,
    server: Server,
}

impl ArchivingScene {
    fn new(major: u32) -> ArchivingScene {
        let scene = ArchivingScene {
            sandbox: Sandbox::new(major),
            server: Server::start(major, &["archive_mode=on"]),
        };
        let program = scene.path("backupkit");
        fs::copy(env!("CARGO_BIN_EXE_backupkit"), &program).expect("copy the program");
        scene.lay("password", "correct horse battery staple");
        scene.configure(&["one"], "archive: true");
        for storage in ["one", "two"] {
            scene.by_server(&format!("mkdir {}", scene.path(storage).display()));
        }
        // its user has to come through
        fs::set_permissions(&scene.server.directory, fs::Permissions::from_mode(0o755))
            .expect("it is ours");
        scene.archive_by(&format!(
            "{} wal-push -c {} --name main \"%p\"",
            program.display(),
            scene.path("archive.yaml").display()
        ));
        scene.sql("CREATE TABLE clock (n int, at timestamptz DEFAULT clock_timestamp())");
        scene
    }

    /// A path that the user of the server reaches.
    fn path(&self, name: &str) -> PathBuf {
        self.server.directory.join(name)
    }

    fn lay(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("write it");
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o644)).expect("ours");
    }

    fn configure(&self, storages: &[&str], wal: &str) {
        self.configure_with(storages, wal, "");
    }

    /// The usual configuration, with these rules of retention.
    fn retain(&self, rules: &str) {
        let rules = format!("    retention: {{ {rules} }}\n");
        self.configure_with(&["one"], "archive: true", &rules);
    }

    fn configure_with(&self, storages: &[&str], wal: &str, more: &str) {
        let connection = self.server.maintenance();
        let connection = connection.connection(SUPERUSER, &self.server.password);
        let places = storages.iter().map(|name| {
            let path = self.path(name);
            format!(
                "  - {{ name: {name}, type: local, local: {{ path: '{}' }} }}\n",
                path.display()
            )
        });
        self.lay("archive.yaml", &format!(
            "version: 1\nbin_dir: {}\nstorage:\n{}clusters:\n  - name: main\n    connection: {{ {connection} }}\n    backup: {{ storage: [{}], encryption: {{ enabled: true, password_file: password }} }}\n    wal: {{ {wal} }}\n{more}",
            bin(self.server.major).display(),
            places.collect::<String>(),
            storages.join(", "),
        ));
    }

    fn archive_by(&self, command: &str) {
        let command = command.replace('\'', "''");
        self.sql(&format!("ALTER SYSTEM SET archive_command = '{command}'"));
        self.sql("SELECT pg_reload_conf()");
    }

    #[track_caller]
    fn sql(&self, sql: &str) -> String {
        self.server.maintenance().sql(sql)
    }

    #[track_caller]
    fn by_server(&self, command: &str) {
        self.sql(&format!(
            "COPY (SELECT 1 WHERE false) TO PROGRAM '{command}'"
        ));
    }

    /// Ends the segment that is written, and waits until it is archived. Returns its name.
    #[track_caller]
    fn switch(&self) -> String {
        let name = self.sql("SELECT pg_walfile_name(pg_current_wal_lsn())");
        self.sql("SELECT pg_switch_wal()");
        until("the segment is archived", || {
            let last = self.sql("SELECT last_archived_wal FROM pg_stat_archiver");
            (last.get(..24) >= Some(name.as_str())).then_some(())
        });
        name
    }

    /// Writes the next row, and returns a moment after its commit and before the next one.
    #[track_caller]
    fn tick(&self) -> String {
        self.sql("INSERT INTO clock SELECT count(*) + 1 FROM clock");
        self.sql("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let configuration = self.path("archive.yaml");
        let mut all = vec!["-c", configuration.to_str().expect("UTF-8")];
        all.extend(arguments);
        self.sandbox.run(&all)
    }

    #[track_caller]
    fn back_up(&self) {
        self.run(&["backup"]).exits(0);
    }

    fn restore(&self, name: &str, options: &[&str]) -> Output {
        let directory = self.path(name);
        let mut all = vec!["restore", "--owner", "nobody"];
        all.extend(["--to-dir", directory.to_str().expect("UTF-8")]);
        if !options.contains(&"--from") {
            all.extend(["--from", "main"]);
        }
        all.extend(options);
        self.run(&all)
    }

    fn started(&self, name: &str, port: &str) -> Started<'_> {
        Started::at(&self.server, self.path(name), port)
    }

    /// The rows of a cluster that is restored with these options, and what was said of it.
    #[track_caller]
    fn restored_rows(&self, name: &str, options: &[&str]) -> (String, String) {
        let port = free_port();
        let mut all = vec!["--start", "--port", &port];
        all.extend(options);
        let output = self.restore(name, &all).exits(0);
        let server = self.started(name, &port);
        (server.ask("SELECT count(*) FROM clock"), output.text())
    }

    /// The archived file that is called so, on the storage `one`.
    fn archived(&self, segment: &str) -> PathBuf {
        let found = find(&self.path("one/main/wal"), segment);
        found.unwrap_or_else(|| panic!("{segment} is not archived"))
    }
}

fn find(directory: &Path, begins: &str) -> Option<PathBuf> {
    for entry in fs::read_dir(directory).ok()? {
        let path = entry.ok()?.path();
        let name = path.file_name()?.to_str()?.to_string();
        match path.is_dir() {
            true => {
                if let Some(found) = find(&path, begins) {
                    return Some(found);
                }
            }
            false if name.starts_with(begins) => return Some(path),
            false => {}
        }
    }
    None
}

/// The same on the first and on the last of the versions: rows at moments, in one segment and over several.
fn moments_come_back(major: u32) {
    let scene = ArchivingScene::new(major);
    let before = scene.tick();
    scene.back_up();
    let mut moments = Vec::new();
    for round in 0..6 {
        moments.push(scene.tick());
        if round % 2 == 1 {
            scene.switch();
        }
    }
    // on top of the row before the backup
    for (round, moment) in moments.iter().enumerate().take(5) {
        if round % 2 == 1 {
            continue;
        }
        let (rows, said) = scene.restored_rows(&format!("at{round}"), &["--at", moment]);
        assert_eq!(rows, (round + 2).to_string(), "{said}");
        assert!(said.contains("The recovery ended at"), "{said}");
    }
    let (rows, said) = scene.restored_rows("end", &[]);
    assert_eq!(rows, "7", "{said}");

    let refused = scene.restore("early", &["--at", &before]).exits(10);
    assert!(refused.stderr.contains("or before"), "{}", refused.stderr);
    let refused = scene
        .restore("late", &["--at", "2099-01-01T12:00Z"])
        .exits(15);
    assert!(
        refused.stderr.contains("no WAL covers"),
        "{}",
        refused.stderr
    );
    let refused = scene.restore("day", &["--at", "2099-01-01"]).exits(2);
    assert!(refused.stderr.contains("whole day"), "{}", refused.stderr);
    for name in ["early", "late", "day"] {
        assert!(!scene.path(name).exists(), "{name}");
    }
    let planned = scene
        .restore("plan", &["--at", &moments[2], "--dry-run", "--json"])
        .exits(0);
    let planned: Value = serde_json::from_str(planned.text().trim()).expect("JSON");
    assert_eq!(planned["recovery"]["timeline"], 1, "{planned}");
    assert_eq!(
        planned["recovery"]["missing_segment"],
        Value::Null,
        "{planned}"
    );
}

#[test]
fn a_cluster_comes_back_as_it_was_at_a_moment_on_14() {
    moments_come_back(14);
}

#[test]
fn a_cluster_comes_back_as_it_was_at_a_moment_on_18() {
    moments_come_back(18);
}

#[test]
fn a_restore_point_a_place_and_a_transaction_are_targets() {
    let scene = ArchivingScene::new(17);
    scene.back_up();
    scene.tick();
    scene.sql("SELECT pg_create_restore_point('before it')");
    scene.tick();
    let lsn = scene.sql("SELECT pg_current_wal_insert_lsn()");
    let transaction =
        scene.sql("BEGIN; INSERT INTO clock VALUES (3); SELECT pg_current_xact_id(); COMMIT");
    scene.tick();
    scene.switch();
    for (name, options, rows) in [
        ("point", ["--target-name", "before it"], "1"),
        ("place", ["--target-lsn", &lsn], "2"),
        ("transaction", ["--target-xid", transaction.trim()], "3"),
    ] {
        let (found, said) = scene.restored_rows(name, &options);
        assert_eq!(found, rows, "{said}");
    }
    let (found, _) = scene.restored_rows(
        "exclusive",
        &["--target-xid", transaction.trim(), "--target-exclusive"],
    );
    assert_eq!(found, "2");
    let (found, _) = scene.restored_rows("immediate", &["--target-immediate"]);
    assert_eq!(found, "0");
    // one that there is not is never reached
    let options = [
        "--target-name",
        "no such",
        "--start",
        "--port",
        &free_port(),
    ];
    let failed = scene.restore("never", &options).exits(1);
    assert!(
        failed
            .stderr
            .contains("recovery ended before configured recovery target"),
        "{}",
        failed.stderr
    );
    let wrong = scene
        .restore("both", &["--target-xid", "3", "--target-immediate"])
        .exits(2);
    assert!(
        wrong.stderr.contains("do not go together"),
        "{}",
        wrong.stderr
    );
}

/// Starts a server of 16 in `data` by hand, with its log there.
fn start(data: &Path, log: &Path) -> Command {
    let mut start = pg_ctl(16);
    start.env_clear().current_dir("/");
    start.args(["start", "-s", "-w", "-t", "100", "-D"]);
    start.arg(data).arg("-l").arg(log);
    start
}

/// What is done to a segment in the middle, and the status that wal-fetch has for it.
type Fault = (
    &'static str,
    fn(&ArchivingScene, &Path, &Path),
    &'static str,
);

#[test]
fn a_server_never_begins_to_serve_past_a_segment_that_it_did_not_get() {
    let scene = ArchivingScene::new(16);
    scene.back_up();
    let mut segments = Vec::new();
    for _ in 0..3 {
        scene.tick();
        segments.push(scene.switch());
    }
    let (middle, last) = (scene.archived(&segments[1]), scene.archived(&segments[2]));
    let faults: [Fault; 6] = [
        (
            "flipped",
            |_, middle, _| {
                let mut bytes = fs::read(middle).expect("read it");
                let at = bytes.len() / 2;
                bytes[at] ^= 1;
                fs::write(middle, bytes).expect("write it");
            },
            "damaged",
        ),
        (
            "cut",
            |_, middle, _| {
                let bytes = fs::read(middle).expect("read it");
                fs::write(middle, &bytes[..bytes.len() - 20]).expect("write it");
            },
            "damaged",
        ),
        (
            "swapped",
            |_, middle, last| {
                fs::copy(last, middle).expect("copy it");
            },
            "says that it is",
        ),
        (
            "missing",
            |_, middle, _| fs::remove_file(middle).expect("remove it"),
            "hole",
        ),
        (
            "wrong password",
            |scene, _, _| {
                scene.lay("password", "another one");
                // what is at hand would open it
                scene.by_server("rm -rf /tmp/backupkit-65534/wal/main");
            },
            "cannot open the key",
        ),
        (
            "storage away",
            |scene, _, _| {
                let (one, gone) = (scene.path("one"), scene.path("gone"));
                fs::rename(&one, gone).expect("rename it");
                fs::write(one, "not a directory").expect("write it");
            },
            "cannot find out whether",
        ),
    ];
    let whole = fs::read(&middle).expect("read it");
    for (number, (fault, break_it, says)) in faults.into_iter().enumerate() {
        let name = format!("copy{number}");
        scene.restore(&name, &["--port", &free_port()]).exits(0);
        break_it(&scene, &middle, &last);
        let data = scene.path(&name);
        let log = scene.path(&format!("{name}.log"));
        let _ = program::run(start(&data, &log), "");
        until("the server has given up", || {
            (!data.join("postmaster.pid").exists()).then_some(())
        });
        let said = fs::read_to_string(&log).expect("a log");
        assert!(said.contains(says), "{fault}: {said}");
        let is_named =
            said.contains(&segments[1]) || ["wrong password", "storage away"].contains(&fault);
        assert!(is_named, "{fault}: {said}");
        assert!(!said.contains("selected new timeline"), "{fault}: {said}");
        assert!(!data.join("pg_wal/00000002.history").exists(), "{fault}");

        // with the fault gone it recovers exactly
        if fault == "storage away" {
            fs::remove_file(scene.path("one")).expect("remove it");
            fs::rename(scene.path("gone"), scene.path("one")).expect("rename it");
        }
        scene.lay("password", "correct horse battery staple");
        fs::write(&middle, &whole).expect("write it");
        program::run(start(&data, &log), "").exits(0);
        let auto = fs::read_to_string(data.join("postgresql.auto.conf")).expect("a file");
        let port = auto
            .lines()
            .rfind(|line| line.starts_with("port = "))
            .expect("a port");
        let port = port.split(' ').nth(2).expect("a number");
        let server = scene.started(&name, port);
        assert_eq!(server.ask("SELECT count(*) FROM clock"), "3", "{fault}");
        drop(server);
    }
    // what is known beforehand is refused beforehand
    fs::remove_file(&middle).expect("remove it");
    let refused = scene.restore("holed", &[]).exits(15);
    assert!(refused.stderr.contains("has a hole"), "{}", refused.stderr);
    assert!(!scene.path("holed").exists());
}

#[test]
fn a_push_is_done_once_it_is_durable_where_it_has_to_be_and_overwrites_nothing() {
    let scene = ArchivingScene::new(15);
    scene.tick();
    let segment = scene.switch();
    let data = PathBuf::from(scene.sql("SHOW data_directory"));
    let copy = scene.path("pg_wal");
    fs::create_dir(&copy).expect("make it");
    fs::create_dir(scene.path("global")).expect("make it");
    fs::copy(
        data.join("global/pg_control"),
        scene.path("global/pg_control"),
    )
    .expect("copy it");
    // as the server would name it once more
    let again = copy.join(&segment);
    let there = scene.archived(&segment);
    let fetch = |target: &Path| {
        let identifier = scene.sql("SELECT system_identifier FROM pg_control_system()");
        let target = target.to_str().expect("UTF-8");
        scene.run(&[
            "wal-fetch",
            "--system-identifier",
            &identifier,
            &segment,
            target,
        ])
    };
    fetch(&again).exits(0);
    assert_eq!(fs::metadata(&again).expect("a file").len(), 16 << 20);
    let stored = fs::read(&there).expect("read it");
    let push = |path: &Path| scene.run(&["wal-push", path.to_str().expect("UTF-8")]);
    push(&again).exits(0);
    assert_eq!(fs::read(&there).expect("read it"), stored);

    // of the same name and cluster, and other content
    let plain = fs::read(&again).expect("read it");
    let mut other = plain.clone();
    let end = other.len() - 1;
    other[end] ^= 1;
    fs::write(&again, &other).expect("write it");
    let refused = push(&again).exits(15);
    assert!(
        refused.stderr.contains("other content"),
        "{}",
        refused.stderr
    );
    assert_eq!(fs::read(&there).expect("read it"), stored);

    // what is not what its name says
    let elsewhere = copy.join("0000000100000000000000FF");
    fs::write(&elsewhere, &plain).expect("write it");
    push(&elsewhere).exits(13);
    fs::write(&again, &plain[..plain.len() / 2]).expect("write it");
    push(&again).exits(13);
    let mut foreign = plain.clone();
    foreign[24] ^= 1;
    fs::write(&again, &foreign).expect("write it");
    let refused = push(&again).exits(15);
    assert!(
        refused.stderr.contains("of the cluster"),
        "{}",
        refused.stderr
    );
    push(&copy.join("no-wal")).exits(2);
    fs::write(&again, &plain).expect("write it");

    // one of two storages is away: the other one has it, and the server keeps it until both have
    scene.configure(&["one", "two"], "archive: true");
    let (two, gone) = (scene.path("two"), scene.path("gone"));
    fs::rename(&two, &gone).expect("rename it");
    fs::write(&two, "not a directory").expect("write it");
    fs::remove_file(&there).expect("remove it");
    push(&again).exits(1);
    assert!(there.exists());
    scene.configure(&["one", "two"], "archive: true, require: any");
    push(&again).exits(0);
    scene.configure(&["one", "two"], "archive: true, require: [two]");
    push(&again).exits(1);
    fs::remove_file(&two).expect("remove it");
    fs::rename(&gone, &two).expect("rename it");
    until("it is asked again", || {
        let pushed = push(&again);
        (pushed.status.code() == Some(0)).then_some(())
    });
    assert!(find(&two, &segment).is_some());

    // a killed push leaves a name that the next one takes
    let log = there.parent().expect("a directory");
    let left = log.join("0000000100000000000000F0.zst.enc.tmp");
    fs::write(&left, "half").expect("write it");
    let mut next = plain.clone();
    next[8..16].copy_from_slice(&(0xf0u64 << 24).to_le_bytes());
    let next_path = copy.join("0000000100000000000000F0");
    fs::write(&next_path, next).expect("write it");
    push(&next_path).exits(0);
    assert!(!left.exists() && log.join("0000000100000000000000F0.zst.enc").exists());
}

#[test]
fn what_a_fetch_ends_with_is_what_the_server_may_take_it_for() {
    let scene = ArchivingScene::new(17);
    scene.tick();
    let segment = scene.switch();
    let identifier = scene.sql("SELECT system_identifier FROM pg_control_system()");
    let target = scene.path("fetched");
    let fetch = |more: &[&str]| {
        let mut all = vec!["wal-fetch", "--system-identifier", &identifier];
        all.extend(more);
        all.push(target.to_str().expect("UTF-8"));
        scene.run(&all)
    };
    fetch(&[&segment]).exits(0);
    assert!(target.exists());
    fs::remove_file(&target).expect("remove it");
    // nothing comes after it, and a history that nobody has is none
    for file in [
        "0000000100000000000000F0",
        "00000009.history",
        "000000010000000000000001.00000028.backup",
    ] {
        let nothing = fetch(&[file]).exits(1);
        assert!(nothing.stderr.is_empty(), "{}", nothing.stderr);
    }
    // what is empty may be a disk that is not mounted
    let (one, gone) = (scene.path("one"), scene.path("gone"));
    fs::rename(&one, &gone).expect("rename it");
    fs::create_dir(&one).expect("make it");
    for file in ["0000000100000000000000F0", &segment] {
        let failed = fetch(&[file]).exits(201);
        assert!(failed.stderr.contains("mounted"), "{}", failed.stderr);
    }
    fs::remove_dir(&one).expect("remove it");
    fs::rename(&gone, &one).expect("rename it");
    fetch(&["no-such-file"]).exits(202);
    fetch(&["--no-such-option", &segment]).exits(202);
    scene.run(&["wal-fetch"]).exits(202);
    let mut without = scene
        .sandbox
        .command(&["-c", "/no/such.yaml", "wal-fetch", &segment, "x"]);
    without.env_remove("BACKUPKIT_CONFIG");
    program::run(without, "").exits(202);
    assert!(!target.exists());
}

#[test]
fn old_wal_goes_with_the_backups_that_it_was_for() {
    let scene = ArchivingScene::new(16);
    scene.tick();
    let first = scene.switch();
    scene.back_up();
    scene.tick();
    let between = scene.switch();
    scene.back_up();
    scene.tick();
    let last = scene.switch();
    let there = |segment: &str| find(&scene.path("one/main/wal"), segment).is_some();
    // without a rule all stays
    scene.run(&["prune"]).exits(0);
    assert!(there(&first));
    scene.retain("keep_last: 2");
    let told = scene.run(&["prune", "--dry-run", "--json"]).exits(0);
    let told: Value = serde_json::from_str(&told.text()).expect("JSON");
    assert!(
        told["databases"][0]["wal"]["files"].as_u64() >= Some(1),
        "{told}"
    );
    assert!(there(&first));
    scene.run(&["prune"]).exits(0);
    assert!(!there(&first) && there(&between) && there(&last));
    let (rows, said) = scene.restored_rows("second", &[]);
    assert_eq!(rows, "3", "{said}");
    scene.retain("keep_last: 1");
    scene.run(&["prune"]).exits(0);
    assert!(!there(&between) && there(&last));
    let (rows, said) = scene.restored_rows("third", &[]);
    assert_eq!(rows, "3", "{said}");
    // every moment of the last week: no backup is so old, and so all stay
    scene.retain("keep_last: 1, pitr: 7d");
    scene.back_up();
    scene.run(&["prune"]).exits(0);
    assert!(there(&last));
}

#[test]
fn another_cluster_under_the_same_name_is_refused_until_it_is_meant() {
    let scene = ArchivingScene::new(18);
    scene.tick();
    scene.switch();
    let checked = scene.run(&["test", "--json"]);
    let told: Value = serde_json::from_str(&checked.text()).expect("JSON");
    let of_wal = |told: &Value| -> Vec<String> {
        let checks = told["checks"].as_array().expect("a list").iter();
        let checks = checks.filter(|check| check["subject"] == "WAL of main");
        checks
            .map(|check| check["what"].as_str().expect("text").to_string())
            .collect()
    };
    assert!(
        of_wal(&told)
            .iter()
            .any(|what| what.starts_with("the server archives it")),
        "{told}"
    );
    let system = scene.path("one/main/wal/system.json");
    fs::write(&system, r#"{"schema":1,"system_identifier":"1"}"#).expect("write it");
    scene.tick();
    scene.sql("SELECT pg_switch_wal()");
    let failed = until("the server is refused", || {
        let failed = scene.sql("SELECT last_failed_wal FROM pg_stat_archiver");
        (!failed.is_empty()).then_some(failed)
    });
    assert!(find(&scene.path("one/main/wal"), &failed).is_none());
    scene.run(&["test", "--accept-new-system"]);
    until("it is archived", || {
        find(&scene.path("one/main/wal"), &failed).map(drop)
    });
}
