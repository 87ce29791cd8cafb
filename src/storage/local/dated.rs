//! Small files that hosts leave for each other in a directory that all of them mount: claimed by their creation, read with
//! their age.

use crate::error::{Doing, Result};
use crate::files::atomic_write::{AtomicFile, remove};
use crate::files::regular;
use crate::storage::chown::hand_over;
use crate::storage::private_directory::{self, usable};
use crate::storage::{Dated, TEMPORARY, dated};
use rustix::fs::{FlockOperation, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, flock, futimens};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Creates the file `path` whole; false where there is one, or where another run is about to create it. `is_live` tells
/// whether the writer of a temporary file lives.
pub(super) fn claim(path: &Path, bytes: &[u8], is_live: fn(&Path) -> bool) -> Result<bool> {
    let doing = || format!("cannot create {}", path.display());
    if let Some(parent) = path.parent() {
        private_directory::create(parent)?;
    }
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(TEMPORARY);
    let temporary = PathBuf::from(temporary);
    let mut created = AtomicFile::create(temporary.clone(), 0o600);
    if is_taken(&created) && !is_live(&temporary) {
        remove(&temporary);
        created = AtomicFile::create(temporary, 0o600);
    }
    if is_taken(&created) {
        return Ok(false);
    }
    let mut file = created.map_err(usable).doing(doing)?;
    flock(file.file(), FlockOperation::NonBlockingLockExclusive).doing(doing)?;
    if let Some(parent) = path.parent() {
        hand_over(file.file(), parent);
    }
    match file.file().write_all(bytes) {
        // that it is there is what counts, and deleting old backups is what helps a full disk
        Err(error) if is_full(&error) => {
            log::debug!("{} stays without its content: {error}", path.display());
        }
        written => written.doing(doing)?,
    }
    match file.rename_new(path) {
        Ok(()) => Ok(true),
        // one that was quicker, or that took this one for dead
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(error).doing(doing),
    }
}

fn is_taken(created: &io::Result<AtomicFile>) -> bool {
    let error = created.as_ref().err();
    error.is_some_and(|error| error.kind() == io::ErrorKind::AlreadyExists)
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// The file `path`, if there is one. What time it is where the file lies is told by touching the file `beside` in the same
/// directory, since a server of files has a clock of its own.
pub(super) fn read(path: &Path, beside: &str, largest: u64) -> Result<Option<Dated>> {
    let doing = || format!("cannot read {}", path.display());
    let file = match regular::open_to_read(path) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::InvalidInput
            ) =>
        {
            return Ok(None);
        }
        opened => opened.doing(doing)?,
    };
    let written = file.metadata().doing(doing)?.modified().doing(doing)?;
    let mut bytes = Vec::new();
    file.take(largest).read_to_end(&mut bytes).doing(doing)?;
    let now = path
        .parent()
        .and_then(|parent| touch(&parent.join(beside)).ok());
    let age = now.and_then(|now| {
        dated(
            now.duration_since(written)
                .map_err(|ahead| ahead.duration()),
        )
    });
    Ok(Some(Dated { bytes, age }))
}

/// Sets the time of a file to now, and says what that is.
fn touch(path: &Path) -> io::Result<SystemTime> {
    let file = regular::open_to_write(path)?;
    let at = |nanoseconds| Timespec {
        tv_sec: 0,
        tv_nsec: nanoseconds,
    };
    let times = Timestamps {
        last_access: at(UTIME_OMIT),
        last_modification: at(UTIME_NOW),
    };
    futimens(&file, &times)?;
    file.metadata()?.modified()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_file_is_claimed_once_and_its_age_is_told_by_its_directory() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("app/lease.1.json");
        let dead = place.path().join("app/lease.1.json.tmp");
        std::fs::create_dir(place.path().join("app")).unwrap();
        std::fs::write(&dead, "of a run that was killed").unwrap();
        assert!(!claim(&path, b"first", |_| true).unwrap());
        assert!(claim(&path, b"first", |_| false).unwrap() && !dead.exists());
        assert!(!claim(&path, b"second", |_| false).unwrap() && !dead.exists());
        let undated = read(&path, ".lock", 99).unwrap().unwrap();
        assert_eq!((&undated.bytes[..], undated.age), (&b"first"[..], None));
        std::fs::write(place.path().join("app/.lock"), "1").unwrap();
        let age = |path| read(path, ".lock", 99).unwrap().unwrap().age.unwrap();
        assert!(age(&path) < Duration::from_secs(60));
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        let earlier = SystemTime::now() - Duration::from_secs(1000);
        file.set_modified(earlier).unwrap();
        assert!((990..1100).contains(&age(&path).as_secs()));
        // from the future
        file.set_modified(SystemTime::now() + Duration::from_secs(1000))
            .unwrap();
        let from_the_future = read(&path, ".lock", 3).unwrap().unwrap();
        assert_eq!(
            (&from_the_future.bytes[..], from_the_future.age),
            (&b"fir"[..], None)
        );
        assert_eq!(read(&place.path().join("app/x"), ".lock", 3).unwrap(), None);
    }
}
