//! The backups of one name on its storages: what they are called, what is written down about each, which one counts for
//! what, and what keeps or removes them.
//!
//! [`Repository`] is what commands ask. It lists each storage once, reads what lies beside a backup when it is asked for
//! it, and remembers it.

pub mod chain;
pub mod check_records;
pub mod checksum_line;
pub mod clock_jump;
pub mod copies;
pub mod deletion;
pub mod doomed;
pub mod epoch_keys;
pub mod evidence;
mod expected;
pub mod failure_record;
pub mod foreign_file;
pub mod held;
pub mod hold;
pub mod host_state;
pub mod key_check;
pub mod last_failure;
pub mod latest;
pub mod lease;
pub mod lease_record;
pub mod listing;
pub mod located;
pub mod manifest;
pub mod manifest_details;
pub mod mark_names;
pub mod names;
pub mod objects;
pub mod open;
pub mod pick;
pub mod pins;
pub mod places;
pub mod reading_mark;
pub mod reference;
pub mod retention;
pub mod run_mark;
pub mod sidecars;
pub mod size_check;
pub mod source_kind;
pub mod standing;
pub mod wal_archive;
pub mod wal_inventory;
pub mod wal_names;

use crate::cancel::Cancel;
use crate::error::{Kind, Result};
use crate::format::encoding::{ArchiveEncoding, Cipher, Codec};
use crate::format::foreign;
use crate::format::sniff::{Content, cipher_of, codec_of};
use crate::storage::Storage;
pub use expected::Expected;

use check_records::CheckRecords;
use chrono::{DateTime, Utc};
use held::{Copy, HeldBackup};
use listing::{Entry, Listing};
use manifest::Manifest;
use names::{BackupId, Timestamp};
use places::Places;
use standing::{KnownCopy, KnownManifest, Objection, Purpose, Standing, judge};
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Read;
use std::rc::Rc;

/// The backups of one name on those of its storages that answer.
pub struct Repository<'a> {
    name: String,
    places: &'a Places,
    listings: Vec<(String, Listing)>,
    expected: Expected,
    now: DateTime<Utc>,
    is_strict: bool,
    manifests: RefCell<HashMap<(String, BackupId, ArchiveEncoding), Rc<KnownManifest>>>,
    records: RefCell<HashMap<(String, BackupId), Rc<CheckRecords>>>,
    /// Which backups can be restored as far as what they need is concerned.
    whole: RefCell<HashMap<BackupId, bool>>,
}

/// A backup that counts, one of its copies that does, and what was passed over on the way to it.
pub struct Newest {
    /// The backup with all of its copies.
    pub backup: HeldBackup,
    /// The first of its copies that counts.
    pub copy: Copy,
    /// What speaks against each copy, in their order.
    pub standings: Vec<Standing>,
}

/// A newer backup that does not count, and why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    /// One of its copies.
    pub copy: Copy,
    /// The least that speaks against a copy.
    pub objection: Objection,
}

impl<'a> Repository<'a> {
    /// Lists `name` on those of `places` that are called as in `storages`. One that cannot be listed is noted there.
    pub fn open(
        name: &str,
        storages: &[String],
        places: &'a Places,
        expected: Expected,
        now: DateTime<Utc>,
        cancel: &Cancel,
    ) -> Result<Repository<'a>> {
        let mut listings = Vec::new();
        for storage in storages {
            let listing = places.ask(storage, |storage| {
                sidecars::listing_of(storage, Some(name), cancel)
            })?;
            listings.extend(listing.map(|listing| (storage.clone(), listing)));
        }
        Ok(Repository {
            name: name.to_string(),
            places,
            listings,
            expected,
            now,
            is_strict: false,
            manifests: RefCell::default(),
            records: RefCell::default(),
            whole: RefCell::default(),
        })
    }

    /// For a caller that must know everything: what cannot be read is an error then, and no warning.
    pub fn strict(mut self) -> Repository<'a> {
        self.is_strict = true;
        self
    }

    /// The name of the database, which is its directory.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The storages that it asks.
    pub fn places(&self) -> &'a Places {
        self.places
    }

    /// What each storage that could be listed holds, in their order.
    pub fn listings(&self) -> &[(String, Listing)] {
        &self.listings
    }

    /// Each backup once with all of its copies, the newest first, whatever it is good for.
    pub fn backups(&self) -> Vec<HeldBackup> {
        let listings = self.listings.iter();
        let entries = listings.map(|(storage, listing)| (storage.as_str(), listing.entries()));
        held::merge(entries)
    }

    /// What lies beside `backup` that says what it is: the manifest beside the first copy that has a readable one.
    pub fn manifest(&self, backup: &HeldBackup, cancel: &Cancel) -> Result<Rc<KnownManifest>> {
        let mut found: Option<Rc<KnownManifest>> = None;
        for copy in &backup.copies {
            let manifest = self.manifest_beside(copy, cancel)?;
            if manifest.read().is_some() {
                return Ok(manifest);
            }
            found.get_or_insert(manifest);
        }
        Ok(found.unwrap_or_else(|| Rc::new(KnownManifest::Unreadable)))
    }

    /// The records of checks of one copy; `None` where it has none, or none that can be read.
    pub fn records(&self, copy: &Copy, cancel: &Cancel) -> Result<Option<Rc<CheckRecords>>> {
        if !copy.entry.has_records() {
            return Ok(None);
        }
        let key = (copy.storage.clone(), copy.entry.id.clone());
        if let Some(known) = self.records.borrow().get(&key) {
            return Ok(Some(Rc::clone(known)));
        }
        let read = self.read(&copy.storage, |storage| {
            sidecars::records_of(storage, &copy.entry, cancel)
        })?;
        Ok(read.map(|read| {
            let read = Rc::new(read);
            self.records.borrow_mut().insert(key, Rc::clone(&read));
            read
        }))
    }

    /// What speaks against each copy of `backup`, in their order.
    pub fn standings(&self, backup: &HeldBackup, cancel: &Cancel) -> Result<Vec<Standing>> {
        let shared = self.manifest(backup, cancel)?;
        let standing = |copy: &Copy| {
            // without a manifest anywhere, each copy speaks for itself
            let manifest = match shared.read() {
                Some(_) => Rc::clone(&shared),
                None => self.manifest_beside(copy, cancel)?,
            };
            let records = self.records(copy, cancel)?;
            let known = KnownCopy {
                entry: &copy.entry,
                manifest: &manifest,
                records: records.as_deref(),
            };
            let standing = judge(known, self.expected, self.now);
            match self.has_parents(&copy.entry, &manifest, cancel)? {
                true => Ok(standing),
                false => Ok(standing.with(Objection::ParentLost)),
            }
        };
        backup.copies.iter().map(standing).collect()
    }

    /// True where the backups that `entry` needs are there, on any storage, and good as far as is known.
    fn has_parents(
        &self,
        entry: &Entry,
        manifest: &KnownManifest,
        cancel: &Cancel,
    ) -> Result<bool> {
        if !entry.kind.is_incremental() {
            return Ok(true);
        }
        if let Some(known) = self.whole.borrow().get(&entry.id) {
            return Ok(*known);
        }
        let parent = manifest.read().and_then(Manifest::parent);
        let parent = parent.and_then(Timestamp::parse);
        // a parent is older, so that no claim leads in a circle
        let parent = parent.filter(|parent| *parent < entry.id.timestamp);
        let mut held = self.backups().into_iter();
        let held = held.find(|held| Some(held.id.timestamp) == parent);
        let is_whole = match held {
            Some(held) => {
                let standings = self.standings(&held, cancel)?;
                standings.iter().any(Standing::can_be_restored)
            }
            None => false,
        };
        self.whole.borrow_mut().insert(entry.id.clone(), is_whole);
        Ok(is_whole)
    }

    /// True where what `standing` tells does not matter for `purpose`.
    pub fn counts(&self, standing: &Standing, purpose: Purpose) -> bool {
        standing.counts(purpose, self.expected.partial)
    }

    /// The newest backup that counts for `purpose` among those that `wanted` lets through. What is newer and does not
    /// count is handed to `passed_over`, the newest first.
    pub fn newest(
        &self,
        purpose: Purpose,
        wanted: impl Fn(&BackupId) -> bool,
        passed_over: &mut Vec<PassedOver>,
        cancel: &Cancel,
    ) -> Result<Option<Newest>> {
        for backup in self.backups() {
            if !wanted(&backup.id) {
                continue;
            }
            let standings = self.standings(&backup, cancel)?;
            let objections: Vec<Option<Objection>> = standings
                .iter()
                .map(|standing| standing.objection(purpose, self.expected.partial))
                .collect();
            // of those that count, one that can still be read goes first
            let counting = || (0..objections.len()).filter(|at| objections[*at].is_none());
            let readable = |at: &usize| self.places.usable(&backup.copies[*at].storage).is_some();
            if let Some(at) = counting().find(readable).or_else(|| counting().next()) {
                return Ok(Some(Newest {
                    copy: backup.copies[at].clone(),
                    backup,
                    standings,
                }));
            }
            let least = objections.into_iter().flatten().enumerate();
            if let Some((at, objection)) = least.min_by_key(|(_, objection)| *objection) {
                let copy = backup.copies[at].clone();
                passed_over.push(PassedOver { copy, objection });
            }
        }
        Ok(None)
    }

    fn read<T>(
        &self,
        storage: &str,
        read: impl FnOnce(&dyn Storage) -> Result<T>,
    ) -> Result<Option<T>> {
        match (self.is_strict, self.places.usable(storage)) {
            (true, Some(storage)) => read(storage.as_ref()).map(Some),
            _ => self.places.read(storage, read),
        }
    }

    /// The manifest of the storage that `copy` is on, or how the archive begins where there is none.
    fn manifest_beside(&self, copy: &Copy, cancel: &Cancel) -> Result<Rc<KnownManifest>> {
        let entry = &copy.entry;
        let key = (copy.storage.clone(), entry.id.clone(), entry.encoding);
        if let Some(known) = self.manifests.borrow().get(&key) {
            return Ok(Rc::clone(known));
        }
        let read = self.read(&copy.storage, |storage| {
            known_manifest(storage, entry, cancel)
        })?;
        let read = Rc::new(read.unwrap_or(KnownManifest::Unreadable));
        self.manifests.borrow_mut().insert(key, Rc::clone(&read));
        Ok(read)
    }
}

/// What lies beside the archive `entry` that says what it is, else how it begins. A manifest that is damaged, or gone
/// since it was listed, is one that cannot be read; any other failure is an error.
pub fn known_manifest(
    storage: &dyn Storage,
    entry: &Entry,
    cancel: &Cancel,
) -> Result<KnownManifest> {
    if entry.has_manifest {
        return match sidecars::manifest_of(storage, &entry.id, cancel) {
            Ok(manifest) => Ok(KnownManifest::Read(Box::new(manifest))),
            Err(error) if matches!(error.kind(), Kind::Damaged | Kind::NotFound) => {
                log::warn!("{}", error.report());
                Ok(KnownManifest::Unreadable)
            }
            Err(error) => Err(error),
        };
    }
    // what a run is writing is judged by its mark, and an empty one by its size
    if entry.has_run || entry.bytes == 0 {
        return Ok(KnownManifest::None);
    }
    let mut head = Vec::new();
    let archive = storage.open(&entry.archive_key(), cancel)?;
    archive.take(HEAD).read_to_end(&mut head)?;
    Ok(match begins_as_named(&head, entry.encoding) {
        true => KnownManifest::None,
        false => KnownManifest::OtherContent,
    })
}

/// So much of an archive tells what it is.
const HEAD: u64 = foreign::LOOK as u64;

fn begins_as_named(head: &[u8], encoding: ArchiveEncoding) -> bool {
    match (encoding.cipher, encoding.codec) {
        (Cipher::None, Codec::None) => {
            matches!(Content::of(head), Content::Archive | Content::Sql)
        }
        (Cipher::None, codec) => codec_of(head) == codec,
        (cipher, _) => cipher_of(head) == cipher,
    }
}
