//! `list`: which backups there are, each once, with all of its copies.
//!
//! Costs a listing of each storage, and for each of the newest backups one manifest and the records of checks that the
//! listing shows. A storage that cannot be listed
//! does not hide the others.

use crate::cancel::Cancel;
use crate::error::{Error, Kind, Result};
use crate::repository::check_records::{Check, Outcome};
use crate::repository::find::Place;
use crate::repository::listing::Entry;
use crate::repository::manifest::Manifest;
use crate::repository::names::{BackupId, Shape};
use crate::repository::reference::{entries_of, proof_of, read_manifest};
use crate::storage::Storage;
use chrono::{DateTime, Utc};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

/// How many backups of a database are shown, and how many manifests read: each costs a request on remote storage.
pub const NEWEST: usize = 20;

/// The storages that answer, by name.
type Usable = HashMap<String, Box<dyn Storage>>;

/// What there is.
#[derive(Debug)]
pub struct Listed {
    /// The backups, by database and the newest first.
    pub backups: Vec<Backup>,
    /// How many older ones were left out.
    pub older: usize,
    /// Each storage, in the order of the configuration.
    pub storages: Vec<Holding>,
}

/// One backup, and what is written down about it.
#[derive(Debug)]
pub struct Backup {
    /// Its copies, one at least, in the order of the storages.
    pub copies: Vec<Copy>,
    /// What the manifest says, where it was read.
    pub manifest: Option<Manifest>,
}

impl Backup {
    /// What a listing says of the first copy.
    pub fn entry(&self) -> &Entry {
        &self.copies[0].entry
    }

    /// The check to show: one that found a copy bad, else the newest of any copy.
    pub fn check(&self) -> Option<&Check> {
        let checks = self.copies.iter().filter_map(|copy| copy.check.as_ref());
        checks.max_by_key(|check| (check.result == Outcome::Bad, check.at))
    }

    /// True where any copy is pinned.
    pub fn is_pinned(&self) -> bool {
        self.copies.iter().any(|copy| copy.entry.pinned)
    }
}

/// A backup on one storage.
#[derive(Debug)]
pub struct Copy {
    /// The storage's name.
    pub storage: String,
    /// The address of the archive.
    pub location: String,
    /// What the listing says of it.
    pub entry: Entry,
    /// Its last check, where records of checks were read.
    pub check: Option<Check>,
    /// True where the archive has not the size that the manifest tells.
    pub damaged: bool,
}

/// One storage.
#[derive(Debug)]
pub struct Holding {
    /// Its name.
    pub storage: String,
    /// What it holds of the databases asked about, or why that is not known.
    pub total: Result<Total>,
}

/// What one storage holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// The number of archives.
    pub backups: usize,
    /// Their size.
    pub bytes: u64,
    /// The start of the oldest one.
    pub oldest: Option<DateTime<Utc>>,
}

/// The backups of these databases (or of all that a storage holds) on `places`. Unless `all` are asked for, only the
/// newest [`NEWEST`] of each database.
pub fn run(places: Vec<Place>, databases: &[String], all: bool, cancel: &Cancel) -> Result<Listed> {
    let (mut usable, mut holdings) = (Usable::new(), Vec::new());
    let mut found: BTreeMap<(String, Reverse<BackupId>, Shape), Vec<Copy>> = BTreeMap::new();
    for place in places {
        let listed = place.storage.and_then(|storage| {
            let entries = entries(storage.as_ref(), databases, cancel)?;
            Ok((storage, entries))
        });
        let (storage, entries) = match listed {
            Ok(listed) => listed,
            Err(error) if matches!(error.kind(), Kind::Signal(_)) => return Err(error),
            Err(error) => {
                holdings.push(Holding {
                    storage: place.name,
                    total: Err(error),
                });
                continue;
            }
        };
        holdings.push(Holding {
            storage: place.name.clone(),
            total: Ok(total(&entries)),
        });
        for entry in entries {
            let database = entry.id.database.clone();
            let key = (database, Reverse(entry.id.clone()), entry.shape);
            found.entry(key).or_default().push(Copy {
                storage: place.name.clone(),
                location: storage.locate(&entry.archive_key()),
                entry,
                check: None,
                damaged: false,
            });
        }
        usable.insert(place.name, storage);
    }

    let (mut backups, mut older) = (Vec::new(), 0);
    let mut counts: HashMap<String, usize> = HashMap::new();
    for ((database, ..), mut copies) in found {
        let count = counts.entry(database).or_default();
        *count += 1;
        if *count > NEWEST && !all {
            older += 1;
            continue;
        }
        let mut manifest = None;
        if *count <= NEWEST {
            manifest = read(&copies, &mut usable, cancel)?;
            for copy in &mut copies {
                copy.check = last_check(copy, &mut usable, cancel)?;
                copy.damaged = copy.entry.differs_from(manifest.as_ref());
                if copy.damaged {
                    log::warn!("{} has not the size that its manifest tells", copy.location);
                }
            }
        }
        backups.push(Backup { copies, manifest });
    }
    Ok(Listed {
        backups,
        older,
        storages: holdings,
    })
}

impl Listed {
    /// The storages that could not be listed, and why.
    pub fn failures(&self) -> impl Iterator<Item = (&str, &Error)> {
        let failed = |holding: &Holding| holding.total.is_err();
        let storages = self.storages.iter().filter(move |holding| failed(holding));
        storages.filter_map(|holding| Some((&*holding.storage, holding.total.as_ref().err()?)))
    }
}

fn entries(storage: &dyn Storage, databases: &[String], cancel: &Cancel) -> Result<Vec<Entry>> {
    if databases.is_empty() {
        return entries_of(storage, None, cancel);
    }
    let mut entries = Vec::new();
    for (index, database) in databases.iter().enumerate() {
        if !databases[..index].contains(database) {
            entries.extend(entries_of(storage, Some(database), cancel)?);
        }
    }
    Ok(entries)
}

fn total(entries: &[Entry]) -> Total {
    let moments = entries.iter().map(|entry| entry.id.timestamp.moment());
    Total {
        backups: entries.len(),
        bytes: entries.iter().map(|entry| entry.bytes).sum(),
        oldest: moments.min(),
    }
}

/// The manifest beside the first copy that has a readable one. Where none can be read, that costs the details and
/// not the listing.
fn read(copies: &[Copy], storages: &mut Usable, cancel: &Cancel) -> Result<Option<Manifest>> {
    for copy in copies {
        let read = |storage: &dyn Storage| read_manifest(storage, &copy.entry, cancel);
        if let Some(Some(manifest)) = readable(&copy.storage, storages, read)? {
            return Ok(Some(manifest));
        }
    }
    Ok(None)
}

/// The last check of one copy, where its records can be read.
fn last_check(copy: &Copy, storages: &mut Usable, cancel: &Cancel) -> Result<Option<Check>> {
    if !copy.entry.has_proof {
        return Ok(None);
    }
    let read = |storage: &dyn Storage| proof_of(storage, &copy.entry.id, cancel);
    let proof = readable(&copy.storage, storages, read)?;
    Ok(proof.and_then(|proof| proof.last().cloned()))
}

/// What is read from a storage; nothing, with a warning, where it cannot be.
fn readable<T>(
    name: &str,
    storages: &mut Usable,
    read: impl Fn(&dyn Storage) -> Result<T>,
) -> Result<Option<T>> {
    let Some(storage) = storages.get(name) else {
        return Ok(None);
    };
    match read(storage.as_ref()) {
        Ok(read) => Ok(Some(read)),
        Err(error) if matches!(error.kind(), Kind::Signal(_)) => Err(error),
        Err(error) => {
            log::warn!("{}", error.report());
            // one that went away is not waited for again and again
            if error.kind() == Kind::Unavailable {
                storages.remove(name);
            }
            Ok(None)
        }
    }
}
