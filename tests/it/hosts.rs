//! Two hosts and one storage: what one does while the other backs up or deletes. A host is a runtime directory of its own,
//! with a way of its own to the bucket.

use crate::support::cloud::{Cloud, PREFIX};
use crate::support::entry::Entry;
use crate::support::fast::{self, FastDaemon};
use crate::support::postgres::{Database, bin, postgres};
use crate::support::program::Output;
use crate::support::proxy::{Fault, Proxy};
use crate::support::receiver::Receiver;
use crate::support::sandbox::{Sandbox, Shape};
use crate::support::wait;
use chrono::TimeDelta;
use rustix::process::Signal;
use std::fs;

/// Long enough for what runs between two renewals, and short enough to be waited for.
const LEASE: &str = "20";

/// Two hosts that share a bucket.
struct Hosts {
    a: Cloud,
    b: Sandbox,
    /// The way of the second one.
    proxy: Proxy,
}

fn tiny(name: &str) -> Database<'static> {
    let database = postgres(18).create_database(name);
    database.sql("CREATE TABLE t AS SELECT 42 AS answer");
    database
}

fn entry(database: &Database<'_>) -> Entry {
    Entry::of(database).shape(Shape::new(true, true))
}

impl Hosts {
    /// With so many backups; the first host then keeps one.
    fn with_backups(database: &Database<'_>, count: usize) -> Hosts {
        let mut a = Cloud::new(entry(database));
        a.sandbox = a.sandbox.with("BACKUPKIT_TEST_LEASE_SECONDS", LEASE);
        for _ in 0..count {
            a.run(&["backup"]).exits(0);
        }
        let proxy = Proxy::before(&a.server.address);
        let b = Sandbox::new(18)
            .with("S3_ACCESS_KEY", crate::support::s3s::ACCESS_KEY)
            .with("S3_SECRET_KEY", crate::support::s3s::SECRET_KEY)
            .with("BACKUPKIT_TEST_LEASE_SECONDS", LEASE);
        let config = fs::read_to_string(a.sandbox.path("config.yaml")).expect("it was written");
        let config = config.replace(&a.proxy.address, &proxy.address);
        // the second one prunes only when it is told to, and finds nothing to delete
        let connection = "    connection:";
        let keep = format!("    retention: {{ keep_last: 9 }}\n{connection}");
        assert!(config.contains(connection), "{config}");
        b.configure(&config.replacen(connection, &keep, 1));
        a.configure(&a.keys(), entry(database).retention("keep_last: 1"));
        Hosts { a, b, proxy }
    }

    /// The ids of what is there, the oldest first.
    fn ids(&self) -> Vec<String> {
        let archives = self.a.archives();
        let ids = archives
            .iter()
            .map(|key| key.split_once(".dump").expect("an archive").0);
        ids.map(str::to_string).collect()
    }

    #[track_caller]
    fn on_b(&self, arguments: &[&str], status: i32) -> Output {
        self.b.run(arguments).exits(status)
    }
}

#[test]
fn a_backup_that_is_pinned_on_another_host_before_it_is_announced_stays() {
    let hosts = Hosts::with_backups(&tiny("pinned_elsewhere"), 3);
    let before = hosts.ids();
    hosts.a.proxy.once("PUT", "deleting.", Fault::Hold);
    let prune = hosts.a.sandbox.start(&["prune"]);
    hosts.a.proxy.wait_for("PUT", "deleting.");
    hosts.on_b(&["pin", &before[0]], 0);
    hosts.a.proxy.let_go();
    let printed = prune.wait().exits(0).text();
    assert_eq!(hosts.ids(), [before[0].clone(), before[2].clone()]);
    assert!(
        printed.contains(&format!("spared\t{}\t", before[0])),
        "{printed}"
    );
    assert!(
        printed.contains(&format!("delete\t{}\t", before[1])),
        "{printed}"
    );
}

#[test]
fn a_pin_on_another_host_waits_for_what_is_being_deleted_and_says_that_it_is_gone() {
    let hosts = Hosts::with_backups(&tiny("deleted_elsewhere"), 2);
    let before = hosts.ids();
    // both archives' deletions go by one request each, since there is one of each
    hosts.a.proxy.once("DELETE", ".dump.gz.enc?", Fault::Hold);
    let prune = hosts.a.sandbox.start(&["prune"]);
    hosts.a.proxy.wait_for("DELETE", ".dump.gz.enc?");
    let pin = hosts.b.start(&["pin", &before[0]]);
    hosts.proxy.wait_for("GET", "deleting.");
    hosts.a.proxy.let_go();
    prune.wait().exits(0);
    let told = pin.wait().exits(10).stderr;
    assert!(told.contains("while it was pinned"), "{told}");
    assert_eq!(hosts.ids(), before[1..]);
    assert!(!hosts.a.objects().iter().any(|key| key.ends_with(".pin")));
}

#[test]
fn what_is_being_restored_on_another_host_stays() {
    let database = tiny("read_elsewhere");
    let hosts = Hosts::with_backups(&database, 2);
    let before = hosts.ids();
    hosts.proxy.once("GET", ".dump.gz.enc?", Fault::Hold);
    let restore = hosts.b.start(&["cat", &before[0]]);
    hosts.proxy.wait_for("GET", ".dump.gz.enc?");
    let printed = hosts.a.run(&["prune"]).exits(0).text();
    assert!(
        printed.contains(&format!("spared\t{}\t", before[0])),
        "{printed}"
    );
    hosts.proxy.let_go();
    assert!(!restore.wait().exits(0).stdout.is_empty());
    hosts.a.run(&["prune"]).exits(0);
    assert_eq!(hosts.ids(), before[1..]);
    assert!(
        !hosts
            .a
            .objects()
            .iter()
            .any(|key| key.contains(".reading-"))
    );
}

#[test]
fn a_prune_that_was_stopped_for_longer_than_its_lease_deletes_nothing_more() {
    let hosts = Hosts::with_backups(&tiny("stopped"), 3);
    let before = hosts.ids();
    hosts.a.proxy.once("PUT", "deleting.", Fault::Hold);
    let prune = hosts.a.sandbox.start(&["prune"]);
    hosts.a.proxy.wait_for("PUT", "deleting.");
    prune.signal(Signal::STOP);
    hosts.a.proxy.let_go();
    let refused = hosts.on_b(&["backup"], 11).stderr;
    assert!(
        refused.contains("is pruning this database now"),
        "{refused}"
    );
    let other = hosts.on_b(&["prune", "--lock-wait", "2m"], 0).text();
    assert!(!other.contains("delete\t"), "{other}");
    prune.signal(Signal::CONT);
    let told = prune.wait().exits(1).stderr;
    assert!(told.contains("is over: this run was stopped"), "{told}");
    assert_eq!(hosts.a.proxy.count("POST", "delete"), 0);
    assert_eq!(hosts.ids(), before);
    // and the next one does it
    hosts.a.run(&["prune"]).exits(0);
    assert_eq!(hosts.ids().len(), 1);
}

#[test]
fn a_backup_that_was_killed_is_followed_on_another_host_when_its_lease_is_over() {
    let hosts = Hosts::with_backups(&tiny("killed"), 0);
    hosts.a.proxy.once("PUT", ".run?", Fault::Hold);
    let backup = hosts.a.sandbox.start(&["backup"]);
    hosts.a.proxy.wait_for("PUT", ".run?");
    backup.signal(Signal::KILL);
    backup.wait();
    let refused = hosts.on_b(&["backup"], 11).stderr;
    assert!(
        refused.contains("is backing this database up now"),
        "{refused}"
    );
    assert!(refused.contains("within 1 min"), "{refused}");
    hosts.on_b(&["backup", "--lock-wait", "2m"], 0);
    assert_eq!(hosts.ids().len(), 1);
    // on its own machine nobody waits: the lock tells that it is dead
    hosts.proxy.once("PUT", ".run?", Fault::Hold);
    let backup = hosts.b.start(&["backup"]);
    wait::until("it has its lease", || {
        (hosts.proxy.count("PUT", ".run?") == 2).then_some(())
    });
    backup.signal(Signal::KILL);
    backup.wait();
    hosts.on_b(&["backup"], 0);
    assert_eq!(hosts.ids().len(), 2);
}

#[test]
fn a_backup_that_was_taken_for_dead_between_its_archive_and_its_manifest_does_not_pass_for_good() {
    let hosts = Hosts::with_backups(&tiny("taken_for_dead"), 0);
    hosts.a.proxy.once("PUT", "Z.json?", Fault::Hold);
    let backup = hosts.a.sandbox.start(&["backup"]);
    hosts.a.proxy.wait_for("PUT", "Z.json?");
    backup.signal(Signal::STOP);
    hosts.on_b(&["backup", "--lock-wait", "2m"], 0);
    let left = hosts.a.objects();
    assert_eq!(left.len(), 3, "the other run's is swept: {left:?}");
    hosts.a.proxy.let_go();
    backup.signal(Signal::CONT);
    let told = backup.wait().exits(1).stderr;
    assert!(told.contains("took this run for dead"), "{told}");
    assert_eq!(hosts.a.objects(), left);
    hosts.on_b(&["cat", "app/latest"], 0);
}

#[test]
fn without_conditional_writes_what_goes_is_marked_first_and_both_are_told() {
    let hosts = Hosts::with_backups(&tiny("two_steps"), 2);
    let before = hosts.ids();
    let told = hosts.a.run(&["test"]);
    assert!(
        told.text().contains("keeps conditional writes"),
        "{}",
        told.text()
    );
    hosts.a.proxy.ignore_conditions();
    let told = hosts.a.run(&["test"]);
    assert!(
        told.text().contains("deletes in two steps"),
        "{}",
        told.text()
    );
    for _ in 0..2 {
        let pruned = hosts.a.run(&["prune"]).exits(0);
        let line = format!("marked\t{}\t", before[0]);
        assert!(pruned.text().contains(&line), "{}", pruned.text());
        assert!(
            pruned.stderr.contains("1 backup marked on s3main"),
            "{}",
            pruned.stderr
        );
        assert_eq!(hosts.ids(), before);
    }
    let shown = hosts.a.run(&["prune", "--explain"]).exits(0).text();
    assert!(shown.contains("marked, goes from 20"), "{shown}");
    // on a storage that keeps them, it goes at once, and so does the mark
    let config = fs::read_to_string(hosts.a.sandbox.path("config.yaml")).expect("it is there");
    hosts
        .b
        .configure(&config.replace(&hosts.a.proxy.address, &hosts.proxy.address));
    hosts.on_b(&["prune"], 0);
    assert_eq!(hosts.ids(), before[1..]);
    let marks = fs::read_dir(hosts.a.server.file(PREFIX).join("app")).expect("the directory");
    let mut names = marks.map(|entry| entry.expect("an entry").file_name());
    assert!(!names.any(|name| name.to_string_lossy().starts_with("doomed.")));
}

#[test]
fn a_lease_costs_a_backup_ten_requests_and_a_listing() {
    let mut hosts = Hosts::with_backups(&tiny("requests"), 1);
    // none is renewed meanwhile
    hosts.b = hosts.b.with("BACKUPKIT_TEST_LEASE_SECONDS", "300");
    let seen = |what: &str| {
        let seen = hosts.proxy.seen();
        seen.iter().filter(|line| line.contains(what)).count()
    };
    hosts.on_b(&["backup"], 0);
    assert_eq!(seen("/lease."), 10, "{:#?}", hosts.proxy.seen());
    assert_eq!(seen("/deleting."), 0);
}

#[test]
fn two_daemons_of_one_configuration_make_each_run_once() {
    let database = tiny("two_daemons");
    let [a, b] = [Sandbox::new(18), Sandbox::new(18)];
    let top = format!("bin_dir: '{}'", bin(18).display());
    for sandbox in [&a, &b] {
        let entry = Entry::of(&database)
            .named("app")
            .backup("schedule: '5 0 * * *'")
            .verify("schedule: '40 0 * * *', level: checksum");
        sandbox.configure_in(&a.path("storage"), &top, &[entry]);
    }
    // the second one's clock is two minutes behind
    let daemons = [
        FastDaemon::start(&a),
        FastDaemon::start_later(&b, TimeDelta::minutes(-2)),
    ];
    let began = [&a, &b].map(|sandbox| wait::until("it runs", || fast::life(sandbox)).0.ticked_at);
    for (sandbox, began) in [&a, &b].into_iter().zip(began) {
        wait::until("both runs are over", || {
            let (life, _) = fast::life(sandbox)?;
            let minutes = (life.ticked_at - began).num_minutes();
            (minutes > 120 && life.running.is_empty()).then_some(())
        });
    }
    for daemon in daemons {
        daemon.stop();
    }
    let files = a.files("storage/app");
    let count = |suffix: &str| files.iter().filter(|file| file.ends_with(suffix)).count();
    assert_eq!(
        (count(".dump"), count(".verified.json")),
        (1, 1),
        "{files:?}"
    );
    assert!(!files.iter().any(|file| file == "last-failure.json"));
}

#[test]
fn a_check_that_another_run_holds_up_is_made_once_when_that_has_ended_and_tells_nobody_meanwhile() {
    let database = tiny("held_up");
    let [a, b, by_hand] = [Sandbox::new(18), Sandbox::new(18), Sandbox::new(18)];
    let told = Receiver::good();
    let bin_dir = format!("bin_dir: '{}'", bin(18).display());
    let notify = format!(
        "{bin_dir}\nnotifications:\n  - {{ type: webhook, on: [success, failure], config: {{ url: '{}' }} }}",
        told.url
    );
    for (sandbox, top) in [(&a, &notify), (&b, &notify), (&by_hand, &bin_dir)] {
        let entry = Entry::of(&database).named("app");
        let entry = entry.verify("schedule: '5 0 * * *', level: checksum");
        sandbox.configure_in(&a.path("storage"), top, &[entry]);
    }
    by_hand.run(&["backup"]).exits(0);
    let held = database.hold("t");
    let backup = by_hand.start(&["backup"]);
    wait::until("it has begun", || {
        let files = a.files("storage/app");
        files
            .iter()
            .any(|file| file.ends_with(".run"))
            .then_some(())
    });

    let daemons = [(&a, FastDaemon::start(&a)), (&b, FastDaemon::start(&b))];
    for (sandbox, _) in &daemons {
        wait::until("its check begins", || {
            (fast::life(sandbox)?.0.running == ["app"]).then_some(())
        });
    }
    for (sandbox, daemon) in &daemons {
        wait::until("it lets go of the check", || {
            fast::life(sandbox)?.0.running.is_empty().then_some(())
        });
        daemon.clock.stop();
    }
    drop(held);
    backup.wait().exits(0);
    let stopped = daemons.each_ref().map(|(sandbox, daemon)| {
        let life = fast::life(sandbox).expect("it lives").0;
        daemon.clock.go_on();
        life.ticked_at
    });
    for ((sandbox, _), stopped) in daemons.iter().zip(stopped) {
        wait::until("it has been tried again", || {
            let (life, _) = fast::life(sandbox)?;
            let minutes = (life.ticked_at - stopped).num_minutes();
            (minutes > 60 && life.running.is_empty()).then_some(())
        });
    }
    for (_, daemon) in daemons {
        daemon.stop();
    }
    let events: Vec<_> = told.rest().iter().map(|event| event.json()).collect();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(
        (&events[0]["kind"], &events[0]["status"]),
        (&"verify".into(), &"success".into())
    );
}
