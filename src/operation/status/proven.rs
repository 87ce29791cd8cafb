//! When a check last proved a backup of a database good, from the records beside its backups.

use super::subject::StatusSubject;
use crate::cancel::Cancel;
use crate::error::Result;
use crate::operation::list::NEWEST;
use crate::repository::Repository;
use crate::repository::check_records::{CheckLevel, last_proven};
use crate::repository::held::Copy;
use chrono::{DateTime, Utc};
use std::collections::HashMap;

/// What the records of checks come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Proven {
    /// The newest check that restored a backup and found it good: "last proven restorable".
    pub restorable_at: Option<DateTime<Utc>>,
    /// The newest check of at least the configured level that found one good.
    pub verified_at: Option<DateTime<Utc>>,
    /// True where that is longer ago than allowed.
    pub too_long_ago: bool,
}

impl Proven {
    fn add(&mut self, restorable: Option<DateTime<Utc>>, verified: Option<DateTime<Utc>>) {
        self.restorable_at = self.restorable_at.max(restorable);
        self.verified_at = self.verified_at.max(verified);
    }

    /// True where the newest check is older than `subject` allows.
    fn is_late(&self, subject: &StatusSubject, now: DateTime<Utc>) -> bool {
        let since = self.verified_at.map(|at| (now - at).to_std());
        subject.max_unverified_age.is_some_and(|limit| match since {
            Some(since) => since.is_ok_and(|since| since > limit),
            None => true,
        })
    }
}

/// What is written down about the backups of `subject`. The records of the newest [`NEWEST`] that have some are read on
/// each storage; the older ones, each a request, only before it would be said that the last check is too long ago: one
/// that picks at random may have been of any of them.
pub(super) fn find(
    subject: &StatusSubject,
    repository: &Repository,
    now: DateTime<Utc>,
    cancel: &Cancel,
) -> Result<Proven> {
    let sealed_only = subject.expected.sealed;
    let mut backups = repository.backups();
    backups.retain(|backup| backup.encoding.cipher.is_encrypted() || !sealed_only);
    let mut ranks: HashMap<&str, usize> = HashMap::new();
    let mut recorded: Vec<(usize, &Copy)> = Vec::new();
    for copy in backups.iter().flat_map(|backup| &backup.copies) {
        if copy.entry.has_records() {
            let rank = ranks.entry(&copy.storage).or_default();
            recorded.push((*rank, copy));
            *rank += 1;
        }
    }
    recorded.sort_by_key(|(rank, _)| *rank);

    let mut proven = Proven::default();
    for (rank, copy) in recorded {
        if rank >= NEWEST && !proven.is_late(subject, now) {
            break;
        }
        let Some(records) = repository.records(copy, cancel)? else {
            continue;
        };
        let key = copy.entry.archive_key();
        let last = |level| last_proven([(&*records, &*key, copy.entry.bytes)], level);
        proven.add(last(CheckLevel::Restore), last(subject.verify_level));
    }

    let oldest = backups.last();
    let oldest = oldest.map(|oldest| (now - oldest.id.timestamp.moment()).to_std());
    // before the first check is due its absence says nothing, and a storage that cannot be asked may know of one
    let due = match (oldest, subject.max_unverified_age) {
        (Some(Ok(age)), Some(limit)) => age > limit,
        _ => false,
    };
    let places = repository.places();
    let all_asked = || subject.storages.iter().all(|name| !places.has_failed(name));
    let told = proven.verified_at.is_some() || (due && all_asked());
    proven.too_long_ago = told && proven.is_late(subject, now);
    Ok(proven)
}
