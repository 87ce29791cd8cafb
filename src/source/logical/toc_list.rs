//! The list by which pg_restore is told what of an archive to restore.

use crate::error::{Doing, Result};
use crate::postgres::memory_file::{in_memory, path_of};
use std::fs::File;

/// A list of entries, in memory: nothing of it is ever left on a disk.
#[derive(Debug)]
pub struct TocList {
    /// Every child inherits it, and the one that is told so reads it.
    file: File,
}

impl TocList {
    /// A list of these entries, in the order of the archive: pg_restore goes through a pipe only once.
    pub fn new(ids: impl IntoIterator<Item = i64>) -> Result<TocList> {
        let text: String = ids.into_iter().map(|id| format!("{id};\n")).collect();
        let file = in_memory(text.as_bytes()).doing(|| "cannot write a list for pg_restore")?;
        Ok(TocList { file })
    }

    /// What pg_restore is told.
    pub fn argument(&self) -> String {
        format!("--use-list={}", path_of(&self.file))
    }
}
