//! What a backup is of, and which of its objects is the one that it is known by.

use super::names::{ObjectName, Part};
use crate::format::encoding::ArchiveEncoding;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a backup is of, and how much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SourceKind {
    /// One database, by pg_dump.
    #[serde(rename = "dump")]
    Dump,
    #[serde(rename = "full")]
    FullCluster,
    /// What changed in a cluster since its parent.
    #[serde(rename = "incr")]
    IncrementalCluster,
    /// A whole tree of files.
    #[serde(rename = "full.files")]
    FullFiles,
    /// What changed in a tree of files since its parent.
    #[serde(rename = "incr.files")]
    IncrementalFiles,
}

/// What a name is configured as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SourceClass {
    Database,
    Cluster,
    Files,
}

impl SourceKind {
    /// What a name with such backups is configured as.
    pub fn class(self) -> SourceClass {
        match self {
            SourceKind::Dump => SourceClass::Database,
            SourceKind::FullCluster | SourceKind::IncrementalCluster => SourceClass::Cluster,
            SourceKind::FullFiles | SourceKind::IncrementalFiles => SourceClass::Files,
        }
    }

    /// True for what cannot be restored without its parent.
    pub fn is_incremental(self) -> bool {
        matches!(
            self,
            SourceKind::IncrementalCluster | SourceKind::IncrementalFiles
        )
    }

    /// The object that every such backup has, so encoded: it is what the backup is listed by.
    pub fn archive(self, encoding: ArchiveEncoding) -> Part {
        match self.object() {
            None => Part::Archive(encoding),
            Some(object) => Part::Object(object, encoding),
        }
    }

    /// The checksum of [`SourceKind::archive`].
    pub fn checksum(self, encoding: ArchiveEncoding) -> Part {
        match self.object() {
            None => Part::Checksum(encoding),
            Some(object) => Part::ObjectChecksum(object, encoding),
        }
    }

    /// The name of that object; a dump has a grammar of its own.
    pub fn object(self) -> Option<ObjectName> {
        Some(match self {
            SourceKind::Dump => return None,
            SourceKind::FullCluster => ObjectName::FullCluster,
            SourceKind::IncrementalCluster => ObjectName::IncrementalCluster,
            SourceKind::FullFiles => ObjectName::FullFiles,
            SourceKind::IncrementalFiles => ObjectName::IncrementalFiles,
        })
    }

    /// The kind of a backup that is known by `object`, where any is.
    pub fn known_by(object: ObjectName) -> Option<SourceKind> {
        match object {
            ObjectName::FullCluster => Some(SourceKind::FullCluster),
            ObjectName::IncrementalCluster => Some(SourceKind::IncrementalCluster),
            ObjectName::FullFiles => Some(SourceKind::FullFiles),
            ObjectName::IncrementalFiles => Some(SourceKind::IncrementalFiles),
            ObjectName::Tablespace(_) | ObjectName::BackupManifest | ObjectName::Wal => None,
        }
    }
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SourceKind::Dump => "dump",
            SourceKind::FullCluster => "full cluster",
            SourceKind::IncrementalCluster => "incremental cluster",
            SourceKind::FullFiles => "full files",
            SourceKind::IncrementalFiles => "incremental files",
        })
    }
}
