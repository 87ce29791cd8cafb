//! Runs that the stop of a daemon cut short, as what lies beside the backups tells of them: a daemon that has lost its memory,
//! as that of a container has, makes up for them all the same.

use super::context::App;
use crate::background;
use crate::cancel::Cancel;
use crate::config::{BackupSchedules, process_env};
use crate::daemon::plan::{Left, Task};
use crate::repository::failure_record;
use crate::repository::lease_record::TakenMinute;
use crate::schedule::Schedule;
use chrono::{DateTime, Utc};
use std::sync::Arc;
use std::time::Duration;

/// All of the looking. Where a storage does not answer, the daemon starts without.
const LOOKING: Duration = Duration::from_secs(20);
/// How long it may then still take to end. What no limit reaches, such as a file system that hangs, is left behind: service
/// managers wait for a minute and a half until the daemon has started.
const ENDING: Duration = Duration::from_secs(5);

/// The minute that a run of `database` had taken.
pub(super) struct CutShort {
    pub database: String,
    pub task: Task,
    pub minute: TakenMinute,
}

impl CutShort {
    /// As a daemon's own memory tells of it.
    pub fn left(&self) -> Left {
        Left {
            database: self.database.clone(),
            task: self.task,
            told: None,
            undone: Some(self.minute.minute),
        }
    }
}

/// The runs of scheduled databases of `app` that ended so, and that nothing has made up for, as far as the storages tell of
/// them in time.
pub(super) fn look_for_cut_short(app: &Arc<App>) -> Vec<CutShort> {
    let app = Arc::clone(app);
    let found = Cancel::new().and_then(|cancel| {
        let within = cancel.with_deadline(LOOKING);
        let waiting = cancel.with_deadline(LOOKING + ENDING);
        background::run(&waiting, "looks back", move || app.cut_short(&within))
    });
    found.unwrap_or_else(|error| {
        log::warn!(
            "runs that were cut short are not made up for: {}",
            error.chain()
        );
        Vec::new()
    })
}

impl App {
    fn cut_short(&self, cancel: &Cancel) -> Vec<CutShort> {
        let databases = self.config.sources.iter();
        let found = databases.filter_map(|database| {
            let schedules = database.backup.schedules(&process_env).ok()?;
            if schedules.are_none() {
                return None;
            }
            let places = self.places(&database.backup.storage);
            let failure = failure_record::unended_within(&database.name, &places, cancel)?;
            let minute = failure.undone?;
            Some(CutShort {
                database: database.name.clone(),
                task: task_of(&schedules, minute.minute),
                minute,
            })
        });
        found.collect()
    }
}

/// What was due in this minute. A full backup stands for both; where the schedules have changed since, it is one as well.
fn task_of(schedules: &BackupSchedules, minute: DateTime<Utc>) -> Task {
    let is_due = |schedule: &Option<Schedule>| {
        let schedule = schedule.as_ref();
        schedule.is_some_and(|schedule| schedule.matches(minute))
    };
    match !is_due(&schedules.full) && is_due(&schedules.incremental) {
        true => Task::Incremental,
        false => Task::Backup,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_was_cut_short_is_made_up_for_by_one_of_its_kind() {
        let schedules = BackupSchedules {
            full: Some(Schedule::parse("0 2 * * 0").unwrap()),
            incremental: Some(Schedule::parse("0 2,14 * * *").unwrap()),
        };
        let task = |minute: &str| task_of(&schedules, minute.parse().unwrap());
        assert_eq!(task("2026-11-22T02:00:00Z"), Task::Backup);
        assert_eq!(task("2026-11-23T02:00:00Z"), Task::Incremental);
        assert_eq!(task("2026-11-22T14:00:00Z"), Task::Incremental);
        assert_eq!(task("2026-11-22T03:00:00Z"), Task::Backup);
    }
}
