//! The copies of one backup: the same archive on each of its storages, on each whole or not at all.
//!
//! A storage that fails at any step loses its copy, and the others go on as long as one is left. Only a cancelled
//! run and a lock that another run of the database holds end all of them at once.

use super::hold::{Hold, HoldRequest, Holds};
use super::lease_record::{LeasedWork, MinuteClaim};
use super::names::{BackupId, Part, is_ours};
use super::places::{Place, Places};
use super::run_mark::{self, RunMark};
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Kind, Result};
use crate::storage::tee::{STALLED, Tee};
use crate::storage::{CLEAN_UP, Storage, Upload};
use chrono::{DateTime, Utc};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// How long a run whose lease is over waits for the one that has it now.
const FOR_ANOTHER: Duration = Duration::from_secs(60);
/// How long looking at what was committed may take.
const LOOKING: Duration = Duration::from_secs(60);

/// What became of the copy on one storage.
#[derive(Debug)]
pub struct StoredCopy {
    /// The storage's name.
    pub storage: String,
    /// Where people find it, or why there is none.
    pub result: Result<String>,
}

/// The copies of a backup that was committed, and the storages that are still held for its run.
#[derive(Debug)]
pub struct CommittedCopies {
    pub copies: Vec<StoredCopy>,
    pub holds: Holds,
}

/// The storages that a run writes to, each held for it.
pub struct Copies {
    database: String,
    places: Vec<Place>,
    /// What is written out and not committed, by the name of its storage, in the order in which it appears.
    written: Vec<(String, Box<dyn Upload>)>,
    /// The keys of all that is written out.
    keys: Vec<String>,
    /// The storages on which the backup is marked as being written, the key of the mark and what it says.
    marks: Vec<Marked>,
    holds: Holds,
}

struct Marked {
    storage: Arc<dyn Storage>,
    id: BackupId,
    mark: RunMark,
}

/// One object on its way to every storage that is left.
pub struct Archives {
    key: String,
    /// The names of those storages, in the order of their uploads.
    to: Vec<String>,
    uploads: Uploads,
}

enum Uploads {
    One(Box<dyn Upload>),
    Several(Tee),
}

impl Copies {
    /// Holds each storage for a backup of `database`, of the minute `claim` where it is a scheduled one, and removes what a
    /// run that died there left unfinished.
    pub fn hold(
        places: Vec<Place>,
        database: &str,
        claim: Option<&MinuteClaim>,
        wait: Duration,
        now: DateTime<Utc>,
        cancel: &Cancel,
    ) -> Result<Copies> {
        let mut copies = Copies {
            database: database.to_string(),
            places,
            written: Vec::new(),
            keys: Vec::new(),
            marks: Vec::new(),
            holds: Holds::default(),
        };
        let request = HoldRequest {
            name: database,
            work: LeasedWork::Backup,
            claim,
            wait,
        };
        let mut holds = Holds::default();
        copies.each(ends_it, |storage| {
            // the lock is held then, so nobody else on this machine is writing
            let sweep_unfinished = || {
                for key in storage.sweep(database, &is_ours, cancel)? {
                    let address = storage.locate(&key);
                    log::info!("removed {address}, which an earlier run left unfinished");
                }
                Ok(())
            };
            let mut hold = Hold::take_to_add(storage, &request, sweep_unfinished, cancel)?;
            let listing = hold.listing(storage.as_ref(), database, cancel);
            let swept = listing.and_then(|listing| {
                run_mark::sweep(storage.as_ref(), &listing, hold.lease(), now, cancel)
            });
            if let Err(error) = swept {
                cancel.check()?;
                // with no right to delete there is still a backup to make
                log::debug!("{}", error.chain());
            }
            holds.add(storage.name(), hold);
            Ok(())
        })?;
        copies.holds = holds;
        Ok(copies)
    }

    /// The first storage that is left, to be asked.
    pub fn first(&self) -> Option<Place> {
        self.places.iter().find_map(|place| {
            let storage = place.storage.as_ref().ok()?;
            Some(Place {
                name: place.name.clone(),
                storage: Ok(Arc::clone(storage)),
            })
        })
    }

    /// All storages that are left, to be asked.
    pub fn left(&self) -> Vec<Place> {
        let left = self.places.iter().filter_map(|place| {
            let storage = place.storage.as_ref().ok()?;
            Some(Place {
                name: place.name.clone(),
                storage: Ok(Arc::clone(storage)),
            })
        });
        left.collect()
    }

    /// Marks `id` as being written on each storage, before any of its objects is there.
    pub fn mark(&mut self, id: &BackupId, mark: &RunMark, cancel: &Cancel) -> Result<()> {
        let key = id.key(Part::Run);
        let holds = std::mem::take(&mut self.holds);
        let mut marks = Vec::new();
        let marked = self.each(ends_it, |storage| {
            let lease = holds.on(storage.name()).and_then(Hold::lease);
            let mark = mark.with_lease(lease);
            let bytes = mark.to_json()?;
            marks.push(Marked {
                storage: Arc::clone(storage),
                id: id.clone(),
                mark,
            });
            storage
                .put(&key, &bytes, cancel)
                .doing(|| format!("cannot write {}", storage.locate(&key)))
        });
        (self.marks, self.holds) = (marks, holds);
        marked.map(drop)
    }

    /// Takes each lease again that is over because the run was stopped for too long, and marks the backup again there: who
    /// had the lease meanwhile took the run for dead. A storage where another run has it for long is written to all the
    /// same, since that takes nothing from anybody.
    fn refresh(&mut self, cancel: &Cancel) -> Result<()> {
        let mut holds = std::mem::take(&mut self.holds);
        let request = HoldRequest {
            name: &self.database,
            work: LeasedWork::Backup,
            claim: None,
            wait: FOR_ANOTHER,
        };
        let refreshed = self.marks.iter_mut().try_for_each(|marked| {
            let Some(hold) = holds.on_mut(marked.storage.name()) else {
                return Ok(());
            };
            match hold.refresh(&marked.storage, &request, cancel) {
                Ok(false) => return Ok(()),
                Ok(true) => {}
                Err(error) => {
                    cancel.check()?;
                    log::warn!("{}", error.report());
                }
            }
            marked.mark = marked.mark.with_lease(hold.lease());
            let bytes = marked.mark.to_json()?;
            let key = marked.id.key(Part::Run);
            marked.storage.replace(&key, &bytes, cancel)
        });
        self.holds = holds;
        refreshed
    }

    /// Takes the marks away: on each storage the backup is whole, or nothing is there of it. Where that cannot be done a
    /// later run does it.
    fn unmark(&mut self) {
        for Marked { storage, id, .. } in self.marks.drain(..) {
            let key = [id.key(Part::Run)];
            let gone = Cancel::new()
                .and_then(|fresh| storage.delete(&key, &fresh.with_deadline(CLEAN_UP)));
            if let Err(error) = gone {
                // beside a manifest it says nothing, and where nothing is it hides nothing
                let shown = storage.locate(&key[0]);
                log::debug!("cannot remove {shown}: {}", error.chain());
            }
        }
    }

    /// Starts writing the object `key` to each storage that is left.
    pub fn start(&mut self, key: &str, cancel: &Cancel) -> Result<Archives> {
        let mut to = Vec::new();
        let mut uploads = self.each(ends_it, |storage| {
            let upload = storage.create(key, cancel)?;
            to.push(storage.name().to_string());
            Ok(upload)
        })?;
        let uploads = match (uploads.len(), uploads.pop()) {
            (1, Some(only)) => Uploads::One(only),
            (_, last) => {
                uploads.extend(last);
                Uploads::Several(Tee::new(uploads, STALLED, cancel)?)
            }
        };
        Ok(Archives {
            key: key.to_string(),
            to,
            uploads,
        })
    }

    /// All of an object is written; it appears with the others. A storage that failed on the way has lost its copy.
    pub fn finish(&mut self, archives: Archives) -> Result<()> {
        let ended = match archives.uploads {
            Uploads::One(only) => vec![Ok(only)],
            Uploads::Several(tee) => tee.finish()?,
        };
        let mut ended: Vec<(String, Result<Box<dyn Upload>>)> =
            archives.to.into_iter().zip(ended).collect();
        self.keys.push(archives.key);
        let mut written = Vec::new();
        self.each(ends_it, |storage| {
            let at = ended.iter().position(|(name, _)| name == storage.name());
            let (name, upload) = match at {
                Some(at) => ended.swap_remove(at),
                None => return Err(Error::failed("it was not written to from the start")),
            };
            written.push((name, upload?));
            Ok(())
        })?;
        self.written.extend(written);
        Ok(())
    }

    /// Makes all that was finished appear on each storage, and then its `sidecars`; `archive` is the key that the backup is
    /// known by. All of a copy is written out before any of it is committed, so that running out of space is noticed while nothing
    /// has appeared. `still` is asked last of all, with the leases held, whether the storages hold what the backup needs.
    pub fn commit(
        mut self,
        archive: &str,
        sidecars: &[(String, Vec<u8>)],
        still: &dyn Fn(&Places) -> Result<()>,
        cancel: &Cancel,
    ) -> Result<CommittedCopies> {
        let mut objects = std::mem::take(&mut self.written);
        let written = self.each(ends_it, |storage| {
            let mut uploads = Vec::new();
            let own = objects.extract_if(.., |(name, _)| name == storage.name());
            uploads.extend(own.map(|(_, upload)| upload));
            for (key, bytes) in sidecars {
                let mut upload = storage.create(key, cancel)?;
                upload.write_all(bytes)?;
                uploads.push(upload);
            }
            Ok(uploads)
        })?;
        // of storages that lost their copy
        drop(objects);
        cancel.check()?;
        self.refresh(cancel)?;
        still(&Places::new(self.left()))?;

        let mut keys = std::mem::take(&mut self.keys);
        keys.extend(sidecars.iter().map(|(key, _)| key.clone()));
        let mut written = written.into_iter();
        let mut left: Vec<String> = Vec::new();
        let (database, holds) = (self.database.clone(), std::mem::take(&mut self.holds));
        let marks = std::mem::take(&mut self.marks);
        let mark_on = |storage: &dyn Storage| {
            marks
                .iter()
                .find(|one| one.storage.name() == storage.name())
        };
        // what has appeared stands, so from here on not even a signal ends the run
        let committed = self.each(
            |_| false,
            |storage| {
                let uploads = written.next().into_iter().flatten();
                let mut made = 0;
                let committed = uploads.into_iter().try_for_each(|upload| {
                    upload.commit()?;
                    made += 1;
                    Ok(())
                });
                let is_sure = holds.on(storage.name()).is_some_and(Hold::is_sure);
                let committed = committed.and_then(|()| match is_sure {
                    true => Ok(()),
                    false => require_all(
                        storage.as_ref(),
                        &database,
                        &keys,
                        mark_on(storage.as_ref()),
                    ),
                });
                if let Err(error) = committed {
                    // what is left there stays marked as unfinished
                    if !remove(storage.as_ref(), &keys, made) {
                        left.push(storage.name().to_string());
                    }
                    return Err(error);
                }
                Ok(())
            },
        );
        self.marks = marks;
        self.marks
            .retain(|marked| !left.iter().any(|name| name == marked.storage.name()));
        committed?;
        self.unmark();
        let copy = |place: Place| StoredCopy {
            storage: place.name,
            result: place.storage.map(|storage| storage.locate(archive)),
        };
        let places = std::mem::take(&mut self.places);
        Ok(CommittedCopies {
            copies: places.into_iter().map(copy).collect(),
            holds,
        })
    }

    /// Does one step on each storage that is left. One where it fails is left no more; an error is one that is
    /// `fatal`, or that none is left.
    fn each<T>(
        &mut self,
        fatal: impl Fn(&Error) -> bool,
        mut step: impl FnMut(&Arc<dyn Storage>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut done = Vec::new();
        for place in &mut self.places {
            let Ok(storage) = &place.storage else {
                continue;
            };
            match step(storage) {
                Ok(value) => done.push(value),
                Err(error) if fatal(&error) => return Err(error),
                Err(error) => place.storage = Err(error),
            }
        }
        match done.is_empty() {
            true => Err(self.none_left()),
            false => Ok(done),
        }
    }

    /// The one reason, or all of them.
    fn none_left(&mut self) -> Error {
        let places = self.places.drain(..);
        let mut reasons: Vec<(String, Error)> = places
            .filter_map(|place| Some((place.name, place.storage.err()?)))
            .collect();
        if let Some(index) = reasons.iter().position(|(_, error)| error.ends_the_run()) {
            return reasons.swap_remove(index).1;
        }
        match reasons.len() {
            0 => Error::failed("no storage is configured"),
            1 => reasons.swap_remove(0).1,
            _ => {
                let kind = reasons[0].1.kind();
                let alike = reasons.iter().all(|(_, error)| error.kind() == kind);
                let told: Vec<String> = reasons
                    .iter()
                    .map(|(name, error)| format!("{name}: {}", error.report()))
                    .collect();
                let kind = if alike { kind } else { Kind::Failed };
                Error::in_lines(
                    kind,
                    &format!("every storage failed\n  {}", told.join("\n  ")),
                )
            }
        }
    }
}

impl Drop for Copies {
    /// A run that failed leaves no mark behind: what it wrote is gone with it. One that is killed leaves it to the next.
    fn drop(&mut self) {
        self.written.clear();
        self.unmark();
    }
}

impl Write for Archives {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match &mut self.uploads {
            Uploads::One(upload) => upload.write(bytes),
            Uploads::Several(tee) => tee.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match &mut self.uploads {
            Uploads::One(upload) => upload.flush(),
            Uploads::Several(tee) => tee.flush(),
        }
    }
}

/// A run that another one of the same name keeps out ends, too.
fn ends_it(error: &Error) -> bool {
    error.ends_the_run() || error.kind() == Kind::Locked
}

/// Fails where something of a copy is gone that was just committed: another host may have taken the run for dead, and removed
/// what it left, or be about to, which its mark tells. Where this user may not list, nobody can tell.
fn require_all(
    storage: &dyn Storage,
    database: &str,
    keys: &[String],
    marked: Option<&Marked>,
) -> Result<()> {
    let cancel = Cancel::new()?.with_deadline(LOOKING);
    if let Some(Marked { id, mark, .. }) = marked
        && !run_mark::stands(storage, id, mark, &cancel)?
    {
        return Err(taken_for_dead(storage, &id.key(Part::Run)));
    }
    let objects = match storage.list(Some(database), &cancel) {
        Ok(objects) => objects,
        Err(error) => {
            log::debug!("{}", error.chain());
            return Ok(());
        }
    };
    let is_there = |key: &&String| objects.iter().any(|object| object.key == **key);
    match keys.iter().find(|key| !is_there(key)) {
        None => Ok(()),
        Some(gone) => Err(taken_for_dead(storage, gone)),
    }
}

fn taken_for_dead(storage: &dyn Storage, gone: &str) -> Error {
    let gone = storage.locate(gone);
    Error::failed(format!(
        "{gone} is gone although it was just written: another host took this run for dead"
    ))
    .hint("make another backup; a run that is stopped for minutes is taken for dead")
}

/// A copy that is reported as missing must not be found later; true where it is gone. Only the first so many `made` are of
/// this run: the commit of the next one has removed what it made itself, so what stands there is not known to be ours, and
/// stays.
fn remove(storage: &dyn Storage, keys: &[String], made: usize) -> bool {
    let fresh = Cancel::new().map(|fresh| fresh.with_deadline(CLEAN_UP));
    let stands = fresh.and_then(|fresh| {
        if made > 0 {
            storage.delete(&keys[..made], &fresh)?;
        }
        match keys.get(made) {
            Some(key) => storage.stat(key, &fresh),
            None => Ok(None),
        }
    });
    match stands {
        Ok(stands) => stands.is_none(),
        Err(error) => {
            let shown = storage.locate(&keys[0]);
            log::warn!("cannot remove {shown}: {}", error.report());
            false
        }
    }
}
