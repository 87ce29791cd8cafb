//! What several storages hold of one database, and which of it is meant by "the newest", "the last five" or "any".

use super::find::Place;
use super::reference::{Selected, entries_of};
use crate::cancel::Cancel;
use crate::error::{Error, Kind, Result};
use crate::repository::listing::Entry;
use crate::repository::names::{BackupId, Shape};
use crate::storage::Storage;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

/// One storage, and its backups of the database, oldest first.
pub struct Shelf {
    /// The storage.
    pub storage: Arc<dyn Storage>,
    /// Its backups.
    pub entries: Vec<Entry>,
}

/// All storages of a database.
pub struct Shelves {
    /// Those that could be listed.
    pub shelves: Vec<Shelf>,
    /// The others, and why.
    pub failures: Vec<(String, Error)>,
}

/// Which backups of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// All of them.
    All,
    /// The newest so many.
    Last(usize),
    /// So many, chosen at random, never the newest.
    Random(usize),
}

impl Shelves {
    /// Lists `database` on each of `places`; only a cancelled run fails.
    pub fn list(places: Vec<Place>, database: &str, cancel: &Cancel) -> Result<Shelves> {
        let (mut shelves, mut failures) = (Vec::new(), Vec::new());
        for place in places {
            let listed = place.storage.and_then(|storage| {
                let entries = entries_of(storage.as_ref(), Some(database), cancel)?;
                let storage = Arc::from(storage);
                Ok(Shelf { storage, entries })
            });
            match listed {
                Ok(shelf) => shelves.push(shelf),
                Err(error) if matches!(error.kind(), Kind::Signal(_)) => return Err(error),
                Err(error) => failures.push((place.name, error)),
            }
        }
        Ok(Shelves { shelves, failures })
    }

    /// The backups, each once, the newest first.
    pub fn backups(&self) -> Vec<(BackupId, Shape)> {
        let entries = self.shelves.iter().flat_map(|shelf| &shelf.entries);
        let once: BTreeSet<(Reverse<BackupId>, Shape)> = entries
            .map(|entry| (Reverse(entry.id.clone()), entry.shape))
            .collect();
        let backups = once.into_iter();
        backups.map(|(Reverse(id), shape)| (id, shape)).collect()
    }

    /// The copies of one backup.
    pub fn copies(&self, id: &BackupId, shape: Shape) -> Vec<Selected> {
        let shelves = self.shelves.iter();
        shelves
            .filter_map(|shelf| {
                let mut entries = shelf.entries.iter();
                let entry = entries.find(|entry| entry.id == *id && entry.shape == shape)?;
                Some(Selected::Stored {
                    storage: Arc::clone(&shelf.storage),
                    entry: entry.clone(),
                })
            })
            .collect()
    }
}

impl Pick {
    /// Picks from what is sorted newest first. `below` gives a random number below the one it gets, which is never 0.
    pub fn from<T>(
        self,
        mut newest_first: Vec<T>,
        below: &mut dyn FnMut(usize) -> usize,
    ) -> Vec<T> {
        match self {
            Pick::All => newest_first,
            Pick::Last(count) => {
                newest_first.truncate(count);
                newest_first
            }
            Pick::Random(count) => {
                let mut others: Vec<T> = newest_first.into_iter().skip(1).collect();
                while others.len() > count {
                    others.remove(below(others.len()));
                }
                others
            }
        }
    }
}

/// A random number below `limit`.
pub fn below(limit: usize) -> usize {
    let mut bytes = [0u8; 8];
    match rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty()) {
        Ok(_) => (u64::from_ne_bytes(bytes) % limit.max(1) as u64) as usize,
        // a kernel without random numbers still has a choice to make
        Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_pick_is_never_the_newest_and_may_be_any_other() {
        let all = || vec![9, 8, 7, 6];
        let mut seen = BTreeSet::new();
        for choice in 0..24 {
            let mut digits = choice;
            let mut below = |limit: usize| {
                let digit = digits % limit;
                digits /= limit;
                digit
            };
            let picked = Pick::Random(1).from(all(), &mut below);
            assert_eq!(picked.len(), 1);
            seen.extend(picked);
        }
        assert_eq!(seen, BTreeSet::from([6, 7, 8]));
        let mut never = |_: usize| panic!("nothing to choose");
        assert_eq!(Pick::Random(5).from(all(), &mut never), [8, 7, 6]);
        assert_eq!(Pick::Random(1).from(vec![9], &mut never), [0; 0]);
        assert_eq!(Pick::Last(2).from(all(), &mut never), [9, 8]);
        assert_eq!(Pick::All.from(all(), &mut never), all());
    }
}
