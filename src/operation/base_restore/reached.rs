//! Where a recovery came to, by what the server wrote down itself: the history of the timeline that it began there.

use super::recovery::{Recovery, RecoveryTarget};
use crate::error::{Doing, Error, Result};
use crate::files::regular;
use crate::postgres::replication::Lsn;
use crate::postgres::wal_file::WalFile;
use std::path::Path;

/// A history has no more bytes.
const LARGEST: u64 = 1 << 20;
/// What the server writes where there was no target.
const NO_TARGET: &str = "no recovery target specified";

/// Where a recovery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// The timeline that it began.
    pub timeline: u32,
    /// Where that begins.
    pub lsn: Lsn,
    /// Why there, as the server says it.
    pub why: String,
}

impl Reached {
    /// As `pg_wal` in `data` tells it.
    pub(super) fn read(data: &Path) -> Result<Reached> {
        let wal = data.join("pg_wal");
        let doing = || {
            format!(
                "cannot find out in {} where the recovery ended",
                wal.display()
            )
        };
        let mut newest = None;
        for entry in std::fs::read_dir(&wal).doing(doing)? {
            let name = entry.doing(doing)?.file_name();
            if let Some(WalFile::History(timeline)) = name.to_str().and_then(WalFile::parse) {
                newest = newest.max(Some(timeline));
            }
        }
        let nothing =
            || Error::failed("the server has begun no timeline of its own").doing(doing());
        let timeline = newest.ok_or_else(nothing)?;
        let path = wal.join(WalFile::History(timeline).to_string());
        let text = regular::read_small(&path, LARGEST).doing(doing)?;
        let text = String::from_utf8_lossy(&text);
        let last = text.lines().rfind(|line| !line.trim().is_empty());
        let mut words = last.unwrap_or_default().splitn(3, '\t');
        let lsn = words.nth(1).and_then(|word| word.parse().ok());
        Ok(Reached {
            timeline,
            lsn: lsn.ok_or_else(nothing)?,
            why: words.next().unwrap_or_default().trim().to_string(),
        })
    }

    /// Fails where it is not where `recovery` was to go.
    pub(super) fn require(&self, recovery: &Recovery) -> Result<()> {
        let came = format!("the recovery ended at {}", self.lsn);
        let last = recovery.coverage.last;
        let is_there = match &recovery.target {
            RecoveryTarget::End => {
                last.is_none_or(|last| self.lsn >= last.start(recovery.segment_size))
            }
            RecoveryTarget::Lsn(lsn) if !recovery.is_exclusive => {
                self.why != NO_TARGET && self.lsn >= *lsn
            }
            _ => self.why != NO_TARGET,
        };
        match is_there {
            true => Ok(()),
            false => Err(Error::failed(format!(
                "{came} ({}), before where it was to go",
                self.why
            ))
            .hint("do not use what was restored: commits are missing in it; its log tells which segment the server did not get")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_history_tells_it() {
        let data = tempfile::tempdir().unwrap();
        let wal = data.path().join("pg_wal");
        std::fs::create_dir(&wal).unwrap();
        assert!(Reached::read(data.path()).is_err());
        let first = "1\t0/3000158\tno recovery target specified\n";
        std::fs::write(wal.join("00000002.history"), first).unwrap();
        let third = format!("{first}\n2\t0/5000000\tbefore 2026-11-25 11:58:03.1+00\n");
        std::fs::write(wal.join("00000003.history"), third).unwrap();
        let reached = Reached::read(data.path()).unwrap();
        assert_eq!(
            (reached.timeline, reached.lsn.to_string().as_str()),
            (3, "0/5000000")
        );
        assert_eq!(reached.why, "before 2026-11-25 11:58:03.1+00");
    }
}
