//! What stdout gets: results, as text or as JSON, and nothing else.

mod check;
mod daemon;
mod diff;
mod list;
mod prune;
mod restore;
mod status;
mod verify;

pub use check::{check_json, check_line};
pub use daemon::{NextRuns, next_runs_json, next_runs_text};
pub use diff::{diff_json, diff_text};
pub use list::{list_json, list_text};
pub use prune::{Outcome, explain_text, pin_json, pin_text, prune_json, prune_text, summary_json};
pub use restore::{preview_json, preview_text, restore_json, restore_text};
pub use status::{nagios_line, nagios_status, status_json, status_nagios, status_text};
pub use verify::{Verified, report_json, report_text, verified_text, verify_json};

use crate::cancel::Cancel;
use crate::error::{Doing, Error, Result};
use crate::operation::backup::StoredBackup;
use crate::repository::copies::StoredCopy;
use crate::text::duration;
use chrono::{DateTime, SecondsFormat, Utc};
use rustix::event::PollFlags;
use rustix::fs::OFlags;
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::time::Duration;

/// Writes one line. Somebody who has stopped reading is not an error, and does not stop a backup.
pub fn line(text: &str) -> Result<()> {
    text_out(&format!("{text}\n"))
}

/// Writes `text` as it is.
pub fn text_out(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.doing(|| "cannot write to stdout"),
    }
}

/// Stdout for a large stream: every write ends with the run, and knows whether anybody still reads.
pub struct Stdout {
    file: File,
    /// A pipe of our own making to the same readers, which never blocks.
    pipe: bool,
    closed: bool,
    cancel: Cancel,
}

impl Stdout {
    /// Opens a pipe on stdout anew, so that it can be made not to block without a change for others who share it.
    pub fn new(cancel: &Cancel) -> Result<Stdout> {
        let doing = || "cannot write to stdout";
        let shared = File::from(io::stdout().as_fd().try_clone_to_owned().doing(doing)?);
        let is_pipe = shared.metadata().doing(doing)?.file_type().is_fifo();
        let opened = OpenOptions::new()
            .write(true)
            .custom_flags(OFlags::NONBLOCK.bits() as i32)
            .open("/proc/self/fd/1");
        let (file, pipe) = match opened {
            Ok(opened) if is_pipe => (opened, true),
            _ => (shared, false),
        };
        Ok(Stdout {
            file,
            pipe,
            closed: false,
            cancel: cancel.clone(),
        })
    }

    /// True once nobody reads any more.
    pub fn is_closed(&self) -> bool {
        self.closed
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            if self.pipe {
                self.cancel
                    .wait_for(self.file.as_fd(), PollFlags::OUT, None)?;
            }
            match self.file.write(bytes) {
                Err(error) if self.pipe && error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    self.closed = true;
                    return Err(error);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
                Err(error) => {
                    return Err(Error::from(error).doing("cannot write to stdout").into());
                }
                Ok(count) => return Ok(count),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The line of one database of `backup`. With several storages a field for each of them follows.
pub fn backup_text(database: &str, result: &Result<StoredBackup>, took: Duration) -> String {
    let took = duration::display(took);
    let status = backup_status(result);
    let Ok(stored) = result else {
        return format!("{database}\t{status}\t0\t-\t{took}");
    };
    let (bytes, destination) = (stored.manifest.archive.bytes, stored.destination());
    let mut line = format!("{database}\t{status}\t{bytes}\t{destination}\t{took}");
    if stored.copies.len() > 1 {
        for copy in &stored.copies {
            line.push('\t');
            line.push_str(copy.result.as_deref().unwrap_or("-"));
        }
    }
    line
}

fn backup_status(result: &Result<StoredBackup>) -> &'static str {
    match result {
        Ok(stored) if stored.is_everywhere() => "ok",
        Ok(_) => "degraded",
        Err(_) => "failed",
    }
}

/// The same as a JSON object. `retention` is what it did on the storage of each copy, if anything.
pub fn backup_json(
    database: &str,
    result: &Result<StoredBackup>,
    retention: Vec<Option<Value>>,
    took: Duration,
) -> Value {
    let mut event = json!({
        "type": "backup",
        "database": database,
        "status": backup_status(result),
        "duration": duration::display(took),
        "duration_seconds": took.as_secs_f64(),
    });
    match result {
        Ok(stored) => {
            let manifest = &stored.manifest;
            event["destination"] = stored.destination().into();
            event["key"] = manifest.archive.key.clone().into();
            event["bytes"] = manifest.archive.bytes.into();
            event["sha256"] = manifest.archive.sha256.clone().into();
            event["plain_bytes"] = manifest.dump.bytes.into();
            event["compression"] = manifest.pipeline.compression.clone().into();
            event["encryption"] = manifest.pipeline.encryption.clone().into();
            event["partial"] = manifest.dump.partial.into();
            event["started_at"] = rfc3339(manifest.started_at).into();
            event["finished_at"] = rfc3339(manifest.finished_at).into();
            event["warnings"] = json!(stored.warnings);
        }
        Err(error) => event["error"] = error_json(error),
    }
    if let Ok(stored) = result {
        let retention = retention.into_iter().chain(std::iter::repeat(None));
        let copies = stored.copies.iter().zip(retention);
        event["copies"] = copies
            .map(|(copy, retention)| copy_json(copy, retention))
            .collect();
    }
    event
}

fn copy_json(copy: &StoredCopy, retention: Option<Value>) -> Value {
    let mut object = match &copy.result {
        Ok(destination) => json!({ "status": "ok", "destination": destination }),
        Err(error) => json!({ "status": "failed", "error": error_json(error) }),
    };
    object["storage"] = copy.storage.clone().into();
    if let Some(retention) = retention {
        object["retention"] = retention;
    }
    object
}

/// The last line of `backup --json`.
pub fn backup_summary(
    ok: usize,
    failed: usize,
    missing_copies: usize,
    bytes: u64,
    took: Duration,
) -> Value {
    json!({
        "type": "summary",
        "ok": ok,
        "failed": failed,
        "missing_copies": missing_copies,
        "bytes": bytes,
        "duration": duration::display(took),
        "duration_seconds": took.as_secs_f64(),
    })
}

/// The last line of a JSON run that failed.
pub fn error_line(error: &Error) -> Value {
    let mut event = error_json(error);
    event["type"] = "error".into();
    event
}

fn error_json(error: &Error) -> Value {
    json!({
        "kind": error.kind().name(),
        "exit_status": error.kind().exit_status(),
        "message": error.chain(),
        "hint": error.first_hint(),
    })
}

/// To the second, for people.
pub fn second(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn rfc3339(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
