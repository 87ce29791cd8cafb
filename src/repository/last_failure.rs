//! What is written down about the last run of a database that failed: `last-failure.json` in its directory.
//!
//! JSON, additive: readers ignore fields they do not know. A run that ends well leaves it, so that it is history; the
//! moments tell whether it is news. It holds what the log says of a failure and as little of a secret; where backups are
//! encrypted those words are too, since they may name tables.

use crate::error::{Error, Kind, Result};
use crate::process::machine::host_name;
use crate::repository::lease_record::TakenMinute;
use crate::text::cut::cut_chars;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// No more of a record is read than this many bytes.
pub const LARGEST: u64 = 64 * 1024;
/// A message is cut after as many characters, so that what is written can be read.
const LONGEST: usize = 8 * 1024;

/// A run that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// 1.
    pub schema: u32,
    /// Who wrote it: `backupkit` and its version.
    pub tool: String,
    /// The database's `name` in the configuration.
    pub database: String,
    /// The machine that the run was on.
    pub host: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it failed.
    pub failed_at: DateTime<Utc>,
    /// The word for its kind, as in `--json`.
    pub kind: String,
    /// What it exited with, had it been the only one.
    pub exit_status: u8,
    /// What is said of it; absent where that is sealed or cannot be told.
    #[serde(flatten)]
    pub words: Option<Words>,
    /// People hear of the next run that ends well. Not of one after a record of an earlier version, which says nothing of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recovery_due: bool,
    /// The minute of the schedule that a daemon's run had taken when a stop cut it short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone: Option<TakenMinute>,
    /// The [`Words`] as a base64 container, where backups are encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words_sealed: Option<String>,
}

/// What is said of a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words {
    /// What was being done and why it failed.
    pub message: String,
    /// What to try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Failure {
    /// The record of `error`, which ended a run for `database` at `failed_at`.
    pub fn new(
        database: &str,
        error: &Error,
        started_at: DateTime<Utc>,
        failed_at: DateTime<Utc>,
    ) -> Failure {
        Failure {
            schema: 1,
            tool: format!("backupkit {}", env!("CARGO_PKG_VERSION")),
            database: database.to_string(),
            host: host_name(),
            started_at,
            failed_at,
            kind: error.kind().name().to_string(),
            exit_status: error.kind().exit_status(),
            recovery_due: true,
            words: Some(Words {
                message: cut_chars(&error.chain(), LONGEST),
                hint: error.first_hint().map(|hint| cut_chars(hint, LONGEST)),
            }),
            words_sealed: None,
            undone: None,
        }
    }

    /// True where the run made a backup all the same, of which a copy is missing.
    pub fn left_a_backup(&self) -> bool {
        self.kind == Kind::Partial.name()
    }

    /// What was being done and why it failed, or that this cannot be told.
    pub fn message(&self) -> &str {
        match &self.words {
            Some(words) => &words.message,
            None => "what it said is encrypted, and no configured password opens it",
        }
    }

    /// What to try.
    pub fn hint(&self) -> Option<&str> {
        self.words.as_ref()?.hint.as_deref()
    }

    /// The bytes to store, with a final newline.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::failed("cannot write down a failure").because(error))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads a record; `key` is only for the message.
    pub fn from_json(bytes: &[u8], key: &str) -> Result<Failure> {
        serde_json::from_slice(bytes)
            .map_err(|error| Error::damaged(format!("{key} cannot be read")).because(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_whatever_the_length_of_its_message() {
        let error = Error::failed("ü".repeat(100_000)).hint("try again");
        let at = DateTime::UNIX_EPOCH;
        let failure = Failure::new("app", &error, at, at);
        let bytes = failure.to_json().unwrap();
        assert!((bytes.len() as u64) < LARGEST);
        assert_eq!(Failure::from_json(&bytes, "x").unwrap(), failure);
        assert_eq!((&*failure.kind, failure.exit_status), ("failed", 1));
        assert_eq!(failure.hint(), Some("try again"));
    }

    #[test]
    fn unknown_fields_are_ignored() {
        let text = r#"{"schema":2,"tool":"t","database":"a","host":"h","started_at":"2026-11-20T02:00:00Z",
            "failed_at":"2026-11-20T02:01:00Z","kind":"failed","exit_status":1,"message":"m","later":[]}"#;
        let failure = Failure::from_json(text.as_bytes(), "x").unwrap();
        assert_eq!((failure.message(), failure.hint()), ("m", None));
        let sealed = text.replace("\"message\"", "\"words_sealed\"");
        let failure = Failure::from_json(sealed.as_bytes(), "x").unwrap();
        assert_eq!(
            (failure.words, failure.words_sealed.as_deref()),
            (None, Some("m"))
        );
    }
}
