//! Tablespaces that were made while a base backup was: replaying its WAL would make them where they lay, which may be where they
//! live.

use crate::cancel::Cancel;
use crate::error::{Error, Kind, Result};
use crate::postgres::session::plain_environment;
use crate::postgres::tools::{Program, Tools};
use crate::process::{self, explain_plainly};
use crate::repository::manifest::ClusterFacts;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Longer than reading the WAL of the longest backup takes.
const LIMIT: Duration = Duration::from_secs(3600);
/// What pg_waldump prints of a record that makes one.
const MADE: &str = "desc: CREATE ";

/// The WAL that a server replays as it starts.
pub struct WalToReplay {
    major: u32,
    timeline: u32,
    start: String,
    stop: String,
}

impl WalToReplay {
    /// That of the backup with these facts.
    pub fn of(facts: &ClusterFacts) -> WalToReplay {
        let major = facts.server_version.split('.').next();
        WalToReplay {
            major: major.and_then(|text| text.parse().ok()).unwrap_or(0),
            timeline: facts.timeline,
            start: facts.start_lsn.clone(),
            stop: facts.stop_lsn.clone(),
        }
    }
}

/// Refuses the data directory `data` where replaying its WAL would make a tablespace.
pub fn refuse(data: &Path, wal: &WalToReplay, tools: &Tools, cancel: &Cancel) -> Result<()> {
    let Some(tool) = tools.of_server(Program::PgWaldump, wal.major, cancel)? else {
        log::warn!(
            "pg_waldump of PostgreSQL {} is not installed, so whether a tablespace was made during the backup is not known: its \
             WAL would make it where it lay",
            wal.major
        );
        return Ok(());
    };
    let mut command = Command::new(&tool.path);
    plain_environment(&mut command);
    command.arg("--path").arg(data.join("pg_wal"));
    command.arg(format!("--timeline={}", wal.timeline));
    command
        .arg(format!("--start={}", wal.start))
        .arg(format!("--end={}", wal.stop));
    command.arg("--rmgr=Tablespace");
    let said = process::run("pg_waldump", command, cancel, LIMIT, explain_plainly)
        .map_err(|error| error.doing("the WAL of the backup cannot be read"))?;
    let said = String::from_utf8_lossy(&said);
    let made = said.lines().find_map(|line| line.split_once(MADE));
    match made {
        None => Ok(()),
        Some((_, what)) => Err(Error::new(
            Kind::Refused,
            format!("a tablespace was made while the backup was, and its WAL would make it where it lay: {}", what.trim()),
        )
        .hint("restore another backup, made before or after")),
    }
}
