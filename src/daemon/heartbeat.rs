//! The daemon's sign of life: a small file in the [runtime directory](crate::storage::lock::runtime_directory), one for
//! each configuration.
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
//! configuration away. After a tidy stop the file is gone, and with it those of daemons that were killed and have no
//! configuration any more; any other one that nobody holds is of a daemon that was killed.

use crate::cancel::Cancel;
use crate::error::{Doing, Error, Kind, Result};
use chrono::{DateTime, Utc};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
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

/// Where the daemon's files are.
#[derive(Debug, Clone)]
pub struct DaemonDirectories {
    /// The sign of life, gone with a reboot.
    pub runtime: PathBuf,
    /// What is [remembered](super::told_failures) over a restart.
    pub memory: PathBuf,
}

impl DaemonDirectories {
    /// The file of what the daemon of `config` remembers.
    pub fn memory_of(&self, config: &Path) -> PathBuf {
        self.memory.join(file_name("remembered", &absolute(config)))
    }

    /// Removes what is left of daemons of configurations that are no more.
    fn sweep(&self) {
        for directory in [&self.runtime, &self.memory] {
            let entries = std::fs::read_dir(directory).into_iter().flatten();
            for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
                if self.is_of_nothing(&path) {
                    let _ = std::fs::remove_file(path);
                }
            }
        }
    }

    /// True for a file of a daemon that does not run, of a configuration that is not there.
    fn is_of_nothing(&self, path: &Path) -> bool {
        #[derive(Deserialize)]
        struct About {
            config: PathBuf,
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !(name.starts_with("daemon-") || name.starts_with("remembered-"))
            || !name.ends_with(".json")
        {
            return false;
        }
        let text = std::fs::read(path).unwrap_or_default();
        let Ok(about) = serde_json::from_slice::<About>(&text) else {
            return false;
        };
        let life = self.runtime.join(file_name("daemon", &about.config));
        let held = File::open(life).is_ok_and(|file| is_held(&file));
        !held && about.config.try_exists().is_ok_and(|there| !there)
    }
}

/// The daemon's own hold on its file.
pub struct Heartbeat {
    /// None where no such file can be had, which costs `status` its word about the daemon and nothing else.
    held: Option<(PathBuf, File)>,
    life: Life,
    /// How much of the file has been written to.
    length: usize,
}

impl Heartbeat {
    /// Takes the file of `config`, where there is a place for it. Fails only where another daemon holds it.
    pub fn hold(
        config: &Path,
        places: Option<&DaemonDirectories>,
        now: DateTime<Utc>,
    ) -> Result<Heartbeat> {
        let config = absolute(config);
        let path = places.map(|places| places.runtime.join(file_name("daemon", &config)));
        let held = path.map(|path| take(&path).map(|file| (path, file)));
        let held = match held.transpose() {
            Ok(held) => held,
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
        Ok(Heartbeat {
            held,
            life,
            length: 0,
        })
    }

    /// The configuration's absolute path.
    pub fn config(&self) -> &Path {
        &self.life.config
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

    /// Removes the file, at the end of a tidy stop, and those that nobody will ask for again.
    pub fn release(self, places: Option<&DaemonDirectories>) {
        if let Some((path, _held)) = &self.held {
            let _ = std::fs::remove_file(path);
        }
        if let Some(places) = places {
            places.sweep();
        }
    }
}

/// What can be seen of the daemon of a configuration on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// There is none.
    Nobody,
    /// This user may not see whether there is one.
    Unknown,
    /// What it says, and whether it is alive.
    Daemon(Box<Life>, bool),
}

/// The daemon of `config` that has its runtime directory among `directories`.
pub fn look(config: &Path, directories: &[PathBuf]) -> Seen {
    let name = file_name("daemon", &absolute(config));
    let mut hidden = false;
    for directory in directories {
        match read(&directory.join(&name)) {
            // one that has just been made has nothing to say yet
            Ok(seen) => {
                return seen.map_or(Seen::Nobody, |(life, alive)| Seen::Daemon(life, alive));
            }
            Err(error) => hidden |= error.kind() == ErrorKind::PermissionDenied,
        }
    }
    match hidden {
        true => Seen::Unknown,
        false => Seen::Nobody,
    }
}

fn read(path: &Path) -> std::io::Result<Option<(Box<Life>, bool)>> {
    let mut text = String::new();
    let mut file = File::open(path)?;
    file.read_to_string(&mut text)?;
    let alive = is_held(&file);
    let life = serde_json::from_str(&text).ok();
    Ok(life.map(|life| (Box::new(life), alive)))
}

/// True where a daemon holds this file.
fn is_held(file: &File) -> bool {
    flock(file, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK)
}

fn absolute(config: &Path) -> PathBuf {
    std::path::absolute(config).unwrap_or_else(|_| config.to_owned())
}

fn file_name(kind: &str, config: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let hash = Sha256::digest(config.as_os_str().as_bytes());
    let hash: String = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{kind}-{hash}.json")
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
                // someone may only be looking
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

    struct Here(tempfile::TempDir, DaemonDirectories);

    impl Here {
        fn new() -> Here {
            let directory = tempfile::tempdir().unwrap();
            let at = |name: &str| {
                let path = directory.path().join(name);
                std::fs::create_dir(&path).unwrap();
                path
            };
            let (runtime, memory) = (at("run"), at("memory"));
            Here(directory, DaemonDirectories { runtime, memory })
        }

        fn config(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn hold(&self, name: &str) -> Result<Heartbeat> {
            Heartbeat::hold(&self.config(name), Some(&self.1), now())
        }

        fn look(&self, name: &str) -> Seen {
            look(&self.config(name), std::slice::from_ref(&self.1.runtime))
        }
    }

    #[test]
    fn a_second_daemon_is_refused_and_a_tidy_stop_leaves_nothing() {
        let here = Here::new();
        let mut state = here.hold("config.yaml").unwrap();
        state.tick(now(), &["a rather long name", "another"]);
        state.tick(now(), &["app"]);
        let Seen::Daemon(life, true) = here.look("config.yaml") else {
            panic!("no daemon is seen");
        };
        assert_eq!(
            (life.pid, life.running),
            (std::process::id(), vec!["app".into()])
        );
        assert_eq!(
            (life.config, life.ticked_at),
            (here.config("config.yaml"), now())
        );
        let Err(error) = here.hold("config.yaml") else {
            panic!("two daemons");
        };
        assert_eq!(error.kind(), Kind::Locked);
        assert!(error.to_string().contains(&std::process::id().to_string()));
        // other configurations have their own
        std::fs::write(here.config("other.yaml"), "").unwrap();
        let mut other = here.hold("other.yaml").unwrap();
        other.tick(now(), &[]);
        state.release(Some(&here.1));
        assert_eq!(here.look("config.yaml"), Seen::Nobody);
        here.hold("config.yaml").unwrap().release(Some(&here.1));
        // as it is after a kill
        drop(other);
        assert!(matches!(here.look("other.yaml"), Seen::Daemon(_, false)));
    }

    #[test]
    fn a_tidy_stop_takes_along_what_is_left_of_configurations_that_are_no_more() {
        let here = Here::new();
        let killed = |name: &str| {
            here.hold(name).unwrap().tick(now(), &[]);
            let remembered = serde_json::json!({ "config": here.config(name), "jobs": [] });
            let path = here.1.memory_of(&here.config(name));
            std::fs::write(path, remembered.to_string()).unwrap();
        };
        std::fs::write(here.config("there.yaml"), "").unwrap();
        killed("there.yaml");
        killed("gone.yaml");
        killed("runs.yaml");
        let runs = here.hold("runs.yaml").unwrap();
        std::fs::write(here.1.runtime.join("s3-x-app.lock"), "").unwrap();
        here.hold("stops.yaml").unwrap().release(Some(&here.1));
        let left = |directory: &Path| {
            let entries = std::fs::read_dir(directory).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<String> = names.collect();
            names.sort();
            names
        };
        let files = |kind: &str| {
            let names = ["there.yaml", "runs.yaml"].map(|name| file_name(kind, &here.config(name)));
            let mut names = Vec::from(names);
            names.sort();
            names
        };
        let locks = ["s3-x-app.lock".to_string()];
        assert_eq!(
            left(&here.1.runtime),
            [&files("daemon")[..], &locks].concat()
        );
        assert_eq!(left(&here.1.memory), files("remembered"));
        drop(runs);
    }

    #[test]
    fn what_is_no_sign_of_life_is_none() {
        let here = Here::new();
        assert_eq!(here.look("none.yaml"), Seen::Nobody);
    }
}
