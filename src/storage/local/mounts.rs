//! Is the disk there? A directory below a mount point on which nothing is mounted is where the backups will be, not
//! where they are: it looks empty, and what is written to it fills another disk and is hidden by the next mount.
//!
//! `/etc/fstab` says what is to be mounted, `/proc/self/mountinfo` what is.

use crate::error::{Error, Kind, Result};
use std::fs::read_to_string;
use std::path::{Path, PathBuf};

const WANTED: &str = "/etc/fstab";
const MOUNTED: &str = "/proc/self/mountinfo";

/// Fails where `path`, which need not exist, belongs on a disk that is not mounted.
pub(super) fn require(path: &Path) -> Result<()> {
    // what is mounted by being looked at is so now
    let path = resolve(path);
    let (Ok(wanted), Ok(mounted)) = (read_to_string(WANTED), read_to_string(MOUNTED)) else {
        return Ok(());
    };
    match missing(&path, &wanted, &mounted) {
        Some(point) => {
            let point = point.display();
            let path = path.display();
            Err(Error::new(
                Kind::Unavailable,
                format!("{path} is not there: {point} is not mounted, though {WANTED} names it"),
            )
            .hint(format!("mount {point}")))
        }
        None => Ok(()),
    }
}

/// `path` without symbolic links, as far as it exists.
fn resolve(path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        if let Ok(real) = ancestor.canonicalize() {
            let rest = path.strip_prefix(ancestor).unwrap_or(Path::new(""));
            return real.join(rest);
        }
    }
    path.to_path_buf()
}

/// The mount point that `path` is to be on, where it is on none as deep.
fn missing(path: &Path, wanted: &str, mounted: &str) -> Option<PathBuf> {
    let point = |line: &str, field: usize| line.split_whitespace().nth(field).map(unescape);
    let wanted = wanted
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    let wanted = deepest(path, wanted.filter_map(|line| point(line, 1)))?;
    let actual = deepest(path, mounted.lines().filter_map(|line| point(line, 4)));
    let is_there = actual.is_some_and(|actual| actual.starts_with(&wanted));
    (!is_there).then_some(wanted)
}

/// The deepest of `points` that `path` lies on.
fn deepest(path: &Path, points: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    points
        .filter(|point| point.is_absolute() && path.starts_with(point))
        .max_by_key(|point| point.components().count())
}

/// Both files write spaces and the like as `\040`.
fn unescape(text: &str) -> PathBuf {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        let code = after
            .get(..3)
            .and_then(|code| u8::from_str_radix(code, 8).ok());
        match code {
            Some(code) => {
                plain.push(char::from(code));
                rest = &after[3..];
            }
            None => {
                plain.push('\\');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    PathBuf::from(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FSTAB: &str = "# device mount type\n\
        UUID=1 / ext4 errors=remount-ro 0 1\n\
        #UUID=9 /srv ext4 defaults 0 2\n\
        UUID=2 none swap sw 0 0\n\
        UUID=3\t/mnt/two\\040words ext4 defaults 0 2\n\
        host:/x /mnt/nfs nfs noauto 0 0\n";

    fn missing_with(path: &str, mounts: &[&str]) -> Option<String> {
        let line = |point: &&str| format!("36 35 98:0 / {point} rw,noatime - ext4 /dev/x rw\n");
        let mounted: String = mounts.iter().map(line).collect();
        let point = missing(Path::new(path), FSTAB, &mounted)?;
        Some(point.display().to_string())
    }

    #[test]
    fn what_is_to_be_mounted_and_is_not_is_found() {
        let words = "/mnt/two words";
        for (path, mounts, expected) in [
            ("/mnt/nfs/backups", &["/"][..], Some("/mnt/nfs")),
            ("/mnt/nfs", &["/"], Some("/mnt/nfs")),
            ("/mnt/nfs/backups", &["/", "/mnt/nfs"], None),
            ("/mnt/nfs/disk/backups", &["/", "/mnt/nfs/disk"], None),
            ("/mnt/nfs2/backups", &["/"], None),
            ("/mnt/two words/b", &["/"], Some(words)),
            ("/mnt/two words/b", &["/", "/mnt/two\\040words"], None),
            ("/srv/backups", &["/"], None),
            ("/var/backups", &["/"], None),
        ] {
            assert_eq!(missing_with(path, mounts).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn a_path_is_resolved_as_far_as_it_exists() {
        let directory = tempfile::tempdir().unwrap();
        let real = directory.path().canonicalize().unwrap();
        std::os::unix::fs::symlink(&real, real.join("link")).unwrap();
        assert_eq!(resolve(&real.join("link/not/yet")), real.join("not/yet"));
    }
}
