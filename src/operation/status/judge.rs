//! What is wrong with how a database or a storage stands, and how badly.

use super::report::{
    CopyState, DaemonLife, DamagedBackup, DatabaseStatus, FutureBackup, NewestBackup, Problem,
    Severity,
};
use crate::error::Error;
use crate::repository::size_check::{SizeChange, SizeLevel};
use crate::repository::standing::Objection;
use crate::storage::{MORE_ROOM, RoomLevel, Space, TO_BE_USED};
use crate::text::human::human_age;
use crate::text::ours;
use crate::text::shell::word;
use chrono::{DateTime, TimeDelta, Utc};

/// What is wrong with `database`, where the `unknown` ones of its `storages` could not be asked. The worst comes first.
pub(super) fn database(
    database: &DatabaseStatus,
    unknown: &[&str],
    storages: usize,
    now: DateTime<Utc>,
) -> Vec<Problem> {
    use Severity::{Critical, Unknown, Warning};
    let back_up = || ours::command(&format!("backup --db {}", word(&database.name)));
    let make_one = || format!("make one: {}", back_up());
    let newest = database.newest.as_ref();
    let mut problems = newest.map_or_else(Vec::new, |newest| of_newest(newest, now, &make_one()));
    let mut add = |level, what: String, hint: String| {
        problems.push(Problem::new(level, what).hint(hint));
    };
    match newest {
        None if unknown.len() == storages => add(
            Unknown,
            "none of its storages can be asked".into(),
            "see below what is wrong with them".into(),
        ),
        None if database.none_counts => {
            let list = ours::command(&format!("list --db {}", word(&database.name)));
            let hint = format!(
                "see what speaks against each: {list}; another one is made with: {}",
                back_up()
            );
            add(
                Critical,
                "there are backups, and none of them counts".into(),
                hint,
            );
        }
        None => add(Critical, "there is no backup".into(), make_one()),
        Some(_) => {}
    }
    if let Some(FutureBackup { id, hint }) = &database.from_the_future {
        let what = format!("{id} is from the future: one of the clocks is or was wrong");
        add(Warning, what, hint.clone());
    }
    for DamagedBackup { id, flaw } in &database.damaged {
        let what = format!("{id} is damaged: {}", flaw.words(now));
        // another one may hold the same, such as rows that break a key
        let hint = match flaw {
            Objection::FoundBad(_, level) => format!(
                "see what was found, and whether another backup would hold it too: {}; make one: {}",
                ours::command(&format!("verify --level {level} {}", word(&id.to_string()))),
                back_up()
            ),
            _ => make_one(),
        };
        add(Critical, what, hint);
    }
    if let (Some(limit), Some(newest), true) =
        (database.max_age, &database.newest, database.too_old)
    {
        let limit = TimeDelta::from_std(limit).unwrap_or(TimeDelta::MAX);
        let what = format!(
            "the newest backup is {} old, allowed are {}",
            human_age(newest.age),
            human_age(limit)
        );
        add(Critical, what, make_one());
    }
    if let Some((level, what)) = unproven(database, now) {
        let (name, level_wanted) = (word(&database.name), database.verify_level);
        let check = ours::command(&format!(
            "verify --db {name} --latest --level {level_wanted}"
        ));
        add(level, what, format!("check it: {check}"));
    }
    if database.newest.is_some() {
        for name in unknown {
            let what = format!("the storage {name} cannot be asked and may hold a newer backup");
            add(Warning, what, "see below what is wrong with it".into());
        }
    }
    if let Some(id) = database.cut_short_since() {
        let what = format!(
            "the run that began {} ago was cut short: it was killed, or its machine went down",
            human_age(now - id.timestamp.moment())
        );
        let hint = format!(
            "make the backup, which removes what is left of it: {}",
            back_up()
        );
        add(Warning, what, hint);
    }
    if let Some(failure) = database.failed_since() {
        let what = format!(
            "the last run failed {} ago: {}",
            human_age(now - failure.failed_at),
            one_line(failure.message())
        );
        let hint = failure.hint().map(one_line);
        add(
            Warning,
            what,
            hint.unwrap_or_else(|| format!("try again: {}", back_up())),
        );
    }
    if let Some(failure) = database.check_failed_since() {
        let what = format!(
            "the last check could not be made {} ago: {}",
            human_age(now - failure.failed_at),
            one_line(failure.message())
        );
        let again = || {
            format!(
                "try again: {}",
                ours::command(&format!("verify --db {}", word(&database.name)))
            )
        };
        let hint = failure.hint().map(one_line);
        add(Warning, what, hint.unwrap_or_else(again));
    }
    problems.sort_by_key(|problem| std::cmp::Reverse(problem.level));
    problems
}

/// What is wrong with the newest backup that counts; `make_one` says how another is made.
fn of_newest(newest: &NewestBackup, now: DateTime<Utc>, make_one: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut add = |level, what: String, hint: String| {
        problems.push(Problem::new(level, what).hint(hint));
    };
    let id = word(&newest.entry.id.to_string());
    if newest.partial {
        add(
            Severity::Noted,
            "the newest backup is a partial one".into(),
            "backup.options leave out the rest; leave them out if that is not meant".into(),
        );
    }
    if let Some(level) = size(&newest.size) {
        let look = ours::command(&format!("list --db {}", word(&newest.entry.id.database)));
        let compare = ours::command("diff");
        let hint = format!("see what changed: {look}, then {compare} OLDER {id}");
        add(level, newest.size.to_string(), hint);
    }
    if let Some(at) = newest.failed_assertion {
        let ago = human_age(now - at);
        let what = format!("the newest backup failed an assertion in the drill {ago} ago");
        let again = ours::command(&format!("verify --level restore {id}"));
        add(Severity::Critical, what, format!("see which one: {again}"));
    }
    for copy in &newest.copies {
        match copy.state {
            CopyState::There(_) | CopyState::Unknown => {}
            CopyState::Missing => add(
                Severity::Warning,
                format!("the newest backup is not on the storage {}", copy.storage),
                make_one.to_string(),
            ),
            CopyState::Damaged(_, flaw) => add(
                Severity::Critical,
                format!(
                    "the newest backup is damaged on the storage {}: {}",
                    copy.storage,
                    flaw.words(now)
                ),
                make_one.to_string(),
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

/// What is wrong with the room on a storage, where the newest backups have `newest` bytes together.
pub(super) fn space(space: &Space, newest: u64) -> Option<Problem> {
    let level = match space.level(newest) {
        RoomLevel::Enough => return None,
        RoomLevel::Little => Severity::Warning,
        RoomLevel::HardlyAny => Severity::Critical,
    };
    Some(Problem::new(level, space.words(newest)).hint(MORE_ROOM))
}

/// What is wrong with the daemon, which looks at the clock every minute.
pub(super) fn daemon(daemon: &DaemonLife, now: DateTime<Utc>) -> Option<Problem> {
    if !daemon.alive {
        let since = human_age(now - daemon.ticked_at);
        let what = format!("it was killed, and last seen {since} ago");
        return Some(Problem::new(Severity::Warning, what).hint(START));
    }
    let since = human_age(daemon.hangs()?);
    let what = format!("it hangs: it has not looked at the clock for {since}");
    let hint = format!(
        "see what it waits for, and start it again: its process is {}",
        daemon.pid
    );
    Some(Problem::new(Severity::Critical, what).hint(hint))
}

/// How the daemon is started by whoever started it before.
const START: &str =
    "start it again, as a service with: systemctl start backupkit; else: backupkit daemon";

/// What is wrong where there are schedules and nothing that obeys them. Somewhere else there may be.
pub(super) fn unattended() -> Problem {
    let what =
        "none runs on this machine for this configuration, so nothing here obeys its schedules";
    let hint = "start one: systemctl enable --now backupkit, or backupkit daemon; where cron makes the backups, leave the \
                schedules out";
    Problem::new(Severity::Noted, what).hint(hint)
}

/// What is wrong with a storage that cannot be asked.
pub(super) fn unreachable(error: &Error) -> Problem {
    let problem = Problem::new(Severity::Warning, one_line(&error.chain()));
    problem.hint(
        error
            .first_hint()
            .map_or_else(|| TO_BE_USED.to_string(), one_line),
    )
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_told_is_worse_than_a_warning_and_better_than_critical() {
        assert!(Severity::Warning < Severity::Unknown && Severity::Unknown < Severity::Critical);
    }
}
