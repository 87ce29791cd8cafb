//! What lies in a directory. Unlike the standard library's way of reading one, closing it never ends the program: on a file
//! system that breaks down, and over the network, closing can fail too.

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, chownat, fchown, openat, unlinkat};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::lchown;
use std::path::{Path, PathBuf};

/// Something in a directory.
#[derive(Debug)]
pub struct DirectoryEntry {
    /// Its name.
    pub name: OsString,
    /// The directory and its name.
    pub path: PathBuf,
    kind: FileType,
}

impl DirectoryEntry {
    /// True for a regular file.
    pub fn is_file(&self) -> bool {
        self.kind() == FileType::RegularFile
    }

    /// True for a directory.
    pub fn is_directory(&self) -> bool {
        self.kind() == FileType::Directory
    }

    /// True for a link, wherever it leads.
    pub fn is_link(&self) -> bool {
        self.kind() == FileType::Symlink
    }

    /// As the directory tells it; only where it does not, the file itself is looked at, and no link followed.
    fn kind(&self) -> FileType {
        use std::os::unix::fs::MetadataExt;
        match self.kind {
            FileType::Unknown => self
                .path
                .symlink_metadata()
                .map_or(FileType::Unknown, |found| {
                    FileType::from_raw_mode(found.mode())
                }),
            known => known,
        }
    }
}

/// The entries of the directory at `path`, without itself and the one above, in no order.
pub fn of(path: &Path) -> io::Result<impl Iterator<Item = io::Result<DirectoryEntry>> + use<>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = Dir::new(openat(CWD, path, flags, Mode::empty())?)?;
    let path = path.to_path_buf();
    Ok(directory.filter_map(move |entry| match entry {
        Ok(entry) => {
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            (name != "." && name != "..").then(|| {
                Ok(DirectoryEntry {
                    name: name.to_owned(),
                    path: path.join(name),
                    kind: entry.file_type(),
                })
            })
        }
        Err(error) => Some(Err(error.into())),
    }))
}

/// How deep a tree may be that [`remove_tree`] removes; each level holds a directory open.
const DEEPEST: usize = 64;

/// Removes a directory with all that is in it, and follows no link. What goes meanwhile is no error.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    let (above, name) = match (path.parent(), path.file_name()) {
        (Some(above), Some(name)) if !above.as_os_str().is_empty() => (above, name),
        (_, Some(name)) => (Path::new("."), name),
        _ => return Err(io::ErrorKind::InvalidInput.into()),
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let above = openat(CWD, above, flags, Mode::empty())?;
    remove_in(&above, name, DEEPEST)
}

/// Gives `path` and everything in it to this user and group. Links are given, and not followed.
pub fn give_to(path: &Path, owner: (u32, u32)) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(CWD, path, flags, Mode::empty()) {
        Err(Errno::NOTDIR | Errno::LOOP) => lchown(path, Some(owner.0), Some(owner.1)),
        opened => give_all(opened?, owner),
    }
}

/// Gives an open directory and everything in it to this user and group. Links are given, and not followed; nobody can lead it
/// elsewhere, since each directory is opened in the one above.
pub fn give_all(directory: impl AsFd, owner: (u32, u32)) -> io::Result<()> {
    give_in(&directory, owner, DEEPEST)
}

fn give_in(directory: &impl AsFd, owner: (u32, u32), levels: usize) -> io::Result<()> {
    if levels == 0 {
        return Err(io::Error::other("it is too deep"));
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let (user, group) = (Some(Uid::from_raw(owner.0)), Some(Gid::from_raw(owner.1)));
    // what is in it first, so that its new owner cannot put something else in the way
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        match openat(directory, name, flags, Mode::empty()) {
            Err(Errno::NOTDIR | Errno::LOOP) => {
                chownat(directory, name, user, group, AtFlags::SYMLINK_NOFOLLOW)?;
            }
            opened => give_in(&opened?, owner, levels - 1)?,
        }
    }
    Ok(fchown(directory, user, group)?)
}

fn remove_in(above: impl AsFd, name: &OsStr, levels: usize) -> io::Result<()> {
    if levels == 0 {
        return Err(io::Error::other("it is too deep"));
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = match openat(&above, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        opened => opened?,
    };
    for entry in Dir::read_from(&directory)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        match unlinkat(&directory, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::ISDIR) => remove_in(&directory, name, levels - 1)?,
            Err(error) => return Err(error.into()),
        }
    }
    match unlinkat(&above, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOENT) => Ok(()),
        removed => Ok(removed?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn each_entry_is_told_with_its_kind_and_a_tree_goes_without_what_links_lead_to() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        std::fs::create_dir_all(at("tree/deep/er")).unwrap();
        std::fs::write(at("tree/file"), "x").unwrap();
        std::fs::write(at("precious"), "stays").unwrap();
        symlink(at("precious"), at("tree/link")).unwrap();
        symlink(place.path(), at("tree/deep/up")).unwrap();
        let mut found: Vec<_> = of(&at("tree"))
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let kinds = (entry.is_file(), entry.is_directory(), entry.is_link());
                (entry.name.into_string().unwrap(), kinds)
            })
            .collect();
        found.sort();
        let expected = [
            ("deep", (false, true, false)),
            ("file", (true, false, false)),
            ("link", (false, false, true)),
        ];
        assert_eq!(
            found,
            expected.map(|(name, kinds)| (name.to_string(), kinds))
        );
        remove_tree(&at("tree")).unwrap();
        remove_tree(&at("tree")).unwrap();
        assert!(!at("tree").exists());
        assert_eq!(std::fs::read(at("precious")).unwrap(), b"stays");
        assert_eq!(
            of(&at("missing")).err().unwrap().kind(),
            io::ErrorKind::NotFound
        );
    }
}
