//! Which of several daemons with one configuration makes the run of a scheduled minute: the first that writes it down in a
//! lease.

use super::context::App;
use crate::cancel::Cancel;
use crate::cause::FailureCause;
use crate::config::DatabaseSettings;
use crate::daemon::heartbeat::DaemonDirectories;
use crate::error::Result;
use crate::files::random;
use crate::process::machine::{digest, host_name, machine_digest};
use crate::repository::hold::{Hold, HoldRequest};
use crate::repository::lease_record::{LeasedWork, MinuteClaim};
use std::path::Path;
use std::time::Duration;

impl App {
    /// Takes the minute of a run that holds nothing while it works; fails where another daemon has it. Where nothing can be
    /// written down about it, it is nobody's.
    pub(super) fn take_minute(
        &self,
        database: &DatabaseSettings,
        claim: Option<&MinuteClaim>,
        wait: Duration,
        cancel: &Cancel,
    ) -> Result<()> {
        if claim.is_none() {
            return Ok(());
        }
        let request = HoldRequest {
            name: &database.name,
            work: LeasedWork::Minute,
            claim,
            wait,
        };
        for place in self.targets(&database.backup.storage) {
            let held = place
                .storage
                .and_then(|storage| Hold::take_if_there(&storage, &request, cancel));
            match held {
                Err(error) if error.cause() == Some(FailureCause::MinuteTaken) => {
                    return Err(error);
                }
                Err(error) => log::debug!("{}: {}", place.name, error.chain()),
                Ok(_) => {}
            }
        }
        Ok(())
    }
}

/// What tells this daemon from those of other hosts with the same configuration.
pub(super) fn owner(config: &Path, places: Option<&DaemonDirectories>) -> Result<String> {
    let Some(places) = places else {
        return random::token();
    };
    let place = places.memory_of(config);
    let machine = machine_digest().unwrap_or_default();
    let parts = [host_name(), machine, place.display().to_string()];
    Ok(digest(&[parts.join("\0").as_bytes()]))
}
