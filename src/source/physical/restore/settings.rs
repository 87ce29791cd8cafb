//! What a restored cluster is told before it starts, and the configuration that lay outside of its data directory.

use crate::error::{Doing, Result};
use crate::source::physical::details::ClusterDetails;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Where configuration files are put that lay elsewhere.
pub const CONFIGURATION: &str = "backupkit.configuration";
/// A copy that archives would write into the history of its origin; one that follows a server, take its place there.
const UNTIL_SOMEBODY_SAYS_SO: &str = "\n# Written by backupkit: what was restored neither archives nor follows another server until somebody says so.\n\
archive_mode = off\nprimary_conninfo = ''\nprimary_slot_name = ''\nrecovery_end_command = ''\narchive_cleanup_command = ''\nrestore_command = ''\n";

/// Switches off in `data` what would reach others.
pub fn keep_to_itself(data: &Path) -> Result<()> {
    let path = data.join("postgresql.auto.conf");
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(UNTIL_SOMEBODY_SAYS_SO.as_bytes()))
        .doing(|| format!("cannot write {}", path.display()))
}

/// Writes the configuration files that lay outside of the data directory into it, and returns where each is now and where it
/// lay.
pub fn restore_configuration(
    data: &Path,
    details: &ClusterDetails,
) -> Result<Vec<(PathBuf, String)>> {
    let mut restored = Vec::new();
    let directory = data.join(CONFIGURATION);
    for file in &details.configuration {
        let (Some(text), Some(name)) = (&file.text, Path::new(&file.path).file_name()) else {
            continue;
        };
        super::unpack::make_directory(&directory)?;
        let path = directory.join(name);
        if path.exists() {
            continue;
        }
        fs::write(&path, text).doing(|| format!("cannot write {}", path.display()))?;
        restored.push((path, file.path.clone()));
    }
    Ok(restored)
}
