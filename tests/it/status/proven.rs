//! When checks last proved a database's backups good, and how long that may be ago.

use super::*;
use serde_json::json;

const LIMIT: &str = "    max_unverified_age: 8d\n";

/// The records of one check of the backup `stem`, which is so many bytes large.
pub(super) fn record(stem: &str, bytes: u64, level: &str, result: &str, age: TimeDelta) -> String {
    let check = json!({
        "at": Utc::now() - age,
        "tool": "a test",
        "level": level,
        "result": result,
        "key": format!("{stem}.dump.gz"),
        "bytes": bytes,
        "duration_seconds": 1.0,
    });
    json!({ "schema": 1, "checks": [check] }).to_string()
}

impl House {
    /// A backup of that age with a restore that found it good so long ago.
    fn plant_proven(&self, storage: &str, age: TimeDelta, proven: TimeDelta) {
        let stem = self.plant(storage, age, 10);
        let record = record(&stem, 10, "restore", "good", proven);
        self.write(
            &format!("{storage}/{stem}.verified.json"),
            record.as_bytes(),
        );
    }
}

fn status(sandbox: &Sandbox, status: i32) -> Value {
    let output = sandbox.run(&["status", "--json"]).exits(status);
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    document["databases"][0].clone()
}

#[test]
fn what_verify_proved_counts_from_its_level_on_until_it_is_too_long_ago() {
    let (sandbox, database) = (Sandbox::new(18), postgres(18).create_database("proven"));
    database.sql("CREATE TABLE t AS SELECT 1 AS one");
    let configure = |level: &str| {
        let drill = database.connection(SUPERUSER, &database.server.password);
        let entry = Entry::of(&database).named("app").shape(PLAIN);
        let entry = entry
            .verify(&format!("schedule: '0 6 * * 3', level: {level}"))
            .drill(&format!("connection: {{ {drill} }}"))
            .key("max_unverified_age: 8d");
        sandbox.configure_with("", &[entry]);
    };
    configure("full");
    let archive = sandbox.back_up("app");
    let fresh = status(&sandbox, 0);
    assert_eq!(
        said(&fresh),
        ["noted: no check of level full has found a backup good yet, one every 8d 0h has to"]
    );
    assert_eq!(fresh["unverified_too_long"], false);

    sandbox.run(&["verify", "--level", "checksum"]).exits(0);
    assert_eq!(status(&sandbox, 0)["verified_at"], Value::Null);
    sandbox.run(&["verify", "--level", "full"]).exits(0);
    let records = || -> Value {
        let read = |path: &std::path::PathBuf| -> Value {
            let record = fs::read(path).expect("a record");
            let record: Value = serde_json::from_slice(&record).expect("JSON");
            record["checks"][0].clone()
        };
        let checks: Vec<Value> = archive.record_paths().iter().map(read).collect();
        json!({ "schema": 1, "checks": checks })
    };
    let checked = status(&sandbox, 0);
    let moment = |value: &Value| {
        let text = value.as_str().expect("a time");
        let moment = DateTime::parse_from_rfc3339(text).expect("a time");
        moment.timestamp()
    };
    let at = moment(&records()["checks"][1]["at"]);
    assert_eq!(
        (moment(&checked["verified_at"]), &checked["proven_at"]),
        (at, &Value::Null)
    );
    assert_eq!(
        (&checked["state"], &checked["verify_level"]),
        (&"ok".into(), &"full".into())
    );
    assert_eq!(checked["max_unverified_age_seconds"], 8 * 86400);
    let next = checked["next_check"].as_str().expect("a time");
    assert!(next.ends_with("T06:00:00Z"), "{next}");
    let text = sandbox.run(&["status"]).exits(0).text();
    let row = text.lines().nth(1).expect("a row");
    assert!(
        row.contains("s (full)  ") && row.ends_with("T06:00Z"),
        "{text}"
    );

    configure("restore");
    assert_eq!(status(&sandbox, 0)["verified_at"], Value::Null);
    sandbox.run(&["verify", "--level", "restore"]).exits(0);
    let drilled = status(&sandbox, 0);
    assert_eq!(
        moment(&drilled["proven_at"]),
        moment(&records()["checks"][2]["at"])
    );
    assert_eq!(drilled["verified_at"], drilled["proven_at"]);

    let mut old = records();
    for check in old["checks"].as_array_mut().expect("checks") {
        check["at"] = json!(Utc::now() - TimeDelta::days(9) - TimeDelta::minutes(1));
    }
    for path in archive.record_paths() {
        fs::remove_file(path).expect("remove a record");
    }
    // as earlier versions wrote them, all in one
    let path = archive.manifest_path().with_extension("verified.json");
    fs::write(&path, old.to_string()).expect("write the records");
    let late = status(&sandbox, 14);
    assert_eq!(
        said(&late),
        [
            "critical: no check of level restore has found a backup good for 9d 0h, allowed are 8d 0h"
        ]
    );
    assert_eq!(
        (&late["unverified_too_long"], &late["too_old"]),
        (&true.into(), &false.into())
    );
    let line = sandbox.run(&["status", "--nagios"]).exits(2).text();
    assert!(
        line.starts_with("BACKUPKIT CRITICAL - app: no check of level restore"),
        "{line}"
    );
    assert!(line.contains("'app_unverified'=7776"), "{line}");
    assert!(line.trim_end().ends_with("s;;691200;0"), "{line}");
}

#[test]
fn that_nothing_was_ever_proven_is_an_alarm_once_a_check_was_due() {
    let house = House::new("[one, two]", LIMIT);
    assert_eq!(house.json(14)["databases"][0]["unverified_too_long"], false);
    house.plant("two", TimeDelta::days(7), 10);
    assert_eq!(house.json(0)["databases"][0]["unverified_too_long"], false);
    house.plant("one", TimeDelta::days(9), 10);
    let database = house.json(14)["databases"][0].clone();
    assert_eq!(
        said(&database)[0],
        "critical: no check of level restore has found a backup good yet, one every 8d 0h has to"
    );
    house.nagios(2);
    // a storage that cannot be asked may know of a check
    fs::remove_dir_all(house.path("two")).expect("it is there");
    house.write("two", b"a file and no directory");
    let database = house.json(3)["databases"][0].clone();
    assert_eq!(database["unverified_too_long"], false);
}

#[test]
fn the_newest_proof_on_any_storage_counts_and_a_bad_check_is_none() {
    let house = House::new("[one, two]", LIMIT);
    house.plant_proven("one", TimeDelta::days(10), TimeDelta::days(9));
    house.json(14);
    let stem = house.plant("one", TimeDelta::days(1), 10);
    let bad = record(&stem, 10, "restore", "bad", TimeDelta::zero());
    house.write(&format!("one/{stem}.verified.json"), bad.as_bytes());
    house.json(14);
    house.plant_proven("two", TimeDelta::days(10), TimeDelta::days(2));
    // what was found bad is, whatever is good beside it
    assert_eq!(house.json(13)["databases"][0]["unverified_too_long"], false);
}

#[test]
fn a_record_that_cannot_be_read_is_a_warning_and_hides_no_other() {
    let house = House::new("one", LIMIT);
    house.plant_proven("one", TimeDelta::days(10), TimeDelta::days(2));
    let stem = house.plant("one", TimeDelta::days(1), 10);
    house.write(&format!("one/{stem}.verified.json"), b"no JSON");
    let output = house.sandbox.run(&["status"]).exits(0);
    let warning = format!("warning: the records of checks {stem}.verified.json cannot be read");
    assert!(output.stderr.contains(&warning), "{}", output.stderr);
    assert!(output.text().contains("2d 0h"), "{}", output.text());
}

#[test]
fn a_check_of_one_of_many_backups_is_found_before_an_alarm_is_raised() {
    for (keys, found) in [(LIMIT, true), ("", false)] {
        let house = House::new("one", keys);
        for day in 1..=25 {
            house.plant_proven("one", TimeDelta::days(day), TimeDelta::days(30));
        }
        house.plant_proven("one", TimeDelta::days(26), TimeDelta::hours(1));
        let database = house.json(0)["databases"][0].clone();
        let at = database["proven_at"].as_str().expect("a time");
        let at = DateTime::parse_from_rfc3339(at).expect("a time");
        assert_eq!(Utc::now() - at.to_utc() < TimeDelta::days(1), found);
    }
}

#[test]
fn a_check_from_the_future_is_a_warning() {
    let house = House::new("one", LIMIT);
    house.plant_proven("one", TimeDelta::days(1), TimeDelta::days(-400));
    assert_eq!(
        said(&house.json(0)["databases"][0]),
        ["warning: the last check is from the future: one of the clocks is wrong"]
    );
}
