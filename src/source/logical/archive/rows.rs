//! Counts and digests the rows of COPY text as it passes, in whatever pieces it comes.
//!
//! No row is ever collected: one that is whole in its piece is hashed where it lies, one that is split goes
//! through a streaming hash, so a row of a gigabyte costs no memory.

use super::contents::Digest;
use xxhash_rust::xxh3::{Xxh3Default, xxh3_128};

/// What pg_dump writes after the last row.
const END: &[u8] = b"\\.";

/// The rows of one table so far.
#[derive(Default)]
pub struct Rows {
    /// How many.
    pub rows: u64,
    /// Their length with newlines.
    pub bytes: u64,
    /// The sum of the hashes of each without its newline.
    pub digest: Digest,
    split: Split,
    /// The end marker has passed; only newlines may follow.
    ended: bool,
}

/// The beginning of a line that has no newline yet.
#[derive(Default)]
struct Split {
    length: u64,
    /// The first bytes, enough to know the end marker.
    first: [u8; END.len()],
    hash: Box<Xxh3Default>,
}

/// Why text is not what pg_dump writes.
pub(super) const AFTER_END: &str = "text follows the end marker of the rows";

impl Rows {
    /// Takes the next piece of text.
    pub fn feed(&mut self, mut text: &[u8]) -> Result<(), &'static str> {
        if self.split.length > 0 && !self.ended {
            let Some(end) = memchr::memchr(b'\n', text) else {
                self.split.add(text);
                return Ok(());
            };
            self.split.add(&text[..end]);
            text = &text[end + 1..];
            self.end_split();
        }
        while !self.ended {
            let Some(end) = memchr::memchr(b'\n', text) else {
                if !text.is_empty() {
                    self.split.add(text);
                }
                return Ok(());
            };
            let line = &text[..end];
            text = &text[end + 1..];
            if line == END {
                self.ended = true;
            } else {
                self.rows += 1;
                self.bytes += line.len() as u64 + 1;
                self.digest.add(xxh3_128(line));
            }
        }
        match text.iter().all(|byte| *byte == b'\n') {
            true => Ok(()),
            false => Err(AFTER_END),
        }
    }

    fn end_split(&mut self) {
        let length = self.split.length;
        if length == END.len() as u64 && self.split.first == END {
            self.ended = true;
        } else {
            self.rows += 1;
            self.bytes += length + 1;
            self.digest.add(self.split.hash.digest128());
        }
        self.split.hash.reset();
        self.split.length = 0;
    }

    /// True if the end marker has passed.
    pub fn ended(&self) -> bool {
        self.ended
    }
}

impl Split {
    fn add(&mut self, text: &[u8]) {
        let had = self.length.min(END.len() as u64) as usize;
        for (slot, byte) in self.first[had..].iter_mut().zip(text) {
            *slot = *byte;
        }
        self.hash.update(text);
        self.length += text.len() as u64;
    }
}

/// The last bytes of the rows of one table, where nobody wants to know more of them than that they are whole.
#[derive(Default)]
pub(super) struct RowsEnd {
    last: [u8; RowsEnd::LOOK],
    /// How many bytes have passed.
    length: u64,
}

impl RowsEnd {
    /// The end marker, and more newlines than pg_dump writes around it.
    const LOOK: usize = 16;

    /// Takes the next piece of text.
    pub fn feed(&mut self, text: &[u8]) {
        let new = text.len().min(Self::LOOK);
        self.last.copy_within(new.., 0);
        self.last[Self::LOOK - new..].copy_from_slice(&text[text.len() - new..]);
        self.length += text.len() as u64;
    }

    /// True if the end marker has passed, and nothing but newlines behind it.
    pub fn ended(&self) -> bool {
        let seen = self.length.min(Self::LOOK as u64) as usize;
        let last = &self.last[Self::LOOK - seen..];
        let newlines = last.iter().rev().take_while(|byte| **byte == b'\n');
        let text = &last[..last.len() - newlines.count()];
        let before = text.strip_suffix(END);
        text.len() < last.len()
            && before.is_some_and(|before| match before.last() {
                Some(byte) => *byte == b'\n',
                None => self.length <= Self::LOOK as u64,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whether_rows_are_whole_is_told_by_their_end_alone() {
        for (text, is_whole) in [
            ("a\tb\n\\.\n\n\n", true),
            ("\\.\n", true),
            ("\\.\n\n\n", true),
            ("0123456789abcdef\n\\.\n\n\n", true),
            ("", false),
            ("\n\n", false),
            ("a\n", false),
            ("a\n\\.", false),
            ("a\\.\n\n\n", false),
            ("0123456789abcdef\\.\n", false),
            ("a\n\\.\n\n\nb\n", false),
        ] {
            for piece in [1, 2, 3, 15, 16, 17, 100] {
                let mut end = RowsEnd::default();
                let mut rows = Rows::default();
                for piece in text.as_bytes().chunks(piece) {
                    end.feed(piece);
                    let _ = rows.feed(piece);
                }
                assert_eq!(end.ended(), is_whole, "{text:?} in pieces of {piece}");
                let has_tail = text.ends_with("b\n") && text.contains("\\.");
                assert!(has_tail || rows.ended() == is_whole, "{text:?}");
            }
        }
    }

    fn read(text: &[u8], piece: usize) -> Result<Rows, &'static str> {
        let mut rows = Rows::default();
        for piece in text.chunks(piece) {
            rows.feed(piece)?;
        }
        Ok(rows)
    }

    #[test]
    fn rows_are_the_same_in_pieces_of_any_size() {
        let long = "x".repeat(3000);
        let text = format!("\n{long}\n.\n\\\n\\\\.\n\\.x\n\\N\t1\n\\.\n\n\n");
        let sum = ["", &long, ".", "\\", "\\\\.", "\\.x", "\\N\t1"]
            .iter()
            .fold(0, |sum: u128, line| {
                sum.wrapping_add(xxh3_128(line.as_bytes()))
            });
        for piece in [1, 2, 3, 5, 256, 1000, text.len()] {
            let rows = read(text.as_bytes(), piece).unwrap();
            assert!(rows.ended());
            assert_eq!(
                (rows.rows, rows.bytes, rows.digest),
                (7, text.len() as u64 - 5, Digest(sum))
            );
        }
    }

    #[test]
    fn rows_without_end_marker_or_with_text_behind_it_are_not_whole() {
        for piece in [1, 100] {
            assert!(!read(b"a\n\\.", piece).unwrap().ended());
            assert!(read(b"\\.\n\na", piece).is_err());
        }
    }
}
