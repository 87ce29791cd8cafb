//! The directories that a base backup is restored into: new or empty, and of nobody else. One of them is the data directory, the
//! others are of tablespaces and of WAL.

use crate::error::{Doing, Error, Kind, Result};
use crate::files::entries;
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

/// What marks a directory that is being restored into, and holds what is needed meanwhile.
pub const RESTORING: &str = "backupkit.restoring";
/// What makes a data directory one, and gets its name last.
pub const CONTROL: &str = "global/pg_control";

/// A directory to restore into. Dropped before [`TargetDirectory::keep`], all that was written into it is removed again.
pub struct TargetDirectory {
    path: PathBuf,
    /// Whose it was before; `None` where it was not there.
    before: Option<(u32, u32)>,
    owner: Option<(u32, u32)>,
    is_finished: bool,
    /// Held as long as this lives, so that no other restore takes it for what one that died has left.
    lock: Option<File>,
}

impl TargetDirectory {
    /// Takes `path`, which has to be new or empty, or to hold nothing but what a restore of ours that died has left. What is
    /// restored into it belongs to `owner`, else to who owns the directory.
    pub fn take(path: &Path, owner: Option<(u32, u32)>) -> Result<TargetDirectory> {
        let doing = || format!("cannot restore into {}", path.display());
        let found = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            found => Some(found.doing(doing)?),
        };
        let mut directory = TargetDirectory {
            path: std::path::absolute(path).doing(doing)?,
            before: found.as_ref().map(|found| (found.uid(), found.gid())),
            owner,
            // nothing of ours is in it yet
            is_finished: true,
            lock: None,
        };
        match &found {
            Some(found) if !found.is_dir() => return Err(no_directory(path)),
            Some(found) => {
                require_empty(path, LeftBehind::Goes)?;
                let us = rustix::process::geteuid().as_raw();
                if directory.owner.is_none() && found.uid() != us {
                    directory.owner = Some((found.uid(), found.gid()));
                }
            }
            None => fs::create_dir_all(path).map_err(|error| {
                let error = Error::from(error).doing(doing());
                error.hint("the directory that it lies in has to let this user write")
            })?,
        }
        directory.is_finished = false;
        fs::set_permissions(path, Permissions::from_mode(0o700)).doing(doing)?;
        // until all is written nobody else enters it, who could put a link in our way; its owner gets it back at the end
        let us = rustix::process::geteuid();
        if us.is_root() {
            let group = rustix::process::getegid().as_raw();
            lchown(path, Some(us.as_raw()), Some(group)).doing(doing)?;
        }
        fs::create_dir_all(path.join(RESTORING)).doing(doing)?;
        directory.lock = lock(&path.join(RESTORING)).doing(doing)?;
        Ok(directory)
    }

    /// Fails where [`TargetDirectory::take`] would, as far as that can be told without writing.
    pub fn require_free(path: &Path) -> Result<()> {
        let doing = || format!("cannot restore into {}", path.display());
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            found => match found.doing(doing)?.is_dir() {
                true => require_empty(path, LeftBehind::IsLet),
                false => Err(no_directory(path)),
            },
        }
    }

    /// Where it is, as an absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who gets the files, where that is somebody else.
    pub fn owner(&self) -> Option<(u32, u32)> {
        self.owner
    }

    /// Removes what was needed only meanwhile; the mark stays.
    pub fn clear_scratch(&self) -> Result<()> {
        let doing = || format!("cannot clear {}", self.scratch().display());
        for entry in fs::read_dir(self.scratch()).doing(doing)? {
            entries::remove_tree(&entry.doing(doing)?.path()).doing(doing)?;
        }
        Ok(())
    }

    /// A directory of its own for what is needed only meanwhile.
    pub fn scratch(&self) -> PathBuf {
        self.path.join(RESTORING)
    }

    /// Removes the mark, durably. What lies here without it is taken by nobody for what a restore that died has left, so a server may
    /// start from it.
    pub fn unmark(&self) -> Result<()> {
        let doing = || format!("cannot finish {}", self.path.display());
        entries::remove_tree(&self.scratch()).doing(doing)?;
        sync(&self.path)
    }

    /// Fails where something else has come into its place meanwhile.
    pub fn require_same(&self) -> Result<()> {
        match self.is_same() {
            true => Ok(()),
            false => Err(Error::failed(format!(
                "{} is no longer the directory that was restored into",
                self.path.display()
            ))
            .hint("somebody has moved it; restore anew")),
        }
    }

    fn is_same(&self) -> bool {
        let held = self.lock.as_ref().and_then(|mark| mark.metadata().ok());
        let there = fs::symlink_metadata(self.scratch()).ok();
        let number = |found: &fs::Metadata| (found.dev(), found.ino());
        held.is_some() && held.as_ref().map(number) == there.as_ref().map(number)
    }

    /// What is in it stays.
    pub fn keep(mut self) {
        self.is_finished = true;
    }

    /// Gives all that is in it to its owner.
    pub fn give_away(&self) -> Result<()> {
        match self.owner {
            Some(owner) => entries::give_to(&self.path, owner)
                .doing(|| format!("cannot give {} to its owner", self.path.display())),
            None => Ok(()),
        }
    }
}

impl Drop for TargetDirectory {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        // whatever has come into its place is not ours to empty
        if self.scratch().exists() && !self.is_same() {
            log::warn!(
                "what was restored is left where it is: {} is another directory now",
                self.path.display()
            );
            return;
        }
        let removed = match self.before {
            None => entries::remove_tree(&self.path),
            Some((user, group)) => {
                empty(&self.path).and_then(|()| lchown(&self.path, Some(user), Some(group)))
            }
        };
        if let Err(error) = removed {
            log::warn!(
                "cannot remove what was restored into {}: {error}; do not start a server there",
                self.path.display()
            );
        }
    }
}

/// Removes everything in `path`: what makes a server start goes first, and the mark last.
fn empty(path: &Path) -> io::Result<()> {
    match fs::remove_file(path.join(CONTROL)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_name() == RESTORING {
            continue;
        }
        match entry.file_type()?.is_dir() {
            true => entries::remove_tree(&entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    match entries::remove_tree(&path.join(RESTORING)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What becomes of what a restore of ours that died has left.
#[derive(PartialEq, Eq)]
enum LeftBehind {
    Goes,
    IsLet,
}

fn no_directory(path: &Path) -> Error {
    Error::refused(format!("{} is no directory", path.display()))
        .hint("name a directory that is new or empty")
}

/// Fails where something lies in `path` that is not `left` there by a restore of ours.
fn require_empty(path: &Path, left: LeftBehind) -> Result<()> {
    let doing = || format!("cannot look into {}", path.display());
    let is_whole = path.join(CONTROL).exists() || path.join("postmaster.pid").exists();
    if path.join(RESTORING).is_dir() && !is_whole {
        let Some(_held) = lock(&path.join(RESTORING)).doing(doing)? else {
            let what = format!("another restore into {} is running", path.display());
            return Err(Error::new(Kind::Locked, what).hint("name another directory"));
        };
        if left == LeftBehind::IsLet {
            return Ok(());
        }
        log::info!(
            "removing what a restore that died has left in {}",
            path.display()
        );
        empty(path).doing(doing)?;
    }
    let mut found = fs::read_dir(path).doing(doing)?;
    // a file system of its own has that
    let other =
        found.find(|entry| !matches!(entry, Ok(entry) if entry.file_name() == "lost+found"));
    let Some(entry) = other else {
        return Ok(());
    };
    let entry = entry.doing(doing)?;
    let what = match path.join("postmaster.pid").exists() {
        true => format!("a server runs in {}, or was killed there", path.display()),
        false => format!(
            "{} is not empty: {} lies in it",
            path.display(),
            entry.file_name().display()
        ),
    };
    Err(Error::refused(what)
        .hint("name a directory that is new or empty; nothing is ever overwritten"))
}

/// The lock of a directory; `None` where somebody else holds it.
fn lock(path: &Path) -> io::Result<Option<File>> {
    let file = File::open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Makes everything durable that was written to the file system of `path`.
pub fn sync(path: &Path) -> Result<()> {
    let doing = || format!("cannot make {} durable", path.display());
    let file = File::open(path).doing(doing)?;
    rustix::fs::syncfs(&file)
        .map_err(io::Error::from)
        .doing(doing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn what_lies_in_a_directory_is_never_touched() {
        let parent = tempfile::tempdir().unwrap();
        fs::write(parent.path().join("precious"), "x").unwrap();
        let refused = TargetDirectory::take(parent.path(), None).map(drop);
        assert_eq!(refused.unwrap_err().kind(), Kind::Refused);
        assert_eq!(fs::read(parent.path().join("precious")).unwrap(), b"x");
        assert!(!parent.path().join(RESTORING).exists());
    }

    #[test]
    fn what_was_not_finished_is_removed_and_what_died_is_taken_up() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        let directory = TargetDirectory::take(&path, None).unwrap();
        fs::create_dir(path.join("global")).unwrap();
        fs::write(path.join(CONTROL), "x").unwrap();
        // what is whole is never touched, and neither is what another restore is writing
        let refused = || {
            TargetDirectory::take(&path, None)
                .map(drop)
                .unwrap_err()
                .kind()
        };
        assert_eq!(refused(), Kind::Refused);
        fs::remove_file(path.join(CONTROL)).unwrap();
        assert_eq!(refused(), Kind::Locked);
        // as if it were killed
        let mut directory = directory;
        directory.is_finished = true;
        drop(directory);
        let directory = TargetDirectory::take(&path, None).unwrap();
        assert!(!path.join("global").exists());
        fs::write(path.join("PG_VERSION"), "17").unwrap();
        drop(directory);
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
        let directory = TargetDirectory::take(&path, None).unwrap();
        fs::write(path.join("PG_VERSION"), "17").unwrap();
        directory.unmark().unwrap();
        directory.keep();
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
    }
}
