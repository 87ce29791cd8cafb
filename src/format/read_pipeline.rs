//! The read side, composed here and nowhere else: stored bytes in, the plain dump out.
//!
//! The layers follow the bytes, not the name and not the configuration. End of file of the whole means that
//! every layer has been read to its end and was good: the outermost one ended where its file ended, every
//! frame's tag held, every gzip member and zstd frame was complete, and the stored bytes match their checksum.

use super::codec::gzip::Gzip;
use super::codec::zstd::Zstd;
use super::codec::{Decompressor, threads};
use super::inspect::StreamInspector;
use super::measure::{Measure, Measured};
use super::read_ahead::ReadAhead;
use super::seal::{ContainerVersion, Expect, Keys, Opener};
use super::sniff::{Content, Peeked, cipher_of, codec_of};
use crate::cancel::Cancel;
use crate::error::{Error, Kind, Result};
use crate::format::encoding::{ArchiveEncoding, Cipher, Codec};
use crate::progress::Meter;
use std::io::{self, BufRead, Read, Write};
use std::sync::Arc;

/// How much of the plain stream's end [`Inbound::copy_to`] holds back until all layers have ended well.
pub const HELD_BACK: usize = 64 * 1024;
/// How much is read at a time where nobody wants it.
const PIECE: usize = 1024 * 1024;

/// An opened archive, positioned at the start of its plain stream.
///
/// Its stored bytes are read, compared with their checksum and unsealed by one thread, decompressed by a few others, and
/// looked at and handed on by the caller's.
pub struct Inbound {
    plain: Peeked<Unzipped>,
    facts: ArchiveFacts,
    proved_late: bool,
}

/// What the first bytes of each layer told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveFacts {
    /// The stages that the bytes went through.
    pub encoding: ArchiveEncoding,
    /// The kind of container, where there is one.
    pub container: Option<ContainerVersion>,
    /// What the container says that it is.
    pub label: Option<String>,
    /// What the plain stream holds.
    pub content: Content,
}

type Outermost<R> = Peeked<Counted<R>>;

enum Unsealed<R: Read> {
    Sealed(Box<Opener<Outermost<R>>>),
    Plain(Outermost<R>),
}

enum Unzipped {
    Gzip(Box<Decompressor<ReadAhead, Gzip>>),
    Zstd(Box<Decompressor<ReadAhead, Zstd>>),
    Plain(ReadAhead),
}

impl Inbound {
    /// Opens the layers of `stored`. `sha256` is what the bytes must hash to, where that is known; `keys` is asked
    /// for only if there is something to unseal.
    pub fn open(
        stored: impl Read + Send + 'static,
        keys: &dyn Fn() -> Result<Keys>,
        expected: Expect,
        sha256: Option<String>,
        meter: Arc<Meter>,
    ) -> Result<Inbound> {
        let checked = sha256.is_some();
        let stored = match sha256 {
            Some(sha256) => StoredBytes::ChecksumChecked(ChecksumChecked {
                inner: Some(Measured::new(stored)),
                sha256,
            }),
            None => StoredBytes::Unchecked(stored),
        };
        let stored = Peeked::new(Counted {
            inner: stored,
            meter,
        })?;
        let cipher = cipher_of(stored.head());
        let (mut container, mut label) = (None, None);
        let unsealed = match cipher {
            Cipher::Container => {
                let opener = Opener::open(stored, &keys()?, expected)?;
                container = Some(opener.version());
                label = opener.label().map(str::to_string);
                Unsealed::Sealed(Box::new(opener))
            }
            Cipher::None => Unsealed::Plain(stored),
        };
        let unsealed = Peeked::new(unsealed)?;
        let codec = codec_of(unsealed.head());
        let unsealed = ReadAhead::start(unsealed)?;
        let unzipped = match codec {
            Codec::Gzip => Unzipped::Gzip(Box::new(Decompressor::new(unsealed, threads())?)),
            Codec::Zstd => Unzipped::Zstd(Box::new(Decompressor::new(unsealed, threads())?)),
            Codec::None => Unzipped::Plain(unsealed),
        };
        let plain = Peeked::new(unzipped)?;
        let facts = ArchiveFacts {
            encoding: ArchiveEncoding { codec, cipher },
            container,
            label,
            content: Content::of(plain.head()),
        };
        Ok(Inbound {
            plain,
            proved_late: cipher == Cipher::None && (checked || codec != Codec::None),
            facts,
        })
    }

    /// What the archive turned out to be.
    pub fn facts(&self) -> &ArchiveFacts {
        &self.facts
    }

    /// The first bytes of the plain stream.
    pub fn head(&self) -> &[u8] {
        self.plain.head()
    }

    /// Shows the plain stream from its first byte to `look` until it says that it has seen enough, or the stream
    /// ends; nothing is taken away by it. Memory grows with what was looked at.
    pub fn look_ahead(&mut self, look: &mut dyn FnMut(&[u8]) -> Result<bool>) -> Result<()> {
        self.plain
            .look_ahead(&mut |piece| Ok(look(piece)?))
            .map_err(Error::from)
    }

    /// The plain stream, whose end means what it means for the whole.
    pub fn into_reader(self) -> impl Read + Send {
        self.plain
    }

    /// Copies the plain stream to `target`, which gets the last [`HELD_BACK`] bytes only once every layer and
    /// `inspector` have ended well. Returns the number of bytes. On an error `target` lacks at least the end.
    pub fn copy_to(
        &mut self,
        target: &mut impl Write,
        inspector: &mut dyn StreamInspector,
        meter: &Meter,
    ) -> Result<u64> {
        let mut tail = HeldBack(Vec::with_capacity(HELD_BACK));
        let mut total = 0u64;
        loop {
            let piece = match self.plain.fill_buf() {
                Ok(piece) => piece,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            let count = piece.len();
            if count == 0 {
                break;
            }
            inspector.feed(piece)?;
            meter.add_plain(count);
            // what nobody needs is checked and goes no further: it must not stand in for the tail held back
            let needed = inspector
                .needless_from()
                .map_or(count as u64, |from| from.saturating_sub(total))
                .min(count as u64);
            tail.push(&piece[..needed as usize], target)?;
            self.plain.consume(count);
            total += count as u64;
        }
        inspector.end()?;
        target.write_all(&tail.0)?;
        Ok(total)
    }
}

/// The last bytes of what has passed, [`HELD_BACK`] of them or all there are.
struct HeldBack(Vec<u8>);

impl HeldBack {
    /// Takes `piece` and writes on what is not among the last bytes any more.
    fn push(&mut self, piece: &[u8], target: &mut impl Write) -> io::Result<()> {
        let released = (self.0.len() + piece.len()).saturating_sub(HELD_BACK);
        let held = released.min(self.0.len());
        target.write_all(&self.0[..held])?;
        self.0.drain(..held);
        let (now, later) = piece.split_at(released - held);
        target.write_all(now)?;
        self.0.extend_from_slice(later);
        Ok(())
    }
}

impl Inbound {
    /// The receiver of the plain stream refused it with `error`. Where only the end of the archive tells whether the
    /// bytes were right, reads on to there: if they were not, that is why they were refused.
    pub fn blame(&mut self, error: Error, cancel: &Cancel) -> Error {
        if !self.proved_late || !matches!(error.kind(), Kind::Failed | Kind::Refused) {
            return error;
        }
        log::info!("reading on, to see whether the archive is damaged");
        let mut buffer = vec![0u8; PIECE];
        loop {
            match cancel.check().map(|()| self.plain.read(&mut buffer)) {
                Ok(Ok(1..)) => {}
                Ok(Err(found)) if found.kind() == io::ErrorKind::Interrupted => {}
                Ok(Ok(0)) => return error,
                Ok(Err(found)) => {
                    let found = Error::from(found);
                    if found.kind() != Kind::Damaged {
                        return error;
                    }
                    log::warn!("{}", error.chain());
                    return found;
                }
                Err(cancelled) => return cancelled,
            }
        }
    }
}

/// The stored bytes, counted.
struct Counted<R> {
    inner: StoredBytes<R>,
    meter: Arc<Meter>,
}

/// Hashing costs as much as it does, so it is left to those with a known hash.
enum StoredBytes<R> {
    ChecksumChecked(ChecksumChecked<R>),
    Unchecked(R),
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.inner {
            StoredBytes::ChecksumChecked(stored) => stored.read(buffer)?,
            StoredBytes::Unchecked(stored) => stored.read(buffer)?,
        };
        self.meter.add_stored(count);
        Ok(count)
    }
}

/// The stored bytes, compared with their checksum at the end.
struct ChecksumChecked<R> {
    inner: Option<Measured<R>>,
    sha256: String,
}

impl<R: Read> Read for ChecksumChecked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(inner) = &mut self.inner else {
            return Ok(0);
        };
        let count = inner.read(buffer)?;
        if count == 0
            && !buffer.is_empty()
            && let Some(inner) = self.inner.take()
        {
            let (_, measure) = inner.finish();
            self.compare(&measure)?;
        }
        Ok(count)
    }
}

impl<R> ChecksumChecked<R> {
    fn compare(&self, measure: &Measure) -> Result<()> {
        let (expected, found) = (&self.sha256, measure.sha256_hex());
        match expected.eq_ignore_ascii_case(&found) {
            true => Ok(()),
            false => Err(Error::damaged(format!(
                "the stored bytes do not match their checksum: {found} instead of {expected}"
            ))
            .hint("the archive or its .sha256 changed since the backup; restore an older backup")),
        }
    }
}

impl<R: Read> Read for Unsealed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Unsealed::Sealed(opener) => opener.read(buffer),
            Unsealed::Plain(plain) => plain.read(buffer),
        }
    }
}

impl BufRead for Unzipped {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self {
            Unzipped::Gzip(gzip) => gzip.fill_buf(),
            Unzipped::Zstd(zstd) => zstd.fill_buf(),
            Unzipped::Plain(plain) => plain.fill_buf(),
        }
    }

    fn consume(&mut self, count: usize) {
        match self {
            Unzipped::Gzip(gzip) => gzip.consume(count),
            Unzipped::Zstd(zstd) => zstd.consume(count),
            Unzipped::Plain(plain) => plain.consume(count),
        }
    }
}

impl Read for Unzipped {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Unzipped::Gzip(gzip) => gzip.read(buffer),
            Unzipped::Zstd(zstd) => zstd.read(buffer),
            Unzipped::Plain(plain) => plain.read(buffer),
        }
    }
}
