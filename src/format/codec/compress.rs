//! The writing half: blocks go to the workers, and what they are packed as comes back in order.

use super::block::Block;
use super::pool::{Pool, blocks_for};
use crate::error::{Error, Result};
use std::io::{self, Write};

/// A codec as the writer needs it.
pub trait BlockPacking {
    /// Plain bytes in a block: long enough that cutting the stream costs little size.
    const BLOCK: usize;

    /// What a worker does with a block: makes `packed` of `plain`.
    fn packer(&self) -> Result<impl FnMut(&mut Block) -> Result<()> + Send + 'static>;

    /// The level for the next block.
    fn choose(&mut self) -> u8;

    /// Takes note of what a block came to.
    fn learn(&mut self, block: &Block);
}

/// A writer that hands its input on to `inner`, packed. [`Compressor::finish`] ends the stream; one that is dropped
/// instead is cut short.
pub struct Compressor<W: Write, C: BlockPacking> {
    inner: W,
    codec: C,
    pool: Pool<Block>,
    filling: Block,
    spare: Vec<Block>,
    /// Blocks that may still be made.
    unmade: usize,
    empty: bool,
    failed: bool,
}

impl<W: Write, C: BlockPacking> Compressor<W, C> {
    /// Starts `threads` workers for a stream that is written to `inner` by the calling thread.
    pub fn new(inner: W, codec: C, threads: usize) -> Result<Compressor<W, C>> {
        Ok(Compressor {
            inner,
            pool: Pool::start(threads, || codec.packer())?,
            codec,
            filling: Block::default(),
            spare: Vec::new(),
            unmade: blocks_for(threads) - 1,
            empty: true,
            failed: false,
        })
    }

    /// Ends the stream and gives `inner` back, flushed.
    pub fn finish(mut self) -> Result<W> {
        if self.empty {
            self.guarded(Self::submit)?; // nothing is one empty block
        }
        self.flush()?;
        Ok(self.inner)
    }

    /// Sends the block being filled to the workers and takes an empty one.
    fn submit(&mut self) -> io::Result<()> {
        let mut block = std::mem::take(&mut self.filling);
        block.level = self.codec.choose();
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

    /// Writes a packed block on; its buffers are free again.
    fn hand_on(&mut self, mut block: Block) -> io::Result<()> {
        self.codec.learn(&block);
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

impl<W: Write, C: BlockPacking> Write for Compressor<W, C> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.guarded(|this| match this.filling.plain.len() == C::BLOCK {
            true => this.submit(),
            false => Ok(()),
        })?;
        let plain = &mut self.filling.plain;
        plain.reserve_exact(C::BLOCK - plain.len());
        let taken = bytes.len().min(C::BLOCK - plain.len());
        plain.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    /// Sends all that was taken so far on, which ends a block early.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::codec::gzip::{Gzip, Level};
    use crate::format::codec::zstd::Zstd;

    fn assert_fixed_number_of_buffers<C: BlockPacking>(codec: C) {
        let mut writer = Compressor::new(io::sink(), codec, 2).unwrap();
        let piece: Vec<u8> = (0..C::BLOCK as u64 / 8)
            .flat_map(|n| (n * n).to_le_bytes())
            .collect();
        for _ in 0..40 {
            writer.write_all(&piece).unwrap();
            assert!(writer.pool.pending() + writer.spare.len() < blocks_for(2));
        }
        writer.finish().unwrap();
    }

    #[test]
    fn a_long_stream_is_written_with_a_fixed_number_of_buffers() {
        assert_fixed_number_of_buffers(Gzip::new(Level::Fixed(6)));
        assert_fixed_number_of_buffers(Zstd::new(3));
    }
}
