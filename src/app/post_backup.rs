//! What follows a run for one database, for those who look later: the record of a failure, or what is unusual about
//! a backup that ended well.

use super::context::App;
use super::failure_here::FailedTask;
use crate::cancel::Cancel;
use crate::config::{SourceSettings, process_env};
use crate::error::{Error, Kind, Result};
use crate::format::seal::Keys;
use crate::operation::backup::StoredBackup;
use crate::repository::last_failure::Failure;
use crate::repository::lease_record::MinuteClaim;
use crate::repository::listing::Entry;
use crate::repository::reference::Reference;
use crate::repository::size_check::SizeLevel;
use crate::repository::{failure_record, key_check};
use chrono::{DateTime, Utc};
use std::sync::Arc;
use std::time::Duration;

/// How long to look at the backups before one that is stored.
const LOOKING: Duration = Duration::from_secs(60);

impl App {
    /// Writes down, on each of its storages, that the run for `database` failed; one that a signal ended with the minute that
    /// it had taken. Where none of them can be written to, it is written down here.
    pub(super) fn record_failure(
        &self,
        database: &SourceSettings,
        error: &Error,
        started_at: DateTime<Utc>,
        claim: Option<&MinuteClaim>,
    ) {
        // the run that holds the lock tells for itself
        if error.kind() == Kind::Locked {
            return;
        }
        let mut failure = Failure::new(&database.name, error, started_at, Utc::now());
        failure.undone = claim
            .filter(|_| error.ends_the_run())
            .map(MinuteClaim::taken);
        let unsealed = failure.clone();
        if database.backup.encryption.enabled {
            // the password may be what is missing
            let password = database.backup.encryption.seal_password(&process_env);
            let keys = password.ok().flatten().map(|password| {
                let derivations = Arc::clone(&self.derivations);
                Keys::new(vec![password], derivations)
            });
            let keys = keys.and_then(Result::ok);
            if let Err(error) = failure_record::seal(&mut failure, keys.as_ref()) {
                log::debug!("{}", error.chain());
            }
        }
        if !failure_record::record(&failure, &self.places(&database.backup.storage)) {
            self.keep_failure_here(FailedTask::Backup, &unsealed);
        }
    }

    /// The failure of an earlier run for `database` that people have been told of, and not of its end.
    pub(super) fn unended_failure(&self, database: &SourceSettings) -> Option<Failure> {
        self.last_failure(database)
            .filter(|failure| failure.recovery_due)
    }

    /// The last run for `database` that failed, whether people have been told of its end or not.
    pub(super) fn last_failure(&self, database: &SourceSettings) -> Option<Failure> {
        failure_record::last(&database.name, &self.places(&database.backup.storage))
    }

    /// Writes down that people have been told of the end of `failure`.
    pub(super) fn end_failure(&self, database: &SourceSettings, failure: Failure) {
        failure_record::end(failure, &self.places(&database.backup.storage));
    }

    /// What is unusual about the backup that was just `stored`, beside those before it.
    pub(super) fn concerns(
        &self,
        database: &SourceSettings,
        stored: &StoredBackup,
        cancel: &Cancel,
    ) -> Vec<String> {
        let cancel = cancel.with_deadline(LOOKING);
        match self.look_back(database, stored, &cancel) {
            Ok(concerns) => concerns,
            Err(error) => {
                log::debug!("earlier backups are not looked at: {}", error.chain());
                Vec::new()
            }
        }
    }

    fn look_back(
        &self,
        database: &SourceSettings,
        stored: &StoredBackup,
        cancel: &Cancel,
    ) -> Result<Vec<String>> {
        let Some(copy) = stored.copies.iter().find(|copy| copy.result.is_ok()) else {
            return Ok(Vec::new());
        };
        let id = stored.id();
        let places = self.places(std::slice::from_ref(&copy.storage));
        let repository = self.repository(&id.database, &places, cancel)?;
        let backups = repository.backups();
        let mut concerns = Vec::new();
        if let Some(newest) = backups.iter().find(|backup| backup.id == id) {
            let partial = stored.manifest.is_partial();
            let change = repository.size_change(&newest.copies[0], partial, cancel)?;
            if change.level > SizeLevel::Usual {
                concerns.push(change.to_string());
            }
        }
        if database.backup.encryption.enabled
            && let Some(storage) = places.usable(&copy.storage)
        {
            let keys = self.keys_for(&id.database, &Reference::Id(id.clone()))?;
            // the newest come first
            let earlier = backups.iter().rev().filter(|backup| backup.id < id);
            let earlier = earlier.map(|backup| backup.copies[0].entry.clone());
            let earlier: Vec<Entry> = earlier.collect();
            let storage = storage.as_ref();
            if let Some(entry) = key_check::unopened(storage, &earlier, &keys, cancel)? {
                concerns.push(key_check::changed(storage, entry, &keys).report());
            }
        }
        Ok(concerns)
    }
}
