//! The grammar of keys on storage.
//!
//! ```text
//! app_db/20261120_020000.123456789Z.dump[.gz][.enc]          the archive
//! app_db/20261120_020000.123456789Z.dump[.gz][.enc].sha256   its checksum, as sha256sum prints it
//! app_db/20261120_020000.123456789Z.json                     the manifest
//! ```
//!
//! The directory is the database's name, the timestamp the start of the run in UTC. A write in progress
//! is `<final name>.tmp`. A key that does not parse is not ours: every command leaves it alone.

use chrono::{DateTime, NaiveDateTime, Utc};
use std::fmt;

/// The suffix of a write in progress.
pub const TEMPORARY: &str = ".tmp";
/// The suffix of an archive's checksum.
const CHECKSUM: &str = ".sha256";
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

/// Which stages an archive went through, as its suffixes say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Shape {
    /// `.gz`
    pub gzip: bool,
    /// `.enc`
    pub sealed: bool,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".dump")?;
        if self.gzip {
            f.write_str(".gz")?;
        }
        if self.sealed {
            f.write_str(".enc")?;
        }
        Ok(())
    }
}

impl Shape {
    const ALL: [Shape; 4] = [
        Shape::new(false, false),
        Shape::new(true, false),
        Shape::new(false, true),
        Shape::new(true, true),
    ];

    /// An archive with these stages.
    pub const fn new(gzip: bool, sealed: bool) -> Shape {
        Shape { gzip, sealed }
    }

    /// What the suffixes of any file name promise; `None` where it does not end like an archive.
    pub fn of_file_name(name: &str) -> Option<Shape> {
        Shape::ALL
            .into_iter()
            .find(|shape| name.ends_with(&shape.to_string()))
    }
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

    /// The key of its archive.
    pub fn archive_key(&self, shape: Shape) -> String {
        format!("{self}{shape}")
    }

    /// The key of its archive's checksum.
    pub fn checksum_key(&self, shape: Shape) -> String {
        format!("{self}{shape}{CHECKSUM}")
    }

    /// The key of its manifest.
    pub fn manifest_key(&self) -> String {
        format!("{self}.json")
    }
}

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// The archive itself.
    Archive(Shape),
    /// The checksum of the archive of that shape.
    Checksum(Shape),
    /// The manifest.
    Manifest,
}

/// A key of ours, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// Whose part it is.
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

impl Part {
    fn parse(suffix: &str) -> Option<Part> {
        if suffix == ".json" {
            return Some(Part::Manifest);
        }
        let shape = |text: &str| {
            Shape::ALL
                .into_iter()
                .find(|shape| shape.to_string() == text)
        };
        match suffix.strip_suffix(CHECKSUM) {
            Some(archive) => shape(archive).map(Part::Checksum),
            None => shape(suffix).map(Part::Archive),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: &str = "20261120_020000.123456789Z";

    #[test]
    fn every_name_we_write_is_read_back() {
        let id = BackupId::parse(&format!("app_db/{STAMP}")).unwrap();
        for shape in Shape::ALL {
            let archive = Name::parse(&id.archive_key(shape)).unwrap();
            assert_eq!(archive.part, Part::Archive(shape));
            assert_eq!(archive.id, id);
            let checksum = Name::parse(&id.checksum_key(shape)).unwrap();
            assert_eq!(checksum.part, Part::Checksum(shape));
        }
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
            &format!("app_db/x{STAMP}.dump"),
            "app_db/20261320_020000.123456789Z.dump",
            "app_db/20261120_020000.123Z.dump",
            "app_db/20261120_0200é0.12345678Z.dump",
            "app_db/20261120_020060.123456789Z.dump",
        ] {
            assert_eq!(Name::parse(key), None, "{key}");
        }
    }
}
