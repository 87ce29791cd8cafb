//! The record of a run that failed, beside the backups, for `status` on whatever host.

use super::places::Places;
use super::sidecars::read_small;
use crate::cancel::Cancel;
use crate::error::{Error, Kind, Result};
use crate::format::seal::{Expect, Keys, open_bytes, seal_bytes};
use crate::repository::last_failure::{Failure, LARGEST, Words};
use crate::repository::names::last_failure_key;
use crate::storage::Storage;
use base64ct::{Base64, Encoding};
use std::time::Duration;

/// How long writing it down may take on each storage, whatever ended the run.
const LIMIT: Duration = Duration::from_secs(10);

/// Seals what `failure` says, as the backups are sealed that hold the tables it may name; without keys it says nothing.
pub fn seal(failure: &mut Failure, keys: Option<&Keys>) -> Result<()> {
    let words = failure.words.take();
    if let (Some(words), Some(keys)) = (words, keys) {
        let plain = serde_json::to_vec(&words)
            .map_err(|error| Error::failed("cannot write down a failure").because(error))?;
        let sealed = seal_bytes(&plain, keys, &label(&failure.database))?;
        failure.words_sealed = Some(Base64::encode_string(&sealed));
    }
    Ok(())
}

/// The opposite; what no key opens stays sealed.
pub fn open(failure: &mut Failure, keys: &dyn Fn() -> Result<Keys>) {
    let Some(sealed) = &failure.words_sealed else {
        return;
    };
    let words = || -> Result<Words> {
        let damaged = || Error::damaged("what the last failure says is damaged");
        let sealed = Base64::decode_vec(sealed).map_err(|_| damaged())?;
        let label = label(&failure.database);
        let plain = open_bytes(&sealed, &keys()?, Expect::Label(&label))?;
        serde_json::from_slice(&plain).map_err(|error| damaged().because(error))
    };
    match words() {
        Ok(words) => failure.words = Some(words),
        Err(error) => log::debug!("{}", error.chain()),
    }
}

fn label(database: &str) -> String {
    format!("{database}#last-failure")
}

/// Writes `failure` down on each of `places`, as far as that can be done; false where it could be on none. The run's own
/// token is no use here: it may be cancelled, and that be the failure.
pub fn record(failure: &Failure, places: &Places) -> bool {
    let key = last_failure_key(&failure.database);
    let mut is_recorded = false;
    for storage in places.names().filter_map(|name| places.usable(name)) {
        let written = Cancel::new().and_then(|cancel| {
            let cancel = cancel.with_deadline(LIMIT);
            storage.replace(&key, &failure.to_json()?, &cancel)
        });
        match written {
            Ok(()) => is_recorded = true,
            Err(error) => log::debug!("the failure is not written down: {}", error.report()),
        }
    }
    is_recorded
}

/// The last failure of `database`, whether people have been told of its end or not; what cannot be read says nothing.
pub fn last(database: &str, places: &Places) -> Option<Failure> {
    last_within(database, places, &Cancel::new().ok()?)
}

/// The last failure of `database` that people have not been told the end of, until `cancel` says stop.
pub fn unended_within(database: &str, places: &Places, cancel: &Cancel) -> Option<Failure> {
    last_within(database, places, cancel).filter(|failure| failure.recovery_due)
}

fn last_within(database: &str, places: &Places, cancel: &Cancel) -> Option<Failure> {
    let storages = places.names().filter_map(|name| places.usable(name));
    let found = storages.filter_map(|storage| {
        let found = read(storage.as_ref(), database, &cancel.with_deadline(LIMIT));
        found.unwrap_or_else(|error| {
            log::debug!("{}", error.chain());
            None
        })
    });
    // a storage that was away when its end was told still has the same record
    found.max_by_key(|failure| (failure.failed_at, !failure.recovery_due))
}

/// Writes down on each of `places` that people have been told of the end of `failure`.
pub fn end(failure: Failure, places: &Places) {
    let ended = Failure {
        recovery_due: false,
        undone: None,
        ..failure
    };
    record(&ended, places);
}

/// The record of `database` on `storage`, if there is one.
pub fn read(storage: &dyn Storage, database: &str, cancel: &Cancel) -> Result<Option<Failure>> {
    let key = last_failure_key(database);
    let opened = match storage.open(&key, cancel) {
        Err(error) if error.kind() == Kind::NotFound => return Ok(None),
        other => other?,
    };
    let bytes = read_small(opened, LARGEST, &storage.locate(&key))?;
    Failure::from_json(&bytes, &storage.locate(&key)).map(Some)
}
