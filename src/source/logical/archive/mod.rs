//! pg_dump's custom format, read as it passes.
//!
//! An archive is a header, a table of contents, and a block of data for each entry that has data; the layouts
//! stand in `header.rs`, `toc.rs` and `data.rs`. They follow `pg_backup_archiver.c` and `pg_backup_custom.c` of
//! PostgreSQL, archive versions 1.10 to 1.16.
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
mod database;
mod database_statements;
mod demands;
pub mod edits;
mod fields;
mod header;
mod rows;
mod sql;
mod stream;
pub mod tablespaces;
mod toc;
mod toc_parser;
mod toc_reader;

pub use contents::{Digest, DumpContents, DumpLargeObjects, Summary, TableData};
pub use data::{DataWanted, Offset};
pub use database::{DatabaseProperties, DatabaseProperty, Grantee, Rights};
pub use demands::Demand;
pub use header::{DumpCompression, DumpVersion, MAGIC};
pub use rows::Rows;
pub use sql::column_names;
pub use toc::{Toc, TocEntry};
pub use toc_reader::{TocProgress, TocReader};

use crate::error::Result;
use data::DataReader;
use fields::{Stop, damaged, damaged_archive};
use header::{DumpHeader, HeaderReader, Opening};
use toc_parser::{TocContents, TocParser};

/// Looks at an archive as it passes, and says at its end what it holds.
pub struct Inspector {
    wanted: DataWanted,
    stage: InspectorStage,
    position: u64,
}

enum InspectorStage {
    Header(HeaderReader),
    Toc(DumpHeader, Box<TocParser>),
    Body(Box<Body>),
    Unread(DumpVersion),
    /// Damage was found; why and where.
    Damaged(String),
}

/// All of an archive from its data on.
struct Body {
    header: DumpHeader,
    toc: TocContents,
    data: DataReader,
    part: BodyStage,
    /// The byte at which a copy of the table of contents began.
    copy_at: Option<u64>,
}

enum BodyStage {
    Data,
    /// Something follows the data. It must be a copy of the table of contents.
    Copy(Box<TocParser>),
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
        Inspector::that_wants(DataWanted::Contents)
    }

    /// The same, of which no more is expected than this.
    pub fn that_wants(wanted: DataWanted) -> Inspector {
        Inspector {
            wanted,
            stage: InspectorStage::Header(HeaderReader::default()),
            position: 0,
        }
    }

    /// The byte at which the copy of the table of contents begins that some archives have behind their data, as far
    /// as it has been seen. pg_restore does not read it from a pipe: it has all it wants before that byte.
    pub fn copy_at(&self) -> Option<u64> {
        match &self.stage {
            InspectorStage::Body(body) => body.copy_at,
            _ => None,
        }
    }

    /// Where the data of each entry lies, as far as it has been seen: what pg_dump writes into the table of contents
    /// of a file, and cannot write into a pipe.
    pub fn offsets(&self) -> &[Offset] {
        match &self.stage {
            InspectorStage::Body(body) => &body.data.found.offsets,
            _ => &[],
        }
    }

    /// What the last byte was part of, as in `the data of public.orders`, where that has a name.
    pub fn place(&self) -> Option<String> {
        self.stage.place()
    }

    /// Looks at the next bytes. Once it fails, as [`Kind::Damaged`](crate::error::Kind::Damaged), it fails for good.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        if let InspectorStage::Damaged(why) = &self.stage {
            return Err(damaged_archive(why));
        }
        let mut input = bytes;
        let end = self.position + bytes.len() as u64;
        if let Err(Stop::Damaged(why)) = self.stage.read(&mut input, end, self.wanted) {
            let at = end - input.len() as u64;
            let place = self.stage.place();
            let place = place.map_or(String::new(), |place| format!(", in {place}"));
            let why = format!("{why} (at byte {at}{place})");
            let error = damaged_archive(&why);
            self.stage = InspectorStage::Damaged(why);
            return Err(error);
        }
        self.position = end;
        Ok(())
    }

    /// Ends the stream: what it held, or [`Kind::Damaged`](crate::error::Kind::Damaged) if it is not whole.
    pub fn finish(self) -> Result<DumpContents> {
        let cut = |why: String| damaged_archive(&format!("{why} (after {} bytes)", self.position));
        match self.stage {
            InspectorStage::Header(reader) if reader.is_empty() => {
                Err(damaged_archive("it is empty"))
            }
            InspectorStage::Header(_) => Err(cut("it ends inside its header".into())),
            InspectorStage::Toc(_, reader) => {
                Err(cut(format!("it ends inside {}", reader.place())))
            }
            InspectorStage::Body(body) => {
                let summary = body.finish().map_err(cut)?;
                Ok(DumpContents::Read(Box::new(summary)))
            }
            InspectorStage::Unread(version) => Ok(DumpContents::Unread { version }),
            InspectorStage::Damaged(why) => Err(damaged_archive(&why)),
        }
    }
}

impl InspectorStage {
    /// Goes from stage to stage until `input`, which ends at the byte `end`, is used up.
    fn read(&mut self, input: &mut &[u8], end: u64, wanted: DataWanted) -> Result<(), Stop> {
        loop {
            *self = match self {
                InspectorStage::Header(reader) => match reader.feed(input)? {
                    Opening::Known(header) => {
                        let reader = Box::new(TocParser::new(&header));
                        InspectorStage::Toc(header, reader)
                    }
                    Opening::Unknown(version) => InspectorStage::Unread(version),
                },
                InspectorStage::Toc(header, reader) => {
                    let toc = reader.feed(input, end)?;
                    InspectorStage::Body(Box::new(Body::new(header.clone(), toc, wanted)))
                }
                InspectorStage::Body(body) => return body.feed(input, end),
                InspectorStage::Unread(_) | InspectorStage::Damaged(_) => return Ok(()),
            };
        }
    }

    /// What is being read.
    fn place(&self) -> Option<String> {
        match self {
            InspectorStage::Toc(_, reader) => Some(reader.place()),
            InspectorStage::Body(body) => body.data.place(),
            InspectorStage::Header(_) | InspectorStage::Unread(_) | InspectorStage::Damaged(_) => {
                None
            }
        }
    }
}

impl Body {
    fn new(header: DumpHeader, mut toc: TocContents, wanted: DataWanted) -> Body {
        let announced = std::mem::take(&mut toc.announced);
        Body {
            data: DataReader::new(announced, header.compression, wanted),
            header,
            toc,
            part: BodyStage::Data,
            copy_at: None,
        }
    }

    fn feed(&mut self, input: &mut &[u8], end: u64) -> Result<(), Stop> {
        loop {
            self.part = match &mut self.part {
                BodyStage::Data => {
                    self.data.feed(input, end)?;
                    match input {
                        [] => return Ok(()),
                        _ if self.header.version < DumpVersion::new(1, 15) => {
                            return Err(follows(""));
                        }
                        _ => {
                            self.copy_at = Some(end - input.len() as u64);
                            BodyStage::Copy(Box::new(TocParser::of_copy(&self.header)))
                        }
                    }
                }
                BodyStage::Copy(reader) => {
                    let copy = reader.feed(input, end).map_err(|stop| match stop {
                        Stop::More => Stop::More,
                        Stop::Damaged(why) => follows(&format!(": {why}")),
                    })?;
                    if copy.fingerprint != self.toc.fingerprint {
                        return Err(follows(", and it is no copy of its table of contents"));
                    }
                    BodyStage::Whole
                }
                BodyStage::Whole if input.is_empty() => return Ok(()),
                BodyStage::Whole => return Err(follows("")),
            };
        }
    }

    fn finish(self) -> Result<Summary, String> {
        if let BodyStage::Copy(reader) = self.part {
            return Err(format!(
                "something follows its last data block, and ends inside a copy of {}",
                reader.place()
            ));
        }
        let (header, toc, found) = (self.header, self.toc, self.data.finish()?);
        let counted = header.compression.is_decoded();
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
