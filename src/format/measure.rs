//! Counts and hashes the bytes that pass a point of the stream, exactly those and no others.
//!
//! [`Measured`] goes around a writer or a reader. A writer may take fewer bytes than it was offered:
//! only what it took is counted.

use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::io::{Read, Result, Write};

/// What passed: how many bytes, and their SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measure {
    /// How many bytes passed.
    pub bytes: u64,
    /// The SHA-256 of all of them.
    pub sha256: [u8; 32],
}

impl Measure {
    /// The SHA-256 as `sha256sum` writes it: 64 lower-case hex digits.
    pub fn sha256_hex(&self) -> String {
        hex(&self.sha256)
    }
}

/// A writer or reader around `inner` that measures what passes.
pub struct Measured<T> {
    inner: T,
    bytes: u64,
    hash: Sha256,
}

impl<T> Measured<T> {
    /// Measures what `inner` takes or gives from here on.
    pub fn new(inner: T) -> Measured<T> {
        Measured {
            inner,
            bytes: 0,
            hash: Sha256::new(),
        }
    }

    /// Gives `inner` back, with the measure of all that passed.
    pub fn finish(self) -> (T, Measure) {
        let measure = Measure {
            bytes: self.bytes,
            sha256: self.hash.finalize().into(),
        };
        (self.inner, measure)
    }

    fn count(&mut self, passed: &[u8]) {
        self.bytes += passed.len() as u64;
        self.hash.update(passed);
    }
}

impl<W: Write> Write for Measured<W> {
    fn write(&mut self, offered: &[u8]) -> Result<usize> {
        let taken = self.inner.write(offered)?;
        self.count(&offered[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Measured<R> {
    fn read(&mut self, space: &mut [u8]) -> Result<usize> {
        let given = self.inner.read(space)?;
        self.count(&space[..given]);
        Ok(given)
    }
}

/// `bytes` as lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // writing to a String cannot fail
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    /// Takes at most two bytes a call and refuses every third call.
    #[derive(Default)]
    struct Stingy {
        taken: Vec<u8>,
        calls: usize,
    }

    impl Write for Stingy {
        fn write(&mut self, offered: &[u8]) -> io::Result<usize> {
            self.calls += 1;
            if self.calls.is_multiple_of(3) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let taken = offered.len().min(2);
            self.taken.extend_from_slice(&offered[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_bytes_that_were_taken_are_measured() {
        let mut measured = Measured::new(Stingy::default());
        assert_eq!(measured.write(b"abcdef").unwrap(), 2);
        assert_eq!(measured.write(b"c").unwrap(), 1);
        assert_eq!(
            measured.write(b"zzz").unwrap_err().kind(),
            io::ErrorKind::Interrupted
        );
        let (inner, measure) = measured.finish();
        assert_eq!(inner.taken, b"abc");
        assert_eq!((measure.bytes, measure.sha256_hex().as_str()), (3, ABC));
    }

    #[test]
    fn short_writes_and_retries_hash_the_stored_bytes() {
        let plain: Vec<u8> = (0..10_007u32).map(|n| (n * n) as u8).collect();
        let mut measured = Measured::new(Stingy::default());
        measured.write_all(&plain).unwrap();
        let (inner, measure) = measured.finish();
        assert_eq!(inner.taken, plain);
        assert_eq!(measure.bytes, plain.len() as u64);
        assert_eq!(measure.sha256_hex(), hex(&Sha256::digest(&plain)));
    }

    #[test]
    fn a_reader_is_measured_by_what_it_gave() {
        let mut measured = Measured::new(&b"abcdef"[..]);
        let mut space = [0; 3];
        measured.read_exact(&mut space).unwrap();
        let (rest, measure) = measured.finish();
        assert_eq!(rest, b"def");
        assert_eq!((measure.bytes, measure.sha256_hex().as_str()), (3, ABC));
    }
}
