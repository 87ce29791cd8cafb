//! What is wrong with how a database or a storage stands, and how badly.

use super::{Daemon, Damaged, Database, Flaw, State};
use crate::error::Error;
use crate::repository::size_check;
use crate::repository::size_check::Change;
use crate::storage::Space;
use crate::text::human::{human_age, human_bytes};
use chrono::{DateTime, TimeDelta, Utc};

/// How bad something is; the last one is the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth a look.
    Noted,
    /// To be mended soon.
    Warning,
    /// It cannot be told.
    Unknown,
    /// To be mended now.
    Critical,
}

impl Level {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Noted => "noted",
            Level::Warning => "warning",
            Level::Unknown => "unknown",
            Level::Critical => "critical",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub level: Level,
    /// A sentence without its stop.
    pub what: String,
}

impl Problem {
    /// A problem.
    pub fn new(level: Level, what: impl Into<String>) -> Problem {
        let what = what.into();
        Problem { level, what }
    }
}

/// The worst of `problems`.
pub(super) fn worst(problems: &[Problem]) -> Level {
    let levels = problems.iter().map(|problem| problem.level);
    levels.max().unwrap_or(Level::Ok)
}

/// What is wrong with `database`, of whose `storages` the `unknown` ones could not be asked. The worst comes first.
pub(super) fn database(
    database: &Database,
    unknown: &[&str],
    storages: usize,
    now: DateTime<Utc>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut add = |level, what: String| problems.push(Problem { level, what });
    match &database.newest {
        None if unknown.len() == storages => {
            add(Level::Unknown, "none of its storages can be asked".into())
        }
        None => add(Level::Critical, "there is no backup".into()),
        Some(newest) => {
            if newest.age < -TimeDelta::minutes(5) {
                let what = "the newest backup is from the future: one of the clocks is wrong";
                add(Level::Warning, what.into());
            }
            if newest.partial {
                add(Level::Noted, "the newest backup is a partial one".into());
            }
            if let Some(level) = size(&newest.size) {
                add(level, newest.size.to_string());
            }
            for copy in &newest.copies {
                match copy.state {
                    State::There(_) | State::Unknown => {}
                    State::Missing => add(
                        Level::Warning,
                        format!("the newest backup is not on the storage {}", copy.storage),
                    ),
                    State::Damaged(_, flaw) => add(
                        Level::Critical,
                        format!(
                            "the newest backup is damaged on the storage {}: {}",
                            copy.storage,
                            wrong(flaw, now)
                        ),
                    ),
                }
            }
        }
    }
    for Damaged { id, flaw } in &database.damaged {
        let what = format!("{id} is damaged: {}", wrong(*flaw, now));
        add(Level::Critical, what);
    }
    if let (Some(limit), Some(newest), true) =
        (database.max_age, &database.newest, database.too_old)
    {
        let limit = TimeDelta::from_std(limit).unwrap_or(TimeDelta::MAX);
        add(
            Level::Critical,
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
            add(Level::Warning, what);
        }
    }
    if let Some(failure) = database.failed_since() {
        add(
            Level::Warning,
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

fn wrong(flaw: Flaw, now: DateTime<Utc>) -> String {
    match flaw {
        Flaw::Size => "it has not the size that its manifest tells".to_string(),
        Flaw::Found(at, level) => format!(
            "verify found it bad {} ago, at the level {level}",
            human_age(now - at)
        ),
    }
}

/// What is wrong with the checks of a database that is to be checked.
fn unproven(database: &Database, now: DateTime<Utc>) -> Option<(Level, String)> {
    let limit = TimeDelta::from_std(database.max_unverified_age?).unwrap_or(TimeDelta::MAX);
    let (proven, check) = (&database.proven, database.verify_level);
    let level = match proven.too_long_ago {
        true => Level::Critical,
        false => Level::Noted,
    };
    let since = proven.verified_at.map(|at| now - at);
    match since {
        Some(since) if since < -TimeDelta::minutes(5) => {
            let what = "the last check is from the future: one of the clocks is wrong";
            Some((Level::Warning, what.into()))
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

fn size(change: &Change) -> Option<Level> {
    match change.level {
        size_check::Level::Usual => None,
        size_check::Level::Noted => Some(Level::Noted),
        size_check::Level::Warning => Some(Level::Warning),
        size_check::Level::Critical => Some(Level::Critical),
    }
}

/// What is wrong with the room on a storage.
pub(super) fn space(space: &Space) -> Option<Problem> {
    let percent = space.percent_free();
    let level = match percent {
        ..10.0 => Level::Critical,
        10.0..20.0 => Level::Warning,
        _ => return None,
    };
    let (free, total) = (human_bytes(space.free), human_bytes(space.total));
    Some(Problem::new(
        level,
        format!("{free} of {total} are free, {percent:.0} %"),
    ))
}

/// What is wrong with the daemon, which looks at the clock every minute.
pub(super) fn daemon(daemon: &Daemon, now: DateTime<Utc>) -> Option<Problem> {
    let silent = now - daemon.ticked_at;
    let since = human_age(silent);
    match daemon.alive {
        false => Some(Problem::new(
            Level::Warning,
            format!("it was killed, and last seen {since} ago"),
        )),
        true if silent > TimeDelta::minutes(5) => Some(Problem::new(
            Level::Critical,
            format!("it has not looked at the clock for {since}"),
        )),
        true => None,
    }
}

/// What is wrong where there are schedules and nothing that obeys them. Somewhere else there may be.
pub(super) fn unattended() -> Problem {
    let what =
        "none runs on this machine for this configuration, so nothing here obeys its schedules";
    Problem::new(Level::Noted, what)
}

/// What is wrong with a storage that cannot be asked.
pub(super) fn unreachable(error: &Error) -> Problem {
    Problem::new(Level::Warning, one_line(&error.chain()))
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
        let (critical, warning) = (Some(Level::Critical), Some(Level::Warning));
        assert_eq!(levels, [critical, critical, warning, warning, None, None]);
    }

    #[test]
    fn what_cannot_be_told_is_worse_than_a_warning_and_better_than_critical() {
        assert!(Level::Warning < Level::Unknown && Level::Unknown < Level::Critical);
    }
}
