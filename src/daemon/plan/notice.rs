//! What the planner has to say about what is due, in words for the log.

use super::retry::PAUSES;
use super::task::Task;
use crate::text::duration;
use chrono::{DateTime, TimeDelta, Utc};
use std::fmt;
use std::time::Duration;

/// What the planner noticed, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The clock stands before a moment that has been.
    ClockBack(TimeDelta),
    /// The clock stands so far before that it must have been wrong, and is followed from here.
    ClockWrong(TimeDelta),
    /// Runs of this job were missed since then; one run makes up for them.
    Missed(String, Task, DateTime<Utc>),
    /// The job is due while its last run still goes on.
    Overtaken(String, Task),
    /// The job is due while it still waits for its turn.
    Queued(String, Task),
    /// A failed run is tried again at this time, for the how-manieth time.
    TryingAgain(String, Task, DateTime<Utc>, usize),
    /// The run of this minute, which the last stop kept from being made, is made now.
    TakenUp(String, Task, DateTime<Utc>),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::ClockBack(by) => write!(
                f,
                "the clock was set back by {}: what has run by its old time is not run again",
                shown(*by)
            ),
            Notice::ClockWrong(by) => write!(
                f,
                "the clock was set back by {}: it must have been wrong, and is followed from here",
                shown(*by)
            ),
            Notice::Missed(database, task, since) => write!(
                f,
                "{database}: the {} of {} comes late, with all that were due since",
                task.name(),
                minute(*since)
            ),
            Notice::Overtaken(database, task) => write!(
                f,
                "{database}: due while the last {0} still goes on; one more {0} follows it",
                task.name()
            ),
            Notice::Queued(database, task) => write!(
                f,
                "{database}: due again while a {} still waits for its turn; one run will do",
                task.name()
            ),
            Notice::TakenUp(database, task, due) => write!(
                f,
                "{database}: the {} of {}, which the last stop kept from being made, is made now",
                task.name(),
                minute(*due)
            ),
            Notice::TryingAgain(database, task, at, number) => write!(
                f,
                "{database}: the {} is tried again at {} ({number} of {})",
                task.name(),
                minute(*at),
                PAUSES.len()
            ),
        }
    }
}

/// A minute as messages show it: `2026-11-20T02:00Z`.
pub fn minute(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%MZ").to_string()
}

fn shown(time: TimeDelta) -> String {
    let seconds = time.to_std().unwrap_or_default().as_secs();
    duration::display(Duration::from_secs(seconds))
}
