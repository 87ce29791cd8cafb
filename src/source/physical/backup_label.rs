//! What a base backup says of itself: `backup_label`, which the server writes first of all.

use crate::error::{Error, Result};
use crate::postgres::replication::Lsn;
use crate::repository::manifest::Manifest;

/// It is a few lines.
pub const LARGEST: usize = 64 * 1024;
/// The line of an incremental one, and what follows it.
const FROM: &str = "INCREMENTAL FROM LSN: ";

/// Fails unless the backup with this label adds to that of `parent`, by where that begins. `None` needs none.
pub fn require_parent(label: &[u8], parent: Option<&Manifest>) -> Result<()> {
    let label = String::from_utf8_lossy(label);
    let from = label.lines().find_map(|line| line.strip_prefix(FROM));
    let from = from.and_then(|text| text.trim().parse::<Lsn>().ok());
    let facts = parent.and_then(Manifest::cluster);
    let start = facts.and_then(|facts| facts.start_lsn.parse::<Lsn>().ok());
    match (from, start) {
        (from, start) if from == start => Ok(()),
        (Some(from), Some(start)) => Err(Error::damaged(format!(
            "it adds to a backup that began at {from}, and the one that its manifest names began at {start}"
        ))),
        (None, Some(_)) => Err(Error::damaged(
            "its manifest says that it is incremental, and its backup_label that it is not",
        )),
        _ => Err(Error::damaged(
            "its backup_label says that it is incremental, and its manifest does not",
        )),
    }
}
