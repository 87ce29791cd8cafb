//! The directories that a base backup is restored into: new or empty, and of nobody else. One of them is the data directory, the
//! others are of tablespaces and of WAL.

use crate::error::{Doing, Error, Kind, Result};
use crate::files::directory::{nearest_there, open_unfollowed};
use crate::files::entries;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, mkdirat, openat};
use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// What marks a directory that is being restored into, and holds what is needed meanwhile.
pub const RESTORING: &str = "backupkit.restoring";
/// What makes a data directory one, and gets its name last.
pub const CONTROL: &str = "global/pg_control";
/// What lies in every data directory, and in the directory of every database.
const VERSION: &str = "PG_VERSION";

/// A directory to restore into. Dropped before [`TargetDirectory::keep`], all that was written into it is removed again.
pub struct TargetDirectory {
    path: PathBuf,
    /// Whose it was before; `None` where it was not there.
    before: Option<(u32, u32)>,
    owner: Option<(u32, u32)>,
    is_finished: bool,
    /// Itself, whatever is at its path.
    held: Option<File>,
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
            held: None,
            lock: None,
        };
        require_outside(&directory.path)?;
        match &found {
            Some(found) if !found.is_dir() => return Err(no_directory(path)),
            Some(_) => {
                let left_by = require_empty(path, LeftBehind::Goes)?;
                directory.before = left_by.or(directory.before);
                let us = rustix::process::geteuid().as_raw();
                directory.owner = owner.or(directory.before.filter(|(user, _)| *user != us));
            }
            None => fs::create_dir_all(path).map_err(|error| {
                let error = Error::from(error).doing(doing());
                error.hint("the directory that it lies in has to let this user write")
            })?,
        }
        // who may move it puts nothing else into its place from here on
        let held = open_unfollowed(path).doing(doing)?;
        held.set_permissions(Permissions::from_mode(0o700))
            .doing(doing)?;
        keep_others_out(&held).doing(doing)?;
        let marked = mark(&held, directory.before);
        directory.held = Some(held);
        match marked {
            Ok(lock) => directory.lock = lock,
            Err(error) => {
                directory.take_mark_back();
                return Err(error).doing(doing);
            }
        }
        // another restore was quicker, and what is there is what it writes
        if !directory.is_marked() {
            return Err(is_running(path));
        }
        // what came in before nobody could any more is not ours to remove
        if let Err(error) = require_nothing_in(path, &["lost+found", RESTORING]) {
            directory.take_mark_back();
            return Err(error);
        }
        directory.is_finished = false;
        Ok(directory)
    }

    /// Fails where [`TargetDirectory::take`] would, as far as that can be told without writing.
    pub fn require_free(path: &Path) -> Result<()> {
        let doing = || format!("cannot restore into {}", path.display());
        require_outside(&std::path::absolute(path).doing(doing)?)?;
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            found => match found.doing(doing)?.is_dir() {
                true => require_empty(path, LeftBehind::IsLet).map(drop),
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
        match self.is_same() && self.is_marked() {
            true => Ok(()),
            false => Err(Error::failed(format!(
                "{} is no longer the directory that was restored into",
                self.path.display()
            ))
            .hint("somebody has moved it; restore anew")),
        }
    }

    /// True where its path leads to it still.
    fn is_same(&self) -> bool {
        is_at(self.held.as_ref(), &self.path)
    }

    /// True where the mark in it is the one that we have locked.
    fn is_marked(&self) -> bool {
        is_at(self.lock.as_ref(), &self.scratch())
    }

    /// What is in it stays.
    pub fn keep(mut self) {
        self.is_finished = true;
    }

    /// Gives it with all that is in it to its owner, whatever is at its path by now.
    pub fn give_away(&self) -> Result<()> {
        match (self.owner, &self.held) {
            (Some(owner), Some(held)) => entries::give_all(held, owner)
                .doing(|| format!("cannot give {} to its owner", self.path.display())),
            _ => Ok(()),
        }
    }

    /// Leaves a directory that turns out to be in use as it was found.
    fn take_mark_back(&self) {
        let removed = entries::remove_tree(&self.scratch()).and_then(|()| self.give_back());
        if let Err(error) = removed {
            log::warn!("cannot leave {} as it was: {error}", self.path.display());
        }
    }

    /// Gives the directory itself back to whose it was.
    fn give_back(&self) -> io::Result<()> {
        match (self.before, &self.held) {
            (Some((user, group)), Some(held)) => fchown(held, Some(user), Some(group)),
            _ => Ok(()),
        }
    }
}

impl Drop for TargetDirectory {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        // whatever has come into its place is not ours to empty
        if !self.is_same() {
            log::warn!(
                "what was restored is left where it is: {} is another directory now",
                self.path.display()
            );
            return;
        }
        let removed = match self.before {
            None => entries::remove_tree(&self.path),
            Some(_) => empty(&self.path).and_then(|()| self.give_back()),
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

/// True where `held` is what lies at `path`, and no link to it.
fn is_at(held: Option<&File>, path: &Path) -> bool {
    let held = held.and_then(|held| held.metadata().ok());
    let there = fs::symlink_metadata(path).ok();
    let number = |found: &fs::Metadata| (found.dev(), found.ino());
    held.is_some() && held.as_ref().map(number) == there.as_ref().map(number)
}

fn is_running(path: &Path) -> Error {
    let what = format!("another restore into {} is running", path.display());
    Error::new(Kind::Locked, what).hint("name another directory")
}

/// Refuses a place in the data directory of a cluster, or in one of its databases: it would be taken for a part of that cluster.
fn require_outside(path: &Path) -> Result<()> {
    let there = nearest_there(path);
    let is_itself = there == path;
    let there = there
        .canonicalize()
        .doing(|| format!("cannot look at {}", there.display()))?;
    let mut above = there.ancestors().skip(usize::from(is_itself));
    match above.find(|above| above.join(VERSION).exists()) {
        None => Ok(()),
        Some(cluster) => Err(Error::refused(format!(
            "{} lies in {}, which is of a cluster",
            path.display(),
            cluster.display()
        ))
        .hint("name a directory that lies in no other cluster")),
    }
}

/// While all is written nobody else enters the directory, who could put a link in our way; its owner gets it at the end.
fn keep_others_out(held: &File) -> io::Result<()> {
    let us = rustix::process::geteuid();
    match us.is_root() {
        true => {
            let group = rustix::process::getegid().as_raw();
            fchown(held, Some(us.as_raw()), Some(group))
        }
        false => Ok(()),
    }
}

/// Marks a directory, and locks the mark; `None` where somebody else holds it. The mark belongs to whose the directory was `before`,
/// so that the next restore knows that where this one dies.
fn mark(held: &File, before: Option<(u32, u32)>) -> io::Result<Option<File>> {
    match mkdirat(held, RESTORING, Mode::RWXU) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mark = File::from(openat(held, RESTORING, flags, Mode::empty())?);
    if let (Some((user, group)), true) = (before, rustix::process::geteuid().is_root()) {
        fchown(&mark, Some(user), Some(group))?;
    }
    lock(mark)
}

/// Fails where something lies in `path` that is not `left` there by a restore of ours. Returns whose the directory was before that.
fn require_empty(path: &Path, left: LeftBehind) -> Result<Option<(u32, u32)>> {
    let doing = || format!("cannot look into {}", path.display());
    let is_whole = path.join(CONTROL).exists() || path.join("postmaster.pid").exists();
    let mut left_by = None;
    if path.join(RESTORING).is_dir() && !is_whole {
        let mark = open_unfollowed(&path.join(RESTORING)).doing(doing)?;
        let Some(held) = lock(mark).doing(doing)? else {
            return Err(is_running(path));
        };
        let found = held.metadata().doing(doing)?;
        left_by = Some((found.uid(), found.gid()));
        if left == LeftBehind::IsLet {
            return Ok(left_by);
        }
        log::info!(
            "removing what a restore that died has left in {}",
            path.display()
        );
        empty(path).doing(doing)?;
    }
    require_nothing_in(path, &["lost+found"])?;
    Ok(left_by)
}

/// Fails where something lies in `path` but what is `let_be`, by name. A file system of its own has a `lost+found`.
fn require_nothing_in(path: &Path, let_be: &[&str]) -> Result<()> {
    let doing = || format!("cannot look into {}", path.display());
    let mut found = fs::read_dir(path).doing(doing)?;
    let is_let = |name: OsString| let_be.iter().any(|one| name == *one);
    let other = found.find(|entry| !matches!(entry, Ok(entry) if is_let(entry.file_name())));
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

/// A mark, locked; `None` where somebody else holds it.
fn lock(file: File) -> io::Result<Option<File>> {
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
    fn no_place_in_a_cluster_is_taken() {
        let cluster = tempfile::tempdir().unwrap();
        fs::create_dir(cluster.path().join("base")).unwrap();
        fs::write(cluster.path().join(VERSION), "17").unwrap();
        let link = tempfile::tempdir().unwrap();
        let link = link.path().join("link");
        std::os::unix::fs::symlink(cluster.path(), &link).unwrap();
        for place in [cluster.path().join("base/deep/er"), link.join("base")] {
            for refused in [
                TargetDirectory::take(&place, None).map(drop),
                TargetDirectory::require_free(&place),
            ] {
                assert_eq!(refused.unwrap_err().kind(), Kind::Refused);
            }
        }
        assert_eq!(
            fs::read_dir(cluster.path().join("base")).unwrap().count(),
            0
        );
    }

    #[test]
    fn whose_a_directory_was_is_known_after_a_restore_that_died() {
        // nobody else can give a directory away
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        let owner = || {
            let found = fs::metadata(&path).unwrap();
            (found.uid(), found.gid())
        };
        fs::create_dir(&path).unwrap();
        std::os::unix::fs::chown(&path, Some(65_534), Some(65_534)).unwrap();
        let mut died = TargetDirectory::take(&path, None).unwrap();
        assert_eq!(owner(), (0, 0));
        died.is_finished = true;
        drop(died);
        let directory = TargetDirectory::take(&path, None).unwrap();
        assert_eq!(directory.owner(), Some((65_534, 65_534)));
        drop(directory);
        assert_eq!(owner(), (65_534, 65_534));
        // neither is anybody led elsewhere by who has moved it
        let directory = TargetDirectory::take(&path, None).unwrap();
        fs::rename(&path, parent.path().join("moved")).unwrap();
        fs::create_dir(&path).unwrap();
        fs::write(path.join("precious"), "x").unwrap();
        directory.give_away().unwrap();
        assert_eq!(owner(), (0, 0));
        assert!(directory.require_same().is_err());
        drop(directory);
        assert!(path.join("precious").exists());
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
