//! The frames of a container: their sizes, and what is said of one that does not hold.

use crate::error::Error;
use std::io::{self, Read};

/// Bytes of plaintext in every frame but the last.
pub(super) const PIECE: usize = 65_536;

/// Bytes of an AES-GCM tag.
pub(super) const TAG: usize = 16;

/// Bytes of a whole frame: ciphertext and tag.
pub(super) const FRAME: usize = PIECE + TAG;

/// A frame that held: its plaintext is at the start of the buffer.
pub(super) struct Frame {
    pub(super) length: usize,
    pub(super) last: bool,
}

/// A frame that doesn't hold, and more of the archive behind it.
pub(super) fn damaged(place: u64) -> Error {
    Error::damaged(format!("the archive is damaged at byte {place}"))
        .hint("restore an older backup, or another copy of this one")
}

/// What is last in the file doesn't hold.
pub(super) fn cut_or_damaged(place: u64) -> Error {
    Error::damaged(format!(
        "the archive is cut short or damaged at byte {place}"
    ))
    .hint("restore an older backup, or another copy of this one")
}

/// Fills `buffer` as far as the reader goes, and returns how much that is.
pub(super) fn read_up_to(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
