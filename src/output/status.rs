//! What `status` prints: tables for people, a document for programs, a line for monitoring.

use super::error::error_json;
use super::look::Look;
use crate::operation::status::report::{
    CopyState, DaemonLife, DatabaseStatus, NewestBackup, NewestCopy, Problem, Severity,
    StatusReport, StorageStatus,
};
use crate::text::escape::{printable, printable_list};
use crate::text::human::{human_age, human_bytes};
use crate::text::rfc3339;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// A row for each database, what is wrong with each, a row for each storage.
pub fn status_text(report: &StatusReport, look: Look) -> String {
    let header = [
        "DATABASE",
        "STATE",
        "BACKUP",
        "AGE",
        "SIZE",
        "CHANGE",
        "COPIES",
        "PROVEN",
        "NEXT RUN",
        "NEXT CHECK",
    ];
    let mut rows = vec![header.map(String::from)];
    rows.extend(
        report
            .databases
            .iter()
            .map(|database| row(database, report.now)),
    );
    let mut text = look.table(&filled(rows));
    let said: String = problems(report)
        .map(|(name, problem)| {
            let (level, what) = (look.state(problem.level.name()), printable(&problem.what));
            let hint = problem.hint.as_deref().map(printable);
            let hint = hint.map_or_else(String::new, |hint| {
                look.paragraph(&format!("  hint: {hint}"))
            });
            look.paragraph(&format!("{}: {level}: {what}", printable(&name))) + &hint
        })
        .collect();
    if !said.is_empty() {
        text.push_str(&format!("\n{said}"));
    }
    let header = ["STORAGE", "STATE", "FREE", "OF"];
    let mut storages = vec![header.map(String::from)];
    storages.extend(report.storages.iter().map(storage_row));
    text.push_str(&format!("\n{}", look.table(&storages)));
    if let Some(daemon) = report.daemon.as_ref().filter(|daemon| daemon.alive) {
        text.push_str(&format!("\n{}\n", daemon_line(daemon, report.now)));
    }
    text
}

/// What a daemon that is alive does.
pub fn daemon_line(daemon: &DaemonLife, now: DateTime<Utc>) -> String {
    let on = || printable_list(&daemon.running);
    let state = match (daemon.hangs().is_some(), daemon.running.is_empty()) {
        (true, true) => "hangs".to_string(),
        (true, false) => format!("hangs, at work on {}", on()),
        (false, true) => "is idle".to_string(),
        (false, false) => format!("is at work on {}", on()),
    };
    let since = human_age(now - daemon.started_at);
    format!(
        "the daemon, process {}, has run for {since} and {state}",
        daemon.pid
    )
}

/// `rows` without the columns that say nothing of any database: those of the newest backup always do, or their lack does.
fn filled(rows: Vec<[String; 10]>) -> Vec<Vec<String>> {
    const ALWAYS: usize = 5;
    let says =
        |column: &usize| *column < ALWAYS || rows.iter().skip(1).any(|row| row[*column] != "-");
    let columns: Vec<usize> = (0..10).filter(says).collect();
    let of_row = |row: &[String; 10]| columns.iter().map(|at| row[*at].clone()).collect();
    rows.iter().map(of_row).collect()
}

/// What is wrong, each with the database or the storage that it is about.
fn problems(report: &StatusReport) -> impl Iterator<Item = (String, Problem)> {
    let databases = report.databases.iter().flat_map(|database| {
        let problems = database.problems.iter();
        problems.map(|problem| (database.name.clone(), problem.clone()))
    });
    let storages = report.storages.iter().filter_map(|storage| {
        let problem = storage.problem.clone()?;
        Some((format!("storage {}", storage.name), problem))
    });
    let daemon = report.daemon_problem.clone();
    let daemon = daemon.map(|problem| ("daemon".to_string(), problem));
    databases.chain(storages).chain(daemon)
}

fn row(database: &DatabaseStatus, now: DateTime<Utc>) -> [String; 10] {
    let unknown = || "-".to_string();
    let newest = database.newest.as_ref();
    let of = |tell: fn(&NewestBackup) -> String| newest.map_or_else(unknown, tell);
    [
        database.name.clone(),
        database.level().name().to_string(),
        of(|newest| minute(newest.entry.id.timestamp.moment())),
        of(|newest| human_age(newest.age)),
        of(|newest| human_bytes(newest.entry.total_bytes())),
        of(|newest| match newest.size.percent() {
            Some(percent) => change(percent),
            None => "-".to_string(),
        }),
        of(|newest| {
            let there = newest.copies.iter().filter(|copy| copy.is_there()).count();
            format!("{there}/{}", newest.copies.len())
        }),
        proven(database, now).unwrap_or_else(unknown),
        database.next_run.map_or_else(unknown, minute),
        database.next_check.map_or_else(unknown, minute),
    ]
}

/// How long ago a backup was proven restorable; where none was, how long ago it passed the checks that are made.
fn proven(database: &DatabaseStatus, now: DateTime<Utc>) -> Option<String> {
    let age = |at: DateTime<Utc>| human_age(now - at);
    let proven = &database.proven;
    let verified = |at| format!("{} ({})", age(at), database.verify_level);
    let restorable = proven.restorable_at.map(age);
    restorable.or_else(|| proven.verified_at.map(verified))
}

fn storage_row(storage: &StorageStatus) -> [String; 4] {
    let level = storage.problem.as_ref().map_or(Severity::Ok, |p| p.level);
    let (free, total) = match &storage.space {
        Ok(Some(space)) => (human_bytes(space.free), human_bytes(space.total)),
        Ok(None) => ("-".into(), "-".into()),
        Err(_) => ("?".into(), "?".into()),
    };
    [storage.name.clone(), level.name().into(), free, total]
}

/// Whole percents, and no sign where there are none.
fn change(percent: f64) -> String {
    match percent.round() {
        0.0 => "0 %".to_string(),
        percent => format!("{percent:+} %"),
    }
}

fn minute(moment: DateTime<Utc>) -> String {
    moment.format("%Y-%m-%dT%H:%MZ").to_string()
}

/// The document of `status --json`.
pub fn status_json(report: &StatusReport) -> Value {
    let databases: Vec<Value> = report
        .databases
        .iter()
        .map(|database| database_json(database, report.now))
        .collect();
    let storages: Vec<Value> = report.storages.iter().map(storage_json).collect();
    json!({
        "now": rfc3339::precise(report.now),
        "state": report.level().name(),
        "databases": databases,
        "storages": storages,
        "unattended": report.is_unattended(),
        "daemon": report.daemon.as_ref().map(|daemon| {
            let problem = report.daemon_problem.as_ref();
            let level = problem.map_or(Severity::Ok, |problem| problem.level);
            daemon_json(daemon, level)
        }),
    })
}

/// A daemon, and how well it is.
pub fn daemon_json(daemon: &DaemonLife, level: Severity) -> Value {
    json!({
        "pid": daemon.pid,
        "alive": daemon.alive,
        "hangs": daemon.hangs().is_some(),
        "started_at": rfc3339::precise(daemon.started_at),
        "ticked_at": rfc3339::precise(daemon.ticked_at),
        "running": daemon.running,
        "state": level.name(),
    })
}

fn database_json(database: &DatabaseStatus, now: DateTime<Utc>) -> Value {
    let newest = database.newest.as_ref();
    let failed_since = database.failed_since().is_some();
    json!({
        "database": database.name,
        "state": database.level().name(),
        "problems": database.problems.iter().map(problem_json).collect::<Vec<_>>(),
        "damaged": database.damaged.iter().map(|known| known.id.to_string()).collect::<Vec<_>>(),
        "last_success": newest.map(newest_json),
        "last_failure": database.failure.as_ref().map(|failure| json!({
            "started_at": rfc3339::precise(failure.started_at),
            "failed_at": rfc3339::precise(failure.failed_at),
            "age_seconds": (now - failure.failed_at).num_seconds(),
            "host": failure.host,
            "kind": failure.kind,
            "exit_status": failure.exit_status,
            "message": failure.message(),
            "hint": failure.hint(),
            "since_last_success": failed_since,
        })),
        "next_run": database.next_run.map(rfc3339::precise),
        "max_age_seconds": database.max_age.map(|limit| limit.as_secs()),
        "too_old": database.too_old,
        "proven_at": database.proven.restorable_at.map(rfc3339::precise),
        "verified_at": database.proven.verified_at.map(rfc3339::precise),
        "verify_level": database.verify_level.name(),
        "max_unverified_age_seconds": database.max_unverified_age.map(|limit| limit.as_secs()),
        "unverified_too_long": database.proven.too_long_ago,
        "next_check": database.next_check.map(rfc3339::precise),
    })
}

fn newest_json(newest: &NewestBackup) -> Value {
    let copies: Vec<Value> = newest.copies.iter().map(copy_json).collect();
    json!({
        "id": newest.entry.id.to_string(),
        "key": newest.entry.archive_key(),
        "started_at": rfc3339::precise(newest.entry.id.timestamp.moment()),
        "finished_at": newest.finished_at.map(rfc3339::precise),
        "age_seconds": newest.age.num_seconds(),
        "bytes": newest.entry.total_bytes(),
        "partial": newest.partial,
        "size": {
            "state": newest.size.level.name(),
            "median_bytes": newest.size.median,
            "compared": newest.size.compared,
            "change_percent": newest.size.percent(),
        },
        "copies": copies,
    })
}

fn copy_json(copy: &NewestCopy) -> Value {
    let (status, location) = match &copy.state {
        CopyState::There(location) => ("ok", Some(location)),
        CopyState::Damaged(location, _) => ("damaged", Some(location)),
        CopyState::Missing => ("missing", None),
        CopyState::Unknown => ("unknown", None),
    };
    json!({ "storage": copy.storage, "status": status, "location": location })
}

fn problem_json(problem: &Problem) -> Value {
    json!({ "state": problem.level.name(), "what": problem.what, "hint": problem.hint })
}

fn storage_json(storage: &StorageStatus) -> Value {
    let mut object = json!({
        "storage": storage.name,
        "status": if storage.space.is_ok() { "ok" } else { "failed" },
        "state": storage.problem.as_ref().map_or(Severity::Ok, |problem| problem.level).name(),
        "free_bytes": null,
        "total_bytes": null,
        "room_for": null,
    });
    match &storage.space {
        Ok(Some(space)) => {
            object["free_bytes"] = space.free.into();
            object["total_bytes"] = space.total.into();
            object["room_for"] = space.room_for(storage.newest).into();
        }
        Ok(None) => {}
        Err(error) => object["error"] = error_json(error),
    }
    object
}

/// What a monitoring plugin exits with.
pub fn nagios_status(level: Severity) -> u8 {
    match level {
        Severity::Ok | Severity::Noted => 0,
        Severity::Warning => 1,
        Severity::Critical => 2,
        Severity::Unknown => 3,
    }
}

fn nagios_word(level: Severity) -> &'static str {
    match nagios_status(level) {
        0 => "OK",
        1 => "WARNING",
        2 => "CRITICAL",
        _ => "UNKNOWN",
    }
}

/// The line of `status --nagios`: the state, what is wrong or how it stands, and the performance data.
pub fn status_nagios(report: &StatusReport) -> String {
    let mut said: Vec<(Severity, String)> = problems(report)
        .filter(|(_, problem)| problem.level > Severity::Noted)
        .map(|(name, problem)| (problem.level, format!("{name}: {}", problem.what)))
        .collect();
    said.sort_by_key(|(level, _)| std::cmp::Reverse(*level));
    let mut said: Vec<String> = said.into_iter().map(|(_, what)| what).collect();
    if said.is_empty() {
        let newest = report.databases.iter().flat_map(|database| {
            let newest = database.newest.as_ref()?;
            let (age, size) = (
                human_age(newest.age),
                human_bytes(newest.entry.total_bytes()),
            );
            Some(format!("{}: {age} old, {size}", database.name))
        });
        said = newest.collect();
    }
    let data: String = report
        .databases
        .iter()
        .map(|database| performance(database, report.now))
        .collect();
    let data = data.trim_end();
    let line = nagios_line(nagios_word(report.level()), &said.join("; "));
    match data {
        "" => line,
        data => format!("{line} | {data}"),
    }
}

/// A plugin's line without performance data.
pub fn nagios_line(word: &str, said: &str) -> String {
    // a bar would begin the performance data, and a second line the long text
    let said = said.replace('|', "/");
    let said: Vec<&str> = said.split_whitespace().collect();
    format!("BACKUPKIT {word} - {}", said.join(" "))
}

/// `'label'=value[unit];[warn];[crit];[min]` for age, size and time since a check, as the Monitoring Plugins' guidelines have it.
fn performance(database: &DatabaseStatus, now: DateTime<Utc>) -> String {
    let Some(newest) = &database.newest else {
        return String::new();
    };
    let name: String = database.name.replace('\'', "''").replace('=', "_");
    let limit = database.max_age.map(|limit| limit.as_secs().to_string());
    let mut data = format!(
        "'{name}_age'={}s;;{};0 '{name}_size'={}B;;;0 ",
        newest.age.num_seconds().max(0),
        limit.unwrap_or_default(),
        newest.entry.total_bytes()
    );
    if let Some(at) = database.proven.verified_at {
        let limit = database.max_unverified_age;
        let limit = limit.map(|limit| limit.as_secs().to_string());
        data.push_str(&format!(
            "'{name}_unverified'={}s;;{};0 ",
            (now - at).num_seconds().max(0),
            limit.unwrap_or_default()
        ));
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_there_where_it_says_something_of_some_database() {
        let row = |cells: &str| -> [String; 10] {
            let cells: Vec<String> = cells.split(' ').map(String::from).collect();
            cells.try_into().unwrap()
        };
        let shown = |rows: &[&str]| {
            let filled = filled(rows.iter().map(|cells| row(cells)).collect());
            filled.iter().map(|row| row.join(" ")).collect::<Vec<_>>()
        };
        let header = "a b c d e f g h i j";
        assert_eq!(
            shown(&[header, "1 2 - - - - 7 - - -", "1 2 3 4 5 - - - 9 -"]),
            ["a b c d e g i", "1 2 - - - 7 -", "1 2 3 4 5 - 9"]
        );
        assert_eq!(shown(&[header]), ["a b c d e"]);
    }

    #[test]
    fn a_change_of_nothing_has_no_sign() {
        let shown = [0.0, -0.0, -0.4, 0.4, -12.6, 55.5].map(change);
        assert_eq!(shown, ["0 %", "0 %", "0 %", "0 %", "-13 %", "+56 %"]);
    }
}
