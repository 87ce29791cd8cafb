//! A failure that could not be written down beside the backups, for the `status` of this machine: `failed-HASH.json` in the
//! [state directory](state_directory), HASH being a digest of configuration, task and database. It holds the same record as
//! beside the backups and the `config`, unsealed as in the log: nobody else may enter that directory.
//!
//! It says nothing any more once the same has ended well, and is removed then; where its configuration is no more, a daemon
//! that stops sweeps it.

use super::context::App;
use crate::daemon::identity;
use crate::error::{Doing, Error, Result};
use crate::files::{atomic_write, regular};
use crate::process::machine::digest;
use crate::repository::check_records::CheckLevel;
use crate::repository::last_failure::{Failure, LARGEST};
use crate::storage::state_directory::{state_directories, state_directory};
use serde::Serialize;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

/// What failed. The good end of one says nothing of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailedTask {
    Backup,
    /// A check that looks as deep.
    Check(CheckLevel),
}

impl FailedTask {
    /// Every kind of check.
    pub const CHECKS: [FailedTask; 4] = [
        FailedTask::Check(CheckLevel::Exists),
        FailedTask::Check(CheckLevel::Checksum),
        FailedTask::Check(CheckLevel::Full),
        FailedTask::Check(CheckLevel::Restore),
    ];

    /// Those that the good end of a check says something of: what looked no deeper.
    pub fn ended_by(level: CheckLevel) -> impl Iterator<Item = FailedTask> {
        let no_deeper = CheckLevel::ALL.into_iter().filter(move |it| *it <= level);
        no_deeper.map(FailedTask::Check)
    }

    fn name(self) -> &'static str {
        match self {
            FailedTask::Backup => "backup",
            FailedTask::Check(level) => level.name(),
        }
    }
}

/// The record with what a sweep goes by.
#[derive(Serialize)]
struct Kept<'a> {
    config: &'a Path,
    #[serde(flatten)]
    failure: &'a Failure,
}

impl App {
    /// Its names, the one to write first: one for each name that the configuration has, of which a link may lead elsewhere
    /// under a run.
    fn failure_files(&self, task: FailedTask, database: &str) -> Vec<String> {
        let of = |path: &PathBuf| {
            let parts = [
                path.as_os_str().as_bytes(),
                task.name().as_bytes(),
                database.as_bytes(),
            ];
            let ended = parts.map(|part| [part, b"\0"].concat());
            format!(
                "failed-{}.json",
                digest(&ended.each_ref().map(|part| &part[..]))
            )
        };
        identity::names(&self.path).iter().map(of).collect()
    }

    /// Writes down here that `task` failed.
    pub(super) fn keep_failure_here(&self, task: FailedTask, failure: &Failure) {
        let names = self.failure_files(task, &failure.database);
        let write = || -> Result<()> {
            let directory = state_directory()?;
            let path = directory.join(&names[0]);
            let kept = Kept {
                config: &identity::names(&self.path)[0],
                failure,
            };
            let mut text = serde_json::to_vec_pretty(&kept)
                .map_err(|error| Error::failed("cannot write down a failure").because(error))?;
            text.push(b'\n');
            atomic_write::replace(&path, &text, 0o640)
                .doing(|| format!("cannot write {}", path.display()))?;
            // what root's run wrote is for the service to read and to forget
            if let Ok(found) = std::fs::metadata(&directory)
                && let Err(error) = chown(&path, Some(found.uid()), Some(found.gid()))
            {
                log::debug!("{} stays this user's: {error}", path.display());
            }
            Ok(())
        };
        if let Err(error) = write() {
            log::debug!("the failure is not written down: {}", error.report());
        }
    }

    /// The last failure of any of `tasks` that is written down here by whatever user.
    pub(super) fn failure_here(&self, tasks: &[FailedTask], database: &str) -> Option<Failure> {
        let tasks = tasks.iter();
        let names: Vec<String> = tasks
            .flat_map(|task| self.failure_files(*task, database))
            .collect();
        let paths = state_directories()
            .into_iter()
            .flat_map(|directory| names.iter().map(move |name| directory.join(name)));
        let found = paths.filter_map(|path| {
            let text = regular::read_small(&path, LARGEST).ok()?;
            Failure::from_json(&text, &path.display().to_string()).ok()
        });
        found.max_by_key(|failure| failure.failed_at)
    }

    /// Forgets it: `task` has ended well.
    pub(super) fn forget_failure_here(&self, task: FailedTask, database: &str) {
        let names = self.failure_files(task, database);
        for directory in state_directories() {
            for name in &names {
                match std::fs::remove_file(directory.join(name)) {
                    Err(error) if error.kind() != ErrorKind::NotFound => {
                        log::debug!("{name} stays: {error}")
                    }
                    _ => {}
                }
            }
        }
    }
}
