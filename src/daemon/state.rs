//! The daemon's sign of life: a small file in the [runtime directory](runtime_directory), one for each configuration.
//!
//! `daemon-HASH.json`, HASH being the first 16 hex digits of the SHA-256 of the configuration's absolute path, holds one
//! JSON object and then spaces:
//!
//! ```text
//! schema      1
//! pid         of the daemon
//! version     of the program
//! config      the configuration's absolute path
//! started_at  when the daemon started, RFC 3339 in UTC
//! ticked_at   when it looked at the clock last, which it does every minute
//! running     the names of the databases that are being worked on
//! ```
//!
//! The daemon holds an advisory lock (flock) on it as long as it lives, which also keeps a second daemon for the same
//! configuration away. After a tidy stop the file is gone; one that nobody holds is of a daemon that was killed.

use crate::cancel::Cancel;
use crate::error::{Doing, Error, Kind, Result};
use crate::storage::lock::runtime_directory;
use chrono::{DateTime, Utc};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// 1.
    pub schema: u32,
    /// The daemon's process.
    pub pid: u32,
    /// The program's version.
    pub version: String,
    /// The configuration.
    pub config: PathBuf,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// When it looked at the clock last.
    pub ticked_at: DateTime<Utc>,
    /// The databases that are being worked on.
    pub running: Vec<String>,
}

/// The daemon's own hold on its file.
pub struct State {
    /// None where no such file can be had, which costs `status` its word about the daemon and nothing else.
    held: Option<(PathBuf, File)>,
    life: Life,
    /// How much of the file has been written to.
    length: usize,
}

impl State {
    /// Takes the file of `config`. Fails only where another daemon holds it.
    pub fn hold(config: &Path, now: DateTime<Utc>) -> Result<State> {
        let config = std::path::absolute(config).unwrap_or_else(|_| config.to_owned());
        let held = runtime_directory()
            .map(|directory| directory.join(file_name(&config)))
            .and_then(|path| Ok((take(&path)?, path)));
        let held = match held {
            Ok((file, path)) => Some((path, file)),
            Err(error) if error.kind() == Kind::Locked => return Err(error),
            Err(error) => {
                log::warn!("no sign of life for status: {}", error.report());
                None
            }
        };
        let life = Life {
            schema: 1,
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").into(),
            config,
            started_at: now,
            ticked_at: now,
            running: Vec::new(),
        };
        Ok(State {
            held,
            life,
            length: 0,
        })
    }

    /// Says that we are alive, and what we are at.
    pub fn tick(&mut self, now: DateTime<Utc>, running: &[&str]) {
        let Some((path, file)) = &self.held else {
            return;
        };
        self.life.ticked_at = now;
        self.life.running = running.iter().map(|name| name.to_string()).collect();
        let mut text = serde_json::to_vec(&self.life).unwrap_or_default();
        // one write over all of the text before, so that a reader never sees the end of an older one
        text.resize(text.len().max(self.length), b' ');
        self.length = text.len();
        if let Err(error) = file.write_all_at(&text, 0) {
            log::debug!("cannot write {}: {error}", path.display());
        }
    }

    /// Removes the file, at the end of a tidy stop.
    pub fn release(self) {
        if let Some((path, _held)) = &self.held {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The daemon of `config` on this machine as this user can see it: what it says, and whether it is alive.
pub fn look(config: &Path) -> Option<(Life, bool)> {
    let config = std::path::absolute(config).ok()?;
    let path = runtime_directory().ok()?.join(file_name(&config));
    let mut text = String::new();
    let mut file = File::open(path).ok()?;
    file.read_to_string(&mut text).ok()?;
    let alive = flock(&file, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK);
    Some((serde_json::from_str(&text).ok()?, alive))
}

fn file_name(config: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let hash = Sha256::digest(config.as_os_str().as_bytes());
    let hash: String = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("daemon-{hash}.json")
}

fn take(path: &Path) -> Result<File> {
    let doing = || format!("cannot lock {}", path.display());
    let patience = Cancel::new()?.with_deadline(Duration::from_secs(1));
    loop {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .open(path)
            .doing(doing)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) if patience.pause(Duration::from_millis(100)).is_ok() => {
                // somebody may only be looking
                continue;
            }
            Err(Errno::WOULDBLOCK) => return Err(held(path)),
            Err(errno) => return Err(errno).doing(doing),
        }
        // the daemon before us may have removed the file between our opening and our locking it
        let found = std::fs::metadata(path).map(|found| found.ino());
        if found.is_ok_and(|inode| file.metadata().is_ok_and(|ours| ours.ino() == inode)) {
            return Ok(file);
        }
    }
}

fn held(path: &Path) -> Error {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let who = match serde_json::from_str::<Life>(&text) {
        Ok(life) => format!("process {}", life.pid),
        Err(_) => "another process".into(),
    };
    Error::new(
        Kind::Locked,
        format!("{who} is the daemon of this configuration already"),
    )
    .hint("one is enough: two of them would make every backup twice")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }

    #[test]
    fn a_second_daemon_is_refused_and_a_tidy_stop_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("config.yaml");
        let mut state = State::hold(&config, now()).unwrap();
        state.tick(now(), &["a rather long name", "another"]);
        state.tick(now(), &["app"]);
        let (life, alive) = look(&config).unwrap();
        assert!(alive);
        assert_eq!(
            (life.pid, life.running),
            (std::process::id(), vec!["app".into()])
        );
        assert_eq!((life.config, life.ticked_at), (config.clone(), now()));
        let Err(error) = State::hold(&config, now()) else {
            panic!("two daemons");
        };
        assert_eq!(error.kind(), Kind::Locked);
        assert!(error.to_string().contains(&std::process::id().to_string()));
        // other configurations have their own
        let mut other = State::hold(&directory.path().join("other.yaml"), now()).unwrap();
        other.tick(now(), &[]);
        state.release();
        assert_eq!(look(&config), None);
        State::hold(&config, now()).unwrap().release();
        // as it is after a kill
        let (path, held) = other.held.take().unwrap();
        drop(held);
        assert!(!look(&directory.path().join("other.yaml")).unwrap().1);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_is_no_sign_of_life_is_none() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(look(&directory.path().join("none.yaml")), None);
    }
}
