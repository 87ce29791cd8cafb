//! The keys under `databases[].verify`: checks on a schedule.

use super::types::{VerifyPick, VerifySettings};
use super::validate;
use crate::error::Result;
use crate::repository::check_records::CheckLevel;
use crate::schedule::Schedule;
use crate::yaml::cursor::Spot;
use crate::yaml::expand::Env;
use crate::yaml::reader::KeyReader;

pub(super) const VERIFY: &[&str] = &["schedule", "level", "pick"];

impl KeyReader<'_> {
    pub(super) fn verify(&mut self, spot: &Spot) -> Option<VerifySettings> {
        let table = self.table(spot, VERIFY)?;
        let schedule = self.required_text(
            &table,
            "schedule",
            "such as schedule: \"0 6 * * 3\", every Wednesday at 06:00 UTC",
            validate::schedule,
        );
        let level = match table.get("level") {
            Some(spot) => self.word(&spot, validate::level),
            None => Some(CheckLevel::Full.name().into()),
        };
        let pick = match table.get("pick") {
            Some(spot) => self.word(&spot, validate::pick),
            None => Some("latest".into()),
        };
        Some(VerifySettings {
            schedule: schedule?,
            level: level?.parse().ok()?,
            pick: match pick?.as_str() {
                "random" => VerifyPick::Random,
                _ => VerifyPick::Latest,
            },
        })
    }
}

impl VerifySettings {
    /// When the daemon checks.
    pub fn schedule(&self, env: &Env) -> Result<Schedule> {
        Schedule::parse(&self.schedule.resolve(env)?)
    }
}
