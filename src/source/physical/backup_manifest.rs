//! PostgreSQL's own list of the files of a base backup, read in pieces: a line for each file, as the server writes it.
//!
//! All but the last line is hashed, and the last one holds that hash. Nothing is kept of a file but what the caller keeps.

use crate::error::{Error, Result};
use crate::postgres::replication::Lsn;
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// A line is no longer: paths have less than 1 KiB, twice that in hex.
const LONGEST: usize = 16 * 1024;
/// What the last line begins with.
const LAST: &str = "\"Manifest-Checksum\": \"";

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestFile {
    /// Relative to the data directory; those of a tablespace begin with `pg_tblspc/OID/`.
    pub path: String,
    pub size: u64,
    /// As PostgreSQL writes it; absent where the backup was made without.
    pub crc32c: Option<u32>,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "Path")]
    path: Option<String>,
    #[serde(rename = "Encoded-Path")]
    encoded_path: Option<String>,
    #[serde(rename = "Size")]
    size: u64,
    #[serde(rename = "Checksum-Algorithm")]
    algorithm: Option<String>,
    #[serde(rename = "Checksum")]
    checksum: Option<String>,
}

/// The WAL that a backup needs, on one timeline.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct WalRange {
    #[serde(rename = "Timeline")]
    pub timeline: u32,
    #[serde(rename = "Start-LSN")]
    pub start_lsn: String,
    #[serde(rename = "End-LSN")]
    pub end_lsn: String,
}

/// Reads a manifest that comes in pieces.
#[derive(Debug, Default)]
pub struct ManifestReader {
    line: Vec<u8>,
    hash: Sha256,
    part: ManifestPart,
    /// What it needs of the WAL.
    pub wal_ranges: Vec<WalRange>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum ManifestPart {
    #[default]
    Head,
    Files,
    Wal,
    Over,
}

impl ManifestReader {
    /// Takes the next piece, and hands each file on.
    pub fn feed(
        &mut self,
        bytes: &[u8],
        each: &mut dyn FnMut(ManifestFile) -> Result<()>,
    ) -> Result<()> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.part == ManifestPart::Over || self.line.len() + piece.len() > LONGEST {
                return Err(damaged("is not as PostgreSQL writes it"));
            }
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.take(&line, each)?;
            }
        }
        Ok(())
    }

    /// It is over: it has to have its end, and to fit its checksum.
    pub fn finish(&mut self) -> Result<()> {
        // the last line may lack its newline
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            self.take(&line, &mut |_| Ok(()))?;
        }
        match self.part {
            ManifestPart::Over => Ok(()),
            _ => Err(damaged("ends too early")),
        }
    }

    fn take(
        &mut self,
        line: &[u8],
        each: &mut dyn FnMut(ManifestFile) -> Result<()>,
    ) -> Result<()> {
        let text = std::str::from_utf8(line)
            .map_err(|_| damaged("is no text"))?
            .trim();
        if let Some(rest) = text.strip_prefix(LAST) {
            let expected = rest.strip_suffix("\"}");
            let found = hex(&std::mem::take(&mut self.hash).finalize());
            self.part = ManifestPart::Over;
            return match expected {
                Some(expected) if expected.eq_ignore_ascii_case(&found) => Ok(()),
                _ => Err(damaged("does not fit its checksum")),
            };
        }
        self.hash.update(line);
        let item = text.trim_end_matches(',');
        match (self.part, item) {
            (_, "\"Files\": [") => self.part = ManifestPart::Files,
            (_, "\"WAL-Ranges\": [") => self.part = ManifestPart::Wal,
            // an empty list of files stands in one line
            (_, "\"Files\": []" | "]") | (ManifestPart::Head, _) => {}
            (ManifestPart::Files, item) => each(file(item)?)?,
            (ManifestPart::Wal, item) => {
                let range = serde_json::from_str(item);
                let range = range.map_err(|_| damaged("has a range of WAL that is none"))?;
                self.wal_ranges.push(range);
            }
            (ManifestPart::Over, _) => return Err(damaged("goes on after its end")),
        }
        Ok(())
    }
}

/// Fails unless these are the ranges of a backup that needs the WAL from `start` to `stop`, as our own manifest has it.
pub fn require_range(ranges: &[WalRange], start: Lsn, stop: Lsn) -> Result<()> {
    let lsn = |text: &String| {
        let lsn = text.parse::<Lsn>();
        lsn.map_err(|()| damaged("has a range of WAL that is none"))
    };
    let starts = ranges.iter().map(|range| lsn(&range.start_lsn));
    let ends = ranges.iter().map(|range| lsn(&range.end_lsn));
    let (first, last) = (
        starts.collect::<Result<Vec<_>>>()?.into_iter().min(),
        ends.collect::<Result<Vec<_>>>()?.into_iter().max(),
    );
    match (first, last) {
        (Some(first), Some(last)) if (first, last) == (start, stop) => Ok(()),
        (Some(first), Some(last)) => Err(damaged(&format!(
            "needs the WAL from {first} to {last}, and not that from {start} to {stop}"
        ))),
        _ => Err(damaged("needs no WAL")),
    }
}

fn file(item: &str) -> Result<ManifestFile> {
    let none = || damaged("has a line that is about no file");
    let line: Line = serde_json::from_str(item).map_err(|_| none())?;
    let path = match (line.path, line.encoded_path) {
        (Some(path), None) => path,
        (None, Some(encoded)) => {
            let bytes = unhex(&encoded).ok_or_else(none)?;
            String::from_utf8_lossy(&bytes).into_owned()
        }
        _ => return Err(none()),
    };
    let crc32c = match (line.algorithm.as_deref(), line.checksum) {
        (None | Some("NONE"), _) => None,
        (Some("CRC32C"), Some(checksum)) => {
            let bytes = unhex(&checksum).ok_or_else(none)?;
            // PostgreSQL writes the bytes as they lie in memory
            Some(u32::from_le_bytes(
                <[u8; 4]>::try_from(bytes).map_err(|_| none())?,
            ))
        }
        // we ask for CRC32C, and do not know what others would say
        _ => return Err(damaged("has checksums of another kind than CRC32C")),
    };
    Ok(ManifestFile {
        path,
        size: line.size,
        crc32c,
    })
}

fn damaged(what: &str) -> Error {
    Error::damaged(format!("the backup_manifest {what}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|char| char.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    let pairs = digits.chunks_exact(2);
    Some(pairs.map(|pair| (pair[0] << 4 | pair[1]) as u8).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> String {
        let body = "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [\n\
            { \"Path\": \"backup_label\", \"Size\": 3, \"Last-Modified\": \"2026\", \"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"01020304\" },\n\
            { \"Encoded-Path\": \"62\", \"Size\": 0, \"Last-Modified\": \"2026\" }\n\
            ],\n\"WAL-Ranges\": [\n{ \"Timeline\": 1, \"Start-LSN\": \"0/2000028\", \"End-LSN\": \"0/2000100\" }\n],\n";
        let sum = hex(&Sha256::digest(body.as_bytes()));
        format!("{body}{LAST}{sum}\"}}\n")
    }

    fn read(text: &str, size: usize) -> Result<(Vec<ManifestFile>, Vec<WalRange>)> {
        let (mut reader, mut files) = (ManifestReader::default(), Vec::new());
        for piece in text.as_bytes().chunks(size) {
            reader.feed(piece, &mut |file| {
                files.push(file);
                Ok(())
            })?;
        }
        reader.finish()?;
        Ok((files, reader.wal_ranges))
    }

    #[test]
    fn files_and_wal_are_read_however_the_bytes_come() {
        for size in [1, 7, 100_000] {
            let (files, wal) = read(&manifest(), size).unwrap();
            assert_eq!(
                (&*files[0].path, files[0].size, files[0].crc32c),
                ("backup_label", 3, Some(0x0403_0201))
            );
            assert_eq!((&*files[1].path, files[1].crc32c), ("b", None));
            let (start, stop) = (Lsn(0x200_0028), Lsn(0x200_0100));
            require_range(&wal, start, stop).unwrap();
            for (start, stop) in [(start, Lsn(0)), (Lsn(0), stop), (start, start)] {
                assert!(require_range(&wal, start, stop).is_err());
            }
            assert!(require_range(&[], start, stop).is_err());
        }
    }

    #[test]
    fn what_is_cut_or_changed_is_damage() {
        let good = manifest();
        for end in [0, 10, good.len() - 80, good.len() - 3] {
            assert!(read(&good[..end], 64).is_err(), "{end}");
        }
        assert!(read(&good.replace("\"Size\": 3", "\"Size\": 4"), 64).is_err());
        assert!(read(&format!("{good}more\n"), 64).is_err());
        assert!(read(&"x".repeat(100_000), 1000).is_err());
    }
}
