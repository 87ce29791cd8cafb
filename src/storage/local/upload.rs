//! A file that is being written: under `<final name>.tmp`, locked so that a sweep can tell a live one.

use crate::error::{Doing, Error, Result};
use crate::files::atomic_write::{AtomicFile, remove};
use crate::storage::chown::hand_over;
use crate::storage::private_directory::{self, usable};
use crate::storage::{TEMPORARY, Upload};
use rustix::fs::{Advice, FlockOperation, fadvise, flock};
use std::io::{self, Write};
use std::num::NonZeroU64;
use std::path::PathBuf;

/// Written bytes are sent to the disk by so many at a time.
const STRETCH: u64 = 8 * 1024 * 1024;

/// An upload to a local storage.
pub(super) struct LocalUpload {
    file: AtomicFile,
    target: PathBuf,
    written: u64,
    /// The bytes that are on their way to the disk.
    sent: u64,
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
            written: 0,
            sent: 0,
        })
    }

    /// Has the disk begin with what was written lately, so that the commit finds little left to wait for. It is advice:
    /// what goes wrong with those bytes is told by the commit's own fsync.
    fn send(&mut self) {
        let stretch = NonZeroU64::new(self.written - self.sent);
        // DONTNEED begins to write dirty pages out, and waits for none of them
        let _ = fadvise(self.file.file(), self.sent, stretch, Advice::DontNeed);
        self.sent = self.written;
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
        self.written += count as u64;
        if self.written - self.sent >= STRETCH {
            self.send();
        }
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
