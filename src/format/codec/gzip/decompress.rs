//! The reading half: members of ours go to the workers, any other stream is inflated as it comes.

use super::block::{Block, HEADER, length_of_ours, unpack};
use super::pool::{Pool, blocks_for};
use crate::error::{Error, Result};
use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufReader, Cursor, Read};

/// Bytes asked of the reader below at a time.
const READ_BUFFER: usize = 256 * 1024;

/// A reader of the plain bytes of the gzip stream `inner`.
///
/// It ends only when `inner` has ended after a whole member; anything else is [`Kind::Damaged`](crate::error::Kind::Damaged).
/// A failure of `inner` itself comes out as it is. After a failure every further read fails.
pub struct Decompressor<R: Read> {
    input: Input<R>,
    pool: Pool<Block>,
    /// Members to read ahead of the one being read.
    ahead: usize,
    reading: Block,
    /// How many plain bytes of it were read.
    done: usize,
    spare: Vec<Block>,
    failed: bool,
}

/// What the stream goes on with, behind the members under way.
enum Input<R: Read> {
    /// Members of ours, perhaps; the flag is set once there was one.
    Members(BufReader<CountedSource<R>>, bool),
    /// One stream from here to its end.
    Foreign(Box<Foreign<R>>),
    /// Nothing, or this failure.
    Over(Result<(), io::Error>),
}

/// A stream of which the first bytes were read before it was known to be foreign.
type Foreign<R> = MultiGzDecoder<io::Chain<Cursor<Vec<u8>>, BufReader<CountedSource<R>>>>;

/// What was found where a member may begin.
enum NextMember {
    Member(Block),
    /// Not a member of ours: the bytes that tell.
    Foreign(Vec<u8>),
    End,
}

impl<R: Read> Decompressor<R> {
    /// Starts `threads` workers for the stream that the calling thread reads from `inner`.
    pub fn new(inner: R, threads: usize) -> Result<Decompressor<R>> {
        let source = CountedSource {
            inner,
            at: 0,
            failure: None,
        };
        Ok(Decompressor {
            input: Input::Members(BufReader::with_capacity(READ_BUFFER, source), false),
            pool: Pool::start(threads, || {
                let mut inflater = libdeflater::Decompressor::new();
                move |block: &mut Block| unpack(&mut inflater, block)
            })?,
            ahead: blocks_for(threads) - 1,
            reading: Block::default(),
            done: 0,
            spare: Vec::new(),
            failed: false,
        })
    }

    /// Gives the workers members until enough are under way or there are no more.
    fn read_ahead(&mut self) -> io::Result<()> {
        while self.pool.pending() < self.ahead && matches!(self.input, Input::Members(..)) {
            let Input::Members(mut source, any) =
                std::mem::replace(&mut self.input, Input::Over(Ok(())))
            else {
                break;
            };
            let block = self.spare.pop().unwrap_or_default();
            self.input = match next_member(&mut source, block) {
                Ok(NextMember::Member(block)) => {
                    self.pool.submit(block)?;
                    Input::Members(source, true)
                }
                Ok(NextMember::Foreign(head)) => {
                    let rest = Cursor::new(head).chain(source);
                    Input::Foreign(Box::new(Foreign::new(rest)))
                }
                Ok(NextMember::End) if any => Input::Over(Ok(())),
                Ok(NextMember::End) => {
                    Input::Over(Err(Error::damaged("the gzip stream is empty").into()))
                }
                Err(error) => Input::Over(Err(error)),
            };
        }
        Ok(())
    }

    fn read_next(&mut self, space: &mut [u8]) -> io::Result<usize> {
        while self.done == self.reading.plain.len() {
            self.read_ahead()?;
            let Some(block) = self.pool.take() else {
                return match &mut self.input {
                    Input::Foreign(decoder) => read_foreign(decoder, space),
                    Input::Over(end) => std::mem::replace(end, Ok(())).map(|()| 0),
                    Input::Members(..) => Ok(0),
                };
            };
            self.spare
                .push(std::mem::replace(&mut self.reading, block?));
            self.done = 0;
        }
        let rest = &self.reading.plain[self.done..];
        let given = rest.len().min(space.len());
        space[..given].copy_from_slice(&rest[..given]);
        self.done += given;
        Ok(given)
    }
}

impl<R: Read> Read for Decompressor<R> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        if space.is_empty() {
            return Ok(0);
        }
        if self.failed {
            return Err(Error::failed("cannot read on in a gzip stream after a failure").into());
        }
        let result = self.read_next(space);
        self.failed = result.is_err();
        result
    }
}

/// Reads the next member of ours from `source` into `block`.
fn next_member<R: Read>(
    source: &mut BufReader<CountedSource<R>>,
    mut block: Block,
) -> io::Result<NextMember> {
    block.at = source.get_ref().at - source.buffer().len() as u64;
    block.packed.clear();
    fill(source, &mut block.packed, HEADER)?;
    if block.packed.is_empty() {
        return Ok(NextMember::End);
    }
    let Some(length) = length_of_ours(&block.packed) else {
        return Ok(NextMember::Foreign(block.packed));
    };
    fill(source, &mut block.packed, length)?;
    if block.packed.len() < length {
        let message = format!(
            "the gzip stream ends inside the member that begins at byte {}",
            block.at
        );
        return Err(Error::damaged(message).into());
    }
    Ok(NextMember::Member(block))
}

/// Reads until `bytes` has `length` of them, or all there are.
fn fill<R: Read>(
    source: &mut BufReader<CountedSource<R>>,
    bytes: &mut Vec<u8>,
    length: usize,
) -> io::Result<()> {
    let missing = length - bytes.len();
    bytes.reserve(missing);
    let result = source.by_ref().take(missing as u64).read_to_end(bytes);
    match result {
        Ok(_) => Ok(()),
        Err(error) => Err(source.get_mut().failure.take().unwrap_or(error)),
    }
}

/// Reads from a stream that is not made of members of ours.
fn read_foreign<R: Read>(decoder: &mut Foreign<R>, space: &mut [u8]) -> io::Result<usize> {
    decoder.read(space).map_err(|error| {
        let source = decoder.get_mut().get_mut().1;
        let at = source.get_ref().at - source.buffer().len() as u64;
        match source.get_mut().failure.take() {
            Some(failure) => failure,
            None if error.kind() == io::ErrorKind::UnexpectedEof => Error::damaged(format!(
                "the gzip stream is cut short: it ends at byte {at} inside a member"
            ))
            .into(),
            None => Error::damaged(format!("the gzip stream is damaged before byte {at}"))
                .because(error)
                .into(),
        }
    })
}

/// The reader below, which counts what it gave and keeps its own failure apart from those of the format.
struct CountedSource<R> {
    inner: R,
    at: u64,
    failure: Option<io::Error>,
}

impl<R: Read> Read for CountedSource<R> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.inner.read(space) {
                Ok(given) => {
                    self.at += given as u64;
                    return Ok(given);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failure = Some(error);
                    return Err(io::ErrorKind::Other.into());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::codec::gzip::block::BLOCK;
    use crate::format::codec::gzip::{Compressor, Level};
    use std::io::Write;

    #[test]
    fn a_long_stream_is_read_with_a_fixed_number_of_buffers() {
        let mut writer = Compressor::new(Vec::new(), Level::Fixed(1), 2).unwrap();
        writer.write_all(&vec![b'x'; 40 * BLOCK]).unwrap();
        let packed = writer.finish().unwrap();
        let mut reader = Decompressor::new(&packed[..], 2).unwrap();
        let (mut space, mut plain) = (vec![0; 100_000], 0);
        loop {
            let given = reader.read(&mut space).unwrap();
            plain += given;
            assert!(reader.pool.pending() + reader.spare.len() < blocks_for(2));
            if given == 0 {
                break;
            }
        }
        assert_eq!(plain, 40 * BLOCK);
    }
}
