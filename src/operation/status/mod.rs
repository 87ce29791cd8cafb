//! `status`: how each database stands, from what lies on its storages alone.
//!
//! Costs a listing of each storage for each database, its record of a failure, a manifest for each of the newest
//! backups, and the records of their checks. A storage that cannot be asked hides nothing that another one holds.

mod judge;
mod newest;
mod proven;
pub mod report;
pub mod subject;

use crate::cancel::Cancel;
use crate::error::{Error, Kind, Result};
use crate::repository::last_failure::Failure;
use crate::repository::names::BackupId;
use crate::repository::places::Places;
use crate::repository::{Repository, failure_record, run_mark};
use chrono::{DateTime, Utc};
use report::{DaemonLife, DatabaseStatus, StatusReport, StorageStatus};
use subject::StatusSubject;

/// Who obeys the schedules on this machine.
pub enum Attendance {
    /// This daemon.
    Daemon(DaemonLife),
    Nobody,
    /// Something else, or it cannot be told.
    Other,
}

/// How `subjects` stand on `places`, at the moment `now`, where the schedules have this `attendance`.
pub fn run(
    places: &Places,
    subjects: Vec<StatusSubject>,
    attendance: Attendance,
    now: DateTime<Utc>,
    cancel: &Cancel,
) -> Result<StatusReport> {
    let mut databases = Vec::new();
    for subject in subjects {
        databases.push(look(subject, places, now, cancel)?);
    }
    let mut failures = places.take_failures();
    let names: Vec<String> = places.names().map(str::to_string).collect();
    let storages = names.into_iter().map(|name| {
        let failed = failures.iter().position(|(failed, _)| *failed == name);
        let space = match (
            failed.map(|at| failures.swap_remove(at).1),
            places.usable(&name),
        ) {
            (Some(error), _) => Err(error),
            (None, Some(storage)) => storage.space(),
            (None, None) => Ok(None),
        };
        let newest = newest_bytes(&databases, &name);
        let problem = match &space {
            Ok(space) => space.as_ref().and_then(|space| judge::space(space, newest)),
            Err(error) => Some(judge::unreachable(error)),
        };
        StorageStatus {
            name,
            space,
            newest,
            problem,
        }
    });
    let storages = storages.collect();
    let scheduled =
        |database: &DatabaseStatus| database.next_run.is_some() || database.next_check.is_some();
    let (daemon, daemon_problem) = match attendance {
        Attendance::Daemon(daemon) => {
            let problem = judge::daemon(&daemon, now);
            (Some(daemon), problem)
        }
        Attendance::Nobody if databases.iter().any(scheduled) => (None, Some(judge::unattended())),
        _ => (None, None),
    };
    Ok(StatusReport {
        now,
        databases,
        storages,
        daemon,
        daemon_problem,
    })
}

/// The daemon that obeys the schedules on this machine. Fails where none is seen, and where it stands still.
pub fn daemon(attendance: Attendance, now: DateTime<Utc>) -> Result<DaemonLife> {
    let Attendance::Daemon(daemon) = attendance else {
        return Err(
            Error::failed("no daemon of this configuration is seen here")
                .hint("ask as the user that it runs as, and with the same configuration"),
        );
    };
    match judge::daemon(&daemon, now) {
        None => Ok(daemon),
        Some(problem) => {
            let error = Error::failed(format!("the daemon: {}", problem.what));
            Err(match problem.hint {
                Some(hint) => error.hint(hint),
                None => error,
            })
        }
    }
}

/// What the newest backups of all `databases` that are kept on `storage` have together.
fn newest_bytes(databases: &[DatabaseStatus], storage: &str) -> u64 {
    let newest = databases
        .iter()
        .filter_map(|database| database.newest.as_ref());
    let kept = newest.filter(|newest| newest.copies.iter().any(|copy| copy.storage == storage));
    kept.map(|newest| newest.entry.bytes).sum()
}

fn look(
    subject: StatusSubject,
    places: &Places,
    now: DateTime<Utc>,
    cancel: &Cancel,
) -> Result<DatabaseStatus> {
    let (name, storages) = (&subject.name, &subject.storages);
    let repository = Repository::open(name, storages, places, subject.expected, now, cancel)?;
    let found = newest::find(&subject, &repository, now, cancel)?;
    let proven = proven::find(&subject, &repository, now, cancel)?;
    let failure = last_failure(&subject, places, cancel)?;
    let cut_short = cut_short(name, &repository, cancel)?;
    let failed = storages.iter().filter(|name| places.has_failed(name));
    let unknown: Vec<&str> = failed.map(String::as_str).collect();
    let too_old = match (&found.newest, subject.max_age) {
        (Some(newest), Some(limit)) => newest.age.to_std().is_ok_and(|age| age > limit),
        (Some(_), None) => false,
        // what cannot be asked may hold one; of damaged ones alone, the damage is the news
        (None, limit) => unknown.is_empty() && (limit.is_some() || found.damaged.is_empty()),
    };
    let mut database = DatabaseStatus {
        name: name.clone(),
        none_counts: found.none_counts,
        newest: found.newest,
        damaged: found.damaged,
        from_the_future: found.from_the_future,
        cut_short,
        failure,
        failed_check: subject.failed_check,
        problems: Vec::new(),
        max_age: subject.max_age,
        too_old,
        proven,
        verify_level: subject.verify_level,
        max_unverified_age: subject.max_unverified_age,
        next_run: subject.next_run,
        next_check: subject.next_check,
    };
    database.problems = judge::database(&database, &unknown, storages.len(), now);
    Ok(database)
}

/// The newest run that was cut short on any storage.
fn cut_short(name: &str, repository: &Repository, cancel: &Cancel) -> Result<Option<BackupId>> {
    let mut newest = None;
    for (storage, listing) in repository.listings() {
        let found = repository.places().ask(storage, |storage| {
            run_mark::cut_short(storage, name, listing, cancel)
        })?;
        newest = newest.max(found.flatten());
    }
    Ok(newest)
}

/// The newest record of a failure on any storage or this machine, opened where a key does.
fn last_failure(
    subject: &StatusSubject,
    places: &Places,
    cancel: &Cancel,
) -> Result<Option<Failure>> {
    let mut newest = subject.failure_here.clone();
    for name in &subject.storages {
        let found = places.ask(name, |storage| {
            // a record that cannot be read tells nothing, which is not worth more than a line
            failure_record::read(storage, &subject.name, cancel).or_else(|error| {
                match error.kind() {
                    Kind::Damaged => {
                        log::warn!("{}", error.report());
                        Ok(None)
                    }
                    _ => Err(error),
                }
            })
        })?;
        let newer = |known: &Failure, found: &Failure| known.failed_at < found.failed_at;
        if let Some(found) = found.flatten()
            && newest.as_ref().is_none_or(|known| newer(known, &found))
        {
            newest = Some(found);
        }
    }
    if let Some(failure) = &mut newest {
        failure_record::open(failure, &subject.keys);
    }
    Ok(newest)
}
