//! The table of contents by itself, entry by entry: what a restore looks at before it begins.

use super::database_statements;
use super::fields::{Stop, damaged_archive};
use super::header::{DumpHeader, DumpVersion, HeaderReader, Opening};
use super::toc::Toc;
use super::toc_parser::{TocContents, TocParser};
use crate::error::Result;

/// Reads an archive up to its data.
pub struct TocReader {
    stage: TocStage,
    position: u64,
}

enum TocStage {
    Header(HeaderReader),
    Toc(DumpHeader, Box<TocParser>),
    /// All has been read, or the version is unknown.
    Over,
}

/// What the next bytes led to.
pub enum TocProgress {
    /// There is more to come.
    More,
    /// The data begins.
    Whole(Box<Toc>),
    /// An archive of this version, which we do not know.
    Unknown(DumpVersion),
}

impl Default for TocReader {
    fn default() -> TocReader {
        TocReader {
            stage: TocStage::Header(HeaderReader::default()),
            position: 0,
        }
    }
}

impl TocReader {
    /// Looks at the next bytes. What is left of them once the data begins is not looked at.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<TocProgress> {
        let mut input = bytes;
        self.position += bytes.len() as u64;
        match self.read(&mut input) {
            Ok(looked) => Ok(looked),
            Err(Stop::More) => Ok(TocProgress::More),
            Err(Stop::Damaged(why)) => {
                let at = self.position - input.len() as u64;
                Err(damaged_archive(&format!("{why} (at byte {at})")))
            }
        }
    }

    fn read(&mut self, input: &mut &[u8]) -> Result<TocProgress, Stop> {
        loop {
            self.stage = match &mut self.stage {
                TocStage::Header(reader) => match reader.feed(input)? {
                    Opening::Known(header) => {
                        let reader = Box::new(TocParser::of_entries(&header));
                        TocStage::Toc(header, reader)
                    }
                    Opening::Unknown(version) => {
                        self.stage = TocStage::Over;
                        return Ok(TocProgress::Unknown(version));
                    }
                },
                TocStage::Toc(header, reader) => {
                    let toc = reader.feed(input, self.position)?;
                    let catalog = Box::new(self::toc(header.clone(), toc));
                    self.stage = TocStage::Over;
                    return Ok(TocProgress::Whole(catalog));
                }
                TocStage::Over => return Ok(TocProgress::More),
            };
        }
    }
}

/// The header and what follows it, put together.
fn toc(header: DumpHeader, toc: TocContents) -> Toc {
    Toc {
        version: header.version,
        offset_size: header.offset_size,
        database: header.database,
        server_version: header.server_version,
        pg_dump_version: header.pg_dump_version,
        encoding: toc.encoding,
        locale: toc.locale,
        tablespace: toc.tablespace,
        properties: database_statements::properties(&toc.entries),
        extensions: toc.extensions,
        roles: toc.roles,
        entries: toc.entries,
    }
}
