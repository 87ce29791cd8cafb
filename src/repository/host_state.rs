//! What this host remembers of the WAL of one cluster: small files of this user alone, `<state directory>/wal/<cluster>/…`. All of
//! it may be lost: what it says is found out again.

use crate::error::{Doing, Result};
use crate::files::{atomic_write, directory, regular};
use crate::storage::Storage;
use std::io;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// No file of it is larger.
const LARGEST: u64 = 64 * 1024;

/// The directory of one cluster.
#[derive(Debug, Clone)]
pub struct HostState {
    directory: PathBuf,
}

impl HostState {
    /// That of `cluster`, in the state directory `state`.
    pub fn new(state: &Path, cluster: &str) -> HostState {
        HostState {
            directory: state.join("wal").join(cluster),
        }
    }

    /// What the file `name` holds; `None` where there is none.
    pub fn read(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let path = self.directory.join(name);
        match regular::read_small(&path, LARGEST) {
            Ok(text) => Ok(Some(Zeroizing::new(text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).doing(|| format!("cannot read {}", path.display())),
        }
    }

    /// Puts `text` into the file `name`.
    pub fn write(&self, name: &str, text: &[u8]) -> Result<()> {
        self.make()?;
        let path = self.directory.join(name);
        atomic_write::replace(&path, text, 0o600)
            .doing(|| format!("cannot write {}", path.display()))
    }

    /// Removes the file `name` if it is there.
    pub fn remove(&self, name: &str) -> Result<()> {
        let path = self.directory.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.doing(|| format!("cannot remove {}", path.display())),
        }
    }

    /// The names of its files.
    pub fn names(&self) -> Result<Vec<String>> {
        let doing = || format!("cannot list {}", self.directory.display());
        let entries = match std::fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.doing(doing)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            names.extend(entry.doing(doing)?.file_name().into_string());
        }
        Ok(names)
    }

    /// Makes the directory and what is missing above it, of this user alone.
    fn make(&self) -> Result<()> {
        let ancestors = self.directory.ancestors();
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
}

/// What a storage is told apart by: its name may mean another place in another configuration.
pub fn address(storage: &dyn Storage) -> String {
    format!("{} {}", storage.name(), storage.locate("."))
}
