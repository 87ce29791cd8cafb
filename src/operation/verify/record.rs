//! What a check found, written down beside the backup.
//!
//! No lock is taken, which a backup may hold for hours: of two checks of one backup that end in the same moment, one
//! may go unrecorded. A record whose backup was pruned meanwhile is swept by the next prune.

use super::Subject;
use crate::cancel::Cancel;
use crate::error::{Doing, Kind, Result};
use crate::format::seal;
use crate::repository::check_records::{Check, Details, Evidence, Level, Outcome, Proof};
use crate::repository::names::Part;
use crate::repository::reference::{Selected, proof_of};
use base64ct::{Base64, Encoding};
use chrono::{DateTime, Utc};
use std::time::Duration;

/// What follows the label of a backup in that of its sealed records.
const LABEL: &str = "#verified";

/// How a check with this result ended.
pub fn outcome(result: &Result<Evidence>) -> Outcome {
    match result {
        Ok(evidence) if evidence.faults.is_empty() => Outcome::Good,
        Ok(_) => Outcome::Bad,
        Err(_) => Outcome::Undecided,
    }
}

/// Adds the record of one check to those beside the backup. Writes nothing about a file.
pub fn write(
    subject: &Subject,
    level: Level,
    result: &Result<Evidence>,
    (at, took): (DateTime<Utc>, Duration),
    cancel: &Cancel,
) -> Result<()> {
    let Selected::Stored { storage, entry } = subject.selected else {
        return Ok(());
    };
    let key = entry.id.key(Part::Verified);
    let mut proof = match proof_of(storage.as_ref(), &entry.id, cancel) {
        Ok(proof) => proof,
        Err(error) if error.kind() == Kind::NotFound => Proof::default(),
        Err(error) if error.kind() == Kind::Damaged => {
            log::warn!("{}; they begin anew", error.report());
            Proof::default()
        }
        Err(error) => return Err(error),
    };
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
        faults: evidence.map_or(0, |evidence| evidence.faults.len() as u64),
        kind: kind(result).map(|kind| kind.name().to_string()),
        details: None,
        details_sealed: None,
    };
    let details = details(result);
    let configured = subject.rules.configured;
    if details.is_empty() {
        // nothing to tell, nothing to seal
    } else if entry.shape.sealed || configured.is_some_and(|shape| shape.sealed) {
        check.details_sealed = sealed(subject, &details, &format!("{}{LABEL}", entry.id));
    } else {
        check.details = Some(details);
    }
    proof.add(check);
    storage
        .replace(&key, &proof.to_json()?, cancel)
        .doing(|| format!("cannot write {}", storage.locate(&key)))
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
fn sealed(subject: &Subject, details: &Details, label: &str) -> Option<String> {
    let plain = serde_json::to_vec(details).ok()?;
    let sealed = (subject.keys)().and_then(|keys| seal::seal_bytes(&plain, &keys, label));
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
