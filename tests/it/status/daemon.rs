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
    said["awake_ms"] = (said["awake_ms"].as_i64().expect("a number") - 600_000).into();
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

#[test]
fn a_daemon_that_is_stopped_or_waits_for_ever_hangs_and_is_critical_at_work_or_not() {
    let house = house();
    let (run, told) = start(&house);
    assert_eq!(told["hangs"], false);
    run.signal(Signal::STOP);
    let mut began = None;
    for (running, said) in [
        (vec![], " and hangs"),
        (vec!["app"], " and hangs, at work on app"),
    ] {
        // what it would say of itself, had it been stopped an hour ago
        for name in house.sandbox.files("run") {
            let path = house.sandbox.path("run").join(name);
            let text = fs::read_to_string(&path).expect("a file");
            let Ok(mut life) = serde_json::from_str::<Value>(&text) else {
                continue;
            };
            if life.get("ticked_at").is_some() {
                let awake = life["awake_ms"].as_i64().expect("a number");
                let began = *began.get_or_insert(awake);
                life["awake_ms"] = (began - 3_600_000).into();
                life["running"] = running.clone().into();
                let text = format!("{life:<0$}", text.len());
                fs::write(&path, text).expect("write it in place");
            }
        }
        let told = house.json(1)["daemon"].clone();
        assert_eq!(
            (&told["alive"], &told["hangs"], &told["state"]),
            (&true.into(), &true.into(), &"critical".into())
        );
        let line = house.nagios(2);
        assert!(
            line.starts_with(
                "BACKUPKIT CRITICAL - daemon: it hangs: it has not looked at the clock for 1h"
            ),
            "{line}"
        );
        let text = house.sandbox.run(&["status"]).exits(1).text();
        assert!(text.contains("daemon: critical: it hangs"), "{text}");
        assert!(text.trim_end().ends_with(said), "{text}");
    }
    run.signal(Signal::CONT);
    wait::until("it looks at the clock again", || {
        run.signal(Signal::HUP);
        let output = house.sandbox.run(&["status"]);
        output.status.success().then_some(())
    });
}

#[test]
fn what_cannot_be_written_down_beside_the_backups_is_told_on_this_machine_until_something_ends_well()
 {
    let mut house = House::new("one", "");
    house.plant("one", TimeDelta::hours(1), 10);
    house.disk.make_read_only();
    let said = house.sandbox.run(&["backup"]).exits(1).stderr;
    assert!(said.contains("Read-only file system"), "{said}");
    assert!(
        said.contains("hint: a service may write only where its unit lets it"),
        "{said}"
    );
    let line = house.nagios(1);
    assert!(
        line.starts_with("BACKUPKIT WARNING - app: the last run failed "),
        "{line}"
    );
    let document = house.json(0);
    let failure = &document["databases"][0]["last_failure"];
    assert_eq!(failure["since_last_success"], true);
    assert!(
        failure["hint"]
            .to_string()
            .contains("backupkit test says which lines"),
        "{failure}"
    );
    assert!(
        house
            .sandbox
            .files("run")
            .iter()
            .any(|name| name.starts_with("failed-"))
    );
    house.disk.make_writable();
    house.plant("one", TimeDelta::zero(), 10);
    house.nagios(0);
}

#[test]
fn a_check_that_could_not_be_made_is_told_until_one_is() {
    let server = postgres(18);
    let database = server.create_database("unchecked");
    let sandbox = Sandbox::new(18);
    sandbox.configure_as(&[("app", &database)], Shape::new(true, true));
    sandbox.run(&["backup"]).exits(0);
    let nagios = |status: i32| sandbox.run(&["status", "--nagios"]).exits(status).text();
    nagios(0);
    let mut check = sandbox.command(&["verify", "--level", "restore"]);
    check.env("BACKUPKIT_ENC_PASSWORD", "another");
    crate::support::program::run(check, "").exits(12);
    let line = nagios(1);
    assert!(
        line.starts_with("BACKUPKIT WARNING - app: the last check could not be made "),
        "{line}"
    );
    // one that looks less deep says nothing of it
    sandbox.run(&["verify", "--level", "checksum"]).exits(0);
    nagios(1);
    sandbox.run(&["verify", "--level", "restore"]).exits(0);
    nagios(0);
    assert!(
        !sandbox
            .files("run")
            .iter()
            .any(|name| name.starts_with("failed-"))
    );
}
