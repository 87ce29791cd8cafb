//! When the jobs of a daemon are due, as `daemon --dry-run` shows it.

use super::plan::{ScheduledJob, Task};
use chrono::{DateTime, Utc};

/// The next runs of one job.
pub struct NextRuns<'a> {
    /// The database's name.
    pub database: &'a str,
    /// What is done to it.
    pub task: Task,
    /// When, the earliest first.
    pub at: Vec<DateTime<Utc>>,
}

impl NextRuns<'_> {
    /// The first `count` runs of `job` after `now`; fewer where its schedule has an end.
    pub fn of(job: &ScheduledJob, now: DateTime<Utc>, count: usize) -> NextRuns<'_> {
        let after = |at: &DateTime<Utc>| job.schedule.next_after(*at);
        let due = std::iter::successors(after(&now), after);
        NextRuns {
            database: &job.database,
            task: job.task,
            at: due.take(count).collect(),
        }
    }
}
