//! The data blocks, which follow the table of contents in its order.
//!
//! ```text
//! block:        1 u8 | id, an integer | stream          the rows of a table
//!               3 u8 | id, an integer | objects         large objects
//! objects:      (oid, an integer | stream) repeated, and an oid of 0
//! stream:       (length, an integer | bytes) repeated, and a length of 0
//! ```
//!
//! The bytes of a stream, put together, are what pg_dump's compression made of the data. pg_restore reads an
//! archive from a pipe in one pass, so blocks out of order are as lost as blocks that are missing.

use super::contents::{DumpLargeObjects, TableData};
use super::fields::{Fields, Stop, damaged};
use super::header::DumpCompression;
use super::rows::RowsEnd;
use super::stream::{Sink, Stream};
use super::toc_parser::{Announced, What};
use crate::repository::manifest::TableName;

const ROWS: u8 = 1;
const LARGE_OBJECTS: u8 = 3;

/// Reads the data blocks.
pub(super) struct DataReader {
    wanted: DataWanted,
    fields: Fields,
    at: At,
    waiting: std::vec::IntoIter<Announced>,
    current: Option<Announced>,
    stream: Stream,
    pub found: BlockContents,
}

/// What the data blocks held.
#[derive(Default)]
pub(super) struct BlockContents {
    pub tables: Vec<TableData>,
    pub uncounted: Vec<TableName>,
    pub large_objects: DumpLargeObjects,
    /// Where each entry of the table of contents has room for its offset, and where its data begins.
    pub offsets: Vec<Offset>,
}

/// The place of one entry's data, and where the table of contents says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offset {
    /// The byte of the entry's offset state, behind which its offset stands.
    pub field: u64,
    /// The first byte of its data block.
    pub block: u64,
}

/// What somebody wants to know of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataWanted {
    /// How many rows and bytes there are, and their digests.
    Contents,
    /// Only that all of it is there: rows are not told apart, and text behind an end marker in their midst is not seen.
    Structure,
}

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Block,
    Id(u8),
    Oid,
    Length,
    Bytes(usize),
}

impl DataReader {
    pub fn new(
        announced: Vec<Announced>,
        compression: DumpCompression,
        wanted: DataWanted,
    ) -> DataReader {
        DataReader {
            wanted,
            fields: Fields::default(),
            at: At::Block,
            waiting: announced.into_iter(),
            current: None,
            stream: Stream::new(compression),
            found: BlockContents::default(),
        }
    }

    /// Takes the data blocks off the front of `input`, which ends at the byte `end` of the archive.
    pub fn feed(&mut self, input: &mut &[u8], end: u64) -> Result<(), Stop> {
        loop {
            self.at = match self.at {
                At::Block if self.waiting.as_slice().is_empty() => return Ok(()),
                At::Block => self.block(input, end)?,
                At::Id(block) => self.id(block, input)?,
                At::Oid => match self.fields.integer(input)? {
                    0 => {
                        self.current = None;
                        At::Block
                    }
                    oid => {
                        // PostgreSQL writes this unsigned number as if it were signed
                        self.stream.begin(match self.wanted {
                            DataWanted::Contents => Sink::object(oid as u32),
                            DataWanted::Structure => Sink::Nothing,
                        });
                        At::Length
                    }
                },
                At::Length => match self.fields.integer(input)? {
                    0 => self.end_stream()?,
                    length => At::Bytes(usize::try_from(length).map_err(|_| {
                        damaged(format!("a piece of data has the length {length}"))
                    })?),
                },
                At::Bytes(_) if input.is_empty() => return Err(Stop::More),
                At::Bytes(left) => {
                    let (piece, rest) = input.split_at(left.min(input.len()));
                    *input = rest;
                    self.stream.feed(piece)?;
                    match left - piece.len() {
                        0 => At::Length,
                        left => At::Bytes(left),
                    }
                }
            };
        }
    }

    /// Fails unless every announced block has come and ended.
    pub fn finish(mut self) -> Result<BlockContents, String> {
        if let Some(place) = self.place() {
            return Err(format!("it ends inside {place}"));
        }
        let Some(next) = self.waiting.next() else {
            return Ok(self.found);
        };
        let others = match self.waiting.len() {
            0 => String::new(),
            more => format!(" and of {more} more"),
        };
        Err(format!(
            "it ends before the data of {}{others}",
            next.what.name()
        ))
    }

    /// What is being read, for a message about damage.
    pub fn place(&self) -> Option<String> {
        let current = self.current.as_ref()?;
        Some(format!("the data of {}", current.what.name()))
    }

    fn block(&mut self, input: &mut &[u8], end: u64) -> Result<At, Stop> {
        let at = end - input.len() as u64;
        match self.fields.byte(input)? {
            block @ (ROWS | LARGE_OBJECTS) => {
                self.current = self.waiting.next();
                self.found
                    .offsets
                    .extend(self.current.iter().map(|entry| Offset {
                        field: entry.offset_at,
                        block: at,
                    }));
                Ok(At::Id(block))
            }
            other => Err(damaged(format!("a data block is of the type {other}"))),
        }
    }

    fn id(&mut self, block: u8, input: &mut &[u8]) -> Result<At, Stop> {
        let id = self.fields.integer(input)?;
        let Some(current) = &self.current else {
            return Ok(At::Block);
        };
        if current.id != id {
            let come = match self.waiting.as_slice().iter().find(|other| other.id == id) {
                Some(other) => format!("that of {} comes instead", other.what.name()),
                None => format!("a block with the id {id} comes instead, which is not due"),
            };
            return Err(damaged(format!(
                "the data of {} is missing: {come}",
                current.what.name()
            )));
        }
        match (&current.what, block) {
            (What::LargeObjects, LARGE_OBJECTS) => return Ok(At::Oid),
            (What::Rows(_, Some(_)), ROWS) => self.stream.begin(match self.wanted {
                DataWanted::Contents => Sink::rows(),
                DataWanted::Structure => Sink::RowsEnd(RowsEnd::default()),
            }),
            (What::Rows(_, None) | What::Other(_), ROWS) => self.stream.begin(Sink::Nothing),
            _ => return Err(damaged(format!("a data block is of the type {block}"))),
        }
        Ok(At::Length)
    }

    fn end_stream(&mut self) -> Result<At, Stop> {
        let sink = self.stream.end()?;
        if let Some(What::LargeObjects) = self.current.as_ref().map(|current| &current.what) {
            if let Sink::Object { hash, bytes } = sink {
                let objects = &mut self.found.large_objects;
                objects.count += 1;
                objects.bytes += bytes;
                objects.digest.add(hash.digest128());
            }
            return Ok(At::Oid);
        }
        if let Some(What::Rows(table, copy)) = self.current.take().map(|current| current.what) {
            match (sink, copy) {
                (Sink::Rows(rows), Some(copy)) => self.found.tables.push(TableData {
                    root: copy.root(&table),
                    columns: copy.columns,
                    table,
                    rows: rows.rows,
                    bytes: rows.bytes,
                    digest: rows.digest,
                }),
                _ => self.found.uncounted.push(table),
            }
        }
        Ok(At::Block)
    }
}
