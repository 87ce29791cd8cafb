//! Finds the backup that a reference means.
//!
//! A storage that cannot be asked does not hide what the others hold; only where none of them has the backup is its
//! failure the answer, since the backup may be there.

use super::held::{Copy, HeldBackup};
use super::located::Located;
use super::names::BackupId;
use super::reference::Reference;
use super::standing::{Objection, Purpose};
use super::{PassedOver, Repository};
use crate::cancel::Cancel;
use crate::error::{Error, Kind, Result};
use crate::text::ours;
use crate::text::rfc3339;
use chrono::{DateTime, Utc};

impl Repository<'_> {
    /// The copy that `reference` means, of several the one on the storage that comes first. The latest is the newest that
    /// counts for `purpose`; where none does because all are damaged, the newest of those, so that what is wrong with it
    /// is told.
    pub fn find(
        &self,
        reference: &Reference,
        purpose: Purpose,
        cancel: &Cancel,
    ) -> Result<Located> {
        let found = match reference {
            Reference::Path(path) => return Ok(Located::File(path.clone())),
            Reference::Latest { by, .. } => self.latest(*by, purpose, cancel)?,
            Reference::Id(id) => self.only_one(id)?,
            Reference::Key(id, encoding) => {
                let mut backups = self.backups().into_iter();
                let found = backups.find(|backup| backup.id == *id && backup.encoding == *encoding);
                found.and_then(first_copy)
            }
        };
        let Some(copy) = found else {
            return Err(self.not_found(reference));
        };
        if matches!(reference, Reference::Id(_) | Reference::Key(..)) && purpose == Purpose::Restore
        {
            self.warn_of_spoilt(&copy, cancel)?;
        }
        for (name, error) in self.places().take_failures() {
            let missed = match reference {
                Reference::Latest { .. } => "a newer backup may be on",
                _ => "cannot look on",
            };
            log::warn!("{missed} the storage {name}: {}", error.report());
        }
        self.located(&copy).ok_or_else(|| self.not_found(reference))
    }

    /// A copy as it is opened; `None` where its storage answers no more.
    pub fn located(&self, copy: &Copy) -> Option<Located> {
        let storage = self.places().usable(&copy.storage)?;
        Some(Located::Stored {
            storage: storage.clone(),
            entry: copy.entry.clone(),
        })
    }

    /// The newest backup before `id` that counts for a restore, looking at no more than `most`. It is none that `id` needs: where
    /// that cannot be restored, it may be because of these.
    pub fn older(&self, id: &BackupId, most: usize, cancel: &Cancel) -> Result<Option<BackupId>> {
        let backups = self.backups();
        let own = backups.iter().find(|backup| backup.id == *id);
        let needed = own.and_then(|own| self.chain(own.copies.first()?, cancel).ok());
        let needed = needed.unwrap_or_default();
        let is_needed = |id: &BackupId| needed.iter().any(|link| link.copy.entry.id == *id);
        let older = backups.iter();
        let older = older.filter(|backup| backup.id < *id && !is_needed(&backup.id));
        for backup in older.take(most) {
            let standings = self.standings(backup, cancel)?;
            let mut standings = standings.iter();
            if standings.any(|standing| self.counts(standing, Purpose::Restore)) {
                return Ok(Some(backup.id.clone()));
            }
        }
        Ok(None)
    }

    fn latest(
        &self,
        by: Option<DateTime<Utc>>,
        purpose: Purpose,
        cancel: &Cancel,
    ) -> Result<Option<Copy>> {
        let in_time = |id: &BackupId| by.is_none_or(|by| id.timestamp.moment() <= by);
        let mut passed_over = Vec::new();
        let newest = self.newest(purpose, in_time, &mut passed_over, cancel)?;
        let mut spoilt = passed_over.iter().filter(|one| one.objection.is_spoilt());
        // one that is whole before one that is damaged
        let whole = spoilt.clone().find(|one| !one.objection.is_damage());
        let taken = match newest {
            Some(_) => None,
            None => whole.or_else(|| spoilt.next()),
        };
        for passed in &passed_over {
            match taken {
                Some(taken) if std::ptr::eq(taken, passed) => self.tell_taken(
                    &passed.copy,
                    "since there is no better one",
                    passed.objection,
                ),
                _ => self.tell(passed),
            }
        }
        let newest = newest.map(|newest| newest.copy);
        Ok(newest.or_else(|| taken.map(|taken| taken.copy.clone())))
    }

    /// Says what is wrong with a copy that is taken all the same, since it was named.
    fn warn_of_spoilt(&self, copy: &Copy, cancel: &Cancel) -> Result<()> {
        let held = HeldBackup {
            id: copy.entry.id.clone(),
            encoding: copy.entry.encoding,
            copies: vec![copy.clone()],
        };
        let standings = self.standings(&held, cancel)?;
        let mut objections = standings
            .iter()
            .filter_map(|standing| standing.objection(Purpose::Restore, true));
        if let Some(spoilt) = objections.find(|objection| objection.is_spoilt()) {
            self.tell_taken(copy, "as it was named", spoilt);
        }
        Ok(())
    }

    /// Says what speaks against a copy that is taken all the same, and `why` it is.
    fn tell_taken(&self, copy: &Copy, why: &str, objection: Objection) {
        log::warn!(
            "{} is taken {why}, but {}",
            self.shown(copy),
            objection.words(self.now)
        );
    }

    /// Where the copy is.
    fn shown(&self, copy: &Copy) -> String {
        let key = copy.entry.archive_key();
        match self.places().usable(&copy.storage) {
            Some(storage) => storage.locate(&key),
            None => key,
        }
    }

    /// Says what was passed over, louder where someone may not expect it.
    fn tell(&self, passed: &PassedOver) {
        let PassedOver { copy, objection } = passed;
        let id = &copy.entry.id;
        match objection {
            Objection::Partial => log::info!("passing over {id}, a partial backup"),
            Objection::BeforeRestore => {
                log::info!("passing over {id}, which holds what a restore was about to replace");
            }
            Objection::Unfinished => {
                log::info!("passing over {id}, which is not finished");
            }
            _ => log::warn!(
                "passing over {}: {}",
                self.shown(copy),
                objection.words(self.now)
            ),
        }
    }

    /// The archive of one backup, on the first storage that has it. With encryption configured a sealed one goes before
    /// an unsealed one of the same name, which anybody who can write to the storage could have put there; two on one
    /// storage that are alike in that are one too many.
    fn only_one(&self, id: &BackupId) -> Result<Option<Copy>> {
        let mut copies: Vec<Copy> = self
            .backups()
            .into_iter()
            .filter(|backup| backup.id == *id)
            .flat_map(|backup| backup.copies)
            .collect();
        let position = |copy: &Copy| {
            let mut listings = self.listings().iter();
            listings.position(|(storage, _)| *storage == copy.storage)
        };
        copies.sort_by_key(position);
        let Some(first) = copies.first().map(|copy| copy.storage.clone()) else {
            return Ok(None);
        };
        copies.retain(|copy| copy.storage == first);
        if self.expected.sealed && copies.iter().any(|copy| copy.entry.is_sealed()) {
            copies.retain(|copy| copy.entry.is_sealed());
        }
        if copies.len() > 1 {
            let keys = copies.iter().map(|copy| copy.entry.archive_key());
            let keys: Vec<String> = keys.collect();
            return Err(
                Error::refused(format!("{id} has several archives: {}", keys.join(", ")))
                    .hint("name the one that is meant by its key"),
            );
        }
        Ok(copies.pop())
    }

    /// Why there is nothing: a storage that could not be asked, else that no storage has it.
    fn not_found(&self, reference: &Reference) -> Error {
        let places = self.places();
        let name = self.name();
        let looked_in = self.listings().iter();
        let looked_in: Vec<String> = looked_in
            .filter_map(|(storage, _)| Some(places.usable(storage)?.locate(name)))
            .collect();
        let mut failures = places.take_failures().into_iter();
        if let Some((storage, error)) = failures.next() {
            for (storage, error) in failures {
                log::warn!("storage {storage}: {}", error.report());
            }
            return match looked_in.is_empty() {
                true => error,
                false => error.doing(format!(
                    "there is none in {}, and the storage {storage} cannot be asked",
                    looked_in.join(", ")
                )),
            };
        }
        let what = match reference {
            Reference::Id(id) => format!("there is no backup {id}"),
            Reference::Key(id, encoding) => {
                format!("there is no backup {}", id.archive_key(*encoding))
            }
            _ if self.expected.sealed => format!("there is no encrypted full backup of {name}"),
            _ => format!("there is no full backup of {name}"),
        };
        let when = match reference {
            Reference::Latest { by: Some(by), .. } => {
                let by = rfc3339::second(*by);
                format!(" from {by} or before")
            }
            _ => String::new(),
        };
        let look = format!("see which there are with: {}", ours::command("list"));
        let hint = match reference {
            Reference::Latest { .. } => format!(
                "{look}; one that is partial, not encrypted or made before a restore has to be named by its DB/TIMESTAMP"
            ),
            _ => look,
        };
        let place = looked_in.join(", ");
        Error::new(Kind::NotFound, format!("{what}{when} in {place}")).hint(hint)
    }
}

fn first_copy(backup: HeldBackup) -> Option<Copy> {
    backup.copies.into_iter().next()
}
