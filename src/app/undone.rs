//! Runs that the stop of a daemon cut short, as what lies beside the backups tells of them: a daemon that has lost its memory,
//! as that of a container has, makes up for them all the same.

use super::context::App;
use crate::cancel::Cancel;
use crate::config::process_env;
use crate::daemon::plan::{Left, Task};
use crate::repository::failure_record;
use crate::repository::lease_record::TakenMinute;
use std::time::Duration;

/// All of the looking. Where a storage does not answer, the daemon starts without.
const LOOKING: Duration = Duration::from_secs(20);

/// The minute that a run of `database` had taken.
pub(super) struct CutShort {
    pub database: String,
    pub minute: TakenMinute,
}

impl CutShort {
    /// As a daemon's own memory tells of it.
    pub fn left(&self) -> Left {
        Left {
            database: self.database.clone(),
            task: Task::Backup,
            told: None,
            undone: Some(self.minute.minute),
        }
    }
}

impl App {
    /// The runs of scheduled databases that ended so, and that nothing has made up for.
    pub(super) fn cut_short(&self, cancel: &Cancel) -> Vec<CutShort> {
        let cancel = cancel.with_deadline(LOOKING);
        let databases = self.config.sources.iter();
        let scheduled = databases.filter(|database| {
            let schedule = database.backup.schedule(&process_env);
            schedule.is_ok_and(|schedule| schedule.is_some())
        });
        let found = scheduled.filter_map(|database| {
            let places = self.places(&database.backup.storage);
            let failure = failure_record::unended_within(&database.name, &places, &cancel)?;
            Some(CutShort {
                database: database.name.clone(),
                minute: failure.undone?,
            })
        });
        found.collect()
    }
}
