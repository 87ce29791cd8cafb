//! How each database, each storage and the daemon stand, and what is to be said of them.

use super::proven::Proven;
use crate::error::Result;
use crate::repository::check_records::CheckLevel;
use crate::repository::last_failure::Failure;
use crate::repository::listing::Entry;
use crate::repository::names::BackupId;
use crate::repository::size_check::SizeChange;
use crate::repository::standing::Objection;
use crate::storage::Space;
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

/// How everything stands.
#[derive(Debug)]
pub struct StatusReport {
    /// When this was so.
    pub now: DateTime<Utc>,
    /// The databases, in the order of the configuration.
    pub databases: Vec<DatabaseStatus>,
    /// The storages that were asked.
    pub storages: Vec<StorageStatus>,
    /// The daemon, where it runs on this machine.
    pub daemon: Option<DaemonLife>,
    /// What is to be said of the daemon, or of there being none.
    pub daemon_problem: Option<Problem>,
}

/// The daemon of this configuration on this machine.
#[derive(Debug)]
pub struct DaemonLife {
    /// Its process.
    pub pid: u32,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// When it looked at the clock last.
    pub ticked_at: DateTime<Utc>,
    /// How long it has not looked at it since, by a clock that stands while the machine sleeps and that nobody sets.
    pub silent: TimeDelta,
    /// The databases that it is working on.
    pub running: Vec<String>,
    /// False for one that was killed.
    pub alive: bool,
}

/// How one database stands.
#[derive(Debug)]
pub struct DatabaseStatus {
    pub name: String,
    /// The newest backup that counts.
    pub newest: Option<NewestBackup>,
    /// Newer ones that do not, because there is something wrong with each of their copies.
    pub damaged: Vec<DamagedBackup>,
    /// A newer one that does not, because it begins later than now.
    pub from_the_future: Option<FutureBackup>,
    /// The last run that failed, if any was written down.
    pub failure: Option<Failure>,
    /// The last check that could not be made, as this machine knows.
    pub failed_check: Option<Failure>,
    /// There are backups, and none that counts.
    pub none_counts: bool,
    /// What is to be said, the worst first.
    pub problems: Vec<Problem>,
    /// The limit on the age of the newest backup.
    pub max_age: Option<Duration>,
    /// The newest run that was begun and not ended, and that nobody goes on with.
    pub cut_short: Option<BackupId>,
    /// True where that is exceeded, or there is no backup at all, with or without a limit.
    pub too_old: bool,
    /// When its backups were last proven good.
    pub proven: Proven,
    /// How deep a check has to be to count.
    pub verify_level: CheckLevel,
    /// The limit on the time since the last such check that found a backup good.
    pub max_unverified_age: Option<Duration>,
    /// The next scheduled run.
    pub next_run: Option<DateTime<Utc>>,
    /// The next scheduled check.
    pub next_check: Option<DateTime<Utc>>,
}

#[derive(Debug)]
pub struct NewestBackup {
    /// What a listing says of it.
    pub entry: Entry,
    /// When it was complete, where its manifest tells.
    pub finished_at: Option<DateTime<Utc>>,
    /// Options left out part of the database.
    pub partial: bool,
    /// Time since it began.
    pub age: TimeDelta,
    /// Its size beside those before it.
    pub size: SizeChange,
    /// When it failed an assertion in a drill, if it did.
    pub failed_assertion: Option<DateTime<Utc>>,
    /// What became of it on each storage, in their order.
    pub copies: Vec<NewestCopy>,
}

/// A backup that begins later than now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FutureBackup {
    pub id: BackupId,
    /// What to do about it.
    pub hint: String,
}

/// A backup without a copy that is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedBackup {
    pub id: BackupId,
    /// What is wrong with it.
    pub flaw: Objection,
}

/// The newest backup on one storage.
#[derive(Debug)]
pub struct NewestCopy {
    /// The storage's name.
    pub storage: String,
    /// Whether it is there.
    pub state: CopyState,
}

/// Whether a copy is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyState {
    /// At this address.
    There(String),
    /// At this address, and known not to be good.
    Damaged(String, Objection),
    /// It is not.
    Missing,
    /// The storage cannot be asked.
    Unknown,
}

#[derive(Debug)]
pub struct StorageStatus {
    pub name: String,
    /// The room there, where it is a file system; or why the storage cannot be asked.
    pub space: Result<Option<Space>>,
    /// What the newest backups that are kept there have together.
    pub newest: u64,
    /// What is to be said of it.
    pub problem: Option<Problem>,
}

impl NewestCopy {
    /// True for one that is there and good, as far as that is known.
    pub fn is_there(&self) -> bool {
        matches!(self.state, CopyState::There(_))
    }
}

impl DatabaseStatus {
    /// The worst that is to be said.
    pub fn level(&self) -> Severity {
        worst(&self.problems)
    }

    /// True where a newer backup than the one that counts, or a copy of that, is known not to be good.
    pub fn is_damaged(&self) -> bool {
        let copies = self.newest.iter().flat_map(|newest| &newest.copies);
        let bad = |copy: &NewestCopy| matches!(copy.state, CopyState::Damaged(..));
        !self.damaged.is_empty() || copies.into_iter().any(bad)
    }

    /// The run that was cut short, where no backup has begun since.
    pub fn cut_short_since(&self) -> Option<&BackupId> {
        let newest = self.newest.as_ref().map(|newest| &newest.entry.id);
        self.cut_short
            .as_ref()
            .filter(|id| newest.is_none_or(|newest| *id > newest))
    }

    /// The last failure, where no backup has ended well since.
    pub fn failed_since(&self) -> Option<&Failure> {
        let newest = self.newest.as_ref().map(|newest| &newest.entry.id);
        self.failure.as_ref().filter(|failure| {
            // that a copy is missing is told of the backup itself
            !failure.left_a_backup()
                && newest.is_none_or(|newest| failure.failed_at > newest.timestamp.moment())
        })
    }

    /// The last check that could not be made, where none has found a backup good since.
    pub fn check_failed_since(&self) -> Option<&Failure> {
        let verified_at = self.proven.verified_at;
        let failure = self.failed_check.as_ref();
        failure.filter(|failure| verified_at.is_none_or(|at| at < failure.failed_at))
    }
}

/// So long after it looked at the clock last, which it does every minute, a daemon is one that hangs.
const HANGS: TimeDelta = TimeDelta::minutes(3);

impl DaemonLife {
    /// How long it has not looked at the clock, where that is too long: stopped, or waiting for what does not come.
    pub fn hangs(&self) -> Option<TimeDelta> {
        (self.alive && self.silent > HANGS).then_some(self.silent)
    }
}

impl StatusReport {
    /// True where there is a daemon on this machine that does not do anything any more.
    pub fn daemon_hangs(&self) -> bool {
        let daemon = self.daemon.as_ref();
        daemon.is_some_and(|daemon| daemon.hangs().is_some())
    }

    /// True where there are schedules, and nothing on this machine obeys them.
    pub fn is_unattended(&self) -> bool {
        self.daemon.is_none() && self.daemon_problem.is_some()
    }

    /// The worst that is to be said of anything.
    pub fn level(&self) -> Severity {
        let databases = self.databases.iter().map(DatabaseStatus::level);
        let storages = self.storages.iter().flat_map(|storage| &storage.problem);
        let storages = storages.map(|problem| problem.level);
        let daemon = self.daemon_problem.iter().map(|problem| problem.level);
        let all = databases.chain(storages).chain(daemon);
        all.max().unwrap_or(Severity::Ok)
    }
}

/// How bad something is; the last one is the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Worth a look.
    Noted,
    /// To be mended soon.
    Warning,
    /// It cannot be told.
    Unknown,
    /// To be mended now.
    Critical,
}

impl Severity {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Ok => "ok",
            Severity::Noted => "noted",
            Severity::Warning => "warning",
            Severity::Unknown => "unknown",
            Severity::Critical => "critical",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub level: Severity,
    /// A sentence without its stop.
    pub what: String,
    /// The next step.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem.
    pub fn new(level: Severity, what: impl Into<String>) -> Problem {
        let what = what.into();
        Problem {
            level,
            what,
            hint: None,
        }
    }

    /// The same with a next step.
    pub fn hint(self, hint: impl Into<String>) -> Problem {
        Problem {
            hint: Some(hint.into()),
            ..self
        }
    }
}

/// The worst of `problems`.
fn worst(problems: &[Problem]) -> Severity {
    let levels = problems.iter().map(|problem| problem.level);
    levels.max().unwrap_or(Severity::Ok)
}
