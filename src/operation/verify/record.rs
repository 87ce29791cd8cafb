//! What a check found, written down beside the backup.
//!
//! Each check is an object of its own, so that of two checks that end in the same moment, on whatever host, both are kept.
//! No lock is taken, which a backup may hold for hours. A record is swept, where its backup was pruned meanwhile, by the next
//! prune.

use crate::cancel::Cancel;
use crate::error::{Doing, Kind, Result};
use crate::format::seal::{self, Keys};
use crate::repository::check_records::{
    self, Check, CheckLevel, CheckOutcome, CheckRecords, Details,
};
use crate::repository::evidence::Evidence;
use crate::repository::listing::Entry;
use crate::repository::located::Located;
use crate::repository::names::{Part, Timestamp};
use crate::repository::sidecars::records_of;
use crate::storage::Storage;
use base64ct::{Base64, Encoding};
use chrono::{DateTime, Utc};
use std::time::Duration;

/// What follows the label of a backup in that of its sealed records.
const LABEL: &str = "#verified";

/// How a check with this result ended.
pub fn outcome(result: &Result<Evidence>) -> CheckOutcome {
    match result {
        Ok(evidence) if evidence.faults.is_empty() => CheckOutcome::Good,
        Ok(_) => CheckOutcome::Bad,
        Err(_) => CheckOutcome::Undecided,
    }
}

/// Of which copy a check is recorded, and how.
pub struct Recording<'a> {
    /// The copy. Nothing is written about a file.
    pub copy: &'a Located,
    /// What seals the words about it.
    pub keys: &'a (dyn Fn() -> Result<Keys> + Sync),
    /// They are sealed, whether the archive is or not.
    pub sealed: bool,
}

/// Adds the record of one check to those beside the backup.
pub fn write(
    recording: &Recording,
    level: CheckLevel,
    result: &Result<Evidence>,
    (at, took): (DateTime<Utc>, Duration),
    cancel: &Cancel,
) -> Result<()> {
    let Located::Stored { storage, entry } = recording.copy else {
        return Ok(());
    };
    let key = entry.id.key(Part::Check(Timestamp::new(at)));
    let evidence = result.as_ref().ok();
    let mut check = Check {
        at,
        tool: format!("backupkit {}", env!("CARGO_PKG_VERSION")),
        level,
        result: outcome(result),
        key: entry.archive_key(),
        bytes: entry.bytes,
        sha256: evidence.and_then(|evidence| evidence.sha256.clone()),
        duration_seconds: took.as_secs_f64(),
        restore_seconds: evidence.and_then(|evidence| evidence.restore_seconds),
        tables: evidence.and_then(|evidence| evidence.tables),
        rows: evidence.and_then(|evidence| evidence.rows),
        faults: evidence.map_or(0, |evidence| evidence.faults.len() as u64),
        only_assertions: evidence.is_some_and(Evidence::only_refuted),
        kind: kind(result).map(|kind| kind.name().to_string()),
        details: None,
        details_sealed: None,
    };
    let details = details(result);
    if details.is_empty() {
        // nothing to tell, nothing to seal
    } else if entry.encoding.cipher.is_encrypted() || recording.sealed {
        check.details_sealed = sealed(recording, &details, &format!("{}{LABEL}", entry.id));
    } else {
        check.details = Some(details);
    }
    storage
        .put(&key, &CheckRecords::to_json(check)?, cancel)
        .doing(|| format!("cannot write {}", storage.locate(&key)))?;
    if entry.checks.len() >= check_records::MOST {
        forget(storage.as_ref(), entry, at, cancel)?;
    }
    Ok(())
}

/// Deletes the records that are too many, now that there is one of a check that began `at`.
fn forget(storage: &dyn Storage, entry: &Entry, at: DateTime<Utc>, cancel: &Cancel) -> Result<()> {
    let mut entry = entry.clone();
    entry.checks.push(Timestamp::new(at));
    let records = records_of(storage, &entry, cancel)?;
    let old = records.too_many().into_iter();
    let keys: Vec<String> = old
        .map(|check| entry.id.key(Part::Check(Timestamp::new(check.at))))
        .collect();
    storage.delete(&keys, cancel)
}

fn kind(result: &Result<Evidence>) -> Option<Kind> {
    match result {
        Ok(evidence) if evidence.faults.is_empty() => None,
        Ok(_) => Some(Kind::Damaged),
        Err(error) => Some(error.kind()),
    }
}

fn details(result: &Result<Evidence>) -> Details {
    let details = match result {
        Ok(evidence) => Details {
            message: None,
            faults: evidence.faults.clone(),
            notes: evidence.notes.clone(),
        },
        Err(error) => Details {
            message: Some(error.chain()),
            ..Details::default()
        },
    };
    details.bounded()
}

/// Without a password nobody can be told, and a stranger must not be.
fn sealed(recording: &Recording, details: &Details, label: &str) -> Option<String> {
    let plain = serde_json::to_vec(details).ok()?;
    let sealed = (recording.keys)().and_then(|keys| seal::seal_bytes(&plain, &keys, label));
    match sealed {
        Ok(container) => Some(Base64::encode_string(&container)),
        Err(error) => {
            log::debug!(
                "the details of the check are not recorded: {}",
                error.chain()
            );
            None
        }
    }
}
