//! Which backup counts for what, over random histories on one to three storages, against a plain restatement of the rules:
//! for each copy what was done to it, and nothing else.

#[path = "support/numbers.rs"]
mod numbers;
#[path = "support/shelf.rs"]
mod shelf;

use backupkit::cancel::Cancel;
use backupkit::operation::prune::{self, PruneJob};
use backupkit::repository::check_records::{Check, CheckLevel, CheckOutcome, CheckRecords};
use backupkit::repository::located::Located;
use backupkit::repository::names::{BackupId, Part, Timestamp};
use backupkit::repository::pick::Pick;
use backupkit::repository::places::{Place, Places};
use backupkit::repository::reference::Reference;
use backupkit::repository::retention::{self, Candidate, Policy};
use backupkit::repository::standing::Purpose;
use backupkit::repository::{Expected, Repository};
use backupkit::storage::Storage;
use chrono::{DateTime, TimeDelta, Utc};
use numbers::Numbers;
use shelf::Shelf;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const ROUNDS: u64 = 3_000;

/// What is true of a backup on each storage that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    Full,
    Partial,
    BeforeRestore,
    /// Its run has written the archive and not the manifest.
    Unfinished,
    /// By the earlier Go implementation, or copied in by hand.
    WithoutManifest,
}

/// What was done to one copy afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    Nothing,
    Emptied,
    Cut,
    FoundBad,
    FoundBadAndGoodAgain,
    FailedAssertion,
    Proven,
    Pinned,
}

#[derive(Debug, Clone)]
struct Laid {
    id: BackupId,
    made: Made,
    sealed: bool,
    /// For each storage whether it has a copy, and what was done to it.
    copies: Vec<Option<Done>>,
}

impl Laid {
    /// The rules of the design, copy by copy: a copy that could be restored without anybody being surprised.
    fn is_good(&self, done: Done, sealed_only: bool, now: DateTime<Utc>) -> bool {
        let is_damaged = match done {
            Done::Emptied | Done::FoundBad | Done::FailedAssertion => true,
            // without a manifest nobody knows its size, and it still begins as it should
            Done::Cut => self.made != Made::WithoutManifest,
            _ => false,
        };
        self.is_wanted(sealed_only, now) && !is_damaged
    }

    /// Whether it would be wanted if it was not damaged.
    fn is_wanted(&self, sealed_only: bool, now: DateTime<Utc>) -> bool {
        let in_time = self.id.timestamp.moment() <= now + TimeDelta::minutes(5);
        let is_full = matches!(self.made, Made::Full | Made::WithoutManifest);
        is_full && in_time && (self.sealed || !sealed_only)
    }

    fn key(&self) -> String {
        let end = if self.sealed { ".dump.enc" } else { ".dump" };
        format!("{}{end}", self.id)
    }
}

/// One of `choices`.
fn one_of<T: Copy>(numbers: &mut Numbers, choices: &[T]) -> T {
    choices[numbers.below(choices.len() as u64) as usize]
}

struct History {
    now: DateTime<Utc>,
    sealed_only: bool,
    laid: Vec<Laid>,
    shelves: Vec<Shelf>,
}

impl History {
    fn new(numbers: &mut Numbers) -> History {
        let now: DateTime<Utc> = "2026-11-26T12:00:00Z".parse().unwrap();
        let storages = 1 + numbers.below(3) as usize;
        let sealed_only = numbers.below(3) == 0;
        let shelves: Vec<Shelf> = (0..storages)
            .map(|number| Shelf::named(&format!("s{number}")))
            .collect();
        let mut laid = Vec::new();
        let mut hours = numbers.below(60) as i64 - 50;
        for number in 0..1 + numbers.below(8) {
            let at = now - TimeDelta::hours(hours) + TimeDelta::nanoseconds(number as i64);
            hours += 1 + numbers.below(30) as i64;
            let made = one_of(
                numbers,
                &[
                    Made::Full,
                    Made::Full,
                    Made::Full,
                    Made::Partial,
                    Made::BeforeRestore,
                    Made::Unfinished,
                    Made::WithoutManifest,
                ],
            );
            let mut copies: Vec<Option<Done>> = (0..storages)
                .map(|_| (numbers.below(3) > 0).then(|| done(numbers)))
                .collect();
            if copies.iter().all(Option::is_none) {
                copies[0] = Some(done(numbers));
            }
            let backup = Laid {
                id: shelf::id("app", at),
                made,
                sealed: if sealed_only {
                    numbers.below(4) > 0
                } else {
                    numbers.below(4) == 0
                },
                copies,
            };
            for (shelf, done) in shelves.iter().zip(&backup.copies) {
                if let Some(done) = done {
                    lay(shelf, &backup, *done);
                }
            }
            laid.push(backup);
        }
        laid.sort_by(|a, b| b.id.cmp(&a.id));
        History {
            now,
            sealed_only,
            laid,
            shelves,
        }
    }

    fn places(&self) -> Places {
        let places = self.shelves.iter().map(|shelf| Place {
            name: shelf.name().to_string(),
            storage: Ok(Arc::new(shelf.clone()) as Arc<dyn Storage>),
        });
        Places::new(places.collect())
    }

    fn expected(&self) -> Expected {
        Expected {
            class: None,
            sealed: self.sealed_only,
            partial: false,
        }
    }

    /// The newest backup that has a copy which is good, and else, for a restore, the newest that is only damaged.
    fn newest_good(&self) -> Option<&Laid> {
        self.laid.iter().find(|backup| {
            let mut copies = backup.copies.iter().flatten();
            copies.any(|done| backup.is_good(*done, self.sealed_only, self.now))
        })
    }

    /// The newest with a copy of which nothing is known but that it failed an assertion.
    fn newest_refuted(&self) -> Option<&Laid> {
        self.laid.iter().find(|backup| {
            let mut copies = backup.copies.iter().flatten();
            let refuted = copies.any(|done| *done == Done::FailedAssertion);
            refuted && backup.is_wanted(self.sealed_only, self.now)
        })
    }
}

fn done(numbers: &mut Numbers) -> Done {
    one_of(
        numbers,
        &[
            Done::Nothing,
            Done::Nothing,
            Done::Nothing,
            Done::Emptied,
            Done::Cut,
            Done::FoundBad,
            Done::FoundBadAndGoodAgain,
            Done::FailedAssertion,
            Done::Proven,
            Done::Pinned,
        ],
    )
}

/// Lays one copy with all that belongs beside it.
fn lay(shelf: &Shelf, backup: &Laid, done: Done) {
    let head = if backup.sealed { "BKENC002" } else { "PGDMP" };
    let whole = format!("{head} and what follows");
    let stored = match done {
        Done::Emptied => "",
        Done::Cut => &whole[..10],
        _ => &whole,
    };
    let (id, key) = (&backup.id, backup.key());
    shelf.lay(&key, stored.as_bytes());
    match backup.made {
        Made::Full | Made::Partial | Made::BeforeRestore => {
            shelf.lay_manifest(id, &key, whole.len() as u64, None, |dump| {
                dump.partial = backup.made == Made::Partial;
                dump.before_restore = backup.made == Made::BeforeRestore;
            });
        }
        Made::Unfinished => shelf.lay(&id.key(Part::Run), b"{}"),
        Made::WithoutManifest => {}
    }
    let checks: &[(CheckLevel, CheckOutcome)] = match done {
        Done::FoundBad => &[(CheckLevel::Full, CheckOutcome::Bad)],
        Done::FoundBadAndGoodAgain => &[
            (CheckLevel::Full, CheckOutcome::Bad),
            (CheckLevel::Full, CheckOutcome::Good),
        ],
        Done::FailedAssertion => &[
            (CheckLevel::Restore, CheckOutcome::Good),
            (CheckLevel::Restore, CheckOutcome::Bad),
        ],
        Done::Proven => &[(CheckLevel::Restore, CheckOutcome::Good)],
        _ => &[],
    };
    for (number, (level, result)) in checks.iter().enumerate() {
        let at = id.timestamp.moment() + TimeDelta::minutes(1 + number as i64);
        let check = Check {
            at,
            tool: "a test".into(),
            level: *level,
            result: *result,
            key: key.clone(),
            bytes: stored.len() as u64,
            sha256: None,
            duration_seconds: 1.0,
            restore_seconds: None,
            tables: None,
            rows: None,
            faults: 0,
            only_assertions: done == Done::FailedAssertion && *result == CheckOutcome::Bad,
            kind: None,
            details: None,
            details_sealed: None,
        };
        let record = id.key(Part::Check(Timestamp::new(at)));
        shelf.lay(&record, &CheckRecords::to_json(check).unwrap());
    }
    if done == Done::Pinned {
        shelf.lay(&id.key(Part::Pin), b"pinned");
    }
}

#[test]
fn what_counts_is_what_the_rules_say_whoever_asks() {
    let mut numbers = Numbers(1);
    let cancel = Cancel::new().unwrap();
    for round in 0..ROUNDS {
        let history = History::new(&mut numbers);
        let told = || format!("round {round}: {:#?}", history.laid);
        let places = history.places();
        let names: Vec<String> = places.names().map(String::from).collect();
        let (expected, now) = (history.expected(), history.now);
        let repository = Repository::open("app", &names, &places, expected, now, &cancel).unwrap();
        let good = history.newest_good().map(|backup| &backup.id);

        // what failed an assertion was made on time, and is no measure for the next one
        let refuted = history.newest_refuted().map(|backup| &backup.id);
        for (purpose, newest) in [
            (Purpose::Compare, good),
            (Purpose::OnTime, good.max(refuted)),
        ] {
            let found = repository.newest(purpose, |_| true, &mut Vec::new(), &cancel);
            let found = found.unwrap().map(|newest| newest.backup.id);
            assert_eq!(found.as_ref(), newest, "{purpose:?}, {}", told());
        }

        let latest = Reference::Latest {
            database: None,
            by: None,
        };
        let only_damaged = || {
            let mut laid = history.laid.iter();
            laid.find(|backup| backup.is_wanted(history.sealed_only, now))
        };
        // of those that are no good, one that is whole goes first
        let spoilt = || refuted.or_else(|| only_damaged().map(|backup| &backup.id));
        let restored = good.or_else(spoilt);
        let found = repository.find(&latest, Purpose::Restore, &cancel);
        assert_eq!(located(found.ok()).as_ref(), restored, "{}", told());

        // a check looks for damage, so it takes what a restore would want if that was whole
        let wanted = only_damaged().map(|backup| &backup.id);
        let found = repository.find(&latest, Purpose::Verify, &cancel);
        assert_eq!(located(found.ok()).as_ref(), wanted, "{}", told());
        let picked = repository.pick(Pick::Last(1), &mut |_| 0, &cancel).unwrap();
        assert_eq!(
            picked.first().map(|backup| &backup.id),
            wanted,
            "{}",
            told()
        );
    }
}

fn located(found: Option<Located>) -> Option<BackupId> {
    match found? {
        Located::Stored { entry, .. } => Some(entry.id),
        Located::File(_) => None,
    }
}

/// Whatever the rules are and whatever else lies there: the newest good one, the newest proven one and pins stay, and
/// what retention would keep if there were good ones alone stays, too.
#[test]
fn nothing_that_does_not_count_makes_a_good_backup_go() {
    let mut numbers = Numbers(2);
    let cancel = Cancel::new().unwrap();
    for round in 0..ROUNDS {
        let history = History::new(&mut numbers);
        let policy = Policy {
            keep_last: numbers.below(3) as u32,
            keep_daily: numbers.below(3) as u32,
            keep_weekly: numbers.below(2) as u32,
            ..Policy::default()
        };
        for (at, shelf) in history.shelves.iter().enumerate() {
            let places = history.places();
            let job = PruneJob {
                database: "app",
                storage: shelf,
                expected: history.expected(),
                policy: &policy,
                dry_run: false,
                accept_new_source: false,
                accept_clock: false,
                lock_wait: Duration::ZERO,
                keys: None,
                stored: None,
                held: None,
            };
            let unfinished = |backup: &&Laid| backup.made == Made::Unfinished;
            prune::run(&job, &places, history.now, &cancel).unwrap();
            let left = shelf.keys();
            let told = || {
                format!(
                    "round {round}, storage {at}: {policy:?} {:#?}",
                    history.laid
                )
            };

            let here: Vec<(&Laid, Done)> = history
                .laid
                .iter()
                .filter_map(|backup| Some((backup, backup.copies[at]?)))
                .collect();
            let is_good =
                |backup: &Laid, done| backup.is_good(done, history.sealed_only, history.now);
            let good: Vec<&Laid> = here
                .iter()
                .filter(|(backup, done)| is_good(backup, *done))
                .map(|(backup, _)| *backup)
                .collect();
            let candidates: Vec<Candidate> = good
                .iter()
                .map(|backup| Candidate::full(backup.id.timestamp.moment()))
                .collect();
            let alone = retention::plan(&candidates, &policy, history.now);
            let kept_alone = good.iter().zip(&alone.verdicts);
            let mut must: BTreeSet<String> = kept_alone
                .filter(|(_, verdict)| verdict.keeps())
                .map(|(backup, _)| backup.key())
                .collect();
            must.extend(good.first().map(|backup| backup.key()));
            let mut proven = here.iter().filter(|(_, done)| *done == Done::Proven);
            let proven = proven.find(|(backup, _)| backup.made != Made::Unfinished);
            must.extend(proven.map(|(backup, _)| backup.key()));
            let pinned = here.iter().filter(|(_, done)| *done == Done::Pinned);
            must.extend(pinned.map(|(backup, _)| backup.key()));
            must.extend(
                here.iter()
                    .map(|(backup, _)| *backup)
                    .filter(unfinished)
                    .map(Laid::key),
            );
            for key in must {
                assert!(left.contains(&key), "{key} is gone: {}", told());
            }
            // and what stays keeps what says what it is
            for (backup, done) in here {
                let manifest = backup.id.manifest_key();
                let had_one = !matches!(backup.made, Made::Unfinished | Made::WithoutManifest);
                let is_whole =
                    !left.contains(&backup.key()) || !had_one || left.contains(&manifest);
                assert!(is_whole, "{:?} {done:?}: {}", backup.id, told());
            }
        }
    }
}
