//! The primitives of the archive's grammar, gathered over any number of pieces.
//!
//! Every function takes what it needs off the front of `input` and stops with [`Stop::More`] when that was not
//! yet enough; called again with more input it goes on where it stopped. Nothing is allocated because a length
//! says so: memory grows with the bytes that arrived, up to [`KEPT_STRING`].

use crate::error::Error;
use crate::postgres::encoding::Encoding;

/// Why reading stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// The input is used up in the middle of something.
    More,
    /// This is no archive that anything could be restored from; the text says why.
    Damaged(String),
}

/// [`Stop::Damaged`], for `Err(damaged(…))`.
pub(super) fn damaged(why: impl Into<String>) -> Stop {
    Stop::Damaged(why.into())
}

/// The error of an archive that is damaged.
pub(super) fn damaged_archive(why: &str) -> Error {
    Error::damaged(format!("the archive is damaged or incomplete: {why}"))
}

/// An integer is a sign byte and four little-endian bytes of magnitude.
const INTEGER: usize = 5;
/// No string that we keep is longer; PostgreSQL's own limits stay far below.
pub(super) const KEPT_STRING: usize = 1 << 20;

/// Gathers one field at a time.
#[derive(Default)]
pub(super) struct Fields {
    fixed: [u8; 9],
    have: usize,
    string: Option<Partial>,
}

/// A string of which `left` bytes have yet to come.
struct Partial {
    left: u64,
    kept: Option<Vec<u8>>,
}

/// What to do with a string's bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// Let them pass.
    Nothing,
    /// Keep them, and call a string past [`KEPT_STRING`] damage.
    All,
    /// Keep them unless there are more than [`KEPT_STRING`].
    Short,
}

/// A string of an archive.
pub(super) enum DumpString {
    /// The archive says NULL.
    Null,
    /// Its bytes were let pass.
    Passed,
    /// Its bytes.
    Kept(Vec<u8>),
}

impl Fields {
    /// A field of `size` bytes, at most nine.
    fn fixed(&mut self, input: &mut &[u8], size: usize) -> Result<[u8; 9], Stop> {
        let missing = size.min(self.fixed.len()) - self.have;
        let (piece, rest) = input.split_at(missing.min(input.len()));
        self.fixed[self.have..self.have + piece.len()].copy_from_slice(piece);
        self.have += piece.len();
        *input = rest;
        if piece.len() < missing {
            return Err(Stop::More);
        }
        self.have = 0;
        Ok(self.fixed)
    }

    /// True between two fields.
    pub fn is_at_start(&self) -> bool {
        self.have == 0 && self.string.is_none()
    }

    pub fn byte(&mut self, input: &mut &[u8]) -> Result<u8, Stop> {
        Ok(self.fixed(input, 1)?[0])
    }

    /// A signed integer.
    #[inline]
    pub fn integer(&mut self, input: &mut &[u8]) -> Result<i64, Stop> {
        // nearly every row of a dump comes after an integer: the case of one that is all there is kept short
        let (sign, magnitude) = match input.split_first_chunk::<INTEGER>() {
            Some((&[sign, a, b, c, d], rest)) if self.have == 0 => {
                *input = rest;
                (sign, u32::from_le_bytes([a, b, c, d]))
            }
            _ => {
                let [sign, a, b, c, d, ..] = self.fixed(input, INTEGER)?;
                (sign, u32::from_le_bytes([a, b, c, d]))
            }
        };
        match sign {
            0 => Ok(i64::from(magnitude)),
            1 if magnitude > 0 => Ok(-i64::from(magnitude)),
            _ => Err(damaged(format!(
                "an integer has the sign {sign} and the magnitude {magnitude}"
            ))),
        }
    }

    /// The state of a data offset with a position of `size` bytes.
    pub fn offset(&mut self, input: &mut &[u8], size: usize) -> Result<u8, Stop> {
        Ok(self.fixed(input, 1 + size)?[0])
    }

    /// A string: its length, negative for NULL, and its bytes.
    pub fn string(&mut self, input: &mut &[u8], keep: Keep) -> Result<DumpString, Stop> {
        let mut string = match self.string.take() {
            Some(string) => string,
            None => match u64::try_from(self.integer(input)?) {
                Ok(length) => Partial::new(length, keep)?,
                Err(_) => return Ok(DumpString::Null),
            },
        };
        let here = usize::try_from(string.left).map_or(input.len(), |left| left.min(input.len()));
        let (piece, rest) = input.split_at(here);
        if let Some(kept) = &mut string.kept {
            kept.extend_from_slice(piece);
        }
        string.left -= piece.len() as u64;
        *input = rest;
        if string.left > 0 {
            self.string = Some(string);
            return Err(Stop::More);
        }
        Ok(string.kept.map_or(DumpString::Passed, DumpString::Kept))
    }

    /// A string that we need, in this encoding; NULL is empty.
    pub fn name(&mut self, input: &mut &[u8], encoding: Encoding) -> Result<String, Stop> {
        Ok(match self.string(input, Keep::All)? {
            DumpString::Kept(bytes) => encoding.decode(&bytes),
            DumpString::Null | DumpString::Passed => String::new(),
        })
    }
}

impl Partial {
    fn new(left: u64, keep: Keep) -> Result<Partial, Stop> {
        let long = left > KEPT_STRING as u64;
        if long && keep == Keep::All {
            return Err(damaged(format!(
                "a name of {left} bytes is longer than PostgreSQL allows"
            )));
        }
        let kept = (keep != Keep::Nothing && !long).then(Vec::new);
        Ok(Partial { left, kept })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_integer_is_written_in_one_way_only() {
        let read = |bytes: [u8; 5]| Fields::default().integer(&mut &bytes[..]);
        assert!(matches!(read([0, 1, 2, 0, 0]), Ok(513)));
        assert!(matches!(read([1, 0, 0, 0, 0x80]), Ok(-0x8000_0000)));
        assert!(matches!(read([1, 0, 0, 0, 0]), Err(Stop::Damaged(_))));
        assert!(matches!(read([2, 1, 0, 0, 0]), Err(Stop::Damaged(_))));
    }

    #[test]
    fn a_length_alone_allocates_nothing() {
        let mut fields = Fields::default();
        let huge = [0, 0xff, 0xff, 0xff, 0x7f, b'x'];
        let passing = fields.string(&mut &huge[..], Keep::Short);
        assert!(matches!(passing, Err(Stop::More)));
        assert!(fields.string.is_some_and(|string| string.kept.is_none()));
        let kept = Fields::default().string(&mut &huge[..], Keep::All);
        assert!(matches!(kept, Err(Stop::Damaged(_))));
    }
}
