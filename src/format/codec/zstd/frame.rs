//! The header of a frame, which says how it is to be read (RFC 8878, 3.1.1), and where the frame ends.

use crate::error::{Error, Result};
use crate::format::codec::source::PackedSource;
use std::io::{self, BufRead};

/// The largest window that is read: what `zstd -d` takes by default, and all that `zstd -22` asks for.
pub const WINDOW: u64 = 128 * 1024 * 1024;

/// How a frame begins, and the frames that others put their own notes into.
const MAGIC: u32 = 0xfd2f_b528;
const SKIPPABLE: u32 = 0x184d_2a50;
const SKIPPABLE_KINDS: u32 = 0xf;
pub(super) const MAGIC_LENGTH: usize = 4;
const BLOCK_HEADER: usize = 3;
/// The longest compressed block in a frame.
const BLOCK_LIMIT: usize = 128 * 1024;
const CHECKSUM: usize = 4;

/// True of a stream that begins with `head`.
pub fn is_zstd(head: &[u8]) -> bool {
    matches!(
        FrameKind::of(head),
        Some(FrameKind::Data | FrameKind::Skippable)
    )
}

/// What begins where a frame may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FrameKind {
    Data,
    Skippable,
    /// No frame.
    Other,
}

impl FrameKind {
    /// Judges by the first bytes; `None` where they are too few.
    pub(super) fn of(head: &[u8]) -> Option<FrameKind> {
        let magic = u32::from_le_bytes(*head.first_chunk::<MAGIC_LENGTH>()?);
        Some(match magic {
            MAGIC => FrameKind::Data,
            other if other & !SKIPPABLE_KINDS == SKIPPABLE => FrameKind::Skippable,
            _ => FrameKind::Other,
        })
    }
}

/// What the header of a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// How many bytes a reader has to hold.
    pub(super) window: u64,
    /// The dictionary without which it cannot be read; 0 is none.
    pub(super) dictionary: u32,
    /// The plain bytes in it, where it says so.
    pub(super) plain: Option<u64>,
    has_checksum: bool,
}

impl FrameHeader {
    /// Reads the header of the frame of which `taken` holds the magic, and leaves all of it there; `None` where the
    /// stream ends before.
    pub(super) fn read<R: BufRead>(
        source: &mut PackedSource<R>,
        taken: &mut Vec<u8>,
        at: u64,
    ) -> io::Result<Option<FrameHeader>> {
        if !source.fill(taken, MAGIC_LENGTH + 1)? {
            return Ok(None);
        }
        let descriptor = taken[MAGIC_LENGTH];
        if descriptor & 0x08 != 0 {
            return Err(damaged(at).into());
        }
        let is_single_segment = descriptor & 0x20 != 0;
        let window = usize::from(!is_single_segment);
        let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
        let plain = match (descriptor >> 6, is_single_segment) {
            (0, false) => 0,
            (flag, _) => 1 << flag,
        };
        let mut place = taken.len();
        if !source.fill(taken, place + window + dictionary + plain)? {
            return Ok(None);
        }
        let mut number = |length: usize| {
            let mut bytes = [0; 8];
            bytes[..length].copy_from_slice(&taken[place..place + length]);
            place += length;
            u64::from_le_bytes(bytes)
        };
        let window_code = number(window);
        let dictionary = number(dictionary) as u32;
        let plain = match plain {
            0 => None,
            // two bytes begin where one ends
            2 => Some(number(2) + 256),
            length => Some(number(length)),
        };
        let window = match (is_single_segment, plain) {
            (true, Some(plain)) => plain,
            _ => {
                let base = 1u64 << (10 + (window_code >> 3));
                base + base / 8 * (window_code & 7)
            }
        };
        Ok(Some(FrameHeader {
            window,
            dictionary,
            plain,
            has_checksum: descriptor & 0x04 != 0,
        }))
    }

    /// Refuses a frame that cannot be read here.
    pub(super) fn require_readable(&self, at: u64) -> Result<()> {
        if self.dictionary != 0 {
            let what = format!(
                "the zstd frame that begins at byte {at} was compressed with the dictionary {}, which is not in it",
                self.dictionary
            );
            return Err(Error::failed(what).hint(
                "unpack it with that dictionary, and name what comes out: zstd -dc -D DICTIONARY",
            ));
        }
        if self.window > WINDOW {
            let what = format!(
                "the zstd frame that begins at byte {at} wants {} MiB of memory to be read, and at most {} are given",
                self.window.div_ceil(1024 * 1024),
                WINDOW / (1024 * 1024)
            );
            return Err(Error::damaged(what).hint(
                "if that is meant, unpack it, and name what comes out: zstd -dc --long=31 --memory=2048MB",
            ));
        }
        Ok(())
    }

    /// Reads the rest of the frame behind its header, up to `limit` bytes of it all.
    pub(super) fn read_body<R: BufRead>(
        &self,
        source: &mut PackedSource<R>,
        taken: &mut Vec<u8>,
        limit: usize,
        at: u64,
    ) -> io::Result<FrameBody> {
        loop {
            let start = taken.len();
            if !source.fill(taken, start + BLOCK_HEADER)? {
                return Ok(FrameBody::Cut);
            }
            let header = u32::from_le_bytes([taken[start], taken[start + 1], taken[start + 2], 0]);
            let (is_last, kind, size) = (header & 1 == 1, header >> 1 & 3, header >> 3);
            let size = match kind {
                // the same byte so many times
                1 => 1,
                0 | 2 if size as usize <= BLOCK_LIMIT => size as usize,
                _ => return Err(damaged(at).into()),
            };
            let checksum = match is_last && self.has_checksum {
                true => CHECKSUM,
                false => 0,
            };
            let end = taken.len() + size + checksum;
            if end > limit {
                return Ok(FrameBody::TooLong);
            }
            if !source.fill(taken, end)? {
                return Ok(FrameBody::Cut);
            }
            if is_last {
                return Ok(FrameBody::Whole);
            }
        }
    }
}

/// What became of reading a frame to its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FrameBody {
    Whole,
    /// It is longer than the limit.
    TooLong,
    /// The stream ends before.
    Cut,
}

/// The frame that begins at byte `at` does not hold.
pub(super) fn damaged(at: u64) -> Error {
    Error::damaged(format!(
        "the zstd frame that begins at byte {at} is damaged"
    ))
}

/// The stream ends in the frame that begins at byte `at`.
pub(super) fn cut(at: u64) -> Error {
    let what = format!("the zstd stream ends inside the frame that begins at byte {at}");
    Error::damaged(what)
}
