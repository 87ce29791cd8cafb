//! What `daemon --dry-run` prints.

use super::rfc3339;
use crate::daemon::plan::Task;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// The next runs of one job.
pub struct NextRuns<'a> {
    /// The database's name.
    pub database: &'a str,
    /// What is done to it.
    pub task: Task,
    /// When, the earliest first.
    pub at: Vec<DateTime<Utc>>,
}

/// A line for each run: database, task, time.
pub fn next_runs_text(jobs: &[NextRuns]) -> String {
    let mut text = String::new();
    for job in jobs {
        for at in &job.at {
            let (task, at) = (job.task.name(), rfc3339(*at));
            text.push_str(&format!("{}\t{task}\t{at}\n", job.database));
        }
    }
    text
}

/// The same as one document.
pub fn next_runs_json(jobs: &[NextRuns], unscheduled: &[&str]) -> Value {
    let job = |job: &NextRuns| {
        json!({
            "database": job.database,
            "task": job.task.name(),
            "next": job.at.iter().map(|at| rfc3339(*at)).collect::<Vec<_>>(),
        })
    };
    json!({
        "jobs": jobs.iter().map(job).collect::<Vec<_>>(),
        "unscheduled": unscheduled,
    })
}
