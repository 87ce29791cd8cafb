//! The newest backup of a database that shows that backups are made, over all of its storages.

use super::report::{CopyState, DamagedBackup, FutureBackup, NewestBackup, NewestCopy};
use super::subject::StatusSubject;
use crate::cancel::Cancel;
use crate::error::Result;
use crate::repository::size_check::SizeChange;
use crate::repository::standing::{Objection, Purpose, Standing, right_the_clock};
use crate::repository::{Newest, PassedOver, Repository};
use chrono::{DateTime, Utc};

/// What was found on the way from the newest backup to the newest that counts.
pub(super) struct NewestAndNewer {
    pub newest: Option<NewestBackup>,
    /// There are backups, and none that counts.
    pub none_counts: bool,
    /// Newer ones that have no good copy.
    pub damaged: Vec<DamagedBackup>,
    /// The newest of those that begin later than now.
    pub from_the_future: Option<FutureBackup>,
}

/// The newest backup of `subject` that counts, and what is wrong with newer ones.
pub(super) fn find(
    subject: &StatusSubject,
    repository: &Repository,
    now: DateTime<Utc>,
    cancel: &Cancel,
) -> Result<NewestAndNewer> {
    let mut passed_over = Vec::new();
    let newest = repository.newest(Purpose::OnTime, |_| true, &mut passed_over, cancel)?;
    let newest = match newest {
        Some(newest) => Some(describe(subject, repository, newest, now, cancel)?),
        None => None,
    };
    let id = |passed: &PassedOver| passed.copy.entry.id.clone();
    let is_future = |passed: &&PassedOver| passed.objection == Objection::FromTheFuture;
    let damaged = passed_over
        .iter()
        .filter(|passed| passed.objection.is_damage());
    Ok(NewestAndNewer {
        none_counts: newest.is_none() && !passed_over.is_empty(),
        newest,
        damaged: damaged
            .map(|passed| DamagedBackup {
                id: id(passed),
                flaw: passed.objection,
            })
            .collect(),
        from_the_future: passed_over.iter().find(is_future).map(|passed| {
            let storage = repository.places().usable(&passed.copy.storage);
            let hint = storage.map(|storage| right_the_clock(storage.as_ref(), &id(passed)));
            FutureBackup {
                id: id(passed),
                hint: hint.unwrap_or_else(|| "set the clock right".to_string()),
            }
        }),
    })
}

fn describe(
    subject: &StatusSubject,
    repository: &Repository,
    newest: Newest,
    now: DateTime<Utc>,
    cancel: &Cancel,
) -> Result<NewestBackup> {
    let manifest = repository.manifest(&newest.backup, cancel)?;
    let manifest = manifest.read();
    let partial = manifest.is_some_and(|manifest| manifest.is_partial());
    let size = repository.size_change(&newest.copy, partial, cancel);
    let size = size.inspect_err(|error| log::debug!("{}", error.chain()));
    cancel.check()?;
    let entry = newest.copy.entry.clone();
    let state = |name: &String| NewestCopy {
        storage: name.clone(),
        state: state(name, &newest, repository),
    };
    Ok(NewestBackup {
        finished_at: manifest.map(|manifest| manifest.finished_at),
        partial,
        age: now - entry.id.timestamp.moment(),
        size: size.unwrap_or_else(|_| SizeChange::new(entry.bytes, &[])),
        failed_assertion: newest.standings.iter().find_map(Standing::failed_assertion),
        copies: subject.storages.iter().map(state).collect(),
        entry,
    })
}

fn state(name: &str, newest: &Newest, repository: &Repository) -> CopyState {
    let mut copies = newest.backup.copies.iter();
    let found = copies.position(|copy| copy.storage == name);
    match (found, repository.places().usable(name)) {
        (Some(at), Some(storage)) => {
            let address = storage.locate(&newest.backup.copies[at].entry.archive_key());
            match newest.standings[at].damage() {
                Some(flaw) => CopyState::Damaged(address, flaw),
                None => CopyState::There(address),
            }
        }
        _ if repository.places().has_failed(name) => CopyState::Unknown,
        _ => CopyState::Missing,
    }
}
