//! The header of a file `INCREMENTAL.*`: which blocks of a relation's file an incremental backup holds.
//!
//! Magic, count, the length to which the file is cut, and so many block numbers, 32 bits each; where there are blocks, zeros up to
//! a whole page. The blocks follow in that order.

use super::page::PAGE;
use crate::error::{Error, Result};

const MAGIC: u32 = 0xd3ae_1f0d;
const FIXED: usize = 12;
/// A file of a relation has no more blocks.
const MOST: u32 = 131_072;

/// The header, read in pieces.
#[derive(Debug, Default)]
pub struct IncrementalHeader {
    bytes: Vec<u8>,
    /// Its length, once that is known.
    length: Option<usize>,
    count: u32,
}

impl IncrementalHeader {
    /// Takes what belongs to the header, and returns the rest.
    pub fn feed<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8]> {
        let rest = self.fill(bytes, FIXED);
        if self.length.is_none() && self.bytes.len() >= FIXED {
            let (magic, count) = (self.word(0), self.word(1));
            if magic != MAGIC || count > MOST {
                return Err(Error::damaged(
                    "a file of the incremental backup does not begin as such files do",
                ));
            }
            let whole = FIXED + 4 * count as usize;
            self.count = count;
            self.length = Some(match count {
                0 => whole,
                _ => whole.next_multiple_of(PAGE),
            });
        }
        Ok(match self.length {
            Some(length) => self.fill(rest, length),
            None => rest,
        })
    }

    /// The size of the file once it is put together: it is cut to a length, and then reaches to the last of its blocks.
    pub fn whole_bytes(&self) -> u64 {
        let last = (0..self.count).filter_map(|at| self.block(at)).max();
        let blocks = last.map_or(0, |last| last + 1).max(self.word(2));
        u64::from(blocks) * PAGE as u64
    }

    /// The number of the block that comes `at` this place.
    pub fn block(&self, at: u32) -> Option<u32> {
        (at < self.count).then(|| self.word(3 + at as usize))
    }

    fn fill<'a>(&mut self, bytes: &'a [u8], length: usize) -> &'a [u8] {
        let missing = length.saturating_sub(self.bytes.len());
        let (own, rest) = bytes.split_at(missing.min(bytes.len()));
        self.bytes.extend_from_slice(own);
        rest
    }

    /// The word at this place, which is there.
    fn word(&self, at: usize) -> u32 {
        let word = self.bytes.get(4 * at..4 * at + 4);
        word.and_then(|word| <[u8; 4]>::try_from(word).ok())
            .map_or(0, u32::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(blocks: &[u32]) -> Vec<u8> {
        let mut words = vec![MAGIC, blocks.len() as u32, 100];
        words.extend(blocks);
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        if !blocks.is_empty() {
            bytes.resize(bytes.len().next_multiple_of(PAGE), 0);
        }
        bytes
    }

    #[test]
    fn it_ends_where_the_blocks_begin() {
        for size in [1, 5, 100_000] {
            let mut bytes = header(&[7, 9]);
            bytes.extend(b"page");
            let (mut read, mut rest) = (IncrementalHeader::default(), Vec::<u8>::new());
            for piece in bytes.chunks(size) {
                rest.extend(read.feed(piece).unwrap());
            }
            assert_eq!(rest, b"page");
            assert_eq!(read.whole_bytes(), 100 * PAGE as u64);
            assert_eq!(
                (read.block(0), read.block(1), read.block(2)),
                (Some(7), Some(9), None)
            );
        }
        let mut longer = IncrementalHeader::default();
        longer.feed(&header(&[200, 3])).unwrap();
        assert_eq!(longer.whole_bytes(), 201 * PAGE as u64);
        let mut empty = IncrementalHeader::default();
        assert_eq!(empty.feed(&header(&[])).unwrap(), b"");
        assert!(IncrementalHeader::default().feed(&[0; 12]).is_err());
    }
}
