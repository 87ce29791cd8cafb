//! Directories that hold backups or locks: private, durable, and of the user who owns the backups in them.

use super::TO_BE_USED;
use super::chown::hand_over;
use crate::error::{Doing, Error, Result};
use crate::files::directory;
use std::io;
use std::path::Path;

/// Creates `wanted` and what is missing above it, private and durable: what lies in it later would be lost with it.
pub(super) fn create(wanted: &Path) -> Result<()> {
    let missing: Vec<&Path> = wanted
        .ancestors()
        .take_while(|ancestor| !ancestor.as_os_str().is_empty() && !ancestor.exists())
        .collect();
    if let Some(first) = missing.last() {
        log::debug!("{} does not exist and is created", first.display());
    }
    for path in missing.into_iter().rev() {
        match directory::make_private(path) {
            // another run was quicker
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => {
                other
                    .map_err(usable)
                    .doing(|| format!("cannot create the directory {}", path.display()))?;
                if let (Ok(made), Some(parent)) = (directory::open_unfollowed(path), path.parent())
                {
                    hand_over(&made, parent);
                }
            }
        }
        if let Some(parent) = path.parent() {
            sync(parent)?;
        }
    }
    Ok(())
}

/// Says what to do about a place that is closed to this user.
pub(super) fn usable(error: io::Error) -> Error {
    let denied = error.kind() == io::ErrorKind::PermissionDenied;
    let error = Error::from(error);
    match denied {
        true => error.hint(TO_BE_USED),
        false => error,
    }
}

/// Makes durable which names a directory holds.
pub(super) fn sync(path: &Path) -> Result<()> {
    directory::sync(path).doing(|| format!("cannot sync the directory {}", path.display()))
}
