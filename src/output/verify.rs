//! What `verify` prints: a line for each copy and each fault, or the sums of a report.

use super::error::error_json;
use super::look::Look;
use crate::operation::verify::report::{Past, Row, rows};
use crate::operation::verify::verified::Verified;
use crate::repository::check_records::{CheckLevel, CheckOutcome};
use crate::text::duration;
use crate::text::human::human_age;
use crate::text::rfc3339;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::time::Duration;

/// `backup, good, level, storage, duration` with tabs between, and a line for each fault.
pub fn verified_text(verified: &Verified, look: Look) -> String {
    let storage = verified.storage.as_deref().unwrap_or("-");
    let (level, took) = (verified.level.to_string(), duration::display(verified.took));
    let outcome = verified.outcome().name();
    let mut text = look.line(&[&verified.backup, outcome, &level, storage, &took]);
    if let Ok(evidence) = &verified.result {
        for fault in &evidence.faults {
            let fault = fault.to_string();
            text += &look.line(&["fault", &verified.backup, storage, &fault]);
        }
    }
    text
}

/// The document of `verify --json`.
pub fn verify_json(all: &[Verified], level: CheckLevel) -> Value {
    let count = |outcome| all.iter().filter(|one| one.outcome() == outcome).count();
    let checks: Vec<Value> = all.iter().map(verified_json).collect();
    json!({
        "level": level.name(),
        "good": count(CheckOutcome::Good),
        "bad": count(CheckOutcome::Bad),
        "undecided": count(CheckOutcome::Undecided),
        "checks": checks,
    })
}

fn verified_json(verified: &Verified) -> Value {
    let mut object = json!({
        "backup": verified.backup,
        "storage": verified.storage,
        "location": verified.location,
        "level": verified.level.name(),
        "result": verified.outcome().name(),
        "duration": duration::display(verified.took),
        "duration_seconds": verified.took.as_secs_f64(),
    });
    match &verified.result {
        Ok(evidence) => {
            object["faults"] = json!(evidence.faults);
            object["notes"] = json!(evidence.notes);
            object["tables"] = json!(evidence.tables);
            object["rows"] = json!(evidence.rows);
            object["plain_bytes"] = json!(evidence.plain_bytes);
            object["sha256"] = json!(evidence.sha256);
            object["restore_seconds"] = json!(evidence.restore_seconds);
        }
        Err(error) => object["error"] = error_json(error),
    }
    object
}

/// The table of `verify --report`. `now` is for the ages.
pub fn report_text(past: &[Past], now: DateTime<Utc>, look: Look) -> String {
    let header = [
        "DATABASE",
        "STORAGE",
        "LEVEL",
        "CHECKS",
        "GOOD",
        "BAD",
        "UNDECIDED",
        "SUCCESS",
        "TOOK",
        "TREND",
        "RESTORE",
        "LAST",
    ];
    let mut lines = vec![header.map(String::from)];
    lines.extend(rows(past).iter().map(|row| report_row(row, now)));
    look.table(&lines)
}

fn report_row(row: &Row, now: DateTime<Utc>) -> [String; 12] {
    let unknown = || "-".to_string();
    let seconds = |seconds: f64| duration::display(Duration::from_secs_f64(seconds.max(0.0)));
    let count = |outcome| row.count(outcome).to_string();
    let last = row.checks.last();
    [
        row.database.to_string(),
        row.storage.to_string(),
        row.level.to_string(),
        row.checks.len().to_string(),
        count(CheckOutcome::Good),
        count(CheckOutcome::Bad),
        count(CheckOutcome::Undecided),
        row.success()
            .map_or_else(unknown, |part| format!("{:.1}%", part * 100.0)),
        row.median().map_or_else(unknown, seconds),
        row.trend()
            .map_or_else(unknown, |trend| format!("{:+.0}%", trend * 100.0)),
        row.restore_median().map_or_else(unknown, seconds),
        last.map_or_else(unknown, |check| {
            format!("{} {} ago", check.result.name(), human_age(now - check.at))
        }),
    ]
}

/// The document of `verify --report --json`.
pub fn report_json(past: &[Past], since: DateTime<Utc>) -> Value {
    let rows: Vec<Value> = rows(past).iter().map(row_json).collect();
    let checks: Vec<Value> = past.iter().map(past_json).collect();
    json!({ "since": rfc3339::precise(since), "rows": rows, "checks": checks })
}

fn row_json(row: &Row) -> Value {
    json!({
        "database": row.database,
        "storage": row.storage,
        "level": row.level.name(),
        "checks": row.checks.len(),
        "good": row.count(CheckOutcome::Good),
        "bad": row.count(CheckOutcome::Bad),
        "undecided": row.count(CheckOutcome::Undecided),
        "success": row.success(),
        "median_seconds": row.median(),
        "trend": row.trend(),
        "median_restore_seconds": row.restore_median(),
        "last_at": row.checks.last().map(|check| rfc3339::precise(check.at)),
    })
}

fn past_json(past: &Past) -> Value {
    let check = &past.check;
    json!({
        "backup": past.id.to_string(),
        "storage": past.storage,
        "at": rfc3339::precise(check.at),
        "level": check.level.name(),
        "result": check.result.name(),
        "duration_seconds": check.duration_seconds,
        "restore_seconds": check.restore_seconds,
        "tables": check.tables,
        "rows": check.rows,
        "faults": check.faults,
    })
}
