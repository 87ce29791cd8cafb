//! What there is to tell of one run for one database.

use crate::error::Error;
use crate::process::machine::host_name;
use crate::text::duration;
use crate::text::rfc3339;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::time::Duration;

/// What a run was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A backup, its retention included.
    Backup,
    /// A check of backups that are stored.
    Verify,
    /// Nothing: someone tries whether the routes work.
    Test,
}

impl EventKind {
    /// As `kind` of the JSON says it.
    pub fn name(self) -> &'static str {
        match self {
            EventKind::Backup => "backup",
            EventKind::Verify => "verify",
            EventKind::Test => "test",
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventOutcome {
    /// Well.
    Ok,
    /// There is a result, but not all of it: a copy is missing. Told as a failure.
    Degraded,
    /// Not at all.
    Failed,
}

impl EventOutcome {
    /// The word that `backup` prints.
    pub fn name(self) -> &'static str {
        match self {
            EventOutcome::Ok => "ok",
            EventOutcome::Degraded => "degraded",
            EventOutcome::Failed => "failed",
        }
    }
}

/// What there is to tell of one run for one database.
#[derive(Debug, Clone)]
pub struct Event {
    /// What the run was for.
    pub kind: EventKind,
    /// The database's `name`.
    pub db: String,
    /// How it ended.
    pub outcome: EventOutcome,
    /// It went well, and the one before it was told as a failure.
    pub recovered: bool,
    /// Stored bytes, of one copy; 0 where there is none.
    pub bytes: u64,
    /// Where people find it, as `backup` prints it; `-` where there is nothing.
    pub dest: String,
    /// The storage key of the archive.
    pub key: Option<String>,
    /// When the run began.
    pub started_at: DateTime<Utc>,
    /// How long it took.
    pub took: Duration,
    /// Why it is not well, on one failure or on several; none where it is.
    pub error: Option<String>,
    /// The word for the kind of the error, as in `--json`.
    pub error_kind: Option<&'static str>,
    /// What to try.
    pub hint: Option<String>,
    /// What is well but should be looked at, one sentence each.
    pub warnings: Vec<String>,
    /// The name of this machine.
    pub host: String,
}

impl Event {
    /// An event that went well and has nothing more to say yet.
    pub fn new(kind: EventKind, db: &str, started_at: DateTime<Utc>, took: Duration) -> Event {
        Event {
            kind,
            db: db.to_string(),
            outcome: EventOutcome::Ok,
            recovered: false,
            bytes: 0,
            dest: "-".to_string(),
            key: None,
            started_at,
            took,
            error: None,
            error_kind: None,
            hint: None,
            warnings: Vec::new(),
            host: host_name(),
        }
    }

    /// The event, ended by `error`.
    pub fn failed(mut self, outcome: EventOutcome, error: &Error) -> Event {
        self.outcome = outcome;
        self.error = Some(error.chain());
        self.error_kind = Some(error.kind().name());
        self.hint = error.first_hint().map(str::to_string);
        self
    }

    /// True for what routes `on: success` are told.
    pub fn is_success(&self) -> bool {
        self.outcome == EventOutcome::Ok
    }

    /// `success` or `failure`.
    pub fn status(&self) -> &'static str {
        match self.is_success() {
            true => "success",
            false => "failure",
        }
    }

    /// The event as it is posted. Fields are only ever added; `error`, `error_kind` and `hint` are there on failure.
    pub fn json(&self) -> Value {
        let finished_at = self.started_at + self.took;
        let mut object = json!({
            "kind": self.kind.name(),
            "db": self.db,
            "status": self.status(),
            "outcome": self.outcome.name(),
            "recovered": self.recovered,
            "bytes": self.bytes,
            "dest": self.dest,
            "key": self.key,
            "duration": duration::display(self.took),
            "duration_seconds": self.took.as_secs_f64(),
            "started_at": rfc3339::millisecond(self.started_at),
            "finished_at": rfc3339::millisecond(finished_at),
            "warnings": self.warnings,
            "host": self.host,
            "tool": concat!("backupkit ", env!("CARGO_PKG_VERSION")),
        });
        if let Some(error) = &self.error {
            object["error"] = error.as_str().into();
            object["error_kind"] = self.error_kind.into();
            object["hint"] = self.hint.as_deref().into();
        }
        object
    }
}
