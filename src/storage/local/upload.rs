//! A file that is being written: under `<final name>.tmp`, locked so that a sweep can tell a live one.

use crate::error::{Doing, Error, Result};
use crate::files::atomic_write::{AtomicFile, remove};
use crate::files::write_behind::WriteBehind;
use crate::storage::chown::hand_over;
use crate::storage::private_directory::{self, usable};
use crate::storage::{TEMPORARY, Upload};
use rustix::fs::{FlockOperation, flock};
use std::io::{self, Write};
use std::path::PathBuf;

/// An upload to a local storage.
pub(super) struct LocalUpload {
    file: AtomicFile,
    target: PathBuf,
    /// The commit waits for all of it.
    behind: WriteBehind,
}

impl LocalUpload {
    /// Creates the temporary file of `target`, and the directories above it that are missing.
    pub fn create(target: PathBuf) -> Result<LocalUpload> {
        if let Some(parent) = target.parent() {
            private_directory::create(parent)?;
        }
        let mut temporary = target.clone().into_os_string();
        temporary.push(TEMPORARY);
        let temporary = PathBuf::from(temporary);
        let doing = || format!("cannot create {}", temporary.display());
        let mut file = AtomicFile::create(temporary.clone(), 0o600)
            .map_err(usable)
            .doing(doing)?;
        if let Some(parent) = temporary.parent() {
            hand_over(file.file(), parent);
        }
        flock(file.file(), FlockOperation::NonBlockingLockExclusive).doing(doing)?;
        Ok(LocalUpload {
            file,
            target,
            behind: WriteBehind::default(),
        })
    }

    fn explain(&self, error: io::Error) -> io::Error {
        let full = matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        );
        let is_too_large = error.kind() == io::ErrorKind::FileTooLarge;
        let mut explained =
            Error::from(error).doing(format!("cannot write {}", self.file.temporary().display()));
        if is_too_large {
            explained = explained.hint("raise the limit of file size of this user: ulimit -f, or LimitFSIZE of the service");
        }
        if full {
            explained = explained.hint(format!(
                "free some space below {}, or lower the retention",
                self.target.parent().unwrap_or(&self.target).display()
            ));
        }
        explained.into()
    }
}

impl Write for LocalUpload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self
            .file
            .file()
            .write(bytes)
            .map_err(|error| match error.kind() {
                io::ErrorKind::Interrupted => error,
                _ => self.explain(error),
            })?;
        self.behind.wrote(self.file.file(), count);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl LocalUpload {
    /// Commits in the place of what is there.
    pub fn commit_over(self) -> Result<()> {
        self.file.sync().map_err(|error| self.explain(error))?;
        let target = self.target;
        self.file
            .rename_over(&target)
            .doing(|| format!("cannot replace {}", target.display()))?;
        match target.parent() {
            Some(parent) => private_directory::sync(parent),
            None => Ok(()),
        }
    }
}

impl Upload for LocalUpload {
    fn commit(self: Box<Self>) -> Result<()> {
        self.file.sync().map_err(|error| self.explain(error))?;
        let (file, target) = (self.file, self.target);
        let from = file.temporary().to_path_buf();
        file.rename_new(&target)
            .doing(|| format!("cannot rename {} to {}", from.display(), target.display()))?;
        match target.parent() {
            // what is reported as failed must not be found later
            Some(parent) => private_directory::sync(parent).inspect_err(|_| remove(&target)),
            None => Ok(()),
        }
    }
}
