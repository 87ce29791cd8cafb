//! `test`: whether the next backup will work, tried part by part. Changes nothing that stays.

pub mod archiving;
pub mod cluster;
pub mod database;
pub mod encryption;
pub mod restore;
pub mod storage;

use crate::error::Error;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindingLevel {
    /// As it should be.
    Ok,
    /// The next backup will work, and something should be looked at.
    Warn,
    /// The next backup, or a restore, will not work.
    Fail,
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is about: `database app_db`.
    pub subject: String,
    /// How it ended.
    pub outcome: FindingLevel,
    /// What was found, a phrase without its stop.
    pub what: String,
    /// What to do about it.
    pub fix: Option<String>,
}

impl Finding {
    /// As it should be.
    pub fn ok(subject: &str, what: impl Into<String>) -> Finding {
        Finding::new(subject, FindingLevel::Ok, what)
    }

    /// Worth a look.
    pub fn warn(subject: &str, what: impl Into<String>) -> Finding {
        Finding::new(subject, FindingLevel::Warn, what)
    }

    /// Broken.
    pub fn fail(subject: &str, what: impl Into<String>) -> Finding {
        Finding::new(subject, FindingLevel::Fail, what)
    }

    fn new(subject: &str, outcome: FindingLevel, what: impl Into<String>) -> Finding {
        Finding {
            subject: subject.to_string(),
            outcome,
            what: what.into(),
            fix: None,
        }
    }

    /// Broken by `error`; its hint says what to do.
    pub fn broken(subject: &str, error: &Error) -> Finding {
        Finding {
            fix: error.first_hint().map(str::to_string),
            ..Finding::fail(subject, error.chain())
        }
    }

    /// Adds what to do about it.
    pub fn fix(mut self, fix: impl Into<String>) -> Finding {
        self.fix = Some(fix.into());
        self
    }

    /// Adds what to do about it where nothing more particular is known.
    pub fn or_fix(mut self, fix: &str) -> Finding {
        if self.fix.is_none() && self.outcome != FindingLevel::Ok {
            self.fix = Some(fix.to_string());
        }
        self
    }

    /// The check as a warning, if it failed.
    pub fn as_warning(mut self) -> Finding {
        if self.outcome == FindingLevel::Fail {
            self.outcome = FindingLevel::Warn;
        }
        self
    }
}
