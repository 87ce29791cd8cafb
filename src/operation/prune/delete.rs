//! Deletes what the verdicts say, beside whatever other hosts do meanwhile.
//!
//! Each batch is announced, then all is listed again, and what the announcement or the listing speaks against is spared. No
//! request to delete is sent once the lease is over, or the announcement.

use crate::cancel::Cancel;
use crate::error::{Doing, Error, Kind, Result};
use crate::repository::deletion::{AnnouncedDeletion, OthersDeletions};
use crate::repository::doomed::{Doomed, INTERVAL};
use crate::repository::lease::Lease;
use crate::repository::listing::{Backup, Listing};
use crate::repository::mark_names::MarkKind;
use crate::repository::names::{BackupId, Name, Part};
use crate::repository::reading_mark::is_living;
use crate::repository::run_mark::ABANDONED;
use crate::repository::sidecars::listing_of;
use crate::storage::Storage;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// So many backups are announced and deleted in one go, which on remote storage is a dozen requests and some listings.
const BATCH: usize = 100;

/// What keeps a backup for now that goes by the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spared {
    /// Two steps are needed on this storage, and the second can be taken from then on.
    Until(DateTime<Utc>),
    /// Someone reads it.
    BeingRead,
    /// Something was said of it, or stored, while this run looked at the others.
    Changed,
    /// One that is spared needs it.
    Needed,
}

/// What is to be deleted where, and by whom.
#[derive(Clone, Copy)]
pub(super) struct DeletionJob<'a> {
    pub database: &'a str,
    pub storage: &'a dyn Storage,
    /// The lease that the run holds, as far as it has one.
    pub lease: Option<&'a Lease>,
    /// What the verdicts are about.
    pub listing: &'a Listing,
    /// What goes by what lies there when it is asked.
    pub again: &'a dyn Fn() -> Result<Vec<BackupId>>,
    /// Which backup needs which, of all that are there.
    pub parents: &'a BTreeMap<BackupId, BackupId>,
    /// What else than backups of the kind that is configured is left out of a listing.
    pub judged: &'a dyn Fn(&Backup) -> bool,
    pub now: DateTime<Utc>,
}

/// What became of it.
#[derive(Default)]
pub(super) struct Deleted {
    pub spared: BTreeMap<BackupId, Spared>,
    /// Keys of sidecars without their archive.
    pub swept: Vec<String>,
    pub warnings: Vec<String>,
}

/// Deletes the backups `doomed`, and what lost its archive.
pub(super) fn all(
    job: DeletionJob,
    doomed: BTreeSet<BackupId>,
    cancel: &Cancel,
) -> Result<Deleted> {
    let DeletionJob {
        database,
        storage,
        listing,
        ..
    } = job;
    let leftovers = !listing.orphans.is_empty() || !listing.reading.is_empty();
    let marked = !listing.numbers(database, MarkKind::Doomed).is_empty();
    if doomed.is_empty() && !leftovers && !marked {
        return Ok(Deleted::default());
    }
    let Some(lease) = job.lease else {
        return Err(without_lease(storage, database));
    };
    let mut run = Deleting {
        job,
        lease,
        cancel,
        left: listing.backups.clone(),
        doomed,
        done: Deleted::default(),
    };
    let marks = Doomed::read(storage, database, listing, cancel)?;
    if !lease.is_conditional() {
        run.wait_for_second_step(&marks);
    }
    run.batches()?;
    let mut done = run.done;
    if !lease.is_conditional() || marked {
        marks.update(&waiting(&done.spared), lease, cancel)?;
    }
    done.swept = sweep(job, lease, cancel)?;
    clear(job, cancel)?;
    Ok(done)
}

/// The backups that a mark for the second step is about.
fn waiting(spared: &BTreeMap<BackupId, Spared>) -> Vec<&BackupId> {
    let waiting = spared
        .iter()
        .filter(|(_, spared)| matches!(spared, Spared::Until(_)));
    waiting.map(|(id, _)| id).collect()
}

fn without_lease(storage: &dyn Storage, database: &str) -> Error {
    let place = storage.locate(database);
    Error::failed(format!(
        "without a lease of {place} nothing is deleted: another host might be working on it"
    ))
    .hint("let this user list, read and write there")
}

/// What is under way.
struct Deleting<'a> {
    job: DeletionJob<'a>,
    lease: &'a Lease,
    cancel: &'a Cancel,
    /// What should be there now.
    left: Vec<Backup>,
    /// What goes by what was seen last.
    doomed: BTreeSet<BackupId>,
    done: Deleted,
}

impl Deleting<'_> {
    /// Spares what no run long enough ago found to go as well; everything, where two runs differ about one.
    fn wait_for_second_step(&mut self, doomed: &Doomed) {
        let stays = self.left.iter().map(|backup| &backup.id);
        let disagreement = doomed.disagreement(stays.filter(|id| !self.doomed.contains(id)));
        if let Some(id) = disagreement {
            self.done.warnings.push(format!(
                "an earlier run found that {id} goes, and now it stays; so nothing is deleted this time"
            ));
        }
        let differs = disagreement.is_some();
        for id in std::mem::take(&mut self.doomed) {
            match doomed.left(&id) {
                Some(Duration::ZERO) if !differs => {
                    self.doomed.insert(id);
                }
                left => {
                    let left = left.unwrap_or(INTERVAL);
                    let left = TimeDelta::from_std(left).unwrap_or(TimeDelta::zero());
                    let until = Spared::Until(self.job.now + left);
                    self.done.spared.insert(id, until);
                }
            }
        }
    }

    /// Spares what one needs that is spared itself.
    fn spare_what_is_needed(&mut self) {
        let stays: Vec<BackupId> = self.done.spared.keys().cloned().collect();
        for id in stays {
            let mut needs = self.job.parents.get(&id);
            while let Some(parent) = needs {
                if self.doomed.remove(parent) {
                    self.done.spared.insert(parent.clone(), Spared::Needed);
                }
                needs = self.job.parents.get(parent);
            }
        }
    }

    /// The newest first, so that what needs another one goes before it.
    fn batches(&mut self) -> Result<()> {
        self.spare_what_is_needed();
        let all: Vec<BackupId> = self.doomed.iter().rev().cloned().collect();
        for batch in all.chunks(BATCH) {
            // what an earlier look spared is announced no more
            let batch = batch.iter().filter(|id| self.doomed.contains(id));
            let batch: Vec<BackupId> = batch.cloned().collect();
            if !batch.is_empty() {
                self.batch(&batch)?;
            }
        }
        Ok(())
    }

    fn batch(&mut self, batch: &[BackupId]) -> Result<()> {
        let Deleting {
            job, lease, cancel, ..
        } = *self;
        let ids: Vec<&BackupId> = batch.iter().collect();
        let announced = AnnouncedDeletion::new(job.storage, lease, job.database, &ids, cancel)?;
        let mut fresh = listing_of(job.storage, Some(job.database), cancel)?;
        if !lease.is_conditional() {
            self.require_alone(&fresh, &announced)?;
        }
        fresh.backups.retain(job.judged);
        if fresh.backups != self.left {
            let goes: BTreeSet<BackupId> = (self.job.again)()?.into_iter().collect();
            for id in &self.doomed - &goes {
                self.done.spared.insert(id, Spared::Changed);
            }
            self.doomed = &self.doomed & &goes;
        }
        for (id, key) in &fresh.reading {
            if self.doomed.contains(id)
                && batch.contains(id)
                && is_living(job.storage, key, cancel)?
            {
                log::info!("{id} is being read ({key}), and stays this time");
                self.doomed.remove(id);
                self.done.spared.insert(id.clone(), Spared::BeingRead);
            }
        }
        self.spare_what_is_needed();
        let goes =
            |backup: &&Backup| batch.contains(&backup.id) && self.doomed.contains(&backup.id);
        let going: Vec<&Backup> = fresh.backups.iter().filter(goes).collect();
        self.delete(&going, &fresh, &announced)?;
        let gone: BTreeSet<BackupId> = going.iter().map(|backup| backup.id.clone()).collect();
        fresh.backups.retain(|backup| !gone.contains(&backup.id));
        self.left = fresh.backups;
        Ok(())
    }

    /// Fails where another run is about to delete, which can be only on a storage that keeps no conditional writes.
    fn require_alone(&self, fresh: &Listing, announced: &AnnouncedDeletion) -> Result<()> {
        let Deleting { job, cancel, .. } = *self;
        let numbers = fresh.numbers(job.database, MarkKind::Deleting);
        let own = Some(announced.number());
        let others = OthersDeletions::read(job.storage, job.database, &numbers, own, cancel)?;
        if let Some(key) = others.any() {
            let place = job.storage.locate(key);
            return Err(Error::new(
                Kind::Locked,
                format!("another run is deleting backups of this database now ({place})"),
            )
            .hint("it ends by itself within minutes; run this again then"));
        }
        Ok(())
    }

    /// Deletes these backups, their archives first, with the marks of readers that are over.
    fn delete(
        &self,
        going: &[&Backup],
        fresh: &Listing,
        announced: &AnnouncedDeletion,
    ) -> Result<()> {
        let (mut archives, mut beside, mut manifests) = (Vec::new(), Vec::new(), Vec::new());
        for backup in going.iter().rev() {
            archives.extend(backup.archive_keys());
            let objects = backup.objects.iter();
            beside.extend(objects.map(|object| object.key(&backup.id)));
            // the manifest last, so that what a killed run leaves is known for a leftover
            let (manifest, sidecars): (Vec<Part>, Vec<Part>) = backup
                .sidecars
                .iter()
                .partition(|part| **part == Part::Manifest);
            beside.extend(sidecars.iter().map(|part| backup.id.key(*part)));
            manifests.extend(manifest.iter().map(|part| backup.id.key(*part)));
            let readers = fresh.reading.iter().filter(|(id, _)| *id == backup.id);
            beside.extend(readers.map(|(_, key)| key.clone()));
        }
        let until = || announced.until();
        for keys in [archives, beside, manifests] {
            if !keys.is_empty() {
                let job = self.job;
                let deleted = job.storage.delete_until(&keys, Some(&until), self.cancel);
                deleted.doing(|| format!("cannot delete old backups of {}", job.database))?;
            }
        }
        for backup in going {
            log::debug!("deleted {}", backup.id);
        }
        Ok(())
    }
}

/// Removes sidecars without their archive. A backup that is being stored elsewhere at this moment shows its archive
/// first, so what had none in one listing and has none in the next is no such backup.
fn sweep(job: DeletionJob, lease: &Lease, cancel: &Cancel) -> Result<Vec<String>> {
    let orphans = job.listing.orphans.clone();
    if orphans.is_empty() {
        return Ok(orphans);
    }
    let again = listing_of(job.storage, Some(job.database), cancel)?.orphans;
    let copied = may_be_copied(&orphans, job.now);
    let is_left = |key: &String| {
        let of_it = Name::parse(key).is_some_and(|name| copied.contains(&name.id));
        again.contains(key) && !of_it
    };
    let both: Vec<String> = orphans.into_iter().filter(is_left).collect();
    let until = || lease.until();
    let swept = job.storage.delete_until(&both, Some(&until), cancel);
    swept.doing(|| {
        format!(
            "cannot sweep what is left of old backups of {}",
            job.database
        )
    })?;
    for key in &both {
        log::info!("swept {}, whose archive is gone", job.storage.locate(key));
    }
    Ok(both)
}

/// Backups of which only further objects are there, and that are so young that somebody may be copying them here.
fn may_be_copied(orphans: &[String], now: DateTime<Utc>) -> BTreeSet<BackupId> {
    let names = orphans.iter().filter_map(|key| Name::parse(key));
    let objects = names.filter(|name| matches!(name.part, Part::Object(..)));
    let young = objects.filter(|name| now - name.id.timestamp.moment() < ABANDONED);
    young.map(|name| name.id).collect()
}

/// Removes marks that mean nothing any more: of readers that are gone, and of deletions whose run died.
fn clear(job: DeletionJob, cancel: &Cancel) -> Result<()> {
    let numbers = job.listing.numbers(job.database, MarkKind::Deleting);
    let mut over = OthersDeletions::read(job.storage, job.database, &numbers, None, cancel)?.stale;
    for (_, key) in &job.listing.reading {
        if !is_living(job.storage, key, cancel)? {
            over.push(key.clone());
        }
    }
    match over.is_empty() {
        true => Ok(()),
        false => job.storage.delete(&over, cancel),
    }
}
