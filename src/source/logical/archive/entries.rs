//! The table of contents by itself, entry by entry: what a restore looks at before it begins.

use super::contents::major;
use super::damaged_archive;
use super::fields::Stop;
use super::header::{Header, HeaderReader, Opening, Version};
use super::toc::{Entry, Toc, TocReader};
use crate::error::Result;
use crate::postgres::encoding::Encoding;
use std::collections::BTreeSet;

/// All that stands before the data of an archive.
#[derive(Debug, Clone)]
pub struct Catalog {
    /// The archive format's version.
    pub version: Version,
    /// How many bytes an offset has in the table of contents.
    pub offset_size: usize,
    /// The database that was dumped.
    pub database: String,
    /// The server's version, as the server words it.
    pub server_version: String,
    /// The version of the pg_dump that wrote the archive.
    pub pg_dump_version: String,
    /// The encoding of names and rows.
    pub encoding: Option<String>,
    /// How the database was created: keywords of CREATE DATABASE and their values.
    pub locale: Vec<(String, String)>,
    /// The extensions that the archive creates.
    pub extensions: Vec<String>,
    /// The roles that a restore refers to, without the server's own `pg_*`.
    pub roles: BTreeSet<String>,
    /// Every entry, in the order of the archive.
    pub entries: Vec<Entry>,
}

/// Reads an archive up to its data.
pub struct CatalogReader {
    stage: Stage,
    position: u64,
}

enum Stage {
    Header(HeaderReader),
    Toc(Header, Box<TocReader>),
    /// All has been read, or the version is unknown.
    Over,
}

/// What the next bytes led to.
pub enum Looked {
    /// There is more to come.
    More,
    /// The data begins.
    Whole(Box<Catalog>),
    /// An archive of a version that we do not know.
    Unknown,
}

impl Default for CatalogReader {
    fn default() -> CatalogReader {
        CatalogReader {
            stage: Stage::Header(HeaderReader::default()),
            position: 0,
        }
    }
}

impl CatalogReader {
    /// Looks at the next bytes. What is left of them once the data begins is not looked at.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Looked> {
        let mut input = bytes;
        self.position += bytes.len() as u64;
        match self.read(&mut input) {
            Ok(looked) => Ok(looked),
            Err(Stop::More) => Ok(Looked::More),
            Err(Stop::Damaged(why)) => {
                let at = self.position - input.len() as u64;
                Err(damaged_archive(&format!("{why} (at byte {at})")))
            }
        }
    }

    fn read(&mut self, input: &mut &[u8]) -> Result<Looked, Stop> {
        loop {
            self.stage = match &mut self.stage {
                Stage::Header(reader) => match reader.feed(input)? {
                    Opening::Known(header) => {
                        let reader = Box::new(TocReader::of_entries(&header));
                        Stage::Toc(header, reader)
                    }
                    Opening::Unknown(_) => {
                        self.stage = Stage::Over;
                        return Ok(Looked::Unknown);
                    }
                },
                Stage::Toc(header, reader) => {
                    let toc = reader.feed(input, self.position)?;
                    let catalog = Box::new(Catalog::new(header.clone(), toc));
                    self.stage = Stage::Over;
                    return Ok(Looked::Whole(catalog));
                }
                Stage::Over => return Ok(Looked::Unknown),
            };
        }
    }
}

impl Catalog {
    /// The server's major version: 15.
    pub fn server_major(&self) -> Option<u32> {
        major(&self.server_version)
    }

    /// How its names are told to a server.
    pub fn names(&self) -> Encoding {
        Encoding::named(self.encoding.as_deref().unwrap_or_default())
    }

    fn new(header: Header, toc: Toc) -> Catalog {
        Catalog {
            version: header.version,
            offset_size: header.offset_size,
            database: header.database,
            server_version: header.server_version,
            pg_dump_version: header.pg_dump_version,
            encoding: toc.encoding,
            locale: toc.locale,
            extensions: toc.extensions,
            roles: toc.roles,
            entries: toc.entries,
        }
    }
}
