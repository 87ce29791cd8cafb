//! What this host remembers of the WAL of one cluster: small files of this user alone, `<state directory>/wal/<cluster>/…`. All of
//! it may be lost: what it says is found out again.

use crate::cancel::Cancel;
use crate::error::{Doing, Result};
use crate::files::atomic_write::AtomicFile;
use crate::files::{directory, random, regular};
use crate::storage::lock::Lock;
use crate::storage::state_directory::state_directory;
use crate::storage::{Storage, TEMPORARY};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

/// No file of it is larger.
const LARGEST: u64 = 64 * 1024;
/// Nobody writes one for so long.
const LEFT: Duration = Duration::from_secs(3600);

/// The directory of one cluster, or none: then nothing is remembered.
#[derive(Debug, Clone)]
pub struct HostState {
    directory: Option<PathBuf>,
}

impl HostState {
    /// That of `cluster`, in the state directory of this user; none where that cannot be used.
    pub fn of(cluster: &str) -> HostState {
        let directory = match state_directory() {
            Ok(state) => Some(state.join("wal").join(cluster)),
            Err(error) => {
                log::debug!("nothing is remembered: {}", error.chain());
                None
            }
        };
        HostState { directory }
    }

    /// Keeps others of this user on this host away, waiting at most `wait` for them; where nothing is remembered, nobody is.
    pub fn lock(&self, wait: Duration, cancel: &Cancel) -> Result<Option<Lock>> {
        match &self.directory {
            Some(directory) => Lock::take(&directory.join("lock"), wait, cancel).map(Some),
            None => Ok(None),
        }
    }

    /// What the file `name` holds; `None` where there is none.
    pub fn read(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let Some(directory) = &self.directory else {
            return Ok(None);
        };
        let path = directory.join(name);
        match regular::read_small(&path, LARGEST) {
            Ok(text) => Ok(Some(Zeroizing::new(text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).doing(|| format!("cannot read {}", path.display())),
        }
    }

    /// Puts `text` into the file `name`. Of several at the same moment, the last stays. It need not survive a crash of the machine.
    pub fn write(&self, name: &str, text: &[u8]) -> Result<()> {
        let Some(directory) = &self.directory else {
            return Ok(());
        };
        make(directory)?;
        let path = directory.join(name);
        let temporary = format!("{name}.{}{TEMPORARY}", random::token()?);
        let write = || {
            let mut file = AtomicFile::create(directory.join(temporary), 0o600)?;
            file.file().write_all(text)?;
            file.rename_over(&path)
        };
        write().doing(|| format!("cannot write {}", path.display()))
    }

    /// Removes what writers that were killed have left.
    pub fn sweep(&self) -> Result<()> {
        let Some(directory) = &self.directory else {
            return Ok(());
        };
        for name in self.names()? {
            let path = directory.join(&name);
            let written = path.metadata().and_then(|found| found.modified());
            let age = written.ok().and_then(|written| written.elapsed().ok());
            if name.ends_with(TEMPORARY) && age.is_some_and(|age| age > LEFT) {
                self.remove(&name)?;
            }
        }
        Ok(())
    }

    /// Removes the file `name` if it is there.
    pub fn remove(&self, name: &str) -> Result<()> {
        let Some(directory) = &self.directory else {
            return Ok(());
        };
        let path = directory.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.doing(|| format!("cannot remove {}", path.display())),
        }
    }

    /// The names of its files.
    pub fn names(&self) -> Result<Vec<String>> {
        let Some(directory) = &self.directory else {
            return Ok(Vec::new());
        };
        let doing = || format!("cannot list {}", directory.display());
        let entries = match std::fs::read_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.doing(doing)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            names.extend(entry.doing(doing)?.file_name().into_string());
        }
        Ok(names)
    }
}

/// Makes the directory and what is missing above it, of this user alone.
fn make(wanted: &Path) -> Result<()> {
    let ancestors = wanted.ancestors();
    let missing: Vec<&Path> = ancestors.take_while(|path| !path.exists()).collect();
    for path in missing.into_iter().rev() {
        match directory::make_private(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(error).doing(|| format!("cannot create {}", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What a storage is told apart by: its name may mean another place in another configuration.
pub fn address(storage: &dyn Storage) -> String {
    format!("{} {}", storage.name(), storage.locate("."))
}
