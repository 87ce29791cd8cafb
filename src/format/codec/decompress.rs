//! The reading half: blocks that can be unpacked apart go to the workers, anything else is read as it comes.

use super::block::Block;
use super::pool::{Pool, blocks_for};
use super::source::PackedSource;
use crate::error::{Error, Result};
use std::io::{self, Read};

/// The longest block, packed or plain, that is unpacked apart: it is held in memory, a few at a time.
pub const LONGEST: usize = 4 * 1024 * 1024;

/// A codec as the reader needs it, over a stream read from `R`.
pub trait BlockUnpacking<R: Read> {
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

/// A reader of the plain bytes of the packed stream `inner`.
///
/// It ends only when `inner` has ended after a whole block; anything else is [`Kind::Damaged`](crate::error::Kind::Damaged).
/// A failure of `inner` itself comes out as it is. After a failure every further read fails.
pub struct Decompressor<R: Read, C: BlockUnpacking<R>> {
    input: Input<R, C::Stream>,
    pool: Pool<Block>,
    /// Blocks to read ahead of the one being read.
    ahead: usize,
    reading: Block,
    /// How many plain bytes of it were read.
    done: usize,
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

impl<R: Read, C: BlockUnpacking<R>> Decompressor<R, C> {
    /// Starts `threads` workers for the stream that the calling thread reads from `inner`.
    pub fn new(inner: R, threads: usize) -> Result<Decompressor<R, C>> {
        Ok(Decompressor {
            input: Input::Unknown(PackedSource::new(inner)),
            pool: Pool::start(threads, C::unpacker)?,
            ahead: blocks_for(threads) - 1,
            reading: Block::default(),
            done: 0,
            spare: Vec::new(),
            failed: false,
        })
    }

    /// Gives the workers blocks until enough are under way or there are no more.
    fn read_ahead(&mut self) -> Result<()> {
        while self.pool.pending() < self.ahead {
            let source = match std::mem::replace(&mut self.input, Input::Over(Ok(()))) {
                Input::Unknown(source) => source,
                other => {
                    self.input = other;
                    break;
                }
            };
            let spare = self.spare.pop().unwrap_or_default();
            self.input = match C::next(source, spare) {
                Ok(Upcoming::Block(block, source)) => {
                    self.pool.submit(block)?;
                    Input::Unknown(source)
                }
                Ok(Upcoming::Stream(stream)) => Input::Stream(stream),
                Ok(Upcoming::End) => Input::Over(Ok(())),
                Err(error) => Input::Over(Err(error)),
            };
        }
        Ok(())
    }

    fn read_next(&mut self, space: &mut [u8]) -> io::Result<usize> {
        while self.done == self.reading.plain.len() {
            self.read_ahead()?;
            if let Some(block) = self.pool.take() {
                self.spare
                    .push(std::mem::replace(&mut self.reading, block?));
                self.done = 0;
                continue;
            }
            self.input = match std::mem::replace(&mut self.input, Input::Over(Ok(()))) {
                Input::Stream(mut stream) => match C::read(&mut stream, space)? {
                    0 => C::behind(stream).map_or(Input::Over(Ok(())), Input::Unknown),
                    given => {
                        self.input = Input::Stream(stream);
                        return Ok(given);
                    }
                },
                Input::Over(end) => return end.map(|()| 0),
                unknown => unknown,
            };
        }
        let rest = &self.reading.plain[self.done..];
        let given = rest.len().min(space.len());
        space[..given].copy_from_slice(&rest[..given]);
        self.done += given;
        Ok(given)
    }
}

impl<R: Read, C: BlockUnpacking<R>> Read for Decompressor<R, C> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        if space.is_empty() {
            return Ok(0);
        }
        if self.failed {
            return Err(
                Error::failed("cannot read on in a compressed stream after a failure").into(),
            );
        }
        let result = self.read_next(space);
        self.failed = result.is_err();
        result
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
}
