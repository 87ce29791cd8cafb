//! `verify`: which copies are checked, and what is said and written down about each.

use super::context::App;
use super::failure_here::FailedTask;
use super::fallback::{plain_restore, plain_restore_of_cluster};
use super::overall_status::overall;
use crate::cancel::Cancel;
use crate::cli;
use crate::error::{Error, Kind, Result};
use crate::files::random::below;
use crate::operation::verify::record::{self, Recording};
use crate::operation::verify::report::{self, Past};
use crate::operation::verify::verified::Verified;
use crate::operation::verify::{self, CheckedCopy};
use crate::output;
use crate::repository::check_records::{CheckLevel, CheckOutcome};
use crate::repository::evidence::Evidence;
use crate::repository::last_failure::Failure;
use crate::repository::located::Located;
use crate::repository::open::{CopyToOpen, Rules};
use crate::repository::pick::Pick;
use crate::repository::reading_mark::ReadingMark;
use crate::repository::reference::Reference;
use crate::repository::sidecars::records_of;
use crate::repository::standing::Purpose;
use crate::text::ours;
use chrono::{DateTime, TimeDelta, Utc};
use std::time::{Duration, Instant};

/// How far back a report looks.
const WINDOW: Duration = Duration::from_secs(90 * 86_400);

/// The copies to check of one database.
pub(super) struct CopiesToCheck {
    /// The database's name.
    pub database: String,
    /// What was named on the command line, for the passwords that may open a file.
    pub reference: Option<Reference>,
    /// The copies, by backup.
    pub copies: Vec<Located>,
    /// The storages that could not be asked.
    pub failures: Vec<(String, Error)>,
}

impl CopiesToCheck {
    /// Fails where a storage could not be asked.
    pub(super) fn all_listed(mut self) -> Result<CopiesToCheck> {
        match self.failures.pop() {
            Some((storage, error)) => Err(error.doing(format!("storage {storage}"))),
            None => Ok(self),
        }
    }
}

/// What was checked of one database, and what came of it.
pub(super) struct VerifyRun {
    pub copies: Vec<Verified>,
    /// The storages that could not be asked for copies, and why.
    pub unlisted: Vec<(String, Error)>,
    pub started_at: DateTime<Utc>,
    pub took: Duration,
}

impl App {
    pub(super) fn verify(&self, options: &cli::VerifyArgs, cancel: &Cancel) -> Result<()> {
        require_one_choice(options)?;
        if options.report {
            return self.verify_report(options, cancel);
        }
        let mut all = Vec::new();
        let mut lost = Vec::new();
        let look = output::Look::of_stdout();
        for wanted in self.wanted(options, cancel)? {
            let CopiesToCheck {
                database, failures, ..
            } = &wanted;
            for (storage, error) in failures {
                let error = error.report();
                log::error!("cannot check {database} on the storage {storage}: {error}");
            }
            lost.extend(failures.iter().map(|(_, error)| error.kind()));
            let mut shown = |verified: &Verified| match verified.outcome() {
                _ if options.json => Ok(()),
                CheckOutcome::Good if options.quiet => Ok(()),
                _ => output::shown(&output::verified_text(verified, look)),
            };
            let mut checked = self.verify_copies(&wanted, options.level, &mut shown, cancel)?;
            checked.unlisted = wanted.failures;
            if !checked.copies.is_empty() || !checked.unlisted.is_empty() {
                self.note_check(&wanted.database, &checked, options.level);
                self.notify(&checked.event(&wanted.database));
            }
            all.extend(checked.copies);
        }
        if options.json {
            output::json(&output::verify_json(&all, options.level))?;
        }
        if all.is_empty() && lost.is_empty() {
            log::info!("there is nothing to check");
        }
        match status(&all, lost) {
            Some(kind) => Err(Error::already_told(kind)),
            None => Ok(()),
        }
    }

    /// Writes down here that copies could not be checked as deep as `level`, which nothing beside the backups tells; what was found bad stands
    /// there.
    pub(super) fn note_check(&self, database: &str, checked: &VerifyRun, level: CheckLevel) {
        let bad = |copy: &Verified| copy.outcome() == CheckOutcome::Bad;
        match checked.failure() {
            None => FailedTask::ended_by(level)
                .for_each(|task| self.forget_failure_here(task, database)),
            Some(_) if checked.copies.iter().any(bad) => {}
            Some(error) => {
                let failure = Failure::new(database, &error, checked.started_at, Utc::now());
                self.keep_failure_here(FailedTask::Check(level), &failure);
            }
        }
    }

    /// Checks all that is wanted of one database and hands each result to `shown`.
    pub(super) fn verify_copies(
        &self,
        wanted: &CopiesToCheck,
        level: CheckLevel,
        shown: &mut dyn FnMut(&Verified) -> Result<()>,
        cancel: &Cancel,
    ) -> Result<VerifyRun> {
        let (started_at, began) = (Utc::now(), Instant::now());
        let mut copies = Vec::new();
        for copy in &wanted.copies {
            if let Some(verified) = self.verify_copy(wanted, copy, level, cancel)? {
                shown(&verified)?;
                copies.push(verified);
            }
        }
        Ok(VerifyRun {
            copies,
            unlisted: Vec::new(),
            started_at,
            took: began.elapsed(),
        })
    }

    /// Checks one copy and records what was found. Only a cancelled run fails; everything else is a result, but for a
    /// copy that nobody named and that retention deleted since it was listed: that is none.
    fn verify_copy(
        &self,
        wanted: &CopiesToCheck,
        copy: &Located,
        level: CheckLevel,
        cancel: &Cancel,
    ) -> Result<Option<Verified>> {
        let latest = Reference::Latest {
            database: None,
            by: None,
        };
        let reference = wanted.reference.as_ref().unwrap_or(&latest);
        let keys = || self.keys_for(&wanted.database, reference);
        let rules = Rules {
            configured: self.configured_encoding(&wanted.database),
            unchosen_target: None,
            strict: false,
            force: false,
        };
        let opening = CopyToOpen {
            copy,
            keys: &keys,
            rules: &rules,
        };
        let checked = CheckedCopy {
            opening,
            drill: &|| self.drill(&wanted.database),
            chain: &|| self.chain_of(&wanted.database, copy, cancel),
            sealed_only: self.encrypts(&wanted.database),
        };
        // a copy that is gone is noticed below
        let _reading = match level {
            CheckLevel::Full | CheckLevel::Restore => ReadingMark::leave_unseen(copy, cancel)?,
            CheckLevel::Exists | CheckLevel::Checksum => None,
        };
        let (at, began) = (Utc::now(), Instant::now());
        let result = verify::check(&checked, level, cancel);
        let took = began.elapsed();
        cancel.check()?;
        if wanted.reference.is_none() && is_gone(&result, copy, cancel) {
            log::info!("{} was deleted before it was checked", copy.shown());
            return Ok(None);
        }
        let recording = Recording {
            copy,
            keys: &keys,
            sealed: self.encrypts(&wanted.database),
        };
        if let Err(error) = record::write(&recording, level, &result, (at, took), cancel) {
            cancel.check()?;
            log::warn!(
                "what was found is not recorded beside the backup: {}",
                error.report()
            );
        }
        let verified = Verified::new(copy, level, result, took);
        self.tell(&verified, copy, cancel);
        Ok(Some(verified))
    }

    /// Says on stderr what is wrong and what to do; stdout gets the result.
    fn tell(&self, verified: &Verified, copy: &Located, cancel: &Cancel) {
        let shown = copy.shown();
        let restore = match copy.is_of_cluster() {
            true => plain_restore_of_cluster,
            false => plain_restore,
        };
        match &verified.result {
            Ok(Evidence { faults, notes, .. }) => {
                for note in notes {
                    log::info!("{shown}: {note}");
                }
                if let Some(first) = faults.first() {
                    let more = match faults.len() - 1 {
                        0 => String::new(),
                        more => format!(", and {more} more"),
                    };
                    let error = Error::damaged(format!("{shown} is bad: {first}{more}"));
                    log::error!("{}", self.hint_older(error, copy, restore, cancel).report());
                }
            }
            Err(error) => {
                let told = Error::in_lines(error.kind(), &error.report());
                let told = told.doing(format!("cannot check {shown}"));
                log::error!("{}", self.hint_older(told, copy, restore, cancel).report());
            }
        }
    }

    fn wanted(&self, options: &cli::VerifyArgs, cancel: &Cancel) -> Result<Vec<CopiesToCheck>> {
        if !options.backups.is_empty() {
            let named = options.backups.iter();
            return named
                .map(|name| self.wanted_by_name(name, options, cancel))
                .collect();
        }
        let mut all = Vec::new();
        for database in self.chosen(&options.db)? {
            let mut wanted = self.picked(&database.name, pick(options), cancel)?;
            if let Some(limit) = options.older_than_last_check {
                let mut copies = Vec::new();
                for copy in wanted.copies {
                    if needs_check(&copy, options.level, limit, cancel)? {
                        copies.push(copy);
                    }
                }
                wanted.copies = copies;
            }
            all.push(wanted);
        }
        Ok(all)
    }

    /// Every copy of the one backup that is named, or the one on the storage that is.
    fn wanted_by_name(
        &self,
        name: &str,
        options: &cli::VerifyArgs,
        cancel: &Cancel,
    ) -> Result<CopiesToCheck> {
        let only = match options.db.as_slice() {
            [] => None,
            [one] => Some(one.as_str()),
            _ => return Err(Error::usage("several databases are named for one backup")),
        };
        let named = self.named(name, None, only)?;
        let copies = self.find_copies(&named, Purpose::Verify, cancel)?;
        Ok(CopiesToCheck {
            failures: named.places.take_failures(),
            database: named.database,
            reference: Some(named.reference),
            copies,
        })
    }

    /// The copies of the backups of one database that `pick` chooses.
    pub(super) fn picked(
        &self,
        database: &str,
        pick: Pick,
        cancel: &Cancel,
    ) -> Result<CopiesToCheck> {
        let places = self.places(&self.storages_of(database, None));
        let repository = self.repository(database, &places, cancel)?;
        let picked = repository.pick(pick, &mut below, cancel)?;
        let failures = places.take_failures();
        if picked.is_empty() && failures.is_empty() && !matches!(pick, Pick::Random(_)) {
            let error = Error::new(Kind::NotFound, format!("there is no backup of {database}"));
            return Err(error.hint(format!("make one with: {}", ours::command("backup"))));
        }
        let copies = picked.iter().flat_map(|backup| &backup.copies);
        Ok(CopiesToCheck {
            database: database.to_string(),
            reference: None,
            copies: copies.filter_map(|copy| repository.located(copy)).collect(),
            failures,
        })
    }

    fn verify_report(&self, options: &cli::VerifyArgs, cancel: &Cancel) -> Result<()> {
        let window = options.since.unwrap_or(WINDOW);
        let now = Utc::now();
        let since = TimeDelta::from_std(window)
            .ok()
            .and_then(|window| now.checked_sub_signed(window))
            .unwrap_or(chrono::DateTime::UNIX_EPOCH);
        let (mut past, mut ok, mut failures): (Vec<Past>, _, _) = (Vec::new(), 0, Vec::new());
        for database in self.chosen(&options.db)? {
            let places = self.places(&database.backup.storage);
            let repository = self.repository(&database.name, &places, cancel)?;
            ok += repository.listings().len();
            past.extend(report::past(&repository, since, cancel)?);
            for (storage, error) in places.take_failures() {
                log::warn!("storage {storage}: {}", error.report());
                failures.push(error.kind());
            }
        }
        if options.json {
            output::json(&output::report_json(&past, since))?;
        } else if past.is_empty() {
            log::info!("nothing was checked since {}", since.to_rfc3339());
        } else {
            output::shown(&output::report_text(&past, now, output::Look::of_stdout()))?;
        }
        match overall(ok, &failures) {
            Some(kind) => Err(Error::already_told(kind)),
            None => Ok(()),
        }
    }
}

/// True where the check missed something because the archive is no longer there.
fn is_gone(result: &Result<Evidence>, copy: &Located, cancel: &Cancel) -> bool {
    match (result, copy) {
        (Err(error), Located::Stored { storage, entry }) if error.kind() == Kind::NotFound => {
            matches!(storage.stat(&entry.archive_key(), cancel), Ok(None))
        }
        _ => false,
    }
}

/// One way to choose, and `--report` by itself.
fn require_one_choice(options: &cli::VerifyArgs) -> Result<()> {
    let ways = [
        ("backups by name", !options.backups.is_empty()),
        ("--all", options.all),
        ("--latest", options.latest),
        ("--last", options.last.is_some()),
        ("--random", options.random.is_some()),
    ];
    let chosen: Vec<&str> = ways
        .iter()
        .filter(|(_, is)| *is)
        .map(|(way, _)| *way)
        .collect();
    let filtered = options.older_than_last_check.is_some();
    let clash = match chosen.as_slice() {
        [one, other, ..] => Some((*one, *other)),
        [one] if options.report => Some((*one, "--report")),
        [one] if filtered && !options.backups.is_empty() => Some((*one, "--older-than-last-check")),
        _ if options.report && filtered => Some(("--report", "--older-than-last-check")),
        _ => None,
    };
    if let Some((one, other)) = clash {
        return Err(
            Error::usage(format!("{one} and {other} do not go together"))
                .hint("leave one of them out; see what each does with: backupkit verify --help"),
        );
    }
    match options.since.is_some() && !options.report {
        true => Err(Error::usage("--since is for --report")),
        false => Ok(()),
    }
}

fn pick(options: &cli::VerifyArgs) -> Pick {
    match (options.last, options.random) {
        (Some(count), _) => Pick::Last(count),
        (_, Some(count)) => Pick::Random(count),
        // what is old enough is looked for everywhere, unless someone says where
        _ if options.all => Pick::All,
        _ if options.older_than_last_check.is_some() && !options.latest => Pick::All,
        _ => Pick::Last(1),
    }
}

/// True unless a check of at least this level found this copy good within `limit`.
fn needs_check(
    copy: &Located,
    level: CheckLevel,
    limit: Duration,
    cancel: &Cancel,
) -> Result<bool> {
    let Located::Stored { storage, entry } = copy else {
        return Ok(true);
    };
    if !entry.has_records() {
        return Ok(true);
    }
    match records_of(storage.as_ref(), entry, cancel) {
        Ok(proof) => {
            let good = proof.last_good(level, &entry.archive_key(), entry.bytes);
            Ok(good.is_none_or(|check| {
                let age = (Utc::now() - check.at).to_std();
                // a check from the future says nothing
                age.map_or(true, |age| age >= limit)
            }))
        }
        Err(error) if error.ends_the_run() => Err(error),
        Err(error) => {
            log::warn!("{}", error.report());
            Ok(true)
        }
    }
}

/// Any bad one decides; else what could not be checked, `lost` storages among it.
fn status(all: &[Verified], lost: Vec<Kind>) -> Option<Kind> {
    let count = |outcome| all.iter().filter(|one| one.outcome() == outcome).count();
    if count(CheckOutcome::Bad) > 0 {
        return Some(Kind::Damaged);
    }
    let mut undecided: Vec<Kind> = all.iter().filter_map(Verified::failure).collect();
    undecided.extend(lost);
    match undecided.as_slice() {
        [first, ..]
            if count(CheckOutcome::Good) == 0 && undecided.iter().all(|kind| kind == first) =>
        {
            Some(*first)
        }
        _ => overall(count(CheckOutcome::Good), &undecided),
    }
}
