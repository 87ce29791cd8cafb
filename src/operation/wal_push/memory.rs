//! What earlier pushes on this host have found out: which files are durable on which storages, and which storages were away.

use crate::error::{Error, Result};
use crate::format::measure::hex;
use crate::postgres::wal_file::WalFile;
use crate::process::boot_clock::since_boot;
use crate::process::machine::digest;
use crate::repository::host_state::{HostState, address};
use crate::storage::Storage;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// So long a storage that has failed is not asked again: PostgreSQL asks once a second, and would wait for it each time.
const AWAY: Duration = Duration::from_secs(60);

/// The memory of one cluster's archiver. What is lost of it is found out again, so failures are not told.
pub(super) struct ArchiverMemory<'a>(pub &'a HostState);

/// A file that is durable somewhere.
#[derive(Serialize, Deserialize)]
struct Durable {
    /// Of its plain bytes.
    sha256: String,
    /// The addresses of the storages.
    stored_on: Vec<String>,
}

impl ArchiverMemory<'_> {
    /// The addresses of the storages that have `file` with this content.
    pub fn stored_on(
        &self,
        file: WalFile,
        sha256: impl FnOnce() -> Result<[u8; 32]>,
    ) -> Result<Vec<String>> {
        let Ok(Some(text)) = self.0.read(&name_of(file)) else {
            return Ok(Vec::new());
        };
        match serde_json::from_slice::<Durable>(&text) {
            Ok(known) if known.sha256 == hex(&sha256()?) => Ok(known.stored_on),
            _ => Ok(Vec::new()),
        }
    }

    /// True where something is remembered of `file`, whatever its content.
    pub fn knows(&self, file: WalFile) -> bool {
        self.0.read(&name_of(file)).is_ok_and(|text| text.is_some())
    }

    /// Remembers that the storages with these addresses have `file` with this content.
    pub fn remember(&self, file: WalFile, sha256: &[u8; 32], stored_on: Vec<String>) {
        let known = Durable {
            sha256: hex(sha256),
            stored_on,
        };
        let text = serde_json::to_vec(&known).map_err(|error| Error::failed(error.to_string()));
        quietly(text.and_then(|text| self.0.write(&name_of(file), &text)));
    }

    /// Nobody will ask for `file` any more, nor for what comes before it.
    pub fn forget_up_to(&self, file: WalFile) {
        quietly(self.0.remove(&name_of(file)));
        quietly(self.0.sweep());
        let Some(done) = file.segment() else {
            return;
        };
        for name in self.0.names().unwrap_or_default() {
            let known = name.strip_suffix(DURABLE).and_then(WalFile::parse);
            let segment = known.and_then(WalFile::segment);
            if segment.is_some_and(|segment| segment <= done) {
                quietly(self.0.remove(&name));
            }
        }
    }

    /// True where `storage` has failed a moment ago.
    pub fn is_away(&self, storage: &dyn Storage) -> bool {
        let Ok(Some(text)) = self.0.read(&away_name(storage)) else {
            return false;
        };
        let since = std::str::from_utf8(&text).ok();
        let since = since
            .and_then(|text| text.parse().ok())
            .map(Duration::from_secs);
        // after a restart of the machine the clock begins anew
        since.is_some_and(|since| {
            let now = since_boot();
            since <= now && now - since < AWAY
        })
    }

    /// Remembers that `storage` has failed now.
    pub fn is_gone(&self, storage: &dyn Storage) {
        let now = since_boot().as_secs().to_string();
        quietly(self.0.write(&away_name(storage), now.as_bytes()));
    }

    /// `storage` answers again.
    pub fn is_back(&self, storage: &dyn Storage) {
        quietly(self.0.remove(&away_name(storage)));
    }
}

const DURABLE: &str = ".durable";

fn name_of(file: WalFile) -> String {
    format!("{file}{DURABLE}")
}

fn away_name(storage: &dyn Storage) -> String {
    format!("away-{}", digest(&[address(storage).as_bytes()]))
}

fn quietly(done: Result<()>) {
    if let Err(error) = done {
        log::debug!("{}", error.chain());
    }
}
