//! `init`: a configuration that works, from a few answers.
//!
//! What is there already is never lost: the password that existing backups are encrypted with is used again, and
//! whatever is replaced is kept beside its successor.

pub mod answers;
mod configuration;
pub mod files;

use crate::config::{Config, Env};
use crate::error::{Error, Result};
use answers::Answers;
use chrono::{DateTime, Utc};
use files::{Files, WrittenFiles};

/// Writes the configuration and the files of passwords beside it. Nothing is written unless the configuration is valid.
pub fn run(
    answers: &Answers,
    files: &Files,
    env: &Env,
    now: DateTime<Utc>,
) -> Result<WrittenFiles> {
    let text = configuration::text(answers, files);
    let shown = files.configuration.display().to_string();
    Config::parse(&shown, &text, env).map_err(|error| {
        Error::usage("these answers make no valid configuration").because(error)
    })?;
    files.write(answers, &text, now)
}
