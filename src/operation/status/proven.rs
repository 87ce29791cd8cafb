//! When a check last proved a backup of a database good, from the records beside its backups.

use super::{Storages, Subject};
use crate::cancel::Cancel;
use crate::error::Result;
use crate::operation::list::NEWEST;
use crate::repository::check_records::{Level, last_proven};
use crate::repository::listing::Entry;
use crate::repository::reference::proof_of;
use chrono::{DateTime, Utc};

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
    fn is_late(&self, subject: &Subject, now: DateTime<Utc>) -> bool {
        let since = self.verified_at.map(|at| (now - at).to_std());
        subject.max_unverified_age.is_some_and(|limit| match since {
            Some(since) => since.is_ok_and(|since| since > limit),
            None => true,
        })
    }
}

/// What is written down about the backups of `subject` that `listings` show. The records of the newest [`NEWEST`] that
/// have some are read on each storage; the older ones, each a request, only before it would be said that the last
/// check is too long ago: one that picks at random may have been of any of them.
pub(super) fn find(
    subject: &Subject,
    listings: &[(&str, Vec<Entry>)],
    asked: &mut Storages,
    now: DateTime<Utc>,
    cancel: &Cancel,
) -> Result<Proven> {
    let counts = |entry: &&Entry| entry.shape.sealed || !subject.sealed_only;
    let mut recorded: Vec<(usize, &str, &Entry)> = Vec::new();
    for (name, entries) in listings {
        let newest_first = entries.iter().rev().filter(counts);
        let with_records = newest_first.filter(|entry| entry.has_proof);
        recorded.extend(with_records.enumerate().map(|(rank, e)| (rank, *name, e)));
    }
    recorded.sort_by_key(|(rank, ..)| *rank);

    let mut proven = Proven::default();
    for (rank, name, entry) in recorded {
        if rank >= NEWEST && !proven.is_late(subject, now) {
            break;
        }
        let read = asked.read(name, |storage| proof_of(storage, &entry.id, cancel))?;
        let Some(proof) = read else {
            continue;
        };
        let key = entry.archive_key();
        let last = |level| last_proven([(&proof, &*key, entry.bytes)], level);
        proven.add(last(Level::Restore), last(subject.verify_level));
    }

    let entries = listings.iter().flat_map(|(_, entries)| entries);
    let oldest = entries.filter(counts).map(|entry| entry.id.timestamp);
    let oldest = oldest.min().map(|oldest| (now - oldest.moment()).to_std());
    // before the first check is due its absence says nothing, and a storage that cannot be asked may know of one
    let due = match (oldest, subject.max_unverified_age) {
        (Some(Ok(age)), Some(limit)) => age > limit,
        _ => false,
    };
    let told = proven.verified_at.is_some() || (due && asked.failed(subject).is_empty());
    proven.too_long_ago = told && proven.is_late(subject, now);
    Ok(proven)
}
