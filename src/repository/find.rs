//! Looks for the backup that a reference means, on one storage or on several.
//!
//! Storages are asked in their order. One that cannot be asked does not hide what the others hold; only where none
//! of them has the backup is its failure the answer, since the backup may be there.

use super::reference::{Reference, Selected, entries_of, read_manifest};
use crate::cancel::Cancel;
use crate::error::{Error, Kind, Result};
use crate::repository::listing::Entry;
use crate::repository::names::BackupId;
use crate::storage::Storage;
use chrono::{DateTime, SecondsFormat, Utc};
use std::cmp::Reverse;

/// A configured storage, or why it cannot be used.
pub struct Place {
    /// Its name.
    pub name: String,
    /// Itself.
    pub storage: Result<Box<dyn Storage>>,
}

/// A storage that was listed, and what it holds of the database.
struct Looked {
    storage: Box<dyn Storage>,
    entries: Vec<Entry>,
}

/// Finds the backup of `database` that `reference` means on `places`. With `sealed_only`, the newest never is one
/// that anybody who can write to a storage could have put there.
pub fn find(
    reference: &Reference,
    database: &str,
    places: Vec<Place>,
    sealed_only: bool,
    cancel: &Cancel,
) -> Result<Selected> {
    let (mut looked, mut failures) = (Vec::new(), Vec::new());
    for place in places {
        let listed = place.storage.and_then(|storage| {
            let entries = entries_of(storage.as_ref(), Some(database), cancel)?;
            Ok(Looked { storage, entries })
        });
        match listed {
            Ok(listed) => looked.push(listed),
            Err(error) if matches!(error.kind(), Kind::Signal(_)) => return Err(error),
            Err(error) => failures.push((place.name, error)),
        }
    }
    let found = match reference {
        Reference::Path(path) => return Ok(Selected::File(path.clone())),
        Reference::Latest { by, .. } => {
            newest_full(&looked, *by, sealed_only, &mut failures, cancel)?
        }
        Reference::Id(id) => first(&looked, |looked| only_one(id, &looked.entries, sealed_only))?,
        Reference::Key(id, shape) => first(&looked, |looked| {
            let mut entries = looked.entries.iter();
            Ok(entries.find(|entry| entry.id == *id && entry.shape == *shape))
        })?,
    };
    let Some((index, entry)) = found else {
        let looked_in: Vec<String> = looked
            .iter()
            .map(|looked| looked.storage.locate(database))
            .collect();
        return Err(not_found(
            reference,
            database,
            sealed_only,
            looked_in,
            failures,
        ));
    };
    for (name, error) in failures {
        let missed = match reference {
            Reference::Latest { .. } => "a newer backup may be on",
            _ => "cannot look on",
        };
        log::warn!("{missed} the storage {name}: {}", error.report());
    }
    Ok(Selected::Stored {
        storage: looked.swap_remove(index).storage.into(),
        entry,
    })
}

fn first<'a>(
    looked: &'a [Looked],
    find: impl Fn(&'a Looked) -> Result<Option<&'a Entry>>,
) -> Result<Option<(usize, Entry)>> {
    for (index, looked) in looked.iter().enumerate() {
        if let Some(entry) = find(looked)? {
            return Ok(Some((index, entry.clone())));
        }
    }
    Ok(None)
}

/// Why there is nothing to select: a storage that could not be asked, else that no storage has it.
fn not_found(
    reference: &Reference,
    database: &str,
    sealed_only: bool,
    looked_in: Vec<String>,
    failures: Vec<(String, Error)>,
) -> Error {
    let mut failures = failures.into_iter();
    if let Some((name, error)) = failures.next() {
        for (name, error) in failures {
            log::warn!("cannot look on the storage {name}: {}", error.report());
        }
        return match looked_in.is_empty() {
            true => error,
            false => error.doing(format!(
                "there is none in {}, and the storage {name} cannot be asked",
                looked_in.join(", ")
            )),
        };
    }
    let what = match reference {
        Reference::Id(id) => format!("there is no backup {id}"),
        Reference::Key(id, shape) => format!("there is no backup {}", id.archive_key(*shape)),
        _ if sealed_only => format!("there is no encrypted full backup of {database}"),
        _ => format!("there is no full backup of {database}"),
    };
    let when = match reference {
        Reference::Latest { by: Some(by), .. } => {
            let by = by.to_rfc3339_opts(SecondsFormat::Secs, true);
            format!(" from {by} or before")
        }
        _ => String::new(),
    };
    let hint = match reference {
        Reference::Latest { .. } => {
            "see which there are with: backupkit list; one that is partial, not encrypted or made before a restore has to \
             be named by its DB/TIMESTAMP"
        }
        _ => "see which there are with: backupkit list",
    };
    let place = looked_in.join(", ");
    Error::new(Kind::NotFound, format!("{what}{when} in {place}")).hint(hint)
}

/// The archive of one backup. With encryption configured a sealed one goes before an unsealed one of the same name,
/// which anybody who can write to the storage could have put there; two that are alike in that are one too many.
fn only_one<'a>(
    id: &BackupId,
    entries: &'a [Entry],
    sealed_only: bool,
) -> Result<Option<&'a Entry>> {
    let mut found: Vec<&Entry> = entries.iter().filter(|entry| entry.id == *id).collect();
    if sealed_only && found.iter().any(|entry| entry.shape.sealed) {
        found.retain(|entry| entry.shape.sealed);
    }
    if found.len() > 1 {
        let keys: Vec<String> = found.iter().map(|entry| entry.archive_key()).collect();
        return Err(
            Error::refused(format!("{id} has several archives: {}", keys.join(", ")))
                .hint("name the one that is meant by its key"),
        );
    }
    Ok(found.pop())
}

/// The newest full backup over all storages, and of its copies the first. A storage whose manifests cannot be read
/// for now joins the `failures`.
fn newest_full(
    looked: &[Looked],
    by: Option<DateTime<Utc>>,
    sealed_only: bool,
    failures: &mut Vec<(String, Error)>,
    cancel: &Cancel,
) -> Result<Option<(usize, Entry)>> {
    let mut candidates: Vec<(usize, &Entry)> = Vec::new();
    for (index, looked) in looked.iter().enumerate() {
        let in_time = |entry: &&Entry| by.is_none_or(|by| entry.id.timestamp.moment() <= by);
        candidates.extend(
            looked
                .entries
                .iter()
                .rev()
                .filter(in_time)
                .map(|entry| (index, entry)),
        );
    }
    // stable: of several copies the one on the storage that is listed first
    candidates.sort_by_key(|(_, entry)| Reverse(entry.id.timestamp));
    let mut failed = Vec::new();
    for (index, entry) in candidates {
        let storage = looked[index].storage.as_ref();
        if failed.contains(&index) {
            continue;
        }
        if sealed_only && !entry.shape.sealed {
            log::warn!(
                "passing over {}: it is not encrypted, and encryption is configured",
                storage.locate(&entry.archive_key())
            );
            continue;
        }
        match read_manifest(storage, entry, cancel) {
            Ok(Some(manifest)) if manifest.dump.partial => {
                log::info!("passing over {}, a partial backup", entry.id);
            }
            Ok(Some(manifest)) if manifest.dump.before_restore => {
                log::info!(
                    "passing over {}, which holds what a restore was about to replace",
                    entry.id
                );
            }
            Ok(_) => return Ok(Some((index, entry.clone()))),
            Err(error) if matches!(error.kind(), Kind::Signal(_)) => return Err(error),
            Err(error) if error.kind() == Kind::Unavailable => {
                failed.push(index);
                failures.push((storage.name().to_string(), error));
            }
            Err(error) => {
                log::warn!("{}", error.report());
                return Ok(Some((index, entry.clone())));
            }
        }
    }
    Ok(None)
}
