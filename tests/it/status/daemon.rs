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
