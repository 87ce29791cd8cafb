//! The mark of a run that is writing a backup: `<timestamp>.run` beside it, from before its first object until after its
//! manifest.
//!
//! So a backup that is no full one never passes for one while it is written: a mark without a manifest means unfinished,
//! to every reader on every host. What a run left that died is removed by its own host, which holds the lock of the name
//! and so knows that no run of its own is alive, or by any host [`ABANDONED`] after the time in its name.

use super::listing::{Listing, UnfinishedRun};
use super::names::{BackupId, Part};
use super::sidecars::{listing_of, read_small};
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Kind, Result};
use crate::process::machine::host_name;
use crate::storage::Storage;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// So long after its start a run counts as dead, wherever it was.
pub const ABANDONED: TimeDelta = TimeDelta::days(7);
/// No more of a mark is read than this many bytes.
const LARGEST: u64 = 64 * 1024;

/// What a mark says of its run. JSON, additive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunMark {
    /// 1.
    pub schema: u32,
    /// Who wrote it: `backupkit 0.1.0`.
    pub tool: String,
    /// What is backed up: `dump`.
    pub kind: String,
    /// Options leave out part of the database.
    #[serde(default)]
    pub partial: bool,
    /// It is made before a restore, of what that replaces.
    #[serde(default)]
    pub before_restore: bool,
    /// The name of the machine that the run is on.
    pub host: String,
    /// What tells machines of one name apart, where it has that: a digest of its machine-id(5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
}

impl RunMark {
    /// The mark of a dump on this machine.
    pub fn of_dump(partial: bool, before_restore: bool) -> RunMark {
        RunMark {
            schema: 1,
            tool: format!("backupkit {}", env!("CARGO_PKG_VERSION")),
            kind: "dump".into(),
            partial,
            before_restore,
            host: host_name(),
            machine: machine(),
        }
    }

    /// The bytes to store, with a final newline.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self)
            .map_err(|error| Error::failed("cannot mark a run").because(error))?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

/// The identifier itself is not for others to see.
fn machine() -> Option<String> {
    let identifier = std::fs::read("/etc/machine-id").ok()?;
    let digest = Sha256::new()
        .chain_update("backupkit")
        .chain_update(identifier);
    let digest = digest.finalize();
    Some(
        digest[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    )
}

/// Removes from `storage` what dead runs of `name` left there, the mark last, and marks of runs that ended. The caller holds the lock of that name.
pub fn sweep(storage: &dyn Storage, name: &str, now: DateTime<Utc>, cancel: &Cancel) -> Result<()> {
    let listing = listing_of(storage, Some(name), cancel)?;
    for unfinished in dead(storage, &listing, now, cancel)? {
        let id = &unfinished.id;
        // a run that was alive after all may have ended since the listing
        if storage.stat(&id.manifest_key(), cancel)?.is_some() {
            continue;
        }
        let doing = || format!("cannot remove what is left of {id}");
        storage.delete(&unfinished.keys, cancel).doing(doing)?;
        storage.delete(&[id.key(Part::Run)], cancel).doing(doing)?;
        log::info!("removed {id}, which an earlier run left unfinished");
    }
    let over = listing
        .backups
        .iter()
        .filter(|backup| !backup.is_unfinished());
    let over = over.filter(|backup| backup.has(Part::Run));
    let over: Vec<String> = over.map(|backup| backup.id.key(Part::Run)).collect();
    match over.is_empty() {
        true => Ok(()),
        false => storage.delete(&over, cancel),
    }
}

/// What is unfinished and will never be finished.
fn dead<'a>(
    storage: &dyn Storage,
    listing: &'a Listing,
    now: DateTime<Utc>,
    cancel: &Cancel,
) -> Result<Vec<&'a UnfinishedRun>> {
    let mut dead = Vec::new();
    let spared = |run: &&UnfinishedRun| run.is_spared || run.keys.contains(&run.id.key(Part::Pin));
    for unfinished in listing.unfinished.iter().filter(|run| !spared(run)) {
        let is_old = now - unfinished.id.timestamp.moment() > ABANDONED;
        if is_old || is_of_this_host(storage, &unfinished.id, cancel)? {
            dead.push(unfinished);
        }
    }
    Ok(dead)
}

/// A mark that cannot be read was cut off or belongs to a newer version: it is nobody's.
fn is_of_this_host(storage: &dyn Storage, id: &BackupId, cancel: &Cancel) -> Result<bool> {
    let key = id.key(Part::Run);
    let bytes = match storage.open(&key, cancel) {
        Ok(stored) => read_small(stored, LARGEST, &key),
        Err(error) => Err(error),
    };
    match bytes {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)
            .is_ok_and(|mark: RunMark| mark.host == host_name() && mark.machine == machine())),
        Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Damaged) => Ok(false),
        Err(error) => Err(error),
    }
}
