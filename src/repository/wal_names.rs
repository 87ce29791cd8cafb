//! The grammar of keys of archived WAL and of epoch keys; that of backups is in `names`.
//!
//! ```text
//! main/wal/7412345678901234567/0000000100000012/000000010000001200000034[.gz|.zst][.enc]
//!     the same directory holds .partial and .backup of its segments, and of a second, different .partial
//!     000000010000001200000034.partial.1f0c9a3e, with the first 8 hex digits of its SHA-256
//! main/wal/7412345678901234567/history/00000002.history[.gz|.zst][.enc]
//! main/wal/system.json                 the cluster whose WAL it is
//! main/keys/<key id>.key               an epoch key, sealed under the password
//! ```
//!
//! The directory of a segment has 16 hex digits: its timeline and its log.

use crate::format::encoding::ArchiveEncoding;
use crate::format::seal::EpochKeyId;
use crate::postgres::wal_file::{SegmentName, WalFile};
use crate::storage::TEMPORARY;
use std::fmt;

/// A file of archived WAL: which cluster's, and which of its files. Prints as its key without its stages.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArchivedFile {
    /// The name of the cluster in the configuration.
    pub cluster: String,
    pub system_identifier: u64,
    pub file: WalFile,
    /// Of a second, different `.partial`: how its SHA-256 begins.
    pub other: Option<u32>,
}

impl ArchivedFile {
    /// `file` of the cluster with this identifier.
    pub fn new(cluster: &str, system_identifier: u64, file: WalFile) -> ArchivedFile {
        ArchivedFile {
            cluster: cluster.to_string(),
            system_identifier,
            file,
            other: None,
        }
    }

    /// The directory that it lies in.
    pub fn directory(&self) -> String {
        let all = system_directory(&self.cluster, self.system_identifier);
        match self.file.segment() {
            Some(segment) => format!("{all}/{:08X}{:08X}", segment.timeline, segment.log),
            None => format!("{all}/history"),
        }
    }

    /// Its key, so encoded.
    pub fn key(&self, encoding: ArchiveEncoding) -> String {
        format!("{self}{encoding}")
    }

    /// The label of the container that it is sealed in.
    pub fn label(&self) -> String {
        let (cluster, identifier) = (&self.cluster, self.system_identifier);
        format!("{cluster}/{identifier}/wal/{}", self.name())
    }

    fn name(&self) -> String {
        match self.other {
            Some(other) => format!("{}.{other:08x}", self.file),
            None => self.file.to_string(),
        }
    }
}

impl fmt::Display for ArchivedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.directory(), self.name())
    }
}

/// Where the WAL of `cluster` lies: a directory for each system identifier.
pub fn wal_directory(cluster: &str) -> String {
    format!("{cluster}/wal")
}

/// Where all WAL of a cluster lies: a directory for each log, and one for the histories of timelines.
pub fn system_directory(cluster: &str, system_identifier: u64) -> String {
    format!("{cluster}/wal/{system_identifier}")
}

/// The first segment of the log that the directory `name` of a cluster's WAL is for.
pub fn first_of_log(name: &str) -> Option<SegmentName> {
    SegmentName::parse(&format!("{name}00000000"))
}

/// The key of what says whose WAL is archived under the name `cluster`.
pub fn system_key(cluster: &str) -> String {
    format!("{cluster}/wal/system.json")
}

/// Where the epoch keys of `cluster` lie.
pub fn epoch_key_directory(cluster: &str) -> String {
    format!("{cluster}/keys")
}

/// The key of an epoch key.
pub fn epoch_key_key(cluster: &str, id: EpochKeyId) -> String {
    format!("{cluster}/keys/{id}.key")
}

/// The label of the container that an epoch key is sealed in.
pub fn epoch_key_label(cluster: &str, id: EpochKeyId) -> String {
    format!("{cluster}/keys/{id}")
}

/// The epoch key that lies under a key in the directory of those.
pub fn epoch_key_of(key: &str) -> Option<EpochKeyId> {
    let (_, file) = key.rsplit_once('/')?;
    EpochKeyId::parse(file.strip_suffix(".key")?)
}

/// What lies under a key in a directory of archived WAL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedName {
    pub file: WalFile,
    /// Of a second, different `.partial`: how its SHA-256 begins.
    pub other: Option<u32>,
    pub encoding: ArchiveEncoding,
    /// True for a write in progress.
    pub temporary: bool,
}

impl ArchivedName {
    /// Takes the last part of such a key apart; `None` for whatever is not ours.
    pub fn parse(key: &str) -> Option<ArchivedName> {
        let (_, name) = key.rsplit_once('/')?;
        let (name, temporary) = match name.strip_suffix(TEMPORARY) {
            Some(name) => (name, true),
            None => (name, false),
        };
        // the longest suffixes that leave a name
        ArchiveEncoding::all().find_map(|encoding| {
            let plain = name.strip_suffix(encoding.to_string().as_str())?;
            let (file, other) = match WalFile::parse(plain) {
                Some(file) => (file, None),
                None => other_partial(plain)?,
            };
            Some(ArchivedName {
                file,
                other,
                encoding,
                temporary,
            })
        })
    }
}

fn other_partial(name: &str) -> Option<(WalFile, Option<u32>)> {
    let (name, digits) = name.rsplit_once('.')?;
    let file = WalFile::parse(name).filter(|file| matches!(file, WalFile::Partial(_)))?;
    let other = u32::from_str_radix(digits, 16).ok()?;
    (format!("{other:08x}") == digits).then_some((file, Some(other)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_read_back_and_no_other() {
        for (name, other) in [
            ("000000010000001200000034", None),
            ("000000010000001200000034.partial", None),
            ("000000010000001200000034.partial", Some(0x1f)),
            ("000000010000001200000034.00000028.backup", None),
            ("00000002.history", None),
        ] {
            let file = WalFile::parse(name).unwrap();
            let archived = ArchivedFile {
                other,
                ..ArchivedFile::new("main", 7, file)
            };
            for encoding in ArchiveEncoding::all() {
                let key = archived.key(encoding);
                let parsed = ArchivedName {
                    file,
                    other,
                    encoding,
                    temporary: false,
                };
                assert_eq!(ArchivedName::parse(&key), Some(parsed.clone()), "{key}");
                let temporary = ArchivedName {
                    temporary: true,
                    ..parsed
                };
                assert_eq!(ArchivedName::parse(&format!("{key}.tmp")), Some(temporary));
            }
        }
        for name in [
            "x",
            "000000010000001200000034.partial.1F",
            "00000002.history.bz2",
            ".gz",
        ] {
            assert_eq!(
                ArchivedName::parse(&format!("main/wal/7/x/{name}")),
                None,
                "{name}"
            );
        }
    }

    #[test]
    fn keys_and_labels_are_as_the_format_says() {
        let segment = WalFile::parse("000000010000001200000034").unwrap();
        let archived = ArchivedFile::new("main", 7412, segment);
        assert_eq!(
            archived.to_string(),
            "main/wal/7412/0000000100000012/000000010000001200000034"
        );
        assert_eq!(archived.label(), "main/7412/wal/000000010000001200000034");
        let history = ArchivedFile::new("main", 7412, WalFile::History(2));
        assert_eq!(
            history.to_string(),
            "main/wal/7412/history/00000002.history"
        );
    }
}
