//! The mark of someone who reads a backup: `<timestamp>.reading-<host>-<token>`, so that no retention deletes it meanwhile.
//!
//! It lives for as long as it says, by the clock of its storage, and is written again while the reader lives. Who may not write
//! leaves none, and reads all the same.

use super::deletion;
use super::located::Located;
use super::mark_names::reading_suffix;
use crate::background::Repeating;
use crate::cancel::Cancel;
use crate::error::{Error, Kind, Result};
use crate::files::random;
use crate::process::machine::host_name;
use crate::storage::{CLEAN_UP, Storage};
use crate::text::ours;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// How long a mark lives that is not written again.
const LIVES: Duration = Duration::from_secs(10 * 60);
/// No mark lives longer, whatever it says.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// No mark is larger than this.
const LARGEST: u64 = 64 * 1024;
/// How long leaving a mark may hold a reader up.
const LEAVING: Duration = Duration::from_secs(30);

/// What a mark says. JSON, additive.
#[derive(Debug, Serialize, Deserialize)]
struct ReadingRecord {
    schema: u32,
    tool: String,
    host: String,
    pid: u32,
    /// How long it lives, from when it was written.
    seconds: u64,
}

/// A mark that is there while someone reads. Dropping it removes it.
pub struct ReadingMark {
    storage: Arc<dyn Storage>,
    key: String,
    renewing: Option<Repeating>,
}

impl ReadingMark {
    /// Leaves a mark beside `copy`; `None` where that is no backup on a storage, or where none can be left. Fails where the
    /// backup was deleted meanwhile.
    pub fn leave(copy: &Located, cancel: &Cancel) -> Result<Option<ReadingMark>> {
        let Located::Stored { storage, entry } = copy else {
            return Ok(None);
        };
        let left = ReadingMark::write(storage, &entry.id.to_string(), cancel);
        let Some(mark) = left.or_else(|error| not_left(error, cancel))? else {
            return Ok(None);
        };
        match deletion::outlasts(storage.as_ref(), &entry.id, cancel) {
            Ok(true) => Ok(Some(mark)),
            Ok(false) => Err(Error::new(
                Kind::NotFound,
                format!("{} was deleted by retention a moment ago", copy.shown()),
            )
            .hint(format!(
                "see which backups there are with: {}",
                ours::command("list")
            ))),
            // it is read as it was before there were marks
            Err(error) if error.kind() != Kind::Locked => {
                cancel.check()?;
                log::debug!("{}", error.chain());
                Ok(Some(mark))
            }
            Err(error) => Err(error),
        }
    }

    /// Leaves a mark, and does not look whether the backup is still there: for a reader that finds out.
    pub fn leave_unseen(copy: &Located, cancel: &Cancel) -> Result<Option<ReadingMark>> {
        let Located::Stored { storage, entry } = copy else {
            return Ok(None);
        };
        let left = ReadingMark::write(storage, &entry.id.to_string(), cancel);
        left.or_else(|error| not_left(error, cancel))
    }

    fn write(storage: &Arc<dyn Storage>, id: &str, cancel: &Cancel) -> Result<Option<ReadingMark>> {
        let token = random::token()?;
        let key = format!("{id}{}", reading_suffix(&host_name(), &token[..8]));
        let record = ReadingRecord {
            schema: 1,
            tool: format!("backupkit {}", env!("CARGO_PKG_VERSION")),
            host: host_name(),
            pid: std::process::id(),
            seconds: LIVES.as_secs(),
        };
        let bytes = serde_json::to_vec(&record)
            .map_err(|error| Error::failed("cannot mark a reader").because(error))?;
        storage.claim(&key, &bytes, &cancel.with_deadline(LEAVING))?;
        let (again, place) = (Arc::clone(storage), key.clone());
        let step = move |stop: &Cancel| {
            if let Err(error) = again.replace(&place, &bytes, &stop.with_deadline(LIVES)) {
                log::debug!("{place} is not renewed: {}", error.chain());
            }
            Some(LIVES / 4)
        };
        let mut mark = ReadingMark {
            storage: Arc::clone(storage),
            key,
            renewing: None,
        };
        mark.renewing = Some(Repeating::start("reading", LIVES / 4, CLEAN_UP, step)?);
        Ok(Some(mark))
    }
}

impl Drop for ReadingMark {
    fn drop(&mut self) {
        // so that none appears after it was removed
        drop(self.renewing.take());
        let key = std::slice::from_ref(&self.key);
        let gone = Cancel::new()
            .and_then(|cancel| self.storage.delete(key, &cancel.with_deadline(CLEAN_UP)));
        if let Err(error) = gone {
            log::debug!(
                "{} stays until prune removes it: {}",
                self.key,
                error.chain()
            );
        }
    }
}

fn not_left(error: Error, cancel: &Cancel) -> Result<Option<ReadingMark>> {
    cancel.check()?;
    log::debug!("retention is not told of this reader: {}", error.chain());
    Ok(None)
}

/// True while the reader with this mark may live.
pub fn is_living(storage: &dyn Storage, key: &str, cancel: &Cancel) -> Result<bool> {
    let dated = match storage.read_dated(key, LARGEST, cancel) {
        Ok(Some(dated)) => dated,
        Ok(None) => return Ok(false),
        Err(error) => return Err(error),
    };
    let said: Option<ReadingRecord> = serde_json::from_slice(&dated.bytes).ok();
    let lives = said.map_or(LIVES, |said| Duration::from_secs(said.seconds));
    Ok(dated.age.is_none_or(|age| age < lives.min(LONGEST)))
}
