//! The writing half: blocks go to the workers, members come back in order.

use super::block::{BLOCK, Block, Packer};
use super::level::{Balance, Level};
use super::pool::{Pool, blocks_for};
use crate::error::{Error, Result};
use std::io::{self, Write};

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
    balance: Balance,
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
            balance: Balance::default(),
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
            Level::Adaptive => self.balance.choose(),
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
        self.balance.learn(&block);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_stream_is_written_with_a_fixed_number_of_buffers() {
        let mut writer = Compressor::new(io::sink(), Level::Fixed(6), 2).unwrap();
        let piece: Vec<u8> = (0..BLOCK as u64 / 8)
            .flat_map(|n| (n * n).to_le_bytes())
            .collect();
        for _ in 0..40 {
            writer.write_all(&piece).unwrap();
            assert!(writer.pool.pending() + writer.spare.len() < blocks_for(2));
        }
        writer.finish().unwrap();
    }
}
