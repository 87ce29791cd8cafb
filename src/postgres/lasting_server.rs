//! A server that stays when we have ended: that of a cluster which was restored.

use super::session::plain_environment;
use super::tools::Tool;
use crate::cancel::Cancel;
use crate::error::{Error, Kind, Result};
use crate::files::regular;
use crate::process::account::Account;
use crate::process::{self, explain_plainly};
use crate::text::escape::quoted_lines;
use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long pg_ctl itself waits; a recovery may go on after it.
const PG_CTL_WAITS: &str = "60";
/// How long pg_ctl may take.
const PG_CTL_LIMIT: Duration = Duration::from_secs(180);
/// Longer than a server takes to replay the WAL of a backup.
const REPLAY_LIMIT: Duration = Duration::from_secs(12 * 3600);
/// How often the server is looked at.
const AGAIN: Duration = Duration::from_millis(50);
/// What the server says until somebody else has its log.
const LOG: &str = "backupkit.start.log";
/// Where a logging collector writes to, as every restored cluster is told.
const COLLECTED: &str = "log";
/// So many of its last lines are told.
const TOLD: usize = 12;
/// So many bytes of a log are read for them.
const READ: u64 = 64 << 10;

/// Where the state of the cluster stands in pg_control, in all versions that we know.
const STATE: usize = 16;
/// That of a server which takes writes: DB_IN_PRODUCTION of `catalog/pg_control.h` in PostgreSQL's sources.
const IN_PRODUCTION: u32 = 6;

/// A data directory and who starts it.
pub struct LastingServer<'a> {
    /// Of the version of the data directory.
    pub pg_ctl: &'a Tool,
    pub data: &'a Path,
    /// Whom the server runs as, where not as ourselves.
    pub owner: Option<&'a Account>,
}

/// What a server that starts comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// Its recovery is over: it takes writes.
    Recovered,
    /// It goes on recovering, and can be read from where its settings allow that.
    Standby,
}

impl LastingServer<'_> {
    /// Starts it and waits until it is what is `awaited`. What does not come to that is stopped again.
    pub fn start(&self, awaited: Awaited, cancel: &Cancel) -> Result<()> {
        // its status tells of the wait alone, and a recovery may take longer
        let started = self.pg_ctl("start", cancel);
        let come = self.wait_until(awaited, cancel);
        let Err(error) = come else {
            return Ok(());
        };
        if let Err(why) = started {
            log::debug!("{}", why.chain());
        }
        self.stop();
        Err(error)
    }

    /// Stops it where it runs, also where the run was cancelled: nobody would look after it.
    pub fn stop(&self) {
        if self.status().is_none() {
            return;
        }
        let stopped = Cancel::new().and_then(|cancel| self.pg_ctl("stop", &cancel));
        if let Err(why) = stopped {
            log::warn!("{}", why.doing("the server could not be stopped").chain());
        }
    }

    /// Has it read its configuration again.
    pub fn reload(&self, cancel: &Cancel) -> Result<()> {
        self.pg_ctl("reload", cancel)
    }

    /// Where its log is, from its start on.
    pub fn log(&self) -> PathBuf {
        self.data.join(LOG)
    }

    fn pg_ctl(&self, what: &str, cancel: &Cancel) -> Result<()> {
        let mut command = Command::new(&self.pg_ctl.path);
        plain_environment(&mut command);
        if let Some(owner) = self.owner {
            owner.logs_in(&mut command);
            // a standby looks for its password there
            match owner.home.is_empty() {
                true => command.env("HOME", self.data),
                false => command.env("HOME", &owner.home),
            };
        }
        // ours may be closed to its user
        command.current_dir("/");
        command
            .args([what, "-s", "-w", "-t", PG_CTL_WAITS, "-D"])
            .arg(self.data);
        if what == "start" {
            command.arg("-l").arg(self.log());
        }
        process::run("pg_ctl", command, cancel, PG_CTL_LIMIT, explain_plainly).map(drop)
    }

    fn wait_until(&self, awaited: Awaited, cancel: &Cancel) -> Result<()> {
        let give_up = Instant::now() + REPLAY_LIMIT;
        loop {
            cancel.check()?;
            let Some(status) = self.status() else {
                return Err(self.ended());
            };
            // "ready" is also who recovers and can be read from; "standby", who recovers and cannot
            let has_come = match awaited {
                Awaited::Recovered => status == "ready" && self.is_in_production(),
                Awaited::Standby => status == "ready" || status == "standby",
            };
            if has_come {
                return Ok(());
            }
            if Instant::now() >= give_up {
                return Err(Error::new(
                    Kind::Failed,
                    format!(
                        "the server in {} has not recovered in 12 hours",
                        self.data.display()
                    ),
                ));
            }
            cancel.pause(AGAIN)?;
        }
    }

    /// The last line of its postmaster.pid; `None` where there is no server.
    fn status(&self) -> Option<String> {
        let text = fs::read_to_string(self.data.join("postmaster.pid")).ok()?;
        let process: i32 = text.lines().next()?.trim().parse().ok()?;
        let process = rustix::process::Pid::from_raw(process)?;
        // one that was killed leaves its file
        match rustix::process::test_kill_process(process) {
            Err(rustix::io::Errno::SRCH) => None,
            _ => Some(text.lines().nth(7).unwrap_or_default().trim().to_string()),
        }
    }

    fn is_in_production(&self) -> bool {
        let control = fs::read(self.data.join("global/pg_control")).unwrap_or_default();
        let state = control
            .get(STATE..STATE + 4)
            .and_then(|bytes| bytes.try_into().ok());
        state.map(u32::from_le_bytes) == Some(IN_PRODUCTION)
    }

    fn ended(&self) -> Error {
        let data = self.data.display();
        let log = self.last_log();
        let said = last_lines(&log).unwrap_or_default();
        Error::in_lines(
            Kind::Failed,
            &format!(
                "the server in {data} does not start; the end of {}:\n  | {}",
                log.display(),
                quoted_lines(&said)
            ),
        )
        .hint(format!(
            "what was restored is whole and stays there: mend what the log says by a line at the end of {data}/postgresql.auto.conf, which overrides all else, and start it with pg_ctl -D {data} start; where its port is taken, --port of the next restore names another"
        ))
    }

    /// Where the server spoke last: in its own log, or in one that its logging collector has written since. What else lies beside
    /// that one came with the backup, and so is older.
    fn last_log(&self) -> PathBuf {
        let written = |path: &Path| {
            let found = fs::symlink_metadata(path).ok()?;
            found.is_file().then(|| found.modified().ok()).flatten()
        };
        let first = self.log();
        let began = written(&first);
        let collected = fs::read_dir(self.data.join(COLLECTED))
            .into_iter()
            .flatten();
        let collected = collected.filter_map(|entry| {
            let path = entry.ok()?.path();
            let at = written(&path)?;
            (Some(at) >= began).then_some((at, path))
        });
        collected.max().map_or(first, |(_, path)| path)
    }
}

/// The end of the log at `path`, which may be large.
fn last_lines(path: &Path) -> io::Result<String> {
    // the directory is another user's, who may have laid something else there
    let mut file = regular::open_to_read(path)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(READ)))?;
    let mut said = Vec::new();
    file.take(READ).read_to_end(&mut said)?;
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.lines().collect();
    Ok(lines[lines.len().saturating_sub(TOLD)..].join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_large_log_is_told() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("log");
        let text: String = (0..20_000)
            .map(|number| format!("line {number}\n"))
            .collect();
        fs::write(&path, text).unwrap();
        let said = last_lines(&path).unwrap();
        assert_eq!(said.lines().count(), TOLD);
        assert!(said.ends_with("line 19998\nline 19999"), "{said}");
    }
}
