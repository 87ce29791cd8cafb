//! A storage: written to, read, listed, deleted from; its clock and its room.

use super::Finding;
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Kind, Result};
use crate::repository::names::{BackupId, Part, Timestamp};
use crate::repository::sidecars::read_small;
use crate::storage::{MORE_ROOM, RoomLevel, Storage, TO_BE_USED};
use chrono::{DateTime, TimeDelta, Utc};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long removing the probe may take, whatever ended the check.
const CLEAN_UP: Duration = Duration::from_secs(10);
/// A clock that is this far off is worth a word; S3 refuses at a quarter of an hour.
const CLOCK: TimeDelta = TimeDelta::minutes(2);
const PROBE: &[u8] =
    b"backupkit test: whether this storage can be written to. It may be deleted.\n";

/// Writes a probe into the directory of `database`, and once more where it is, reads it, lists it and deletes it again. `directory` is that
/// directory where it is one of this machine: what has to be made of it is removed afterwards. `deletes` says that
/// retention will have to delete.
pub fn probe(
    storage: &dyn Storage,
    database: &str,
    directory: Option<&Path>,
    deletes: bool,
    now: DateTime<Utc>,
    cancel: &Cancel,
) -> Result<Probed> {
    let subject = format!("storage {}", storage.name());
    let timestamp = Timestamp::new(now);
    let id = BackupId {
        database: database.to_string(),
        timestamp,
    };
    let key = id.key(Part::Probe);
    let made = directory.map_or_else(Vec::new, missing);
    let tried = try_out(storage, database, &key, directory.is_some(), cancel);
    let removed = Cancel::new().and_then(|cancel| remove(storage, &key, &cancel));
    for directory in made {
        // one that someone else uses by now stays
        let _ = std::fs::remove_dir(directory);
    }
    cancel.check()?;
    let failure = tried.as_ref().err().map(Error::kind);
    let is_conditional = tried.as_ref().ok().copied();
    let check = match (tried, removed) {
        (Err(error), _) => Finding::broken(&subject, &error).or_fix(TO_BE_USED),
        (Ok(_), Ok(())) => {
            let place = storage.locate(database);
            Finding::ok(
                &subject,
                format!("wrote, read, listed and deleted a probe in {place}"),
            )
        }
        (Ok(_), Err(error)) => {
            let check = Finding::broken(&subject, &error.doing("wrote, read and listed a probe"))
                .or_fix("let this user delete there, if retention is to free any room");
            // who only adds backups need not be able to remove any
            if deletes { check } else { check.as_warning() }
        }
    };
    Ok(Probed {
        check,
        failure,
        is_conditional,
    })
}

/// What a probe showed.
pub struct Probed {
    pub check: Finding,
    /// The kind of what failed.
    pub failure: Option<Kind>,
    /// Whether the storage keeps conditional writes, where it could be tried.
    pub is_conditional: Option<bool>,
}

/// Whether a storage keeps conditional writes, and what follows where several hosts use it.
pub fn conditional(storage: &dyn Storage, is_conditional: bool, deletes: bool) -> Finding {
    let subject = format!("storage {}", storage.name());
    let what = match (is_conditional, deletes) {
        (true, _) => "keeps conditional writes, so several hosts may share it",
        (false, true) => {
            "keeps no conditional writes, so retention deletes in two steps, an hour apart or more"
        }
        (false, false) => "keeps no conditional writes, which matters only for retention",
    };
    Finding::ok(&subject, what)
}

fn try_out(
    storage: &dyn Storage,
    database: &str,
    key: &str,
    is_local: bool,
    cancel: &Cancel,
) -> Result<bool> {
    let shown = storage.locate(key);
    let list = || storage.list(Some(database), cancel);
    // a directory on a disk that is not mounted says so, and is not written to; that one is not there yet is no news
    match is_local {
        true => drop(storage.space()?),
        false => drop(list()?),
    }
    storage
        .put(key, PROBE, cancel)
        .doing(|| format!("cannot write to the storage {}", storage.name()))?;
    // the key is taken now, which a storage notices or not
    let is_conditional = !storage
        .claim(key, PROBE, cancel)
        .doing(|| format!("cannot write to the storage {} again", storage.name()))?;
    let opened = storage.open(key, cancel)?;
    if read_small(opened, PROBE.len() as u64, &shown)? != PROBE {
        return Err(Error::damaged(format!(
            "{shown} does not read as it was written"
        )));
    }
    match list()?.iter().any(|object| object.key == key) {
        true => Ok(is_conditional),
        false => Err(
            Error::failed(format!("{shown} was written and is not listed"))
                .hint("a storage that lists late cannot be pruned safely"),
        ),
    }
}

fn remove(storage: &dyn Storage, key: &str, cancel: &Cancel) -> Result<()> {
    let cancel = cancel.with_deadline(CLEAN_UP);
    let doing = || format!("cannot delete {}", storage.locate(key));
    storage.delete(&[key.to_string()], &cancel).doing(doing)?;
    match storage.stat(key, &cancel)? {
        None => Ok(()),
        Some(_) => Err(Error::failed("it is still there")).doing(doing),
    }
}

/// `directory` and what is missing above it, the deepest first.
fn missing(directory: &Path) -> Vec<PathBuf> {
    directory
        .ancestors()
        .take_while(|path| !path.as_os_str().is_empty() && !path.exists())
        .map(Path::to_path_buf)
        .collect()
}

/// How far the clocks are apart; `None` where the storage has none that matters.
pub fn clock(storage: &dyn Storage, cancel: &Cancel) -> Result<Option<Finding>> {
    let subject = format!("storage {}", storage.name());
    let ahead = match storage.clock_ahead(cancel) {
        Ok(Some(ahead)) => ahead,
        Ok(None) => return Ok(None),
        // the probe has said why
        Err(_) => return cancel.check().map(|()| None),
    };
    let seconds = ahead.num_seconds();
    let side = if seconds < 0 { "behind" } else { "ahead of" };
    let what = format!(
        "this machine's clock is {} s {side} the storage's",
        seconds.abs()
    );
    Ok(Some(match ahead.abs() <= CLOCK {
        true => Finding::ok(&subject, what),
        false => Finding::warn(&subject, what)
            .fix("set the clock, such as with chrony or systemd-timesyncd"),
    }))
}

/// Whether there is room for the newest backup of each database once more, which is `needed` bytes; `None` where the
/// storage has no end.
pub fn room(storage: &dyn Storage, needed: u64) -> Option<Finding> {
    let subject = format!("storage {}", storage.name());
    let space = match storage.space() {
        Ok(space) => space?,
        Err(error) => return Some(Finding::broken(&subject, &error)),
    };
    let what = space.words(needed);
    Some(match space.level(needed) {
        _ if space.free <= needed => Finding::fail(&subject, what).fix(MORE_ROOM),
        RoomLevel::Enough => Finding::ok(&subject, what),
        RoomLevel::Little | RoomLevel::HardlyAny => Finding::warn(&subject, what).fix(MORE_ROOM),
    })
}
