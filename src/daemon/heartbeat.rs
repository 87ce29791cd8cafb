//! The daemon's sign of life: a small file in the [runtime directory](crate::storage::runtime_directory), one for each
//! name of its configuration, which is one where no link leads to it.
//!
//! `daemon-HASH.json`, HASH being the first 16 hex digits of the SHA-256 of that name, holds one JSON object and then
//! spaces:
//!
//! ```text
//! schema      1
//! pid         of the daemon
//! version     of the program
//! config      the configuration, by the name that the daemon was started with
//! started_at  when the daemon started, RFC 3339 in UTC
//! ticked_at   when it looked at the clock last, which it does every minute
//! awake_ms    how many milliseconds the machine had been awake since its start by then: what tells a daemon that hangs
//!             from a machine that slept and from a clock that was set
//! running     the names of the databases that are being worked on
//! ```
//!
//! The daemon holds an advisory lock (flock) on each as long as it lives, which also keeps a second daemon for the same
//! configuration away. What lies there and is no file of ours alone (a link, a named pipe, a file with a second name) is
//! neither read nor written to: it is removed. After a tidy stop the file is gone, and with it those of daemons that were killed and have no
//! configuration any more; any other one that nobody holds is of a daemon that was killed.

use super::identity;
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Kind, Result};
use crate::files::{entries, regular};
use crate::process::boot_clock::awake_since_boot;
use crate::text::ours;
use chrono::{DateTime, TimeDelta, Utc};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// No such file is larger; the limit keeps a strange one from filling the memory.
const LARGEST_FILE: u64 = 1 << 20;
/// How often a file that changes under our hands is tried again.
const TRIES: usize = 100;

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
    /// How many milliseconds the machine had been [awake](awake_since_boot) by then; an earlier version does not say.
    #[serde(default)]
    pub awake_ms: Option<i64>,
    /// The databases that are being worked on.
    pub running: Vec<String>,
}

impl Life {
    /// How long a daemon that is alive has not looked at the clock, by that of this machine.
    pub fn silent(&self) -> TimeDelta {
        match self.awake_ms {
            Some(then) => TimeDelta::milliseconds(awake_ms().saturating_sub(then)),
            None => Utc::now() - self.ticked_at,
        }
    }
}

fn awake_ms() -> i64 {
    i64::try_from(awake_since_boot().as_millis()).unwrap_or(i64::MAX)
}

/// Where the daemon's files are.
#[derive(Debug, Clone)]
pub struct DaemonDirectories {
    /// The sign of life, gone with a reboot.
    pub runtime: PathBuf,
    /// What is [remembered](super::told_failures) over a restart, and by whom.
    pub memory: PathBuf,
}

impl DaemonDirectories {
    /// The file of what the daemon of `config` remembers.
    pub fn memory_of(&self, config: &Path) -> PathBuf {
        let name = &identity::names(config)[0];
        self.memory.join(file_name("remembered", name))
    }

    /// The file of who the daemon of `config` is to those of other hosts.
    pub fn owner_of(&self, config: &Path) -> PathBuf {
        let name = &identity::names(config)[0];
        self.memory.join(file_name("owner", name))
    }

    /// Removes what is left of daemons of configurations that are no more.
    fn sweep(&self) {
        for directory in [&self.runtime, &self.memory] {
            let entries = entries::of(directory).into_iter().flatten();
            for path in entries.filter_map(|entry| Some(entry.ok()?.path)) {
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
        let kinds = ["daemon-", "remembered-", "owner-", "failed-"];
        if !kinds.iter().any(|kind| name.starts_with(kind)) || !name.ends_with(".json") {
            return false;
        }
        let text = regular::read_small(path, LARGEST_FILE).unwrap_or_default();
        let Ok(about) = serde_json::from_slice::<About>(&text) else {
            return false;
        };
        let life = self.runtime.join(file_name("daemon", &about.config));
        let held = regular::open_to_read(&life).is_ok_and(|file| is_held(&file));
        !held && about.config.try_exists().is_ok_and(|there| !there)
    }
}

/// The daemon's own hold on its files.
pub struct Heartbeat {
    /// None where no such file can be had, which costs `status` its word about the daemon and nothing else.
    held: Vec<(PathBuf, File)>,
    life: Life,
    /// How much of each file has been written to.
    length: usize,
}

impl Heartbeat {
    /// Takes the files of `config`, where there is a place for them. Fails only where another daemon holds one.
    pub fn hold(
        config: &Path,
        places: Option<&DaemonDirectories>,
        now: DateTime<Utc>,
    ) -> Result<Heartbeat> {
        let names = identity::names(config);
        let mut held = Vec::new();
        // the file itself first: of two that come by different links, one gets it
        for name in names.iter().rev().filter(|_| places.is_some()) {
            let path = places.map(|places| places.runtime.join(file_name("daemon", name)));
            match path
                .map(|path| take(&path).map(|file| (path, file)))
                .transpose()
            {
                Ok(taken) => held.extend(taken),
                Err(error) if error.kind() == Kind::Locked => return Err(error),
                Err(error) => log::warn!("no sign of life for status: {}", error.report()),
            }
        }
        let life = Life {
            schema: 1,
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").into(),
            config: names[0].clone(),
            started_at: now,
            ticked_at: now,
            awake_ms: Some(awake_ms()),
            running: Vec::new(),
        };
        Ok(Heartbeat {
            held,
            life,
            length: 0,
        })
    }

    /// The configuration, by the name that the daemon was started with.
    pub fn config(&self) -> &Path {
        &self.life.config
    }

    /// Says that we are alive, and what we are at.
    pub fn tick(&mut self, now: DateTime<Utc>, running: &[&str]) {
        self.life.ticked_at = now;
        self.life.awake_ms = Some(awake_ms());
        self.life.running = running.iter().map(|name| name.to_string()).collect();
        let mut text = serde_json::to_vec(&self.life).unwrap_or_default();
        // one write over all of the text before, so that a reader never sees the end of an older one
        text.resize(text.len().max(self.length), b' ');
        self.length = text.len();
        for (path, file) in &self.held {
            if let Err(error) = file.write_all_at(&text, 0) {
                log::debug!("cannot write {}: {error}", path.display());
            }
        }
    }

    /// Removes the files, at the end of a tidy stop, and those that nobody will ask for again.
    pub fn release(self, places: Option<&DaemonDirectories>) {
        for (path, _held) in &self.held {
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

/// The daemon of `config` that has its runtime directory among `directories`: one that is alive, if any.
pub fn look(config: &Path, directories: &[PathBuf]) -> Seen {
    let mut seen = Seen::Nobody;
    for name in identity::names(config) {
        let name = file_name("daemon", &name);
        for directory in directories {
            match read(&directory.join(&name)) {
                Ok(Some((life, true))) => return Seen::Daemon(life, true),
                Ok(Some((life, false))) => seen = Seen::Daemon(life, false),
                // one that has just been made has nothing to say yet
                Ok(None) => {}
                Err(error)
                    if error.kind() == ErrorKind::PermissionDenied && seen == Seen::Nobody =>
                {
                    seen = Seen::Unknown;
                }
                Err(_) => {}
            }
        }
    }
    seen
}

fn read(path: &Path) -> io::Result<Option<(Box<Life>, bool)>> {
    let text = regular::read_small(path, LARGEST_FILE)?;
    let alive = is_held(&regular::open_to_read(path)?);
    let life = serde_json::from_slice(&text).ok();
    Ok(life.map(|life| (Box::new(life), alive)))
}

/// True where a daemon holds this file.
fn is_held(file: &File) -> bool {
    flock(file, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK)
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
    for _ in 0..TRIES {
        let file = match open(path) {
            Ok(file) => file,
            // its daemon has just ended, or another one is quicker
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::AlreadyExists) =>
            {
                continue;
            }
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                remove_strange(path).doing(doing)?;
                continue;
            }
            Err(_) if regular::open_to_read(path).is_ok_and(|file| is_held(&file)) => {
                return Err(held(path));
            }
            Err(error) => return Err(error).doing(doing),
        };
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
        let ours = file.metadata().doing(doing)?;
        let found = std::fs::symlink_metadata(path);
        if !found.is_ok_and(|found| (found.dev(), found.ino()) == (ours.dev(), ours.ino())) {
            continue;
        }
        if ours.uid() == geteuid().as_raw() && ours.nlink() == 1 {
            return Ok(file);
        }
        remove_strange(path).doing(doing)?;
    }
    Err(Error::failed("another process keeps changing it").doing(doing()))
}

/// The file as it is there, or a new one, whose lock and text others may look at.
fn open(path: &Path) -> io::Result<File> {
    match regular::open_to_change(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(path),
        opened => opened,
    }
}

/// Removes what is no file of ours alone from the place of one: the name, and not what it leads to.
fn remove_strange(path: &Path) -> io::Result<()> {
    log::warn!(
        "{} is not a file of this daemon alone and is removed",
        path.display()
    );
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn held(path: &Path) -> Error {
    let text = regular::read_small(path, LARGEST_FILE).unwrap_or_default();
    let who = match serde_json::from_slice::<Life>(&text) {
        Ok(life) => format!("process {}", life.pid),
        Err(_) => "another process".into(),
    };
    Error::new(
        Kind::Locked,
        format!("{who} is the daemon of this configuration already"),
    )
    .hint(format!(
        "one is enough; see how it is with: {}",
        ours::command("status")
    ))
}

#[cfg(test)]
mod tests {
    use super::super::owner;
    use super::*;
    use std::os::unix::fs::symlink;

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
    fn one_file_has_one_daemon_by_whatever_link_it_is_reached() {
        let here = Here::new();
        std::fs::write(here.config("config.yaml"), "").unwrap();
        symlink(here.config("config.yaml"), here.config("link.yaml")).unwrap();
        symlink(here.0.path(), here.config("around")).unwrap();
        let names = [
            "config.yaml",
            "link.yaml",
            "around/config.yaml",
            "around/./link.yaml",
        ];
        for first in names {
            let mut daemon = here.hold(first).unwrap();
            daemon.tick(now(), &[]);
            for second in names {
                let Err(error) = here.hold(second) else {
                    panic!("two daemons: {first} and {second}");
                };
                assert_eq!(error.kind(), Kind::Locked);
                assert!(
                    matches!(here.look(second), Seen::Daemon(_, true)),
                    "{first}, {second}"
                );
            }
            daemon.release(Some(&here.1));
        }
        // a link that leads elsewhere since, as Kubernetes changes a file
        std::fs::write(here.config("new.yaml"), "").unwrap();
        let mut daemon = here.hold("link.yaml").unwrap();
        daemon.tick(now(), &[]);
        std::fs::remove_file(here.config("link.yaml")).unwrap();
        symlink(here.config("new.yaml"), here.config("link.yaml")).unwrap();
        assert!(matches!(here.look("link.yaml"), Seen::Daemon(_, true)));
        assert!(here.hold("link.yaml").is_err());
        daemon.release(Some(&here.1));
        assert_eq!(here.look("link.yaml"), Seen::Nobody);
    }

    #[test]
    fn what_others_laid_in_the_place_of_the_file_is_not_written_to() {
        let here = Here::new();
        let name = file_name("daemon", &identity::names(&here.config("config.yaml"))[0]);
        let path = here.1.runtime.join(name);
        let precious = here.config("precious");
        std::fs::write(&precious, "precious").unwrap();
        let lay: [fn(&Path, &Path); 4] = [
            |to, from| symlink(to, from).unwrap(),
            |_, from| symlink("nowhere", from).unwrap(),
            |to, from| std::fs::hard_link(to, from).unwrap(),
            |_, from| {
                let mode = rustix::fs::Mode::from_raw_mode(0o600);
                rustix::fs::mkfifoat(rustix::fs::CWD, from, mode).unwrap();
            },
        ];
        for lay in lay {
            lay(&precious, &path);
            assert_eq!(here.look("config.yaml"), Seen::Nobody);
            let mut daemon = here.hold("config.yaml").unwrap();
            daemon.tick(now(), &[]);
            assert!(matches!(here.look("config.yaml"), Seen::Daemon(_, true)));
            daemon.release(Some(&here.1));
            assert_eq!(std::fs::read(&precious).unwrap(), b"precious");
            assert!(!here.1.runtime.join("nowhere").exists());
        }
        // what cannot be removed costs the sign of life, and no more
        std::fs::create_dir(&path).unwrap();
        here.hold("config.yaml").unwrap().release(Some(&here.1));
    }

    #[test]
    fn a_tidy_stop_takes_along_what_is_left_of_configurations_that_are_no_more() {
        let here = Here::new();
        let killed = |name: &str| {
            here.hold(name).unwrap().tick(now(), &[]);
            let remembered = serde_json::json!({ "config": here.config(name), "jobs": [] });
            let path = here.1.memory_of(&here.config(name));
            std::fs::write(path, remembered.to_string()).unwrap();
            let failed = here.1.memory.join(file_name("failed", &here.config(name)));
            std::fs::write(failed, remembered.to_string()).unwrap();
            owner::of(
                Some(&here.1.owner_of(&here.config(name))),
                &here.config(name),
            )
            .unwrap();
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
        assert_eq!(
            left(&here.1.memory),
            [files("failed"), files("owner"), files("remembered")].concat()
        );
        drop(runs);
    }

    #[test]
    fn neither_a_sleep_nor_a_clock_that_is_set_makes_a_daemon_hang_and_none_hides_it() {
        let here = Here::new();
        let mut daemon = here.hold("config.yaml").unwrap();
        // by the calendar that was years ago
        daemon.tick(now(), &[]);
        let Seen::Daemon(mut life, true) = here.look("config.yaml") else {
            panic!("no daemon is seen");
        };
        assert!(life.silent() < TimeDelta::minutes(1));
        // the clock is set back after it was stopped
        life.ticked_at = Utc::now() + TimeDelta::days(1);
        life.awake_ms = life.awake_ms.map(|then| then - 600_000);
        assert!(life.silent() >= TimeDelta::minutes(10));
        // of an earlier version
        life.awake_ms = None;
        assert!(life.silent() < TimeDelta::zero());
    }

    #[test]
    fn what_is_no_sign_of_life_is_none() {
        let here = Here::new();
        assert_eq!(here.look("none.yaml"), Seen::Nobody);
    }
}
