//! What the tests of codecs stand on: bytes worth packing, programs to compare with, and readers and writers that fail.

use crate::error::{Error, Kind};
use std::io::{self, Read, Write};
use std::process::{Command, Stdio};

/// Text-like bytes that neither repeat nor resist compression.
pub(super) fn sample(length: usize) -> Vec<u8> {
    let mut state = 0x2026_1120_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b"abcdefgh 0123456"[(state >> 28) as usize & (state >> 24) as usize]
    };
    (0..length).map(|_| next()).collect()
}

/// What `program` makes of `input`, and whether it likes it.
pub(super) fn filter(program: &str, arguments: &[&str], input: &[u8]) -> (bool, Vec<u8>) {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    (output.status.success(), output.stdout)
}

/// Gives its bytes a few at a time, with interruptions, then fails.
pub(super) struct Failing<R> {
    bytes: R,
    calls: usize,
}

impl<R> Failing<R> {
    pub(super) fn new(bytes: R) -> Failing<R> {
        Failing { bytes, calls: 0 }
    }
}

impl<R: Read> Read for Failing<R> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        self.calls += 1;
        if self.calls.is_multiple_of(2) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let few = space.len().min(1000);
        match self.bytes.read(&mut space[..few])? {
            0 => Err(Error::new(Kind::WrongPassword, "frame 0 does not open")
                .hint("try the previous one")
                .into()),
            given => Ok(given),
        }
    }
}

/// Fails once with this.
pub(super) struct Raw(pub(super) Option<io::Error>);

impl Read for Raw {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// Takes `room` bytes, three at a time, then fails.
pub(super) struct Full {
    pub(super) taken: Vec<u8>,
    pub(super) room: usize,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let few = bytes.len().min(3).min(self.room - self.taken.len());
        if few == 0 {
            return Err(Error::new(Kind::Unavailable, "storage is full").into());
        }
        self.taken.extend_from_slice(&bytes[..few]);
        Ok(few)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
