//! Where locks and signs of life live that belong to no directory of backups.
//!
//! Files there have names that anybody can guess, so the directory has to be one in which no other user but root, and
//! the user whose directory it is, can lay anything. Where others may write to the one that was named (`/tmp`, a volume
//! of a container), a private directory in it is used. What is opened in it follows no link all the same.

use crate::error::{Doing, Error, Result};
use crate::files::directory::make_private;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The variable that names one of one's own.
const OWN: &str = "BACKUPKIT_RUNTIME_DIR";
/// What others may not do: write.
const WRITABLE_BY_OTHERS: u32 = 0o002;

/// `$BACKUPKIT_RUNTIME_DIR`, else `/run/backupkit`, else `$XDG_RUNTIME_DIR/backupkit`, else `/tmp/backupkit-UID`: the first
/// that this user can write to. One that others can write to stands for `backupkit-UID` in it. One that is a link of
/// another user's, or lies where others can write and is another user's, is refused.
pub fn runtime_directory() -> Result<PathBuf> {
    let user = user();
    if let Some(own) = directory_of(OWN) {
        let _ = make_private(&own);
        return private(own, user);
    }
    first_usable(&shared(), &std::env::temp_dir(), user)
}

/// All that may be the [`runtime_directory`] of some user, without those that [`runtime_directory`] refuses.
pub fn runtime_directories() -> Vec<PathBuf> {
    let mut directories = match directory_of(OWN) {
        Some(own) if is_shared(&own) => vec![in_shared(&own, user())],
        Some(own) => vec![own],
        None => [shared(), vec![in_shared(&std::env::temp_dir(), user())]].concat(),
    };
    directories.retain(|path| !matches!(not_trusted(path, user()), Ok(Some(_))));
    directories
}

fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn shared() -> Vec<PathBuf> {
    let mut directories = vec![PathBuf::from("/run/backupkit")];
    directories.extend(directory_of("XDG_RUNTIME_DIR").map(|path| path.join("backupkit")));
    directories
}

fn directory_of(variable: &str) -> Option<PathBuf> {
    let value = std::env::var_os(variable).filter(|path| !path.is_empty())?;
    Some(value.into())
}

fn in_shared(directory: &Path, user: u32) -> PathBuf {
    directory.join(format!("backupkit-{user}"))
}

/// True where any user may lay something in the directory.
fn is_shared(directory: &Path) -> bool {
    std::fs::metadata(directory).is_ok_and(|found| found.mode() & WRITABLE_BY_OTHERS != 0)
}

fn first_usable(candidates: &[PathBuf], temporary: &Path, user: u32) -> Result<PathBuf> {
    for path in candidates {
        let _ = make_private(path);
        if path.is_dir() && rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok() {
            return private(path.clone(), user);
        }
    }
    let last = in_shared(temporary, user);
    let _ = make_private(&last);
    private(last, user)
}

/// The directory itself, or the one in it that is this user's alone where others may write to it.
fn private(directory: PathBuf, user: u32) -> Result<PathBuf> {
    if let Some(why) = not_trusted(&directory, user)? {
        return Err(refused(&directory, why));
    }
    if !is_shared(&directory) {
        return Ok(directory);
    }
    let own = in_shared(&directory, user);
    let _ = make_private(&own);
    match not_trusted(&own, user)? {
        None if is_shared(&own) => Err(refused(&own, "every user may write to it")),
        None => Ok(own),
        Some(why) => Err(refused(&own, why)),
    }
}

/// Why another user could have laid this in the place of the directory; `None` where only `user`, root or an administrator can.
fn not_trusted(directory: &Path, user: u32) -> Result<Option<&'static str>> {
    let doing = || format!("cannot use the directory {}", directory.display());
    // not following a link
    let found = std::fs::symlink_metadata(directory).doing(doing)?;
    let laid_by_us = [0, user].contains(&found.uid());
    let above = directory
        .parent()
        .filter(|path| !path.as_os_str().is_empty());
    let open = is_shared(above.unwrap_or(Path::new(".")));
    Ok(match (found.is_symlink(), found.is_dir()) {
        (true, _) if !laid_by_us => Some("it is a link that another user made"),
        (true, _) if !directory.is_dir() => Some("it is a link that leads to no directory"),
        (true, _) => None,
        (false, false) => Some("it is not a directory"),
        (false, true) if open && !laid_by_us => Some("another user made it where all may write"),
        _ => None,
    })
}

fn refused(directory: &Path, why: &str) -> Error {
    Error::refused(format!(
        "{} is no private directory of this user: {why}, so a lock in it means nothing",
        directory.display()
    ))
    .hint(format!(
        "remove it, or make /run/backupkit writable for this user, or name a directory of one's own in {OWN}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use std::fs::{Permissions, create_dir, set_permissions};
    use std::os::unix::fs::{PermissionsExt, lchown, symlink};

    struct Place(tempfile::TempDir);

    impl Place {
        fn at(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn made(&self, name: &str, mode: u32) -> PathBuf {
            let path = self.at(name);
            create_dir(&path).unwrap();
            set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            path
        }
    }

    #[test]
    fn the_first_usable_one_is_taken_and_made_private() {
        let place = Place(tempfile::tempdir().unwrap());
        let nowhere = [place.at("missing/backupkit")];
        let last = place.at(&format!("backupkit-{}", user()));
        let found = first_usable(&nowhere, place.0.path(), user()).unwrap();
        assert_eq!(found, last);
        let mode = std::fs::metadata(&last).unwrap().mode();
        assert_eq!(mode & 0o777, 0o700);
        let run = [place.at("run")];
        assert_eq!(
            first_usable(&run, place.0.path(), user()).unwrap(),
            place.at("run")
        );
    }

    #[test]
    fn where_all_may_write_a_private_directory_is_used() {
        let place = Place(tempfile::tempdir().unwrap());
        let volume = place.made("volume", 0o777);
        let own = volume.join(format!("backupkit-{}", user()));
        assert_eq!(private(volume.clone(), user()).unwrap(), own);
        assert_eq!(std::fs::metadata(&own).unwrap().mode() & 0o777, 0o700);
        let closed = place.made("closed", 0o755);
        assert_eq!(private(closed.clone(), user()).unwrap(), closed);
    }

    #[test]
    fn what_another_user_may_have_laid_there_is_refused() {
        let place = Place(tempfile::tempdir().unwrap());
        let volume = place.made("volume", 0o1777);
        let own = volume.join(format!("backupkit-{}", user()));
        let refused = |directory: &Path, user: u32| {
            let error = private(directory.to_path_buf(), user).unwrap_err();
            assert_eq!(error.kind(), Kind::Refused, "{}", directory.display());
        };
        // open to others
        create_dir(&own).unwrap();
        set_permissions(&own, Permissions::from_mode(0o777)).unwrap();
        refused(&volume, user());
        std::fs::remove_dir(&own).unwrap();
        // a file, and links
        std::fs::write(&own, "").unwrap();
        refused(&volume, user());
        std::fs::remove_file(&own).unwrap();
        symlink(place.at("nowhere"), &own).unwrap();
        refused(&volume, user());
        std::fs::remove_file(&own).unwrap();
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let precious = place.made("precious", 0o700);
        symlink(&precious, &own).unwrap();
        lchown(&own, Some(65534), None).unwrap();
        refused(&volume, user());
        refused(&own, user());
        std::fs::remove_file(&own).unwrap();
        create_dir(&own).unwrap();
        lchown(&own, Some(65534), None).unwrap();
        refused(&volume, user());
    }
}
