//! What is to be backed up of a cluster, and what is known once the server has begun to send it.

use crate::error::Result;
use crate::format::codec::CodecOptions;
use crate::format::encoding::{ArchiveEncoding, Cipher};
use crate::format::seal::Keys;
use crate::postgres::replication::{BaseBackupStart, CheckpointSpeed};
use crate::postgres::session::Session;
use crate::repository::names::{BackupId, ObjectName, Part};
use crate::repository::source_kind::SourceKind;
use crate::source::physical::server_facts::ServerFacts;
use std::fmt;
use std::time::Duration;

/// What is made of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BaseType {
    /// All of it.
    Full,
    /// What changed since the backup before.
    Incremental,
}

impl fmt::Display for BaseType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BaseType::Full => "full",
            BaseType::Incremental => "incr",
        })
    }
}

/// One cluster to back up, with everything resolved.
pub struct BaseJob<'a> {
    /// The cluster's `name`.
    pub cluster: String,
    /// How to reach it, as a role with REPLICATION.
    pub session: Session,
    pub codec: CodecOptions,
    /// The keys to seal with; `None` stores in the clear.
    pub keys: Option<Keys>,
    /// The keys that open earlier backups.
    pub reading: &'a dyn Fn() -> Result<Keys>,
    pub base: BaseType,
    /// So many incremental ones may follow a full one; `None` is no limit.
    pub max_chain: Option<u32>,
    pub checkpoint: CheckpointSpeed,
    /// Bytes a second.
    pub max_rate: Option<u64>,
    /// How long to wait for another run of this name.
    pub lock_wait: Duration,
}

impl BaseJob<'_> {
    /// How its objects are stored.
    pub(super) fn encoding(&self) -> ArchiveEncoding {
        let cipher = match self.keys {
            Some(_) => Cipher::Container,
            None => Cipher::None,
        };
        ArchiveEncoding::new(self.codec.codec(), cipher)
    }

    /// The key of the object `name` of the backup `id`.
    pub(super) fn key(&self, id: &BackupId, name: ObjectName) -> String {
        id.key(Part::Object(name, self.encoding()))
    }
}

/// What is known of a backup once the server begins to send it.
pub(super) struct BegunBackup {
    pub id: BackupId,
    pub kind: SourceKind,
    pub server: ServerFacts,
    pub system_identifier: u64,
    /// What the server says it will send, and from where on its WAL is needed.
    pub start: BaseBackupStart,
}
