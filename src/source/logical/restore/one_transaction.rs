//! Whether a restore is one transaction, which holds a lock on all that it drops and makes until it ends.
//!
//! It is refused only where the locks can never fit. One that is as good without a transaction around it goes without as soon
//! as they might not.

use super::facts::RestoreFacts;
use crate::error::Error;
use crate::source::logical::archive::TocEntry;

/// An object may take as many locks: a table, its rows that are long, their index, its sequence and the index of a key, and some
/// to spare.
const LOCKS_OF_OBJECT: u64 = 16;
/// More in one transaction make nothing faster.
const MOST_OBJECTS: u64 = 1000;

impl RestoreFacts<'_> {
    /// True where all of it is one transaction. A database that is made is dropped again where the restore fails, so it needs
    /// none, and gets none where that might not fit.
    pub fn is_one_transaction(&self) -> bool {
        let crowded = || {
            let table = self.lock_table.as_ref();
            table.is_some_and(|table| !table.surely_takes(self.locks()))
        };
        let request = self.request;
        !request.options.no_single_transaction
            && request.jobs.is_none()
            && !(self.creates && crowded())
    }

    /// How many objects each transaction may have of a restore into a database that is made, which is none by itself because
    /// of its locks. Of what somebody wants in none, each object is its own.
    pub(super) fn objects_in_transaction(&self) -> Option<u64> {
        let request = self.request;
        let is_ours = self.creates
            && !request.options.no_single_transaction
            && request.jobs.is_none()
            && !self.is_one_transaction();
        let table = self.lock_table.as_ref().filter(|_| is_ours)?;
        Some((table.promised() / LOCKS_OF_OBJECT).clamp(1, MOST_OBJECTS))
    }

    /// What may end a restore in one transaction that is not refused.
    pub(super) fn locks_in_doubt(&self) -> Option<String> {
        let (table, locks) = (self.lock_table.as_ref()?, self.locks());
        let promised = table.promised();
        (self.is_one_transaction() && locks > promised && !table.never_takes(locks)).then(|| {
            format!(
                "{locks} locks or more in one transaction, where max_locks_per_transaction speaks of {promised} \
                 (--no-single-transaction needs few)"
            )
        })
    }

    /// The least number of locks that one transaction would hold at its end.
    fn locks(&self) -> u64 {
        if self.request.subset.data_only {
            return 0;
        }
        let dropped = self.drop_effects.as_ref().map_or(0, |drops| drops.locks);
        let entries = self.toc.iter().flat_map(|toc| &toc.entries);
        let chosen = entries.filter(|entry| self.selection.holds(entry.id));
        let gives_away = !self.request.options.no_owner;
        let made: u64 = chosen.map(|entry| locks_of(entry, gives_away)).sum();
        dropped + made
    }

    /// Refuses what one transaction can never hold the locks of.
    pub(super) fn too_many_locks(&self) -> Option<Error> {
        let (table, locks) = (self.lock_table.as_ref()?, self.locks());
        if !self.is_one_transaction() || !table.never_takes(locks) {
            return None;
        }
        Some(
            Error::failed(format!(
                "one transaction would hold {locks} locks or more on what it drops and makes, and the server has room for {} \
                 at most (max_locks_per_transaction = {})",
                table.most, table.setting
            ))
            .hint(format!(
                "restore with --no-single-transaction, which is not atomic (a failure leaves a part behind), or into a database of \
                 its own, which is: --to NAME --create; or set max_locks_per_transaction = {} on the server and restart it",
                table.setting_for(locks)
            )),
        )
    }
}

/// How many locks an entry leaves behind until the transaction ends, at the least. A table that is large inside has more, and
/// so does what others belong to.
fn locks_of(entry: &TocEntry, gives_away: bool) -> u64 {
    match &*entry.kind {
        "TABLE" | "FOREIGN TABLE" | "VIEW" | "MATERIALIZED VIEW" | "SEQUENCE" | "INDEX" => 1,
        // that of a unique one, its index
        "CONSTRAINT" => 1,
        // to be given away takes one, be it to whom it belongs already
        "BLOB" | "BLOB METADATA" if gives_away => entry.large_objects(),
        "FUNCTION" | "PROCEDURE" | "AGGREGATE" if gives_away => 1,
        _ => 0,
    }
}
