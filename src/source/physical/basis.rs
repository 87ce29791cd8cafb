//! What a base backup begins from: nothing, or the backup that an incremental one adds to.

use super::server_facts::ServerFacts;
use crate::cancel::Cancel;
use crate::error::{Error, Kind, Result};
use crate::format::seal::Keys;
use crate::postgres::replication::{
    BaseBackupOptions, BaseBackupStart, Lsn, ReplicationConnection,
};
use crate::progress::Meter;
use crate::repository::chain::ChainLink;
use crate::repository::names::{BackupId, ObjectName, Timestamp};
use crate::repository::objects::{ObjectOpener, objects_of};
use crate::repository::places::Places;
use crate::repository::source_kind::SourceKind;
use crate::repository::standing::Purpose;
use crate::repository::{Expected, Repository};
use chrono::{DateTime, Utc};
use std::io::{self, Read};
use std::sync::Arc;

/// The first major version with incremental backups.
const FIRST_INCREMENTAL: u32 = 17;
/// No larger backup_manifest is sent to a server: that of ten million files.
const LARGEST_MANIFEST: u64 = 2 << 30;

/// What is known before the choice.
pub struct BasisRequest<'a> {
    /// The name of the cluster in the configuration.
    pub name: &'a str,
    pub expected: Expected,
    pub server: &'a ServerFacts,
    pub system_identifier: u64,
    /// The one that the server is on.
    pub timeline: u32,
    /// How far its WAL is written out.
    pub flushed: Lsn,
    /// So many incremental ones may follow a full one.
    pub max_chain: Option<u32>,
    /// What opens earlier backups.
    pub reading: &'a dyn Fn() -> Result<Keys>,
    pub now: DateTime<Utc>,
}

/// What a backup begins from.
pub struct Basis {
    parent: Option<Parent>,
    full_because: Option<String>,
}

struct Parent {
    timestamp: Timestamp,
    /// PostgreSQL's list of its files, as it was stored.
    manifest: Box<dyn Read + Send>,
}

impl Basis {
    /// A full backup, with the reason where an incremental one was asked for.
    pub fn full(because: Option<String>) -> Basis {
        Basis {
            parent: None,
            full_because: because,
        }
    }

    /// The backup that this one adds to.
    pub fn parent(&self) -> Option<Timestamp> {
        self.parent.as_ref().map(|parent| parent.timestamp)
    }

    /// What the backup is.
    pub fn kind(&self) -> SourceKind {
        match self.parent {
            Some(_) => SourceKind::IncrementalCluster,
            None => SourceKind::FullCluster,
        }
    }

    /// Why it is a full one.
    pub fn full_because(&self) -> Option<&str> {
        self.full_because.as_deref()
    }

    /// Asks the server for an incremental backup, where there is something to add to. Where the server refuses, this is a full
    /// one from then on.
    pub fn ask(
        &mut self,
        connection: &mut ReplicationConnection,
        options: &BaseBackupOptions,
    ) -> Result<Option<BaseBackupStart>> {
        let Some(parent) = &mut self.parent else {
            return Ok(None);
        };
        let mut stored = Stored {
            inner: &mut parent.manifest,
            has_failed: false,
        };
        let asked = connection
            .upload_manifest(&mut stored)
            .and_then(|()| connection.begin_base_backup(options));
        let who = match stored.has_failed {
            true => "the backup before cannot be read",
            false => "the server refuses it",
        };
        match asked {
            Ok(start) => Ok(Some(start)),
            Err(error) if error.ends_the_run() => Err(error),
            Err(error) if connection.is_ready() => {
                *self = Basis::full(Some(format!("{who}: {}", error.chain())));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// What is read of a storage, and whether that failed: who reads it may fail as well.
struct Stored<'a> {
    inner: &'a mut dyn Read,
    has_failed: bool,
}

impl Read for Stored<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer);
        self.has_failed |= read
            .as_ref()
            .is_err_and(|error| error.kind() != io::ErrorKind::Interrupted);
        read
    }
}

/// The newest backup that an incremental one can add to, on whichever of `places` it is; else why there is none.
pub fn choose(request: &BasisRequest, places: &Places, cancel: &Cancel) -> Result<Basis> {
    let server = request.server;
    if server.major < FIRST_INCREMENTAL {
        return Ok(Basis::full(Some(format!(
            "the server is PostgreSQL {}, and only {FIRST_INCREMENTAL} and newer make incremental ones",
            server.version
        ))));
    }
    if !server.summarizes_wal {
        return Ok(Basis::full(Some(
            "the server has summarize_wal off, without which it does not know what changed".into(),
        )));
    }
    let names: Vec<String> = places.names().map(str::to_string).collect();
    let opened = Repository::open(
        request.name,
        &names,
        places,
        request.expected,
        request.now,
        cancel,
    );
    let repository = opened?;
    let mut passed_over = Vec::new();
    let newest = repository.newest(Purpose::Restore, |_| true, &mut passed_over, cancel)?;
    let Some(newest) = newest else {
        return Ok(Basis::full(Some(
            "there is no good backup to add to".into(),
        )));
    };
    let chain = match repository.chain(&newest.copy, cancel) {
        Ok(chain) => chain,
        Err(error) if error.ends_the_run() => return Err(error),
        Err(error) => {
            let why = format!("the backup before cannot be added to: {}", error.chain());
            return Ok(Basis::full(Some(why)));
        }
    };
    if let Some(storage) = lacking(request, &names, places, &newest.backup.id, cancel)? {
        return Ok(Basis::full(Some(format!(
            "the storage {storage} lacks the backup before, or what that needs"
        ))));
    }
    let Some(last) = chain.last() else {
        return Ok(Basis::full(Some(
            "there is no good backup to add to".into(),
        )));
    };
    if let Some(because) = unfit(request, &chain, last) {
        return Ok(Basis::full(Some(because)));
    }
    match parent(request, last, &repository, cancel) {
        Ok(parent) => Ok(Basis {
            parent: Some(parent),
            full_because: None,
        }),
        Err(error) if error.ends_the_run() => Err(error),
        Err(error) => Ok(Basis::full(Some(format!(
            "the backup before cannot be read: {}",
            error.chain()
        )))),
    }
}

/// Fails where one of `places` has the backup `parent` of `name` no more, or not what that needs: a run that was stopped for long may
/// find that another host has deleted it.
pub fn require_there(
    name: &str,
    parent: Timestamp,
    expected: Expected,
    now: DateTime<Utc>,
    places: &Places,
    cancel: &Cancel,
) -> Result<()> {
    for place in places.names() {
        let alone = [place.to_string()];
        let repository = Repository::open(name, &alone, places, expected, now, cancel)?;
        let mut backups = repository.backups().into_iter();
        let held = backups.find(|backup| backup.id.timestamp == parent);
        let copy = held.and_then(|backup| backup.copies.into_iter().next());
        let Some(copy) = copy else {
            return Err(Error::failed(format!(
                "{name}/{parent}, which the backup adds to, is no longer on {place}"
            ))
            .hint("another host has deleted it while this run was stopped; run it again"));
        };
        repository.chain(&copy, cancel)?;
    }
    Ok(())
}

/// A storage on which `id` cannot be restored by itself: what is added to it there would be worth nothing.
fn lacking(
    request: &BasisRequest,
    names: &[String],
    places: &Places,
    id: &BackupId,
    cancel: &Cancel,
) -> Result<Option<String>> {
    for name in names {
        let alone = std::slice::from_ref(name);
        let repository = Repository::open(
            request.name,
            alone,
            places,
            request.expected,
            request.now,
            cancel,
        )?;
        let mut passed_over = Vec::new();
        let newest = repository.newest(Purpose::Restore, |_| true, &mut passed_over, cancel)?;
        if newest.is_none_or(|newest| newest.backup.id != *id) {
            return Ok(Some(name.clone()));
        }
    }
    Ok(None)
}

/// Why nothing is added to the end of `chain`, which is `last`.
fn unfit(request: &BasisRequest, chain: &[ChainLink], last: &ChainLink) -> Option<String> {
    let known = last.manifest.cluster();
    let of_this =
        known.is_some_and(|known| known.system_identifier == request.system_identifier.to_string());
    if !of_this {
        return Some("the backup before is of another cluster".into());
    }
    let major = known.and_then(|known| known.server_version.split('.').next()?.parse().ok());
    if major != Some(request.server.major) {
        return Some("the backup before is of another major version of PostgreSQL".into());
    }
    // one that was restored goes on in a history of its own
    let is_of_this_history = known.is_some_and(|known| {
        let stop = known.stop_lsn.parse::<Lsn>();
        known.timeline == request.timeline && stop.is_ok_and(|stop| stop <= request.flushed)
    });
    if !is_of_this_history {
        return Some("the backup before is of another timeline of this cluster".into());
    }
    let longest = request.max_chain? as usize;
    // the full one is not counted
    (chain.len() > longest)
        .then(|| format!("{longest} incremental ones follow the last full one, which is max_chain"))
}

fn parent(
    request: &BasisRequest,
    last: &ChainLink,
    repository: &Repository,
    cancel: &Cancel,
) -> Result<Parent> {
    let entry = &last.copy.entry;
    let objects = objects_of(entry, &last.manifest)?;
    let found = objects
        .iter()
        .find(|object| object.name == ObjectName::BackupManifest);
    let found = found.ok_or_else(|| {
        Error::new(
            Kind::Damaged,
            format!("{} has no backup_manifest", entry.id),
        )
    })?;
    let storage = repository.places().usable(&last.copy.storage);
    let storage = storage.ok_or_else(|| {
        Error::failed(format!("the storage {} does not answer", last.copy.storage))
    })?;
    let reader = ObjectOpener {
        storage: storage.as_ref(),
        copy: &last.copy,
        keys: request.reading,
        sealed_only: request.expected.sealed,
    };
    let manifest = reader.open(found, Arc::new(Meter::default()), cancel)?;
    Ok(Parent {
        timestamp: entry.id.timestamp,
        manifest: Box::new(manifest.into_reader().take(LARGEST_MANIFEST)),
    })
}
