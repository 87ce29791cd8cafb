//! The grammar of keys on storage.
//!
//! ```text
//! app_db/20261120_020000.123456789Z.dump[.gz|.zst][.enc]          the archive
//! app_db/20261120_020000.123456789Z.dump[.gz|.zst][.enc].sha256   its checksum, as sha256sum prints it
//! app_db/20261120_020000.123456789Z.json                     the manifest
//! app_db/20261120_020000.123456789Z.globals.sql[.gz|.zst][.enc]   roles and tablespaces, may have a .sha256 too
//! app_db/20261120_020000.123456789Z.run                      a run that is writing it, or died; gone once the manifest is there
//! app_db/20261120_020000.123456789Z.20261121_060000.000000000Z.verified.json   what the check found that began then
//! app_db/20261120_020000.123456789Z.verified.json            the same of several checks, as earlier versions wrote it
//! app_db/20261120_020000.123456789Z.pin                      the backup stays whatever retention says
//! app_db/20261120_020000.123456789Z.accepted                 from here on, another source is meant
//! app_db/20261120_020000.123456789Z.clock-accepted           up to here, the clock was right
//! app_db/20261120_020000.123456789Z.probe                    a test that the storage can be written to
//! main/20261125_010000.000000000Z.full.tar[.gz|.zst][.enc]   the objects of other sources than a database, each with a .sha256:
//! main/20261125_010000.000000000Z.incr.tar                    a cluster, and what changed in it
//! main/20261125_010000.000000000Z.tblspc-24583.tar            a further tablespace of it
//! main/20261125_010000.000000000Z.backup_manifest             PostgreSQL's own list of its files
//! main/20261125_010000.000000000Z.wal.tar                     the WAL that it needs
//! uploads/20261125_010000.000000000Z.full.files.tar           a tree of files, and .incr.files.tar what changed in it
//! app_db/last-failure.json                                   the last run that failed
//! app_db/20261120_020000.123456789Z.reading-db1-1f0c9a3e     someone reads it; see mark_names, where the numbered marks of hosts are
//! ```
//!
//! The directory is the database's name, the timestamp the start of the run in UTC. A write in progress
//! is `<final name>.tmp`. A key that does not parse is not ours: every command leaves it alone.

use super::mark_names::{HostMark, is_reading};
use crate::format::encoding::ArchiveEncoding;
use crate::storage::TEMPORARY;
use chrono::{DateTime, NaiveDateTime, Utc};
use std::fmt;

/// What an archive ends in, before its stages.
const ARCHIVE: &str = ".dump";
/// What the globals end in, before their stages.
const GLOBALS: &str = ".globals.sql";
/// What the name of a tablespace begins with, before its OID.
const TABLESPACE: &str = ".tblspc-";
/// What the name of a record of checks ends in.
const CHECKS: &str = ".verified.json";
/// The suffix of a checksum.
const CHECKSUM: &str = ".sha256";
/// The one object in a directory that belongs to no moment.
const LAST_FAILURE: &str = "last-failure.json";
const TIMESTAMP: &str = "%Y%m%d_%H%M%S%.9fZ";
const TIMESTAMP_LENGTH: usize = "20261120_020000.123456789Z".len();

/// The start of a run, to the nanosecond; orders backups and names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(DateTime<Utc>);

impl Timestamp {
    /// The name for this moment.
    pub fn new(moment: DateTime<Utc>) -> Timestamp {
        Timestamp(moment)
    }

    /// Reads `YYYYMMDD_HHMMSS.NNNNNNNNNZ` and nothing else.
    pub fn parse(text: &str) -> Option<Timestamp> {
        if text.len() != TIMESTAMP_LENGTH {
            return None;
        }
        let moment = NaiveDateTime::parse_from_str(text, TIMESTAMP).ok()?;
        let timestamp = Timestamp(moment.and_utc());
        // only the one spelling that we write, and no leap second, which UTC clocks here never show
        let leap = timestamp.0.timestamp_subsec_nanos() >= 1_000_000_000;
        (!leap && timestamp.to_string() == text).then_some(timestamp)
    }

    /// The moment it stands for.
    pub fn moment(&self) -> DateTime<Utc> {
        self.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format(TIMESTAMP))
    }
}

/// What the suffixes of any file name promise; `None` where it does not end like an archive.
pub fn encoding_of_file_name(name: &str) -> Option<ArchiveEncoding> {
    ArchiveEncoding::all().find(|encoding| name.ends_with(&Part::Archive(*encoding).to_string()))
}

/// One backup: a database and the start of its run. Prints as `app_db/20261120_020000.123456789Z`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackupId {
    /// The database's `name` in the configuration, and the directory.
    pub database: String,
    /// The start of the run.
    pub timestamp: Timestamp,
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.database, self.timestamp)
    }
}

impl BackupId {
    /// Reads `DB/TIMESTAMP`.
    pub fn parse(text: &str) -> Option<BackupId> {
        let (database, timestamp) = text.rsplit_once('/')?;
        if database.is_empty() || database.contains('/') {
            return None;
        }
        Some(BackupId {
            database: database.to_string(),
            timestamp: Timestamp::parse(timestamp)?,
        })
    }

    /// The key of one of its parts.
    pub fn key(&self, part: Part) -> String {
        format!("{self}{part}")
    }

    pub fn archive_key(&self, encoding: ArchiveEncoding) -> String {
        self.key(Part::Archive(encoding))
    }

    /// The key of its archive's checksum.
    pub fn checksum_key(&self, encoding: ArchiveEncoding) -> String {
        self.key(Part::Checksum(encoding))
    }

    pub fn manifest_key(&self) -> String {
        self.key(Part::Manifest)
    }
}

/// What a key holds. Prints as the suffix that follows the timestamp. All but the archive are its sidecars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    Archive(ArchiveEncoding),
    /// The checksum of the archive so encoded.
    Checksum(ArchiveEncoding),
    Manifest,
    /// What pg_dumpall wrote about roles and tablespaces.
    Globals(ArchiveEncoding),
    /// The checksum of the globals so encoded.
    GlobalsChecksum(ArchiveEncoding),
    /// An object of another source than a database.
    Object(ObjectName, ArchiveEncoding),
    ObjectChecksum(ObjectName, ArchiveEncoding),
    /// A run is writing the backup; without a manifest beside it, it is unfinished.
    Run,
    /// The result of the check that began then.
    Check(Timestamp),
    /// The results of checks, all in one: how earlier versions wrote them.
    OldChecks,
    /// Protects the backup from retention.
    Pin,
    /// An operator said that what would keep retention from deleting is meant. It outlives the backup of the moment that it
    /// names.
    Accepted(Acceptance),
    /// Shows that the storage can be written to; belongs to no backup.
    Probe,
}

/// What was said to be meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Acceptance {
    /// The change of the source of backups: those from this moment on are judged without those before it.
    Source,
    /// The clock, as it was until this moment.
    Clock,
}

/// What an object of another source than a database holds. Prints as what follows the timestamp, without its stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectName {
    /// All files of a cluster but its further tablespaces.
    FullCluster,
    /// What changed in them since the parent.
    IncrementalCluster,
    /// The tablespace of this OID.
    Tablespace(u32),
    /// PostgreSQL's own list of the files, which the next incremental backup starts from.
    BackupManifest,
    /// The WAL from the start of the backup to its end.
    Wal,
    /// A tree of files.
    FullFiles,
    /// What changed in it since the parent.
    IncrementalFiles,
}

impl ObjectName {
    const FIXED: [(&'static str, ObjectName); 6] = [
        (".full.tar", ObjectName::FullCluster),
        (".incr.tar", ObjectName::IncrementalCluster),
        (".backup_manifest", ObjectName::BackupManifest),
        (".wal.tar", ObjectName::Wal),
        (".full.files.tar", ObjectName::FullFiles),
        (".incr.files.tar", ObjectName::IncrementalFiles),
    ];

    /// The name that `suffix` begins with, and its stages.
    fn parse(suffix: &str) -> Option<(ObjectName, &str)> {
        let mut fixed = ObjectName::FIXED.into_iter();
        if let Some(found) = fixed.find_map(|(text, name)| Some((name, suffix.strip_prefix(text)?)))
        {
            return Some(found);
        }
        let (oid, stages) = suffix.strip_prefix(TABLESPACE)?.split_once(".tar")?;
        let name = ObjectName::Tablespace(oid.parse().ok()?);
        // only the one spelling that we write
        (name.to_string() == format!("{TABLESPACE}{oid}.tar")).then_some((name, stages))
    }
}

impl ObjectName {
    /// The label of the container that such an object of the backup `id` is sealed in.
    pub fn label(self, id: &BackupId) -> String {
        match self {
            ObjectName::FullCluster => format!("{id}#full.tar"),
            ObjectName::IncrementalCluster => format!("{id}#incr.tar"),
            ObjectName::Tablespace(oid) => format!("{id}#tblspc-{oid}"),
            ObjectName::BackupManifest => format!("{id}#backup_manifest"),
            ObjectName::Wal => format!("{id}#wal"),
            ObjectName::FullFiles | ObjectName::IncrementalFiles => format!("{id}#files.tar"),
        }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let ObjectName::Tablespace(oid) = self {
            return write!(f, "{TABLESPACE}{oid}.tar");
        }
        let mut fixed = ObjectName::FIXED.iter();
        f.write_str(
            fixed
                .find(|(_, name)| name == self)
                .map_or("", |(text, _)| text),
        )
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Archive(encoding) => write!(f, "{ARCHIVE}{encoding}"),
            Part::Checksum(encoding) => write!(f, "{ARCHIVE}{encoding}{CHECKSUM}"),
            Part::Manifest => f.write_str(".json"),
            Part::Globals(encoding) => write!(f, "{GLOBALS}{encoding}"),
            Part::GlobalsChecksum(encoding) => write!(f, "{GLOBALS}{encoding}{CHECKSUM}"),
            Part::Object(object, encoding) => write!(f, "{object}{encoding}"),
            Part::ObjectChecksum(object, encoding) => write!(f, "{object}{encoding}{CHECKSUM}"),
            Part::Run => f.write_str(".run"),
            Part::Check(began) => write!(f, ".{began}{CHECKS}"),
            Part::OldChecks => f.write_str(CHECKS),
            Part::Pin => f.write_str(".pin"),
            Part::Accepted(Acceptance::Source) => f.write_str(".accepted"),
            Part::Accepted(Acceptance::Clock) => f.write_str(".clock-accepted"),
            Part::Probe => f.write_str(".probe"),
        }
    }
}

impl Part {
    fn parse(suffix: &str) -> Option<Part> {
        let (file, checksum) = match suffix.strip_suffix(CHECKSUM) {
            Some(file) => (file, true),
            None => (suffix, false),
        };
        let staged = |kind: &str| file.strip_prefix(kind).and_then(ArchiveEncoding::parse);
        if let Some(encoding) = staged(ARCHIVE) {
            return Some(match checksum {
                true => Part::Checksum(encoding),
                false => Part::Archive(encoding),
            });
        }
        if let Some(encoding) = staged(GLOBALS) {
            return Some(match checksum {
                true => Part::GlobalsChecksum(encoding),
                false => Part::Globals(encoding),
            });
        }
        if let Some((object, stages)) = ObjectName::parse(file)
            && let Some(encoding) = ArchiveEncoding::parse(stages)
        {
            return Some(match checksum {
                true => Part::ObjectChecksum(object, encoding),
                false => Part::Object(object, encoding),
            });
        }
        match suffix {
            ".json" => Some(Part::Manifest),
            ".run" => Some(Part::Run),
            CHECKS => Some(Part::OldChecks),
            ".pin" => Some(Part::Pin),
            ".accepted" => Some(Part::Accepted(Acceptance::Source)),
            ".clock-accepted" => Some(Part::Accepted(Acceptance::Clock)),
            ".probe" => Some(Part::Probe),
            _ => {
                let began = suffix.strip_prefix('.')?.strip_suffix(CHECKS)?;
                Some(Part::Check(Timestamp::parse(began)?))
            }
        }
    }
}

/// The key of what is written down about the last run of `database` that failed.
pub fn last_failure_key(database: &str) -> String {
    format!("{database}/{LAST_FAILURE}")
}

/// True for every key that this program writes, finished or not.
pub fn is_ours(key: &str) -> bool {
    let finished = key.strip_suffix(TEMPORARY).unwrap_or(key);
    let last_failure = finished
        .split_once('/')
        .is_some_and(|(database, file)| !database.is_empty() && file == LAST_FAILURE);
    last_failure
        || Name::parse(key).is_some()
        || HostMark::parse(finished).is_some()
        || reading(finished).is_some()
}

/// The backup that the reader with this mark reads.
pub fn reading(key: &str) -> Option<BackupId> {
    let id = beside(key)?;
    is_reading(&key[id.to_string().len()..]).then_some(id)
}

/// The backup with the timestamp that the file under `key` begins with, whether the rest of its name is known or not: what lies
/// beside it may belong to something that only a newer version knows.
pub fn beside(key: &str) -> Option<BackupId> {
    let file = key.rfind('/')? + 1;
    let (id, _) = key.split_at_checked(file + TIMESTAMP_LENGTH)?;
    BackupId::parse(id)
}

/// A key of ours, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The backup that it is a part of.
    pub id: BackupId,
    /// Which part.
    pub part: Part,
    /// True for a write in progress.
    pub temporary: bool,
}

impl Name {
    /// Takes `app_db/…` apart; `None` for whatever is not ours.
    pub fn parse(key: &str) -> Option<Name> {
        let (rest, temporary) = match key.strip_suffix(TEMPORARY) {
            Some(rest) => (rest, true),
            None => (key, false),
        };
        let file = rest.rfind('/')? + 1;
        let (id, suffix) = rest.split_at_checked(file + TIMESTAMP_LENGTH)?;
        Some(Name {
            id: BackupId::parse(id)?,
            part: Part::parse(suffix)?,
            temporary,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: &str = "20261120_020000.123456789Z";

    #[test]
    fn every_name_we_write_is_read_back() {
        let id = BackupId::parse(&format!("app_db/{STAMP}")).unwrap();
        let mut parts = vec![
            Part::Manifest,
            Part::Run,
            Part::OldChecks,
            Part::Check(id.timestamp),
            Part::Pin,
            Part::Accepted(Acceptance::Source),
            Part::Accepted(Acceptance::Clock),
            Part::Probe,
        ];
        for encoding in ArchiveEncoding::all() {
            parts.extend([Part::Archive(encoding), Part::Checksum(encoding)]);
            parts.extend([Part::Globals(encoding), Part::GlobalsChecksum(encoding)]);
            let fixed = ObjectName::FIXED.into_iter().map(|(_, name)| name);
            for object in fixed.chain([ObjectName::Tablespace(24583)]) {
                parts.extend([
                    Part::Object(object, encoding),
                    Part::ObjectChecksum(object, encoding),
                ]);
            }
        }
        let mut keys = std::collections::HashSet::new();
        for part in parts {
            let key = id.key(part);
            let name = Name::parse(&key).unwrap();
            assert_eq!((name.part, &name.id), (part, &id));
            assert!(is_ours(&key) && is_ours(&format!("{key}.tmp")));
            assert!(keys.insert(key));
        }
        assert_eq!(keys.len(), 8 + 6 * 18);
        for mark in [
            "app_db/lease.7.json".to_string(),
            format!("{id}.reading-db1-1f0c9a3e"),
        ] {
            assert!(is_ours(&mark) && is_ours(&format!("{mark}.tmp")));
            assert_eq!(Name::parse(&mark), None);
        }
        let failure = last_failure_key("app_db");
        assert!(is_ours(&failure) && is_ours(&format!("{failure}.tmp")));
        let unfinished = Name::parse(&format!("{}.tmp", id.manifest_key())).unwrap();
        assert!(unfinished.temporary);
        assert_eq!(unfinished.part, Part::Manifest);
    }

    #[test]
    fn what_does_not_parse_is_not_ours() {
        for key in [
            "",
            "/",
            "app_db",
            "app_db/",
            "app_db/latest",
            &format!("{STAMP}.dump"),
            &format!("/{STAMP}.dump"),
            &format!("a/b/{STAMP}.dump"),
            &format!("app_db/{STAMP}"),
            &format!("app_db/{STAMP}.dump.enc.gz"),
            &format!("app_db/{STAMP}.dump.bak"),
            &format!("app_db/{STAMP}.sha256"),
            &format!("app_db/{STAMP}.json.sha256"),
            &format!("app_db/{STAMP}.pin.gz"),
            &format!("app_db/{STAMP}.globals.sql.xz"),
            &format!("app_db/{STAMP}.globals"),
            &format!("app_db/{STAMP}.verified"),
            &format!("app_db/{STAMP}.{STAMP}"),
            &format!("app_db/{STAMP}.20261120.verified.json"),
            &format!("app_db/{STAMP}.run.json"),
            &format!("app_db/{STAMP}.full"),
            &format!("app_db/{STAMP}.tblspc-007.tar"),
            &format!("app_db/{STAMP}.tblspc-.tar"),
            &format!("app_db/{STAMP}.tblspc-4294967296.tar"),
            "last-failure.json",
            "/last-failure.json",
            "a/b/last-failure.json",
            "app_db/xlast-failure.json",
            &format!("app_db/x{STAMP}.dump"),
            "app_db/20261320_020000.123456789Z.dump",
            "app_db/20261120_020000.123Z.dump",
            "app_db/20261120_0200é0.12345678Z.dump",
            "app_db/20261120_020060.123456789Z.dump",
        ] {
            assert_eq!(Name::parse(key), None, "{key}");
            assert!(!is_ours(key), "{key}");
        }
    }
}
