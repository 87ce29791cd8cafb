//! Runs that the stop of a daemon cut short, as what lies beside the backups tells of them: a daemon that has lost its memory,
//! as that of a container has, makes up for them all the same.

use super::context::App;
use crate::background;
use crate::cancel::Cancel;
use crate::config::process_env;
use crate::daemon::plan::{Left, Task};
use crate::repository::failure_record;
use crate::repository::lease_record::TakenMinute;
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
        let scheduled = databases.filter(|database| {
            let schedule = database.backup.schedule(&process_env);
            schedule.is_ok_and(|schedule| schedule.is_some())
        });
        let found = scheduled.filter_map(|database| {
            let places = self.places(&database.backup.storage);
            let failure = failure_record::unended_within(&database.name, &places, cancel)?;
            Some(CutShort {
                database: database.name.clone(),
                minute: failure.undone?,
            })
        });
        found.collect()
    }
}
