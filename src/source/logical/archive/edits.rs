//! An archive of which some bytes are others, changed as it passes.
//!
//! pg_restore reads an archive from a pipe in one pass and takes no offsets from it; where it reads a file, the offsets
//! are written afterwards ([`ArchiveEdits::moved`]).

use std::io::{self, Write};
use std::ops::Range;

/// Which bytes of an archive are to be others, in their order.
#[derive(Debug, Default)]
pub struct ArchiveEdits(Vec<ArchiveEdit>);

/// Some bytes, and what is to stand in their place.
#[derive(Debug)]
pub struct ArchiveEdit {
    /// Where they are; empty where something is only added.
    pub field: Range<u64>,
    pub bytes: Vec<u8>,
}

/// What stands before a string of so many bytes: a sign and four bytes, the lowest first. None where it is too long for one.
pub(super) fn string(length: usize) -> Option<[u8; LENGTH]> {
    let [a, b, c, d] = u32::try_from(length).ok()?.to_le_bytes();
    Some([0, a, b, c, d])
}

/// How many bytes that is.
pub(super) const LENGTH: usize = 5;

impl ArchiveEdits {
    /// All of these, which do not overlap.
    pub fn new(mut edits: Vec<ArchiveEdit>) -> ArchiveEdits {
        edits.sort_by_key(|edit| (edit.field.start, edit.field.end));
        ArchiveEdits(edits)
    }

    /// Where the byte lies in the changed archive that lies at `place` in the archive.
    pub fn moved(&self, place: u64) -> u64 {
        let before = self.0.iter().take_while(|edit| edit.field.end <= place);
        before.fold(place, |place, edit| {
            place - (edit.field.end - edit.field.start) + edit.bytes.len() as u64
        })
    }
}

/// Writes the changed archive to another writer.
pub struct EditedArchive<'a, W> {
    inner: W,
    edits: &'a [ArchiveEdit],
    /// The byte of the archive that comes next.
    position: u64,
}

impl<'a, W: Write> EditedArchive<'a, W> {
    /// A writer that gives `inner` what it is given, but for the `edits`.
    pub fn new(inner: W, edits: &'a ArchiveEdits) -> EditedArchive<'a, W> {
        EditedArchive {
            inner,
            edits: &edits.0,
            position: 0,
        }
    }
}

impl<W: Write> Write for EditedArchive<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let Some((edit, later)) = self.edits.split_first() else {
                return self.inner.write(bytes);
            };
            let left = |end: u64| usize::try_from(end - self.position).unwrap_or(usize::MAX);
            if self.position < edit.field.start {
                let piece = bytes.len().min(left(edit.field.start));
                let written = self.inner.write(&bytes[..piece])?;
                self.position += written as u64;
                return Ok(written);
            }
            let passed = bytes.len().min(left(edit.field.end));
            self.position += passed as u64;
            if self.position == edit.field.end {
                self.inner.write_all(&edit.bytes)?;
                self.edits = later;
            }
            // nothing passes where something is only added
            if passed > 0 || bytes.is_empty() {
                return Ok(passed);
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(field: Range<u64>, bytes: &str) -> ArchiveEdit {
        ArchiveEdit {
            field,
            bytes: bytes.into(),
        }
    }

    #[test]
    fn only_the_fields_change_however_the_archive_comes_in_pieces() {
        let edits = ArchiveEdits(vec![
            edit(2..4, "longer"),
            edit(4..5, ""),
            edit(6..6, "+"),
            edit(8..9, "x"),
        ]);
        for size in 1..10 {
            let mut out = Vec::new();
            let mut archive = EditedArchive::new(&mut out, &edits);
            for piece in b"abCDEfghIjkl".chunks(size) {
                archive.write_all(piece).unwrap();
            }
            assert_eq!(out, b"ablongerf+ghxjkl", "{size}");
        }
        let moved: Vec<u64> = [0, 1, 5, 7, 9, 11].map(|place| edits.moved(place)).into();
        assert_eq!(moved, [0, 1, 8, 11, 13, 15]);
    }
}
