//! What is wrong with how a database or a storage stands, and how badly.

use super::report::{
    CopyState, DaemonLife, DamagedBackup, DatabaseStatus, NewestBackup, Problem, Severity,
};
use crate::error::Error;
use crate::repository::size_check::{SizeChange, SizeLevel};
use crate::storage::Space;
use crate::text::human::{human_age, human_bytes};
use chrono::{DateTime, TimeDelta, Utc};

/// What is wrong with `database`, where the `unknown` ones of its `storages` could not be asked. The worst comes first.
pub(super) fn database(
    database: &DatabaseStatus,
    unknown: &[&str],
    storages: usize,
    now: DateTime<Utc>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut add = |level, what: String| problems.push(Problem { level, what });
    match &database.newest {
        None if unknown.len() == storages => add(
            Severity::Unknown,
            "none of its storages can be asked".into(),
        ),
        None => add(Severity::Critical, "there is no backup".into()),
        Some(newest) => problems.extend(of_newest(newest, now)),
    }
    let mut add = |level, what: String| problems.push(Problem { level, what });
    if let Some(id) = &database.from_the_future {
        let what = format!("{id} is from the future: one of the clocks is or was wrong");
        add(Severity::Warning, what);
    }
    for DamagedBackup { id, flaw } in &database.damaged {
        let what = format!("{id} is damaged: {}", flaw.words(now));
        add(Severity::Critical, what);
    }
    if let (Some(limit), Some(newest), true) =
        (database.max_age, &database.newest, database.too_old)
    {
        let limit = TimeDelta::from_std(limit).unwrap_or(TimeDelta::MAX);
        add(
            Severity::Critical,
            format!(
                "the newest backup is {} old, allowed are {}",
                human_age(newest.age),
                human_age(limit)
            ),
        );
    }
    if let Some((level, what)) = unproven(database, now) {
        add(level, what);
    }
    if database.newest.is_some() {
        for name in unknown {
            let what = format!("the storage {name} cannot be asked and may hold a newer backup");
            add(Severity::Warning, what);
        }
    }
    if let Some(failure) = database.failed_since() {
        add(
            Severity::Warning,
            format!(
                "the last run failed {} ago: {}",
                human_age(now - failure.failed_at),
                one_line(failure.message())
            ),
        );
    }
    problems.sort_by_key(|problem| std::cmp::Reverse(problem.level));
    problems
}

/// What is wrong with the newest backup that counts.
fn of_newest(newest: &NewestBackup, now: DateTime<Utc>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut add = |level, what: String| problems.push(Problem { level, what });
    if newest.partial {
        add(Severity::Noted, "the newest backup is a partial one".into());
    }
    if let Some(level) = size(&newest.size) {
        add(level, newest.size.to_string());
    }
    if let Some(at) = newest.failed_assertion {
        let ago = human_age(now - at);
        let what = format!("the newest backup failed an assertion in the drill {ago} ago");
        add(Severity::Critical, what);
    }
    for copy in &newest.copies {
        match copy.state {
            CopyState::There(_) | CopyState::Unknown => {}
            CopyState::Missing => add(
                Severity::Warning,
                format!("the newest backup is not on the storage {}", copy.storage),
            ),
            CopyState::Damaged(_, flaw) => add(
                Severity::Critical,
                format!(
                    "the newest backup is damaged on the storage {}: {}",
                    copy.storage,
                    flaw.words(now)
                ),
            ),
        }
    }
    problems
}

/// What is wrong with the checks of a database that is to be checked.
fn unproven(database: &DatabaseStatus, now: DateTime<Utc>) -> Option<(Severity, String)> {
    let limit = TimeDelta::from_std(database.max_unverified_age?).unwrap_or(TimeDelta::MAX);
    let (proven, check) = (&database.proven, database.verify_level);
    let level = match proven.too_long_ago {
        true => Severity::Critical,
        false => Severity::Noted,
    };
    let since = proven.verified_at.map(|at| now - at);
    match since {
        Some(since) if since < -TimeDelta::minutes(5) => {
            let what = "the last check is from the future: one of the clocks is wrong";
            Some((Severity::Warning, what.into()))
        }
        Some(since) if proven.too_long_ago => Some((
            level,
            format!(
                "no check of level {check} has found a backup good for {}, allowed are {}",
                human_age(since),
                human_age(limit)
            ),
        )),
        Some(_) => None,
        None => Some((
            level,
            format!(
                "no check of level {check} has found a backup good yet, one every {} has to",
                human_age(limit)
            ),
        )),
    }
}

fn size(change: &SizeChange) -> Option<Severity> {
    match change.level {
        SizeLevel::Usual => None,
        SizeLevel::Noted => Some(Severity::Noted),
        SizeLevel::Warning => Some(Severity::Warning),
        SizeLevel::Critical => Some(Severity::Critical),
    }
}

/// What is wrong with the room on a storage.
pub(super) fn space(space: &Space) -> Option<Problem> {
    let percent = space.percent_free();
    let level = match percent {
        ..10.0 => Severity::Critical,
        10.0..20.0 => Severity::Warning,
        _ => return None,
    };
    let (free, total) = (human_bytes(space.free), human_bytes(space.total));
    Some(Problem::new(
        level,
        format!("{free} of {total} are free, {percent:.0} %"),
    ))
}

/// What is wrong with the daemon, which looks at the clock every minute.
pub(super) fn daemon(daemon: &DaemonLife, now: DateTime<Utc>) -> Option<Problem> {
    let silent = now - daemon.ticked_at;
    let since = human_age(silent);
    match daemon.alive {
        false => Some(Problem::new(
            Severity::Warning,
            format!("it was killed, and last seen {since} ago"),
        )),
        true if silent > TimeDelta::minutes(5) => Some(Problem::new(
            Severity::Critical,
            format!("it has not looked at the clock for {since}"),
        )),
        true => None,
    }
}

/// What is wrong where there are schedules and nothing that obeys them. Somewhere else there may be.
pub(super) fn unattended() -> Problem {
    let what =
        "none runs on this machine for this configuration, so nothing here obeys its schedules";
    Problem::new(Severity::Noted, what)
}

/// What is wrong with a storage that cannot be asked.
pub(super) fn unreachable(error: &Error) -> Problem {
    Problem::new(Severity::Warning, one_line(&error.chain()))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_judged_by_its_part_of_the_whole() {
        let level = |free| {
            let total = 1000;
            space(&Space { free, total }).map(|problem| problem.level)
        };
        let levels = [0, 99, 100, 199, 200, 1000].map(level);
        let (critical, warning) = (Some(Severity::Critical), Some(Severity::Warning));
        assert_eq!(levels, [critical, critical, warning, warning, None, None]);
    }

    #[test]
    fn what_cannot_be_told_is_worse_than_a_warning_and_better_than_critical() {
        assert!(Severity::Warning < Severity::Unknown && Severity::Unknown < Severity::Critical);
    }
}
