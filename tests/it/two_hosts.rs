//! A campaign: two hosts at random work on one storage, killed and stopped at random, by clocks that differ. After each round
//! the storage has to hold what retention may never delete.
//!
//! `make test-two-hosts MINUTES=60` gives it its time; without, it takes seconds. It says the seed that it began with, and
//! `BACKUPKIT_CAMPAIGN_SEED` begins with the same: the same work and the same blows, as far as time allows.

use crate::support::cluster::Cluster;
use crate::support::entry::Entry;
use crate::support::numbers::Numbers;
use crate::support::postgres::{Database, postgres};
use crate::support::program::{Output, Running};
use crate::support::s3s::{ACCESS_KEY, BUCKET, SECRET_KEY, Server};
use crate::support::sandbox::Sandbox;
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const NAME: &str = "app";
/// So many rounds at least.
const ROUNDS: usize = 10;
/// Retention keeps so many.
const KEPT: usize = 3;
/// Seconds that a lease lasts, unless the campaign is to wait for real ones.
const LEASE: u64 = 10;
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

fn number(variable: &str, default: u64) -> u64 {
    let given = std::env::var(variable).ok();
    given.map_or(default, |text| text.parse().expect("a number"))
}

/// What a host does in a round.
#[derive(Debug, Clone, PartialEq)]
enum Work {
    Backup,
    Prune,
    Pin(String),
    Unpin(String),
    Verify(String),
    Cat(String),
    Restore(String),
}

/// What happens to it meanwhile.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Blow {
    None,
    Kill(u64),
    /// Stopped after so many milliseconds for longer than a lease lasts.
    Stop(u64),
}

impl Work {
    fn arguments(&self) -> Vec<&str> {
        match self {
            Work::Backup => vec!["backup", "--json"],
            Work::Prune => vec!["prune"],
            Work::Pin(id) => vec!["pin", id],
            Work::Unpin(id) => vec!["unpin", id],
            Work::Verify(id) => vec!["verify", "--level", "full", id],
            Work::Cat(id) => vec!["cat", id],
            Work::Restore(id) => vec!["restore", "--from", id, "--clean", "--yes"],
        }
    }

    /// The exit statuses that an undisturbed run may have beside a disturbed one.
    fn may_exit(&self, status: i32) -> bool {
        match self {
            // a newer backup by another clock stops retention, and a run that another took for dead fails
            Work::Backup => matches!(status, 0 | 11),
            Work::Prune => matches!(status, 0 | 11 | 15),
            Work::Pin(_) | Work::Unpin(_) => matches!(status, 0 | 10 | 11),
            Work::Verify(_) | Work::Cat(_) | Work::Restore(_) => matches!(status, 0 | 10),
        }
    }

    fn waits(&self) -> bool {
        matches!(
            self,
            Work::Backup | Work::Prune | Work::Pin(_) | Work::Unpin(_)
        )
    }
}

/// What is known of the storage from what runs have said.
#[derive(Default)]
struct Known {
    /// Stored, by the word of the run that did it.
    good: BTreeSet<String>,
    pinned: BTreeSet<String>,
    /// Pinned or not: the run that would tell was killed.
    unsure: BTreeSet<String>,
    /// Restored and compared.
    proven: BTreeSet<String>,
    runs: usize,
    blows: usize,
}

struct Campaign {
    what: &'static str,
    hosts: [Sandbox; 2],
    /// Looks at what is there, by the right time and with nothing of its own.
    observer: Sandbox,
    numbers: Numbers,
    known: Known,
    lease: u64,
}

impl Campaign {
    /// `storage` is the storage's keys in the configuration; the second host's clock is so much off.
    fn new(
        what: &'static str,
        database: &Database<'static>,
        storage: &str,
        clock: &str,
    ) -> Campaign {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("later");
        let seed = number("BACKUPKIT_CAMPAIGN_SEED", now.as_secs());
        let lease = number("BACKUPKIT_CAMPAIGN_LEASE", LEASE);
        eprintln!(
            "two hosts and {what}: BACKUPKIT_CAMPAIGN_SEED={seed}, the second one's clock is {clock} off"
        );
        let sandbox = || {
            let entry = Entry::of(database).named(NAME).storage("shared");
            let sandbox = Sandbox::new(18).with("BACKUPKIT_TEST_LEASE_SECONDS", &lease.to_string());
            sandbox.configure(&format!(
                "version: 1\nstorage:\n  - {{ name: shared, {storage} }}\ndatabases:\n{}",
                entry.retention(&format!("keep_last: {KEPT}")).to_yaml()
            ));
            sandbox
        };
        assert!(Path::new(FAKETIME).exists(), "run make test-parts");
        let second = sandbox()
            .with("LD_PRELOAD", FAKETIME)
            .with("FAKETIME", clock)
            .with("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        Campaign {
            what,
            hosts: [sandbox(), second],
            observer: sandbox(),
            numbers: Numbers(seed),
            known: Known::default(),
            lease,
        }
    }

    fn run(mut self) {
        let minutes = number("BACKUPKIT_CAMPAIGN_MINUTES", 0);
        let (began, limit) = (Instant::now(), Duration::from_secs(60 * minutes));
        let mut rounds = 0;
        while rounds < ROUNDS || began.elapsed() < limit {
            self.round();
            rounds += 1;
        }
        let Known {
            good, runs, blows, ..
        } = &self.known;
        eprintln!(
            "{}: {runs} runs, {blows} blows, {} backups",
            self.what,
            good.len()
        );
        assert!(!good.is_empty(), "nothing was done");
    }

    /// Both hosts do something at the same time; then all is looked at.
    fn round(&mut self) {
        let there: Vec<String> = self.listed().into_iter().map(|(id, _)| id).collect();
        let plans = [self.plan(&there), self.plan(&there)];
        let lease = self.lease;
        let hosts = &self.hosts;
        let outputs: Vec<Option<Output>> = thread::scope(|scope| {
            let started = plans.iter().zip(hosts).map(|((work, wait, blow), host)| {
                scope.spawn(move || {
                    let mut arguments = work.arguments();
                    if *wait && work.waits() {
                        arguments.extend(["--lock-wait", "5m"]);
                    }
                    strike(host.start(&arguments), *blow, lease)
                })
            });
            let started: Vec<_> = started.collect();
            let ended = started.into_iter().map(|run| run.join().expect("no panic"));
            ended.collect()
        });
        for ((work, _, blow), output) in plans.iter().zip(outputs) {
            self.note(work, *blow, output);
        }
        if let [(Work::Pin(one), ..), (Work::Unpin(other), ..)]
        | [(Work::Unpin(one), ..), (Work::Pin(other), ..)] = &plans
            && one == other
        {
            // at the same time, so either may have been the last
            self.known.unsure.insert(one.clone());
        }
        self.check();
    }

    fn plan(&mut self, there: &[String]) -> (Work, bool, Blow) {
        let numbers = &mut self.numbers;
        let one = match there.len() {
            0 => None,
            count => Some(there[numbers.below(count as u64) as usize].clone()),
        };
        let work = match (numbers.below(100), one) {
            (0..40, _) | (_, None) => Work::Backup,
            (40..60, _) => Work::Prune,
            (60..68, Some(id)) => Work::Pin(id),
            (68..80, Some(id)) => Work::Unpin(id),
            (80..86, Some(id)) => Work::Verify(id),
            (86..94, Some(id)) => Work::Cat(id),
            (_, Some(id)) => Work::Restore(id),
        };
        let after = numbers.below(1500);
        let blow = match numbers.below(100) {
            0..20 => Blow::Kill(after),
            20..26 => Blow::Stop(after),
            _ => Blow::None,
        };
        (work, numbers.below(2) == 0, blow)
    }

    fn note(&mut self, work: &Work, blow: Blow, output: Option<Output>) {
        let known = &mut self.known;
        known.runs += 1;
        known.blows += usize::from(blow != Blow::None);
        let status = output.as_ref().and_then(|output| output.status.code());
        let (Some(output), Some(status)) = (output, status) else {
            assert!(matches!(blow, Blow::Kill(_)), "{work:?} died of itself");
            if let Work::Pin(id) | Work::Unpin(id) = work {
                known.unsure.insert(id.clone());
            }
            return;
        };
        let excused = matches!(blow, Blow::Stop(_)) && status == 1;
        let of_the_other = output.stderr.contains("is over: this run was stopped")
            || output.stderr.contains("took this run for dead");
        assert!(
            work.may_exit(status) || excused || of_the_other,
            "{work:?} with {blow:?}: {status}\n{}\n{}",
            output.text(),
            output.stderr
        );
        match work {
            Work::Backup if status == 0 => {
                let text = output.text();
                let line = text.lines().next().expect("a line");
                let event: Value = serde_json::from_str(line).expect("JSON");
                let key = event["key"].as_str().expect("a key");
                let (id, _) = key.split_once(".dump").expect("an archive");
                known.good.insert(id.to_string());
            }
            Work::Pin(id) if status == 0 => {
                known.unsure.remove(id);
                known.pinned.insert(id.clone());
            }
            Work::Unpin(id) => {
                known.pinned.remove(id);
            }
            Work::Restore(id) if status == 0 => {
                known.proven.insert(id.clone());
            }
            _ => {}
        }
    }

    /// What is there, the newest first, and whether it is pinned.
    fn listed(&self) -> Vec<(String, bool)> {
        let listed = self
            .observer
            .run(&["list", "--all", "--json"])
            .exits(0)
            .text();
        let listed: Value = serde_json::from_str(&listed).expect("JSON");
        let backups = listed["backups"].as_array().expect("a list").iter();
        backups
            .map(|backup| {
                let id = backup["id"].as_str().expect("an id").to_string();
                (id, backup["pinned"] == true)
            })
            .collect()
    }

    fn check(&mut self) {
        let listed = self.listed();
        let there: BTreeSet<&String> = listed.iter().map(|(id, _)| id).collect();
        let Known {
            good,
            pinned,
            unsure,
            proven,
            ..
        } = &self.known;
        let what = self.what;
        for id in pinned.difference(unsure) {
            assert!(
                there.contains(id),
                "{what}: {id} was pinned and is gone: {listed:#?}"
            );
            // else what follows would be blamed on retention
            assert!(
                listed
                    .iter()
                    .any(|(listed, is_pinned)| listed == id && *is_pinned),
                "{what}: {id} was pinned, and its pin is gone: {listed:#?}"
            );
        }
        // of what runs said is stored, the newest is there, unless newer ones of runs that were killed took its place
        for (known, rule) in [(good, "newest good"), (proven, "newest proven")] {
            let Some(newest) = known.last() else { continue };
            let newer = listed.iter().filter(|(id, _)| id > newest).count();
            let enough = if rule == "newest good" { KEPT } else { 1 };
            assert!(
                there.contains(newest) || newer >= enough,
                "{what}: the {rule} one, {newest}, is gone: {listed:#?}"
            );
        }
        // what is there is whole
        let mut looked_at: Vec<&String> = listed.first().map(|(id, _)| id).into_iter().collect();
        looked_at.extend(proven.last().filter(|id| there.contains(id)));
        looked_at.extend(pinned.iter().find(|id| there.contains(id)));
        for id in looked_at {
            self.observer.run(&["cat", id]).exits(0);
        }
    }
}

/// Lets a run go on to its end, or to the blow that ends it; `None` where it was killed in the middle.
fn strike(run: Running, blow: Blow, lease: u64) -> Option<Output> {
    match blow {
        Blow::None => Some(run.wait()),
        // its group is killed then
        Blow::Kill(after) => run.wait_at_most(Duration::from_millis(after)).ok(),
        Blow::Stop(after) => {
            thread::sleep(Duration::from_millis(after));
            // it may have ended by now, and is waited for: its number is nobody else's
            let _ = rustix::process::kill_process(run.pid(), Signal::STOP);
            thread::sleep(Duration::from_secs(lease * 2 + 6));
            let _ = rustix::process::kill_process(run.pid(), Signal::CONT);
            Some(run.wait())
        }
    }
}

fn database(name: &str) -> Database<'static> {
    let database = postgres(18).create_database(name);
    database.sql("CREATE TABLE t AS SELECT generate_series(1, 2000) AS answer");
    database
}

#[test]
fn what_may_never_be_deleted_stays_on_a_bucket_of_s3s() {
    let server = Server::start();
    let database = database("campaign_s3s");
    let storage = format!(
        "type: s3, s3: {{ bucket: {BUCKET}, region: us-east-1, endpoint: 'http://{}', access_key: {ACCESS_KEY}, \
         secret_key: '{SECRET_KEY}' }}",
        server.address
    );
    // S3 refuses clocks that are a quarter of an hour off
    Campaign::new("s3s-fs", &database, &storage, "+10m").run();
}

#[test]
fn what_may_never_be_deleted_stays_on_a_bucket_of_garage() {
    let garage = Cluster::garage();
    let database = database("campaign_garage");
    let (access, secret) = &garage.writer;
    let storage = format!(
        "type: s3, s3: {{ bucket: {BUCKET}, region: {}, endpoint: 'http://{}', access_key: {access}, secret_key: '{secret}' }}",
        garage.region, garage.address
    );
    Campaign::new("garage", &database, &storage, "-10m").run();
}

#[test]
fn what_may_never_be_deleted_stays_in_a_directory_that_both_mount() {
    let place = tempfile::tempdir().expect("a directory");
    let database = database("campaign_directory");
    let path = place.path().join("backups");
    fs::create_dir(&path).expect("make a directory");
    let storage = format!("type: local, local: {{ path: '{}' }}", path.display());
    Campaign::new("a directory", &database, &storage, "-1h").run();
}
