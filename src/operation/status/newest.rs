//! The newest backup of a database that counts, over all of its storages.

use super::{Copy, Damaged, Flaw, Newest, State, Storages, Subject};
use crate::cancel::Cancel;
use crate::error::Result;
use crate::repository::listing::Entry;
use crate::repository::manifest::Manifest;
use crate::repository::names::{BackupId, Shape};
use crate::repository::reference::{proof_of, read_manifest};
use crate::repository::size_check::Change;
use crate::repository::trend;
use chrono::{DateTime, Utc};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The copies of a backup: each storage that lists it, and what it lists.
type Copies<'a> = Vec<(&'a str, &'a Entry)>;

/// The newest backup of `subject`: full unless the configuration makes none, encrypted where that is asked for, and
/// with one copy at least of the size that its manifest tells that no check found bad. With it, the newer ones that
/// have no such copy.
pub(super) fn find(
    subject: &Subject,
    listings: &[(&str, Vec<Entry>)],
    asked: &mut Storages,
    now: DateTime<Utc>,
    cancel: &Cancel,
) -> Result<(Option<Newest>, Vec<Damaged>)> {
    let mut damaged = Vec::new();
    for (id, shape, copies) in merged(listings) {
        if subject.sealed_only && !shape.sealed {
            continue;
        }
        let manifest = manifest(&copies, asked, cancel)?;
        let manifest = manifest.as_ref();
        let partial = manifest.is_some_and(|manifest| manifest.dump.partial);
        if partial && !subject.partial_counts {
            continue;
        }
        let mut flaws = Vec::new();
        for (name, entry) in &copies {
            flaws.push(flaw(name, entry, manifest, asked, cancel)?);
        }
        let whole = flaws.iter().position(Option::is_none);
        let Some((storage, entry)) = whole.map(|at| copies[at]) else {
            let flaw = flaws.into_iter().flatten().max();
            damaged.extend(flaw.map(|flaw| Damaged {
                id: id.clone(),
                flaw,
            }));
            continue;
        };
        let listing = listings.iter().find(|(name, _)| *name == storage);
        let entries = listing.map_or(&[][..], |(_, entries)| entries);
        let size = asked.ask(storage, |storage| {
            trend::among(storage, entries, entry, partial, cancel)
        })?;
        let state = |name: &String| Copy {
            storage: name.clone(),
            state: state(name, &copies, &flaws, asked),
        };
        let newest = Newest {
            entry: entry.clone(),
            finished_at: manifest.map(|manifest| manifest.finished_at),
            partial,
            age: now - id.timestamp.moment(),
            size: size.unwrap_or_else(|| Change::new(entry.bytes, &[])),
            copies: subject.storages.iter().map(state).collect(),
        };
        return Ok((Some(newest), damaged));
    }
    Ok((None, damaged))
}

/// Every backup once, newest first.
fn merged<'a>(listings: &'a [(&'a str, Vec<Entry>)]) -> Vec<(&'a BackupId, Shape, Copies<'a>)> {
    let mut found: BTreeMap<(Reverse<&BackupId>, Shape), Copies> = BTreeMap::new();
    for (name, entries) in listings {
        for entry in entries {
            let copies = found.entry((Reverse(&entry.id), entry.shape)).or_default();
            copies.push((name, entry));
        }
    }
    found
        .into_iter()
        .map(|((Reverse(id), shape), copies)| (id, shape, copies))
        .collect()
}

/// The manifest beside the first copy that has a readable one.
fn manifest(
    copies: &[(&str, &Entry)],
    asked: &mut Storages,
    cancel: &Cancel,
) -> Result<Option<Manifest>> {
    for (name, entry) in copies {
        let read = asked.read(name, |storage| read_manifest(storage, entry, cancel))?;
        if let Some(Some(manifest)) = read {
            return Ok(Some(manifest));
        }
    }
    Ok(None)
}

/// What is known to be wrong with the copy on the storage `name`.
fn flaw(
    name: &str,
    entry: &Entry,
    manifest: Option<&Manifest>,
    asked: &mut Storages,
    cancel: &Cancel,
) -> Result<Option<Flaw>> {
    if entry.differs_from(manifest) {
        return Ok(Some(Flaw::Size));
    }
    if !entry.has_proof {
        return Ok(None);
    }
    let read = asked.read(name, |storage| proof_of(storage, &entry.id, cancel))?;
    let found = read.and_then(|proof| {
        let bad = proof.last_bad(&entry.archive_key(), entry.bytes)?;
        Some(Flaw::Found(bad.at, bad.level))
    });
    Ok(found)
}

fn state(name: &str, copies: &[(&str, &Entry)], flaws: &[Option<Flaw>], asked: &Storages) -> State {
    let found = copies.iter().position(|(storage, _)| *storage == name);
    match (found, asked.storages.get(name)) {
        (Some(at), Some(storage)) => {
            let address = storage.locate(&copies[at].1.archive_key());
            match flaws[at] {
                Some(flaw) => State::Damaged(address, flaw),
                None => State::There(address),
            }
        }
        _ if asked.failures.contains_key(name) => State::Unknown,
        _ => State::Missing,
    }
}
