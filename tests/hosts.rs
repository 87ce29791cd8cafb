//! Several hosts and one storage: whatever one does at whatever step of another's retention, nothing is lost that someone
//! holds on to. The storage is one in memory, seen by each host with locks of its own.

#[path = "support/shelf.rs"]
mod shelf;

use backupkit::cancel::Cancel;
use backupkit::error::{Kind, Result};
use backupkit::operation::pin;
use backupkit::operation::prune::{self, PruneJob, Pruned, Spared};
use backupkit::repository::Expected;
use backupkit::repository::copies::Copies;
use backupkit::repository::lease::{Lease, LeaseRequest};
use backupkit::repository::lease_record::{LeaseRecord, LeasedWork};
use backupkit::repository::located::Located;
use backupkit::repository::names::{BackupId, Part};
use backupkit::repository::pins::Pinning;
use backupkit::repository::places::{Place, Places};
use backupkit::repository::reading_mark::ReadingMark;
use backupkit::repository::retention::Policy;
use backupkit::repository::run_mark::RunMark;
use backupkit::repository::sidecars::listing_of;
use backupkit::storage::Storage;
use chrono::{DateTime, TimeDelta, Utc};
use shelf::{Shelf, id};
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn day(number: i64) -> DateTime<Utc> {
    let start: DateTime<Utc> = "2026-11-01T02:00:00.123456789Z".parse().unwrap();
    start + TimeDelta::days(number)
}

fn cancel() -> Cancel {
    Cancel::new().unwrap()
}

fn places(shelf: &Shelf) -> Places {
    Places::new(vec![Place {
        name: shelf.name().to_string(),
        storage: Ok(Arc::new(shelf.clone())),
    }])
}

/// Keeps the newest two.
fn prune(shelf: &Shelf) -> Result<Pruned> {
    let policy = Policy {
        keep_last: 2,
        ..Policy::default()
    };
    let job = PruneJob {
        database: "app",
        storage: shelf,
        expected: Expected::default(),
        policy: &policy,
        dry_run: false,
        accept_new_source: false,
        accept_clock: false,
        lock_wait: Duration::ZERO,
        keys: None,
        stored: None,
        held: None,
    };
    prune::run(&job, &places(shelf), day(9), &cancel())
}

fn pin(shelf: &Shelf, id: &BackupId) -> Result<usize> {
    let wait = Duration::ZERO;
    let pinned = pin::run(id, Pinning::Pinned, &places(shelf), wait, day(9), &cancel());
    Ok(pinned?.len())
}

fn read(shelf: &Shelf, id: &BackupId) -> Result<Option<ReadingMark>> {
    let listing = listing_of(shelf, Some("app"), &cancel())?;
    let found = listing.entries().into_iter().find(|entry| entry.id == *id);
    let Some(entry) = found else {
        return Ok(None);
    };
    let copy = Located::Stored {
        storage: Arc::new(shelf.clone()),
        entry,
    };
    ReadingMark::leave(&copy, &cancel())
}

fn archive_is_there(shelf: &Shelf, id: &BackupId) -> bool {
    shelf.keys().contains(&format!("{id}.dump.gz"))
}

/// Four backups, of which the two oldest go.
fn stocked(shelf: &Shelf) -> [BackupId; 4] {
    [0, 1, 2, 3].map(|number| shelf.lay_backup(day(number), false, None))
}

/// Runs `other` on another host before the `step`th step of a retention on this one, until it is done or waits for what the
/// retention announced. `None` where there is no such step.
fn meet<T: Send + 'static>(
    shelf: &Shelf,
    step: usize,
    other: impl FnOnce(Shelf) -> T + Send + 'static,
) -> (Result<Pruned>, Option<T>) {
    let there = shelf.of_another_host();
    let (sender, waits_or_ends) = channel();
    let waits = Mutex::new(sender.clone());
    there.before(move |step, key| {
        if step == "read" && key.contains("deleting") {
            let _ = waits.lock().unwrap().send(());
        }
    });
    let other = Mutex::new(Some(move || {
        let done = other(there);
        let _ = sender.send(());
        done
    }));
    let running = Arc::new(Mutex::new(None));
    let (started, waits_or_ends) = (Arc::clone(&running), Mutex::new(waits_or_ends));
    let steps = AtomicUsize::new(0);
    shelf.before(move |_, _| {
        if steps.fetch_add(1, Ordering::SeqCst) == step
            && let Some(other) = other.lock().unwrap().take()
        {
            *started.lock().unwrap() = Some(std::thread::spawn(other));
            waits_or_ends.lock().unwrap().recv().unwrap();
        }
    });
    let pruned = prune(shelf);
    shelf.before(|_, _| {});
    let running = running.lock().unwrap().take();
    (pruned, running.map(|thread| thread.join().unwrap()))
}

#[test]
fn a_pin_at_any_step_of_a_retention_keeps_its_backup_or_fails() {
    let (mut kept, mut failed) = (0, 0);
    for step in 0.. {
        let shelf = Shelf::new();
        let ids = stocked(&shelf);
        let wanted = ids[1].clone();
        let (pruned, pinned) = meet(&shelf, step, move |there| pin(&there, &wanted));
        let Some(pinned) = pinned else { break };
        pruned.unwrap();
        assert!(archive_is_there(&shelf, &ids[2]) && archive_is_there(&shelf, &ids[3]));
        match pinned {
            Ok(copies) => {
                assert_eq!(copies, 1);
                assert!(archive_is_there(&shelf, &ids[1]), "pinned at step {step}");
                assert!(shelf.keys().contains(&ids[1].manifest_key()));
                kept += 1;
            }
            Err(error) => {
                assert_eq!(error.kind(), Kind::NotFound, "{error}");
                assert!(!archive_is_there(&shelf, &ids[1]));
                assert!(!shelf.keys().contains(&ids[1].key(Part::Pin)));
                failed += 1;
            }
        }
        // what is left is right again the next time
        prune(&shelf).unwrap();
        assert!(
            archive_is_there(&shelf, &ids[1]) || !shelf.keys().contains(&ids[1].key(Part::Pin))
        );
    }
    assert!(kept > 5 && failed > 2, "{kept} kept, {failed} failed");
}

#[test]
fn a_reader_at_any_step_of_a_retention_reads_to_its_end_or_is_told() {
    let (mut kept, mut failed) = (0, 0);
    for step in 0.. {
        let shelf = Shelf::new();
        let ids = stocked(&shelf);
        let wanted = ids[1].clone();
        let (pruned, mark) = meet(&shelf, step, move |there| read(&there, &wanted));
        let Some(mark) = mark else { break };
        let pruned = pruned.unwrap();
        match mark {
            Ok(Some(mark)) => {
                assert!(archive_is_there(&shelf, &ids[1]), "read from step {step}");
                let spared: Vec<_> = pruned
                    .spared()
                    .map(|(backup, why)| (&backup.id, why))
                    .collect();
                if !spared.is_empty() {
                    assert_eq!(spared, [(&ids[1], Spared::BeingRead)]);
                }
                prune(&shelf).unwrap();
                assert!(archive_is_there(&shelf, &ids[1]));
                drop(mark);
                prune(&shelf).unwrap();
                assert!(!archive_is_there(&shelf, &ids[1]));
                kept += 1;
            }
            Ok(None) => failed += 1,
            Err(error) => {
                assert_eq!(error.kind(), Kind::NotFound, "{error}");
                failed += 1;
            }
        }
    }
    assert!(kept > 5 && failed > 2, "{kept} kept, {failed} failed");
}

#[test]
fn what_is_stored_at_any_step_of_a_retention_is_judged_or_left_alone() {
    for step in 0.. {
        let shelf = Shelf::new();
        let ids = stocked(&shelf);
        // by a version that takes no lease: the newest turns out not to count, so that an older one is needed
        let newest = ids[3].clone();
        let (pruned, stored) = meet(&shelf, step, move |there| {
            there.lay(&newest.key(Part::Pin), b"x");
            there.lay_backup(day(8), true, None)
        });
        let Some(stored) = stored else { break };
        pruned.unwrap();
        assert!(archive_is_there(&shelf, &stored));
        assert!(archive_is_there(&shelf, &ids[3]), "stored at step {step}");
    }
}

#[test]
fn a_mark_of_a_reader_that_died_ends_by_itself() {
    let shelf = Shelf::new();
    let ids = stocked(&shelf);
    let key = format!("{}.reading-db1-1f0c9a3e", ids[1]);
    shelf.lay(
        &key,
        b"{\"schema\":1,\"tool\":\"t\",\"host\":\"db1\",\"pid\":1,\"seconds\":600}",
    );
    // and one whose backup is gone
    let orphan = format!("{}.reading-db1-1f0c9a3f", id("app", day(-3)));
    shelf.lay(&orphan, b"");
    shelf.pass(9 * MINUTE);
    prune(&shelf).unwrap();
    assert!(archive_is_there(&shelf, &ids[1]) && shelf.keys().contains(&key));
    shelf.pass(2 * MINUTE);
    prune(&shelf).unwrap();
    assert!(!archive_is_there(&shelf, &ids[1]));
    assert!(!shelf.keys().contains(&key) && !shelf.keys().contains(&orphan));
}

fn request(wait: Duration) -> LeaseRequest<'static> {
    LeaseRequest {
        name: "app",
        work: LeasedWork::Prune,
        claim: None,
        lock: None,
        wait,
        if_any: false,
    }
}

fn take(shelf: &Shelf) -> Result<Lease> {
    let storage: Arc<dyn Storage> = Arc::new(shelf.clone());
    let taken = Lease::take(&storage, &request(Duration::ZERO), &cancel())?;
    Ok(taken.expect("it is wanted in any case").0)
}

fn leases(shelf: &Shelf) -> Vec<String> {
    let keys = shelf.all_keys().into_iter();
    keys.filter(|key| key.contains("lease")).collect()
}

#[test]
fn one_run_at_a_time_has_the_lease_and_its_number_only_rises() {
    let shelf = Shelf::new();
    stocked(&shelf);
    let first = take(&shelf).unwrap();
    assert!(first.is_conditional() && first.until().is_ok());
    for _ in 0..2 {
        let error = prune(&shelf.of_another_host()).unwrap_err();
        assert_eq!(error.kind(), Kind::Locked);
        assert!(
            error.report().contains("is pruning this database now"),
            "{}",
            error.report()
        );
        assert!(error.report().contains("--lock-wait"), "{}", error.report());
    }
    drop(first);
    let second = take(&shelf.of_another_host()).unwrap();
    assert_eq!(
        (second.number(), leases(&shelf)),
        (2, vec!["app/lease.2.json".to_string()])
    );
    drop(second);
    assert_eq!(take(&shelf).unwrap().number(), 3);
}

#[test]
fn the_lease_of_a_run_that_died_is_over_after_five_minutes_of_the_storage() {
    let shelf = Shelf::new();
    let ids = stocked(&shelf);
    let record = LeaseRecord::new("1".into(), LeasedWork::Prune, None, None, None, day(0));
    let texts = [record.to_json().unwrap(), b"".to_vec(), b"{\"cut".to_vec()];
    for (number, bytes) in texts.iter().enumerate() {
        let dead = format!("app/lease.{}.json", 10 * (number + 1));
        shelf.lay(&dead, bytes);
        assert_eq!(prune(&shelf).unwrap_err().kind(), Kind::Locked);
        shelf.pass(Duration::from_secs(299));
        assert_eq!(prune(&shelf).unwrap_err().kind(), Kind::Locked);
        assert!(archive_is_there(&shelf, &ids[0]));
        shelf.pass(Duration::from_secs(10));
        take(&shelf).unwrap();
        assert!(!shelf.all_keys().contains(&dead));
    }
    prune(&shelf).unwrap();
    assert!(!archive_is_there(&shelf, &ids[0]));
}

#[test]
fn a_claim_that_comes_late_gives_no_lease() {
    let shelf = Shelf::new();
    stocked(&shelf);
    drop(take(&shelf).unwrap());
    // between this one's look and its claim another host works twice, so that the number is free again
    let late = shelf.of_another_host();
    let quick = shelf.of_another_host();
    let held = Arc::new(Mutex::new(None));
    let by_quick = Arc::clone(&held);
    late.before(move |step, _| {
        let mut held = by_quick.lock().unwrap();
        if step == "claim" && held.is_none() {
            drop(take(&quick).unwrap());
            *held = Some(take(&quick).unwrap());
        }
    });
    assert_eq!(take(&late).err().unwrap().kind(), Kind::Locked);
    let lease = held.lock().unwrap().take().unwrap();
    assert_eq!(lease.number(), 3);
    let leases = |shelf: &Shelf| -> Vec<String> {
        let keys = shelf.all_keys().into_iter();
        keys.filter(|key| key.contains("/lease.")).collect()
    };
    assert_eq!(leases(&shelf), ["app/lease.3.json"]);
}

#[test]
fn a_pin_that_is_there_already_waits_for_an_announced_deletion_as_well() {
    let shelf = Shelf::new();
    let ids = stocked(&shelf);
    let (pinned, stamp) = (ids[1].clone(), ids[1].timestamp);
    shelf.lay(
        &pinned.key(Part::Pin),
        b"by a run that was killed while it waited",
    );
    let announced =
        format!(r#"{{"schema":1,"tool":"t","host":"h","lease":"1","backups":["{stamp}"]}}"#);
    let announcement = "app/deleting.3.json".to_string();
    shelf.lay(&announcement, announced.as_bytes());
    let (sender, waits) = channel();
    let sender = Mutex::new(sender);
    let there = shelf.of_another_host();
    there.before(move |step, key| {
        if step == "read" && key.contains("deleting") {
            let _ = sender.lock().unwrap().send(());
        }
    });
    let again = pinned.clone();
    let pin = std::thread::spawn(move || pin(&there, &again));
    waits.recv().unwrap();
    let gone = [format!("{pinned}.dump.gz"), announcement];
    shelf.delete(&gone, &cancel()).unwrap();
    assert_eq!(pin.join().unwrap().unwrap_err().kind(), Kind::NotFound);
}

#[test]
fn a_pin_that_another_host_makes_at_the_same_moment_is_a_pin() {
    let shelf = Shelf::new();
    let ids = stocked(&shelf);
    let (here, there) = (shelf.of_another_host(), shelf.clone());
    let key = ids[1].key(Part::Pin);
    here.before(move |step, written| {
        if step == "create" && written == key {
            there.lay(&key, b"of another host");
        }
    });
    assert_eq!(pin(&here, &ids[1]).unwrap(), 1);
    let pin = shelf.objects.lock().unwrap()[&ids[1].key(Part::Pin)].clone();
    assert_eq!(pin, b"of another host");
}

#[test]
fn a_run_that_was_taken_for_dead_does_not_succeed() {
    let shelf = Shelf::unconditional();
    stocked(&shelf);
    let place = Place {
        name: shelf.name().to_string(),
        storage: Ok(Arc::new(shelf.of_another_host())),
    };
    let mut copies =
        Copies::hold(vec![place], "app", None, Duration::ZERO, day(9), &cancel()).unwrap();
    let made = id("app", day(8));
    let mark = RunMark::of_dump(false, false);
    copies.mark(&made, &mark, &cancel()).unwrap();
    let archive = format!("{made}.dump.gz");
    let mut archives = copies.start(&archive, &cancel()).unwrap();
    archives.write_all(b"\x1f\x8b\x08").unwrap();
    // another host has its lease, and is about to remove what it left
    let other = mark.with_lease(None).to_json().unwrap();
    shelf
        .replace(&made.key(Part::Run), &other, &cancel())
        .unwrap();
    let sidecars = [(made.manifest_key(), b"{}".to_vec())];
    copies.finish(archives).unwrap();
    let committed = copies.commit(&archive, &sidecars, &|_| Ok(()), &cancel());
    let error = committed.err().unwrap();
    assert!(
        error.to_string().contains("took this run for dead"),
        "{error}"
    );
    assert!(!shelf.keys().contains(&archive));
}

#[test]
fn of_many_hosts_at_the_same_moment_one_has_the_lease() {
    let shelf = Shelf::new();
    stocked(&shelf);
    for _ in 0..20 {
        let hosts: Vec<_> = (0..6)
            .map(|_| shelf.of_another_host())
            .map(|host| std::thread::spawn(move || take(&host).ok()))
            .collect();
        let all: Vec<Option<Lease>> = hosts.into_iter().map(|host| host.join().unwrap()).collect();
        assert_eq!(all.iter().flatten().count(), 1);
    }
}

#[test]
fn without_conditional_writes_a_backup_goes_an_hour_after_it_was_found_to_go() {
    let shelf = Shelf::unconditional();
    let ids = stocked(&shelf);
    let spared = |pruned: &Pruned| -> Vec<(BackupId, Spared)> {
        let spared = pruned.spared();
        spared
            .map(|(backup, why)| (backup.id.clone(), why))
            .collect()
    };
    let pruned = prune(&shelf).unwrap();
    assert_eq!(pruned.deleted().count(), 0);
    let from = Spared::Until(day(9) + TimeDelta::hours(1));
    assert_eq!(
        spared(&pruned),
        [(ids[1].clone(), from), (ids[0].clone(), from)]
    );
    shelf.pass(50 * MINUTE);
    let pruned = prune(&shelf).unwrap();
    let from = Spared::Until(day(9) + TimeDelta::minutes(10));
    assert_eq!(spared(&pruned)[0], (ids[1].clone(), from));
    shelf.pass(10 * MINUTE);
    let pruned = prune(&shelf).unwrap();
    assert_eq!((pruned.deleted().count(), spared(&pruned).len()), (2, 0));
    assert!(!archive_is_there(&shelf, &ids[0]) && archive_is_there(&shelf, &ids[2]));
    assert!(!shelf.all_keys().iter().any(|key| key.contains("doomed")));
}

#[test]
fn where_two_runs_differ_nothing_is_deleted_and_the_mark_is_taken_back() {
    let shelf = Shelf::unconditional();
    let ids = stocked(&shelf);
    prune(&shelf).unwrap();
    shelf.pass(61 * MINUTE);
    pin(&shelf.of_another_host(), &ids[1]).unwrap();
    let pruned = prune(&shelf).unwrap();
    assert_eq!(
        (pruned.deleted().count(), pruned.warnings.len()),
        (0, 1),
        "{:?}",
        pruned.warnings
    );
    assert!(archive_is_there(&shelf, &ids[0]));
    shelf.pass(30 * MINUTE);
    let pruned = prune(&shelf).unwrap();
    assert_eq!((pruned.deleted().count(), pruned.warnings.len()), (0, 0));
    shelf.pass(31 * MINUTE);
    prune(&shelf).unwrap();
    assert!(!archive_is_there(&shelf, &ids[0]) && archive_is_there(&shelf, &ids[1]));
    // two hosts of which each keeps what the other deletes
    let shelf = Shelf::unconditional();
    let ids = stocked(&shelf);
    prune(&shelf).unwrap();
    let other = format!(
        "{{\"schema\":1,\"tool\":\"t\",\"backups\":[\"{}\"]}}",
        ids[2].timestamp
    );
    shelf.lay("app/doomed.99.json", other.as_bytes());
    shelf.pass(61 * MINUTE);
    assert_eq!(prune(&shelf).unwrap().deleted().count(), 0);
    assert!(!shelf.all_keys().contains("app/doomed.99.json"));
}

#[test]
fn two_retentions_at_the_same_moment_do_not_both_delete_where_a_lease_keeps_nobody_out() {
    for step in 0.. {
        let shelf = Shelf::unconditional();
        let ids = stocked(&shelf);
        prune(&shelf).unwrap();
        shelf.pass(61 * MINUTE);
        let (here, there) = meet(&shelf, step, |there| prune(&there).map(|_| ()));
        let Some(there) = there else { break };
        for result in [here.map(|_| ()), there] {
            if let Err(error) = result {
                assert!(
                    matches!(error.kind(), Kind::Locked | Kind::Failed),
                    "at step {step}: {}",
                    error.report()
                );
            }
        }
        assert!(archive_is_there(&shelf, &ids[2]) && archive_is_there(&shelf, &ids[3]));
    }
}
