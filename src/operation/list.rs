//! `list`: which backups there are, each once, with all of its copies.
//!
//! Costs a listing of each storage, and for each of the newest backups one manifest and the records of checks that the
//! listing shows. A storage that cannot be listed
//! does not hide the others.

use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::repository::check_records::{Check, CheckOutcome};
use crate::repository::held::{self, Copy, HeldBackup};
use crate::repository::listing::{Entry, Fragment, Listing};
use crate::repository::manifest::Manifest;
use crate::repository::places::Places;
use crate::repository::sidecars::{listing_of, read_manifest, records_of};
use crate::storage::Storage;
use chrono::{DateTime, Utc};
use std::collections::HashMap;

/// How many backups of a database are shown, and how many manifests read: each costs a request on remote storage.
pub const NEWEST: usize = 20;

/// What there is.
#[derive(Debug)]
pub struct ListedBackups {
    /// The backups, by database and the newest first.
    pub backups: Vec<ListedBackup>,
    /// What may be a part of a backup, the newest first: shown, and left alone.
    pub fragments: Vec<ListedFragment>,
    /// How many older ones were left out.
    pub older: usize,
    /// Each storage, in the order of the configuration.
    pub storages: Vec<Holding>,
}

/// One backup, and what is written down about it.
#[derive(Debug)]
pub struct ListedBackup {
    /// Its copies, one at least, in the order of the storages.
    pub copies: Vec<ListedCopy>,
    /// What the manifest says, where it was read.
    pub manifest: Option<Manifest>,
}

impl ListedBackup {
    /// What a listing says of the first copy.
    pub fn entry(&self) -> &Entry {
        &self.copies[0].entry
    }

    /// The check to show: one that found a copy bad, else the newest of any copy.
    pub fn check(&self) -> Option<&Check> {
        let checks = self.copies.iter().filter_map(|copy| copy.check.as_ref());
        checks.max_by_key(|check| (check.result == CheckOutcome::Bad, check.at))
    }

    /// True where any copy is pinned.
    pub fn is_pinned(&self) -> bool {
        self.copies.iter().any(|copy| copy.entry.pinned)
    }
}

/// What may be a part of a backup, on one storage.
#[derive(Debug)]
pub struct ListedFragment {
    /// The storage's name.
    pub storage: String,
    /// What its listing says.
    pub fragment: Fragment,
}

/// A backup on one storage.
#[derive(Debug)]
pub struct ListedCopy {
    /// The storage's name.
    pub storage: String,
    /// The address of the archive.
    pub location: String,
    /// What the listing says of it.
    pub entry: Entry,
    /// The check that tells most of it, where records of checks were read.
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
    pub total: Result<StorageTotal>,
}

/// What one storage holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct StorageTotal {
    /// The number of archives.
    pub backups: usize,
    /// Their size.
    pub bytes: u64,
    /// The start of the oldest one.
    pub oldest: Option<DateTime<Utc>>,
}

/// The backups of these databases (or of all that a storage holds) on `places`. Unless `all` are asked for, only the
/// newest [`NEWEST`] of each database.
pub fn run(
    places: &Places,
    databases: &[String],
    all: bool,
    cancel: &Cancel,
) -> Result<ListedBackups> {
    let names: Vec<String> = places.names().map(str::to_string).collect();
    let mut listings: Vec<(String, Vec<Entry>)> = Vec::new();
    let mut fragments: Vec<ListedFragment> = Vec::new();
    for name in &names {
        let found = places.ask(name, |storage| listings_of(storage, databases, cancel))?;
        let found = found.map(|found| {
            let here = found.iter().flat_map(|listing| &listing.fragments);
            fragments.extend(here.map(|fragment| ListedFragment {
                storage: name.clone(),
                fragment: fragment.clone(),
            }));
            let entries = found.iter().flat_map(Listing::entries).collect();
            (name.clone(), entries)
        });
        listings.extend(found);
    }
    let mut failures = places.take_failures();
    let holding = |name: &String| {
        let failed = failures.iter().position(|(failed, _)| failed == name);
        let listing = listings.iter().find(|(listed, _)| listed == name);
        Holding {
            storage: name.clone(),
            total: match failed {
                Some(at) => Err(failures.swap_remove(at).1),
                None => Ok(listing
                    .map(|(_, entries)| total(entries))
                    .unwrap_or_default()),
            },
        }
    };
    let storages = names.iter().map(holding).collect();

    let (mut backups, mut older) = (Vec::new(), 0);
    let mut counts: HashMap<String, usize> = HashMap::new();
    let mut held = held::merge(
        listings
            .iter()
            .map(|(name, entries)| (&**name, entries.clone())),
    );
    held.sort_by(|a, b| a.id.database.cmp(&b.id.database));
    for HeldBackup { id, copies, .. } in held {
        let count = counts.entry(id.database).or_default();
        *count += 1;
        if *count > NEWEST && !all {
            older += 1;
            continue;
        }
        backups.push(describe(copies, *count <= NEWEST, places, cancel)?);
    }
    fragments.sort_by(|a, b| b.fragment.id.cmp(&a.fragment.id));
    Ok(ListedBackups {
        backups,
        fragments,
        older,
        storages,
    })
}

/// One backup, with what lies beside it where it is to be `read`.
fn describe(
    copies: Vec<Copy>,
    read: bool,
    places: &Places,
    cancel: &Cancel,
) -> Result<ListedBackup> {
    let mut manifest = None;
    if read {
        for Copy { storage, entry } in &copies {
            let found = places.read(storage, |storage| read_manifest(storage, entry, cancel))?;
            manifest = found.flatten();
            if manifest.is_some() {
                break;
            }
        }
    }
    let mut listed = Vec::new();
    for Copy { storage, entry } in copies {
        let key = entry.archive_key();
        let location = match places.opened(&storage) {
            Some(opened) => opened.locate(&key),
            None => key.clone(),
        };
        let mut check = None;
        if read && entry.has_records() {
            let records = places.read(&storage, |storage| records_of(storage, &entry, cancel))?;
            check = records.and_then(|records| records.telling(&key, entry.bytes).cloned());
        }
        let damaged = entry.differs_from(manifest.as_ref());
        if damaged {
            log::warn!("{location} has not the size that its manifest tells");
        }
        listed.push(ListedCopy {
            storage,
            location,
            entry,
            check,
            damaged,
        });
    }
    Ok(ListedBackup {
        copies: listed,
        manifest,
    })
}

impl ListedBackups {
    /// The storages that could not be listed, and why.
    pub fn failures(&self) -> impl Iterator<Item = (&str, &Error)> {
        let failed = |holding: &Holding| holding.total.is_err();
        let storages = self.storages.iter().filter(move |holding| failed(holding));
        storages.filter_map(|holding| Some((&*holding.storage, holding.total.as_ref().err()?)))
    }
}

/// What `storage` holds of each of these databases, or of all that it has.
fn listings_of(
    storage: &dyn Storage,
    databases: &[String],
    cancel: &Cancel,
) -> Result<Vec<Listing>> {
    if databases.is_empty() {
        return Ok(vec![listing_of(storage, None, cancel)?]);
    }
    let mut listings = Vec::new();
    for (index, database) in databases.iter().enumerate() {
        if !databases[..index].contains(database) {
            listings.push(listing_of(storage, Some(database), cancel)?);
        }
    }
    Ok(listings)
}

fn total(entries: &[Entry]) -> StorageTotal {
    let moments = entries.iter().map(|entry| entry.id.timestamp.moment());
    StorageTotal {
        backups: entries.len(),
        bytes: entries.iter().map(Entry::total_bytes).sum(),
        oldest: moments.min(),
    }
}
