//! Which backup to try when one cannot be opened: the next older one that nothing speaks against.

use super::find::Place;
use super::holdings::{Shelf, Shelves};
use super::reference::{proof_of, read_manifest};
use crate::cancel::Cancel;
use crate::repository::check_records::Outcome;
use crate::repository::listing::Entry;
use crate::repository::names::BackupId;
use std::time::Duration;

/// Looking for it must not keep the answer waiting.
const LOOKING: Duration = Duration::from_secs(30);
/// No more backups than this are looked at.
const MOST: usize = 20;

/// The newest full backup before `id` on `places` whose last check, if there was one, did not find it bad. With
/// `sealed_only`, an encrypted one.
pub fn older_good(
    id: &BackupId,
    places: Vec<Place>,
    sealed_only: bool,
    cancel: &Cancel,
) -> Option<BackupId> {
    let cancel = cancel.with_deadline(LOOKING);
    let shelves = Shelves::list(places, &id.database, &cancel).ok()?;
    let mut candidates: Vec<(&Shelf, &Entry)> = Vec::new();
    for shelf in &shelves.shelves {
        let older = shelf.entries.iter().filter(|entry| entry.id < *id);
        let older = older.filter(|entry| entry.shape.sealed || !sealed_only);
        candidates.extend(older.map(|entry| (shelf, entry)));
    }
    candidates.sort_by(|(_, a), (_, b)| b.id.cmp(&a.id));
    candidates.truncate(MOST);
    let good = candidates.into_iter().find(|(shelf, entry)| {
        let storage = shelf.storage.as_ref();
        let whole = match read_manifest(storage, entry, &cancel) {
            Ok(manifest) => !manifest
                .is_some_and(|manifest| manifest.dump.partial || manifest.dump.before_restore),
            Err(_) => false,
        };
        let found_bad = || {
            let proof = proof_of(storage, &entry.id, &cancel).ok();
            let last = proof.as_ref().and_then(|proof| proof.last());
            last.is_some_and(|check| check.result == Outcome::Bad)
        };
        whole && !(entry.has_proof && found_bad())
    });
    good.map(|(_, entry)| entry.id.clone())
}
