//! `list`: which backups there are, each once, with all of its copies.
//!
//! Costs a listing of each storage, and one manifest for each of the newest backups. A storage that cannot be listed
//! does not hide the others.

use super::find::Place;
use super::select::{entries_of, read_manifest};
use crate::cancel::Cancel;
use crate::catalog::listing::Entry;
use crate::catalog::manifest::Manifest;
use crate::catalog::name::{BackupId, Shape};
use crate::error::{Error, Kind, Result};
use crate::storage::Storage;
use chrono::{DateTime, Utc};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

/// How many backups of a database are shown, and how many manifests read: each costs a request on remote storage.
pub const NEWEST: usize = 20;

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
    let (mut usable, mut holdings) = (HashMap::new(), Vec::new());
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
            });
        }
        usable.insert(place.name, storage);
    }

    let (mut backups, mut older) = (Vec::new(), 0);
    let mut counts: HashMap<String, usize> = HashMap::new();
    for ((database, ..), copies) in found {
        let count = counts.entry(database).or_default();
        *count += 1;
        if *count > NEWEST && !all {
            older += 1;
            continue;
        }
        let manifest = match *count <= NEWEST {
            true => manifest(&copies, &mut usable, cancel)?,
            false => None,
        };
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
fn manifest(
    copies: &[Copy],
    storages: &mut HashMap<String, Box<dyn Storage>>,
    cancel: &Cancel,
) -> Result<Option<Manifest>> {
    for copy in copies {
        let Some(storage) = storages.get(&copy.storage) else {
            continue;
        };
        match read_manifest(storage.as_ref(), &copy.entry, cancel) {
            Ok(Some(manifest)) => return Ok(Some(manifest)),
            Ok(None) => {}
            Err(error) if matches!(error.kind(), Kind::Signal(_)) => return Err(error),
            Err(error) => {
                log::warn!("{}", error.report());
                // one that went away is not waited for again and again
                if error.kind() == Kind::Unavailable {
                    storages.remove(&copy.storage);
                }
            }
        }
    }
    Ok(None)
}
