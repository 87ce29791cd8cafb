//! One run at a time for a database on a storage: an advisory lock on a file that stays.
//!
//! The kernel drops the lock when its holder dies, however it dies, so a lock is never stale and the file
//! is never removed (removing it would let two runs lock two different files of one name).

use crate::cancel::Cancel;
use crate::error::{Doing, Error, Kind, Result};
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often a taken lock is tried again; flock itself knows no time limit.
const AGAIN: Duration = Duration::from_millis(200);

/// A held lock; dropping it lets go.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of `path`, waiting at most `wait` while another run holds it.
    pub fn take(path: &Path, wait: Duration, cancel: &Cancel) -> Result<Lock> {
        let doing = || format!("cannot lock {}", path.display());
        if let Some(directory) = path.parent() {
            super::local::create_directory(directory)?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .doing(doing)?;
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
        // only for the message of whoever comes next; the lock holds without it
        let _ = file.set_len(0);
        let _ = write!(file, "{}", std::process::id());
        Ok(Lock { _file: file })
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
            "{who} is backing up to {} now",
            path.parent().unwrap_or(path).display()
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
