//! `test`: whether the next backup will work, tried part by part. Changes nothing that stays.

pub mod database;
pub mod encryption;
pub mod storage;

use crate::error::Error;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// The next backup will work, and something should be looked at.
    Warn,
    /// The next backup, or a restore, will not work.
    Fail,
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What it is about: `database app_db`.
    pub subject: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What was found, a phrase without its stop.
    pub what: String,
    /// What to do about it.
    pub fix: Option<String>,
}

impl Check {
    /// As it should be.
    pub fn ok(subject: &str, what: impl Into<String>) -> Check {
        Check::new(subject, Outcome::Ok, what)
    }

    /// Worth a look.
    pub fn warn(subject: &str, what: impl Into<String>) -> Check {
        Check::new(subject, Outcome::Warn, what)
    }

    /// Broken.
    pub fn fail(subject: &str, what: impl Into<String>) -> Check {
        Check::new(subject, Outcome::Fail, what)
    }

    fn new(subject: &str, outcome: Outcome, what: impl Into<String>) -> Check {
        Check {
            subject: subject.to_string(),
            outcome,
            what: what.into(),
            fix: None,
        }
    }

    /// Broken by `error`; its hint says what to do.
    pub fn broken(subject: &str, error: &Error) -> Check {
        Check {
            fix: error.first_hint().map(str::to_string),
            ..Check::fail(subject, error.chain())
        }
    }

    /// Adds what to do about it.
    pub fn fix(mut self, fix: impl Into<String>) -> Check {
        self.fix = Some(fix.into());
        self
    }

    /// Adds what to do about it where nothing more particular is known.
    pub fn or_fix(mut self, fix: &str) -> Check {
        if self.fix.is_none() && self.outcome != Outcome::Ok {
            self.fix = Some(fix.to_string());
        }
        self
    }

    /// The check as a warning, if it failed.
    pub fn as_warning(mut self) -> Check {
        if self.outcome == Outcome::Fail {
            self.outcome = Outcome::Warn;
        }
        self
    }
}
