//! A failure that could not be written down beside the backups, for the `status` of this machine: `failed-HASH.json` in the
//! runtime directory, HASH being a digest of configuration, task and database. It holds the same record as beside the
//! backups, unsealed as in the log: nobody else may enter that directory.
//!
//! It says nothing any more once something has ended well, and is removed then.

use super::context::App;
use crate::daemon::identity;
use crate::error::{Doing, Result};
use crate::files::{atomic_write, regular};
use crate::process::machine::digest;
use crate::repository::last_failure::{Failure, LARGEST};
use crate::storage::runtime_directory::{runtime_directories, runtime_directory};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::PathBuf;

impl App {
    /// Its names, the one to write first: one for each name that the configuration has, of which a link may lead elsewhere
    /// under a run.
    fn failure_files(&self, task: &str, database: &str) -> Vec<String> {
        let of = |path: &PathBuf| {
            let parts = [
                path.as_os_str().as_bytes(),
                task.as_bytes(),
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
    pub(super) fn keep_failure_here(&self, task: &str, failure: &Failure) {
        let names = self.failure_files(task, &failure.database);
        let write = || -> Result<()> {
            let directory = runtime_directory()?;
            let path = directory.join(&names[0]);
            atomic_write::replace(&path, &failure.to_json()?, 0o640)
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

    /// The last failure of `task` that is written down here by whatever user.
    pub(super) fn failure_here(&self, task: &str, database: &str) -> Option<Failure> {
        let names = self.failure_files(task, database);
        let paths = runtime_directories()
            .into_iter()
            .flat_map(|directory| names.iter().map(move |name| directory.join(name)));
        let found = paths.filter_map(|path| {
            let text = regular::read_small(&path, LARGEST).ok()?;
            Failure::from_json(&text, &path.display().to_string()).ok()
        });
        found.max_by_key(|failure| failure.failed_at)
    }

    /// Forgets it: `task` has ended well.
    pub(super) fn forget_failure_here(&self, task: &str, database: &str) {
        let names = self.failure_files(task, database);
        for directory in runtime_directories() {
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
