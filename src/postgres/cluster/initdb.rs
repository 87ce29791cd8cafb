//! The private directory of a throwaway cluster: locked as long as its maker lives, removed by the maker, else by
//! those who come next.
//!
//! The lock is on the directory itself and the kernel drops it when its holder dies, however it dies. So a directory
//! of ours that nobody holds is a leftover, and its processes are gone or about to go: the kernel told the server
//! of its starter's death.

use crate::cancel::Cancel;
use crate::error::{Doing, Error, Result};
use crate::files::{directory, entries};
use crate::process::account::Account;
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What their names begin with.
const PREFIX: &str = "backupkit-drill.";
/// A server that was killed may write for a moment longer, so removing is tried this often,
const TRIES: u32 = 50;
/// with so much time between.
const AGAIN: Duration = Duration::from_millis(100);

/// A directory of our own. Dropped, it is removed with all it holds.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    _lock: File,
}

impl Directory {
    /// Makes one in `parent` that only `owner` (else we) can enter.
    pub fn make(parent: &Path, owner: Option<&Account>) -> Result<Directory> {
        let doing = || {
            format!(
                "cannot make a directory for a throwaway cluster in {}",
                parent.display()
            )
        };
        loop {
            let path = directory::make_unique(parent, PREFIX).doing(doing)?;
            // another process that clears up may have come between; then another one will do
            let Some(lock) = lock(&path).doing(doing)? else {
                continue;
            };
            let directory = Directory { path, _lock: lock };
            if let Some(owner) = owner {
                chown(&directory.path, Some(owner.uid), Some(owner.gid)).doing(doing)?;
            }
            return Ok(directory);
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Removes what runs that were killed have left in `parent`, as far as it is ours or that of `owner`.
pub(super) fn clear(parent: &Path, owner: Option<&Account>, cancel: &Cancel) -> Result<()> {
    let us = rustix::process::geteuid().as_raw();
    let ours = |uid: u32| uid == us || owner.is_some_and(|owner| owner.uid == uid);
    for entry in entries::of(parent).into_iter().flatten().flatten() {
        let named = entry
            .name
            .to_str()
            .is_some_and(|name| name.starts_with(PREFIX));
        let of_us = entry
            .path
            .symlink_metadata()
            .is_ok_and(|found| found.is_dir() && ours(found.uid()));
        if !named || !of_us {
            continue;
        }
        cancel.check()?;
        match lock(&entry.path) {
            Ok(Some(_held)) => {
                log::info!(
                    "removing {}, left by a drill that was killed",
                    entry.path.display()
                );
                remove(&entry.path);
            }
            Ok(None) => {}
            Err(error) => log::debug!("{}: {error}", entry.path.display()),
        }
    }
    Ok(())
}

/// The lock of the directory; `None` where someone else has it, or has removed the directory meanwhile.
fn lock(path: &Path) -> io::Result<Option<File>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
        locked => locked?,
    }
    let there = std::fs::symlink_metadata(path);
    let same = file.metadata()?.ino();
    Ok(there.is_ok_and(|there| there.ino() == same).then_some(file))
}

/// Not cancellable: this is the clean-up itself.
fn remove(path: &Path) {
    for _ in 0..TRIES {
        match entries::remove_tree(path) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                std::thread::sleep(AGAIN);
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                log::warn!("cannot remove {}: {error}", path.display());
                return;
            }
            _ => return,
        }
    }
    log::warn!(
        "cannot remove {}: something still writes to it",
        path.display()
    );
}

/// Fails unless `needed` bytes are free where `parent` is.
pub(super) fn require_space(parent: &Path, needed: u64) -> Result<()> {
    let shown = parent.display();
    let free = directory::free_bytes(parent)?;
    if free >= needed {
        return Ok(());
    }
    Err(Error::failed(format!(
        "a throwaway cluster for this backup needs about {} MiB, and {shown} has {} MiB free",
        needed.div_ceil(1 << 20),
        free >> 20
    ))
    .hint("free some space, or name a larger place as drill.directory in the configuration"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(parent: &Path) -> usize {
        std::fs::read_dir(parent).unwrap().count()
    }

    #[test]
    fn a_directory_that_somebody_holds_is_let_be_and_a_left_one_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        let cancel = Cancel::new().unwrap();
        let held = Directory::make(parent.path(), None).unwrap();
        let left = parent.path().join(format!("{PREFIX}1-2"));
        std::fs::create_dir_all(left.join("data/base")).unwrap();
        std::fs::create_dir(parent.path().join("backupkit-other")).unwrap();
        clear(parent.path(), None, &cancel).unwrap();
        assert!(held.path().is_dir() && !left.exists());
        drop(held);
        assert_eq!(names(parent.path()), 1);
    }

    #[test]
    fn space_that_nobody_has_is_told_with_the_way_out() {
        let parent = tempfile::tempdir().unwrap();
        require_space(parent.path(), 1).unwrap();
        let error = require_space(parent.path(), u64::MAX).unwrap_err();
        assert!(error.first_hint().unwrap().contains("drill.directory"));
    }
}
