//! What takes minutes or hours of the daemon, by a clock that runs a thousand times as fast.

use super::*;
use crate::support::fast::{self, FastDaemon};
use crate::support::postgres::bin;
use crate::support::receiver::{Answer, Receiver};
use chrono::TimeDelta;
use std::os::unix::fs::symlink;

/// What stands before the databases of a configuration whose results of the kinds `on` this receiver is told.
fn tells(receiver: &Receiver, on: &str) -> String {
    format!(
        "bin_dir: '{}'\nnotifications:\n  - {{ type: webhook, on: {on}, config: {{ url: '{}' }} }}",
        bin(18).display(),
        receiver.url
    )
}

#[test]
fn a_server_that_returns_is_backed_up_by_a_repetition_and_both_are_told_once() {
    let database = tiny();
    let sandbox = Sandbox::new(18);
    let socket = sandbox.path("socket");
    fs::create_dir(&socket).expect("make a directory");
    let connection = format!(
        "host: '{}', port: 5432, database: {}, user: postgres",
        socket.display(),
        database.name
    );
    let failures = Receiver::good();
    // the fast clock begins at midnight
    let entry = Entry::new(NAME, connection).backup("schedule: '1 0 * * *'");
    let top = tells(&failures, "failure");
    sandbox.configure_with(&top, &[entry]);
    let daemon = FastDaemon::start(&sandbox);
    let life = || fast::life(&sandbox);
    let since = |what: &str, running: bool| {
        wait::until(what, || {
            let (life, _) = life()?;
            (life.running.is_empty() != running).then_some(life.ticked_at)
        })
    };
    let began = since("the run begins", true);
    // the first repetition fails as well
    let failure = failures.request().json();
    wait::until("the first repetition is over", || {
        let (life, _) = life()?;
        let minutes = (life.ticked_at - began).num_minutes();
        (minutes >= 6 && life.running.is_empty()).then_some(())
    });
    daemon.clock.stop();
    let server = database.server;
    let real = server.directory.join(format!(".s.PGSQL.{}", server.port));
    symlink(real, socket.join(".s.PGSQL.5432")).expect("link the socket");
    daemon.clock.go_on();
    wait_for_archives(&sandbox, NAME, 1);
    since("the repetition has ended", false);
    let (life, _) = life().expect("it is alive");
    let hours = (life.ticked_at - began).num_hours();
    assert!(hours < 23, "that was the next night: {hours}");
    daemon.stop();
    assert_eq!(archives(&sandbox, NAME), 1);
    let rest = failures.rest();
    let events: Vec<_> = [failure]
        .into_iter()
        .chain(rest.iter().map(|request| request.json()))
        .collect();
    let told =
        |event: &serde_json::Value| (event["status"].to_string(), event["recovered"] == true);
    assert_eq!(
        events.iter().map(told).collect::<Vec<_>>(),
        [
            ("\"failure\"".to_string(), false),
            ("\"success\"".to_string(), true)
        ]
    );
}

#[test]
fn as_many_databases_are_worked_on_as_may_be_and_the_next_follows() {
    let databases = [tiny(), tiny(), tiny()];
    let sandbox = Sandbox::new(18);
    let entries: Vec<Entry> = databases
        .iter()
        .zip(["a", "b", "c"])
        .map(|(database, name)| {
            let entry = Entry::of(database).named(name);
            entry.backup("schedule: '1 0 * * *'")
        })
        .collect();
    let top = format!("max_parallel: 2\nbin_dir: '{}'", bin(18).display());
    sandbox.configure_with(&top, &entries);
    let held = databases.each_ref().map(|database| database.hold("t"));
    let daemon = FastDaemon::start(&sandbox);
    let running = |expected: &[&str]| {
        wait::until(&format!("these run: {expected:?}"), || {
            let (life, _) = fast::life(&sandbox)?;
            (life.running == expected).then_some(())
        });
    };
    running(&["a", "b"]);
    daemon.clock.stop();
    // each held database lets go when its turn is over
    let [a, b, c] = held;
    drop(a);
    running(&["b", "c"]);
    drop(b);
    running(&["c"]);
    drop(c);
    running(&[]);
    for name in ["a", "b", "c"] {
        assert_eq!(archives(&sandbox, name), 1);
    }
    daemon.stop();
}

#[test]
fn a_backup_is_checked_when_that_is_due_and_a_bad_one_is_told_once() {
    let database = tiny();
    let sandbox = Sandbox::new(18);
    let told = Receiver::good();
    let entry = Entry::of(&database)
        .named(NAME)
        .backup("schedule: '1 0 1 1 *'")
        .verify("schedule: '*/10 * * * *', level: full");
    let top = tells(&told, "[success, failure]");
    sandbox.configure_with(&top, &[entry]);
    sandbox.run(&["backup"]).exits(0);
    assert_eq!(told.request().json()["kind"], "backup");
    let daemon = FastDaemon::start(&sandbox);
    let event = told.request().json();
    assert_eq!(
        (&event["kind"], &event["status"]),
        (&"verify".into(), &"success".into())
    );
    let ends_in = |ending: &str| {
        let entries = fs::read_dir(sandbox.path("storage").join(NAME)).expect("the directory");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let mut found = paths.filter(|path| path.to_string_lossy().ends_with(ending));
        found.next().unwrap_or_else(|| panic!("no {ending}"))
    };
    let archive = fs::File::options().write(true).open(ends_in(".dump"));
    archive.expect("the archive").set_len(100).expect("cut");
    let failure = loop {
        let event = told.request().json();
        if event["status"] == "failure" {
            break event;
        }
    };
    assert_eq!(
        (&failure["kind"], &failure["error_kind"]),
        (&"verify".into(), &"damaged".into())
    );
    let count = || {
        let entries = fs::read_dir(sandbox.path("storage").join(NAME)).expect("the directory");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let records = paths.filter(|path| path.to_string_lossy().ends_with(".verified.json"));
        let bad = |path: &std::path::PathBuf| {
            fs::read_to_string(path).is_ok_and(|text| text.contains("\"bad\""))
        };
        records.filter(bad).count()
    };
    wait::until("it is found bad again", || (count() >= 3).then_some(()));
    daemon.stop();
    assert_eq!(told.rest().len(), 0);
}

#[test]
fn a_failure_that_the_receiver_missed_is_told_by_the_next_try() {
    let told = Receiver::start(&[Answer::status(400), Answer::status(200)]);
    let sandbox = Sandbox::new(18);
    let closed = "host: 127.0.0.1, port: 1, database: d, user: u";
    let entry = Entry::new(NAME, closed.into()).backup("schedule: '1 0 * * *'");
    let top = tells(&told, "failure");
    sandbox.configure_with(&top, &[entry]);
    let daemon = FastDaemon::start(&sandbox);
    told.request();
    let life = || fast::life(&sandbox);
    let since = life().expect("it is alive").0.ticked_at;
    // repetitions come after 5, 15 and 45 minutes: the first of them tells, and the others need not
    wait::until("the repetitions are over", || {
        let (life, _) = life()?;
        ((life.ticked_at - since).num_minutes() > 75 && life.running.is_empty()).then_some(())
    });
    daemon.stop();
    assert_eq!(told.rest().len(), 1);
}

#[test]
fn what_a_stop_keeps_from_being_made_is_told_and_made_by_the_next_start() {
    let databases = [tiny(), tiny()];
    let sandbox = Sandbox::new(18);
    let told = Receiver::good();
    let entries: Vec<Entry> = databases
        .iter()
        .zip(["a", "b"])
        .map(|(database, name)| {
            let entry = Entry::of(database).named(name);
            entry.backup("schedule: '1 0 * * *'")
        })
        .collect();
    let top = tells(&told, "failure");
    sandbox.configure_with(&top, &entries);
    let held = databases[0].hold("t");
    let daemon = FastDaemon::start(&sandbox);
    wait::until("a runs, and b waits for its turn", || {
        (fast::life(&sandbox)?.0.running == ["a"]).then_some(())
    });
    daemon.clock.stop();
    daemon.stop();
    drop(held);

    let two = || {
        let mut events = [told.request().json(), told.request().json()];
        events.sort_by_key(|event| event["db"].to_string());
        events
    };
    let [a, b] = two();
    assert_eq!((&a["db"], &b["db"]), (&"a".into(), &"b".into()));
    assert_eq!(
        (&a["status"], &b["status"]),
        (&"failure".into(), &"failure".into())
    );
    let said = b["error"].as_str().expect("a reason");
    assert!(
        said.contains("was due and has not begun: stopped by SIGTERM"),
        "{said}"
    );
    let record = fs::read_to_string(sandbox.path("storage/b/last-failure.json"));
    assert!(record.expect("a record").contains("has not begun"));
    assert_eq!((archives(&sandbox, "a"), archives(&sandbox, "b")), (0, 0));

    // the next minute of the schedule is a day away
    let daemon = FastDaemon::start_later(&sandbox, TimeDelta::hours(2));
    daemon.clock.stop();
    let [a, b] = two();
    for event in [a, b] {
        assert_eq!(
            (&event["status"], &event["recovered"]),
            (&"success".into(), &true.into()),
            "{event}"
        );
    }
    daemon.stop();
    assert_eq!((archives(&sandbox, "a"), archives(&sandbox, "b")), (1, 1));
    let kept = sandbox.files("run");
    assert!(
        kept.len() == 1 && kept[0].starts_with("owner-"),
        "nothing to remember but who it is: {kept:?}"
    );

    // and what was made is not made again
    let daemon = FastDaemon::start_later(&sandbox, TimeDelta::hours(4));
    wait::until("it runs", || fast::life(&sandbox));
    daemon.stop();
    assert_eq!(told.rest().len(), 0);
}

#[test]
fn a_run_that_a_stop_cut_short_is_made_once_by_a_daemon_that_remembers_nothing() {
    let database = tiny();
    let sandbox = Sandbox::new(18);
    let told = Receiver::good();
    let top = tells(&told, "[failure, success]");
    let entry = Entry::of(&database).named(NAME);
    sandbox.configure_with(&top, &[entry.backup("schedule: '1 0 * * *'")]);
    // a container that is made again has none of these files
    let forget = || {
        for name in sandbox.files("run") {
            fs::remove_file(sandbox.path("run").join(name)).expect("it is there");
        }
    };
    let held = database.hold("t");
    let daemon = FastDaemon::start(&sandbox);
    wait::until("it runs", || {
        (fast::life(&sandbox)?.0.running == [NAME]).then_some(())
    });
    daemon.clock.stop();
    daemon.stop();
    drop(held);
    assert_eq!(told.request().json()["status"], "failure");
    assert_eq!(archives(&sandbox, NAME), 0);

    forget();
    let daemon = FastDaemon::start_later(&sandbox, TimeDelta::hours(2));
    daemon.clock.stop();
    let event = told.request().json();
    assert_eq!(
        (&event["status"], &event["recovered"]),
        (&"success".into(), &true.into()),
        "{event}"
    );
    daemon.stop();
    assert_eq!(archives(&sandbox, NAME), 1);

    forget();
    let daemon = FastDaemon::start_later(&sandbox, TimeDelta::hours(4));
    wait::until("it runs", || fast::life(&sandbox));
    daemon.stop();
    assert_eq!((told.rest().len(), archives(&sandbox, NAME)), (0, 1));
}

#[test]
fn the_end_of_a_failure_that_a_run_by_hand_told_of_is_not_told_again() {
    let database = tiny();
    let sandbox = Sandbox::new(18);
    let told = Receiver::good();
    let top = tells(&told, "[failure, success]");
    let entry = || {
        let entry = Entry::of(&database).named(NAME);
        entry.backup("schedule: '1 0 * * *'")
    };
    let away = "host: 127.0.0.1, port: 1, database: d, user: u";
    sandbox.configure_with(&top, &[entry().connection(away)]);
    // records are of the real time, which no run comes after
    let daemon = FastDaemon::start_later(&sandbox, TimeDelta::days(-800));
    assert_eq!(told.request().json()["status"], "failure");
    daemon.clock.stop();
    wait::until("the run is over", || {
        fast::life(&sandbox)?.0.running.is_empty().then_some(())
    });
    daemon.stop();
    told.rest();
    sandbox.configure_with(&top, &[entry()]);
    sandbox.run(&["backup"]).exits(0);
    let by_hand = told.rest().pop().expect("the end of it").json();
    assert_eq!(
        (&by_hand["status"], &by_hand["recovered"]),
        (&"success".into(), &true.into())
    );
    let daemon = FastDaemon::start_later(&sandbox, TimeDelta::days(-799));
    let event = told.request().json();
    assert_eq!(
        (&event["status"], &event["recovered"]),
        (&"success".into(), &false.into()),
        "{event}"
    );
    daemon.stop();
}

#[test]
fn the_end_of_a_failure_is_told_although_the_daemon_was_started_anew_meanwhile() {
    let database = tiny();
    let sandbox = Sandbox::new(18);
    let told = Receiver::good();
    let top = tells(&told, "failure");
    let entry = Entry::of(&database).named(NAME);
    sandbox.configure_with(&top, &[entry.backup("schedule: '1 0 * * *'")]);
    fs::write(sandbox.path("storage"), "no directory").expect("write a file");
    let daemon = FastDaemon::start(&sandbox);
    assert_eq!(told.request().json()["status"], "failure");
    daemon.clock.stop();
    wait::until("the run is over", || {
        fast::life(&sandbox)?.0.running.is_empty().then_some(())
    });
    daemon.stop();
    fs::remove_file(sandbox.path("storage")).expect("it is there");
    // the day after
    let daemon = FastDaemon::start_later(&sandbox, TimeDelta::days(1));
    let event = told.request().json();
    assert_eq!(
        (&event["status"], &event["recovered"]),
        (&"success".into(), &true.into()),
        "{event}"
    );
    daemon.stop();
}
