//! One copy of a base backup, as deep as is asked for.
//!
//! ```text
//! exists    its objects are there, of the size that its manifest tells, and what it needs is not known to be bad
//! checksum  + the stored bytes of each object are those that were written
//! full      + every file, page and segment of WAL in them
//! restore   + a server starts from it and from what it needs, and every row can be read
//! ```

use super::checked_copy::CheckedCopy;
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Kind, Result};
use crate::format::measure::Measured;
use crate::progress::Progress;
use crate::repository::check_records::CheckLevel;
use crate::repository::checksum_line;
use crate::repository::evidence::Evidence;
use crate::repository::objects::{ManifestObject, objects_of};
use crate::repository::open::watched;
use crate::source::physical::restore::assemble::{Assembly, StoredLink};
use crate::source::physical::{drill, full_check};
use chrono::Utc;
use std::io::{ErrorKind, Read};

/// How much is read at a time.
const PIECE: usize = 1024 * 1024;

/// Looks at one copy. Damage is a fault among the evidence, or an error of that kind.
pub(super) fn look(
    checked: &CheckedCopy,
    level: CheckLevel,
    evidence: &mut Evidence,
    cancel: &Cancel,
) -> Result<()> {
    let chain = (checked.chain)()?;
    let (own, parent) = match chain.as_slice() {
        [.., parent, own] => (own, Some(parent)),
        [own] => (own, None),
        [] => return Err(Error::failed("there is no backup to check")),
    };
    let objects = exists(own, evidence)?;
    for needed in &chain {
        if let Some(damage) = needed.link.damage {
            let (id, why) = (&needed.link.copy.entry.id, damage.words(Utc::now()));
            evidence.fault(format!("it needs {id}, which is not good: {why}"));
        }
    }
    match level {
        CheckLevel::Exists => Ok(()),
        CheckLevel::Checksum => stored(own, &objects, evidence, cancel),
        // what is missing cannot be read
        CheckLevel::Full | CheckLevel::Restore if !evidence.faults.is_empty() => Ok(()),
        CheckLevel::Full | CheckLevel::Restore => {
            let keys = checked.opening.keys;
            full_check::run(own, parent, keys, checked.sealed_only, evidence, cancel)?;
            if level == CheckLevel::Full || !evidence.faults.is_empty() {
                return Ok(());
            }
            let source = Assembly {
                chain: &chain,
                keys,
                sealed_only: checked.sealed_only,
                jobs: 1,
            };
            drill::run(&source, &(checked.drill)()?, evidence, cancel)
        }
    }
}

/// Whether each object lies there as the manifest tells it.
fn exists(own: &StoredLink, evidence: &mut Evidence) -> Result<Vec<ManifestObject>> {
    let (entry, manifest) = (&own.link.copy.entry, &own.link.manifest);
    let is_own = manifest.database == entry.id.database
        && manifest.started_at == entry.id.timestamp.moment()
        && manifest.kind() == entry.kind;
    if !is_own {
        return Err(Error::damaged(format!(
            "the manifest of {} is of another run",
            entry.id
        )));
    }
    let objects = objects_of(entry, manifest)?;
    for object in &objects {
        let (key, expected) = (&object.stored.key, object.stored.bytes);
        match entry.bytes_of(key) {
            None => evidence.fault(format!("{key} is not there")),
            Some(found) if found != expected => evidence.fault(format!(
                "{key} has {found} bytes, the manifest says {expected}"
            )),
            Some(_) => {}
        }
    }
    Ok(objects)
}

/// Reads the stored bytes of each object, for which no password is needed.
fn stored(
    own: &StoredLink,
    objects: &[ManifestObject],
    evidence: &mut Evidence,
    cancel: &Cancel,
) -> Result<()> {
    let archive = own.link.copy.entry.archive_key();
    let progress = Progress::start(&format!("reading {}", own.link.copy.entry.id));
    let meter = progress.meter();
    for object in objects {
        let key = &object.stored.key;
        let shown = own.storage.locate(key);
        let opened = match own.storage.open(key, cancel) {
            // told before
            Err(error) if error.kind() == Kind::NotFound => continue,
            opened => opened?,
        };
        let mut read = Measured::new(watched(opened, cancel));
        let mut buffer = vec![0; PIECE];
        loop {
            match read.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => meter.add_stored(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).doing(|| format!("cannot read {shown}")),
            }
        }
        let (_, measure) = read.finish();
        let found = measure.sha256_hex();
        if found != object.stored.sha256 {
            evidence.fault(format!(
                "the stored bytes of {key} do not match their checksum: {found} instead of {}",
                object.stored.sha256
            ));
        }
        if *key == archive {
            evidence.sha256 = Some(found);
        }
        beside(own, object, evidence, cancel)?;
    }
    Ok(())
}

/// Whether the `.sha256` beside it says the same; it may be missing.
fn beside(
    own: &StoredLink,
    object: &ManifestObject,
    evidence: &mut Evidence,
    cancel: &Cancel,
) -> Result<()> {
    let key = format!("{}.sha256", object.stored.key);
    let opened = match own.storage.open(&key, cancel) {
        Err(error) if error.kind() == Kind::NotFound => {
            evidence.note(format!("{key} is missing"));
            return Ok(());
        }
        opened => opened?,
    };
    match checksum_line::read(opened, &key) {
        Ok(found) if found.eq_ignore_ascii_case(&object.stored.sha256) => {}
        Ok(found) => evidence.fault(format!(
            "{key} says {found}, the manifest says {}",
            object.stored.sha256
        )),
        Err(error) if error.kind() == Kind::Damaged => evidence.fault(error.chain()),
        Err(error) => return Err(error),
    }
    Ok(())
}
