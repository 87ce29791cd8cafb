//! The objects of a backup of another source than a database, opened one by one.

use super::held::Copy;
use super::listing::Entry;
use super::manifest::{Manifest, StoredObject};
use super::names::{Name, ObjectName, Part};
use super::open::watched;
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Kind, Result};
use crate::format::encoding::ArchiveEncoding;
use crate::format::read_pipeline::Inbound;
use crate::format::seal::{Expect, Keys};
use crate::progress::Meter;
use crate::storage::Storage;
use std::sync::Arc;

/// One object of a backup, as its manifest tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestObject {
    pub name: ObjectName,
    pub encoding: ArchiveEncoding,
    pub stored: StoredObject,
}

/// What `manifest` lists for the backup `entry`, each under a name of that backup. Damaged, where one has another name or none
/// is the one that the backup is known by: keys derive from the backup's own name, and never from a claim.
pub fn objects_of(entry: &Entry, manifest: &Manifest) -> Result<Vec<ManifestObject>> {
    let id = &entry.id;
    let objects = manifest.objects().into_iter().map(|stored| {
        let name = Name::parse(&stored.key).filter(|name| name.id == *id && !name.temporary);
        match name.map(|name| name.part) {
            Some(Part::Object(name, encoding)) => Ok(ManifestObject {
                name,
                encoding,
                stored,
            }),
            _ => Err(Error::damaged(format!(
                "the manifest of {id} lists {:?}, which is no object of it",
                stored.key
            ))),
        }
    });
    let objects: Vec<ManifestObject> = objects.collect::<Result<_>>()?;
    let archive = entry.archive_key();
    match objects.iter().any(|object| object.stored.key == archive) {
        true => Ok(objects),
        false => Err(Error::damaged(format!(
            "the manifest of {id} does not list {archive}"
        ))),
    }
}

/// What it takes to open objects.
pub struct ObjectOpener<'a> {
    pub storage: &'a dyn Storage,
    pub copy: &'a Copy,
    /// The keys that may open what is sealed.
    pub keys: &'a dyn Fn() -> Result<Keys>,
    /// Only what is sealed is read: anybody who can write to the storage could have put there what is not.
    pub sealed_only: bool,
}

impl ObjectOpener<'_> {
    /// Opens the layers of `object`; its bytes are compared with the checksum in the manifest.
    pub fn open(
        &self,
        object: &ManifestObject,
        meter: Arc<Meter>,
        cancel: &Cancel,
    ) -> Result<Inbound> {
        let key = &object.stored.key;
        let doing = || format!("cannot read {}", self.storage.locate(key));
        let stored = self.storage.open(key, cancel);
        let stored = stored.map_err(|error| match error.kind() {
            // the manifest says that it is there
            Kind::NotFound => Error::damaged(format!("{} is gone", self.storage.locate(key))),
            _ => error,
        })?;
        let stored = watched(stored, cancel);
        let label = object.name.label(&self.copy.entry.id);
        let sha256 = Some(object.stored.sha256.clone());
        let inbound = Inbound::open(stored, self.keys, Expect::Label(&label), sha256, meter);
        let inbound = inbound
            .map_err(|error| match error.kind() {
                // of another object or backup: here nobody can have meant that
                Kind::Refused => Error::damaged(error.to_string()),
                _ => error,
            })
            .doing(doing)?;
        let facts = inbound.facts().encoding;
        let must_be_sealed = object.encoding.cipher.is_encrypted() || self.sealed_only;
        if must_be_sealed && !facts.cipher.is_encrypted() {
            return Err(Error::damaged(
                "it should be encrypted, and is not: somebody or something replaced it",
            )
            .doing(doing()));
        }
        Ok(inbound)
    }
}
