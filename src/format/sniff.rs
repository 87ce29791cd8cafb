//! What a stream is, told from its first bytes and never from its name.

use super::codec::zstd::is_zstd;
use super::encoding::{Cipher, Codec};
use super::foreign::{ForeignFormat, LOOK};
use std::collections::VecDeque;
use std::io::{self, BufRead, Read};

/// How much is read at a time where more is looked at.
const AHEAD: usize = 64 * 1024;

/// A reader, after a look at its first bytes.
pub struct Peeked<R> {
    head: Vec<u8>,
    taken: usize,
    /// What was read ahead behind the head.
    ahead: VecDeque<Vec<u8>>,
    inner: R,
}

impl<R: Read> Peeked<R> {
    /// Reads the first bytes of `inner`, fewer where it is shorter.
    pub fn new(mut inner: R) -> io::Result<Peeked<R>> {
        let mut head = Vec::with_capacity(LOOK);
        inner.by_ref().take(LOOK as u64).read_to_end(&mut head)?;
        Ok(Peeked {
            head,
            taken: 0,
            ahead: VecDeque::new(),
            inner,
        })
    }

    /// The first bytes, whether or not they have been read since.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Shows the stream from its first byte to `look` until it has seen enough and says so, or the stream ends. Call
    /// it before anything is read: what was looked at is kept, and read as if nobody had looked.
    pub fn look_ahead(
        &mut self,
        look: &mut dyn FnMut(&[u8]) -> io::Result<bool>,
    ) -> io::Result<()> {
        let mut enough = look(&self.head)?;
        while !enough {
            let mut piece = Vec::with_capacity(AHEAD);
            self.inner
                .by_ref()
                .take(AHEAD as u64)
                .read_to_end(&mut piece)?;
            if piece.is_empty() {
                break;
            }
            enough = look(&piece)?;
            self.ahead.push_back(piece);
        }
        Ok(())
    }
}

impl<R: Read> Read for Peeked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = &self.head[self.taken..];
        if !rest.is_empty() {
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            self.taken += count;
            return Ok(count);
        }
        let Some(piece) = self.ahead.front_mut() else {
            return self.inner.read(buffer);
        };
        let count = piece.len().min(buffer.len());
        buffer[..count].copy_from_slice(&piece[..count]);
        piece.drain(..count);
        if piece.is_empty() {
            self.ahead.pop_front();
        }
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Peeked<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken < self.head.len() {
            return Ok(&self.head[self.taken..]);
        }
        match self.ahead.front() {
            Some(piece) => Ok(piece),
            None => self.inner.fill_buf(),
        }
    }

    fn consume(&mut self, count: usize) {
        if self.taken < self.head.len() {
            self.taken += count;
            return;
        }
        let Some(piece) = self.ahead.front_mut() else {
            return self.inner.consume(count);
        };
        piece.drain(..count.min(piece.len()));
        if piece.is_empty() {
            self.ahead.pop_front();
        }
    }
}

/// What sealed a stream that begins with `head`: a container of any version, or nothing.
pub fn cipher_of(head: &[u8]) -> Cipher {
    match head.starts_with(b"BKENC") {
        true => Cipher::Container,
        false => Cipher::None,
    }
}

/// What compressed a stream that begins with `head`.
pub fn codec_of(head: &[u8]) -> Codec {
    match head {
        [0x1f, 0x8b, ..] => Codec::Gzip,
        head if is_zstd(head) => Codec::Zstd,
        _ => Codec::None,
    }
}

/// What the innermost stream holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// pg_dump's custom format.
    Archive,
    /// SQL text.
    Sql,
    /// Nothing at all.
    Empty,
    /// Neither of them, and what it is instead.
    Foreign(ForeignFormat),
    /// None of these.
    Unknown,
}

impl Content {
    /// Judges by the first bytes. Text counts as SQL where it begins as a script does: with a comment, a
    /// `\restrict`, or a word of SQL.
    pub fn of(head: &[u8]) -> Content {
        if head.is_empty() {
            return Content::Empty;
        }
        if let Some(format) = ForeignFormat::of(head) {
            return Content::Foreign(format);
        }
        if head.starts_with(b"PGDMP") {
            return Content::Archive;
        }
        const BEGINNINGS: [&str; 18] = [
            "--", "/*", "\\", "SET", "SELECT", "CREATE", "ALTER", "DROP", "INSERT", "BEGIN",
            "START", "COPY", "DO", "COMMENT", "GRANT", "WITH", "TRUNCATE", "DELETE",
        ];
        let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
        let text = String::from_utf8_lossy(head).trim_start().to_uppercase();
        let known = BEGINNINGS.iter().any(|beginning| {
            text.strip_prefix(beginning).is_some_and(|rest| {
                let word = beginning.chars().all(|letter| letter.is_ascii_uppercase());
                match word {
                    true => rest.starts_with(|next: char| next.is_whitespace() || next == ';'),
                    // five dashes begin a PEM or PGP block
                    false => !rest.starts_with('-'),
                }
            })
        });
        if known {
            Content::Sql
        } else {
            Content::Unknown
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_decide() {
        for (head, content) in [
            (&b"PGDMP\x01\x0e"[..], Content::Archive),
            (b"", Content::Empty),
            (b"\\restrict abc\n", Content::Sql),
            (b"--\n-- PostgreSQL database dump", Content::Sql),
            (b"\xef\xbb\xbf  select 1;", Content::Sql),
            (b"PGDM", Content::Unknown),
            (
                b"-----BEGIN PGP MESSAGE-----",
                Content::Foreign(ForeignFormat::Pgp),
            ),
            (b"-----BEGIN CERTIFICATE-----", Content::Unknown),
            (b"SETTINGS=1", Content::Unknown),
            (b"\x00\x01", Content::Unknown),
            (b"<html>", Content::Unknown),
        ] {
            assert_eq!(Content::of(head), content, "{head:?}");
        }
    }

    #[test]
    fn looking_takes_nothing_away() {
        for length in [0, 1, LOOK - 1, LOOK, LOOK + 1, 2000] {
            let bytes: Vec<u8> = (0..length).map(|index| index as u8).collect();
            let mut peeked = Peeked::new(&bytes[..]).unwrap();
            assert_eq!(peeked.head(), &bytes[..length.min(LOOK)]);
            let mut read = Vec::new();
            peeked.read_to_end(&mut read).unwrap();
            assert_eq!(read, bytes);
        }
    }

    #[test]
    fn looking_further_takes_nothing_away_either() {
        let bytes: Vec<u8> = (0..200_000usize).map(|index| (index % 251) as u8).collect();
        for enough in [0, 64, 65, 70_000, 200_000, 300_000] {
            let mut peeked = Peeked::new(&bytes[..]).unwrap();
            let mut seen = Vec::new();
            let mut look = |piece: &[u8]| {
                seen.extend_from_slice(piece);
                Ok(seen.len() >= enough)
            };
            peeked.look_ahead(&mut look).unwrap();
            assert!(seen.len() >= enough.min(bytes.len()) && bytes.starts_with(&seen));
            let mut read = Vec::new();
            peeked.read_to_end(&mut read).unwrap();
            assert_eq!(read, bytes);
        }
    }
}
