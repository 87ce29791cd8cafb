//! What root makes where another user keeps backups belongs to that user, since the user's own runs have to go on with it: a backup that an
//! administrator starts by hand is no reason for the next one of the service to fail.

use rustix::process::geteuid;
use std::fs::File;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::Path;

/// Gives what was just `made` in `directory` to the directory's owner, where we are root and may. Only for what is surely our
/// own making: the owner of the directory can put anything in the place of a name.
pub(super) fn hand_over(made: &File, directory: &Path) {
    if !geteuid().is_root() {
        return;
    }
    let given = std::fs::metadata(directory).and_then(|owner| match owner.uid() {
        0 => Ok(()),
        user => fchown(made, Some(user), Some(owner.gid())),
    });
    if let Err(error) = given {
        log::debug!(
            "what is made in {} stays root's: {error}",
            directory.display()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::Cancel;
    use crate::storage::lock::Lock;
    use crate::storage::{Storage, local::Local};
    use std::io::Write;
    use std::os::unix::fs::chown;
    use std::time::Duration;

    #[test]
    fn what_is_written_where_another_user_keeps_backups_is_theirs() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path();
        // nobody's where we may, else our own, and then it has to stay so
        let nobody = 65534;
        if geteuid().is_root() {
            chown(root, Some(nobody), Some(nobody)).unwrap();
        }
        let owner = std::fs::metadata(root).unwrap().uid();
        let cancel = Cancel::new().unwrap();
        let local = Local::new("local", root).unwrap();
        let lock = local.lock_file("app").unwrap();
        let _lock = Lock::take(&lock, Duration::ZERO, &cancel).unwrap();
        let mut upload = local
            .create("app/20261120_020000.123456789Z.dump", &cancel)
            .unwrap();
        upload.write_all(b"PGDMP").unwrap();
        upload.commit().unwrap();
        for name in ["app", "app/.lock", "app/20261120_020000.123456789Z.dump"] {
            let found = std::fs::metadata(root.join(name)).unwrap();
            assert_eq!(found.uid(), owner, "{name}");
        }
    }

    #[test]
    fn a_lock_is_not_taken_through_a_link_that_somebody_laid_there() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("target");
        std::fs::write(&target, "precious").unwrap();
        let link = place.path().join(".lock");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let cancel = Cancel::new().unwrap();
        assert!(Lock::take(&link, Duration::ZERO, &cancel).is_err());
        assert_eq!(std::fs::read(&target).unwrap(), b"precious");
    }
}
