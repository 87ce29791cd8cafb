//! What an archive turned out to hold: the facts a manifest keeps.
//!
//! Digests are sums of hashes, so they say nothing about order: a restore may place the same rows on other
//! pages, and the next dump then reads them in another order.

use super::header::{DumpCompression, DumpVersion};
use crate::postgres::encoding::Encoding;
use crate::repository::manifest::TableName;
use chrono::NaiveDateTime;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What the reader says about a stream that ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DumpContents {
    /// A whole archive of a version that we know.
    Read(Box<Summary>),
    /// An archive of a version that we do not know: it passed unread, and nothing is proved about it.
    Unread {
        /// The version in its header.
        version: DumpVersion,
    },
}

/// A whole archive, summed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The archive format's version, as in `pg_restore -l`.
    pub version: DumpVersion,
    /// How pg_dump compressed the data inside the archive.
    pub compression: DumpCompression,
    /// When pg_dump started, by the local clock of the machine it ran on (the archive holds no time zone).
    pub created: Option<NaiveDateTime>,
    /// The database that was dumped.
    pub database: String,
    /// The server's version, as the server words it.
    pub server_version: String,
    /// The version of the pg_dump that wrote the archive.
    pub pg_dump_version: String,
    /// The encoding of names and rows, as in `SET client_encoding`.
    pub encoding: Option<String>,
    /// The rows of each table, in the order of the archive. Two records may bear one name only if pg_dump said so twice.
    pub tables: Vec<TableData>,
    /// Tables with data that is there and ends properly, but holds no COPY rows that could be counted: compressed
    /// by lz4 or zstd, or dumped as INSERT commands.
    pub uncounted: Vec<TableName>,
    /// The large objects; none where lz4 or zstd hides them.
    pub large_objects: Option<DumpLargeObjects>,
    /// Every table that the archive creates, with or without data of its own.
    pub table_names: Vec<TableName>,
    /// How many objects of each kind the archive creates, by pg_dump's own words: `TABLE`, `INDEX`, `FUNCTION`, …
    pub objects: BTreeMap<String, u64>,
    /// The extensions that the archive creates.
    pub extensions: Vec<String>,
    /// The roles that a restore refers to as owner, grantee or in a policy, without the server's own `pg_*`.
    pub roles: BTreeSet<String>,
}

impl Summary {
    /// The major version of the pg_dump that wrote the archive.
    pub fn pg_dump_major(&self) -> Option<u32> {
        major(&self.pg_dump_version)
    }

    /// The major version of the server that was dumped, 9 for all of 9.x.
    pub fn server_major(&self) -> Option<u32> {
        major(&self.server_version)
    }

    /// What of its data was let pass without a look at it, in words; none where all was read.
    pub fn unread(&self) -> Option<String> {
        let why = match self.compression {
            DumpCompression::Lz4 => "which pg_dump compressed by lz4",
            DumpCompression::Zstd => "which pg_dump compressed by zstd",
            DumpCompression::None | DumpCompression::Gzip => {
                "which pg_dump wrote as INSERT commands"
            }
        };
        let has = |kind: &str| self.objects.contains_key(kind);
        let hides_large_objects =
            self.large_objects.is_none() && (has("BLOB") || has("BLOB METADATA"));
        let what = match (self.uncounted.len(), hides_large_objects) {
            (0, false) => return None,
            (0, true) => "its large objects".to_string(),
            (1, _) => format!("what the table {} holds", self.uncounted[0]),
            (count, _) => format!("what {count} of its tables hold"),
        };
        Some(format!("{what}, {why},"))
    }

    /// How its names are told to a server.
    pub fn names(&self) -> Encoding {
        Encoding::named(self.encoding.as_deref().unwrap_or_default())
    }
}

/// `15.18 (Debian 15.18-0+deb12u1)` is 15, and so is `15beta1`.
pub(super) fn major(version: &str) -> Option<u32> {
    let end = version.find(|char: char| !char.is_ascii_digit());
    version[..end.unwrap_or(version.len())].parse().ok()
}

/// The rows of one table, counted and digested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableData {
    #[serde(flatten)]
    pub table: TableName,
    /// The column list as the COPY statement has it; none for a table without columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<String>,
    /// The partitioned table that the rows are loaded through, where that is another one than `table`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<TableName>,
    /// Lines of the COPY text before its end marker.
    pub rows: u64,
    /// Their length, newlines included.
    pub bytes: u64,
    /// The sum of XXH3-128 (seed 0) of each line without its newline.
    pub digest: Digest,
}

/// All large objects of an archive together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DumpLargeObjects {
    /// How many there are.
    pub count: u64,
    /// The length of their contents.
    pub bytes: u64,
    /// The sum of XXH3-128 (seed 0) of each object's OID, as four big-endian bytes, followed by its contents.
    pub digest: Digest,
}

/// A sum of XXH3-128 hashes modulo 2^128: the same for the same set of things in any order. Written as 32 hex digits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Digest(pub u128);

impl Digest {
    /// Adds the hash of one more thing.
    pub fn add(&mut self, hash: u128) {
        self.0 = self.0.wrapping_add(hash);
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        let text = String::deserialize(deserializer)?;
        let plain = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match u128::from_str_radix(&text, 16) {
            Ok(sum) if plain => Ok(Digest(sum)),
            _ => Err(serde::de::Error::custom(
                "a digest is 32 hexadecimal digits",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_data_is_flat_in_a_manifest_and_reads_back() {
        let data = TableData {
            table: TableName {
                schema: "public".into(),
                name: "t".into(),
            },
            columns: None,
            root: None,
            rows: 2,
            bytes: 9,
            digest: Digest(0xff),
        };
        let json = serde_json::to_string(&data).unwrap();
        assert_eq!(
            json,
            r#"{"schema":"public","name":"t","rows":2,"bytes":9,"digest":"000000000000000000000000000000ff"}"#
        );
        assert_eq!(serde_json::from_str::<TableData>(&json).unwrap(), data);
        for wrong in ["\"ff\"", "\"+00000000000000000000000000000ff\"", "7"] {
            assert!(serde_json::from_str::<Digest>(wrong).is_err(), "{wrong}");
        }
    }
}
