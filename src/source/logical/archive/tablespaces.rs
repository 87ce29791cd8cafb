//! An archive that puts what it holds into other tablespaces, changed as it passes.
//!
//! An entry of the table of contents names its tablespace in a field of its own, from which pg_restore makes
//! `SET default_tablespace`, over one connection or over several. So the field is what is changed, and no statement.
//! pg_restore reads an archive from a pipe in one pass and takes no offsets from it; where it reads a file, the offsets
//! are written afterwards ([`TablespaceEdits::moved`]).

use super::toc::Toc;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::ops::Range;

/// Which bytes of an archive are to be others, in their order.
#[derive(Debug, Default)]
pub struct TablespaceEdits(Vec<TablespaceEdit>);

/// One field, and what it is to say.
#[derive(Debug)]
struct TablespaceEdit {
    field: Range<u64>,
    bytes: Vec<u8>,
}

impl TablespaceEdits {
    /// Has what `toc` puts into a tablespace that is a key of `renamed` be put into the one beside it.
    pub fn new(toc: &Toc, renamed: &BTreeMap<String, String>) -> TablespaceEdits {
        let names = toc.names();
        let edits = toc.entries.iter().filter_map(|entry| {
            let name = names.encode(renamed.get(&entry.tablespace)?);
            // an integer is a sign byte and four bytes, the lowest first
            let length = u32::try_from(name.len()).ok()?.to_le_bytes();
            Some(TablespaceEdit {
                field: entry.tablespace_field.clone(),
                bytes: [&[0], &length[..], &name].concat(),
            })
        });
        TablespaceEdits(edits.collect())
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
    edits: &'a [TablespaceEdit],
    /// The byte of the archive that comes next.
    position: u64,
}

impl<'a, W: Write> EditedArchive<'a, W> {
    /// A writer that gives `inner` what it is given, but for the `edits`.
    pub fn new(inner: W, edits: &'a TablespaceEdits) -> EditedArchive<'a, W> {
        EditedArchive {
            inner,
            edits: &edits.0,
            position: 0,
        }
    }
}

impl<W: Write> Write for EditedArchive<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
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
        Ok(passed)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The tablespaces that what is `chosen` of the archive is put into, but for that of the database.
pub fn named(toc: &Toc, chosen: impl Fn(i64) -> bool) -> BTreeSet<&String> {
    let entries = toc.entries.iter().filter(|entry| chosen(entry.id));
    let named = entries.map(|entry| &entry.tablespace);
    named.filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(field: Range<u64>, bytes: &str) -> TablespaceEdit {
        TablespaceEdit {
            field,
            bytes: bytes.into(),
        }
    }

    #[test]
    fn only_the_fields_change_however_the_archive_comes_in_pieces() {
        let edits = TablespaceEdits(vec![edit(2..4, "longer"), edit(4..5, ""), edit(8..9, "x")]);
        for size in 1..10 {
            let mut out = Vec::new();
            let mut archive = EditedArchive::new(&mut out, &edits);
            for piece in b"abCDEfghIjkl".chunks(size) {
                archive.write_all(piece).unwrap();
            }
            assert_eq!(out, b"ablongerfghxjkl", "{size}");
        }
        let moved: Vec<u64> = [0, 1, 5, 7, 9, 11].map(|place| edits.moved(place)).into();
        assert_eq!(moved, [0, 1, 8, 10, 12, 14]);
    }
}
