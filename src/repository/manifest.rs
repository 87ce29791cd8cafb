//! What is written down about a backup, beside it, last.
//!
//! JSON, additive: readers ignore fields they do not know. A manifest is a claim and not a proof: keys
//! derive from its own name, and nothing is deleted or left unchecked on its word.

use super::source_kind::SourceKind;
use crate::error::{Error, Result};
use crate::text::escape::printable;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The schema this version writes and reads.
pub const SCHEMA: u32 = 1;
/// No more of a manifest is read than this many bytes.
pub const LARGEST: u64 = 64 * 1024 * 1024;

/// The manifest of one backup: what every source has, and the part of its source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ManifestFields")]
pub struct Manifest {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Who wrote it: `backupkit` and its version.
    pub tool: String,
    /// The `name` in the configuration.
    pub database: String,
    /// Start of the run, the same moment as in the name.
    pub started_at: DateTime<Utc>,
    /// When every object was complete on storage.
    pub finished_at: DateTime<Utc>,
    /// Where the rows came from; absent where an earlier version wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// What its source says.
    #[serde(flatten)]
    pub part: SourcePart,
}

/// The part of a manifest that its source defines.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum SourcePart {
    /// A database as pg_dump wrote it, which has one object.
    Dump(Box<DumpPart>),
    /// Any other source: what can be told of it without knowing it.
    Objects(Box<ObjectsPart>),
}

/// What the manifest of a dump says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DumpPart {
    /// The stored bytes.
    pub archive: Archive,
    /// The plain bytes.
    pub dump: Dump,
    /// What happened in between.
    pub pipeline: Pipeline,
    /// What each table holds; absent where it is sealed or unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tables: Option<Vec<Table>>,
    /// What else the dump holds; absent where it is sealed, unknown, or an earlier version wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contents: Option<Contents>,
    /// A [`SealedTables`] as a base64 container, where the archive is encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tables_sealed: Option<String>,
}

/// What the manifest of a backup of another source than a dump says in the clear.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ObjectsPart {
    /// What it is.
    pub kind: SourceKind,
    /// All of its objects, in the order in which they are restored.
    pub objects: Vec<StoredObject>,
    /// The backup that it needs to be restored, by its timestamp.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Where in the history of its cluster it lies.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterFacts>,
    /// What its source adds, where sealing is not configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<serde_json::Value>,
    /// [`SealedDetails`] as a base64 container, where sealing is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details_sealed: Option<String>,
}

/// Where in the history of its cluster a base backup lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterFacts {
    /// The cluster's, as text; see [`Source::system_identifier`].
    pub system_identifier: String,
    /// The server's version, such as `17.11`.
    pub server_version: String,
    /// The timeline that it is of.
    pub timeline: u32,
    /// Where the WAL that it needs begins, such as `0/2000028`.
    pub start_lsn: String,
    /// Where that ends: from there on it is consistent.
    pub stop_lsn: String,
    /// When the server began it.
    pub start_time: DateTime<Utc>,
    /// When the server ended it.
    pub stop_time: DateTime<Utc>,
    /// The size of a WAL segment, in bytes.
    pub wal_segment_size: u64,
    /// Whether the cluster has checksums of its pages.
    pub checksums: bool,
    /// How many pages were damaged on the server already.
    #[serde(default)]
    pub damaged_pages: u64,
    /// The size of all files, also of those of which an incremental backup holds only what changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// What `details_sealed` seals: the plain part once more, a difference from which is damage, and what only those who can
/// open the backup may read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SealedDetails {
    /// What it is.
    pub kind: SourceKind,
    /// All of its objects.
    pub objects: Vec<StoredObject>,
    /// The backup that it needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Where in the history of its cluster it lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterFacts>,
    /// What its source adds.
    pub details: serde_json::Value,
}

/// One object of a backup as it lies on storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredObject {
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of it, 64 hex digits.
    pub sha256: String,
    /// Its size before compression and encryption.
    pub plain_bytes: u64,
}

/// Every field that a manifest may have, whatever its source.
#[derive(Deserialize)]
struct ManifestFields {
    schema: u32,
    tool: String,
    database: String,
    started_at: DateTime<Utc>,
    finished_at: DateTime<Utc>,
    source: Option<Source>,
    kind: Option<SourceKind>,
    archive: Option<Archive>,
    dump: Option<Dump>,
    pipeline: Option<Pipeline>,
    tables: Option<Vec<Table>>,
    contents: Option<Contents>,
    tables_sealed: Option<String>,
    objects: Option<Vec<StoredObject>>,
    parent: Option<String>,
    #[serde(flatten)]
    cluster: Option<ClusterFacts>,
    details: Option<serde_json::Value>,
    details_sealed: Option<String>,
}

impl TryFrom<ManifestFields> for Manifest {
    type Error = String;

    fn try_from(fields: ManifestFields) -> Result<Manifest, String> {
        let missing = |field: &str| format!("missing field `{field}`");
        let part = match fields.kind {
            None | Some(SourceKind::Dump) => SourcePart::Dump(Box::new(DumpPart {
                archive: fields.archive.ok_or_else(|| missing("archive"))?,
                dump: fields.dump.ok_or_else(|| missing("dump"))?,
                pipeline: fields.pipeline.ok_or_else(|| missing("pipeline"))?,
                tables: fields.tables,
                contents: fields.contents,
                tables_sealed: fields.tables_sealed,
            })),
            Some(kind) => SourcePart::Objects(Box::new(ObjectsPart {
                kind,
                objects: fields.objects.ok_or_else(|| missing("objects"))?,
                parent: fields.parent,
                cluster: fields.cluster,
                details: fields.details,
                details_sealed: fields.details_sealed,
            })),
        };
        Ok(Manifest {
            schema: fields.schema,
            tool: fields.tool,
            database: fields.database,
            started_at: fields.started_at,
            finished_at: fields.finished_at,
            source: fields.source,
            part,
        })
    }
}

impl Manifest {
    /// What it is a backup of.
    pub fn kind(&self) -> SourceKind {
        match &self.part {
            SourcePart::Dump(_) => SourceKind::Dump,
            SourcePart::Objects(part) => part.kind,
        }
    }

    /// What it says of a dump, where it is of one.
    pub fn dump(&self) -> Option<&DumpPart> {
        match &self.part {
            SourcePart::Dump(part) => Some(part),
            SourcePart::Objects(_) => None,
        }
    }

    /// All of its objects.
    pub fn objects(&self) -> Vec<StoredObject> {
        match &self.part {
            SourcePart::Dump(part) => vec![StoredObject {
                key: part.archive.key.clone(),
                bytes: part.archive.bytes,
                sha256: part.archive.sha256.clone(),
                plain_bytes: part.dump.bytes,
            }],
            SourcePart::Objects(part) => part.objects.clone(),
        }
    }

    /// The size of its objects together.
    pub fn bytes(&self) -> u64 {
        self.objects().iter().map(|object| object.bytes).sum()
    }

    /// The timestamp of the backup without which it cannot be restored.
    pub fn parent(&self) -> Option<&str> {
        match &self.part {
            SourcePart::Dump(_) => None,
            SourcePart::Objects(part) => part.parent.as_deref(),
        }
    }

    /// What it says of a base backup, where it is of one.
    pub fn cluster(&self) -> Option<&ClusterFacts> {
        match &self.part {
            SourcePart::Dump(_) => None,
            SourcePart::Objects(part) => part.cluster.as_ref(),
        }
    }

    /// How many pages were damaged on the server already.
    pub fn damaged_pages(&self) -> u64 {
        self.cluster().map_or(0, |cluster| cluster.damaged_pages)
    }

    /// The version of the server, as it says it.
    pub fn server_version(&self) -> Option<&str> {
        match &self.part {
            SourcePart::Dump(part) => part.dump.server_version.as_deref(),
            SourcePart::Objects(part) => Some(&part.cluster.as_ref()?.server_version),
        }
    }

    /// True where options left out part of the database.
    pub fn is_partial(&self) -> bool {
        self.dump().is_some_and(|part| part.dump.partial)
    }

    /// True where it holds what a restore was about to replace.
    pub fn is_before_restore(&self) -> bool {
        self.dump().is_some_and(|part| part.dump.before_restore)
    }

    /// True where a table has lost most of its rows since the backup before.
    pub fn has_lost_rows(&self) -> bool {
        self.dump().is_some_and(|part| part.dump.lost_rows)
    }
}

/// The database that was dumped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The server's system identifier, which a copy made by replication shares and no other server has; absent
    /// where it could not be read. Text, since it is larger than what JSON numbers hold exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_identifier: Option<String>,
    /// The host that was connected to, or the directory of the socket.
    pub host: String,
    pub port: String,
    /// The name of the database on that server.
    pub database: String,
}

impl Source {
    /// True where both are the same database. The system identifiers decide where both are known, so that a
    /// fail-over or a new host name is no other source; else the addresses do.
    pub fn is(&self, other: &Source) -> bool {
        let same_server = match (&self.system_identifier, &other.system_identifier) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => (&self.host, &self.port) == (&other.host, &other.port),
        };
        same_server && self.database == other.database
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}:{}", self.database, self.host, self.port)?;
        match &self.system_identifier {
            Some(identifier) => write!(f, " (system identifier {identifier})"),
            None => Ok(()),
        }
    }
}

/// The archive as it lies on storage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Archive {
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of it, 64 hex digits.
    pub sha256: String,
}

/// The plain stream of pg_dump.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dump {
    /// Its size.
    pub bytes: u64,
    /// `custom`.
    pub format: String,
    /// The server's version, as the dump says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_version: Option<String>,
    /// pg_dump's version, as the dump says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pg_dump_version: Option<String>,
    /// True where the text of rows depends on no setting of the server: `bytea_output` was `hex`, `lc_monetary` was `C`.
    /// Amounts of `money` are to be read with the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fixed_output: bool,
    /// True where options left out part of the database; such a backup never counts as the newest full one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// True where a table has lost more than half of its rows since the backup before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lost_rows: bool,
    /// True where it holds what a restore was about to replace; such a backup is never chosen as the latest.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub before_restore: bool,
}

/// The stages between dump and storage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pipeline {
    /// `gzip` or `none`.
    pub compression: String,
    /// `BKENC002` or `none`.
    pub encryption: String,
}

/// One table's rows as pg_dump wrote them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Schema name.
    pub schema: String,
    /// Table name.
    pub name: String,
    /// Lines of COPY text before the end marker.
    pub rows: u64,
    /// Their length with newlines.
    pub bytes: u64,
    /// Sum modulo 2^128 of XXH3-128 (seed 0) of each line without its newline, 32 hex digits.
    pub digest: String,
    /// The columns in the order of the rows, as the COPY statement has them: `id, "odd name"`. Absent for a table
    /// without columns, and where an earlier version wrote the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<String>,
    /// The partitioned table that the rows are loaded through, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<TableName>,
}

impl Table {
    pub fn full_name(&self) -> TableName {
        TableName {
            schema: self.schema.clone(),
            name: self.name.clone(),
        }
    }
}

/// A table's full name, without SQL quotes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableName {
    pub schema: String,
    /// Its own name.
    pub name: String,
}

impl fmt::Display for TableName {
    /// For people: what could steer a terminal is escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", printable(&self.schema), printable(&self.name))
    }
}

/// What the dump holds beside the rows of its tables.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// The large objects; absent where lz4 or zstd hides them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub large_objects: Option<LargeObjects>,
    /// How many objects of each kind it creates, by pg_dump's own words: `TABLE`, `INDEX`, `FUNCTION`, …
    #[serde(default)]
    pub objects: BTreeMap<String, u64>,
    /// The extensions that it creates.
    #[serde(default)]
    pub extensions: Vec<String>,
    /// The roles that a restore refers to, without the server's own.
    #[serde(default)]
    pub roles: BTreeSet<String>,
    /// Tables with rows that are there but could not be counted: compressed by lz4 or zstd, or dumped as INSERT commands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uncounted: Vec<TableName>,
}

/// All large objects of a dump together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LargeObjects {
    /// How many there are.
    pub count: u64,
    /// The length of their contents.
    pub bytes: u64,
    /// Sum modulo 2^128 of XXH3-128 (seed 0) of each one's OID, as four big-endian bytes, followed by its contents.
    pub digest: String,
}

/// What `tables_sealed` seals: the details, bound to the archive that they describe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SealedTables {
    /// Also in the clear beside it; a difference is damage.
    pub archive: Archive,
    /// As `tables` of a backup that is not sealed.
    pub tables: Vec<Table>,
    /// As `contents` of a backup that is not sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contents: Option<Contents>,
}

/// What a manifest says of the inside of its dump, whether it stood there in the clear or sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    /// Each table.
    pub tables: Vec<Table>,
    /// Everything else; none where an earlier version wrote the manifest.
    pub contents: Option<Contents>,
}

impl Manifest {
    /// The bytes to store: indented, so that people can read it, with a final newline.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::failed("cannot write a manifest").because(error))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads a manifest; `key` is only for the message.
    pub fn from_json(bytes: &[u8], key: &str) -> Result<Manifest> {
        let manifest: Manifest = serde_json::from_slice(bytes).map_err(|error| {
            Error::damaged(format!("the manifest {key} cannot be read")).because(error)
        })?;
        if manifest.schema > SCHEMA {
            return Err(Error::failed(format!(
                "the manifest {key} has schema {}, this version reads {SCHEMA}",
                manifest.schema
            ))
            .hint("use a newer backupkit"));
        }
        Ok(manifest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_are_ignored_and_newer_schemas_are_not_guessed_at() {
        let text = r#"{"schema":1,"tool":"t","database":"a","started_at":"2026-11-20T02:00:00.123456789Z",
            "finished_at":"2026-11-20T02:01:00Z","archive":{"key":"a/x","bytes":1,"sha256":"00","later":1},
            "dump":{"bytes":2,"format":"custom"},"pipeline":{"compression":"gzip","encryption":"none"},"later":[]}"#;
        let manifest = Manifest::from_json(text.as_bytes(), "a/x.json").unwrap();
        assert_eq!(manifest.objects()[0].plain_bytes, 2);
        let again = Manifest::from_json(&manifest.to_json().unwrap(), "a/x.json").unwrap();
        assert_eq!(again, manifest);
        let newer = text.replace("\"schema\":1", "\"schema\":2");
        assert!(Manifest::from_json(newer.as_bytes(), "a/x.json").is_err());
    }

    #[test]
    fn a_new_address_is_no_other_source_and_another_server_behind_the_old_one_is() {
        let source = |identifier: Option<&str>, host: &str, database: &str| Source {
            system_identifier: identifier.map(String::from),
            host: host.into(),
            port: "5432".into(),
            database: database.into(),
        };
        let known = source(Some("7"), "db1", "app");
        assert!(known.is(&source(Some("7"), "db2", "app")));
        assert!(!known.is(&source(Some("8"), "db1", "app")));
        assert!(!known.is(&source(Some("7"), "db1", "staging")));
        assert!(known.is(&source(None, "db1", "app")));
        assert!(!known.is(&source(None, "db2", "app")));
    }

    #[test]
    fn another_source_than_a_dump_is_told_by_its_objects_and_its_parent() {
        let text = r#"{"schema":1,"tool":"t","database":"main","started_at":"2026-11-25T01:00:00Z",
            "finished_at":"2026-11-25T01:10:00Z","kind":"incr","parent":"20261124_010000.000000000Z","timeline":7,
            "objects":[{"key":"main/a","bytes":5,"sha256":"00","plain_bytes":9},{"key":"main/b","bytes":6,"sha256":"01","plain_bytes":9}]}"#;
        let manifest = Manifest::from_json(text.as_bytes(), "x").unwrap();
        assert_eq!(manifest.kind(), SourceKind::IncrementalCluster);
        assert_eq!((manifest.bytes(), manifest.objects().len()), (11, 2));
        assert_eq!(manifest.parent(), Some("20261124_010000.000000000Z"));
        assert!(manifest.dump().is_none() && !manifest.is_partial());
        let again = Manifest::from_json(&manifest.to_json().unwrap(), "x").unwrap();
        assert_eq!(again, manifest);
        let cut = text.replace("\"objects\"", "\"object\"");
        let error = Manifest::from_json(cut.as_bytes(), "x").unwrap_err();
        assert!(error.chain().contains("objects"), "{}", error.chain());
    }
}
