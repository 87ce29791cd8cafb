//! The header of an archive.
//!
//! ```text
//! "PGDMP" | major u8 | minor u8 | revision u8 | integer size u8 = 4 | offset size u8 | format u8 = 1 (custom)
//! compression: the zlib level, an integer (before 1.15), or an algorithm, a byte (since 1.15)
//! seven integers: second, minute, hour, day, month from 0, year since 1900, summer time
//! three strings: database, server version, pg_dump version
//! ```

use super::fields::{Fields, Stop, damaged};
use crate::postgres::encoding::Encoding;
use chrono::{NaiveDate, NaiveDateTime};
use std::fmt;

/// What every archive of the custom and the directory format begins with.
pub const MAGIC: &[u8; 5] = b"PGDMP";

/// An archive format version, as `1.16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DumpVersion {
    /// 1 ever since.
    pub major: u8,
    /// Counts the changes of the format.
    pub minor: u8,
}

impl DumpVersion {
    /// The oldest version that is read: PostgreSQL 8.0 to 8.3.
    pub const OLDEST: DumpVersion = DumpVersion::new(1, 10);
    /// The newest version that is read: PostgreSQL 17 and 18.
    pub const NEWEST: DumpVersion = DumpVersion::new(1, 16);

    /// The version `major`.`minor`.
    pub const fn new(major: u8, minor: u8) -> DumpVersion {
        DumpVersion { major, minor }
    }

    /// The version in the first bytes of an archive.
    pub fn of_head(head: &[u8]) -> Option<DumpVersion> {
        match head.strip_prefix(MAGIC)? {
            [major, minor, ..] => Some(DumpVersion::new(*major, *minor)),
            _ => None,
        }
    }

    /// True if this reader knows the layout.
    pub fn is_known(self) -> bool {
        (DumpVersion::OLDEST..=DumpVersion::NEWEST).contains(&self)
    }

    /// Why this reader does not know the layout, behind "it is", and what to read the archive with instead.
    pub fn strangeness(self) -> (&'static str, &'static str) {
        match self < DumpVersion::OLDEST {
            true => (
                "older than all that this backupkit knows",
                "look into it with pg_restore --list, or check only its stored bytes: --level checksum",
            ),
            false => (
                "newer than this backupkit knows",
                "use a newer backupkit, or check only its stored bytes: --level checksum",
            ),
        }
    }

    /// The oldest major version of pg_restore that reads such an archive (every newer one does too); none if
    /// the version is unknown. What no supported PostgreSQL lacks counts as 10.
    pub fn oldest_pg_restore(self) -> Option<u32> {
        match (self.major, self.minor) {
            (1, 10..=13) => Some(10),
            (1, 14) => Some(12),
            (1, 15) => Some(16),
            (1, 16) => Some(17),
            _ => None,
        }
    }
}

impl fmt::Display for DumpVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// How pg_dump compressed the data inside an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DumpCompression {
    /// Not at all.
    None,
    /// A zlib stream for each table and large object; pg_dump calls it gzip.
    Gzip,
    /// LZ4 frames. They pass undecoded.
    Lz4,
    /// Zstandard frames. They pass undecoded.
    Zstd,
}

impl DumpCompression {
    /// True of what we look into.
    pub fn is_decoded(self) -> bool {
        matches!(self, DumpCompression::None | DumpCompression::Gzip)
    }
}

impl fmt::Display for DumpCompression {
    /// The name that `pg_dump --compress` knows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DumpCompression::None => "none",
            DumpCompression::Gzip => "gzip",
            DumpCompression::Lz4 => "lz4",
            DumpCompression::Zstd => "zstd",
        })
    }
}

#[derive(Debug, Clone)]
pub(super) struct DumpHeader {
    pub version: DumpVersion,
    pub offset_size: usize,
    pub compression: DumpCompression,
    pub created: Option<NaiveDateTime>,
    pub database: String,
    pub server_version: String,
    pub pg_dump_version: String,
}

/// What the first bytes say about what follows.
pub(super) enum Opening {
    /// A table of contents that we can read.
    Known(DumpHeader),
    /// Something of this version, which we do not know.
    Unknown(DumpVersion),
}

/// Reads the header. It is so short that all of it is collected and parsed again when more has come.
#[derive(Default)]
pub(super) struct HeaderReader {
    collected: Vec<u8>,
}

/// Well above any header: three strings, none over a few hundred bytes.
const LONGEST: usize = 8192;

impl HeaderReader {
    /// True if nothing has come yet.
    pub fn is_empty(&self) -> bool {
        self.collected.is_empty()
    }

    /// Takes the header off the front of `input`.
    pub fn feed(&mut self, input: &mut &[u8]) -> Result<Opening, Stop> {
        let before = self.collected.len();
        let piece = &input[..input.len().min(LONGEST - before)];
        self.collected.extend_from_slice(piece);
        let mut rest = &self.collected[..];
        let opening = match parse(&mut rest) {
            Err(Stop::More) if self.collected.len() == LONGEST => {
                return Err(damaged(format!(
                    "its header is longer than {LONGEST} bytes"
                )));
            }
            result => result,
        };
        // an incomplete parse has used up everything, a complete one at least what came before
        let used = (self.collected.len() - rest.len()).saturating_sub(before);
        *input = &input[used..];
        opening
    }
}

fn parse(input: &mut &[u8]) -> Result<Opening, Stop> {
    let seen = input.len().min(MAGIC.len());
    if input[..seen] != MAGIC[..seen] {
        return Err(damaged("it does not begin with PGDMP"));
    }
    *input = &input[seen..];
    let mut fields = Fields::default();
    let version = DumpVersion::new(fields.byte(input)?, fields.byte(input)?);
    if !version.is_known() {
        return Ok(Opening::Unknown(version));
    }
    let _revision = fields.byte(input)?;
    let integer_size = fields.byte(input)?;
    let offset_size = fields.byte(input)?;
    if integer_size != 4 || !matches!(offset_size, 4 | 8) {
        return Err(damaged(format!(
            "its header claims integers of {integer_size} and offsets of {offset_size} bytes"
        )));
    }
    match fields.byte(input)? {
        1 => {}
        3 => return Err(damaged("it is a tar archive's table of contents")),
        5 => return Err(damaged("it is a directory archive's table of contents")),
        other => return Err(damaged(format!("its header names the format {other}"))),
    }
    let compression = match version >= DumpVersion::new(1, 15) {
        true => algorithm(fields.byte(input)?)?,
        false if fields.integer(input)? == 0 => DumpCompression::None,
        false => DumpCompression::Gzip,
    };
    let mut time = [0; 7];
    for part in &mut time {
        *part = fields.integer(input)?;
    }
    // the table of contents says which encoding its names have; these come before it
    let encoding = Encoding::default();
    Ok(Opening::Known(DumpHeader {
        version,
        offset_size: offset_size.into(),
        compression,
        created: local_time(time),
        database: fields.name(input, encoding)?,
        server_version: fields.name(input, encoding)?,
        pg_dump_version: fields.name(input, encoding)?,
    }))
}

fn algorithm(code: u8) -> Result<DumpCompression, Stop> {
    match code {
        0 => Ok(DumpCompression::None),
        1 => Ok(DumpCompression::Gzip),
        2 => Ok(DumpCompression::Lz4),
        3 => Ok(DumpCompression::Zstd),
        other => Err(damaged(format!(
            "its header names the compression algorithm {other}"
        ))),
    }
}

/// A C `struct tm`. A time that does not exist tells nothing about the data, so it is none rather than damage.
fn local_time([second, minute, hour, day, month, year, _]: [i64; 7]) -> Option<NaiveDateTime> {
    let year = i32::try_from(year.checked_add(1900)?).ok()?;
    let date = NaiveDate::from_ymd_opt(
        year,
        u32::try_from(month + 1).ok()?,
        u32::try_from(day).ok()?,
    )?;
    date.and_hms_opt(
        u32::try_from(hour).ok()?,
        u32::try_from(minute).ok()?,
        u32::try_from(second.min(59)).ok()?,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_known_version_has_a_pg_restore_and_no_other_has() {
        for minor in 0..=u8::MAX {
            let version = DumpVersion::new(1, minor);
            assert_eq!(version.is_known(), version.oldest_pg_restore().is_some());
        }
        assert_eq!(DumpVersion::new(1, 15).oldest_pg_restore(), Some(16));
        assert!(!DumpVersion::new(2, 14).is_known());
        assert!(DumpVersion::new(1, 9).strangeness().0.starts_with("older"));
        assert!(DumpVersion::new(1, 17).strangeness().0.starts_with("newer"));
    }
}
