//! [`Gzip`], and its writing half: how hard each block is compressed.

use super::level::{Balance, Level};
use super::member::{BLOCK, Packer};
use crate::error::Result;
use crate::format::codec::block::Block;
use crate::format::codec::compress::BlockPacking;

/// The codec.
pub struct Gzip {
    level: Level,
    balance: Balance,
}

impl Gzip {
    /// Compresses at `level`.
    pub fn new(level: Level) -> Gzip {
        Gzip {
            level,
            balance: Balance::default(),
        }
    }
}

impl BlockPacking for Gzip {
    const BLOCK: usize = BLOCK;

    fn packer(&self) -> Result<impl FnMut(&mut Block) -> Result<()> + Send + 'static> {
        let mut packer = Packer::default();
        Ok(move |block: &mut Block| packer.pack(block))
    }

    fn choose(&mut self) -> u8 {
        match self.level {
            Level::Fixed(level) => level,
            Level::Adaptive => self.balance.choose(),
        }
    }

    fn learn(&mut self, block: &Block) {
        self.balance.learn(block);
    }
}
