//! The reading half: blocks that can be unpacked apart go to the workers, anything else is read as it comes.

use super::block::Block;
use super::pool::{Pool, blocks_for};
use super::source::PackedSource;
use crate::error::{Error, Result};
use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::ops::Range;

/// The longest block, packed or plain, that is unpacked apart: it is held in memory, a few at a time.
pub const LONGEST: usize = 4 * 1024 * 1024;

/// A codec as the reader needs it, over a stream read from `R`.
pub trait BlockUnpacking<R: BufRead> {
    /// A part of the stream that is read as it comes.
    type Stream;

    /// What a worker does with a block: makes `plain` of `packed`.
    fn unpacker() -> Result<impl FnMut(&mut Block) -> Result<()> + Send + 'static>;

    /// What comes next; the buffers of `block` are there to be used.
    fn next(source: PackedSource<R>, block: Block) -> io::Result<Upcoming<R, Self::Stream>>;

    /// Reads on in a stream; 0 is its end.
    fn read(stream: &mut Self::Stream, space: &mut [u8]) -> io::Result<usize>;

    /// What follows a stream that has ended, where anything may.
    fn behind(stream: Self::Stream) -> Option<PackedSource<R>>;
}

/// What a packed stream goes on with.
pub enum Upcoming<R, S> {
    /// A block that can be unpacked apart, and what is behind it.
    Block(Block, PackedSource<R>),
    /// Something else.
    Stream(S),
    /// Nothing: it has ended, and well.
    End,
}

/// Bytes of blocks, packed and plain, that are under way at most, and one block more: with many threads and long blocks of
/// others this is what bounds the memory, otherwise the number of blocks is.
const UNDER_WAY: usize = 48 * 1024 * 1024;
/// Bytes of a stream that are unpacked at a time.
const STREAM_PIECE: usize = 256 * 1024;

/// A reader of the plain bytes of the packed stream `inner`.
///
/// It ends only when `inner` has ended after a whole block; anything else is [`Kind::Damaged`](crate::error::Kind::Damaged),
/// and so is a stream without a single block. A failure of `inner` itself comes out as it is. After a failure every further
/// read fails.
pub struct Decompressor<R: BufRead, C: BlockUnpacking<R>> {
    input: Input<R, C::Stream>,
    /// True once the stream had something to unpack.
    has_begun: bool,
    pool: Pool<Block>,
    /// Blocks to read ahead of the one being read.
    ahead: usize,
    /// The memory of each block in the pool, the oldest first.
    under_way: VecDeque<usize>,
    reading: Block,
    /// The plain bytes of it that wait to be read.
    ready: Range<usize>,
    spare: Vec<Block>,
    failed: bool,
}

/// What the stream goes on with, behind the blocks under way.
enum Input<R, S> {
    /// Not looked at so far.
    Unknown(PackedSource<R>),
    /// What is read as it comes.
    Stream(S),
    /// Nothing, or this failure.
    Over(io::Result<()>),
}

impl<R: BufRead, C: BlockUnpacking<R>> Decompressor<R, C> {
    /// Starts `threads` workers for the stream that the calling thread reads from `inner`.
    pub fn new(inner: R, threads: usize) -> Result<Decompressor<R, C>> {
        Ok(Decompressor {
            input: Input::Unknown(PackedSource::new(inner)),
            has_begun: false,
            pool: Pool::start(threads, C::unpacker)?,
            ahead: blocks_for(threads) - 1,
            under_way: VecDeque::new(),
            reading: Block::default(),
            ready: 0..0,
            spare: Vec::new(),
            failed: false,
        })
    }

    /// Gives the workers blocks until enough are under way or there are no more.
    fn read_ahead(&mut self) -> Result<()> {
        while self.has_room() {
            let source = match std::mem::replace(&mut self.input, Input::Over(Ok(()))) {
                Input::Unknown(source) => source,
                other => {
                    self.input = other;
                    break;
                }
            };
            let spare = self.spare.pop().unwrap_or_default();
            let next = C::next(source, spare);
            let had_begun = self.has_begun;
            self.has_begun |= matches!(next, Ok(Upcoming::Block(..) | Upcoming::Stream(_)));
            self.input = match next {
                Ok(Upcoming::Block(block, source)) => {
                    self.under_way.push_back(block.memory());
                    self.pool.submit(block)?;
                    Input::Unknown(source)
                }
                Ok(Upcoming::Stream(stream)) => Input::Stream(stream),
                Ok(Upcoming::End) if !had_begun => Input::Over(Err(nothing().into())),
                Ok(Upcoming::End) => Input::Over(Ok(())),
                Err(error) => Input::Over(Err(error)),
            };
        }
        Ok(())
    }

    fn has_room(&self) -> bool {
        match self.pool.pending() {
            0 => true,
            pending => pending < self.ahead && self.memory_under_way() < UNDER_WAY,
        }
    }

    fn memory_under_way(&self) -> usize {
        self.under_way.iter().sum::<usize>() + self.reading.memory()
    }

    /// Begins to read `block`; the buffers of the one before are used again, where there is room for them.
    fn begin(&mut self, block: Block) {
        self.ready = 0..block.plain.len();
        let mut read = std::mem::replace(&mut self.reading, block);
        read.named = 0;
        let spare: usize = self.spare.iter().map(Block::memory).sum();
        if self.memory_under_way() + spare + read.memory() <= UNDER_WAY {
            self.spare.push(read);
        }
    }

    /// Makes more plain bytes ready, and none where the stream has ended.
    fn unpack(&mut self) -> io::Result<()> {
        while self.ready.is_empty() {
            self.read_ahead()?;
            if let Some(block) = self.pool.take() {
                self.under_way.pop_front();
                self.begin(block?);
                continue;
            }
            self.input = match std::mem::replace(&mut self.input, Input::Over(Ok(()))) {
                Input::Stream(mut stream) => {
                    let plain = &mut self.reading.plain;
                    plain.resize(STREAM_PIECE, 0);
                    self.ready = 0..C::read(&mut stream, plain)?;
                    match self.ready.is_empty() {
                        true => C::behind(stream).map_or(Input::Over(Ok(())), Input::Unknown),
                        false => Input::Stream(stream),
                    }
                }
                Input::Over(end) => return end,
                unknown => unknown,
            };
        }
        Ok(())
    }
}

/// It is whole by its own rules, and nobody makes a backup of it.
fn nothing() -> Error {
    Error::damaged("there is nothing in the compressed stream but parts that are to be skipped")
}

impl<R: BufRead, C: BlockUnpacking<R>> BufRead for Decompressor<R, C> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.ready.is_empty() {
            if self.failed {
                let what = "cannot read on in a compressed stream after a failure";
                return Err(Error::failed(what).into());
            }
            let result = self.unpack();
            self.failed = result.is_err();
            result?;
        }
        Ok(&self.reading.plain[self.ready.clone()])
    }

    fn consume(&mut self, count: usize) {
        self.ready.start = self.ready.end.min(self.ready.start + count);
    }
}

impl<R: BufRead, C: BlockUnpacking<R>> Read for Decompressor<R, C> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        if space.is_empty() {
            return Ok(0);
        }
        let count = self.fill_buf()?.read(space)?;
        self.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::codec::compress::{BlockPacking, Compressor};
    use crate::format::codec::gzip::{Gzip, Level};
    use crate::format::codec::zstd::Zstd;
    use std::io::Write;

    fn assert_fixed_number_of_buffers<C: BlockPacking + for<'a> BlockUnpacking<&'a [u8]>>(
        codec: C,
    ) {
        let mut writer = Compressor::new(Vec::new(), codec, 2).unwrap();
        writer.write_all(&vec![b'x'; 40 * C::BLOCK]).unwrap();
        let packed = writer.finish().unwrap();
        let mut reader = Decompressor::<_, C>::new(&packed[..], 2).unwrap();
        let (mut space, mut plain) = (vec![0; 100_000], 0);
        loop {
            let given = reader.read(&mut space).unwrap();
            plain += given;
            assert!(reader.pool.pending() + reader.spare.len() < blocks_for(2));
            if given == 0 {
                break;
            }
            assert!(
                matches!(reader.input, Input::Over(_)) || reader.pool.pending() > 1,
                "blocks are unpacked ahead"
            );
        }
        assert_eq!(plain, 40 * C::BLOCK);
    }

    #[test]
    fn a_long_stream_is_read_with_a_fixed_number_of_buffers_and_ahead() {
        assert_fixed_number_of_buffers(Gzip::new(Level::Fixed(1)));
        assert_fixed_number_of_buffers(Zstd::new(1));
    }

    #[test]
    fn long_frames_of_others_are_under_way_only_as_far_as_memory_goes() {
        let mut state = 1u64;
        let random = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        });
        let frame: Vec<u8> = random.take(LONGEST).collect();
        let frame = zstd::bulk::compress(&frame, 1).unwrap();
        let packed = frame.repeat(40);
        let mut reader = Decompressor::<_, Zstd>::new(&packed[..], 8).unwrap();
        let (mut most, mut plain) = (0, 0);
        loop {
            let given = reader.fill_buf().unwrap().len();
            let spare: usize = reader.spare.iter().map(Block::memory).sum();
            most = most.max(reader.memory_under_way() + spare);
            plain += given;
            if given == 0 {
                break;
            }
            assert!(plain + LONGEST >= 40 * LONGEST || reader.pool.pending() > 0);
            reader.consume(given);
        }
        assert_eq!(plain, 40 * LONGEST);
        assert!(most <= UNDER_WAY + 4 * LONGEST, "{most}");
    }
}
