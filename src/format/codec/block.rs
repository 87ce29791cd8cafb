//! A block: plain bytes, and what packs them without any other block.

use std::time::Duration;

/// A block on its way through.
#[derive(Default)]
pub struct Block {
    /// What is in it.
    pub plain: Vec<u8>,
    /// The part of the stream that it becomes, or was.
    pub packed: Vec<u8>,
    /// For the compressor, the level to use.
    pub level: u8,
    /// And the processor time it took, where that is asked for.
    pub took: Duration,
    /// For the decompressor, the byte of the stream at which it begins.
    pub at: u64,
    /// And how many plain bytes it says are in it.
    pub named: usize,
}

impl Block {
    /// The memory that it holds, in bytes, or will hold once it is unpacked.
    pub fn memory(&self) -> usize {
        self.packed.capacity() + self.plain.capacity().max(self.named)
    }
}
