//! What `init` takes where nobody says otherwise.

use rustix::fs::{Access, access};
use std::path::{Path, PathBuf};

const DIRECTORY: &str = "/var/backups/backupkit";
/// The region of a bucket.
pub(super) const REGION: &str = "us-east-1";

/// The directory of the packages, or one of their own for users who may not write there.
pub(super) fn usual_directory() -> String {
    let mut above = Path::new(DIRECTORY).ancestors();
    let there = above.find(|path| path.exists());
    let may_write = there.is_some_and(|path| access(path, Access::WRITE_OK).is_ok());
    let data = variable("XDG_DATA_HOME").map(PathBuf::from);
    let own = data.or_else(|| Some(std::env::home_dir()?.join(".local/share")));
    match own {
        Some(own) if !may_write => own.join("backupkit").display().to_string(),
        _ => DIRECTORY.to_string(),
    }
}

/// A variable of the environment that is not empty.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
