//! An event in words, for a person who was asleep: what, where, why, and what to type next.

use super::event::{Event, EventKind, EventOutcome};
use crate::text::cut::cut_bytes;
use crate::text::duration;
use crate::text::escape::one_line;
use crate::text::human::human_bytes;
use crate::text::ours;
use crate::text::shell;
use std::fmt::Write;

/// One line without control characters: `FAILED: backup of app_db on db1`.
pub fn headline(event: &Event) -> String {
    let what = what(event);
    let line = match (event.outcome, event.recovered) {
        (EventOutcome::Failed, _) => format!("FAILED: {what}"),
        (EventOutcome::Degraded, _) => format!("INCOMPLETE: {what}, a copy is missing"),
        (EventOutcome::Ok, true) => format!("recovered: {what} is good again"),
        (EventOutcome::Ok, false) if event.kind == EventKind::Test => what,
        (EventOutcome::Ok, false) if event.warnings.is_empty() => {
            format!("ok: {what}{}", size(event))
        }
        (EventOutcome::Ok, false) => format!("ok, with warnings: {what}{}", size(event)),
    };
    one_line(&line)
}

/// `backup of app_db on db1`
fn what(event: &Event) -> String {
    let (db, host) = (&event.db, &event.host);
    match event.kind {
        EventKind::Backup => format!("backup of {db} on {host}"),
        EventKind::Verify => format!("verification of {db} on {host}"),
        EventKind::Test => format!("a test of the notifications from {host}"),
    }
}

fn size(event: &Event) -> String {
    match event.bytes {
        0 => String::new(),
        bytes => format!(", {}", human_bytes(bytes)),
    }
}

/// All that there is to say, for a mail.
pub fn full(event: &Event) -> String {
    let mut text = format!("{}\n", opening(event));
    if let Some(error) = &event.error {
        text.push_str(&section("Why", &cut_bytes(&clean(error), 6000)));
    }
    if !event.warnings.is_empty() {
        let warnings = event.warnings.iter().map(|warning| clean(warning));
        let list: Vec<String> = warnings.map(|warning| format!("- {warning}")).collect();
        text.push_str(&section("Look at", &cut_bytes(&list.join("\n"), 6000)));
    }
    let tries = tries(event);
    if !tries.is_empty() {
        text.push_str(&section("What to try", &tries.join("\n")));
    }
    text.push_str(&section("Details", &details(event)));
    text
}

/// What fits into `room` bytes of a chat, after the headline.
pub fn short(event: &Event, room: usize) -> String {
    let mut lines = Vec::new();
    if let Some(error) = &event.error {
        lines.push(cut_bytes(&clean(error), room / 2));
    }
    if let Some(hint) = &event.hint {
        lines.push(format!("hint: {}", cut_bytes(&clean(hint), room / 8)));
    }
    lines.extend(event.warnings.iter().map(|warning| clean(warning)));
    if event.bytes > 0 {
        lines.push(event.dest.clone());
    }
    if let Some(command) = again(event) {
        lines.push(format!("try: {command}"));
    }
    lines.push(format!("took {}", duration::display(event.took)));
    cut_bytes(&lines.join("\n"), room)
}

/// What is the case now.
fn opening(event: &Event) -> String {
    let (db, host) = (one_line(&event.db), one_line(&event.host));
    match (event.kind, event.outcome) {
        (EventKind::Test, _) => format!(
            "Somebody on {host} tries whether notifications arrive, and this one has. Nothing is to be done."
        ),
        (EventKind::Backup, EventOutcome::Failed) => format!(
            "The backup of {db} on {host} failed. There is no new backup; earlier ones were not touched."
        ),
        (EventKind::Backup, EventOutcome::Degraded) => format!(
            "The backup of {db} on {host} is good, but not on all of its storages. Until the next complete\n\
             backup there are fewer copies than configured."
        ),
        (EventKind::Backup, EventOutcome::Ok) if event.recovered => {
            format!(
                "The backup of {db} on {host} works again: after the failure there is now a new one."
            )
        }
        (EventKind::Backup, EventOutcome::Ok) => format!("The backup of {db} on {host} is stored."),
        (EventKind::Verify, EventOutcome::Ok) if event.recovered => {
            format!("The backups of {db} pass their verification on {host} again.")
        }
        (EventKind::Verify, EventOutcome::Ok) => {
            format!("The backups of {db} passed their verification on {host}.")
        }
        (EventKind::Verify, _) => format!(
            "The verification of the backups of {db} on {host} failed. A restore may not work: find out while\n\
             the database itself is still there."
        ),
    }
}

fn section(title: &str, body: &str) -> String {
    let mut text = format!("\n{title}:\n");
    for line in body.lines() {
        let _ = writeln!(text, "  {line}");
    }
    text
}

/// The hint, and the commands for what went wrong.
fn tries(event: &Event) -> Vec<String> {
    if event.is_success() {
        return Vec::new();
    }
    let mut lines: Vec<String> = event.hint.iter().map(|hint| clean(hint)).collect();
    if let Some(again) = again(event) {
        let db = shell::word(&event.db);
        lines.push(format!("On {}:", one_line(&event.host)));
        lines.push(format!("  {again} --verbose"));
        lines.push("      runs it again now and shows each step".into());
        lines.push(format!("  {}", ours::command(&format!("list --db {db}"))));
        lines.push("      shows the backups that there are".into());
    }
    lines
}

/// The command that runs once more what failed.
fn again(event: &Event) -> Option<String> {
    let command = match event.kind {
        _ if event.is_success() => return None,
        EventKind::Backup => "backup",
        EventKind::Verify => "verify",
        EventKind::Test => return None,
    };
    let db = shell::word(&event.db);
    Some(ours::command(&format!("{command} --db {db}")))
}

fn details(event: &Event) -> String {
    let mut lines = Vec::new();
    let mut line = |name: &str, value: &str| lines.push(format!("{name:<9} {}", one_line(value)));
    if event.kind != EventKind::Test {
        line("database", &event.db);
    }
    line("host", &event.host);
    if event.bytes > 0 {
        line("stored at", &event.dest);
        let (bytes, human) = (event.bytes, human_bytes(event.bytes));
        line("size", &format!("{human} ({bytes} bytes)"));
    }
    let started = event.started_at.format("%Y-%m-%d %H:%M:%S UTC");
    line("started", &started.to_string());
    line("took", &duration::display(event.took));
    line("by", concat!("backupkit ", env!("CARGO_PKG_VERSION")));
    lines.join("\n")
}

/// `text` without control characters but the ends of its lines.
fn clean(text: &str) -> String {
    let lines: Vec<String> = text.trim_end().lines().map(one_line).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Kind as Fault};
    use chrono::DateTime;
    use std::time::Duration;

    fn event(kind: EventKind) -> Event {
        let mut event = Event::new(
            kind,
            "app_db",
            DateTime::from_timestamp(1_795_140_000, 0).unwrap(),
            Duration::from_millis(62_500),
        );
        event.host = "db1".into();
        event
    }

    fn stored() -> Event {
        Event {
            bytes: 4_509_715_660,
            dest: "/var/backups/app_db/20261120_020000.000000000Z.dump.gz".into(),
            ..event(EventKind::Backup)
        }
    }

    #[test]
    fn a_success_is_told_in_few_words() {
        assert_eq!(headline(&stored()), "ok: backup of app_db on db1, 4.2 GiB");
        assert_eq!(
            full(&stored()),
            concat!(
                "The backup of app_db on db1 is stored.

Details:
  database  app_db
  host      db1
  stored at /var/backups/app_db/20261120_020000.000000000Z.dump.gz
  size      4.2 GiB (4509715660 bytes)
  started   2026-11-20 02:00:00 UTC
  took      1m2.5s
  by        backupkit ",
                env!("CARGO_PKG_VERSION"),
                "\n"
            )
        );
    }

    #[test]
    fn a_failure_tells_why_and_what_to_type() {
        let error = Error::in_lines(Fault::Unavailable, "no connection\n  | to\x1b[31m it")
            .doing("cannot dump")
            .hint("is it running?");
        let failed = event(EventKind::Backup).failed(EventOutcome::Failed, &error);
        let failed = Event {
            db: "it's".into(),
            ..failed
        };
        assert_eq!(headline(&failed), "FAILED: backup of it's on db1");
        let text = full(&failed);
        let (told, _) = text.split_once("\nDetails:").unwrap();
        assert_eq!(
            told,
            r"The backup of it's on db1 failed. There is no new backup; earlier ones were not touched.

Why:
  cannot dump: no connection
    | to\u{1b}[31m it

What to try:
  is it running?
  On db1:
    backupkit backup --db 'it'\''s' --verbose
        runs it again now and shows each step
    backupkit list --db 'it'\''s'
        shows the backups that there are
"
        );
    }

    #[test]
    fn a_missing_copy_and_a_recovery_are_no_plain_failure_and_no_plain_success() {
        let error = Error::new(
            Fault::Partial,
            "a copy is missing: not on the storage offsite: full",
        );
        let degraded = stored().failed(EventOutcome::Degraded, &error);
        assert_eq!(
            headline(&degraded),
            "INCOMPLETE: backup of app_db on db1, a copy is missing"
        );
        assert!(full(&degraded).starts_with("The backup of app_db on db1 is good, but not on all"));
        let recovered = Event {
            recovered: true,
            ..stored()
        };
        assert_eq!(
            headline(&recovered),
            "recovered: backup of app_db on db1 is good again"
        );
        let warned = Event {
            warnings: vec!["less than half\nof the last one".into()],
            ..stored()
        };
        assert!(headline(&warned).starts_with("ok, with warnings: "));
        assert!(full(&warned).contains("Look at:\n  - less than half\n  of the last one\n"));
    }

    #[test]
    fn a_headline_is_one_line_whatever_is_in_it() {
        let event = Event {
            host: "x\r\nBcc: y@z\x00".into(),
            ..stored()
        };
        assert!(!headline(&event).contains(char::is_control));
    }

    #[test]
    fn a_cut_is_between_characters_and_shows() {}
}
