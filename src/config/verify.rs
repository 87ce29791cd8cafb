//! The keys under `databases[].verify`: checks on a schedule.

use super::expand::Env;
use super::read::Reader;
use super::spot::Spot;
use super::types::{Verify, VerifyPick};
use super::validate;
use crate::catalog::proof::Level;
use crate::error::Result;
use crate::schedule::Schedule;

pub(super) const VERIFY: &[&str] = &["schedule", "level", "pick"];

impl Reader<'_> {
    pub(super) fn verify(&mut self, spot: &Spot) -> Option<Verify> {
        let table = self.table(spot, VERIFY)?;
        let schedule = self.required_text(
            &table,
            "schedule",
            "such as schedule: \"0 6 * * 3\", every Wednesday at 06:00 UTC",
            validate::schedule,
        );
        let level = match table.get("level") {
            Some(spot) => self.word(&spot, validate::level),
            None => Some(Level::Full.name().into()),
        };
        let pick = match table.get("pick") {
            Some(spot) => self.word(&spot, validate::pick),
            None => Some("latest".into()),
        };
        Some(Verify {
            schedule: schedule?,
            level: level?.parse().ok()?,
            pick: match pick?.as_str() {
                "random" => VerifyPick::Random,
                _ => VerifyPick::Latest,
            },
        })
    }
}

impl Verify {
    /// When the daemon checks.
    pub fn schedule(&self, env: &Env) -> Result<Schedule> {
        Schedule::parse(&self.schedule.resolve(env)?)
    }
}
