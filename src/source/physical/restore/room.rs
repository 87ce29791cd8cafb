//! The room that a restore wants of each file system: the result, and beside it for a while the chain that it is made from.

use crate::error::{Doing, Error, Result};
use crate::files::directory::{free_bytes, nearest_there};
use crate::repository::manifest::Manifest;
use crate::repository::names::{Name, ObjectName, Part};
use crate::text::human::human_bytes;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What a restore wants of one file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// A directory on it.
    pub directory: PathBuf,
    /// In bytes, about.
    pub needed: u64,
    /// In bytes.
    pub free: u64,
}

/// The plain size of the objects of a backup, by the tablespace that they are of; `None` is the data directory.
type Sizes = BTreeMap<Option<u32>, u64>;

/// What restoring `chain`, the full backup first, into `data`, `tablespaces` and `wal` wants.
pub fn wanted(
    chain: &[&Manifest],
    data: &Path,
    tablespaces: &BTreeMap<u32, PathBuf>,
    wal: Option<&Path>,
) -> Result<Vec<Room>> {
    let sizes: Vec<Sizes> = chain.iter().map(|manifest| sizes(manifest)).collect();
    let mut rooms: BTreeMap<u64, Room> = BTreeMap::new();
    let mut want = |path: &Path, bytes: u64| -> Result<()> {
        let there = nearest_there(path);
        let device = fs::metadata(there).doing(|| format!("cannot look at {}", there.display()))?;
        let room = rooms.entry(device.dev()).or_insert(Room {
            directory: there.to_path_buf(),
            needed: 0,
            free: free_bytes(there)?,
        });
        room.needed = room.needed.saturating_add(bytes);
        Ok(())
    };
    // of a chain the full backup is about as large as the result, which may hold more since
    let newest = sizes.last().cloned().unwrap_or_default();
    let largest =
        |place: &Option<u32>| sizes.iter().filter_map(|one| one.get(place)).max().copied();
    for place in newest.keys() {
        let bytes = largest(place).unwrap_or(0);
        match place.and_then(|oid| tablespaces.get(&oid)) {
            Some(path) => want(path, bytes)?,
            None => want(data, bytes)?,
        }
    }
    if let (Some(wal), Some(newest)) = (wal, chain.last()) {
        // it is moved there from the data directory when it is whole
        want(wal, wal_size(newest))?;
    }
    if sizes.len() > 1 {
        want(data, sizes.iter().flat_map(BTreeMap::values).sum())?;
    }
    Ok(rooms.into_values().collect())
}

/// Fails where a file system has less than is wanted of it.
pub fn require(rooms: &[Room]) -> Result<()> {
    match rooms.iter().find(|room| room.free < room.needed) {
        None => Ok(()),
        Some(room) => Err(Error::failed(format!(
            "about {} are needed in {}, and {} are free there",
            human_bytes(room.needed),
            room.directory.display(),
            human_bytes(room.free)
        ))
        .hint(
            "free some space, or name a larger place; a chain lies beside its result for a while",
        )),
    }
}

fn wal_size(manifest: &Manifest) -> u64 {
    let is_wal = |key: &str| {
        let part = Name::parse(key).map(|name| name.part);
        matches!(part, Some(Part::Object(ObjectName::Wal, _)))
    };
    let objects = manifest.objects();
    let wal = objects.iter().filter(|object| is_wal(&object.key));
    wal.map(|object| object.plain_bytes).sum()
}

fn sizes(manifest: &Manifest) -> Sizes {
    let mut sizes = Sizes::new();
    for object in manifest.objects() {
        let place = match Name::parse(&object.key).map(|name| name.part) {
            Some(Part::Object(ObjectName::Tablespace(oid), _)) => Some(oid),
            _ => None,
        };
        *sizes.entry(place).or_default() += object.plain_bytes;
    }
    sizes
}
