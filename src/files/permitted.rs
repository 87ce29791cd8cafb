//! Whether another user may come to a file, by the owners and modes on the way to it.

use rustix::fs::getxattr;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where an access control list stands, which says more than a mode.
const LIST: &str = "system.posix_acl_access";
const READ: u32 = 0o4;
const WRITE: u32 = 0o2;
const ENTER: u32 = 0o1;

/// Who wants to come to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    pub uid: u32,
    /// All of the groups.
    pub groups: Vec<u32>,
}

impl Visitor {
    /// What is in the way of this user to reading the file `path`; `is_shown` to it alone, whatever lies above it.
    pub fn barred_from_reading(&self, path: &Path, is_shown: bool) -> io::Result<Option<PathBuf>> {
        self.barred(path, READ, is_shown)
    }

    /// What is in the way to writing into the directory `path`, likewise.
    pub fn barred_from_writing(&self, path: &Path, is_shown: bool) -> io::Result<Option<PathBuf>> {
        self.barred(path, WRITE | ENTER, is_shown)
    }

    fn barred(&self, path: &Path, wanted: u32, is_shown: bool) -> io::Result<Option<PathBuf>> {
        let real = path.canonicalize()?;
        let mut way: Vec<&Path> = real.ancestors().skip(1).collect();
        way.reverse();
        for directory in way.into_iter().filter(|_| !is_shown) {
            if !self.may(directory, ENTER)? {
                return Ok(Some(directory.to_path_buf()));
            }
        }
        Ok((!self.may(&real, wanted)?).then_some(real))
    }

    fn may(&self, path: &Path, wanted: u32) -> io::Result<bool> {
        let found = std::fs::metadata(path)?;
        let shift = match () {
            _ if self.uid == 0 => return Ok(true),
            _ if found.uid() == self.uid => 6,
            // a list may let in whom the mode keeps out
            _ if getxattr(path, LIST, &mut [0u8; 0]).is_ok() => return Ok(true),
            _ if self.groups.contains(&found.gid()) => 3,
            _ => 0,
        };
        Ok((found.mode() >> shift) & wanted == wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_first_that_keeps_a_user_out_is_named() {
        let place = tempfile::tempdir().unwrap();
        let place_path = place.path().canonicalize().unwrap();
        let (folder, file) = (place_path.join("x"), place_path.join("x/secret"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(&file, "s").unwrap();
        let owner = file.metadata().unwrap();
        let member = Visitor {
            uid: owner.uid() + 4711,
            groups: vec![owner.gid()],
        };
        let stranger = Visitor {
            uid: owner.uid() + 4711,
            groups: vec![owner.gid() + 4711],
        };
        for (outer, own, of_member, of_stranger) in [
            (0o755, 0o644, None, None),
            (0o755, 0o640, None, Some(&file)),
            (0o755, 0o600, Some(&file), Some(&file)),
            (0o750, 0o644, None, Some(&folder)),
            (0o700, 0o644, Some(&folder), Some(&folder)),
        ] {
            set_permissions(&place_path, Permissions::from_mode(0o755)).unwrap();
            set_permissions(&folder, Permissions::from_mode(outer)).unwrap();
            set_permissions(&file, Permissions::from_mode(own)).unwrap();
            let said = |who: &Visitor| who.barred_from_reading(&file, false).unwrap();
            assert_eq!(said(&member).as_ref(), of_member, "{outer:o} {own:o}");
            assert_eq!(said(&stranger).as_ref(), of_stranger, "{outer:o} {own:o}");
            let shown = stranger.barred_from_reading(&file, true).unwrap();
            assert_eq!(shown.is_none(), own & 0o4 != 0, "{outer:o} {own:o}");
        }
        set_permissions(&folder, Permissions::from_mode(0o775)).unwrap();
        assert_eq!(member.barred_from_writing(&folder, false).unwrap(), None);
        assert_eq!(
            stranger.barred_from_writing(&folder, false).unwrap(),
            Some(folder)
        );
        assert!(
            member
                .barred_from_reading(&place_path.join("missing"), false)
                .is_err()
        );
    }
}
