//! A gzip member, made of a block and read back.

use crate::error::{Error, Result};
use crate::format::codec::block::Block;
use crate::format::codec::decompress::LONGEST;
use libdeflater::{CompressionLvl, crc32};
use rustix::time::{ClockId, clock_gettime};

/// Plain bytes in a member: long enough that cutting the stream costs little size.
pub(super) const BLOCK: usize = 512 * 1024;

/// The start of our members, up to their length.
pub(super) const OURS: [u8; 16] = *b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x08\0BK\x04\0";
pub(super) const HEADER: usize = OURS.len() + 4;
pub(super) const TRAILER: usize = 8;

/// What a worker keeps from block to block: a compressor for each level it has met.
#[derive(Default)]
pub(super) struct Packer([Option<libdeflater::Compressor>; 13]);

impl Packer {
    /// Makes `block.plain` the member `block.packed`.
    pub(super) fn pack(&mut self, block: &mut Block) -> Result<()> {
        let start = clock_gettime(ClockId::ThreadCPUTime);
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
        let took = clock_gettime(ClockId::ThreadCPUTime) - start;
        block.took = took.try_into().unwrap_or_default();
        Ok(())
    }
}

/// The length of the whole member that begins with `head`, if it is one of ours.
pub(super) fn length_of_ours(head: &[u8]) -> Option<usize> {
    let length = u32::from_le_bytes(head.strip_prefix(&OURS)?.try_into().ok()?) as usize;
    (HEADER + TRAILER..=LONGEST)
        .contains(&length)
        .then_some(length)
}

/// How many plain bytes the whole member `packed` says are in it.
pub(super) fn named_length(packed: &[u8]) -> usize {
    let length = packed.last_chunk().copied();
    length.map_or(0, |length| u32::from_le_bytes(length) as usize)
}

/// Makes the member `block.packed` the bytes `block.plain`.
pub(super) fn unpack(inflater: &mut libdeflater::Decompressor, block: &mut Block) -> Result<()> {
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
    block.plain.truncate(length);
    block.plain.reserve_exact(length - block.plain.len());
    block.plain.resize(length, 0);
    match inflater.deflate_decompress(data, &mut block.plain) {
        Ok(given) if given == length && crc32(&block.plain) == crc => Ok(()),
        _ => Err(damaged()),
    }
}
