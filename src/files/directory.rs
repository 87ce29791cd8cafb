//! Directories: made private, made durable, opened without following a link; and where temporary ones belong.

use crate::error::Doing;
use rustix::fs::{Mode, OFlags, open};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Makes a directory that only its owner may enter; its parent must be there.
pub fn make_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Makes a private directory in `parent` that nobody has made before, `<prefix><process>-<nanoseconds>`.
pub fn make_unique(parent: &Path, prefix: &str) -> io::Result<PathBuf> {
    loop {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let path = parent.join(format!("{prefix}{}-{}", std::process::id(), now.as_nanos()));
        match make_private(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| path),
        }
    }
}

/// Opens a directory and nothing else, and follows no link to it.
pub fn open_unfollowed(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(open(path, flags, Mode::empty())?))
}

/// Makes durable which names a directory holds.
pub fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Where large temporary files and directories go: `TMPDIR`, else `/var/tmp`, which unlike `/tmp` is seldom in memory.
pub fn for_large_temporaries() -> PathBuf {
    match std::env::var_os("TMPDIR") {
        Some(path) if !path.is_empty() => PathBuf::from(path),
        _ => PathBuf::from("/var/tmp"),
    }
}

/// The bytes that this user may still write to the file system of `path`.
pub fn free_bytes(path: &Path) -> crate::error::Result<u64> {
    let found = rustix::fs::statvfs(path)
        .map_err(std::io::Error::from)
        .doing(|| format!("cannot look at the free space of {}", path.display()))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// `path`, or the closest directory above it that is there.
pub fn nearest_there(path: &Path) -> &Path {
    let mut above = path.ancestors();
    above.find(|path| path.is_dir()).unwrap_or(Path::new("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn each_temporary_directory_is_private_and_its_own() {
        let parent = tempfile::tempdir().unwrap();
        let one = make_unique(parent.path(), "x-").unwrap();
        let other = make_unique(parent.path(), "x-").unwrap();
        assert_ne!(one, other);
        let mode = std::fs::metadata(&one).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        let link = parent.path().join("link");
        symlink(&one, &link).unwrap();
        assert!(open_unfollowed(&one).is_ok());
        assert!(open_unfollowed(&link).is_err());
        assert!(make_private(&link).is_err());
    }
}
