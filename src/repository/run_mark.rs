//! The mark of a run that is writing a backup: `<timestamp>.run` beside it, from before its first object until after its
//! manifest.
//!
//! So a backup that is no full one never passes for one while it is written: a mark without a manifest means unfinished,
//! to every reader on every host. The mark names the lease of its run. Who holds the lease of the name now knows that such a
//! run is over, and removes what it left. A mark that names none, of an earlier version or of a run that could take none, is
//! removed by its own host, which holds the lock of the name and so knows that no run of its own is alive, or by any host
//! [`ABANDONED`] after the time in its name.

use super::lease::{Lease, may_be_held};
use super::listing::{Listing, UnfinishedRun};
use super::names::{BackupId, Part};
use super::source_kind::SourceKind;
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Result};
use crate::process::machine::{host_name, machine_digest};
use crate::storage::Storage;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// So long after its start a run counts as dead, wherever it was.
pub const ABANDONED: TimeDelta = TimeDelta::days(7);
/// Where two runs may hold a lease at the same time, one of them that wrote its mark so long ago is over.
const SURELY_OVER: Duration = Duration::from_secs(3600);
/// No more of a mark is read than this many bytes.
const LARGEST: u64 = 64 * 1024;

/// What a mark says of its run. JSON, additive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunMark {
    /// 1.
    pub schema: u32,
    /// Who wrote it: `backupkit` and its version.
    pub tool: String,
    /// What is backed up.
    pub kind: SourceKind,
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
    /// The lease that the run holds, where it could take one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<String>,
}

impl RunMark {
    /// The mark of a dump on this machine.
    pub fn of_dump(partial: bool, before_restore: bool) -> RunMark {
        RunMark {
            partial,
            before_restore,
            ..RunMark::of(SourceKind::Dump)
        }
    }

    /// The mark of a backup of this kind on this machine.
    pub fn of(kind: SourceKind) -> RunMark {
        RunMark {
            schema: 1,
            tool: format!("backupkit {}", env!("CARGO_PKG_VERSION")),
            kind,
            partial: false,
            before_restore: false,
            host: host_name(),
            machine: machine_digest(),
            lease: None,
        }
    }

    /// The mark of the run that holds `lease`.
    pub fn with_lease(&self, lease: Option<&Lease>) -> RunMark {
        RunMark {
            lease: lease.map(Lease::id),
            ..self.clone()
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

/// True while the mark of the run that writes `id` is `mark`: nobody took it for dead.
pub fn stands(
    storage: &dyn Storage,
    id: &BackupId,
    mark: &RunMark,
    cancel: &Cancel,
) -> Result<bool> {
    let dated = storage.read_dated(&id.key(Part::Run), LARGEST, cancel)?;
    let there: Option<RunMark> = dated.and_then(|dated| serde_json::from_slice(&dated.bytes).ok());
    Ok(there.as_ref() == Some(mark))
}

/// The newest run that `listing` of `name` shows begun and not ended, and that nobody goes on with. One whose mark names no
/// lease may be going on.
pub fn cut_short(
    storage: &dyn Storage,
    name: &str,
    listing: &Listing,
    cancel: &Cancel,
) -> Result<Option<BackupId>> {
    let Some(newest) = listing.unfinished.last() else {
        return Ok(None);
    };
    let dated = storage.read_dated(&newest.id.key(Part::Run), LARGEST, cancel)?;
    let mark: Option<RunMark> = dated.and_then(|dated| serde_json::from_slice(&dated.bytes).ok());
    let Some(lease) = mark.and_then(|mark| mark.lease) else {
        return Ok(None);
    };
    let goes_on = may_be_held(storage, name, listing, &lease, cancel)?;
    Ok((!goes_on).then(|| newest.id.clone()))
}

/// Removes what dead runs left of what `listing` shows, the mark last, and marks of runs that ended. The caller holds the lock
/// of that name, and `lease`.
pub fn sweep(
    storage: &dyn Storage,
    listing: &Listing,
    lease: Option<&Lease>,
    now: DateTime<Utc>,
    cancel: &Cancel,
) -> Result<()> {
    let until = || lease.map_or(Ok(Duration::MAX), Lease::until);
    let delete = |keys: &[String]| storage.delete_until(keys, Some(&until), cancel);
    for unfinished in dead(storage, listing, lease, now, cancel)? {
        let id = &unfinished.id;
        // a run that is alive after all finds by this mark that it was taken for dead, and else has ended by now
        let taken = RunMark::of_dump(false, false).with_lease(lease);
        storage.replace(&id.key(Part::Run), &taken.to_json()?, cancel)?;
        if storage.stat(&id.manifest_key(), cancel)?.is_some() {
            continue;
        }
        let doing = || format!("cannot remove what is left of {id}");
        delete(&unfinished.keys).doing(doing)?;
        delete(&[id.key(Part::Run)]).doing(doing)?;
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
        false => delete(&over),
    }
}

/// What is unfinished and will never be finished.
fn dead<'a>(
    storage: &dyn Storage,
    listing: &'a Listing,
    lease: Option<&Lease>,
    now: DateTime<Utc>,
    cancel: &Cancel,
) -> Result<Vec<&'a UnfinishedRun>> {
    let mut dead = Vec::new();
    let spared = |run: &&UnfinishedRun| run.is_spared || run.keys.contains(&run.id.key(Part::Pin));
    for unfinished in listing.unfinished.iter().filter(|run| !spared(run)) {
        if is_dead(storage, &unfinished.id, lease, now, cancel)? {
            dead.push(unfinished);
        }
    }
    Ok(dead)
}

/// True for the mark of a run that is over. One that cannot be read was cut off or belongs to a newer version: only its age
/// says so.
fn is_dead(
    storage: &dyn Storage,
    id: &BackupId,
    lease: Option<&Lease>,
    now: DateTime<Utc>,
    cancel: &Cancel,
) -> Result<bool> {
    let dated = match storage.read_dated(&id.key(Part::Run), LARGEST, cancel) {
        Ok(Some(dated)) => dated,
        // it is gone, and so is the run
        Ok(None) => return Ok(false),
        Err(error) => return Err(error),
    };
    let mark: Option<RunMark> = serde_json::from_slice(&dated.bytes).ok();
    let of_a_lease = mark.as_ref().and_then(|mark| mark.lease.as_ref());
    if let (Some(lease), Some(of_the_run)) = (lease, of_a_lease) {
        let is_surely_over = dated.age.is_some_and(|age| age > SURELY_OVER);
        return Ok(*of_the_run != lease.id() && (lease.is_conditional() || is_surely_over));
    }
    let age = dated.age.and_then(|age| TimeDelta::from_std(age).ok());
    let is_old = age.unwrap_or(now - id.timestamp.moment()) > ABANDONED;
    let is_of_this_host =
        |mark: RunMark| mark.host == host_name() && mark.machine == machine_digest();
    Ok(is_old || (of_a_lease.is_none() && mark.is_some_and(is_of_this_host)))
}
