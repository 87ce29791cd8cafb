//! pg_dump's custom format, read as it passes.
//!
//! An archive is a header, a table of contents, and a block of data for each entry that has data; the layouts
//! stand in `header.rs`, `toc.rs` and `data.rs`. They follow `pg_backup_archiver.c` and `pg_backup_custom.c` of
//! PostgreSQL, archive versions 1.12 to 1.16.
//!
//! What holds:
//!
//! - The bytes are only looked at. Pieces may be of any size; memory does not grow with the data, with the
//!   length of a row, or on the word of a length field.
//! - [`Inspector::finish`] succeeds only on a whole archive: every entry that announced data delivered it, once
//!   and in order, each stream of it ended as pg_dump ends it, and nothing follows but what pg_dump itself may
//!   leave there (a copy of the table of contents, see `toc.rs`; never in what it writes to a pipe).
//! - No input makes it panic.
//!
//! What it cannot see: a changed byte inside the definition of an object or inside uncompressed rows. The
//! digests tell when rows are compared with what they were.

mod contents;
mod data;
mod entries;
mod fields;
mod header;
mod rows;
mod sql;
mod stream;
mod toc;

pub use contents::{Contents, Digest, LargeObjects, Summary, TableData, TableName};
pub use data::Offset;
pub use entries::{Catalog, CatalogReader, Looked};
pub use header::{Compression, MAGIC, Version};
pub use rows::Rows;
pub use sql::column_names;
pub use toc::Entry;

use crate::error::{Error, Result};
use data::DataReader;
use fields::{Stop, damaged};
use header::{Header, HeaderReader, Opening};
use toc::{Toc, TocReader};

/// Looks at an archive as it passes, and says at its end what it holds.
pub struct Inspector {
    stage: Stage,
    position: u64,
}

enum Stage {
    Header(HeaderReader),
    Toc(Header, Box<TocReader>),
    Body(Box<Body>),
    Unread(Version),
    /// Damage was found; why and where.
    Damaged(String),
}

/// All of an archive from its data on.
struct Body {
    header: Header,
    toc: Toc,
    data: DataReader,
    part: Part,
    /// The byte at which a copy of the table of contents began.
    copy_at: Option<u64>,
}

enum Part {
    Data,
    /// Something follows the data. It must be a copy of the table of contents.
    Copy(Box<TocReader>),
    /// The copy has ended.
    Whole,
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

    /// The byte at which the copy of the table of contents begins that some archives have behind their data, as far
    /// as it has been seen. pg_restore does not read it from a pipe: it has all it wants before that byte.
    pub fn copy_at(&self) -> Option<u64> {
        match &self.stage {
            Stage::Body(body) => body.copy_at,
            _ => None,
        }
    }

    /// Where the data of each entry lies, as far as it has been seen: what pg_dump writes into the table of contents
    /// of a file, and cannot write into a pipe.
    pub fn offsets(&self) -> &[Offset] {
        match &self.stage {
            Stage::Body(body) => &body.data.found.offsets,
            _ => &[],
        }
    }

    /// What the last byte was part of, as in `the data of public.orders`, where that has a name.
    pub fn place(&self) -> Option<String> {
        self.stage.place()
    }

    /// Looks at the next bytes. Once it fails, as [`Kind::Damaged`](crate::error::Kind::Damaged), it fails for good.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        if let Stage::Damaged(why) = &self.stage {
            return Err(damaged_archive(why));
        }
        let mut input = bytes;
        let end = self.position + bytes.len() as u64;
        if let Err(Stop::Damaged(why)) = self.stage.read(&mut input, end) {
            let at = end - input.len() as u64;
            let place = self.stage.place();
            let place = place.map_or(String::new(), |place| format!(", in {place}"));
            let why = format!("{why} (at byte {at}{place})");
            let error = damaged_archive(&why);
            self.stage = Stage::Damaged(why);
            return Err(error);
        }
        self.position = end;
        Ok(())
    }

    /// Ends the stream: what it held, or [`Kind::Damaged`](crate::error::Kind::Damaged) if it is not whole.
    pub fn finish(self) -> Result<Contents> {
        let cut = |why: String| damaged_archive(&format!("{why} (after {} bytes)", self.position));
        match self.stage {
            Stage::Header(reader) if reader.is_empty() => Err(damaged_archive("it is empty")),
            Stage::Header(_) => Err(cut("it ends inside its header".into())),
            Stage::Toc(_, reader) => Err(cut(format!("it ends inside {}", reader.place()))),
            Stage::Body(body) => {
                let summary = body.finish().map_err(cut)?;
                Ok(Contents::Read(Box::new(summary)))
            }
            Stage::Unread(version) => Ok(Contents::Unread { version }),
            Stage::Damaged(why) => Err(damaged_archive(&why)),
        }
    }
}

impl Stage {
    /// Goes from stage to stage until `input`, which ends at the byte `end`, is used up.
    fn read(&mut self, input: &mut &[u8], end: u64) -> Result<(), Stop> {
        loop {
            *self = match self {
                Stage::Header(reader) => match reader.feed(input)? {
                    Opening::Known(header) => {
                        let reader = Box::new(TocReader::new(&header));
                        Stage::Toc(header, reader)
                    }
                    Opening::Unknown(version) => Stage::Unread(version),
                },
                Stage::Toc(header, reader) => {
                    let toc = reader.feed(input, end)?;
                    Stage::Body(Box::new(Body::new(header.clone(), toc)))
                }
                Stage::Body(body) => return body.feed(input, end),
                Stage::Unread(_) | Stage::Damaged(_) => return Ok(()),
            };
        }
    }

    /// What is being read.
    fn place(&self) -> Option<String> {
        match self {
            Stage::Toc(_, reader) => Some(reader.place()),
            Stage::Body(body) => body.data.place(),
            Stage::Header(_) | Stage::Unread(_) | Stage::Damaged(_) => None,
        }
    }
}

impl Body {
    fn new(header: Header, mut toc: Toc) -> Body {
        let announced = std::mem::take(&mut toc.announced);
        Body {
            data: DataReader::new(announced, header.compression),
            header,
            toc,
            part: Part::Data,
            copy_at: None,
        }
    }

    fn feed(&mut self, input: &mut &[u8], end: u64) -> Result<(), Stop> {
        loop {
            self.part = match &mut self.part {
                Part::Data => {
                    self.data.feed(input, end)?;
                    match input {
                        [] => return Ok(()),
                        _ if self.header.version < Version::new(1, 15) => return Err(follows("")),
                        _ => {
                            self.copy_at = Some(end - input.len() as u64);
                            Part::Copy(Box::new(TocReader::of_copy(&self.header)))
                        }
                    }
                }
                Part::Copy(reader) => {
                    let copy = reader.feed(input, end).map_err(|stop| match stop {
                        Stop::More => Stop::More,
                        Stop::Damaged(why) => follows(&format!(": {why}")),
                    })?;
                    if copy.fingerprint != self.toc.fingerprint {
                        return Err(follows(", and it is no copy of its table of contents"));
                    }
                    Part::Whole
                }
                Part::Whole if input.is_empty() => return Ok(()),
                Part::Whole => return Err(follows("")),
            };
        }
    }

    fn finish(self) -> Result<Summary, String> {
        if let Part::Copy(reader) = self.part {
            return Err(format!(
                "something follows its last data block, and ends inside a copy of {}",
                reader.place()
            ));
        }
        let (header, toc, found) = (self.header, self.toc, self.data.finish()?);
        let counted = matches!(header.compression, Compression::None | Compression::Gzip);
        Ok(Summary {
            version: header.version,
            compression: header.compression,
            created: header.created,
            database: header.database,
            server_version: header.server_version,
            pg_dump_version: header.pg_dump_version,
            encoding: toc.encoding,
            tables: found.tables,
            uncounted: found.uncounted,
            large_objects: counted.then_some(found.large_objects),
            table_names: toc.table_names,
            objects: toc.objects,
            extensions: toc.extensions,
            roles: toc.roles,
        })
    }
}

fn follows(what: &str) -> Stop {
    damaged(format!("something follows its last data block{what}"))
}

fn damaged_archive(why: &str) -> Error {
    Error::damaged(format!("the archive is damaged or incomplete: {why}"))
}
