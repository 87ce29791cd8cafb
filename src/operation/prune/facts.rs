//! What the manifests of a database's backups say, read only where retention needs it.
//!
//! A manifest costs a request on remote storage, so only these are read: those of the newest backups, of
//! the ones that would go and their next newer ones, and of the ones that take a place which belongs to full backups.
//!
//! So do records of checks, which tell the newest backup that a drill proved. They are read only of backups that
//! would go, the newest first; where one of these is proven, of those that are newer, until one of them is, too.

use crate::cancel::Cancel;
use crate::error::{Kind, Result};
use crate::repository::check_records::Level;
use crate::repository::listing::Backup;
use crate::repository::manifest::Source;
use crate::repository::names::{Part, Timestamp};
use crate::repository::reference;
use crate::repository::retention;
use crate::repository::retention::{Candidate, Plan, Policy, Reason, Verdict};
use crate::storage::Storage;
use chrono::{DateTime, Utc};

/// The sources of this many of the newest backups are always compared.
const NEWEST: usize = 20;

/// What one manifest says.
#[derive(Debug, Clone)]
struct Fact {
    full: bool,
    lost_rows: bool,
    source: Option<Source>,
}

/// What is known so far of the backups of one database.
pub(super) struct Facts<'a> {
    storage: &'a dyn Storage,
    /// Oldest first.
    backups: &'a [Backup],
    known: Vec<Option<Fact>>,
    /// Whether a drill proved it, where that was looked up.
    proven: Vec<Option<bool>>,
}

/// Two sources that backups of one database came from.
pub(super) struct Change {
    /// That of the newest backup that tells.
    pub newest: Source,
    /// Another one, of the newest backup that differs.
    pub before: Source,
}

impl<'a> Facts<'a> {
    /// Nothing is known yet.
    pub fn new(storage: &'a dyn Storage, backups: &'a [Backup]) -> Facts<'a> {
        Facts {
            storage,
            backups,
            known: vec![None; backups.len()],
            proven: vec![None; backups.len()],
        }
    }

    /// Whether this one is partial, where that is known.
    pub fn partial(&self, index: usize) -> Option<bool> {
        self.known[index].as_ref().map(|fact| !fact.full)
    }

    /// Plans, and reads manifests until the plan rests on nothing unknown.
    pub fn plan(&mut self, policy: &Policy, now: DateTime<Utc>, cancel: &Cancel) -> Result<Plan> {
        for index in (0..self.backups.len()).rev().take(NEWEST) {
            self.learn(index, cancel)?;
        }
        loop {
            let plan = retention::plan(&self.candidates(), policy, now);
            let mut learnt = false;
            for (index, verdict) in plan.verdicts.iter().enumerate() {
                if !verdict.keeps() || verdict.rests_on_being_full() {
                    learnt |= self.learn(index, cancel)?;
                }
                // the next full one may tell that this one is what it lost rows of
                if !verdict.keeps()
                    && let Some(next) = self.unknown_next_full(index)
                {
                    learnt |= self.learn(next, cancel)?;
                }
            }
            if !learnt && !self.learn_proven(&plan, cancel)? {
                return Ok(plan);
            }
        }
    }

    /// The next newer backup that may be a full one, if nothing is known of it yet.
    fn unknown_next_full(&self, index: usize) -> Option<usize> {
        let next =
            (index + 1..self.backups.len()).find(|&next| self.partial(next) != Some(true))?;
        self.known[next].is_none().then_some(next)
    }

    /// Two different sources among the backups from `accepted` on.
    pub fn change(&self, accepted: Option<Timestamp>) -> Option<Change> {
        let newest_first = self.backups.iter().zip(&self.known).rev();
        let mut sources = newest_first
            .take_while(|(backup, _)| accepted.is_none_or(|since| backup.id.timestamp >= since))
            .filter_map(|(_, fact)| fact.as_ref()?.source.as_ref());
        let newest = sources.next()?;
        let before = sources.find(|source| !source.is(newest))?;
        Some(Change {
            newest: newest.clone(),
            before: before.clone(),
        })
    }

    /// Until it is known, a backup counts as full, so that what this decides is looked at.
    fn candidates(&self) -> Vec<Candidate> {
        let backups = self.backups.iter().enumerate();
        backups
            .map(|(index, backup)| Candidate {
                partial: self.partial(index) == Some(true),
                pinned: backup.has(Part::Pin),
                proven: self.proven[index] == Some(true),
                lost_rows: self.known[index]
                    .as_ref()
                    .is_some_and(|fact| fact.lost_rows),
                ..Candidate::full(backup.id.timestamp.moment())
            })
            .collect()
    }

    /// Looks up what decides whether a proof keeps a backup that would else go. False where nothing is new.
    fn learn_proven(&mut self, plan: &Plan, cancel: &Cancel) -> Result<bool> {
        let only_proof = Verdict::Keep(vec![Reason::Proven]);
        let hangs = |verdict: &Verdict| !verdict.keeps() || *verdict == only_proof;
        let newest_first = (0..self.backups.len()).rev();
        let (mut learnt, mut found) = (false, None);
        for index in newest_first
            .clone()
            .filter(|index| hangs(&plan.verdicts[*index]))
        {
            learnt |= self.look_up_proof(index, cancel)?;
            if self.proven[index] == Some(true) {
                found = Some(index);
                break;
            }
        }
        let Some(found) = found else {
            return Ok(learnt);
        };
        for index in newest_first.take_while(|index| *index > found) {
            learnt |= self.look_up_proof(index, cancel)?;
            if self.proven[index] == Some(true) {
                break;
            }
        }
        Ok(learnt)
    }

    /// Reads the records of one backup, unless that was done before.
    fn look_up_proof(&mut self, index: usize, cancel: &Cancel) -> Result<bool> {
        if self.proven[index].is_some() {
            return Ok(false);
        }
        let backup = &self.backups[index];
        self.proven[index] = Some(backup.has(Part::Verified) && self.is_proven(backup, cancel)?);
        Ok(true)
    }

    fn is_proven(&self, backup: &Backup, cancel: &Cancel) -> Result<bool> {
        cancel.check()?;
        match reference::proof_of(self.storage, &backup.id, cancel) {
            Ok(proof) => Ok(backup.archives.iter().any(|(shape, bytes)| {
                let key = backup.id.archive_key(*shape);
                proof.last_good(Level::Restore, &key, *bytes).is_some()
            })),
            Err(error) if matches!(error.kind(), Kind::Damaged | Kind::NotFound) => {
                log::warn!("{}", error.report());
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Reads one manifest, unless that was done before.
    fn learn(&mut self, index: usize, cancel: &Cancel) -> Result<bool> {
        if self.known[index].is_some() {
            return Ok(false);
        }
        let fact = self.read(&self.backups[index], cancel)?;
        self.known[index] = Some(fact);
        Ok(true)
    }

    fn read(&self, backup: &Backup, cancel: &Cancel) -> Result<Fact> {
        cancel.check()?;
        if !backup.has(Part::Manifest) {
            return Ok(Fact {
                full: true,
                lost_rows: false,
                source: None,
            });
        }
        match reference::manifest_of(self.storage, &backup.id, cancel) {
            Ok(manifest) => Ok(Fact {
                full: !manifest.dump.partial,
                lost_rows: manifest.dump.lost_rows,
                source: manifest.source,
            }),
            // it may be anything, so it takes no full backup's place; all other failures mean that too little is
            // known to delete at all
            Err(error) if matches!(error.kind(), Kind::Damaged | Kind::NotFound) => {
                log::warn!("{}", error.report());
                Ok(Fact {
                    full: false,
                    lost_rows: false,
                    source: None,
                })
            }
            Err(error) => Err(error),
        }
    }
}
