//! What the daemon remembers over a restart: which failures people have been told of, so that they hear of the end of
//! them, and which runs a stop kept from being made.
//!
//! `remembered-HASH.json`, HASH being that of the [sign of life](super::heartbeat), in `$STATE_DIRECTORY`, which systemd
//! keeps over a reboot, else in the runtime directory. It holds one JSON object, and is there only while there is
//! something to remember:
//!
//! ```text
//! schema   1
//! config   the configuration's absolute path
//! jobs     what there is to know of some of them: see `Left`
//! ```

use super::plan::Left;
use crate::error::{Doing, Result};
use crate::files::{atomic_write, regular};
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// No such file is larger; the limit keeps a strange one from filling the memory.
const LARGEST_FILE: u64 = 16 << 20;

#[derive(Serialize, Deserialize)]
struct Remembered {
    schema: u32,
    config: PathBuf,
    jobs: Vec<Left>,
}

/// The file, as it was written last.
pub struct ToldFailures {
    /// None where there is no place for it, which costs a word about the end of a failure and nothing else.
    path: Option<PathBuf>,
    config: PathBuf,
    kept: Vec<Left>,
}

impl ToldFailures {
    /// What is remembered at `path` of the daemon of `config`.
    pub fn of(path: Option<PathBuf>, config: &Path) -> ToldFailures {
        let kept = path.as_deref().and_then(read).unwrap_or_default();
        ToldFailures {
            path,
            config: config.to_path_buf(),
            kept,
        }
    }

    /// What is remembered.
    pub fn kept(&self) -> &[Left] {
        &self.kept
    }

    /// Remembers this and nothing else.
    pub fn keep(&mut self, left: Vec<Left>) {
        let Some(path) = self.path.as_ref().filter(|_| left != self.kept) else {
            return;
        };
        let done = match left.is_empty() {
            true => match std::fs::remove_file(path) {
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                removed => removed.doing(|| format!("cannot remove {}", path.display())),
            },
            false => write(
                path,
                &Remembered {
                    schema: 1,
                    config: self.config.clone(),
                    jobs: left.clone(),
                },
            ),
        };
        match done {
            Ok(()) => self.kept = left,
            Err(error) => log::warn!("not remembered over a restart: {}", error.report()),
        }
    }
}

/// What cannot be read is nothing: people are then told of a failure once more than they need to be.
fn read(path: &Path) -> Option<Vec<Left>> {
    let text = regular::read_small(path, LARGEST_FILE).ok()?;
    let remembered: Remembered = serde_json::from_slice(&text)
        .inspect_err(|error| log::debug!("{} cannot be read: {error}", path.display()))
        .ok()?;
    Some(remembered.jobs)
}

fn write(path: &Path, remembered: &Remembered) -> Result<()> {
    let text = serde_json::to_vec(remembered).unwrap_or_default();
    atomic_write::replace(path, &text, 0o600).doing(|| format!("cannot write {}", path.display()))
}
