//! One run at a time for a database on a storage: an advisory lock on a file that stays.
//!
//! The kernel drops the lock when its holder dies, however it dies, so a lock is never stale and the file
//! is never removed (removing it would let two runs lock two different files of one name).

use super::chown::hand_over;
use super::private_directory::{self, usable};
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Kind, Result};
use crate::process::machine::{boot_identifier, digest};
use rustix::fs::{FlockOperation, OFlags, flock};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

/// How often a taken lock is tried again; flock itself knows no time limit.
const AGAIN: Duration = Duration::from_millis(200);

/// A held lock; dropping it lets go.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// The lock of `path` as [`take`](Lock::take) takes it, but none where its directory is missing: nothing was ever
    /// written there, so there is nothing to keep apart.
    pub fn take_if_there(path: &Path, wait: Duration, cancel: &Cancel) -> Result<Option<Lock>> {
        match path.parent() {
            Some(directory) if !directory.exists() => Ok(None),
            _ => Lock::take(path, wait, cancel).map(Some),
        }
    }

    /// Takes the lock of `path`, waiting at most `wait` while another run holds it.
    pub fn take(path: &Path, wait: Duration, cancel: &Cancel) -> Result<Lock> {
        let doing = || format!("cannot lock {}", path.display());
        if let Some(directory) = path.parent() {
            private_directory::create(directory)?;
        }
        let open = |new: bool| {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create_new(new).mode(0o600);
            // the owner of the directory may not have us write through a link
            let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
            options.custom_flags(flags.bits() as i32);
            options.open(path)
        };
        let mut file = match open(true) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => open(false),
            made => made.inspect(|file| {
                if let Some(directory) = path.parent() {
                    hand_over(file, directory);
                }
            }),
        }
        .map_err(usable)
        .doing(doing)?;
        let found = file.metadata().doing(doing)?;
        if !found.is_file() {
            return Err(Error::failed("it is not a regular file").doing(doing()));
        }
        // another name of a file is as good as a link to it
        if found.nlink() > 1 {
            return Err(Error::refused("it has a second name")
                .doing(doing())
                .hint("see what else it is (find -samefile), and remove this name of it"));
        }
        let give_up = Instant::now() + wait;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < give_up => {
                    cancel.pause(AGAIN)?;
                }
                Err(rustix::io::Errno::WOULDBLOCK) => return Err(held(path, &mut file)),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno).doing(doing),
            }
        }
        // only for the message of the one who comes next; the lock holds without it
        let _ = file.set_len(0);
        let _ = write!(file, "{}", std::process::id());
        Ok(Lock { file })
    }

    /// What no other file has while the kernel runs that holds the lock: who finds it written down, and holds this lock,
    /// knows that the one who wrote it is dead.
    pub fn identity(&self) -> Option<String> {
        let found = self.file.metadata().ok()?;
        let place = [found.dev().to_le_bytes(), found.ino().to_le_bytes()].concat();
        Some(digest(&[b"lock", &boot_identifier()?, &place]))
    }
}

fn held(path: &Path, file: &mut File) -> Error {
    let mut holder = String::new();
    let _ = file.rewind();
    let _ = file.take(20).read_to_string(&mut holder);
    let who = match holder.trim().parse::<u32>() {
        Ok(pid) => format!("process {pid}"),
        Err(_) => "another run".to_string(),
    };
    Error::new(
        Kind::Locked,
        format!(
            "{who} is backing up this database now ({} is locked)",
            path.display()
        ),
    )
    .hint("wait for it to end, or let this run wait with --lock-wait 30m")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_lock_names_its_holder_and_a_dropped_one_is_free() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("app/.lock");
        let cancel = Cancel::new().unwrap();
        let first = Lock::take(&path, Duration::ZERO, &cancel).unwrap();
        let error = Lock::take(&path, Duration::ZERO, &cancel).unwrap_err();
        assert_eq!(error.kind(), Kind::Locked);
        assert!(error.to_string().contains(&std::process::id().to_string()));
        drop(first);
        Lock::take(&path, Duration::ZERO, &cancel).unwrap();
    }
}
