//! The write side, composed here and nowhere else: the plain dump in, stored bytes out.
//!
//! `dump, inspector, codec, seal, measure, upload`: one loop pushes into nested writers, and each stage ends by value
//! and hands on what it learned. Nothing is read a second time to learn what a stage already knew.

use super::codec::gzip::Gzip;
use super::codec::zstd::Zstd;
use super::codec::{CodecOptions, Compressor};
use super::inspect::StreamInspector;
use super::measure::Measured;
use super::seal::{Keys, Sealer};
use crate::error::Result;
use crate::progress::Meter;
use std::io::{self, BufRead, Write};

/// How much is best ready of a dump at a time.
pub const PIECE: usize = 1024 * 1024;

/// Which stages a backup goes through.
pub struct Stages<'a> {
    /// How to compress outside of pg_dump.
    pub codec: CodecOptions,
    /// On how many threads.
    pub threads: usize,
    /// Seal under the keys' current password, with this label.
    pub seal: Option<(&'a Keys, &'a str)>,
}

/// What the stages learned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenArchive {
    /// Bytes of the dump.
    pub plain_bytes: u64,
    /// Bytes of the archive.
    pub stored_bytes: u64,
    /// SHA-256 of the archive, 64 hex digits.
    pub sha256: String,
}

/// Writes all of `dump` through the stages of `plan` into `target`, and hands the target back for its commit.
pub fn write<W: Write>(
    dump: &mut impl BufRead,
    target: W,
    plan: &Stages,
    inspector: &mut dyn StreamInspector,
    meter: &Meter,
) -> Result<(W, WrittenArchive)> {
    let measured = Measured::new(Metered {
        inner: target,
        meter,
    });
    let sealing = match plan.seal {
        Some((keys, label)) => Sealing::Sealed(Box::new(Sealer::new(measured, keys, label)?)),
        None => Sealing::Plain(measured),
    };
    let mut zipping = match plan.codec {
        CodecOptions::Gzip(level) => {
            let compressor = Compressor::new(sealing, Gzip::new(level), plan.threads)?;
            Zipping::Gzip(Box::new(compressor))
        }
        CodecOptions::Zstd(level) => {
            let compressor = Compressor::new(sealing, Zstd::new(level), plan.threads)?;
            Zipping::Zstd(Box::new(compressor))
        }
        CodecOptions::None => Zipping::Plain(sealing),
    };

    let plain_bytes = copy(dump, &mut zipping, inspector, meter)?;
    inspector.end()?;

    let (metered, measure) = zipping.finish()?.finish()?.finish();
    let written = WrittenArchive {
        plain_bytes,
        stored_bytes: measure.bytes,
        sha256: measure.sha256_hex(),
    };
    Ok((metered.inner, written))
}

fn copy(
    dump: &mut impl BufRead,
    target: &mut impl Write,
    inspector: &mut dyn StreamInspector,
    meter: &Meter,
) -> Result<u64> {
    let mut total = 0u64;
    loop {
        let piece = match dump.fill_buf() {
            Ok([]) => return Ok(total),
            Ok(piece) => piece,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        let count = piece.len();
        inspector.feed(piece)?;
        meter.add_plain(count);
        target.write_all(piece)?;
        dump.consume(count);
        total += count as u64;
    }
}

/// Counts what reaches the storage, for the progress line.
struct Metered<'a, W> {
    inner: W,
    meter: &'a Meter,
}

impl<W: Write> Write for Metered<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.meter.add_stored(count);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

enum Sealing<W: Write> {
    Sealed(Box<Sealer<W>>),
    Plain(W),
}

impl<W: Write> Sealing<W> {
    fn finish(self) -> Result<W> {
        match self {
            Sealing::Sealed(sealer) => sealer.finish(),
            Sealing::Plain(plain) => Ok(plain),
        }
    }
}

impl<W: Write> Write for Sealing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Sealing::Sealed(sealer) => sealer.write(bytes),
            Sealing::Plain(plain) => plain.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Sealing::Sealed(sealer) => sealer.flush(),
            Sealing::Plain(plain) => plain.flush(),
        }
    }
}

enum Zipping<W: Write> {
    Gzip(Box<Compressor<W, Gzip>>),
    Zstd(Box<Compressor<W, Zstd>>),
    Plain(W),
}

impl<W: Write> Zipping<W> {
    fn finish(self) -> Result<W> {
        match self {
            Zipping::Gzip(compressor) => compressor.finish(),
            Zipping::Zstd(compressor) => compressor.finish(),
            Zipping::Plain(plain) => Ok(plain),
        }
    }
}

impl<W: Write> Write for Zipping<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Zipping::Gzip(compressor) => compressor.write(bytes),
            Zipping::Zstd(compressor) => compressor.write(bytes),
            Zipping::Plain(plain) => plain.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Zipping::Gzip(compressor) => compressor.flush(),
            Zipping::Zstd(compressor) => compressor.flush(),
            Zipping::Plain(plain) => plain.flush(),
        }
    }
}
