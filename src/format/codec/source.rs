//! The reader below a decompressor, which knows how far it was read and takes bytes back.

use std::io::{self, BufRead, Read};

/// A packed stream.
pub struct PackedSource<R> {
    /// Bytes that were taken and given back, and how many of them were taken again.
    again: (Vec<u8>, usize),
    inner: R,
    at: u64,
    /// A failure of the reader below, kept apart from those of the format.
    failure: Option<io::Error>,
}

impl<R: BufRead> PackedSource<R> {
    /// Reads from the start of `inner`.
    pub fn new(inner: R) -> PackedSource<R> {
        PackedSource {
            again: Default::default(),
            inner,
            at: 0,
            failure: None,
        }
    }

    /// How many bytes of the stream were taken.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Gives back `bytes`, the last that were taken.
    pub fn give_back(&mut self, mut bytes: Vec<u8>) {
        self.at -= bytes.len() as u64;
        bytes.extend_from_slice(&self.again.0[self.again.1..]);
        self.again = (bytes, 0);
    }

    /// Reads until `bytes` has `length` of them, or all there are; says whether there were as many.
    pub fn fill(&mut self, bytes: &mut Vec<u8>, length: usize) -> io::Result<bool> {
        bytes.reserve(length.saturating_sub(bytes.len()));
        while bytes.len() < length {
            let missing = length - bytes.len();
            let given = self.fill_buf().map(|there| {
                let given = &there[..there.len().min(missing)];
                bytes.extend_from_slice(given);
                given.len()
            });
            match given.map_err(|error| self.failure_or(error))? {
                0 => return Ok(false),
                given => self.consume(given),
            }
        }
        Ok(true)
    }

    /// Passes over `count` bytes; says whether there were as many.
    pub fn skip(&mut self, count: u64) -> io::Result<bool> {
        let skipped = io::copy(&mut self.by_ref().take(count), &mut io::sink());
        skipped
            .map(|skipped| skipped == count)
            .map_err(|error| self.failure_or(error))
    }

    /// What the reader below failed with, where `error` came of that.
    pub fn failure_or(&mut self, error: io::Error) -> io::Error {
        self.failure.take().unwrap_or(error)
    }

    /// The failure of the reader below, where there was one.
    pub fn failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// Runs `read` until it is not interrupted.
    fn try_read<T>(&mut self, mut read: impl FnMut(&mut R) -> io::Result<T>) -> io::Result<T> {
        loop {
            match read(&mut self.inner) {
                Ok(given) => return Ok(given),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failure = Some(error);
                    return Err(io::ErrorKind::Other.into());
                }
            }
        }
    }
}

impl<R: BufRead> Read for PackedSource<R> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let rest = &self.again.0[self.again.1..];
        let given = match rest.is_empty() {
            true => self.try_read(|inner| inner.read(space))?,
            false => {
                let given = rest.len().min(space.len());
                space[..given].copy_from_slice(&rest[..given]);
                self.again.1 += given;
                given
            }
        };
        self.at += given as u64;
        Ok(given)
    }
}

impl<R: BufRead> BufRead for PackedSource<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.again.1 < self.again.0.len() {
            return Ok(&self.again.0[self.again.1..]);
        }
        self.try_read(|inner| inner.fill_buf().map(|_| ()))?;
        // what was just filled
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.at += count as u64;
        match self.again.1 < self.again.0.len() {
            true => self.again.1 += count,
            false => self.inner.consume(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_is_read_again_and_counted_once() {
        let bytes: Vec<u8> = (0..100).collect();
        let mut source = PackedSource::new(&bytes[..]);
        let mut taken = Vec::new();
        assert!(source.fill(&mut taken, 40).unwrap());
        source.give_back(taken[30..].to_vec());
        assert_eq!(source.at(), 30);
        assert_eq!(source.fill_buf().unwrap(), &bytes[30..40]);
        source.consume(4);
        source.give_back(bytes[32..34].to_vec());
        assert!(source.skip(10).unwrap());
        assert_eq!(source.at(), 42);
        let mut rest = Vec::new();
        source.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, &bytes[42..]);
        assert!(!source.skip(1).unwrap());
        assert!(!source.fill(&mut rest, 59).unwrap());
        assert_eq!(source.at(), 100);
    }
}
