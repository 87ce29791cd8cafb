//! A failure that could not be written down beside the backups, for the `status` of this machine: `failed-HASH.json` in the
//! runtime directory, HASH being a digest of configuration, task and database. It holds the same record as beside the
//! backups, unsealed as in the log: nobody else may enter that directory.
//!
//! It says nothing any more once something has ended well, and is removed then.

use super::context::App;
use crate::error::{Doing, Result};
use crate::files::{atomic_write, regular};
use crate::process::machine::digest;
use crate::repository::last_failure::{Failure, LARGEST};
use crate::storage::runtime_directory::{runtime_directories, runtime_directory};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;

impl App {
    fn failure_file(&self, task: &str, database: &str) -> String {
        let path = std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        let path = path.canonicalize().unwrap_or(path);
        let path = path.as_os_str().as_bytes();
        let digest = digest(&[path, b"\0", task.as_bytes(), b"\0", database.as_bytes()]);
        format!("failed-{digest}.json")
    }

    /// Writes down here that `task` failed.
    pub(super) fn keep_failure_here(&self, task: &str, failure: &Failure) {
        let write = || -> Result<()> {
            let path = runtime_directory()?.join(self.failure_file(task, &failure.database));
            atomic_write::replace(&path, &failure.to_json()?, 0o640)
                .doing(|| format!("cannot write {}", path.display()))
        };
        if let Err(error) = write() {
            log::debug!("the failure is not written down: {}", error.report());
        }
    }

    /// The last failure of `task` that is written down here by whatever user.
    pub(super) fn failure_here(&self, task: &str, database: &str) -> Option<Failure> {
        let name = self.failure_file(task, database);
        let found = runtime_directories().into_iter().filter_map(|directory| {
            let path = directory.join(&name);
            let text = regular::read_small(&path, LARGEST).ok()?;
            Failure::from_json(&text, &path.display().to_string()).ok()
        });
        found.max_by_key(|failure| failure.failed_at)
    }

    /// Forgets it: `task` has ended well.
    pub(super) fn forget_failure_here(&self, task: &str, database: &str) {
        let name = self.failure_file(task, database);
        for directory in runtime_directories() {
            match std::fs::remove_file(directory.join(&name)) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    log::debug!("{name} stays: {error}")
                }
                _ => {}
            }
        }
    }
}
