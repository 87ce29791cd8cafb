//! The reading half: short frames that name their length are blocks, any other is decompressed as it comes.

use super::frame::{FrameBody, FrameHeader, FrameKind, MAGIC_LENGTH, WINDOW, cut, damaged};
use super::write::Zstd;
use crate::error::{Error, Result};
use crate::format::codec::block::Block;
use crate::format::codec::decompress::{BlockUnpacking, LONGEST, Upcoming};
use crate::format::codec::source::PackedSource;
use std::io::{self, BufRead};
use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, get_error_name};

/// The longest frame that is unpacked apart: what cannot be made smaller takes a little more.
const LONGEST_FRAME: usize = LONGEST + LONGEST / 256 + 1024;

impl<R: BufRead> BlockUnpacking<R> for Zstd {
    type Stream = Box<FrameStream<R>>;

    fn unpacker() -> Result<impl FnMut(&mut Block) -> Result<()> + Send + 'static> {
        let mut context = decoder()?;
        Ok(move |block: &mut Block| unpack(&mut context, block))
    }

    fn next(
        mut source: PackedSource<R>,
        mut block: Block,
    ) -> io::Result<Upcoming<R, Self::Stream>> {
        loop {
            let at = source.at();
            block.at = at;
            block.packed.clear();
            source.fill(&mut block.packed, MAGIC_LENGTH)?;
            if block.packed.is_empty() {
                return match at {
                    0 => Err(Error::damaged("the zstd stream is empty").into()),
                    _ => Ok(Upcoming::End),
                };
            }
            match FrameKind::of(&block.packed) {
                Some(FrameKind::Data) => return next_frame(source, block),
                Some(FrameKind::Skippable) => skip(&mut source, at)?,
                Some(FrameKind::Other) | None => {
                    let what = format!("the bytes from {at} on are no zstd frame");
                    return Err(Error::damaged(what).into());
                }
            }
        }
    }

    fn read(stream: &mut Self::Stream, space: &mut [u8]) -> io::Result<usize> {
        stream.read(space)
    }

    fn behind(stream: Self::Stream) -> Option<PackedSource<R>> {
        Some(stream.source)
    }
}

/// Reads the frame of which `block` holds the magic.
fn next_frame<R: BufRead>(
    mut source: PackedSource<R>,
    mut block: Block,
) -> io::Result<Upcoming<R, Box<FrameStream<R>>>> {
    let at = block.at;
    let header = FrameHeader::read(&mut source, &mut block.packed, at)?;
    let header = header.ok_or_else(|| cut(at))?;
    header.require_readable(at)?;
    if header.plain.is_some_and(|plain| plain <= LONGEST as u64) {
        match header.read_body(&mut source, &mut block.packed, LONGEST_FRAME, at)? {
            FrameBody::Whole => {
                block.named = header.plain.map_or(0, |plain| plain as usize);
                return Ok(Upcoming::Block(block, source));
            }
            FrameBody::Cut => return Err(cut(at).into()),
            FrameBody::TooLong => {}
        }
    }
    source.give_back(block.packed);
    Ok(Upcoming::Stream(Box::new(FrameStream {
        context: decoder()?,
        source,
        at,
        named: header.plain,
        given: 0,
        has_ended: false,
    })))
}

/// Passes over the skippable frame that begins at byte `at`, behind its magic.
fn skip<R: BufRead>(source: &mut PackedSource<R>, at: u64) -> io::Result<()> {
    let mut length = Vec::with_capacity(4);
    source.fill(&mut length, 4)?;
    let length = length.first_chunk().copied().map(u32::from_le_bytes);
    match source.skip(length.ok_or_else(|| cut(at))?.into())? {
        true => Ok(()),
        false => Err(cut(at).into()),
    }
}

fn decoder() -> Result<DCtx<'static>> {
    let no_memory = || Error::failed("no memory to decompress zstd with");
    let mut context = DCtx::try_create().ok_or_else(no_memory)?;
    let limit = DParameter::WindowLogMax(WINDOW.ilog2());
    context.set_parameter(limit).map_err(|_| no_memory())?;
    Ok(context)
}

/// Makes the frame `block.packed`, which names its length, the bytes `block.plain`.
fn unpack(context: &mut DCtx, block: &mut Block) -> Result<()> {
    let named = zstd::zstd_safe::get_frame_content_size(&block.packed);
    let length = match named {
        Ok(Some(length)) if length <= LONGEST as u64 => length as usize,
        _ => return Err(damaged(block.at)),
    };
    block.plain.clear();
    block.plain.reserve_exact(length);
    match context.decompress(&mut block.plain, &block.packed) {
        Ok(given) if given == length => Ok(()),
        Ok(_) => Err(damaged(block.at)),
        Err(code) => Err(damaged(block.at).because(get_error_name(code))),
    }
}

/// A frame that is decompressed as it comes.
pub struct FrameStream<R> {
    context: DCtx<'static>,
    source: PackedSource<R>,
    /// The byte of the stream at which it begins.
    at: u64,
    /// The plain bytes that it says are in it, and those that were.
    named: Option<u64>,
    given: u64,
    has_ended: bool,
}

impl<R: BufRead> FrameStream<R> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        while !self.has_ended {
            let packed = match self.source.fill_buf() {
                Ok(packed) => packed,
                Err(error) => return Err(self.source.failure_or(error)),
            };
            let mut input = InBuffer::around(packed);
            let mut output = OutBuffer::around(space);
            let step = self.context.decompress_stream(&mut output, &mut input);
            let (taken, given) = (input.pos(), output.pos());
            let is_cut = packed.is_empty();
            self.source.consume(taken);
            let wanted = step.map_err(|code| damaged(self.at).because(get_error_name(code)))?;
            self.given += given as u64;
            self.has_ended = wanted == 0;
            // the library does not compare them where the last block is an empty one
            if self.has_ended && self.named.is_some_and(|named| named != self.given) {
                return Err(damaged(self.at).into());
            }
            if given > 0 || self.has_ended {
                return Ok(given);
            }
            if is_cut {
                return Err(cut(self.at).into());
            }
        }
        Ok(0)
    }
}
