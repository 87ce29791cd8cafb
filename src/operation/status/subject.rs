//! What the configuration says of a database that `status` is asked about.

use crate::error::Result;
use crate::format::seal::Keys;
use crate::repository::Expected;
use crate::repository::check_records::CheckLevel;
use crate::repository::last_failure::Failure;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// A database to look at.
pub struct StatusSubject<'a> {
    pub name: String,
    /// The names of its storages.
    pub storages: Vec<String>,
    /// What the configuration makes of it.
    pub expected: Expected,
    /// How old the newest backup may become.
    pub max_age: Option<Duration>,
    /// How deep a check has to be to count: as the configured ones are, else a restore.
    pub verify_level: CheckLevel,
    /// How long ago the last such check may be that found a backup good.
    pub max_unverified_age: Option<Duration>,
    /// The next scheduled run.
    pub next_run: Option<DateTime<Utc>>,
    /// The next scheduled check.
    pub next_check: Option<DateTime<Utc>>,
    /// The last failure of a run that could not be written down beside its backups.
    pub failure_here: Option<Failure>,
    /// The last check that could not be made, as this machine knows.
    pub failed_check: Option<Failure>,
    /// What opens what its last failure said.
    pub keys: Box<dyn Fn() -> Result<Keys> + 'a>,
}
