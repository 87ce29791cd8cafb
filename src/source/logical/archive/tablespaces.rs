//! An archive that puts what it holds into other tablespaces, changed as it passes.
//!
//! An entry of the table of contents names its tablespace in a field of its own, from which pg_restore makes
//! `SET default_tablespace`, over one connection or over several. So the field is what is changed, and no statement.

use super::edits::{ArchiveEdit, string};
use super::toc::Toc;
use std::collections::{BTreeMap, BTreeSet};

/// Has what `toc` puts into a tablespace that is a key of `renamed` be put into the one beside it.
pub fn edits(toc: &Toc, renamed: &BTreeMap<String, String>) -> Vec<ArchiveEdit> {
    let names = toc.names();
    let edits = toc.entries.iter().filter_map(|entry| {
        let name = names.encode(renamed.get(&entry.tablespace)?);
        Some(ArchiveEdit {
            field: entry.tablespace_field.clone(),
            bytes: [string(name.len())?.to_vec(), name].concat(),
        })
    });
    edits.collect()
}

/// The tablespaces that what is `chosen` of the archive is put into, but for that of the database.
pub fn named(toc: &Toc, chosen: impl Fn(i64) -> bool) -> BTreeSet<&String> {
    let entries = toc.entries.iter().filter(|entry| chosen(entry.id));
    let named = entries.map(|entry| &entry.tablespace);
    named.filter(|name| !name.is_empty()).collect()
}
