//! pg_dump's custom format, read as it passes.
//!
//! An archive is a header, a table of contents, and a block of data for each entry that has data; the layouts
//! stand in [`header`], [`toc`] and [`data`]. They follow `pg_backup_archiver.c` and `pg_backup_custom.c` of
//! PostgreSQL, archive versions 1.12 to 1.16.
//!
//! What holds:
//!
//! - The bytes are only looked at. Pieces may be of any size; memory does not grow with the data, with the
//!   length of a row, or on the word of a length field.
//! - [`Inspector::finish`] succeeds only on a whole archive: every entry that announced data delivered it, once
//!   and in order, each stream of it ended as pg_dump ends it, and nothing follows.
//! - No input makes it panic.
//!
//! What it cannot see: a changed byte inside the definition of an object or inside uncompressed rows. The
//! digests tell when rows are compared with what they were.

mod contents;
mod data;
mod fields;
mod header;
mod rows;
mod sql;
mod stream;
mod toc;

pub use contents::{Contents, Digest, LargeObjects, Summary, TableData, TableName};
pub use header::{Compression, MAGIC, Version};

use crate::error::{Error, Result};
use data::DataReader;
use fields::Stop;
use header::{Header, HeaderReader, Opening};
use toc::{Toc, TocReader};

/// Looks at an archive as it passes, and says at its end what it holds.
pub struct Inspector {
    stage: Stage,
    position: u64,
}

enum Stage {
    Header(HeaderReader),
    Toc(Box<(Header, TocReader)>),
    Data(Box<(Header, Toc, DataReader)>),
    Unread(Version),
    /// Damage was found; why and where.
    Damaged(String),
}

impl Default for Inspector {
    fn default() -> Inspector {
        Inspector::new()
    }
}

impl Inspector {
    /// An inspector that has seen nothing yet.
    pub fn new() -> Inspector {
        Inspector {
            stage: Stage::Header(HeaderReader::default()),
            position: 0,
        }
    }

    /// Looks at the next bytes. Once it fails, as [`Kind::Damaged`](crate::error::Kind::Damaged), it fails for good.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        let mut input = bytes;
        let why = match self.read(&mut input) {
            Ok(()) | Err(Stop::More) => {
                self.position += bytes.len() as u64;
                return Ok(());
            }
            Err(Stop::Damaged(why)) => why,
        };
        if !matches!(self.stage, Stage::Damaged(_)) {
            let at = self.position + (bytes.len() - input.len()) as u64;
            let place = match &self.stage {
                Stage::Toc(reading) => {
                    format!(" in {} of its table of contents", reading.1.place())
                }
                Stage::Data(reading) => reading
                    .2
                    .place()
                    .map_or(String::new(), |what| format!(" in the data of {what}")),
                _ => String::new(),
            };
            self.stage = Stage::Damaged(format!("{why} (at byte {at}{place})"));
        }
        Err(self.damage())
    }

    /// Moves from stage to stage until `input` is used up.
    fn read(&mut self, input: &mut &[u8]) -> Result<(), Stop> {
        loop {
            self.stage = match &mut self.stage {
                Stage::Header(reader) => match reader.feed(input)? {
                    Opening::Known(header) => {
                        let reader = TocReader::new(&header);
                        Stage::Toc(Box::new((header, reader)))
                    }
                    Opening::Unknown(version) => Stage::Unread(version),
                },
                Stage::Toc(reading) => {
                    let (header, reader) = reading.as_mut();
                    let mut toc = reader.feed(input)?;
                    let announced = std::mem::take(&mut toc.announced);
                    let reader = DataReader::new(announced, header.compression);
                    Stage::Data(Box::new((header.clone(), toc, reader)))
                }
                Stage::Data(reading) => return reading.2.feed(input),
                Stage::Unread(_) => return Ok(()),
                Stage::Damaged(why) => return Err(Stop::Damaged(why.clone())),
            };
        }
    }

    /// Ends the stream: what it held, or [`Kind::Damaged`](crate::error::Kind::Damaged) if it is not whole.
    pub fn finish(self) -> Result<Contents> {
        let cut = |why: String| damaged(&format!("{why} (after {} bytes)", self.position));
        match self.stage {
            Stage::Header(reader) if reader.is_empty() => Err(damaged("it is empty")),
            Stage::Header(_) => Err(cut("it ends inside its header".into())),
            Stage::Toc(reading) => Err(cut(format!(
                "it ends inside its table of contents, {}",
                reading.1.place()
            ))),
            Stage::Data(reading) => {
                let (header, toc, reader) = *reading;
                let found = reader.finish().map_err(cut)?;
                Ok(Contents::Read(Box::new(summary(header, toc, found))))
            }
            Stage::Unread(version) => Ok(Contents::Unread { version }),
            Stage::Damaged(why) => Err(damaged(&why)),
        }
    }

    fn damage(&self) -> Error {
        match &self.stage {
            Stage::Damaged(why) => damaged(why),
            _ => damaged("it does not hold"),
        }
    }
}

fn damaged(why: &str) -> Error {
    Error::damaged(format!("the archive is damaged or incomplete: {why}"))
}

fn summary(header: Header, toc: Toc, found: data::Found) -> Summary {
    let countable = matches!(header.compression, Compression::None | Compression::Gzip);
    Summary {
        version: header.version,
        compression: header.compression,
        created: header.created,
        database: header.database,
        server_version: header.server_version,
        pg_dump_version: header.pg_dump_version,
        encoding: toc.encoding,
        tables: found.tables,
        uncounted: found.uncounted,
        large_objects: countable.then_some(found.large_objects),
        table_names: toc.table_names,
        objects: toc.objects,
        extensions: toc.extensions,
        roles: toc.roles,
    }
}
