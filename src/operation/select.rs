//! Which backup is meant: `DB/TIMESTAMP`, `latest`, `DB/latest`, a storage key or a local path.

use crate::cancel::Cancel;
use crate::catalog::listing::{Entry, Listing};
use crate::catalog::manifest::{self, Manifest};
use crate::catalog::name::{BackupId, Name, Part, Shape};
use crate::error::{Doing, Error, Kind, Result};
use crate::storage::Storage;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A backup as somebody named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// The newest full one of this database, or of the one that the command is about.
    Latest(Option<String>),
    /// This one, of whatever shape.
    Id(BackupId),
    /// This very object.
    Key(BackupId, Shape),
    /// A file.
    Path(PathBuf),
}

impl Reference {
    /// Tells the forms apart. A path that does not begin with `/` or `.` is one only if nothing else fits.
    pub fn parse(text: &str) -> Reference {
        let path = || Reference::Path(PathBuf::from(text));
        if text.starts_with(['/', '.']) {
            return path();
        }
        if text == "latest" {
            return Reference::Latest(None);
        }
        if let Some(database) = text.strip_suffix("/latest")
            && !database.is_empty()
            && !database.contains('/')
        {
            return Reference::Latest(Some(database.to_string()));
        }
        if let Some(Name {
            id,
            part: Part::Archive(shape),
            temporary: false,
        }) = Name::parse(text)
        {
            return Reference::Key(id, shape);
        }
        match BackupId::parse(text) {
            Some(id) => Reference::Id(id),
            None => path(),
        }
    }

    /// The database that the reference itself names.
    pub fn database(&self) -> Option<&str> {
        match self {
            Reference::Latest(database) => database.as_deref(),
            Reference::Id(id) | Reference::Key(id, _) => Some(&id.database),
            Reference::Path(_) => None,
        }
    }
}

/// A backup that was found.
pub enum Selected<'a> {
    /// On a storage, under a name of ours.
    Stored {
        /// Where.
        storage: &'a dyn Storage,
        /// What the listing says of it.
        entry: Entry,
    },
    /// A file that somebody named.
    File(PathBuf),
}

impl Selected<'_> {
    /// How people find it.
    pub fn shown(&self) -> String {
        match self {
            Selected::Stored { storage, entry } => storage.locate(&entry.archive_key()),
            Selected::File(path) => path.display().to_string(),
        }
    }

    /// What its name promises of its bytes.
    pub fn named_shape(&self) -> Option<Shape> {
        match self {
            Selected::Stored { entry, .. } => Some(entry.shape),
            Selected::File(path) => path
                .file_name()
                .and_then(|name| name.to_str())
                .and_then(Shape::of_file_name),
        }
    }
}

/// Finds the backup of `database` that `reference` means on `storages`, tried in their order. With
/// `sealed_only`, the newest never is one that anybody who can write to the storage could have put there.
pub fn find<'a>(
    reference: &Reference,
    database: &str,
    storages: &[&'a dyn Storage],
    sealed_only: bool,
    cancel: &Cancel,
) -> Result<Selected<'a>> {
    if let Reference::Path(path) = reference {
        return Ok(Selected::File(path.clone()));
    }
    let mut looked_in = Vec::new();
    for storage in storages {
        let entries = entries_of(*storage, Some(database), cancel)?;
        let found = match reference {
            Reference::Latest(_) => newest_full(*storage, &entries, sealed_only, cancel)?,
            Reference::Id(id) => only_one(id, entries, sealed_only)?,
            Reference::Key(id, shape) => entries
                .into_iter()
                .find(|entry| entry.id == *id && entry.shape == *shape),
            Reference::Path(_) => None,
        };
        if let Some(entry) = found {
            return Ok(Selected::Stored {
                storage: *storage,
                entry,
            });
        }
        looked_in.push(storage.locate(database));
    }
    let what = match reference {
        Reference::Id(id) => format!("there is no backup {id}"),
        Reference::Key(id, shape) => format!("there is no backup {}", id.archive_key(*shape)),
        _ if sealed_only => format!("there is no encrypted full backup of {database}"),
        _ => format!("there is no full backup of {database}"),
    };
    let hint = match reference {
        Reference::Latest(_) => {
            "see which there are with: backupkit list; one that is partial or not encrypted has to be named by its \
             DB/TIMESTAMP"
        }
        _ => "see which there are with: backupkit list",
    };
    let place = looked_in.join(", ");
    Err(Error::new(Kind::NotFound, format!("{what} in {place}")).hint(hint))
}

/// The archive of one backup. With encryption configured a sealed one goes before an unsealed one of the same name,
/// which anybody who can write to the storage could have put there; two that are alike in that are one too many.
fn only_one(id: &BackupId, entries: Vec<Entry>, sealed_only: bool) -> Result<Option<Entry>> {
    let mut found: Vec<Entry> = entries
        .into_iter()
        .filter(|entry| entry.id == *id)
        .collect();
    if sealed_only && found.iter().any(|entry| entry.shape.sealed) {
        found.retain(|entry| entry.shape.sealed);
    }
    if found.len() > 1 {
        let keys: Vec<String> = found.iter().map(Entry::archive_key).collect();
        return Err(
            Error::refused(format!("{id} has several archives: {}", keys.join(", ")))
                .hint("name the one that is meant by its key"),
        );
    }
    Ok(found.pop())
}

/// The backups on `storage`, oldest first, from a listing alone.
pub fn entries_of(
    storage: &dyn Storage,
    database: Option<&str>,
    cancel: &Cancel,
) -> Result<Vec<Entry>> {
    Ok(listing_of(storage, database, cancel)?.entries())
}

/// What lies on `storage` of one database, or of all.
pub fn listing_of(
    storage: &dyn Storage,
    database: Option<&str>,
    cancel: &Cancel,
) -> Result<Listing> {
    let objects = storage
        .list(database, cancel)
        .doing(|| format!("cannot list the storage {}", storage.name()))?;
    // `app` is no prefix of `app2`, whatever a storage makes of it
    let wanted = |key: &str| match database {
        Some(database) => key
            .split_once('/')
            .is_some_and(|(directory, _)| directory == database),
        None => true,
    };
    let objects = objects.iter().filter(|object| wanted(&object.key));
    Ok(Listing::new(
        objects.map(|object| (object.key.as_str(), object.bytes)),
    ))
}

fn newest_full(
    storage: &dyn Storage,
    entries: &[Entry],
    sealed_only: bool,
    cancel: &Cancel,
) -> Result<Option<Entry>> {
    for entry in entries.iter().rev() {
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
            Ok(_) => return Ok(Some(entry.clone())),
            Err(error) if matches!(error.kind(), Kind::Signal(_) | Kind::Unavailable) => {
                return Err(error);
            }
            Err(error) => {
                log::warn!("{}", error.report());
                return Ok(Some(entry.clone()));
            }
        }
    }
    Ok(None)
}

/// The manifest beside a backup, if there is one.
pub fn read_manifest(
    storage: &dyn Storage,
    entry: &Entry,
    cancel: &Cancel,
) -> Result<Option<Manifest>> {
    if !entry.has_manifest {
        return Ok(None);
    }
    manifest_of(storage, &entry.id, cancel).map(Some)
}

/// The manifest of a backup that has one.
pub fn manifest_of(storage: &dyn Storage, id: &BackupId, cancel: &Cancel) -> Result<Manifest> {
    let key = id.manifest_key();
    let bytes = read_small(storage.open(&key, cancel)?, manifest::LARGEST, &key)?;
    Manifest::from_json(&bytes, &key)
}

/// The SHA-256 in the `.sha256` beside a backup, if there is one.
pub fn read_checksum(selected: &Selected, cancel: &Cancel) -> Result<Option<String>> {
    const LARGEST: u64 = 64 * 1024;
    let (reader, name): (Box<dyn Read>, String) = match selected {
        Selected::Stored { entry, .. } if !entry.has_checksum => return Ok(None),
        Selected::Stored { storage, entry } => {
            let key = entry.id.checksum_key(entry.shape);
            (storage.open(&key, cancel)?, key)
        }
        Selected::File(path) => {
            let beside = beside(path);
            match crate::storage::local::open_file(&beside) {
                Ok(file) => (Box::new(file), beside.display().to_string()),
                Err(error) if error.kind() == Kind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    };
    let bytes = read_small(reader, LARGEST, &name)?;
    let text = String::from_utf8_lossy(&bytes);
    let hash = text.split_whitespace().next().unwrap_or_default();
    if hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(
            Error::damaged(format!("{name} does not begin with a SHA-256 checksum"))
                .hint("remove it if you know why; the archive can be read without it"),
        );
    }
    Ok(Some(hash.to_string()))
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".sha256");
    PathBuf::from(name)
}

fn read_small(reader: impl Read, largest: u64, name: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader
        .take(largest + 1)
        .read_to_end(&mut bytes)
        .doing(|| format!("cannot read {name}"))?;
    if bytes.len() as u64 > largest {
        return Err(Error::damaged(format!(
            "{name} is larger than {largest} bytes"
        )));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_are_told_apart() {
        let stamp = "20261120_020000.123456789Z";
        let id = BackupId::parse(&format!("app/{stamp}")).unwrap();
        let shape = Shape::new(true, false);
        for (text, reference) in [
            ("latest", Reference::Latest(None)),
            ("app/latest", Reference::Latest(Some("app".into()))),
            (&format!("app/{stamp}"), Reference::Id(id.clone())),
            (
                &format!("app/{stamp}.dump.gz"),
                Reference::Key(id.clone(), shape),
            ),
            (
                &format!("./app/{stamp}.dump.gz"),
                Reference::Path(format!("./app/{stamp}.dump.gz").into()),
            ),
            (
                &format!("app/{stamp}.dump.gz.sha256"),
                Reference::Path(format!("app/{stamp}.dump.gz.sha256").into()),
            ),
            ("some.dump", Reference::Path("some.dump".into())),
            ("/a/latest", Reference::Path("/a/latest".into())),
            ("a/b/latest", Reference::Path("a/b/latest".into())),
        ] {
            assert_eq!(Reference::parse(text), reference, "{text}");
        }
    }
}
