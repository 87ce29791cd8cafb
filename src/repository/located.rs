//! A backup that was found: on a storage under a name of ours, or a file that someone named.

use super::checksum_line;
use super::listing::Entry;
use super::names::encoding_of_file_name;
use super::source_kind::SourceClass;
use crate::cancel::Cancel;
use crate::error::{Kind, Result};
use crate::format::encoding::ArchiveEncoding;
use crate::storage::Storage;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One copy of a backup.
#[derive(Clone)]
pub enum Located {
    /// On a storage, under a name of ours.
    Stored {
        storage: Arc<dyn Storage>,
        /// What the listing says of it.
        entry: Entry,
    },
    /// A file that someone named.
    File(PathBuf),
}

impl Located {
    /// True for a backup of a whole cluster.
    pub fn is_of_cluster(&self) -> bool {
        match self {
            Located::Stored { entry, .. } => entry.kind.class() == SourceClass::Cluster,
            Located::File(_) => false,
        }
    }

    /// How people find it.
    pub fn shown(&self) -> String {
        match self {
            Located::Stored { storage, entry } => storage.locate(&entry.archive_key()),
            Located::File(path) => path.display().to_string(),
        }
    }

    /// What its name promises of its bytes.
    pub fn named_encoding(&self) -> Option<ArchiveEncoding> {
        match self {
            Located::Stored { entry, .. } => Some(entry.encoding),
            Located::File(path) => path
                .file_name()
                .and_then(|name| name.to_str())
                .and_then(encoding_of_file_name),
        }
    }
}

/// The SHA-256 in the `.sha256` beside a backup, if there is one.
pub fn read_checksum(selected: &Located, cancel: &Cancel) -> Result<Option<String>> {
    let (reader, name): (Box<dyn Read>, String) = match selected {
        Located::Stored { entry, .. } if !entry.has_checksum => return Ok(None),
        Located::Stored { storage, entry } => {
            let key = entry.checksum_key();
            (storage.open(&key, cancel)?, key)
        }
        Located::File(path) => {
            let beside = beside(path);
            match crate::storage::local::open_file(&beside) {
                Ok(file) => (Box::new(file), beside.display().to_string()),
                Err(error) if error.kind() == Kind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    };
    checksum_line::read(reader, &name).map(Some)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".sha256");
    PathBuf::from(name)
}
