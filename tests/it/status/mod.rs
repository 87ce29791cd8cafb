//! What `status` promises: how each database stands, from the storages alone, for people and for monitoring.

mod daemon;
mod proven;

use crate::support::disk::Disk;
use crate::support::entry::Entry;
use crate::support::postgres::{Database, SUPERUSER, large, postgres};
use crate::support::sandbox::{Sandbox, Shape};
use crate::support::scene::{MIDDLE, Scene};
use chrono::{DateTime, TimeDelta, Utc};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::path::Path;

const PLAIN: Shape = Shape::new(false, false);

/// A configuration of the database `app` and no server: `keys` are further lines of it. The storages are the
/// directories `one` and, for what `storage` says, `two`, on a disk that has room.
struct House {
    sandbox: Sandbox,
    disk: Disk,
}

impl House {
    fn new(storage: &str, keys: &str) -> House {
        let (sandbox, disk) = (Sandbox::new(18), Disk::new(4096));
        let local = |name: &str| {
            let path = disk.path.join(name);
            format!(
                "  - {{ name: {name}, type: local, local: {{ path: '{}' }} }}\n",
                path.display()
            )
        };
        let connection = "host: localhost, port: 1, database: d, user: u".to_string();
        let app = Entry::new("app", connection).storage(storage).to_yaml();
        let yaml = format!(
            "version: 1\nstorage:\n{}{}databases:\n{app}{keys}",
            local("one"),
            local("two")
        );
        sandbox.configure(&yaml);
        House { sandbox, disk }
    }

    fn path(&self, key: &str) -> std::path::PathBuf {
        self.disk.path.join(key)
    }

    /// A backup without a manifest on that storage, so old and so large. Returns the key without its end.
    fn plant(&self, storage: &str, age: TimeDelta, bytes: usize) -> String {
        let stamp = (Utc::now() - age).format("%Y%m%d_%H%M%S.%9fZ");
        let stem = format!("app/{stamp}");
        let mut archive = b"\x1f\x8b\x08".to_vec();
        archive.resize(bytes, 0);
        self.write(&format!("{storage}/{stem}.dump.gz"), &archive);
        stem
    }

    fn write(&self, key: &str, bytes: &[u8]) {
        let path = self.path(key);
        fs::create_dir_all(path.parent().expect("a key has a directory"))
            .expect("make a directory");
        fs::write(path, bytes).expect("write a file");
    }

    #[track_caller]
    fn json(&self, status: i32) -> Value {
        let output = self.sandbox.run(&["status", "--json"]).exits(status);
        serde_json::from_slice(&output.stdout).expect("one JSON document")
    }

    #[track_caller]
    fn nagios(&self, status: i32) -> String {
        let text = self
            .sandbox
            .run(&["status", "--nagios"])
            .exits(status)
            .text();
        assert_eq!(text.lines().count(), 1, "{text}");
        text
    }
}

fn said(database: &Value) -> Vec<String> {
    let problems = database["problems"].as_array().expect("problems").iter();
    let text = |value: &Value| value.as_str().expect("text").to_string();
    problems
        .map(|problem| format!("{}: {}", text(&problem["state"]), text(&problem["what"])))
        .collect()
}

#[test]
fn a_backup_that_is_young_enough_is_fine_and_one_that_is_not_exits_14() {
    let house = House::new("one", "    max_age: 26h\n");
    house.plant("one", TimeDelta::hours(25), 1000);
    let text = house.sandbox.run(&["status"]).exits(0).text();
    assert!(
        text.lines()
            .nth(1)
            .expect("a row")
            .starts_with("app       ok     "),
        "{text}"
    );
    let line = house.nagios(0);
    assert!(
        line.starts_with("BACKUPKIT OK - app: 1d 1h old, 1000 B | 'app_age'=9000"),
        "{line}"
    );
    assert!(line.contains("s;;93600;0 'app_size'=1000B;;;0"), "{line}");

    let house = House::new("one", "    max_age: 26h\n");
    house.plant("one", TimeDelta::hours(27), 1000);
    let text = house.sandbox.run(&["status"]).exits(14).text();
    assert!(
        text.contains("app: critical: the newest backup is 1d 3h old, allowed are 1d 2h"),
        "{text}"
    );
    let database = &house.json(14)["databases"][0];
    assert_eq!(
        (&database["too_old"], &database["state"]),
        (&true.into(), &"critical".into())
    );
    assert_eq!(database["max_age_seconds"], 93600);
    assert!(
        house
            .nagios(2)
            .starts_with("BACKUPKIT CRITICAL - app: the newest backup is 1d 3h old")
    );

    let house = House::new("one", "");
    house.plant("one", TimeDelta::days(400), 1000);
    house.sandbox.run(&["status"]).exits(0);
}

#[test]
fn no_backup_at_all_is_critical() {
    let house = House::new("one", "");
    assert_eq!(
        said(&house.json(14)["databases"][0]),
        ["critical: there is no backup"]
    );
    assert!(
        house
            .nagios(2)
            .starts_with("BACKUPKIT CRITICAL - app: there is no backup")
    );
    let house = House::new("one", "    max_age: 26h\n");
    house.json(14);
    // one that is there is enough, however old, unless somebody said how old it may be
    let house = House::new("one", "");
    house.plant("one", TimeDelta::days(400), 1000);
    house.json(0);
}

#[test]
fn a_size_is_judged_by_the_median_of_the_ten_before_it() {
    for (bytes, state, status) in [
        (1100, "ok", 0),
        (1300, "noted", 0),
        (1600, "warning", 1),
        (700, "warning", 1),
        (2100, "critical", 2),
        (400, "critical", 2),
    ] {
        let house = House::new("one", "");
        // too old to count: with it the median would be another
        for day in 12..40 {
            house.plant("one", TimeDelta::days(day), 10);
        }
        for day in 2..12 {
            house.plant("one", TimeDelta::days(day), 1000);
        }
        house.plant("one", TimeDelta::hours(1), bytes);
        let database = house.json(0)["databases"][0].clone();
        assert_eq!(database["state"], state, "{bytes}: {database}");
        let size = &database["last_success"]["size"];
        assert_eq!(
            (&size["state"], &size["median_bytes"]),
            (&state.into(), &1000.into())
        );
        assert_eq!(size["compared"], 10);
        house.nagios(status);
    }
}

#[test]
fn an_empty_archive_is_damaged_and_hides_the_one_before_it_from_nobody() {
    let house = House::new("one", "");
    let good = house.plant("one", TimeDelta::days(1), 1000);
    let empty = house.plant("one", TimeDelta::hours(1), 0);
    let database = house.json(13)["databases"][0].clone();
    assert_eq!(database["last_success"]["id"], good);
    assert_eq!(database["damaged"][0], empty);
    house.nagios(2);
}

#[test]
fn a_copy_that_is_missing_or_damaged_is_told_and_a_storage_that_is_gone_hides_nothing() {
    let house = House::new("[one, two]", "    max_age: 26h\n");
    house.plant("two", TimeDelta::hours(1), 10);
    let document = house.json(0);
    let database = &document["databases"][0];
    assert_eq!(
        said(database),
        ["warning: the newest backup is not on the storage one"]
    );
    let copies = &database["last_success"]["copies"];
    assert_eq!(
        (&copies[0]["status"], &copies[1]["status"]),
        (&"missing".into(), &"ok".into())
    );
    house.nagios(1);

    house.write("one", b"a file and no directory");
    let document = house.json(3);
    let database = &document["databases"][0];
    assert_eq!(
        said(database),
        ["warning: the storage one cannot be asked and may hold a newer backup"]
    );
    assert_eq!(database["last_success"]["copies"][0]["status"], "unknown");
    assert_eq!(document["storages"][0]["error"]["kind"], "failed");
    house.nagios(1);
    fs::remove_dir_all(house.path("two")).expect("it is there");
    house.write("two", b"no directory either");
    assert_eq!(
        said(&house.json(1)["databases"][0]),
        ["unknown: none of its storages can be asked"]
    );
    house.nagios(3);
}

#[test]
fn an_archive_of_another_size_than_its_manifest_tells_is_no_success() {
    let (sandbox, database) = (Sandbox::new(18), postgres(18).create_database("cut"));
    database.sql("CREATE TABLE t AS SELECT 1 AS one");
    sandbox.configure_with("", &[Entry::of(&database).named("app").shape(PLAIN)]);
    let old = sandbox.back_up("app");
    let new = sandbox.back_up("app");
    fs::write(&new.path, &new.bytes()[1..]).expect("write it");
    let output = sandbox.run(&["status", "--json"]).exits(13);
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let app = &document["databases"][0];
    assert_eq!(app["last_success"]["id"], old.id());
    assert_eq!(app["damaged"][0], new.id());
    assert_eq!(app["state"], "critical");

    let listed = sandbox.run(&["list", "--json"]).exits(0);
    let document: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    let damaged = |index: usize| document["backups"][index]["copies"][0]["damaged"].clone();
    assert_eq!((damaged(0), damaged(1)), (true.into(), false.into()));
    let text = sandbox.run(&["list"]).exits(0).text();
    assert_eq!(text.matches("plain damaged").count(), 1, "{text}");
}

#[test]
fn a_storage_that_is_not_there_is_told_of_once_for_all_databases() {
    let sandbox = Sandbox::new(18);
    let unreachable = || "host: localhost, port: 1, database: d, user: u".to_string();
    sandbox.configure_with("", &["a", "b"].map(|name| Entry::new(name, unreachable())));
    let output = sandbox.run(&["status"]).exits(14);
    let told = output.stderr.matches("is its disk mounted?").count();
    assert_eq!(told, 1, "{}", output.stderr);
}

#[test]
fn a_backup_that_verify_found_bad_is_no_success() {
    let (sandbox, database) = (Sandbox::new(18), postgres(18).create_database("bad"));
    database.sql("CREATE TABLE t AS SELECT 1 AS one");
    sandbox.configure_with("", &[Entry::of(&database).named("app").shape(PLAIN)]);
    let old = sandbox.back_up("app");
    let new = sandbox.back_up("app");
    let whole = new.bytes();
    let mut bad = whole.clone();
    *bad.last_mut().expect("it holds something") ^= 1;
    fs::write(&new.path, bad).expect("write it");
    // nobody knows yet
    sandbox.run(&["status"]).exits(0);
    sandbox.run(&["verify", "--latest"]).exits(13);
    let status = |status: i32| -> Value {
        let output = sandbox.run(&["status", "--json"]).exits(status);
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let document = status(13);
    let app = &document["databases"][0];
    assert_eq!(app["last_success"]["id"], old.id());
    assert_eq!(app["damaged"][0], new.id());
    assert_eq!(
        (&app["state"], &document["state"]),
        (&"critical".into(), &"critical".into())
    );
    let problems = said(app);
    let expected = format!("critical: {} is damaged: verify found it bad ", new.id());
    assert!(problems[0].starts_with(&expected), "{problems:?}");
    assert!(
        problems[0].ends_with(" ago, at the level full"),
        "{problems:?}"
    );
    let line = sandbox.run(&["status", "--nagios"]).exits(2).text();
    assert!(line.starts_with("BACKUPKIT CRITICAL - app: "), "{line}");

    // a check that looks less deep says nothing against it, one as deep does
    fs::write(&new.path, whole).expect("write it");
    sandbox
        .run(&["verify", "--latest", "--level", "exists"])
        .exits(0);
    status(13);
    sandbox.run(&["verify", "--latest"]).exits(0);
    assert_eq!(status(0)["databases"][0]["last_success"]["id"], new.id());
}

#[test]
fn where_every_backup_is_bad_nothing_says_that_there_is_none() {
    let (sandbox, database) = (Sandbox::new(18), postgres(18).create_database("all_bad"));
    database.sql("CREATE TABLE t AS SELECT 1 AS one");
    let entry = || Entry::of(&database).named("app").shape(PLAIN);
    sandbox.configure_with("", &[entry()]);
    let only = sandbox.back_up("app");
    let mut bad = only.bytes();
    *bad.last_mut().expect("it holds something") ^= 1;
    fs::write(&only.path, bad).expect("write it");
    sandbox.run(&["verify", "--latest"]).exits(13);
    let text = sandbox.run(&["status"]).exits(13).text();
    let id = only.id();
    for told in [
        "app: critical: there are backups, and none of them counts\n  hint: see what speaks against each: backupkit list --db app",
        &format!("app: critical: {id} is damaged: verify found it bad "),
        &format!("verify --level full {id}; make one: backupkit backup --db app"),
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
    assert!(!text.contains("there is no backup"), "{text}");
    // and what is taken is not passed over
    let target = postgres(18).create_database("all_bad_target");
    let restore = ["restore", "--from", "app/latest", "--to", &target.name];
    let told = sandbox.run(&restore).stderr;
    assert!(!told.contains("passing over"), "{told}");
    let taken = "is taken since there is no better one, but verify found it bad";
    assert!(told.contains(taken), "{told}");
    sandbox.configure_with("", &[entry().key("max_age: 26h")]);
    sandbox.run(&["status"]).exits(14);
}

#[test]
fn a_backup_that_failed_an_assertion_is_not_damaged_and_no_restore_takes_it_unasked() {
    let (sandbox, database) = (Sandbox::new(18), postgres(18).create_database("refuted"));
    database.sql("CREATE TABLE t AS SELECT n FROM generate_series(1, 9) AS n");
    let entry = Entry::of(&database).named("app").shape(PLAIN);
    let entry = entry.drill("assert: ['select count(*) > 5 from t']");
    sandbox.configure_with("drill: { user: nobody }", &[entry]);
    let old = sandbox.back_up("app");
    database.sql("DELETE FROM t WHERE n > 1");
    let new = sandbox.back_up("app");
    sandbox
        .run(&["verify", "--latest", "--level", "restore"])
        .exits(13);
    let output = sandbox.run(&["status", "--json"]).exits(0);
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let app = &document["databases"][0];
    assert_eq!(app["last_success"]["id"], new.id());
    assert_eq!(app["damaged"], Value::Array(Vec::new()));
    let problems = said(app);
    let expected = "critical: the newest backup failed an assertion in the drill ";
    assert!(problems[0].starts_with(expected), "{problems:?}");
    sandbox.run(&["status", "--nagios"]).exits(2);

    let target = postgres(18).create_database("refuted_target");
    let restore = |from: &str| {
        let to = ["--to", &target.name, "--clean", "--yes"];
        let arguments = [&["restore", "--from", from], &to[..]].concat();
        sandbox.run(&arguments).exits(0).stderr
    };
    let told = restore("app/latest");
    assert_eq!(target.sql("SELECT count(*) FROM t"), "9", "{}", old.id());
    assert!(
        told.contains("passing over") && told.contains("failed an assertion"),
        "{told}"
    );
    // by its name it is what was asked for
    let told = restore(&new.id());
    assert_eq!(target.sql("SELECT count(*) FROM t"), "1");
    assert!(
        told.contains("is taken as it was named, but it failed an assertion"),
        "{told}"
    );
}

#[test]
fn where_backups_are_encrypted_one_that_is_not_counts_for_nothing() {
    let (sandbox, database) = (Sandbox::new(18), postgres(18).create_database("sealed"));
    database.sql("CREATE TABLE t AS SELECT 1 AS one");
    let entry = |shape| Entry::of(&database).named("app").shape(shape);
    sandbox.configure_with("", &[entry(Shape::new(true, true))]);
    let sealed = sandbox.back_up("app");
    let planted = "app/20991120_020000.123456789Z";
    sandbox.store(&format!("{planted}.dump.gz"), b"planted");
    let record = proven::record(planted, 7, "restore", "good", TimeDelta::zero());
    sandbox.store(&format!("{planted}.verified.json"), record.as_bytes());
    let output = sandbox.run(&["status", "--json"]).exits(0);
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let database = &document["databases"][0];
    assert_eq!(database["last_success"]["id"], sealed.id());
    assert_eq!(database["proven_at"], Value::Null);
}

/// What the record of the last failure says.
fn record(directory: &Path) -> Value {
    let bytes = fs::read(directory.join("last-failure.json")).expect("a record");
    serde_json::from_slice(&bytes).expect("a record is JSON")
}

#[test]
fn a_failure_is_written_down_beside_the_backups_and_stays_as_history() {
    let (sandbox, database) = (Sandbox::new(18), postgres(18).create_database("fails"));
    database.sql("CREATE TABLE t AS SELECT 1 AS one");
    let good = || Entry::of(&database).named("app").shape(PLAIN);
    let configure = |entry: Entry| sandbox.configure_with("", &[entry]);
    configure(good());
    sandbox.back_up("app");
    let password = "canary-in-the-coal-mine";
    configure(good().login(&database, SUPERUSER, password));
    let failed = sandbox.run(&["backup"]).exits(1);
    let failure = record(&sandbox.path("storage/app"));
    let message = failure["message"].as_str().expect("a message");
    assert!(
        message.contains("password authentication failed"),
        "{message}"
    );
    assert!(failed.stderr.contains(message));
    assert!(!failure.to_string().contains(password));
    assert_eq!(
        (&failure["kind"], &failure["exit_status"]),
        (&"failed".into(), &1.into())
    );

    let status = || {
        let output = sandbox.run(&["status", "--json"]).exits(0);
        let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        document["databases"][0].clone()
    };
    let now = status();
    assert_eq!(now["state"], "warning");
    assert_eq!(now["last_failure"]["since_last_success"], true);
    assert!(said(&now)[0].contains("the last run failed"), "{now}");

    configure(good());
    sandbox.back_up("app");
    let later = status();
    assert_eq!(later["state"], "ok", "{later}");
    assert_eq!(later["last_failure"]["since_last_success"], false);
    assert_eq!(later["last_failure"]["message"], failure["message"]);
    let failed_at = later["last_failure"]["failed_at"].as_str().expect("a time");
    assert!(DateTime::parse_from_rfc3339(failed_at).is_ok());
    // no command takes it for something else
    assert!(
        !sandbox
            .run(&["list"])
            .exits(0)
            .stderr
            .contains("last-failure")
    );
    assert_eq!(
        sandbox
            .run(&["prune", "--dry-run"])
            .exits(0)
            .text()
            .matches("sweep")
            .count(),
        0
    );
}

#[test]
fn a_run_that_a_signal_ended_is_written_down_too_and_told_once() {
    let scene = Scene::new();
    scene.configure(large(), Shape::new(true, true));
    let run = scene.sandbox.start(&["backup", "--json"]);
    scene.wait_for_archive(MIDDLE);
    run.signal(Signal::TERM);
    let output = run.wait().exits(143);
    assert_eq!(
        output.stderr.matches("stopped by SIGTERM").count(),
        1,
        "{}",
        output.stderr
    );
    let last: Value =
        serde_json::from_str(output.text().lines().last().expect("a line")).expect("JSON");
    assert_eq!(
        (&last["type"], &last["kind"]),
        (&"error".into(), &"cancelled".into())
    );
    let failure = record(&scene.storage.join("app"));
    assert_eq!(
        (&failure["kind"], &failure["exit_status"]),
        (&"cancelled".into(), &143.into())
    );
}

#[test]
fn what_a_failure_says_is_encrypted_where_backups_are_and_status_reads_it() {
    let (sandbox, database) = (Sandbox::new(18), postgres(18).create_database("names"));
    let role = database.server.create_role("stranger");
    database.sql("CREATE TABLE medical_history AS SELECT 1 AS one");
    let entry = |keys: &str| {
        let entry = Entry::of(&database)
            .named("app")
            .shape(Shape::new(true, true));
        let entry = entry.login(&database, &role, &role).encryption(keys);
        sandbox.configure_with("", &[entry]);
    };
    let message = || {
        let output = sandbox.run(&["status", "--json"]).exits(14);
        let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        document["databases"][0]["last_failure"]["message"].to_string()
    };
    entry("enabled: true, password: first");
    let failed = sandbox.run(&["backup"]).exits(1);
    assert!(
        failed.stderr.contains("medical_history"),
        "{}",
        failed.stderr
    );
    let stored = record(&sandbox.path("storage/app"));
    assert!(!stored.to_string().contains("medical"), "{stored}");
    assert_eq!(
        (&stored["kind"], stored.get("message")),
        (&"failed".into(), None)
    );
    assert!(message().contains("medical_history"), "{}", message());
    entry("enabled: true, password: other");
    assert!(message().contains("is encrypted"), "{}", message());
    // without the password there is nothing to say it with
    entry("enabled: true, password: '${NOT_SET}'");
    sandbox.run(&["backup"]).exits(2);
    let stored = record(&sandbox.path("storage/app"));
    assert_eq!(
        (&stored["kind"], stored.get("words_sealed")),
        (&"usage".into(), None)
    );
}

#[test]
fn a_run_that_another_one_keeps_away_writes_nothing_down() {
    let (sandbox, database) = (Sandbox::new(18), postgres(18).create_database("locked"));
    sandbox.configure_with("", &[Entry::of(&database).named("app").shape(PLAIN)]);
    sandbox.back_up("app");
    let lock = fs::File::open(sandbox.path("storage/app/.lock")).expect("a lock");
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).expect("lock it");
    sandbox.run(&["backup"]).exits(11);
    assert!(!sandbox.path("storage/app/last-failure.json").exists());
}

#[test]
fn room_on_the_disk_is_judged() {
    let house = House::new("one", "");
    // room for nineteen more, for two, and for none
    house.plant("one", TimeDelta::hours(1), 200 * 1024);
    assert_eq!(house.json(0)["storages"][0]["state"], "ok");
    for (filled, state) in [(3400, "warning"), (3800, "critical")] {
        house.write("filling", &vec![1; filled * 1024]);
        let storage = house.json(0)["storages"][0].clone();
        assert_eq!(storage["state"], state, "{storage}");
        assert_eq!(storage["total_bytes"], 4 << 20);
    }
    assert!(house.nagios(2).contains("storage one: "));
}

#[test]
fn a_plugin_that_cannot_find_out_is_unknown() {
    let sandbox = Sandbox::new(18);
    for arguments in [
        &["status", "--nagios"][..],
        &["status", "--nagios", "--nope"],
    ] {
        let output = sandbox.run(arguments).exits(3);
        assert!(
            output.text().starts_with("BACKUPKIT UNKNOWN - "),
            "{}",
            output.text()
        );
        assert_eq!(output.text().lines().count(), 1);
    }
}

#[test]
fn a_success_says_in_the_log_and_in_json_what_is_unusual_about_it() {
    let (sandbox, database): (_, Database<'_>) =
        (Sandbox::new(18), postgres(18).create_database("grows"));
    database.sql("CREATE TABLE t AS SELECT 1 AS one");
    let entry = |keys: &str| {
        let entry = Entry::of(&database)
            .named("app")
            .shape(Shape::new(true, true));
        sandbox.configure_with("", &[entry.encryption(keys)]);
    };
    entry("enabled: true, password: first");
    let usual = sandbox.run(&["backup", "--json"]).exits(0);
    assert!(usual.text().contains("\"warnings\":[]"), "{}", usual.text());
    database.sql("INSERT INTO t SELECT generate_series(1, 100000)");
    let grown = sandbox.run(&["backup", "--json"]).exits(0);
    let line: Value =
        serde_json::from_str(grown.text().lines().next().expect("a line")).expect("JSON");
    let warnings = line["warnings"].as_array().expect("warnings");
    assert!(
        warnings[0]
            .as_str()
            .expect("text")
            .contains("more than the backup before it"),
        "{line}"
    );
    assert!(
        grown.stderr.contains("warning: app: the newest backup has"),
        "{}",
        grown.stderr
    );

    // a password that is new and kept is meant, one that is new alone may not be
    entry("enabled: true, password: second, previous_passwords: [first]");
    let meant = sandbox.run(&["backup"]).exits(0);
    assert!(!meant.stderr.contains("password"), "{}", meant.stderr);
    entry("enabled: true, password: third");
    let lost = sandbox.run(&["backup"]).exits(0);
    assert!(
        lost.stderr.contains("no configured password opens"),
        "{}",
        lost.stderr
    );
    assert!(
        lost.stderr.contains("previous_passwords"),
        "{}",
        lost.stderr
    );
}

#[test]
fn each_state_that_is_not_ok_has_a_next_step_and_the_worst_check_is_the_one_that_is_listed() {
    let database = postgres(18).create_database("states");
    database.sql("CREATE TABLE t AS SELECT 1 AS one");
    let sandbox = Sandbox::new(18);
    let entry = || Entry::of(&database).named("app");
    sandbox.configure_with("", &[entry()]);
    let none = sandbox.run(&["status"]).exits(14).text();
    let make_one = "\n  hint: make one: backupkit backup --db app\n";
    assert!(
        none.contains(&format!("app: critical: there is no backup{make_one}")),
        "{none}"
    );

    // what killed runs leave: a mark that names a lease which nobody holds
    sandbox.run(&["backup"]).exits(0);
    let stamp = (Utc::now() + TimeDelta::seconds(1)).format("%Y%m%d_%H%M%S.%9fZ");
    let run = sandbox.path(&format!("storage/app/{stamp}.run"));
    let mark = r#"{"schema":1,"tool":"t","kind":"dump","host":"h","lease":"gone"}"#;
    fs::write(&run, mark).expect("write a file");
    let cut = sandbox.run(&["status"]).exits(0).text();
    assert!(
        cut.contains("app: warning: the run that began") && cut.contains("was cut short"),
        "{cut}"
    );
    assert!(
        cut.contains("removes what is left of it: backupkit backup --db app\n"),
        "{cut}"
    );
    fs::remove_file(&run).expect("remove it");

    // a shallow check that ends well takes nothing from a drill that did not
    sandbox.configure_with("", &[entry().drill("assert: ['SELECT false']")]);
    sandbox.run(&["verify", "--level", "restore"]).exits(13);
    sandbox.run(&["verify", "--level", "checksum"]).exits(0);
    let listed = sandbox.run(&["list"]).exits(0).text();
    assert!(listed.contains("bad: restore"), "{listed}");
    let failed = sandbox.run(&["status"]).text();
    assert!(
        failed.contains("\n  hint: see which one: backupkit verify --level restore app/"),
        "{failed}"
    );
    sandbox.configure_with("", &[entry()]);
    sandbox.run(&["verify", "--level", "restore"]).exits(0);
    sandbox.run(&["verify", "--level", "exists"]).exits(0);
    let listed = sandbox.run(&["list"]).exits(0).text();
    assert!(
        !listed.contains("bad") && listed.contains("restore "),
        "{listed}"
    );

    // one from the future names the command that removes it, which does
    let ahead = sandbox.path("storage/app/20991231_000000.000000000Z.dump");
    fs::write(&ahead, b"PGDMP and more").expect("write a file");
    sandbox.configure_with("", &[entry().retention("keep_last: 1")]);
    let refused = sandbox.run(&["prune"]).exits(15).stderr;
    let hint = sandbox.run(&["status"]).text();
    let removal = format!("rm -- {}.*", ahead.with_extension("").display());
    assert!(
        refused.contains(&removal) && hint.contains(&removal),
        "{refused}{hint}"
    );
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &removal]);
    assert!(shell.status().expect("run it").success() && !ahead.exists());
    sandbox.run(&["prune"]).exits(0);
}
