//! The reading half: members of ours are blocks, any other stream is inflated as it comes.

use super::member::{HEADER, length_of_ours, named_length, unpack};
use super::write::Gzip;
use crate::error::{Error, Result};
use crate::format::codec::block::Block;
use crate::format::codec::decompress::{BlockUnpacking, LONGEST, Upcoming};
use crate::format::codec::source::PackedSource;
use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufRead, Read};

impl<R: BufRead> BlockUnpacking<R> for Gzip {
    type Stream = Box<MultiGzDecoder<PackedSource<R>>>;

    fn unpacker() -> Result<impl FnMut(&mut Block) -> Result<()> + Send + 'static> {
        let mut inflater = libdeflater::Decompressor::new();
        Ok(move |block: &mut Block| unpack(&mut inflater, block))
    }

    fn next(
        mut source: PackedSource<R>,
        mut block: Block,
    ) -> io::Result<Upcoming<R, Self::Stream>> {
        block.at = source.at();
        block.packed.clear();
        source.fill(&mut block.packed, HEADER)?;
        if block.packed.is_empty() {
            return match block.at {
                0 => Err(Error::damaged("the gzip stream is empty").into()),
                _ => Ok(Upcoming::End),
            };
        }
        let Some(length) = length_of_ours(&block.packed) else {
            source.give_back(block.packed);
            return Ok(Upcoming::Stream(Box::new(MultiGzDecoder::new(source))));
        };
        match source.fill(&mut block.packed, length)? {
            true => {
                // a lie of more is found when it is unpacked
                block.named = named_length(&block.packed).min(LONGEST);
                Ok(Upcoming::Block(block, source))
            }
            false => Err(Error::damaged(format!(
                "the gzip stream ends inside the member that begins at byte {}",
                block.at
            ))
            .into()),
        }
    }

    fn read(stream: &mut Self::Stream, space: &mut [u8]) -> io::Result<usize> {
        stream.read(space).map_err(|error| {
            let source = stream.get_mut();
            let at = source.at();
            match source.failure() {
                Some(failure) => failure,
                None if error.kind() == io::ErrorKind::UnexpectedEof => {
                    let what = format!(
                        "the gzip stream is cut short: it ends at byte {at} inside a member"
                    );
                    Error::damaged(what).into()
                }
                None => Error::damaged(format!("the gzip stream is damaged before byte {at}"))
                    .because(error)
                    .into(),
            }
        })
    }

    /// It is read to the end of the file.
    fn behind(_: Self::Stream) -> Option<PackedSource<R>> {
        None
    }
}
