//! Whether a file that holds a secret can be read by every user of this machine.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Where containers are given their secrets, with modes that are not theirs to choose; nobody else is in there.
const OF_CONTAINERS: &str = "/run/secrets";
const READ_BY_OTHERS: u32 = 0o004;
const ENTERED_BY_OTHERS: u32 = 0o001;

/// True where others may read the file and enter all directories above it. A link counts as what it leads to. Not true of
/// the secrets of a container.
pub fn to_every_user(path: &Path) -> io::Result<bool> {
    let real = path.canonicalize()?;
    if real.starts_with(OF_CONTAINERS) {
        return Ok(false);
    }
    if std::fs::metadata(&real)?.mode() & READ_BY_OTHERS == 0 {
        return Ok(false);
    }
    let mut above = real.ancestors().skip(1);
    above.try_fold(true, |open, directory| {
        Ok(open && std::fs::metadata(directory)?.mode() & ENTERED_BY_OTHERS != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_file_is_exposed_by_its_own_mode_and_those_of_all_directories_above_it() {
        let place = tempfile::tempdir().unwrap();
        let mode = |path: &Path, mode: u32| {
            set_permissions(path, Permissions::from_mode(mode)).unwrap();
        };
        let (folder, file) = (place.path().join("x"), place.path().join("x/secret"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(&file, "s").unwrap();
        symlink(&file, place.path().join("link")).unwrap();
        for (outer, inner, own, expected) in [
            (0o755, 0o755, 0o644, true),
            (0o711, 0o711, 0o604, true),
            (0o755, 0o755, 0o640, false),
            (0o755, 0o750, 0o644, false),
            (0o700, 0o755, 0o644, false),
        ] {
            mode(&file, own);
            mode(&folder, inner);
            mode(place.path(), outer);
            for path in [&file, &place.path().join("link")] {
                assert_eq!(
                    to_every_user(path).unwrap(),
                    expected,
                    "{outer:o} {inner:o} {own:o}"
                );
            }
        }
        assert!(to_every_user(&place.path().join("missing")).is_err());
    }
}
