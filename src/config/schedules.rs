//! When the daemon makes the backups of a source.

use super::types::{BackupMethod, BackupSettings};
use crate::error::Result;
use crate::schedule::Schedule;
use crate::yaml::expand::{ConfigText, Env, optional};
use chrono::{DateTime, Utc};

/// When the daemon makes the backups of a source, if ever by itself.
#[derive(Debug, Clone)]
pub struct BackupSchedules {
    /// Those that need no other.
    pub full: Option<Schedule>,
    /// Those that add to another; of clusters alone.
    pub incremental: Option<Schedule>,
}

impl BackupSettings {
    /// When the daemon makes them.
    pub fn schedules(&self, env: &Env) -> Result<BackupSchedules> {
        let incremental = match &self.method {
            BackupMethod::Base(base) => base.incremental.as_ref(),
            BackupMethod::Dump(_) => None,
        };
        let incremental = incremental.map(|incremental| parse(&incremental.schedule, env));
        Ok(BackupSchedules {
            full: parse(&self.schedule, env)?,
            incremental: incremental.transpose()?.flatten(),
        })
    }
}

impl BackupSchedules {
    /// True where nobody makes any.
    pub fn are_none(&self) -> bool {
        self.full.is_none() && self.incremental.is_none()
    }

    /// The next run after `time`, whichever kind it is.
    pub fn next_after(&self, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let both = [&self.full, &self.incremental].into_iter().flatten();
        both.filter_map(|one| one.next_after(time)).min()
    }
}

fn parse(schedule: &Option<ConfigText>, env: &Env) -> Result<Option<Schedule>> {
    optional(schedule, env)?
        .map(|text| Schedule::parse(&text))
        .transpose()
}
