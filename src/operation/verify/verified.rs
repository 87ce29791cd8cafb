//! One copy and what its check came to.

use super::record;
use crate::error::{Kind, Result};
use crate::repository::check_records::{CheckLevel, CheckOutcome};
use crate::repository::evidence::Evidence;
use crate::repository::located::Located;
use std::time::Duration;

/// A copy that was checked.
pub struct Verified {
    /// The backup, or the path of a file.
    pub backup: String,
    /// The storage that the copy is on.
    pub storage: Option<String>,
    /// Its stored bytes; 0 for a file.
    pub bytes: u64,
    /// The address of the archive.
    pub location: String,
    /// How deep the check was.
    pub level: CheckLevel,
    /// What was found, or why nothing could be.
    pub result: Result<Evidence>,
    /// How long it took.
    pub took: Duration,
}

impl Verified {
    /// The result of checking `copy`.
    pub fn new(
        copy: &Located,
        level: CheckLevel,
        result: Result<Evidence>,
        took: Duration,
    ) -> Verified {
        let (backup, storage, bytes) = match copy {
            Located::Stored { storage, entry } => {
                let storage = storage.name().to_string();
                (entry.id.to_string(), Some(storage), entry.bytes)
            }
            Located::File(path) => (path.display().to_string(), None, 0),
        };
        Verified {
            backup,
            storage,
            bytes,
            location: copy.shown(),
            level,
            result,
            took,
        }
    }

    /// How it ended.
    pub fn outcome(&self) -> CheckOutcome {
        record::outcome(&self.result)
    }

    /// Why the check could not be made.
    pub fn failure(&self) -> Option<Kind> {
        self.result.as_ref().err().map(|error| error.kind())
    }
}
