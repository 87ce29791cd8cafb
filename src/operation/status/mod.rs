//! `status`: how each database stands, from what lies on its storages alone.
//!
//! Costs a listing of each storage for each database, its record of a failure, a manifest for each of the newest
//! backups, and the records of their checks. A storage that cannot be asked hides nothing that another one holds.

mod judge;
mod newest;
mod proven;

pub use judge::{Level, Problem};
pub use proven::Proven;

use crate::cancel::Cancel;
use crate::error::{Error, Kind, Result};
use crate::format::seal::Keys;
use crate::repository::check_records;
use crate::repository::failure_record;
use crate::repository::find::Place;
use crate::repository::last_failure::Failure;
use crate::repository::listing::Entry;
use crate::repository::names::BackupId;
use crate::repository::reference::entries_of;
use crate::repository::size_check::Change;
use crate::storage::{Space, Storage};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::HashMap;
use std::time::Duration;

/// A database to look at.
pub struct Subject<'a> {
    /// Its `name`.
    pub name: String,
    /// The names of its storages.
    pub storages: Vec<String>,
    /// Only encrypted backups count: others could have been put there by anybody.
    pub sealed_only: bool,
    /// A partial backup counts, because the configuration makes no other.
    pub partial_counts: bool,
    /// How old the newest backup may become.
    pub max_age: Option<Duration>,
    /// How deep a check has to be to count: as the configured ones are, else a restore.
    pub verify_level: check_records::Level,
    /// How long ago the last such check may be that found a backup good.
    pub max_unverified_age: Option<Duration>,
    /// The next scheduled run.
    pub next_run: Option<DateTime<Utc>>,
    /// The next scheduled check.
    pub next_check: Option<DateTime<Utc>>,
    /// What opens what its last failure said.
    pub keys: Box<dyn Fn() -> Result<Keys> + 'a>,
}

/// How everything stands.
#[derive(Debug)]
pub struct Report {
    /// When this was so.
    pub now: DateTime<Utc>,
    /// The databases, in the order of the configuration.
    pub databases: Vec<Database>,
    /// The storages that were asked.
    pub storages: Vec<Holder>,
    /// The daemon, where it runs on this machine.
    pub daemon: Option<Daemon>,
    /// True where there are schedules, and nothing on this machine obeys them.
    pub unattended: bool,
}

/// The daemon of this configuration on this machine.
#[derive(Debug)]
pub struct Daemon {
    /// Its process.
    pub pid: u32,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// When it looked at the clock last.
    pub ticked_at: DateTime<Utc>,
    /// The databases that it is working on.
    pub running: Vec<String>,
    /// False for one that was killed.
    pub alive: bool,
}

/// How one database stands.
#[derive(Debug)]
pub struct Database {
    /// Its `name`.
    pub name: String,
    /// The newest backup that counts.
    pub newest: Option<Newest>,
    /// Newer ones that do not, because there is something wrong with each of their copies.
    pub damaged: Vec<Damaged>,
    /// The last run that failed, if any was written down.
    pub failure: Option<Failure>,
    /// What is to be said, the worst first.
    pub problems: Vec<Problem>,
    /// The limit on the age of the newest backup.
    pub max_age: Option<Duration>,
    /// True where that is exceeded, or there is no backup at all.
    pub too_old: bool,
    /// When its backups were last proven good.
    pub proven: Proven,
    /// How deep a check has to be to count.
    pub verify_level: check_records::Level,
    /// The limit on the time since the last such check that found a backup good.
    pub max_unverified_age: Option<Duration>,
    /// The next scheduled run.
    pub next_run: Option<DateTime<Utc>>,
    /// The next scheduled check.
    pub next_check: Option<DateTime<Utc>>,
}

/// The newest backup.
#[derive(Debug)]
pub struct Newest {
    /// What a listing says of it.
    pub entry: Entry,
    /// When it was complete, where its manifest tells.
    pub finished_at: Option<DateTime<Utc>>,
    /// Options left out part of the database.
    pub partial: bool,
    /// Time since it began.
    pub age: TimeDelta,
    /// Its size beside those before it.
    pub size: Change,
    /// What became of it on each storage, in their order.
    pub copies: Vec<Copy>,
}

/// A backup without a copy that is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    /// Which.
    pub id: BackupId,
    /// What is wrong with it.
    pub flaw: Flaw,
}

/// What is known to be wrong with a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flaw {
    /// It has not the size that its manifest tells.
    Size,
    /// `verify` found it bad then, at this level.
    Found(DateTime<Utc>, check_records::Level),
}

/// The newest backup on one storage.
#[derive(Debug)]
pub struct Copy {
    /// The storage's name.
    pub storage: String,
    /// Whether it is there.
    pub state: State,
}

/// Whether a copy is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// At this address.
    There(String),
    /// At this address, and known not to be good.
    Damaged(String, Flaw),
    /// It is not.
    Missing,
    /// The storage cannot be asked.
    Unknown,
}

/// One storage.
#[derive(Debug)]
pub struct Holder {
    /// Its name.
    pub name: String,
    /// The room there, where it is a file system; or why the storage cannot be asked.
    pub space: Result<Option<Space>>,
    /// What is to be said of it.
    pub problem: Option<Problem>,
}

impl Copy {
    /// True for one that is there and good, as far as that is known.
    pub fn is_there(&self) -> bool {
        matches!(self.state, State::There(_))
    }
}

impl Database {
    /// The worst that is to be said.
    pub fn level(&self) -> Level {
        judge::worst(&self.problems)
    }

    /// True where a newer backup than the one that counts, or a copy of that, is known not to be good.
    pub fn is_damaged(&self) -> bool {
        let copies = self.newest.iter().flat_map(|newest| &newest.copies);
        let bad = |copy: &Copy| matches!(copy.state, State::Damaged(..));
        !self.damaged.is_empty() || copies.into_iter().any(bad)
    }

    /// The last failure, where no backup has ended well since.
    pub fn failed_since(&self) -> Option<&Failure> {
        let newest = self.newest.as_ref().map(|newest| &newest.entry.id);
        self.failure.as_ref().filter(|failure| {
            newest.is_none_or(|newest| failure.failed_at > newest.timestamp.moment())
        })
    }
}

impl Report {
    /// The worst that is to be said of anything.
    pub fn level(&self) -> Level {
        let databases = self.databases.iter().map(Database::level);
        let storages = self.storages.iter().flat_map(|storage| &storage.problem);
        let storages = storages.map(|problem| problem.level);
        let daemon = self.daemon_problem().map(|problem| problem.level);
        let all = databases.chain(storages).chain(daemon);
        all.max().unwrap_or(Level::Ok)
    }

    /// What is to be said of the daemon.
    pub fn daemon_problem(&self) -> Option<Problem> {
        match &self.daemon {
            Some(daemon) => judge::daemon(daemon, self.now),
            None => self.unattended.then(judge::unattended),
        }
    }
}

/// The storages as they are asked: one that failed is not waited for again.
struct Storages {
    storages: HashMap<String, Box<dyn Storage>>,
    failures: HashMap<String, Error>,
}

/// How `subjects` stand on `places`, at the moment `now`.
pub fn run(
    places: Vec<Place>,
    subjects: Vec<Subject>,
    now: DateTime<Utc>,
    cancel: &Cancel,
) -> Result<Report> {
    let names: Vec<String> = places.iter().map(|place| place.name.clone()).collect();
    let mut asked = Storages {
        storages: HashMap::new(),
        failures: HashMap::new(),
    };
    for place in places {
        match place.storage {
            Ok(storage) => drop(asked.storages.insert(place.name, storage)),
            Err(error) => drop(asked.failures.insert(place.name, error)),
        }
    }
    let mut databases = Vec::new();
    for subject in subjects {
        databases.push(look(subject, &mut asked, now, cancel)?);
    }
    let holder = |name: String| holder(name, &mut asked);
    Ok(Report {
        now,
        databases,
        storages: names.into_iter().map(holder).collect(),
        daemon: None,
        unattended: false,
    })
}

fn look(
    subject: Subject,
    asked: &mut Storages,
    now: DateTime<Utc>,
    cancel: &Cancel,
) -> Result<Database> {
    let mut listings: Vec<(&str, Vec<Entry>)> = Vec::new();
    for name in &subject.storages {
        let entries = asked.ask(name, |storage| {
            entries_of(storage, Some(&subject.name), cancel)
        })?;
        listings.extend(entries.map(|entries| (name.as_str(), entries)));
    }
    let (newest, damaged) = newest::find(&subject, &listings, asked, now, cancel)?;
    let proven = proven::find(&subject, &listings, asked, now, cancel)?;
    let mut failure: Option<Failure> = None;
    for name in &subject.storages {
        let found = asked.ask(name, |storage| {
            // a record that cannot be read tells nothing, which is not worth more than a line
            failure_record::read(storage, &subject.name, cancel).or_else(|error| {
                match error.kind() {
                    Kind::Damaged => {
                        log::warn!("{}", error.report());
                        Ok(None)
                    }
                    _ => Err(error),
                }
            })
        })?;
        let newer = |known: &Failure, found: &Failure| known.failed_at < found.failed_at;
        if let Some(found) = found.flatten()
            && failure.as_ref().is_none_or(|known| newer(known, &found))
        {
            failure = Some(found);
        }
    }
    if let Some(failure) = &mut failure {
        failure_record::open(failure, &subject.keys);
    }
    let unknown = asked.failed(&subject);
    let age = newest.as_ref().map(|newest| newest.age);
    let too_old = subject.max_age.is_some_and(|limit| match age {
        Some(age) => age.to_std().is_ok_and(|age| age > limit),
        // what cannot be asked may hold one
        None => unknown.is_empty(),
    });
    let mut database = Database {
        name: subject.name.clone(),
        newest,
        damaged,
        failure,
        problems: Vec::new(),
        max_age: subject.max_age,
        too_old,
        proven,
        verify_level: subject.verify_level,
        max_unverified_age: subject.max_unverified_age,
        next_run: subject.next_run,
        next_check: subject.next_check,
    };
    database.problems = judge::database(&database, &unknown, subject.storages.len(), now);
    Ok(database)
}

fn holder(name: String, asked: &mut Storages) -> Holder {
    let space = match (asked.failures.remove(&name), asked.storages.get(&name)) {
        (Some(error), _) => Err(error),
        (None, Some(storage)) => storage.space(),
        (None, None) => Ok(None),
    };
    let problem = match &space {
        Ok(space) => space.as_ref().and_then(judge::space),
        Err(error) => Some(judge::unreachable(error)),
    };
    Holder {
        name,
        space,
        problem,
    }
}

impl Storages {
    /// The storages of `subject` that cannot be asked.
    fn failed<'a>(&self, subject: &'a Subject) -> Vec<&'a str> {
        let names = subject.storages.iter().map(String::as_str);
        names
            .filter(|name| self.failures.contains_key(*name))
            .collect()
    }

    /// What `read` finds on the storage `name`; `None` where it cannot be asked, and with a warning where only this
    /// cannot be read.
    fn read<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&dyn Storage) -> Result<T>,
    ) -> Result<Option<T>> {
        let answer = self.ask(name, |storage| match read(storage) {
            Err(error) if !matches!(error.kind(), Kind::Unavailable | Kind::Signal(_)) => {
                log::warn!("{}", error.report());
                Ok(None)
            }
            read => read.map(Some),
        })?;
        Ok(answer.flatten())
    }

    /// What `ask` has to say of the storage `name`; `None` where it cannot be asked, now or since an earlier question.
    /// Only a signal is an error.
    fn ask<T>(
        &mut self,
        name: &str,
        ask: impl FnOnce(&dyn Storage) -> Result<T>,
    ) -> Result<Option<T>> {
        if self.failures.contains_key(name) {
            return Ok(None);
        }
        let Some(storage) = self.storages.get(name) else {
            return Ok(None);
        };
        match ask(storage.as_ref()) {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if matches!(error.kind(), Kind::Signal(_)) => Err(error),
            Err(error) => {
                self.failures.insert(name.to_string(), error);
                Ok(None)
            }
        }
    }
}
