//! One stream of data: decompressed where we can, and handed to what counts it.

use super::fields::{Stop, damaged};
use super::header::DumpCompression;
use super::rows::{Rows, RowsEnd};
use flate2::{Decompress, FlushDecompress, Status};
use xxhash_rust::xxh3::Xxh3Default;

/// How much is decompressed at once.
const WINDOW: usize = 64 << 10;

/// The streams of an archive, one after the other.
pub(super) struct Stream {
    packing: Packing,
    sink: Sink,
}

enum Packing {
    None,
    Zlib(Box<Zlib>),
    /// A compression that we let pass.
    Foreign,
}

struct Zlib {
    state: Decompress,
    window: Box<[u8]>,
    begun: bool,
    ended: bool,
}

/// What becomes of a stream's data.
pub(super) enum Sink {
    /// It is COPY text.
    Rows(Box<Rows>),
    /// The same, and all that counts is that it is whole.
    RowsEnd(RowsEnd),
    /// It is a large object.
    Object {
        /// Of its OID and what has come of its contents.
        hash: Box<Xxh3Default>,
        /// The length of its contents.
        bytes: u64,
    },
    /// Nobody looks at it.
    Nothing,
}

impl Sink {
    /// For the rows of a table.
    pub fn rows() -> Sink {
        Sink::Rows(Box::default())
    }

    /// For the contents of the large object `oid`.
    pub fn object(oid: u32) -> Sink {
        let mut hash = Box::new(Xxh3Default::new());
        hash.update(&oid.to_be_bytes());
        Sink::Object { hash, bytes: 0 }
    }

    #[inline]
    fn feed(&mut self, data: &[u8]) -> Result<(), Stop> {
        match self {
            Sink::Rows(rows) => rows.feed(data).map_err(damaged),
            Sink::RowsEnd(end) => {
                end.feed(data);
                Ok(())
            }
            Sink::Object { hash, bytes } => {
                hash.update(data);
                *bytes += data.len() as u64;
                Ok(())
            }
            Sink::Nothing => Ok(()),
        }
    }
}

impl Stream {
    pub fn new(compression: DumpCompression) -> Stream {
        let packing = match compression {
            DumpCompression::None => Packing::None,
            DumpCompression::Gzip => Packing::Zlib(Box::new(Zlib {
                state: Decompress::new(true),
                window: vec![0; WINDOW].into_boxed_slice(),
                begun: false,
                ended: false,
            })),
            DumpCompression::Lz4 | DumpCompression::Zstd => Packing::Foreign,
        };
        Stream {
            packing,
            sink: Sink::Nothing,
        }
    }

    /// Begins the next stream.
    pub fn begin(&mut self, sink: Sink) {
        self.sink = match self.packing {
            Packing::Foreign => Sink::Nothing,
            Packing::None | Packing::Zlib(_) => sink,
        };
    }

    /// Takes the next piece of the stream.
    #[inline]
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), Stop> {
        match &mut self.packing {
            Packing::None => self.sink.feed(piece),
            Packing::Zlib(zlib) => zlib.feed(piece, &mut self.sink),
            Packing::Foreign => Ok(()),
        }
    }

    /// Ends the stream, which must be whole, and gives back where its data went.
    pub fn end(&mut self) -> Result<Sink, Stop> {
        if let Packing::Zlib(zlib) = &mut self.packing {
            zlib.end()?;
        }
        let sink = std::mem::replace(&mut self.sink, Sink::Nothing);
        let is_whole = match &sink {
            Sink::Rows(rows) => rows.ended(),
            Sink::RowsEnd(end) => end.ended(),
            Sink::Object { .. } | Sink::Nothing => true,
        };
        match is_whole {
            true => Ok(sink),
            false => Err(damaged("its rows lack their end marker")),
        }
    }
}

impl Zlib {
    fn feed(&mut self, mut piece: &[u8], sink: &mut Sink) -> Result<(), Stop> {
        self.begun |= !piece.is_empty();
        loop {
            if self.ended {
                return match piece.is_empty() {
                    true => Ok(()),
                    false => Err(damaged("something follows its compressed data")),
                };
            }
            let (read, written) = (self.state.total_in(), self.state.total_out());
            let status = self
                .state
                .decompress(piece, &mut self.window, FlushDecompress::None)
                .map_err(|error| damaged(format!("its compressed data does not hold: {error}")))?;
            let read = (self.state.total_in() - read) as usize;
            let written = (self.state.total_out() - written) as usize;
            sink.feed(&self.window[..written])?;
            piece = &piece[read..];
            self.ended = status == Status::StreamEnd;
            // a window that is not full means that there is nothing more to come out of this piece
            if !self.ended && piece.is_empty() && written < self.window.len() {
                return Ok(());
            }
            if !self.ended && read == 0 && written == 0 {
                return Err(damaged("its compressed data leads nowhere"));
            }
        }
    }

    /// A stream without a single byte is whole: pg_dump 16 and later write nothing for an empty large object.
    fn end(&mut self) -> Result<(), Stop> {
        if self.begun && !self.ended {
            return Err(damaged("its compressed data is cut off"));
        }
        self.state.reset(true);
        (self.begun, self.ended) = (false, false);
        Ok(())
    }
}
