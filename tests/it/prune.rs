//! What retention leaves on a storage, driven as people drive it. Old backups are planted: copies of a real one under
//! other names, each whole and restorable.

use crate::support::entry::Entry;
use crate::support::postgres::{Database, Server, postgres};
use crate::support::program::{self, Output};
use crate::support::sandbox::{Sandbox, Shape};
use chrono::{DateTime, TimeDelta, Utc};
use rustix::process::Signal;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::OnceLock;

/// A database with one table, whose backup takes no time: one for all, since a planted backup must not come from
/// another source than a real one.
fn tiny() -> &'static Database<'static> {
    static TINY: OnceLock<Database<'static>> = OnceLock::new();
    TINY.get_or_init(|| {
        let database = postgres(18).create_database("kept");
        database.sql("CREATE TABLE t AS SELECT 42 AS answer");
        database
    })
}

/// A sandbox, and a real backup to plant copies of.
struct Garden {
    sandbox: Sandbox,
    archive: Vec<u8>,
    manifest: Value,
}

impl Garden {
    /// Its database is called `app` and has these keys under `retention`.
    fn new(retention: &str) -> Garden {
        static SEED: OnceLock<(Vec<u8>, Value)> = OnceLock::new();
        let sandbox = Sandbox::new(18);
        let entry = || {
            Entry::of(tiny())
                .named("app")
                .shape(Shape::new(true, false))
        };
        let (archive, manifest) = SEED.get_or_init(|| {
            let sandbox = Sandbox::new(18);
            sandbox.configure_with("", &[entry()]);
            sandbox.run(&["backup"]).exits(0);
            let find = |suffix: &str| {
                let files = sandbox.files("storage");
                let file = files.iter().find(|file| file.ends_with(suffix));
                fs::read(sandbox.path("storage").join(file.expect("a backup"))).expect("read it")
            };
            let manifest = serde_json::from_slice(&find(".json")).expect("it is JSON");
            (find(".dump.gz"), manifest)
        });
        sandbox.configure_with("", &[entry().retention(retention)]);
        Garden {
            sandbox,
            archive: archive.clone(),
            manifest: manifest.clone(),
        }
    }

    fn lay(&self, key: &str, bytes: impl AsRef<[u8]>) {
        let path = self.sandbox.path("storage").join(key);
        fs::create_dir_all(path.parent().expect("a key has a directory")).expect("make it");
        fs::write(path, bytes).expect("write an object");
    }

    /// A whole backup of `database` that began at this moment, with `change` made to its manifest.
    fn plant_with(&self, database: &str, at: DateTime<Utc>, change: impl Fn(&mut Value)) -> String {
        let id = format!("{database}/{}", stamp(at));
        let file = format!("{}.dump.gz", stamp(at));
        let mut manifest = self.manifest.clone();
        manifest["started_at"] = at.to_rfc3339().into();
        manifest["archive"]["key"] = format!("{id}.dump.gz").into();
        change(&mut manifest);
        let hash: String = Sha256::digest(&self.archive)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        self.lay(&format!("{id}.dump.gz"), &self.archive);
        self.lay(&format!("{id}.dump.gz.sha256"), format!("{hash}  {file}\n"));
        self.lay(&format!("{id}.json"), manifest.to_string());
        id
    }

    fn plant(&self, at: DateTime<Utc>) -> String {
        self.plant_with("app", at, |_| {})
    }

    /// One at 02:00 of each day, both included.
    fn plant_daily(&self, first: &str, last: &str) {
        let mut at = day(first);
        while at <= day(last) {
            self.plant(at);
            at += TimeDelta::days(1);
        }
    }

    fn files(&self) -> Vec<String> {
        let files = self.sandbox.files("storage").into_iter();
        files.filter(|file| !file.ends_with("/.lock")).collect()
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Output {
        self.sandbox.run(arguments)
    }
}

fn day(text: &str) -> DateTime<Utc> {
    format!("{text}T02:00:00.000000001Z")
        .parse()
        .expect("a day")
}

fn stamp(at: DateTime<Utc>) -> String {
    at.format("%Y%m%d_%H%M%S%.9fZ").to_string()
}

/// The files of whole backups of these ids.
fn whole(ids: &[String]) -> Vec<String> {
    let parts = [".dump.gz", ".dump.gz.sha256", ".json"];
    let files = ids
        .iter()
        .flat_map(|id| parts.map(|part| format!("{id}{part}")));
    let mut files: Vec<String> = files.collect();
    files.sort();
    files
}

fn ids(days: &[&str]) -> Vec<String> {
    days.iter()
        .map(|text| format!("app/{}", stamp(day(text))))
        .collect()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("one JSON document")
}

#[test]
fn a_year_under_7_4_12_leaves_what_the_manual_promises_and_each_of_it_restores() {
    let garden = Garden::new("keep_daily: 7, keep_weekly: 4, keep_monthly: 12");
    garden.plant_daily("2020-01-04", "2021-01-03");
    let text = garden.run(&["prune"]).exits(0).text();
    // the weeks end on 13, 20 and 27 December; the fourth is 2020-W53, which lasts until 3 January
    let kept = ids(&[
        "2020-02-29",
        "2020-03-31",
        "2020-04-30",
        "2020-05-31",
        "2020-06-30",
        "2020-07-31",
        "2020-08-31",
        "2020-09-30",
        "2020-10-31",
        "2020-11-30",
        "2020-12-13",
        "2020-12-20",
        "2020-12-27",
        "2020-12-28",
        "2020-12-29",
        "2020-12-30",
        "2020-12-31",
        "2021-01-01",
        "2021-01-02",
        "2021-01-03",
    ]);
    assert_eq!(garden.files(), whole(&kept));
    let bytes = garden.archive.len() * 346;
    assert_eq!(
        text.lines().last(),
        Some(format!("app\tok\tlocal\t20\t346\t{bytes}").as_str())
    );

    let text = garden.run(&["prune"]).exits(0).text();
    assert_eq!(text, "app\tok\tlocal\t20\t0\t0\n");
    assert_eq!(garden.files(), whole(&kept));
    let target = postgres(18).create_database("restored");
    let entry = Entry::of(&target)
        .named("app")
        .shape(Shape::new(true, false));
    garden.sandbox.configure_with("", &[entry]);
    garden.run(&["restore", "--from", &kept[0]]).exits(0);
    assert_eq!(target.sql("SELECT answer FROM t"), "42");
}

#[test]
fn the_calendar_says_what_stays_and_why() {
    let garden = Garden::new("keep_daily: 3, keep_weekly: 2, keep_monthly: 2, keep_last: 1");
    garden.plant_daily("2020-12-26", "2021-01-04");
    garden.plant(day("2021-01-04") - TimeDelta::hours(1));
    let pinned = garden.plant(day("2020-11-05"));
    garden.plant_with("app", day("2020-11-04"), |manifest| {
        manifest["dump"]["partial"] = true.into()
    });
    garden.plant(day("2020-11-03"));
    garden.lay("app/20201001_000000.000000000Z.pin", "");
    let copies = garden.run(&["pin", &pinned]).exits(0).text();
    assert_eq!(copies, format!("{pinned}\tpinned\tlocal\n"));
    let before = garden.files();
    let size = |count: usize| {
        let bytes = (garden.archive.len() * count) as f64;
        assert!(bytes < 10_240.0, "still shown to the tenth");
        match bytes < 1024.0 {
            true => format!("{bytes} B"),
            false => format!("{:.1} KiB", bytes / 1024.0),
        }
    };
    let calendar = format!(
        "app on local: keep_last 1, keep_daily 3, keep_weekly 2, keep_monthly 2

  January 2021  -+++...........................
  + Mon 04  02:00:00  {one:>10}  newest, last 1, daily 2021-01-04, weekly 2021-W01, monthly 2021-01
  - Mon 04  01:00:00  {one:>10}  2021-01-04 keeps the one of 02:00:00
  + Sun 03  02:00:00  {one:>10}  daily 2021-01-03, weekly 2020-W53
  + Sat 02  02:00:00  {one:>10}  daily 2021-01-02
  - Fri 01  02:00:00  {one:>10}  2020-W53 keeps the one of 2021-01-03 02:00:00

  December 2020  .........................-----+
  + Thu 31  02:00:00  {one:>10}  monthly 2020-12
  - Mon 28 to Wed 30  {three:>10}  3 backups: 2020-W53 keeps the one of 2021-01-03 02:00:00
  - Sat 26 to Sun 27  {two:>10}  2 backups: 2020-12 keeps the one of 2020-12-31 02:00:00

  November 2020  ..--+.........................
  + Thu 05  02:00:00  {one:>10}  pinned
  - Wed 04  02:00:00  {one:>10}  older than the rules reach (partial)
  - Tue 03  02:00:00  {one:>10}  older than the rules reach

  without their archive
  - app/20201001_000000.000000000Z.pin

  5 stay, 9 would be deleted: {nine} of {all}
",
        one = size(1),
        two = size(2),
        three = size(3),
        nine = size(9),
        all = size(14),
    );
    let shown = garden.run(&["prune", "--dry-run", "--explain"]).exits(0);
    assert_eq!(shown.text(), calendar);
    assert!(
        shown
            .stderr
            .contains("retention deletes 9 of 14 backups, more than half")
    );

    let document = json(&garden.run(&["prune", "--dry-run", "--json"]).exits(0));
    assert_eq!(document["dry_run"], true);
    let app = &document["databases"][0];
    assert_eq!(
        (&app["kept"], &app["deleted"], &app["would_delete"]),
        (&14.into(), &0.into(), &9.into())
    );
    assert_eq!(app["swept"][0], "app/20201001_000000.000000000Z.pin");
    let verdicts: Vec<&Value> = app["backups"].as_array().expect("a list").iter().collect();
    assert_eq!(
        (verdicts.len(), &verdicts[0]["verdict"]),
        (14, &"keep".into())
    );
    assert_eq!(
        verdicts[1]["reasons"][0],
        "2021-01-04 keeps the one of 2021-01-04 02:00:00"
    );
    assert_eq!(garden.files(), before);
}

#[test]
fn what_is_not_an_old_backup_of_that_database_is_never_touched() {
    let garden = Garden::new("keep_last: 1");
    garden.plant(day("2020-01-01"));
    let newest = garden.plant(day("2020-01-02"));
    let id = format!("app/{}", stamp(day("2019-01-01")));
    let strangers = [
        "notes.txt".to_string(),
        "app/notes.txt".to_string(),
        "app/last-failure.json".to_string(),
        format!("{id}.dump.gz.bak"),
        format!("{id}.dump.xz"),
        format!("{id}.sql"),
        format!("{id}x.dump"),
        "app/20190101_020000.dump".to_string(),
        "app/20190101_020000.000000001Z".to_string(),
        format!("app/old/{}.dump.gz", stamp(day("2019-01-01"))),
        // in progress, with a sidecar that waits for it
        format!("{id}.dump.gz.tmp"),
        format!("{id}.json"),
    ];
    for key in &strangers {
        garden.lay(key, "not ours");
    }
    let other = garden.plant_with("app2", day("2018-01-01"), |_| {});
    let third = garden.plant_with("ap", day("2018-01-01"), |_| {});
    garden.run(&["prune"]).exits(0);
    let mut left = whole(&[newest, other, third]);
    left.extend(strangers);
    left.sort();
    assert_eq!(garden.files(), left);
}

#[test]
fn sidecars_whose_archive_is_gone_are_swept() {
    let garden = Garden::new("keep_last: 5");
    let kept = garden.plant(day("2020-01-02"));
    let gone = format!("app/{}", stamp(day("2020-01-01")));
    for part in [
        ".dump.gz.sha256",
        ".json",
        ".pin",
        ".verified.json",
        ".globals.sql.gz.enc",
        ".probe",
    ] {
        garden.lay(&format!("{gone}{part}"), "left");
    }
    garden.lay(&format!("{kept}.verified.json"), "stays");
    let text = garden.run(&["prune"]).exits(0).text();
    assert_eq!(text.lines().count(), 7);
    let mut left = whole(std::slice::from_ref(&kept));
    left.push(format!("{kept}.verified.json"));
    left.sort();
    assert_eq!(garden.files(), left);
}

#[test]
fn a_prune_that_is_killed_at_any_deletion_is_finished_by_the_next_one() {
    let days = ["2020-01-01", "2020-01-02", "2020-01-03"];
    // a run takes its announcement and, in the end, its lease's predecessor away as well: those are no deletions of backups
    let mut deletion = 0;
    let mut seen = std::collections::BTreeSet::new();
    loop {
        deletion += 1;
        let garden = Garden::new("keep_last: 1");
        for text in days {
            garden.plant(day(text));
        }
        let mut strace = Command::new("strace");
        let inject = format!("inject=unlink,unlinkat:signal=KILL:when={deletion}");
        strace.args([
            "-f",
            "-o",
            "/dev/null",
            "-e",
            &inject,
            env!("CARGO_BIN_EXE_backupkit"),
            "prune",
        ]);
        let killed = program::run(garden.sandbox.inside(strace), "");
        if killed.status.signal() != Some(Signal::KILL.as_raw()) {
            killed.exits(0);
            break;
        }
        let between = garden.files();
        seen.insert(between.len());
        // no archive is without what says what it is
        for id in ids(&days) {
            let is_there = |suffix| between.contains(&format!("{id}{suffix}"));
            assert!(!is_there(".dump.gz") || is_there(".json"), "{between:?}");
        }
        garden.run(&["list"]).exits(0);
        garden.run(&["prune"]).exits(0);
        assert_eq!(
            garden.files(),
            whole(&ids(&days[2..])),
            "killed at {deletion}"
        );
    }
    assert_eq!(
        seen,
        (3..=9).collect(),
        "it was killed between any two of them"
    );
}

#[test]
fn a_backup_made_after_rows_were_lost_takes_no_good_one_along() {
    let database = postgres(18).create_database("losing");
    database.sql("CREATE TABLE t AS SELECT generate_series(1, 10) AS answer");
    for shape in [Shape::new(true, false), Shape::new(true, true)] {
        let sandbox = Sandbox::new(18);
        let entry = Entry::of(&database)
            .named("app")
            .shape(shape)
            .retention("keep_daily: 7");
        sandbox.configure_with("", &[entry]);
        let good = sandbox.back_up("app");
        let lost = database.sql("DELETE FROM t WHERE answer > 4 RETURNING answer");
        assert_eq!(lost.lines().count(), 6);
        sandbox.back_up("app");
        sandbox.back_up("app");
        let explained = sandbox.run(&["prune", "--explain"]).exits(0).text();
        assert!(explained.contains("before a loss of rows"), "{explained}");
        sandbox
            .run(&["restore", "--from", &good.id(), "--clean", "--yes"])
            .exits(0);
        assert_eq!(database.sql("SELECT count(*) FROM t"), "10");
    }
}

#[test]
fn each_backup_is_followed_by_pruning_and_says_so() {
    let garden = Garden::new("keep_last: 2");
    garden.plant_daily("2020-01-01", "2020-01-04");
    let output = garden.run(&["backup", "--json"]).exits(0);
    let text = output.text();
    let backup: Value = serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
    assert_eq!(backup["status"], "ok");
    let retention = &backup["copies"][0]["retention"];
    assert_eq!(
        (&retention["kept"], &retention["deleted"]),
        (&2.into(), &3.into())
    );
    assert_eq!(retention["storage"], "local");
    assert!(
        output
            .stderr
            .contains("retention deletes 3 of 5 backups, more than half")
    );
    let new = backup["key"]
        .as_str()
        .expect("a key")
        .trim_end_matches(".dump.gz")
        .to_string();
    let mut left = ids(&["2020-01-04"]);
    left.push(new);
    assert_eq!(garden.files(), whole(&left));
}

#[test]
fn a_failure_of_retention_is_a_warning_and_the_backup_a_success() {
    let garden = Garden::new("keep_last: 1");
    garden.plant(day("2020-01-01"));
    let future = garden.plant(Utc::now() + TimeDelta::days(400));
    let output = garden.run(&["backup", "--json"]).exits(0);
    assert!(
        output
            .stderr
            .contains("warning: the backup of app is stored, but old ones stay: ")
    );
    assert!(
        output
            .stderr
            .contains(&format!("a backup from the future, {future}"))
    );
    let text = output.text();
    let backup: Value = serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
    assert_eq!(
        (
            &backup["status"],
            &backup["copies"][0]["retention"]["status"]
        ),
        (&"ok".into(), &"refused".into())
    );
    assert_eq!(garden.files().len(), 9);

    let output = garden.run(&["prune"]).exits(15);
    assert_eq!(output.text(), "app\trefused\tlocal\t3\t0\t0\n");
    assert_eq!(garden.files().len(), 9);
}

#[test]
fn another_source_deletes_nothing_until_it_is_accepted() {
    let staging = Server::start(17, &[]);
    let database = staging.create_database("app");
    database.sql("CREATE TABLE t AS SELECT 42 AS answer");
    let garden = Garden::new("keep_last: 1");
    garden.run(&["backup"]).exits(0);
    garden.run(&["backup"]).exits(0);
    assert_eq!(garden.files().len(), 3);

    let entry = Entry::of(&database).named("app").retention("keep_last: 1");
    garden.sandbox.configure_with("", &[entry]);
    for count in 2..4 {
        let output = garden.run(&["backup"]).exits(0);
        assert!(
            output
                .stderr
                .contains("warning: the backup of app is stored, but old ones stay: ")
        );
        assert!(
            output
                .stderr
                .contains("hint: if that is meant: backupkit prune --db app --accept-new-source")
        );
        assert_eq!(garden.files().len(), 3 * count);
    }
    garden.run(&["prune"]).exits(15);
    assert_eq!(garden.files().len(), 9);
    garden.run(&["prune", "--accept-new-source"]).exits(0);
    let left = garden.files();
    assert_eq!(left.len(), 4);
    assert!(left.iter().any(|file| file.ends_with(".accepted")));
    let output = garden.run(&["backup"]).exits(0);
    assert!(!output.stderr.contains("warning"), "{}", output.stderr);
    assert_eq!(garden.files().len(), 4);

    let manifest = garden
        .files()
        .into_iter()
        .find(|file| file.ends_with(".json"));
    let manifest =
        fs::read(garden.sandbox.path("storage").join(manifest.expect("one"))).expect("read it");
    let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
    let identifier = database.sql("SELECT system_identifier FROM pg_control_system()");
    assert_eq!(manifest["source"]["system_identifier"], identifier);
    assert_eq!(manifest["source"]["host"], "127.0.0.1");
    assert_eq!(manifest["source"]["port"], staging.port.to_string());
    assert_eq!(manifest["source"]["database"], *database.name);
}

#[test]
fn a_pinned_backup_stays_until_it_is_unpinned() {
    let garden = Garden::new("keep_last: 1");
    let pinned = garden.plant(day("2020-01-01"));
    garden.plant(day("2020-01-02"));
    let newest = garden.plant(day("2020-01-03"));
    let (_, stamp) = pinned.split_once('/').expect("DB/TIMESTAMP");
    let alone = garden.run(&["pin", stamp]).exits(10);
    let hint = format!("name the backup as {pinned}\n");
    assert!(alone.stderr.contains(&hint), "{}", alone.stderr);
    let document = json(&garden.run(&["pin", &pinned, "--json"]).exits(0));
    assert_eq!(document["copies"][0]["changed"], true);
    let document = json(
        &garden
            .run(&["pin", &format!("{pinned}.dump.gz"), "--json"])
            .exits(0),
    );
    assert_eq!(
        (&document["pinned"], &document["copies"][0]["changed"]),
        (&true.into(), &false.into())
    );
    garden.run(&["prune"]).exits(0);
    let mut left = whole(&[pinned.clone(), newest.clone()]);
    left.push(format!("{pinned}.pin"));
    left.sort();
    assert_eq!(garden.files(), left);

    let list = json(&garden.run(&["list", "--json"]).exits(0));
    let pins: Vec<&Value> = list["backups"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| &one["pinned"])
        .collect();
    assert_eq!(pins, [false, true]);
    assert!(garden.run(&["list"]).exits(0).text().contains("gz pinned"));

    assert_eq!(
        garden.run(&["unpin", &pinned]).exits(0).text(),
        format!("{pinned}\tunpinned\tlocal\n")
    );
    garden.run(&["prune"]).exits(0);
    assert_eq!(garden.files(), whole(&[newest]));

    garden.run(&["pin", &pinned]).exits(10);
    garden.run(&["unpin", "nobody/latest"]).exits(10);
    garden.run(&["pin", "./file.dump"]).exits(2);
    garden.run(&["pin", "latest"]).exits(0);
}

#[test]
fn a_storage_that_cannot_be_written_to_is_listed_planned_and_restored_from() {
    let garden = Garden::new("keep_last: 1");
    garden.plant(day("2020-01-01"));
    let newest = garden.plant(day("2020-01-02"));
    let before = garden.files();
    let target = postgres(18).create_database("restored");
    let entry = Entry::of(&target)
        .named("app")
        .shape(Shape::new(true, false));
    garden
        .sandbox
        .configure_with("", &[entry.retention("keep_last: 1")]);
    let read_only = |arguments: &str| {
        let storage = garden.sandbox.path("storage");
        let script = format!(
            "mount --bind '{0}' '{0}' && mount -o remount,bind,ro '{0}' && exec '{1}' {arguments}",
            storage.display(),
            env!("CARGO_BIN_EXE_backupkit")
        );
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", &script]);
        program::run(garden.sandbox.inside(command), "")
    };
    let list = read_only("list").exits(0).text();
    let rows = list.lines().take_while(|line| !line.is_empty());
    assert_eq!(rows.count(), 3, "{list}");
    let text = read_only("prune --dry-run").exits(0).text();
    assert_eq!(text.lines().count(), 2);
    read_only(&format!("restore --from {newest}")).exits(0);
    assert_eq!(target.sql("SELECT answer FROM t"), "42");
    let failed = read_only("prune").exits(1);
    assert!(
        failed.stderr.contains("Read-only file system"),
        "{}",
        failed.stderr
    );
    assert_eq!(failed.text(), "app\tfailed\tlocal\t-\t-\t-\n");
    assert_eq!(garden.files(), before);
}

#[test]
fn without_retention_nothing_goes() {
    let garden = Garden::new("keep_daily: 0");
    garden.plant_daily("2020-01-01", "2020-01-05");
    garden.lay("app/20190101_000000.000000000Z.json", "orphaned");
    let before = garden.files();
    assert_eq!(
        garden.run(&["prune"]).exits(0).text(),
        "app\tok\tlocal\t5\t0\t0\n"
    );
    assert_eq!(garden.files(), before);
    garden.run(&["backup"]).exits(0);
    assert_eq!(garden.files().len(), before.len() + 3);
}

#[test]
fn one_database_that_cannot_be_pruned_stops_no_other() {
    let garden = Garden::new("keep_last: 1");
    let entry = |name: &str| Entry::of(tiny()).named(name).retention("keep_last: 1");
    garden
        .sandbox
        .configure_with("", &[entry("app"), entry("app2")]);
    garden.plant(Utc::now() + TimeDelta::days(400));
    garden.plant_with("app2", day("2020-01-01"), |_| {});
    let kept = garden.plant_with("app2", day("2020-01-02"), |_| {});
    let output = garden.run(&["prune"]).exits(3);
    assert!(
        output.text().contains("app2\tok\tlocal\t1\t1\t"),
        "{}",
        output.text()
    );
    let files = garden.files();
    let others: Vec<String> = files
        .into_iter()
        .filter(|file| file.starts_with("app2/"))
        .collect();
    assert_eq!(others, whole(&[kept]));
    garden.run(&["prune", "--db", "nobody"]).exits(10);
}

#[test]
fn a_changed_password_deletes_nothing_until_the_earlier_one_is_listed() {
    let sandbox = Sandbox::new(18);
    let configure = |keys: &str| {
        let entry = Entry::of(tiny()).named("app").shape(Shape::new(true, true));
        let entry = entry.encryption(keys).retention("keep_last: 1");
        sandbox.configure_with("", &[entry]);
    };
    let archives = || {
        let files = sandbox.files("storage");
        files.iter().filter(|file| file.ends_with(".enc")).count()
    };
    configure("enabled: true, password: first");
    sandbox.run(&["backup"]).exits(0);
    configure("enabled: true, password: second");
    // the second of these finds a newest earlier backup that does open
    for stored in [2, 3] {
        let output = sandbox.run(&["backup"]).exits(0);
        let said = output.stderr;
        assert!(said.contains("nothing is deleted on local"), "{said}");
        assert!(said.contains("previous_passwords"), "{said}");
        assert_eq!(archives(), stored);
    }
    configure("enabled: true, password: second, previous_passwords: [first]");
    let said = sandbox.run(&["backup"]).exits(0).stderr;
    assert!(
        said.contains("app: deleted 3 older backups on local ("),
        "{said}"
    );
    assert_eq!(archives(), 1);
}

#[test]
fn the_backup_that_a_restore_proved_stays_and_its_copy_from_before_takes_no_place() {
    let database = postgres(18).create_database("spoilt");
    database.sql("CREATE TABLE t AS SELECT generate_series(1, 100) AS id, 'good' AS word");
    let sandbox = Sandbox::new(18);
    let entry = || Entry::of(&database).named("app");
    sandbox.configure_with("", &[entry()]);
    let good = sandbox.back_up("app");
    database.sql("UPDATE t SET word = 'spoilt'");
    sandbox
        .run(&[
            "restore",
            "--from",
            "app/latest",
            "--clean",
            "--yes",
            "--backup-first",
        ])
        .exits(0);
    let records = good.record_paths();
    let record = fs::read_to_string(&records[0]).expect("a record");
    assert!(
        record.contains("\"restore\"") && record.contains("\"good\""),
        "{record}"
    );
    // a part of it, or one that nobody compared, proves nothing more
    for options in [&["--no-check"][..], &["--table", "t"]] {
        let restore = ["restore", "--from", &good.id(), "--clean", "--yes"];
        sandbox.run(&[&restore[..], options].concat()).exits(0);
    }
    assert_eq!(good.record_paths(), records);

    sandbox.configure_with("", &[entry().retention("keep_last: 1")]);
    let newer = sandbox.back_up("app");
    for archive in [&good, &newer] {
        assert!(archive.path.exists(), "{}", archive.id());
    }
    // what was kept from before the restore is pinned, and neither the latest nor in anybody's place
    let checked = sandbox.run(&["verify", "--latest"]).exits(0).text();
    assert!(checked.contains(&newer.id()), "{checked}");
}
