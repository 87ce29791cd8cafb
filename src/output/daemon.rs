//! What `daemon --dry-run` prints.

use crate::daemon::next_runs::NextRuns;
use crate::text::rfc3339;
use crate::text::table::fields;
use serde_json::{Value, json};

/// A line for each run: database, task, time.
pub fn next_runs_text(jobs: &[NextRuns]) -> String {
    let mut text = String::new();
    for job in jobs {
        for at in &job.at {
            let (task, at) = (job.task.name(), rfc3339::precise(*at));
            text += &(fields(&[job.database, task, &at]) + "\n");
        }
    }
    text
}

/// The document of `daemon --dry-run --json`; `unscheduled` are the databases without a schedule.
pub fn next_runs_json(jobs: &[NextRuns], unscheduled: &[&str]) -> Value {
    let job = |job: &NextRuns| {
        json!({
            "database": job.database,
            "task": job.task.name(),
            "next": job.at.iter().map(|at| rfc3339::precise(*at)).collect::<Vec<_>>(),
        })
    };
    json!({
        "jobs": jobs.iter().map(job).collect::<Vec<_>>(),
        "unscheduled": unscheduled,
    })
}
