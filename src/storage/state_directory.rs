//! Where is kept what a restart of the machine must not lose, and belongs to no directory of backups.

use super::runtime_directory::{runtime_directories, runtime_directory};
use crate::error::Result;
use std::path::{Path, PathBuf};

/// The variable by which systemd names it to a service.
const GIVEN: &str = "STATE_DIRECTORY";
/// That of the services of the packages.
const USUAL: &str = "/var/lib/backupkit";

/// That which systemd gave to this service, else the [`runtime_directory`].
pub fn state_directory() -> Result<PathBuf> {
    match given() {
        Some(directory) => Ok(directory),
        None => runtime_directory(),
    }
}

/// All that may be the [`state_directory`] of some user.
pub fn state_directories() -> Vec<PathBuf> {
    let mut directories = runtime_directories();
    let usual = Some(PathBuf::from(USUAL)).filter(|usual| is_private(usual));
    for directory in given().into_iter().chain(usual) {
        if !directories.contains(&directory) {
            directories.push(directory);
        }
    }
    directories
}

fn given() -> Option<PathBuf> {
    let paths = std::env::var_os(GIVEN)?;
    let first = std::env::split_paths(&paths).next();
    first.filter(|path| path.is_absolute())
}

/// True for a directory into which no other user may lay anything.
fn is_private(directory: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let found = directory.symlink_metadata();
    found.is_ok_and(|found| found.is_dir() && found.mode() & 0o002 == 0)
}
