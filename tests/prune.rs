//! What pruning leaves of a storage, on one in memory that can fail at any step.

#[path = "support/numbers.rs"]
mod numbers;
#[path = "support/shelf.rs"]
mod shelf;

use backupkit::cancel::Cancel;
use backupkit::error::{Kind, Result};
use backupkit::operation::prune::{self, PruneJob, Pruned};
use backupkit::repository::Expected;
use backupkit::repository::check_records::{Check, CheckLevel, CheckOutcome, CheckRecords};
use backupkit::repository::manifest::Source;
use backupkit::repository::names::{Acceptance, BackupId, Name, Part, Timestamp};
use backupkit::repository::places::{Place, Places};
use backupkit::repository::retention::{Policy, Reason, Verdict};
use backupkit::storage::Storage;
use chrono::{DateTime, TimeDelta, Utc};
use numbers::Numbers;
use shelf::{Faults, Shelf, id};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

fn start() -> DateTime<Utc> {
    "2026-11-01T02:00:00.123456789Z".parse().unwrap()
}

fn day(number: i64) -> DateTime<Utc> {
    start() + TimeDelta::days(number)
}

fn daily(count: u32) -> Policy {
    Policy {
        keep_daily: count,
        ..Policy::default()
    }
}

/// Prunes `app` on `shelf`, a minute after `now`.
fn prune(shelf: &Shelf, policy: &Policy, now: DateTime<Utc>) -> Result<Pruned> {
    prune_with(shelf, policy, now, |_| {})
}

fn prune_with(
    shelf: &Shelf,
    policy: &Policy,
    now: DateTime<Utc>,
    change: impl Fn(&mut PruneJob),
) -> Result<Pruned> {
    let places = Places::new(vec![Place {
        name: shelf.name().to_string(),
        storage: Ok(Arc::new(shelf.clone())),
    }]);
    let mut job = PruneJob {
        database: "app",
        storage: shelf,
        expected: Expected::default(),
        policy,
        dry_run: false,
        accept_new_source: false,
        accept_clock: false,
        lock_wait: Duration::ZERO,
        keys: None,
        stored: None,
        held: None,
    };
    change(&mut job);
    let now = now + TimeDelta::minutes(1);
    prune::run(&job, &places, now, &Cancel::new().unwrap())
}

fn source(host: &str, identifier: Option<&str>) -> Option<Source> {
    Some(Source {
        system_identifier: identifier.map(String::from),
        host: host.into(),
        port: "5432".into(),
        database: "app".into(),
    })
}

const SUFFIXES: [&str; 14] = [
    ".dump",
    ".dump.gz",
    ".dump.gz",
    ".dump.enc",
    ".dump.gz.enc",
    ".dump.gz.sha256",
    ".json",
    ".pin",
    ".verified.json",
    ".globals.sql.gz",
    ".probe",
    ".dump.gz.tmp",
    ".json.tmp",
    ".accepted",
];

/// Keys that are not for pruning `app` to touch, made to look like those that are.
fn foreign(stamp: &str, which: u64) -> String {
    match which {
        0 => format!("app2/{stamp}.dump.gz"),
        1 => format!("app2/{stamp}.json"),
        2 => format!("app/{stamp}.dump.gz.bak"),
        3 => format!("app/copy-{stamp}.dump.gz"),
        4 => format!("app/{}.dump", &stamp[..15]),
        5 => format!("app/{stamp}.DUMP"),
        6 => format!("app/old/{stamp}.dump.gz"),
        7 => format!("app/{stamp}.sql"),
        8 => format!("{stamp}.dump.gz"),
        9 => format!("app/{stamp}.dump.xz"),
        10 => "app/last-failure.json".to_string(),
        _ => format!("App/{stamp}.dump.gz"),
    }
}

#[test]
fn ten_thousand_random_histories_never_lose_the_newest_or_touch_a_foreign_name() {
    let mut numbers = Numbers(1);
    let (mut deleted, mut swept) = (0, 0);
    let shelf = Shelf::new();
    for round in 0..10_000 {
        shelf.objects.lock().unwrap().clear();
        // a file that is cut and written again is flushed to the disk when it is closed: slow, ten thousand times
        let _ = std::fs::remove_file(shelf.lock_file("app").unwrap());
        for _ in 0..numbers.below(40) {
            let at = start() + TimeDelta::hours(numbers.below(24 * 40) as i64);
            let suffix = SUFFIXES[numbers.below(14) as usize];
            shelf.lay(&format!("{}{suffix}", id("app", at)), b"{}");
            if suffix.starts_with(".dump") && numbers.below(2) == 0 {
                shelf.lay(&format!("{}.dump.gz.sha256", id("app", at)), b"x");
            }
        }
        let mut strangers = BTreeSet::new();
        for _ in 0..numbers.below(15) {
            let at = start() + TimeDelta::hours(numbers.below(24 * 40) as i64);
            let stamp = at.format("%Y%m%d_%H%M%S%.9fZ").to_string();
            strangers.insert(foreign(&stamp, numbers.below(12)));
        }
        for key in &strangers {
            shelf.lay(key, b"x");
        }
        let policy = Policy {
            keep_last: numbers.below(3) as u32,
            keep_daily: numbers.below(4) as u32,
            keep_weekly: numbers.below(3) as u32,
            ..Policy::default()
        };
        let before = shelf.keys();
        let pruned = prune(&shelf, &policy, day(41)).unwrap();
        let after = shelf.keys();

        let gone: BTreeSet<&String> = before.difference(&after).collect();
        assert!(after.is_subset(&before), "round {round}");
        for key in &gone {
            let name = Name::parse(key).filter(|name| name.id.database == "app" && !name.temporary);
            assert!(
                name.is_some() && !strangers.contains(*key),
                "round {round}: {key}"
            );
        }
        let archives = |keys: &BTreeSet<String>| -> BTreeSet<BackupId> {
            let names = keys.iter().filter_map(|key| Name::parse(key));
            let archives = names.filter(|name| {
                name.id.database == "app"
                    && !name.temporary
                    && matches!(name.part, Part::Archive(_))
            });
            archives.map(|name| name.id).collect()
        };
        let (had, has) = (archives(&before), archives(&after));
        assert_eq!(had.last(), has.last(), "round {round}: {before:#?}");
        // a backup is there with all of its parts or with none, and a pinned one is there
        for key in &gone {
            let name = Name::parse(key).unwrap();
            let orphaned = !had.contains(&name.id) || matches!(name.part, Part::Accepted(_));
            let whole = !has.contains(&name.id) && !before.contains(&name.id.key(Part::Pin));
            assert!(orphaned || whole, "round {round}: {key}");
        }
        let kept: BTreeSet<BackupId> = pruned.kept().map(|backup| backup.id.clone()).collect();
        assert_eq!(kept, has, "round {round}");
        deleted += pruned.deleted().count();
        swept += pruned.swept.len();
    }
    assert!(
        deleted > 10_000 && swept > 10_000,
        "{deleted} deleted, {swept} swept"
    );
}

#[test]
fn a_run_that_is_cut_off_anywhere_is_finished_by_the_next_one() {
    let lay = || {
        let shelf = Shelf::new();
        for number in 0..4 {
            let id = shelf.lay_backup(day(number), false, None);
            shelf.lay(&format!("{id}.verified.json"), b"x");
        }
        // between full backups of the same day: without its manifest it would take the place of the last one
        shelf.lay_backup(day(3) + TimeDelta::hours(2), true, None);
        shelf.lay_backup(day(3) + TimeDelta::hours(3), true, None);
        shelf.lay_backup(day(5), false, None);
        shelf.lay(&format!("{}.json", id("app", day(-9))), b"orphaned");
        shelf
    };
    let whole = lay();
    let before = whole.keys();
    prune(&whole, &daily(2), day(5)).unwrap();
    let finished = whole.keys();
    let steps = before.len() - finished.len();
    assert!(steps > 10, "{finished:#?}");
    for cut in 0..steps {
        let shelf = lay();
        shelf.fail(Faults {
            deletions: Some(cut),
            ..Faults::default()
        });
        prune(&shelf, &daily(2), day(5)).unwrap_err();
        shelf.fail(Faults::default());
        let between = shelf.keys();
        assert_eq!(between.len(), before.len() - cut);
        // an archive is never without what says what it is
        for key in between.iter().filter(|key| key.ends_with(".dump.gz")) {
            let id = Name::parse(key).unwrap().id;
            for beside in [Part::Manifest, Part::OldChecks] {
                let key = id.key(beside);
                let was_there = before.contains(&key);
                assert!(!was_there || between.contains(&key), "after {cut}: {key}");
            }
        }
        prune(&shelf, &daily(2), day(5)).unwrap();
        assert_eq!(shelf.keys(), finished, "after {cut}");
    }
}

#[test]
fn nothing_is_deleted_where_something_could_not_be_read() {
    let shelf = Shelf::new();
    for number in 0..9 {
        shelf.lay_backup(day(number), false, None);
    }
    shelf.lay(&format!("{}.json", id("app", day(-9))), b"orphaned");
    let before = shelf.keys();
    for faults in [
        Faults {
            listing: true,
            ..Faults::default()
        },
        Faults {
            reading: Some(Kind::Unavailable),
            ..Faults::default()
        },
        Faults {
            reading: Some(Kind::Failed),
            ..Faults::default()
        },
    ] {
        shelf.fail(faults);
        prune(&shelf, &daily(2), day(9)).unwrap_err();
        assert_eq!(shelf.keys(), before);
    }
}

#[test]
fn nothing_is_deleted_by_a_listing_without_the_backup_that_was_just_stored() {
    let shelf = Shelf::new();
    for number in 0..4 {
        shelf.lay_backup(day(number), false, None);
    }
    let before = shelf.keys();
    let stored = |number: i64| {
        prune_with(&shelf, &daily(1), day(9), |job| {
            job.stored = Some(id("app", day(number)));
        })
    };
    let error = stored(8).unwrap_err();
    assert!(
        error.to_string().contains("its listing lacks app/"),
        "{error}"
    );
    assert_eq!(shelf.keys(), before);
    stored(3).unwrap();
    assert_ne!(shelf.keys(), before);
}

#[test]
fn a_damaged_manifest_only_ever_keeps_more() {
    let shelf = Shelf::new();
    for number in 0..4 {
        shelf.lay_backup(day(number), false, None);
    }
    let damaged = id("app", day(3));
    shelf.lay(&damaged.manifest_key(), b"{");
    let pruned = prune(&shelf, &daily(1), day(9)).unwrap();
    let kept: Vec<_> = pruned.kept().map(|backup| backup.id.clone()).collect();
    assert_eq!(kept, [damaged, id("app", day(2))]);
}

#[test]
fn a_clock_that_is_behind_deletes_nothing() {
    let shelf = Shelf::of(&[
        format!("{}.dump", id("app", day(0))),
        format!("{}.dump", id("app", day(1))),
        format!("{}.dump", id("app", day(20))),
        format!("{}.json", id("app", day(-9))),
    ]);
    let before = shelf.keys();
    let pruned = prune(&shelf, &daily(1), day(9)).unwrap();
    let refused = pruned.refused.expect("it is refused");
    assert_eq!(refused.kind(), Kind::Refused);
    assert!(
        refused.to_string().contains("2026-11-10T02:01:00Z"),
        "{refused}"
    );
    assert_eq!(shelf.keys(), before);
    assert!(prune(&shelf, &daily(1), day(20)).unwrap().refused.is_none());
    assert_eq!(shelf.keys().len(), 1);
}

#[test]
fn staging_never_rotates_production_away() {
    let production = || source("db1", Some("71"));
    let staging = || source("db1", Some("99"));
    let shelf = Shelf::new();
    for number in 0..5 {
        shelf.lay_backup(day(number), false, production());
    }
    let policy = daily(2);
    // by and by, only staging is backed up
    for number in 5..40 {
        shelf.lay_backup(day(number), false, staging());
        let before = shelf.keys();
        let refused = prune(&shelf, &policy, day(number)).unwrap().refused;
        let refused = refused.expect("it is refused");
        assert_eq!(refused.kind(), Kind::Refused);
        let hint = "if that is meant: backupkit prune --db app --accept-new-source";
        assert_eq!(refused.first_hint(), Some(hint));
        assert_eq!(shelf.keys(), before);
    }
    // saying that it is meant holds from then on, but a dry run says nothing
    let before = shelf.keys();
    let dry = prune_with(&shelf, &policy, day(40), |job| {
        (job.accept_new_source, job.dry_run) = (true, true);
    });
    assert_eq!((dry.unwrap().deleted().count(), shelf.keys()), (38, before));
    let accepted = prune_with(&shelf, &policy, day(40), |job| job.accept_new_source = true);
    assert!(accepted.unwrap().refused.is_none());
    for number in 41..44 {
        shelf.lay_backup(day(number), false, staging());
        let pruned = prune(&shelf, &policy, day(number)).unwrap();
        assert!(pruned.refused.is_none());
    }
    let accepted = || -> Vec<String> {
        shelf
            .keys()
            .into_iter()
            .filter(|key| key.ends_with(".accepted"))
            .collect()
    };
    assert_eq!(
        accepted(),
        [id("app", day(39)).key(Part::Accepted(Acceptance::Source))]
    );
    assert_eq!(shelf.keys().len(), 7);
    // back again is another change, and the old acceptance goes once the new one is there
    shelf.lay_backup(day(44), false, production());
    assert!(prune(&shelf, &policy, day(44)).unwrap().refused.is_some());
    prune_with(&shelf, &policy, day(44), |job| job.accept_new_source = true).unwrap();
    shelf.lay_backup(day(45), false, production());
    assert!(prune(&shelf, &policy, day(45)).unwrap().refused.is_none());
    assert_eq!(
        accepted(),
        [id("app", day(44)).key(Part::Accepted(Acceptance::Source))]
    );
}

#[test]
fn a_clock_that_jumps_ahead_deletes_nothing_until_it_is_said_to_be_right() {
    let policy = Policy {
        keep_within: Some(Duration::from_secs(30 * 86_400)),
        ..Policy::default()
    };
    let shelf = Shelf::new();
    for number in 0..4 {
        shelf.lay_backup(day(number), false, None);
    }
    // each further backup by that clock is refused as well, and so is a prune between them
    for number in 404..407 {
        shelf.lay_backup(day(number), false, None);
        let before = shelf.keys();
        let refused = prune(&shelf, &policy, day(number)).unwrap().refused;
        let refused = refused.expect("it is refused");
        assert_eq!(refused.kind(), Kind::Refused);
        let hint =
            "see what the date is; if that is right: backupkit prune --db app --accept-clock";
        assert_eq!(refused.first_hint(), Some(hint));
        assert_eq!(shelf.keys(), before);
    }
    let before = shelf.keys();
    let dry = prune_with(&shelf, &policy, day(406), |job| {
        (job.accept_clock, job.dry_run) = (true, true);
    });
    assert_eq!((dry.unwrap().deleted().count(), shelf.keys()), (4, before));
    // what is accepted holds from then on, and only for what was before
    let accepted = prune_with(&shelf, &policy, day(406), |job| job.accept_clock = true);
    assert_eq!(accepted.unwrap().deleted().count(), 4);
    let mark = id("app", day(406)).key(Part::Accepted(Acceptance::Clock));
    assert!(shelf.keys().contains(&mark));
    shelf.lay_backup(day(407), false, None);
    assert!(prune(&shelf, &policy, day(407)).unwrap().refused.is_none());
    shelf.lay_backup(day(500), false, None);
    assert!(prune(&shelf, &policy, day(500)).unwrap().refused.is_some());
}

#[test]
fn a_failover_and_an_unknown_source_are_no_change() {
    let shelf = Shelf::new();
    shelf.lay_backup(day(0), false, None);
    shelf.lay_backup(day(1), false, source("db1", Some("71")));
    shelf.lay_backup(day(2), false, source("db2", Some("71")));
    shelf.lay(&format!("{}.dump", id("app", day(3))), b"PGDMP copied in");
    let pruned = prune(&shelf, &daily(1), day(9)).unwrap();
    assert!(pruned.refused.is_none());
    assert_eq!(shelf.keys().len(), 1);
}

#[test]
fn an_old_backup_of_another_source_stops_what_would_delete_it() {
    let shelf = Shelf::new();
    shelf.lay_backup(day(0), false, source("db1", None));
    for number in 1..60 {
        shelf.lay_backup(day(number), false, source("db2", None));
    }
    // beyond what is read of the newest ones
    assert!(
        prune(&shelf, &daily(30), day(60))
            .unwrap()
            .refused
            .is_some()
    );
    assert_eq!(shelf.keys().len(), 180);
}

#[test]
fn the_manifests_that_decide_nothing_are_not_read() {
    let shelf = Shelf::new();
    for number in 0..300 {
        shelf.lay_backup(start() + TimeDelta::hours(number), false, None);
    }
    let policy = Policy {
        keep_daily: 3,
        keep_within: Some(Duration::from_secs(300 * 86_400)),
        ..Policy::default()
    };
    prune(&shelf, &policy, day(12) + TimeDelta::hours(12)).unwrap();
    let opened = *shelf.opened.lock().unwrap();
    assert!((20..=23).contains(&opened), "{opened} manifests");
}

#[test]
fn a_partial_backup_is_looked_up_before_it_takes_a_place() {
    let shelf = Shelf::new();
    for number in 0..60 {
        shelf.lay_backup(day(number), number % 7 > 0, None);
    }
    let policy = Policy {
        keep_weekly: 9,
        ..Policy::default()
    };
    let pruned = prune(&shelf, &policy, day(60)).unwrap();
    // 1 November is a Sunday: all full ones are, each the last of its week
    let sundays = pruned.kept().filter(|backup| backup.partial == Some(false));
    assert_eq!(sundays.count(), 9);
    let newest = &pruned.backups[0];
    assert_eq!(newest.partial, Some(true));
    assert!(matches!(&newest.verdict, Verdict::Keep(reasons) if reasons[0] == Reason::Newest));
}

#[test]
fn the_backup_before_a_loss_of_rows_stays_for_a_week() {
    let shelf = Shelf::new();
    let minute = |number| day(0) + TimeDelta::minutes(number);
    let ids: Vec<BackupId> = (0..40)
        .map(|number| shelf.lay_backup(minute(number), false, None))
        .collect();
    shelf.lose_rows(&ids[7]);
    let policy = Policy {
        keep_daily: 9,
        ..Policy::default()
    };
    let left = |now| -> Vec<BackupId> {
        let pruned = prune(&shelf, &policy, now).unwrap();
        let mut kept: Vec<BackupId> = pruned.kept().map(|backup| backup.id.clone()).collect();
        kept.sort();
        kept
    };
    let expected = [&ids[6], &ids[7], &ids[39]].map(BackupId::clone);
    assert_eq!(left(minute(40)), expected);
    assert_eq!(left(minute(40)), expected, "again");
    assert_eq!(left(day(6)), expected);
    assert_eq!(left(day(8)), expected[2..]);
}

#[test]
fn without_rules_nothing_is_read_written_or_swept() {
    let shelf = Shelf::new();
    shelf.lay_backup(day(0), false, None);
    shelf.lay(&format!("{}.json", id("app", day(-9))), b"orphaned");
    let before = shelf.keys();
    let pruned = prune_with(&shelf, &Policy::default(), day(9), |job| {
        job.accept_new_source = true
    });
    assert_eq!(pruned.unwrap().kept().count(), 1);
    assert_eq!((shelf.keys(), *shelf.opened.lock().unwrap()), (before, 0));
    assert_eq!(std::fs::read_dir(shelf.locks.path()).unwrap().count(), 0);
}

#[test]
fn a_dry_run_says_the_same_and_does_nothing() {
    let shelf = Shelf::new();
    for number in 0..9 {
        shelf.lay_backup(day(number), false, None);
    }
    let orphan = format!("{}.json", id("app", day(-9)));
    shelf.lay(&orphan, b"orphaned");
    let before = shelf.keys();
    let dry = prune_with(&shelf, &daily(2), day(9), |job| job.dry_run = true).unwrap();
    assert_eq!(shelf.keys(), before);
    assert_eq!(std::fs::read_dir(shelf.locks.path()).unwrap().count(), 0);
    let done = prune(&shelf, &daily(2), day(9)).unwrap();
    assert_eq!((&dry.backups, &dry.swept), (&done.backups, &done.swept));
    assert_eq!(
        dry.warnings,
        ["retention deletes 7 of 9 backups, more than half"]
    );
    assert_eq!(done.swept, [orphan]);
}

#[test]
fn a_backup_that_appears_meanwhile_keeps_its_sidecars() {
    let late = id("app", day(1));
    let shelf = Shelf::of(&[format!("{}.dump", id("app", day(0))), late.manifest_key()]);
    shelf.fail(Faults {
        late: vec![format!("{late}.dump.gz")],
        ..Faults::default()
    });
    let pruned = prune(&shelf, &daily(9), day(9)).unwrap();
    assert_eq!(pruned.swept, [""; 0]);
    assert!(shelf.keys().contains(&late.manifest_key()));
}

#[test]
fn a_run_waits_for_the_lock_of_its_database() {
    let shelf = Shelf::of(&[format!("{}.dump", id("app", day(0)))]);
    let cancel = Cancel::new().unwrap();
    let path = shelf.lock_file("app").unwrap();
    let _held = backupkit::storage::lock::Lock::take(&path, Duration::ZERO, &cancel).unwrap();
    let error = prune(&shelf, &daily(1), day(9)).unwrap_err();
    assert_eq!(error.kind(), Kind::Locked);
}

/// Writes down that these checks were made of a backup that [`Shelf::lay_backup`] laid.
fn record(shelf: &Shelf, id: &BackupId, checks: &[(CheckLevel, CheckOutcome)]) {
    for (number, (level, result)) in checks.iter().enumerate() {
        let at = day(0) + TimeDelta::seconds(number as i64);
        let check = Check {
            at,
            tool: "a test".into(),
            level: *level,
            result: *result,
            key: format!("{id}.dump.gz"),
            bytes: 1,
            sha256: None,
            duration_seconds: 1.0,
            restore_seconds: None,
            tables: None,
            rows: None,
            faults: 0,
            only_assertions: false,
            kind: None,
            details: None,
            details_sealed: None,
        };
        let key = id.key(Part::Check(Timestamp::new(at)));
        shelf.lay(&key, &CheckRecords::to_json(check).unwrap());
    }
}

#[test]
fn the_newest_backup_that_a_drill_proved_stays_and_older_proofs_keep_nothing() {
    use CheckLevel::{Full, Restore};
    use CheckOutcome::{Bad, Good};
    let shelf = Shelf::new();
    let ids: Vec<BackupId> = (0..10)
        .map(|number| shelf.lay_backup(day(number), false, None))
        .collect();
    record(&shelf, &ids[2], &[(Restore, Good)]);
    record(&shelf, &ids[4], &[(Restore, Good), (Full, Good)]);
    record(&shelf, &ids[5], &[(Restore, Good), (Full, Bad)]);
    record(&shelf, &ids[6], &[(Full, Good)]);
    let kept = |now| -> Vec<BackupId> {
        let pruned = prune(&shelf, &daily(2), now).unwrap();
        pruned.kept().map(|backup| backup.id.clone()).collect()
    };
    let expected = [&ids[9], &ids[8], &ids[4]].map(Clone::clone);
    assert_eq!(kept(day(9)), expected);
    // again, with nothing but the proof to keep it
    assert_eq!(kept(day(9)), expected);
    record(&shelf, &ids[8], &[(Restore, Good)]);
    assert_eq!(kept(day(9)), expected[..2]);
}

#[test]
fn what_decides_is_read_once_a_run() {
    let shelf = Shelf::new();
    for number in 0..5 {
        let id = shelf.lay_backup(day(number), false, None);
        record(&shelf, &id, &[(CheckLevel::Full, CheckOutcome::Good)]);
    }
    prune(&shelf, &daily(5), day(4)).unwrap();
    assert_eq!(*shelf.opened.lock().unwrap(), 5 + 5);
    prune(&shelf, &daily(4), day(4)).unwrap();
    assert_eq!(*shelf.opened.lock().unwrap(), 2 * (5 + 5));
}

#[test]
fn nothing_goes_while_it_cannot_be_told_whether_it_is_proven() {
    let shelf = Shelf::new();
    for number in 0..3 {
        let id = shelf.lay_backup(day(number), false, None);
        if number == 0 {
            record(&shelf, &id, &[(CheckLevel::Restore, CheckOutcome::Good)]);
            shelf.lay(&id.key(Part::OldChecks), br#"{"schema":2,"checks":[]}"#);
        }
    }
    let before = shelf.keys();
    prune(&shelf, &daily(1), day(2)).unwrap_err();
    assert_eq!(shelf.keys(), before);
}
