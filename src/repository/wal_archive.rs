//! Archived WAL on a storage: finding a file of it, reading it back through every layer, and who may archive there.

use super::open::watched;
use super::wal_names::{ArchivedFile, ArchivedName, system_key};
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Kind, Result};
use crate::format::encoding::ArchiveEncoding;
use crate::format::read_pipeline::Inbound;
use crate::format::seal::{Expect, Keys};
use crate::progress::Meter;
use crate::storage::Storage;
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::sync::Arc;

/// No more is read of what says whose WAL is archived.
const LARGEST_SYSTEM: u64 = 64 * 1024;

/// A file of archived WAL on a storage.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoredWal {
    pub archived: ArchivedFile,
    pub encoding: ArchiveEncoding,
    /// Its size there.
    pub bytes: u64,
}

impl StoredWal {
    /// Its key.
    pub fn key(&self) -> String {
        self.archived.key(self.encoding)
    }
}

/// How what is archived is opened.
#[derive(Clone, Copy)]
pub struct OpenWal<'a> {
    /// Asked for only where it is sealed.
    pub keys: &'a (dyn Fn() -> Result<Keys> + Sync),
    /// What is not sealed is of somebody else.
    pub sealed_only: bool,
}

/// What one directory of archived WAL holds.
#[derive(Debug, Default)]
pub struct WalListing {
    /// In no order.
    pub files: Vec<StoredWal>,
    /// Writes in progress, or left by who died.
    pub temporary: Vec<ArchivedName>,
}

impl WalListing {
    /// Lists the directory that `like` lies in.
    pub fn beside(
        like: &ArchivedFile,
        storage: &dyn Storage,
        cancel: &Cancel,
    ) -> Result<WalListing> {
        let mut listing = WalListing::default();
        storage.visit(Some(&like.directory()), cancel, &mut |object| {
            match ArchivedName::parse(&object.key) {
                Some(name) if name.temporary => listing.temporary.push(name),
                Some(name) => listing.files.push(StoredWal {
                    archived: ArchivedFile {
                        file: name.file,
                        other: name.other,
                        ..like.clone()
                    },
                    encoding: name.encoding,
                    bytes: object.bytes,
                }),
                None => {}
            }
            Ok(())
        })?;
        Ok(listing)
    }

    /// What is there of `file`, in whatever encoding, second ones of the name included.
    pub fn of<'a>(&'a self, file: &'a ArchivedFile) -> impl Iterator<Item = &'a StoredWal> {
        let same = |stored: &&StoredWal| stored.archived.file == file.file;
        self.files.iter().filter(same)
    }
}

impl OpenWal<'_> {
    /// The plain bytes of `stored`; their end means that every layer was good.
    pub fn open(
        &self,
        stored: &StoredWal,
        storage: &dyn Storage,
        cancel: &Cancel,
    ) -> Result<Box<dyn Read + Send>> {
        let key = stored.key();
        let doing = || format!("cannot read {}", storage.locate(&key));
        if self.sealed_only && !stored.encoding.cipher.is_encrypted() {
            return Err(Error::damaged(
                "it is not encrypted, and what is archived here is: somebody else laid it there",
            )
            .doing(doing()));
        }
        let bytes = watched(storage.open(&key, cancel)?, cancel);
        let label = stored.archived.label();
        let inbound = Inbound::open(
            bytes,
            self.keys,
            Expect::Label(&label),
            None,
            Arc::new(Meter::default()),
        )
        .doing(doing)?;
        let found = inbound.facts().encoding;
        match found == stored.encoding {
            true => Ok(Box::new(inbound.into_reader())),
            false => Err(Error::damaged(format!(
                "its name says that it is {}, and it is {}",
                stored.encoding.described(),
                found.described()
            ))
            .doing(doing())),
        }
    }
}

/// Whose WAL is archived under a name: `system.json`, beside the WAL. JSON, additive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchivedSystem {
    /// 1.
    pub schema: u32,
    /// The identifier that `initdb` gave the cluster, in decimal digits.
    pub system_identifier: String,
}

/// Refuses a cluster other than the one whose WAL is archived on `storage` as `cluster`. The first that comes is the one.
pub fn require_system(
    cluster: &str,
    system_identifier: u64,
    storage: &dyn Storage,
    cancel: &Cancel,
) -> Result<()> {
    let wanted = system_identifier.to_string();
    loop {
        match system_of(cluster, storage, cancel)? {
            Some(known) if known.system_identifier == wanted => return Ok(()),
            Some(known) => {
                return Err(Error::refused(format!(
                    "{} is the archive of the cluster {}, and this is {wanted}",
                    storage.locate(cluster),
                    known.system_identifier
                ))
                .hint(
                    "a copy of a server archives under a name of its own, or not at all (archive_mode = off); after pg_upgrade or initdb, say that it is meant: \
                     backupkit test --name NAME --accept-new-system",
                ));
            }
            None => {
                let system = ArchivedSystem {
                    schema: 1,
                    system_identifier: wanted.clone(),
                };
                // where another was quicker, it is asked for once more
                if storage.claim(&system_key(cluster), &as_json(&system)?, cancel)? {
                    return Ok(());
                }
            }
        }
    }
}

/// Says that from now on the cluster with this identifier is meant.
pub fn accept_system(
    cluster: &str,
    system_identifier: u64,
    storage: &dyn Storage,
    cancel: &Cancel,
) -> Result<()> {
    let system = ArchivedSystem {
        schema: 1,
        system_identifier: system_identifier.to_string(),
    };
    storage.replace(&system_key(cluster), &as_json(&system)?, cancel)
}

/// Whose WAL is archived there; `None` where none is yet.
pub fn system_of(
    cluster: &str,
    storage: &dyn Storage,
    cancel: &Cancel,
) -> Result<Option<ArchivedSystem>> {
    let key = system_key(cluster);
    let mut bytes = Vec::new();
    match storage.open(&key, cancel) {
        Ok(found) => found.take(LARGEST_SYSTEM).read_to_end(&mut bytes)?,
        Err(error) if error.kind() == Kind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let parsed = serde_json::from_slice(&bytes);
    parsed.map(Some).map_err(|error| {
        Error::damaged(format!("{} is damaged", storage.locate(&key)))
            .because(error)
            .hint("write it anew with: backupkit test --name NAME --accept-new-system")
    })
}

fn as_json(system: &ArchivedSystem) -> Result<Vec<u8>> {
    serde_json::to_vec(system).map_err(|error| Error::failed("cannot write JSON").because(error))
}
