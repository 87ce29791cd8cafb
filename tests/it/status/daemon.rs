//! What `status` says of the daemon on this machine.

use super::*;
use crate::support::program::Running;
use crate::support::wait;

/// A daemon that has nothing to do, once its sign of life is there, and what `status --json` says of it.
fn start(house: &House) -> (Running, Value) {
    let run = house.sandbox.start(&["daemon"]);
    let told = wait::until("the daemon shows that it lives", || {
        let told = house.json(0)["daemon"].clone();
        (!told.is_null()).then_some(told)
    });
    (run, told)
}

fn house() -> House {
    let house = House::new(
        "one",
        "    verify: { schedule: '@yearly', level: exists, pick: latest }\n",
    );
    house.plant("one", TimeDelta::hours(1), 10);
    house
}

#[test]
fn the_daemon_is_told_of_while_it_runs_and_not_after_a_tidy_end() {
    let house = house();
    let document = house.json(0);
    assert_eq!(document["daemon"], Value::Null);
    assert_eq!(
        (&document["unattended"], &document["state"]),
        (&true.into(), &"noted".into())
    );
    let text = house.sandbox.run(&["status"]).exits(0).text();
    assert!(
        text.contains("daemon: noted: none runs on this machine"),
        "{text}"
    );
    house.nagios(0);
    let (run, told) = start(&house);
    assert_eq!(house.json(0)["unattended"], false);
    let pid = run.pid().as_raw_nonzero().get();
    assert_eq!(
        (&told["pid"], &told["alive"], &told["state"]),
        (&pid.into(), &true.into(), &"ok".into())
    );
    let text = house.sandbox.run(&["status"]).exits(0).text();
    let line = text.lines().last().expect("a line");
    assert!(
        line.starts_with(&format!("the daemon, process {pid}, has run for ")),
        "{text}"
    );
    assert!(line.ends_with(" and is idle"), "{text}");
    run.signal(Signal::TERM);
    run.wait().exits(0);
    assert_eq!(house.json(0)["daemon"], Value::Null);
    let text = house.sandbox.run(&["status"]).exits(0).text();
    assert!(!text.contains("the daemon, process"), "{text}");
}

#[test]
fn a_probe_finds_the_daemon_that_looks_at_the_clock_and_needs_nothing_else() {
    let house = house();
    let probe = |status: i32| house.sandbox.run(&["status", "--daemon"]).exits(status);
    let missing = probe(1);
    assert_eq!(missing.text(), "");
    assert!(missing.stderr.contains("no daemon"), "{}", missing.stderr);
    let (run, _) = start(&house);
    // neither what has become of the configuration nor the storages is its business
    let config = house.sandbox.path("config.yaml");
    let valid = fs::read(&config).expect("read it");
    fs::write(&config, "version: none").expect("write it");
    let text = probe(0).text();
    let pid = run.pid().as_raw_nonzero().get();
    assert!(
        text.starts_with(&format!("the daemon, process {pid}, has run for ")),
        "{text}"
    );
    let document = house.sandbox.run(&["status", "--daemon", "--json"]);
    let document: Value = serde_json::from_slice(&document.exits(0).stdout).expect("JSON");
    assert_eq!(
        (&document["pid"], &document["state"]),
        (&pid.into(), &"ok".into())
    );
    for other in [&["--nagios"][..], &["--db", "one"]] {
        let arguments = [&["status", "--daemon"], other].concat();
        house.sandbox.run(&arguments).exits(match other[0] {
            // whatever goes wrong is unknown to a plugin
            "--nagios" => 3,
            _ => 2,
        });
    }
    // stopped, it holds its file and says nothing more: its last word grows old
    run.signal(Signal::STOP);
    let life = fs::read_dir(house.sandbox.path("run")).expect("read a directory");
    let paths = life.map(|entry| entry.expect("an entry").path());
    let life = paths
        .filter(|path| path.extension().is_some_and(|kind| kind == "json"))
        .find(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("daemon-"))
        })
        .expect("its sign of life");
    let mut said: Value = serde_json::from_slice(&fs::read(&life).expect("read it")).expect("JSON");
    said["ticked_at"] = (Utc::now() - TimeDelta::minutes(10)).to_rfc3339().into();
    fs::write(&life, said.to_string()).expect("write it");
    let silent = probe(1);
    assert!(
        silent
            .stderr
            .contains("it has not looked at the clock for 10m"),
        "{}",
        silent.stderr
    );
    run.signal(Signal::CONT);
    fs::write(&config, valid).expect("write it");
    run.signal(Signal::TERM);
    run.wait().exits(0);
    probe(1);
}

#[test]
fn nobody_is_missed_where_nothing_is_scheduled() {
    let house = House::new("one", "");
    house.plant("one", TimeDelta::hours(1), 10);
    let document = house.json(0);
    assert_eq!(
        (&document["unattended"], &document["state"]),
        (&false.into(), &"ok".into())
    );
}

#[test]
fn a_daemon_that_was_killed_is_a_warning() {
    let house = house();
    house.nagios(0);
    let (run, _) = start(&house);
    run.signal(Signal::KILL);
    run.wait();
    let told = house.json(0)["daemon"].clone();
    let line = house.nagios(1);
    let text = house.sandbox.run(&["status"]).exits(0).text();
    assert_eq!(
        (&told["alive"], &told["state"]),
        (&false.into(), &"warning".into())
    );
    assert!(
        line.starts_with("BACKUPKIT WARNING - daemon: it was killed, and last seen "),
        "{line}"
    );
    assert!(text.contains("daemon: warning: it was killed"), "{text}");
    assert!(!text.contains("the daemon, process"), "{text}");
}
