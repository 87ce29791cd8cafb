//! The writing half: blocks go to the workers, members come back in order.

use super::pool::Pool;
use super::{BLOCK, Block, Packer, blocks_for};
use crate::error::{Error, Result};
use std::io::{self, Write};

/// How hard to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Chosen block by block.
    Adaptive,
    /// libdeflate's level, 1 (fast) to 12 (small).
    Fixed(u8),
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

/// The adaptive level: a stretch of the stream is made small where that is worth its time.
///
/// What follows in a dump is mostly like what went just before, so the last blocks at each of two levels tell what
/// the next would become and take. `SMALL` is used while a percent of size saved costs less than `WORTH` percent more
/// processor time; every `PROBE`th block goes the other way to keep the comparison fresh. On mixed data
/// this is as small as `gzip -6`: JSON, readings and files turned out to be worth it, prose and hashes not.
#[derive(Default)]
struct Balance {
    fast: Option<Cost>,
    small: Option<Cost>,
    chosen: u64,
}

/// What compressing at one level came to lately, for each plain byte.
#[derive(Clone, Copy)]
struct Cost {
    size: f64,
    time: f64,
}

impl Balance {
    const FAST: u8 = 1;
    const SMALL: u8 = 5;
    const WORTH: f64 = 14.0;
    const PROBE: u64 = 16;

    /// The level for the next block.
    fn choose(&mut self) -> u8 {
        self.chosen += 1;
        let small = match (self.fast, self.small) {
            (_, None) => true,
            (None, _) => false,
            (Some(fast), Some(small)) => {
                let (saved, longer) = (1.0 - small.size / fast.size, small.time / fast.time - 1.0);
                (longer < Self::WORTH * saved) != self.chosen.is_multiple_of(Self::PROBE)
            }
        };
        if small { Self::SMALL } else { Self::FAST }
    }

    /// Takes note of what a block came to.
    fn learn(&mut self, block: &Block) {
        let cost = match block.level {
            Self::FAST => &mut self.fast,
            Self::SMALL => &mut self.small,
            _ => return,
        };
        if block.plain.len() < BLOCK {
            return; // the last one, perhaps too short to tell
        }
        let plain = BLOCK as f64;
        let (size, time) = (
            block.packed.len() as f64 / plain,
            block.took.as_nanos() as f64 / plain,
        );
        let before = cost.unwrap_or(Cost { size, time });
        *cost = Some(Cost {
            size: before.size + (size - before.size) / 4.0,
            time: before.time + (time - before.time) / 4.0,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

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

    /// How often each level is chosen in a thousand blocks of which `SMALL` makes `size` bytes and takes `time`,
    /// where `FAST` makes 200000 and takes 100.
    fn chosen(size: usize, time: u64) -> (usize, usize) {
        let mut balance = Balance::default();
        let small = (0..1000).filter(|_| {
            let level = balance.choose();
            let small = level == Balance::SMALL;
            balance.learn(&Block {
                plain: vec![0; BLOCK],
                packed: vec![0; if small { size } else { 200_000 }],
                took: Duration::from_nanos(if small { time } else { 100 }),
                level,
                at: 0,
            });
            small
        });
        let small = small.count();
        (small, 1000 - small)
    }

    #[test]
    fn blocks_are_made_small_where_it_saves_enough_and_the_other_level_is_still_tried() {
        // saves 10 %, takes twice the time: worth it; one in sixteen checks
        assert_eq!(chosen(180_000, 200), (937, 63));
        // saves 10 %, takes three times the time: not worth it
        assert_eq!(chosen(180_000, 300), (63, 937));
        // no smaller, or even larger
        assert_eq!(chosen(200_000, 101), (63, 937));
        assert_eq!(chosen(201_000, 101), (63, 937));
        // no slower
        assert_eq!(chosen(199_999, 90), (937, 63));
    }

    #[test]
    fn a_change_in_the_data_is_noticed() {
        let mut balance = Balance::default();
        let learn = |balance: &mut Balance, small_size: usize| {
            let level = balance.choose();
            balance.learn(&Block {
                plain: vec![0; BLOCK],
                packed: vec![
                    0;
                    if level == Balance::SMALL {
                        small_size
                    } else {
                        200_000
                    }
                ],
                took: Duration::from_nanos(if level == Balance::SMALL { 200 } else { 100 }),
                level,
                at: 0,
            });
            level
        };
        for _ in 0..100 {
            learn(&mut balance, 200_000);
        }
        assert_eq!(learn(&mut balance, 200_000), Balance::FAST);
        for _ in 0..100 {
            learn(&mut balance, 150_000);
        }
        assert_eq!(learn(&mut balance, 150_000), Balance::SMALL);
    }
}
