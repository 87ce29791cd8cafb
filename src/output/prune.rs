//! What `prune`, `pin` and `unpin` print: a line for each backup that goes, or the calendar of all of them.

use super::error::error_json;
use super::look::Look;
use crate::operation::prune::outcome::{PruneOutcome, PruneStatus};
use crate::operation::prune::{Judged, Spared};
use crate::repository::names::BackupId;
use crate::repository::pins::{PinnedCopy, Pinning};
use crate::repository::retention::{Period, Policy, Reason, Verdict, Why};
use crate::text::duration;
use crate::text::escape::printable;
use crate::text::human::human_bytes;
use crate::text::rfc3339;
use crate::text::table::fields;
use chrono::{Datelike, NaiveDate};
use serde_json::{Value, json};

/// The word of [`PruneStatus`] in JSON and, but for a dry run, in the line of a database.
fn status(outcome: &PruneOutcome) -> &'static str {
    match outcome.status() {
        PruneStatus::Done => "ok",
        PruneStatus::Refused => "refused",
        PruneStatus::Failed => "failed",
    }
}

/// A line for each backup that goes and each sidecar that is swept, then one for the database.
pub fn prune_text(outcome: &PruneOutcome, look: Look) -> String {
    let PruneOutcome {
        database, storage, ..
    } = outcome;
    let status = match outcome.status() {
        PruneStatus::Done if outcome.dry_run => "dry-run",
        _ => status(outcome),
    };
    let mut text = String::new();
    let mut line = |of_line: &[&str]| text += &look.line(of_line);
    // of what could not be looked at nothing is known
    let unknown = || "-".to_string();
    let mut counts = [unknown(), unknown(), unknown()];
    if let Ok(pruned) = &outcome.result {
        let (mut deleted, mut freed) = (0, 0);
        let would = if outcome.dry_run { "would " } else { "" };
        if pruned.refused.is_none() {
            for backup in pruned.deleted() {
                let Judged { id, bytes, .. } = backup;
                let (id, bytes) = (id.to_string(), look.bytes(*bytes));
                line(&[&format!("{would}delete"), &id, storage, &bytes]);
                deleted += 1;
                freed += backup.bytes;
            }
            for (backup, spared) in pruned.spared() {
                let (id, bytes) = (backup.id.to_string(), look.bytes(backup.bytes));
                let word = match spared {
                    Spared::Until(_) => "marked",
                    Spared::BeingRead | Spared::Changed | Spared::Needed => "spared",
                };
                line(&[word, &id, storage, &bytes]);
            }
            for key in &pruned.swept {
                line(&[&format!("{would}sweep"), key, storage, "0"]);
            }
            if pruned.wal.files > 0 {
                let files = format!("{database}/wal: {} files", pruned.wal.files);
                let bytes = look.bytes(pruned.wal.bytes);
                line(&[&format!("{would}delete"), &files, storage, &bytes]);
            }
        }
        let kept = pruned.backups.len() as u64 - deleted;
        counts = [kept.to_string(), deleted.to_string(), look.bytes(freed)];
    }
    let [kept, deleted, freed] = &counts;
    line(&[database, status, storage, kept, deleted, freed]);
    text
}

/// The calendar: every backup, newest first, whether it stays and why.
pub fn explain_text(outcome: &PruneOutcome) -> String {
    let PruneOutcome {
        database,
        storage,
        policy,
        ..
    } = outcome;
    let Ok(pruned) = &outcome.result else {
        return format!("{database} on {storage}: failed\n");
    };
    let all: u64 = pruned.backups.iter().map(|backup| backup.bytes).sum();
    let deleted = pruned.deleted().count();
    let kept = pruned.backups.len() - deleted;
    let freed: u64 = pruned.deleted().map(|backup| backup.bytes).sum();
    let mut text = format!("{database} on {storage}: {}\n", rules(policy));
    if pruned.backups.is_empty() {
        text.push_str("  no backups\n");
    }
    for month in pruned.backups.chunk_by(|a, b| month_of(a) == month_of(b)) {
        let name = day_of(&month[0]).format("%B %Y");
        text.push_str(&format!("\n  {name}  {}\n", strip(month)));
        for alike in month.chunk_by(goes_alike) {
            text.push_str(&row(alike));
        }
    }
    if !pruned.swept.is_empty() {
        text.push_str("\n  without their archive\n");
    }
    for key in &pruned.swept {
        text.push_str(&format!("  - {}\n", printable(key)));
    }
    let (goes, bytes) = match (outcome.happened(), &pruned.refused) {
        (true, _) => ("deleted", freed),
        (false, None) => ("would be deleted", freed),
        (false, Some(_)) => ("would be deleted, but nothing is", 0),
    };
    text.push_str(&format!(
        "\n  {kept} stay, {deleted} {goes}: {} of {}\n",
        human_bytes(bytes),
        human_bytes(all)
    ));
    text
}

fn day_of(backup: &Judged) -> NaiveDate {
    backup.id.timestamp.moment().date_naive()
}

fn month_of(backup: &Judged) -> (i32, u32) {
    let day = day_of(backup);
    (day.year(), day.month())
}

/// The days of a month, one character each: `+` where a backup stays, `-` where all go, `.` where there is none.
fn strip(month: &[Judged]) -> String {
    let mut days = vec!['.'; day_of(&month[0]).num_days_in_month().into()];
    for backup in month {
        let place = &mut days[day_of(backup).day0() as usize];
        *place = match (!backup.goes(), *place) {
            (true, _) | (_, '+') => '+',
            (false, _) => '-',
        };
    }
    days.into_iter().collect()
}

/// Why a backup takes the place of no other one.
fn label(backup: &Judged) -> Option<&'static str> {
    Some(backup.objection?.label())
}

/// Why it is there still, although it goes by the rules.
fn spared_text(spared: Spared) -> String {
    match spared {
        Spared::Until(from) => format!("marked, goes from {} on", rfc3339::second(from)),
        Spared::BeingRead => "being read, so it stays this time".into(),
        Spared::Needed => "one that stays this time needs it".into(),
        Spared::Changed => "another host changed something, so it stays this time".into(),
    }
}

/// True for neighbours that go for the same reason, which share a line.
fn goes_alike(a: &Judged, b: &Judged) -> bool {
    a.goes() && b.goes() && a.verdict == b.verdict && label(a) == label(b)
}

/// The line of one backup, or of several alike, newest first.
fn row(alike: &[Judged]) -> String {
    let (newest, oldest) = (&alike[0], &alike[alike.len() - 1]);
    let (mark, mut why) = match &newest.verdict {
        Verdict::Keep(reasons) => ('+', reasons_text(reasons).join(", ")),
        Verdict::Delete(why) => {
            let why = why_text(why, Some(day_of(newest)));
            match newest.spared {
                Some(spared) => ('+', format!("{why}; {}", spared_text(spared))),
                None => ('-', why),
            }
        }
    };
    if let Some(label) = label(newest) {
        why.push_str(&format!(" ({label})"));
    }
    let at = |backup: &Judged, format: &str| {
        let at = backup.id.timestamp.moment();
        at.format(format).to_string()
    };
    let when = match alike {
        [one] => at(one, "%a %d  %H:%M:%S"),
        _ if day_of(newest) == day_of(oldest) => at(newest, "%a %d"),
        _ => format!("{} to {}", at(oldest, "%a %d"), at(newest, "%a %d")),
    };
    if alike.len() > 1 {
        why = format!("{} backups: {why}", alike.len());
    }
    let size = human_bytes(alike.iter().map(|backup| backup.bytes).sum());
    format!("  {mark} {when:<16}  {size:>10}  {why}\n")
}

fn reasons_text(reasons: &[Reason]) -> Vec<String> {
    reasons.iter().map(reason_text).collect()
}

fn reason_text(reason: &Reason) -> String {
    match reason {
        Reason::NoRules => "everything is kept".into(),
        Reason::ClockBehind => "the clock is behind".into(),
        Reason::Newest => "newest".into(),
        Reason::NewestFull => "newest full one".into(),
        Reason::Last(count) => format!("last {count}"),
        Reason::LastFull(count) => format!("last {count} full"),
        Reason::BeginsRecovery(limit) => {
            format!("begins the last {}", duration::spelled(*limit))
        }
        Reason::Needed => "needed by one that stays".into(),
        Reason::Within(limit) => format!("within {}", duration::spelled(*limit)),
        Reason::NewestOf(period) => format!("{} {period}", rule_of(*period)),
        Reason::Proven => "newest proven by a drill".into(),
        Reason::Pinned => "pinned".into(),
        Reason::BeforeLoss => "before a loss of rows".into(),
        Reason::Loss => "rows lost".into(),
    }
}

/// `shown` is the day that the reader knows already.
fn why_text(why: &Why, shown: Option<NaiveDate>) -> String {
    match why {
        Why::Newer { period, stays } => {
            let format = match Some(stays.date_naive()) == shown {
                true => "%H:%M:%S",
                false => "%Y-%m-%d %H:%M:%S",
            };
            format!("{period} keeps the one of {}", stays.format(format))
        }
        Why::Older => "older than the rules reach".into(),
    }
}

fn rule_of(period: Period) -> &'static str {
    match period {
        Period::Day(_) => "daily",
        Period::Week(_) => "weekly",
        Period::Month(..) => "monthly",
        Period::Year(_) => "yearly",
    }
}

/// `keep_daily 7, keep_weekly 4`
fn rules(policy: &Policy) -> String {
    let counts = [
        ("keep_last", policy.keep_last),
        ("keep_daily", policy.keep_daily),
        ("keep_weekly", policy.keep_weekly),
        ("keep_monthly", policy.keep_monthly),
        ("keep_yearly", policy.keep_yearly),
    ];
    let mut rules: Vec<String> = counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(rule, count)| format!("{rule} {count}"))
        .collect();
    if let Some(limit) = policy.keep_within {
        rules.push(format!("keep_within {}", duration::spelled(limit)));
    }
    match rules.is_empty() {
        true => "no retention, so everything is kept".into(),
        false => rules.join(", "),
    }
}

/// The document of `prune --json`.
pub fn prune_json(outcomes: &[PruneOutcome], dry_run: bool) -> Value {
    let databases: Vec<Value> = outcomes.iter().map(outcome_json).collect();
    json!({ "dry_run": dry_run, "databases": databases })
}

fn outcome_json(outcome: &PruneOutcome) -> Value {
    let mut object = summary_json(outcome);
    if let Ok(pruned) = &outcome.result {
        object["backups"] = pruned.backups.iter().map(judged_json).collect();
    }
    object
}

/// The result without the single backups, as `backup --json` has it beside the backup.
pub(super) fn summary_json(outcome: &PruneOutcome) -> Value {
    let mut object = json!({
        "database": outcome.database,
        "storage": outcome.storage,
        "status": status(outcome),
    });
    if let Ok(pruned) = &outcome.result {
        let goes = pruned.deleted().count();
        let bytes: u64 = pruned.deleted().map(|backup| backup.bytes).sum();
        let deleted = if outcome.happened() { goes } else { 0 };
        object["kept"] = (pruned.backups.len() - deleted).into();
        object["deleted"] = deleted.into();
        object["freed_bytes"] = if outcome.happened() { bytes } else { 0 }.into();
        if !outcome.happened() {
            object["would_delete"] = goes.into();
            object["would_free_bytes"] = bytes.into();
        }
        let marked = pruned.spared().filter_map(|(backup, spared)| match spared {
            Spared::Until(from) => Some(json!({
                "id": backup.id.to_string(),
                "from": rfc3339::second(from),
            })),
            Spared::BeingRead | Spared::Changed | Spared::Needed => None,
        });
        object["marked"] = marked.collect();
        object["swept"] = json!(pruned.swept);
        object["wal"] = json!({ "files": pruned.wal.files, "bytes": pruned.wal.bytes });
        object["warnings"] = json!(pruned.warnings);
    }
    if let Some(error) = outcome.error() {
        object["error"] = error_json(error);
    }
    object
}

fn judged_json(backup: &Judged) -> Value {
    let (verdict, reasons) = match &backup.verdict {
        Verdict::Keep(reasons) => ("keep", reasons_text(reasons)),
        Verdict::Delete(why) => ("delete", vec![why_text(why, None)]),
    };
    json!({
        "id": backup.id.to_string(),
        "started_at": rfc3339::precise(backup.id.timestamp.moment()),
        "bytes": backup.bytes,
        "partial": backup.partial,
        "objection": label(backup),
        "verdict": verdict,
        "reasons": reasons,
        "spared": backup.spared.map(spared_text),
    })
}

/// A line for each copy that `pin` or `unpin` found.
pub fn pin_text(id: &BackupId, pinning: Pinning, copies: &[PinnedCopy]) -> String {
    let word = match pinning {
        Pinning::Pinned => "pinned",
        Pinning::Unpinned => "unpinned",
    };
    let lines = copies.iter();
    lines
        .map(|copy| fields(&[&id.to_string(), word, &copy.storage]) + "\n")
        .collect()
}

/// The document of `pin --json` and `unpin --json`.
pub fn pin_json(id: &BackupId, pinning: Pinning, copies: &[PinnedCopy]) -> Value {
    let copies: Vec<Value> = copies
        .iter()
        .map(|copy| json!({ "storage": copy.storage, "changed": copy.changed }))
        .collect();
    json!({ "id": id.to_string(), "pinned": pinning == Pinning::Pinned, "copies": copies })
}
