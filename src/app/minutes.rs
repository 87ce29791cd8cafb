//! Which of several daemons with one configuration makes the run of a scheduled minute: the first that writes it down in a
//! lease.

use super::context::App;
use crate::cancel::Cancel;
use crate::config::SourceSettings;
use crate::error::{Kind, Result};
use crate::repository::hold::{Hold, HoldRequest};
use crate::repository::lease_record::{LeasedWork, MinuteClaim};
use std::time::Duration;

/// How long to wait for who holds a lease: as long as it takes to write a minute down, and not for a backup.
const WAIT: Duration = Duration::from_secs(10);

impl App {
    /// Takes the minute of a run that holds nothing while it works; fails where another daemon has it, and where another
    /// run holds the lease, since that one may be of the daemon that comes to this minute when it has ended. Where nothing
    /// can be written down about it, it is nobody's.
    pub(super) fn take_minute(
        &self,
        database: &SourceSettings,
        claim: &MinuteClaim,
        cancel: &Cancel,
    ) -> Result<()> {
        let request = HoldRequest {
            name: &database.name,
            work: LeasedWork::Minute,
            claim: Some(claim),
            wait: WAIT,
        };
        for place in self.targets(&database.backup.storage) {
            let held = place
                .storage
                .and_then(|storage| Hold::take_if_there(&storage, &request, cancel));
            match held {
                Err(error) if error.kind() == Kind::Locked => return Err(error),
                Err(error) => log::debug!("{}: {}", place.name, error.chain()),
                Ok(_) => {}
            }
        }
        Ok(())
    }
}
