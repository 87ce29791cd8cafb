//! Gzip, written in parallel and read back in parallel.
//!
//! [`Compressor`] cuts its input into blocks of 512 KiB and makes each a gzip member of its own, on a few threads.
//! The members follow each other in order, so the whole is an ordinary gzip file. Each says how long it is in
//! an extra field, which other readers skip, so that [`Decompressor`] can find the next one without inflating it:
//!
//! ```text
//! 1f 8b 08 04 | 00 00 00 00 | 00 ff | 08 00 | 'B' 'K' 04 00 | length of the whole member, u32 little-endian
//! deflate data | CRC-32 u32 | length of the plain bytes u32
//! ```
//!
//! [`Decompressor`] reads any gzip stream; from the first member that is not of this shape on it reads as one stream.
//! Both hold a fixed number of buffers, whatever the length of the stream.

use crate::error::{Error, Result};
use crate::stream::pool::Pool;
use flate2::bufread::MultiGzDecoder;
use libdeflater::{CompressionLvl, crc32};
use std::io::{self, BufReader, Cursor, Read, Write};

/// Plain bytes in a member. Cutting costs 0.35 % of size against one long stream.
pub const BLOCK: usize = 512 * 1024;

/// The start of our members, up to their length.
const OURS: [u8; 16] = *b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x08\0BK\x04\0";
const HEADER: usize = OURS.len() + 4;
const TRAILER: usize = 8;
/// The longest member, packed or plain, that is read as one of ours: room for larger blocks one day.
const LONGEST: usize = 4 * 1024 * 1024;

/// Bytes asked of the reader below at a time.
const READ_BUFFER: usize = 256 * 1024;

/// How many threads help with one stream on this machine: its cores, at most four.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(4))
}

/// Blocks in flight for `threads` workers: one at work and one waiting for each, and one being filled.
fn blocks_for(threads: usize) -> usize {
    2 * threads.max(1) + 1
}

/// How hard to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Chosen block by block.
    Adaptive,
    /// libdeflate's level, 1 (fast) to 12 (small).
    Fixed(u8),
}

/// A block on its way through: plain bytes and the member they are in.
#[derive(Default)]
struct Block {
    plain: Vec<u8>,
    packed: Vec<u8>,
    /// For the compressor, the level to use.
    level: u8,
    /// For the decompressor, the byte of the stream at which the member begins.
    at: u64,
}

/// A writer that hands its input on to `inner` as gzip. [`Compressor::finish`] ends the stream; one that is dropped
/// instead is cut short.
pub struct Compressor<W: Write> {
    inner: W,
    pool: Pool<Block>,
    filling: Block,
    spare: Vec<Block>,
    /// Blocks that may still be made.
    unmade: usize,
    level: Level,
    empty: bool,
    failed: bool,
}

impl<W: Write> Compressor<W> {
    /// Starts `threads` workers for a stream that is written to `inner` by the calling thread.
    pub fn new(inner: W, level: Level, threads: usize) -> Result<Compressor<W>> {
        Ok(Compressor {
            inner,
            pool: Pool::start(threads, || {
                let mut packer = Packer::default();
                move |block: &mut Block| packer.pack(block)
            })?,
            filling: Block::default(),
            spare: Vec::new(),
            unmade: blocks_for(threads) - 1,
            level,
            empty: true,
            failed: false,
        })
    }

    /// Ends the stream and gives `inner` back, flushed.
    pub fn finish(mut self) -> Result<W> {
        if self.empty {
            self.guarded(Self::submit)?; // nothing is one empty member
        }
        self.flush()?;
        Ok(self.inner)
    }

    /// Sends the block being filled to the workers and takes an empty one.
    fn submit(&mut self) -> io::Result<()> {
        let mut block = std::mem::take(&mut self.filling);
        block.level = match self.level {
            Level::Fixed(level) => level,
            Level::Adaptive => 3,
        };
        self.empty = false;
        self.pool.submit(block)?;
        while let Some(block) = self.pool.try_take() {
            self.hand_on(block?)?;
        }
        if self.spare.is_empty() && self.unmade > 0 {
            self.unmade -= 1;
            self.spare.push(Block::default());
        }
        while self.spare.is_empty()
            && let Some(block) = self.pool.take()
        {
            self.hand_on(block?)?;
        }
        self.filling = self.spare.pop().unwrap_or_default();
        Ok(())
    }

    /// Writes a finished member on; its buffers are free again.
    fn hand_on(&mut self, mut block: Block) -> io::Result<()> {
        self.inner.write_all(&block.packed)?;
        block.plain.clear();
        self.spare.push(block);
        Ok(())
    }

    /// Runs `step`. Once one has failed there is a hole in the output: nothing more is taken, nothing ends well.
    fn guarded(&mut self, step: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        if std::mem::replace(&mut self.failed, true) {
            return Err(Error::failed("cannot compress on after a failed write").into());
        }
        step(self)?;
        self.failed = false;
        Ok(())
    }
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.guarded(|this| match this.filling.plain.len() {
            BLOCK => this.submit(),
            _ => Ok(()),
        })?;
        let plain = &mut self.filling.plain;
        plain.reserve_exact(BLOCK - plain.len());
        let taken = bytes.len().min(BLOCK - plain.len());
        plain.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    /// Sends all that was taken so far on, which ends a member early.
    fn flush(&mut self) -> io::Result<()> {
        self.guarded(|this| {
            if !this.filling.plain.is_empty() {
                this.submit()?;
            }
            while let Some(block) = this.pool.take() {
                this.hand_on(block?)?;
            }
            this.inner.flush()
        })
    }
}

/// What a worker keeps from block to block: a compressor for each level it has met.
#[derive(Default)]
struct Packer([Option<libdeflater::Compressor>; 13]);

impl Packer {
    /// Makes `block.plain` the member `block.packed`.
    fn pack(&mut self, block: &mut Block) -> Result<()> {
        let level = block.level.clamp(1, 12);
        let broken = || Error::failed(format!("libdeflate cannot compress at level {level}"));
        let lvl = CompressionLvl::new(level.into()).map_err(|_| broken())?;
        let packer =
            self.0[usize::from(level)].get_or_insert_with(|| libdeflater::Compressor::new(lvl));
        let (plain, packed) = (&block.plain, &mut block.packed);
        packed.resize(
            HEADER + packer.deflate_compress_bound(plain.len()) + TRAILER,
            0,
        );
        let data = packer
            .deflate_compress(plain, &mut packed[HEADER..])
            .map_err(|_| broken())?;
        packed.truncate(HEADER + data);
        packed.extend_from_slice(&crc32(plain).to_le_bytes());
        packed.extend_from_slice(&(plain.len() as u32).to_le_bytes());
        let length = packed.len() as u32;
        packed[..OURS.len()].copy_from_slice(&OURS);
        packed[OURS.len()..HEADER].copy_from_slice(&length.to_le_bytes());
        Ok(())
    }
}

/// A reader of the plain bytes of the gzip stream `inner`.
///
/// It ends only when `inner` has ended after a whole member; anything else is [`Kind::Damaged`](crate::error::Kind::Damaged).
/// A failure of `inner` itself comes out as it is. After a failure every further read fails.
pub struct Decompressor<R: Read> {
    input: Input<R>,
    pool: Pool<Block>,
    /// Members to read ahead of the one being read.
    ahead: usize,
    reading: Block,
    /// How many plain bytes of it were read.
    done: usize,
    spare: Vec<Block>,
    failed: bool,
}

/// What the stream goes on with, behind the members under way.
enum Input<R: Read> {
    /// Members of ours, perhaps; the flag is set once there was one.
    Members(BufReader<Source<R>>, bool),
    /// One stream from here to its end, the first bytes of which were read before that was known.
    Foreign(MultiGzDecoder<io::Chain<Cursor<Vec<u8>>, BufReader<Source<R>>>>),
    /// Nothing, or this failure.
    Over(Result<(), io::Error>),
}

/// What was found where a member may begin.
enum Found {
    Member(Block),
    /// Not a member of ours: the bytes that tell.
    Foreign(Vec<u8>),
    End,
}

impl<R: Read> Decompressor<R> {
    /// Starts `threads` workers for the stream that the calling thread reads from `inner`.
    pub fn new(inner: R, threads: usize) -> Result<Decompressor<R>> {
        let source = Source {
            inner,
            at: 0,
            failure: None,
        };
        Ok(Decompressor {
            input: Input::Members(BufReader::with_capacity(READ_BUFFER, source), false),
            pool: Pool::start(threads, || {
                let mut inflater = libdeflater::Decompressor::new();
                move |block: &mut Block| unpack(&mut inflater, block)
            })?,
            ahead: blocks_for(threads) - 1,
            reading: Block::default(),
            done: 0,
            spare: Vec::new(),
            failed: false,
        })
    }

    /// Gives the workers members until enough are under way or there are no more.
    fn read_ahead(&mut self) -> io::Result<()> {
        while self.pool.pending() < self.ahead && matches!(self.input, Input::Members(..)) {
            let Input::Members(mut source, any) =
                std::mem::replace(&mut self.input, Input::Over(Ok(())))
            else {
                break;
            };
            let block = self.spare.pop().unwrap_or_default();
            self.input = match next_member(&mut source, block) {
                Ok(Found::Member(block)) => {
                    self.pool.submit(block)?;
                    Input::Members(source, true)
                }
                Ok(Found::Foreign(head)) => {
                    Input::Foreign(MultiGzDecoder::new(Cursor::new(head).chain(source)))
                }
                Ok(Found::End) if any => Input::Over(Ok(())),
                Ok(Found::End) => {
                    Input::Over(Err(Error::damaged("the gzip stream is empty").into()))
                }
                Err(error) => Input::Over(Err(error)),
            };
        }
        Ok(())
    }

    fn read_next(&mut self, space: &mut [u8]) -> io::Result<usize> {
        while self.done == self.reading.plain.len() {
            self.read_ahead()?;
            let Some(block) = self.pool.take() else {
                return match &mut self.input {
                    Input::Foreign(decoder) => read_foreign(decoder, space),
                    Input::Over(end) => std::mem::replace(end, Ok(())).map(|()| 0),
                    Input::Members(..) => Ok(0),
                };
            };
            self.spare
                .push(std::mem::replace(&mut self.reading, block?));
            self.done = 0;
        }
        let rest = &self.reading.plain[self.done..];
        let given = rest.len().min(space.len());
        space[..given].copy_from_slice(&rest[..given]);
        self.done += given;
        Ok(given)
    }
}

impl<R: Read> Read for Decompressor<R> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        if space.is_empty() {
            return Ok(0);
        }
        if self.failed {
            return Err(Error::failed("cannot read on in a gzip stream after a failure").into());
        }
        let result = self.read_next(space);
        self.failed = result.is_err();
        result
    }
}

/// Reads the next member of ours from `source` into `block`.
fn next_member<R: Read>(source: &mut BufReader<Source<R>>, mut block: Block) -> io::Result<Found> {
    block.at = source.get_ref().at - source.buffer().len() as u64;
    block.packed.clear();
    fill(source, &mut block.packed, HEADER)?;
    if block.packed.is_empty() {
        return Ok(Found::End);
    }
    let Some(length) = length_of_ours(&block.packed) else {
        return Ok(Found::Foreign(block.packed));
    };
    fill(source, &mut block.packed, length)?;
    if block.packed.len() < length {
        let message = format!(
            "the gzip stream ends inside the member that begins at byte {}",
            block.at
        );
        return Err(Error::damaged(message).into());
    }
    Ok(Found::Member(block))
}

/// Reads until `bytes` has `length` of them, or all there are.
fn fill<R: Read>(
    source: &mut BufReader<Source<R>>,
    bytes: &mut Vec<u8>,
    length: usize,
) -> io::Result<()> {
    let missing = length - bytes.len();
    bytes.reserve(missing);
    let result = source.by_ref().take(missing as u64).read_to_end(bytes);
    match result {
        Ok(_) => Ok(()),
        Err(error) => Err(source.get_mut().failure.take().unwrap_or(error)),
    }
}

/// The length of the whole member that begins with `head`, if it is one of ours.
fn length_of_ours(head: &[u8]) -> Option<usize> {
    let length = u32::from_le_bytes(head.strip_prefix(&OURS)?.try_into().ok()?) as usize;
    (HEADER + TRAILER..=LONGEST)
        .contains(&length)
        .then_some(length)
}

/// Makes the member `block.packed` the bytes `block.plain`.
fn unpack(inflater: &mut libdeflater::Decompressor, block: &mut Block) -> Result<()> {
    let damaged = || {
        Error::damaged(format!(
            "the gzip member that begins at byte {} is damaged",
            block.at
        ))
    };
    let (data, trailer) = block.packed[HEADER..]
        .split_last_chunk::<TRAILER>()
        .ok_or_else(damaged)?;
    let [c0, c1, c2, c3, l0, l1, l2, l3] = *trailer;
    let (crc, length) = (
        u32::from_le_bytes([c0, c1, c2, c3]),
        u32::from_le_bytes([l0, l1, l2, l3]) as usize,
    );
    if length > LONGEST {
        return Err(damaged());
    }
    block.plain.resize(length, 0);
    match inflater.deflate_decompress(data, &mut block.plain) {
        Ok(given) if given == length && crc32(&block.plain) == crc => Ok(()),
        _ => Err(damaged()),
    }
}

/// Reads from a stream that is not made of members of ours.
fn read_foreign<R: Read>(
    decoder: &mut MultiGzDecoder<io::Chain<Cursor<Vec<u8>>, BufReader<Source<R>>>>,
    space: &mut [u8],
) -> io::Result<usize> {
    decoder.read(space).map_err(|error| {
        let source = decoder.get_mut().get_mut().1;
        let at = source.get_ref().at - source.buffer().len() as u64;
        match source.get_mut().failure.take() {
            Some(failure) => failure,
            None if error.kind() == io::ErrorKind::UnexpectedEof => Error::damaged(format!(
                "the gzip stream is cut short: it ends at byte {at} inside a member"
            ))
            .into(),
            None => Error::damaged(format!("the gzip stream is damaged before byte {at}"))
                .because(error)
                .into(),
        }
    })
}

/// The reader below, which counts what it gave and keeps its own failure apart from those of the format.
struct Source<R> {
    inner: R,
    at: u64,
    failure: Option<io::Error>,
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.inner.read(space) {
                Ok(given) => {
                    self.at += given as u64;
                    return Ok(given);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failure = Some(error);
                    return Err(io::ErrorKind::Other.into());
                }
            }
        }
    }
}
