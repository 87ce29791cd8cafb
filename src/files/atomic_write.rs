//! A file that appears under its name whole and durable, or not at all.
//!
//! It is written under a temporary name beside it, which is created and never opened: a link or a file that someone
//! laid there is refused. The file is synced, renamed, and its directory synced. Dropping it before that removes it.

use crate::files::directory;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A file on its way to its name.
#[derive(Debug)]
pub struct AtomicFile {
    file: File,
    temporary: PathBuf,
    renamed: bool,
}

impl AtomicFile {
    /// Creates `temporary`, which must not be there yet, with this mode less the umask.
    pub fn create(temporary: PathBuf, mode: u32) -> io::Result<AtomicFile> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temporary)?;
        Ok(AtomicFile {
            file,
            temporary,
            renamed: false,
        })
    }

    /// The open file.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Its name for the time being.
    pub fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Gives it exactly this mode, whatever the umask has taken from it.
    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.file.set_permissions(Permissions::from_mode(mode))
    }

    /// Waits until its content is on the disk.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Gives it its name, which must be free.
    pub fn rename_new(mut self, target: &Path) -> io::Result<()> {
        let from = &self.temporary;
        match renameat_with(CWD, from, CWD, target, RenameFlags::NOREPLACE) {
            Ok(()) => self.renamed = true,
            // file systems that do not know the flag (NFS, some FUSE): a hard link does not replace either, and the
            // name that goes with the drop is the temporary one
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                std::fs::hard_link(from, target)?;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Gives it its name, in the place of what has it now. A link there is replaced, not followed.
    pub fn rename_over(mut self, target: &Path) -> io::Result<()> {
        std::fs::rename(&self.temporary, target)?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if !self.renamed {
            remove(&self.temporary);
        }
    }
}

/// Removes what is not to be kept; where that fails there is nothing to do but to say so.
pub fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        log::warn!("cannot remove {}: {error}", path.display());
    }
}

/// Puts `bytes` into the place of the file `path`, durably. Of what a writer that died has left, `<path>.tmp` is removed;
/// two writers at the same moment have to be kept apart by a lock of the caller.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = AtomicFile::create(temporary, mode)?;
    file.file().write_all(bytes)?;
    file.sync()?;
    file.rename_over(path)?;
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => directory::sync(parent),
        _ => directory::sync(Path::new(".")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn place() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let place = tempfile::tempdir().unwrap();
        let (temporary, target) = (place.path().join("x.tmp"), place.path().join("x"));
        (place, temporary, target)
    }

    #[test]
    fn a_file_without_its_end_leaves_nothing() {
        let (_place, temporary, target) = place();
        let mut file = AtomicFile::create(temporary.clone(), 0o600).unwrap();
        file.file().write_all(b"half").unwrap();
        drop(file);
        assert!(!temporary.exists() && !target.exists());
    }

    #[test]
    fn a_new_file_never_takes_the_place_of_another() {
        let (_place, temporary, target) = place();
        std::fs::write(&target, "first").unwrap();
        let file = AtomicFile::create(temporary.clone(), 0o600).unwrap();
        let error = file.rename_new(&target).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&target).unwrap(), b"first");
        assert!(!temporary.exists());
    }

    #[test]
    fn a_replacement_follows_no_link_and_clears_what_a_dead_writer_left() {
        let (place, temporary, target) = place();
        let precious = place.path().join("precious");
        std::fs::write(&precious, "stays").unwrap();
        symlink(&precious, &target).unwrap();
        symlink(&precious, &temporary).unwrap();
        assert!(AtomicFile::create(temporary.clone(), 0o600).is_err());
        replace(&target, b"new", 0o600).unwrap();
        assert_eq!(std::fs::read(&precious).unwrap(), b"stays");
        assert_eq!(std::fs::read(&target).unwrap(), b"new");
        assert!(!target.symlink_metadata().unwrap().is_symlink());
        assert!(!temporary.exists());
    }
}
