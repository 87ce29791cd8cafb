//! A directory of the local file system, or of one mounted here.
//!
//! Files are 0600 and directories 0700. A write goes to `<final name>.tmp` beside its final name, locked
//! while it is written so that a sweep can tell a live one; the commit fsyncs the file, renames it
//! without ever replacing anything, and fsyncs the directory.

use super::chown::hand_over;
use super::{Object, Space, Storage, TEMPORARY, TO_BE_USED, Upload, mounts};
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Kind, Result};
use rustix::fs::{
    Advice, CWD, FlockOperation, Mode, OFlags, RenameFlags, fadvise, flock, open, renameat_with,
};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::num::NonZeroU64;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Once;

/// The lock file of a database's directory; a dot file is never a backup.
const LOCK: &str = ".lock";
/// Written bytes are sent to the disk by so many at a time.
const STRETCH: u64 = 8 * 1024 * 1024;

/// Backups under one directory.
pub struct Local {
    name: String,
    root: PathBuf,
    /// That it is not there is said once, however many databases are looked for.
    missing: Once,
}

impl Local {
    /// A storage called `name` under `root`, which need not exist before the first backup.
    pub fn new(name: impl Into<String>, root: impl Into<PathBuf>) -> Result<Local> {
        let root = root.into();
        // results name absolute paths, whatever directory they are read in
        let root = std::path::absolute(&root)
            .doing(|| format!("cannot resolve the path {}", root.display()))?;
        Ok(Local {
            name: name.into(),
            root,
            missing: Once::new(),
        })
    }

    /// The path of `key`, which came from a name we made or parsed; anything that could leave the root is refused.
    fn path(&self, key: &str) -> Result<PathBuf> {
        let safe = |part: &str| !part.is_empty() && part != "." && part != "..";
        if key.split('/').all(safe) {
            Ok(self.root.join(key))
        } else {
            Err(Error::usage(format!("{key:?} is not a storage key")))
        }
    }
}

impl Storage for Local {
    fn name(&self) -> &str {
        &self.name
    }

    fn locate(&self, key: &str) -> String {
        self.root.join(key).display().to_string()
    }

    fn create(&self, key: &str, _cancel: &Cancel) -> Result<Box<dyn Upload>> {
        Ok(Box::new(LocalUpload::create(self.path(key)?)?))
    }

    fn open(&self, key: &str, _cancel: &Cancel) -> Result<Box<dyn Read + Send>> {
        Ok(Box::new(open_file(&self.path(key)?)?))
    }

    fn stat(&self, key: &str, _cancel: &Cancel) -> Result<Option<Object>> {
        let path = self.path(key)?;
        match std::fs::metadata(&path) {
            Ok(metadata) => Ok(Some(Object {
                key: key.to_string(),
                bytes: metadata.len(),
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).doing(|| format!("cannot look at {}", path.display())),
        }
    }

    fn list(&self, directory: Option<&str>, cancel: &Cancel) -> Result<Vec<Object>> {
        mounts::require(&self.root)?;
        if !self.root.exists() {
            self.missing.call_once(|| {
                let root = self.root.display();
                log::warn!(
                    "the storage {} is empty: {root} does not exist; if it held backups, is its disk mounted?",
                    self.name
                );
            });
        }
        let directories = match directory {
            Some(one) => vec![one.to_string()],
            None => subdirectories(&self.root)?,
        };
        let mut objects = Vec::new();
        for directory in directories {
            cancel.check()?;
            list_directory(&self.path(&directory)?, &directory, &mut objects)?;
        }
        Ok(objects)
    }

    fn delete(&self, keys: &[String], cancel: &Cancel) -> Result<()> {
        for key in keys {
            cancel.check()?;
            let path = self.path(key)?;
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other.doing(|| format!("cannot delete {}", path.display()))?,
            }
        }
        Ok(())
    }

    fn sweep(
        &self,
        directory: &str,
        ours: &dyn Fn(&str) -> bool,
        cancel: &Cancel,
    ) -> Result<Vec<String>> {
        let mut swept = Vec::new();
        for object in self.list(Some(directory), cancel)? {
            let unfinished = object.key.strip_suffix(TEMPORARY).is_some_and(ours);
            if unfinished && !is_live(&self.path(&object.key)?) {
                self.delete(std::slice::from_ref(&object.key), cancel)?;
                swept.push(object.key);
            }
        }
        Ok(swept)
    }

    fn lock_file(&self, directory: &str) -> Result<PathBuf> {
        mounts::require(&self.root)?;
        Ok(self.path(directory)?.join(LOCK))
    }

    fn space(&self) -> Result<Option<Space>> {
        mounts::require(&self.root)?;
        // what is not there yet will be where its parent is
        let mut ancestors = self.root.ancestors();
        let there = ancestors.find(|path| path.exists()).unwrap_or(&self.root);
        let found = rustix::fs::statvfs(there)
            .doing(|| format!("cannot ask for the free space of {}", there.display()))?;
        Ok(Some(Space {
            free: found.f_bavail.saturating_mul(found.f_frsize),
            total: found.f_blocks.saturating_mul(found.f_frsize),
        }))
    }

    fn replace(&self, key: &str, bytes: &[u8], _cancel: &Cancel) -> Result<()> {
        mounts::require(&self.root)?;
        let mut upload = LocalUpload::create(self.path(key)?)?;
        upload.write_all(bytes)?;
        upload.commit_over()
    }
}

/// Opens a backup for reading, wherever it lies.
pub fn open_file(path: &Path) -> Result<File> {
    let doing = || format!("cannot open {}", path.display());
    let file = File::open(path).map_err(|error| {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => Kind::NotFound,
            _ => Kind::Failed,
        };
        let missing = kind == Kind::NotFound;
        let error = Error::new(kind, doing()).because(error);
        match missing {
            true => error.hint("see which backups there are with: backupkit list"),
            false => error,
        }
    })?;
    if file.metadata().doing(doing)?.is_dir() {
        return Err(Error::usage(format!("{} is a directory", path.display()))
            .hint("name one backup file in it"));
    }
    Ok(file)
}

/// True while a run still holds its lock on the file it writes.
fn is_live(path: &Path) -> bool {
    // for writing, because NFS gives an exclusive lock for no less
    match OpenOptions::new().write(true).open(path) {
        Ok(file) => flock(&file, FlockOperation::NonBlockingLockExclusive).is_err(),
        // it cannot be told, so it stays
        Err(_) => true,
    }
}

fn subdirectories(root: &Path) -> Result<Vec<String>> {
    let doing = || format!("cannot list {}", root.display());
    let mut names = Vec::new();
    for entry in entries_of(root)? {
        let entry = entry.doing(doing)?;
        let name = entry.file_name();
        // a name of ours is UTF-8 and does not begin with a dot
        if let Some(name) = name.to_str()
            && !name.starts_with('.')
            // the root of a mounted file system has one, and only root may look into it
            && name != "lost+found"
            && entry.path().is_dir()
        {
            names.push(name.to_string());
        }
    }
    names.sort();
    Ok(names)
}

fn list_directory(path: &Path, directory: &str, objects: &mut Vec<Object>) -> Result<()> {
    let doing = || format!("cannot list {}", path.display());
    for entry in entries_of(path)? {
        let entry = entry.doing(doing)?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let metadata = match std::fs::metadata(entry.path()) {
            Ok(metadata) => metadata,
            // gone since, or a link to nowhere
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).doing(doing),
        };
        if metadata.is_file() {
            objects.push(Object {
                key: format!("{directory}/{name}"),
                bytes: metadata.len(),
            });
        }
    }
    Ok(())
}

/// The entries of a directory; none where it does not exist yet.
fn entries_of(path: &Path) -> Result<Box<dyn Iterator<Item = io::Result<std::fs::DirEntry>>>> {
    match std::fs::read_dir(path) {
        Ok(entries) => Ok(Box::new(entries)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Box::new(std::iter::empty())),
        Err(error) => Err(error).doing(|| format!("cannot list {}", path.display())),
    }
}

struct LocalUpload {
    file: File,
    temporary: PathBuf,
    target: PathBuf,
    written: u64,
    /// The bytes that are on their way to the disk.
    sent: u64,
    committed: bool,
}

impl LocalUpload {
    fn create(target: PathBuf) -> Result<LocalUpload> {
        if let Some(directory) = target.parent() {
            create_directory(directory)?;
        }
        let mut temporary = target.clone().into_os_string();
        temporary.push(TEMPORARY);
        let temporary = PathBuf::from(temporary);
        let doing = || format!("cannot create {}", temporary.display());
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(usable)
            .doing(doing)?;
        if let Some(directory) = temporary.parent() {
            hand_over(&file, directory);
        }
        let upload = LocalUpload {
            file,
            temporary: temporary.clone(),
            target,
            written: 0,
            sent: 0,
            committed: false,
        };
        flock(&upload.file, FlockOperation::NonBlockingLockExclusive).doing(doing)?;
        Ok(upload)
    }

    /// Has the disk begin with what was written lately, so that the commit finds little left to wait for. It is advice:
    /// what goes wrong with those bytes is told by the commit's own fsync.
    fn send(&mut self) {
        let stretch = NonZeroU64::new(self.written - self.sent);
        // DONTNEED begins to write dirty pages out, and waits for none of them
        let _ = fadvise(&self.file, self.sent, stretch, Advice::DontNeed);
        self.sent = self.written;
    }

    fn explain(&self, error: io::Error) -> io::Error {
        let full = matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        );
        let mut explained =
            Error::from(error).doing(format!("cannot write {}", self.temporary.display()));
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
        let count = self.file.write(bytes).map_err(|error| match error.kind() {
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
    fn commit_over(mut self) -> Result<()> {
        self.file.sync_all().map_err(|error| self.explain(error))?;
        std::fs::rename(&self.temporary, &self.target)
            .doing(|| format!("cannot replace {}", self.target.display()))?;
        self.committed = true;
        match self.target.parent() {
            Some(directory) => sync_directory(directory),
            None => Ok(()),
        }
    }
}

impl Upload for LocalUpload {
    fn commit(mut self: Box<Self>) -> Result<()> {
        self.file.sync_all().map_err(|error| self.explain(error))?;
        rename_new(&self.temporary, &self.target)?;
        self.committed = true;
        match self.target.parent() {
            // what is reported as failed must not be found later
            Some(directory) => sync_directory(directory).inspect_err(|_| remove(&self.target)),
            None => Ok(()),
        }
    }
}

/// Opens a directory and nothing else, and follows no link to it.
fn open_directory(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(open(path, flags, Mode::empty())?))
}

/// Creates `directory` and what is missing above it, private and durable: what lies in it later would be lost with it.
pub(super) fn create_directory(directory: &Path) -> Result<()> {
    let missing: Vec<&Path> = directory
        .ancestors()
        .take_while(|ancestor| !ancestor.as_os_str().is_empty() && !ancestor.exists())
        .collect();
    if let Some(first) = missing.last() {
        log::debug!("{} does not exist and is created", first.display());
    }
    for path in missing.into_iter().rev() {
        match DirBuilder::new().mode(0o700).create(path) {
            // another run was quicker
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => {
                other
                    .map_err(usable)
                    .doing(|| format!("cannot create the directory {}", path.display()))?;
                if let (Ok(made), Some(parent)) = (open_directory(path), path.parent()) {
                    hand_over(&made, parent);
                }
            }
        }
        if let Some(parent) = path.parent() {
            sync_directory(parent)?;
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

fn sync_directory(directory: &Path) -> Result<()> {
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .doing(|| format!("cannot sync the directory {}", directory.display()))
}

impl Drop for LocalUpload {
    fn drop(&mut self) {
        if !self.committed {
            remove(&self.temporary);
        }
    }
}

/// Removes what is not to be kept; where that fails there is nothing to do but to say so.
fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        log::warn!("cannot remove {}: {error}", path.display());
    }
}

/// Renames without ever replacing what is already there.
fn rename_new(from: &Path, to: &Path) -> Result<()> {
    use rustix::io::Errno;
    let doing = || format!("cannot rename {} to {}", from.display(), to.display());
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // file systems that do not know the flag (NFS, some FUSE): a hard link does not replace either
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            std::fs::hard_link(from, to).doing(doing)?;
            // the object is there; a name that stays behind goes with the next sweep
            remove(from);
            Ok(())
        }
        other => other.doing(doing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const KEY: &str = "app/20261120_020000.000000001Z.dump";

    fn storage() -> (tempfile::TempDir, Local, Cancel) {
        let directory = tempfile::tempdir().unwrap();
        let local = Local::new("local", directory.path().join("store")).unwrap();
        (directory, local, Cancel::new().unwrap())
    }

    #[test]
    fn a_sweep_removes_what_the_dead_left_and_leaves_the_living_and_strangers_alone() {
        let (_directory, local, cancel) = storage();
        let live = local.create(KEY, &cancel).unwrap();
        let dead = "app/20261119_020000.000000001Z.dump.gz.tmp";
        let stranger = "app/notes.tmp";
        for key in [dead, stranger] {
            std::fs::write(local.path(key).unwrap(), "x").unwrap();
        }
        let ours = |key: &str| key.ends_with(".dump.gz") || key.ends_with(".dump");
        assert_eq!(local.sweep("app", &ours, &cancel).unwrap(), [dead]);
        assert!(local.path(stranger).unwrap().exists());
        live.commit().unwrap();
        assert!(local.stat(KEY, &cancel).unwrap().is_some());
    }

    #[test]
    fn files_and_directories_are_private() {
        let (_directory, local, cancel) = storage();
        local.put(KEY, b"x", &cancel).unwrap();
        let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(local.path(KEY).unwrap()), 0o600);
        assert_eq!(mode(local.path("app").unwrap()), 0o700);
    }

    #[test]
    fn a_key_cannot_leave_the_root() {
        let (_directory, local, cancel) = storage();
        for key in ["../x", "app/../../x", "/etc/passwd", "app//x", "."] {
            assert!(local.open(key, &cancel).is_err(), "{key}");
        }
    }
}
