//! A directory of the local file system, or of one mounted here.
//!
//! Files are 0600 and directories 0700. A write goes to `<final name>.tmp` beside its final name, locked
//! while it is written so that a sweep can tell a live one; the commit fsyncs the file, renames it
//! without ever replacing anything, and fsyncs the directory.

mod dated;
mod mounts;
mod settings;
mod upload;

use super::kind::{StorageKeys, StorageKind};
use super::{Dated, Object, Space, Storage, TEMPORARY, Until, Upload, require_key};
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Kind, Result};
use crate::files::entries::{self, DirectoryEntry};
use crate::files::regular;
use crate::process::boot_clock::since_boot;
use crate::text::amount::Amount;
use crate::text::ours;
use crate::yaml::expand::Env;
use crate::yaml::keys::{KeyValues, names};
use rustix::fs::{FlockOperation, flock};
use settings::{KEYS, LocalSettings};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Once;
use upload::LocalUpload;

/// A directory, as the configuration knows it.
pub(super) const KIND: StorageKind = StorageKind {
    word: "local",
    example: "such as local: { path: /var/backups/backupkit }",
    keys: || names(&KEYS),
    read: |reader, spot| {
        let table = reader.table(spot, &names(&KEYS))?;
        Some(Box::new(reader.values(&table, &KEYS)?))
    },
};

impl StorageKeys for KeyValues<LocalSettings> {
    fn open(&self, name: &str, env: &Env) -> Result<Box<dyn Storage>> {
        let mut settings = LocalSettings::default();
        self.fill(&mut settings, env)?;
        let mut local = Local::new(name, settings.path)?;
        local.min_free = settings.min_free;
        Ok(Box::new(local))
    }

    fn directory(&self, env: &Env) -> Result<Option<PathBuf>> {
        let mut settings = LocalSettings::default();
        self.fill(&mut settings, env)?;
        Ok(Some(settings.path))
    }

    fn files(&self, _: &Env) -> Result<Vec<PathBuf>> {
        Ok(Vec::new())
    }
}

/// The lock file of a database's directory; a dot file is never a backup.
const LOCK: &str = ".lock";

/// Backups under one directory.
pub struct Local {
    name: String,
    root: PathBuf,
    /// What is to be free at the least, where that is said.
    min_free: Option<Amount>,
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
            min_free: None,
            missing: Once::new(),
        })
    }

    /// The path of `key`, which came from a name we made or parsed; anything that could leave the root is refused.
    fn path(&self, key: &str) -> Result<PathBuf> {
        require_key(key)?;
        Ok(self.root.join(key))
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

    fn open_at(&self, key: &str, offset: u64, _cancel: &Cancel) -> Result<Box<dyn Read + Send>> {
        let path = self.path(key)?;
        let doing = || format!("cannot open {}", path.display());
        let mut file =
            regular::open_to_read(&path).map_err(|error| opened_in_vain(error, &path))?;
        if offset > 0 {
            file.seek(SeekFrom::Start(offset)).doing(doing)?;
        }
        Ok(Box::new(file))
    }

    fn stat(&self, key: &str, _cancel: &Cancel) -> Result<Option<Object>> {
        let path = self.path(key)?;
        match std::fs::symlink_metadata(&path) {
            Ok(metadata) => Ok(metadata.is_file().then(|| Object {
                key: key.to_string(),
                bytes: metadata.len(),
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).doing(|| format!("cannot look at {}", path.display())),
        }
    }

    fn visit(
        &self,
        directory: Option<&str>,
        cancel: &Cancel,
        each: &mut dyn FnMut(Object) -> Result<()>,
    ) -> Result<()> {
        mounts::require(&self.root)?;
        cancel.check()?;
        if !self.root.exists() {
            self.missing.call_once(|| {
                let root = self.root.display();
                log::warn!(
                    "the storage {} is empty: {root} does not exist; if it held backups, is its disk mounted?",
                    self.name
                );
            });
        }
        if let Some(one) = directory {
            let path = self.path(one)?;
            return visit_directory(entries_of(&path)?, &path, one, cancel, each);
        }
        for directory in subdirectories(&self.root)? {
            let path = self.path(&directory)?;
            match entries_of(&path) {
                // of someone else: a directory that holds backups of ours is asked for by its name, and that fails
                Err(error) if !path.is_dir() || is_closed(&path) => {
                    log::debug!("{} is passed over: {}", path.display(), error.chain());
                }
                entries => visit_directory(entries?, &path, &directory, cancel, each)?,
            }
        }
        Ok(())
    }

    fn directories(&self, directory: &str, cancel: &Cancel) -> Result<Vec<String>> {
        mounts::require(&self.root)?;
        cancel.check()?;
        subdirectories(&self.path(directory)?)
    }

    fn delete_until(
        &self,
        keys: &[String],
        until: Option<Until<'_>>,
        cancel: &Cancel,
    ) -> Result<()> {
        for key in keys {
            cancel.check()?;
            let path = self.path(key)?;
            if let Some(until) = until
                && since_boot() > until()?
            {
                return Err(Error::failed("it is too late for it by now")
                    .doing(format!("cannot delete {}", path.display())));
            }
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
        self.visit(Some(directory), cancel, &mut |object| {
            let unfinished = object.key.strip_suffix(TEMPORARY).is_some_and(ours);
            if unfinished && !is_live(&self.path(&object.key)?) {
                swept.push(object.key);
            }
            Ok(())
        })?;
        self.delete(&swept, cancel)?;
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
            min_free: self.min_free,
        }))
    }

    fn claim(&self, key: &str, bytes: &[u8], _cancel: &Cancel) -> Result<bool> {
        mounts::require(&self.root)?;
        dated::claim(&self.path(key)?, bytes, is_live)
    }

    fn read_dated(&self, key: &str, largest: u64, _cancel: &Cancel) -> Result<Option<Dated>> {
        dated::read(&self.path(key)?, LOCK, largest)
    }

    fn replace(&self, key: &str, bytes: &[u8], _cancel: &Cancel) -> Result<()> {
        mounts::require(&self.root)?;
        let mut upload = LocalUpload::create(self.path(key)?)?;
        upload.write_all(bytes)?;
        upload.commit_over()
    }
}

/// Opens a file that the user named, wherever it lies: through links, and from a pipe as well.
pub fn open_file(path: &Path) -> Result<File> {
    let doing = || format!("cannot open {}", path.display());
    let file = File::open(path).map_err(|error| opened_in_vain(error, path))?;
    if file.metadata().doing(doing)?.is_dir() {
        return Err(Error::usage(format!("{} is a directory", path.display()))
            .hint("name one backup file in it"));
    }
    Ok(file)
}

/// What is no regular file is no object, so it counts as not there.
fn opened_in_vain(error: io::Error, path: &Path) -> Error {
    let missing = matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::InvalidInput
    );
    let kind = if missing {
        Kind::NotFound
    } else {
        Kind::Failed
    };
    let error = Error::new(kind, format!("cannot open {}", path.display())).because(error);
    match missing {
        true => error.hint(format!(
            "see which backups there are with: {}",
            ours::command("list")
        )),
        false => error,
    }
}

/// True while a run still holds its lock on the file it writes.
fn is_live(path: &Path) -> bool {
    // for writing, because NFS gives an exclusive lock for no less
    match regular::open_to_write(path) {
        Ok(file) => flock(&file, FlockOperation::NonBlockingLockExclusive).is_err(),
        // it cannot be told, so it stays
        Err(_) => true,
    }
}

/// True for a directory that this user may not list.
fn is_closed(path: &Path) -> bool {
    let opened = entries::of(path);
    opened.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

fn subdirectories(root: &Path) -> Result<Vec<String>> {
    let doing = || format!("cannot list {}", root.display());
    let mut names = Vec::new();
    for entry in entries_of(root)? {
        let entry = entry.doing(doing)?;
        // a name of ours is UTF-8 and does not begin with a dot
        if let Some(name) = entry.name.to_str()
            && !name.starts_with('.')
            // the root of a mounted file system has one, and only root may look into it
            && name != "lost+found"
            // a directory, or a link to one; nothing else is looked at
            && (entry.is_directory() || entry.is_link())
            && entry.path.is_dir()
        {
            names.push(name.to_string());
        }
    }
    names.sort();
    Ok(names)
}

/// Hands on the regular files among the entries of the directory `path`, which has the key `directory`.
fn visit_directory(
    entries: impl Iterator<Item = io::Result<DirectoryEntry>>,
    path: &Path,
    directory: &str,
    cancel: &Cancel,
    each: &mut dyn FnMut(Object) -> Result<()>,
) -> Result<()> {
    let doing = || format!("cannot list {}", path.display());
    for entry in entries {
        let entry = entry.doing(doing)?;
        let Some(name) = entry.name.to_str() else {
            continue;
        };
        // as the directory tells it: nothing else is looked at
        if !entry.is_file() {
            continue;
        }
        cancel.check()?;
        match entry.path.symlink_metadata() {
            Ok(metadata) => each(Object {
                key: format!("{directory}/{name}"),
                bytes: metadata.len(),
            })?,
            // gone since
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).doing(doing),
        }
    }
    Ok(())
}

/// The entries of a directory; none where it does not exist yet.
fn entries_of(path: &Path) -> Result<Box<dyn Iterator<Item = io::Result<DirectoryEntry>>>> {
    match entries::of(path) {
        Ok(entries) => Ok(Box::new(entries)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Box::new(std::iter::empty())),
        Err(error) => Err(error).doing(|| format!("cannot list {}", path.display())),
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
