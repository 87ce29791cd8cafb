//! [`Zstd`], and its writing half.
//!
//! One level for the whole stream, where gzip chooses one for each block: there is little to choose. Of the benchmark's mix
//! level 2 makes 2.1 % more bytes than level 3 in three quarters of its time, and level 4 makes 0.5 % less in 1.35 times as long.

use crate::error::{Error, Result};
use crate::format::codec::block::Block;
use crate::format::codec::compress::BlockPacking;
use std::ops::RangeInclusive;
use zstd::zstd_safe::{CCtx, CParameter, compress_bound, get_error_name};

/// The levels of zstd that are used, from fast to small. Those beyond differ in windows that are longer than a block.
pub const LEVELS: RangeInclusive<u8> = 1..=19;
/// What is used for dumps where nobody asks for another.
pub const DUMP_LEVEL: u8 = 3;
/// The same for the files of a cluster, which compress alike at every fast level: a cluster of 2.9 GB took 4.0 s and 300 MB at
/// this one, 4.6 s and 291 MB at level 2, 5.8 s and 288 MB at level 3 (benches/cluster, two cores).
pub const FILES_LEVEL: u8 = 1;

/// The codec.
pub struct Zstd {
    level: u8,
}

impl Zstd {
    /// Compresses at `level`, one of [`LEVELS`].
    pub fn new(level: u8) -> Zstd {
        Zstd { level }
    }
}

impl BlockPacking for Zstd {
    /// Half of it makes 0.5 % more bytes of the benchmark's mix, twice of it 0.3 % less in twice the memory.
    const BLOCK: usize = 2 * 1024 * 1024;

    fn packer(&self) -> Result<impl FnMut(&mut Block) -> Result<()> + Send + 'static> {
        let mut context =
            CCtx::try_create().ok_or_else(|| Error::failed("no memory to compress with zstd"))?;
        let level = CParameter::CompressionLevel(self.level.into());
        for parameter in [
            level,
            CParameter::ContentSizeFlag(true),
            CParameter::ChecksumFlag(true),
        ] {
            context.set_parameter(parameter).map_err(failed)?;
        }
        Ok(move |block: &mut Block| {
            block.packed.clear();
            block
                .packed
                .reserve_exact(compress_bound(block.plain.len()));
            let done = context.compress2(&mut block.packed, &block.plain);
            done.map(|_| ()).map_err(failed)
        })
    }

    fn choose(&mut self) -> u8 {
        self.level
    }

    fn learn(&mut self, _: &Block) {}
}

fn failed(code: usize) -> Error {
    Error::failed("cannot compress with zstd").because(get_error_name(code))
}
