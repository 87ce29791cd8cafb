//! What is known of a database's backups, found out only where retention needs it.
//!
//! A manifest costs a request on remote storage, and so does each record of a check. So these are read of few backups:
//! of the newest, of the ones that would go and their next newer ones, and of the ones that take a place which belongs to
//! backups that count.
//!
//! Which backup a restore proved is looked up only of backups that would go, the newest first; where one of these is
//! proven, of those that are newer, until one of them is, too.

use crate::cancel::Cancel;
use crate::error::Result;
use crate::repository::Repository;
use crate::repository::check_records::CheckLevel;
use crate::repository::held::{Copy, HeldBackup};
use crate::repository::listing::Backup;
use crate::repository::manifest::Source;
use crate::repository::names::{BackupId, Part, Timestamp};
use crate::repository::retention::{self, Candidate, Plan, Policy, Reason, Verdict};
use crate::repository::standing::{Objection, Purpose, SKEW};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

/// The sources of this many of the newest backups are always compared.
const NEWEST: usize = 20;

/// What is known of one backup.
#[derive(Debug, Clone)]
struct BackupFact {
    /// What keeps it from taking the place of an older one.
    objection: Option<Objection>,
    partial: bool,
    lost_rows: bool,
    source: Option<Source>,
    /// The one that it needs.
    parent: Option<Timestamp>,
}

/// What is known so far of the backups of one database on one storage.
pub(super) struct RetentionFacts<'a> {
    repository: &'a Repository<'a>,
    storage: &'a str,
    /// Oldest first.
    backups: &'a [Backup],
    now: DateTime<Utc>,
    known: Vec<Option<BackupFact>>,
    /// Whether a restore proved it, where that was looked up.
    proven: Vec<Option<bool>>,
}

/// Two sources that backups of one database came from.
pub(super) struct SourceChange {
    /// That of the newest backup that tells.
    pub newest: Source,
    /// Another one, of the newest backup that differs.
    pub before: Source,
}

impl<'a> RetentionFacts<'a> {
    /// Nothing is known yet. The `repository` is a strict one, so that nothing is deleted where too little is known.
    pub fn new(
        repository: &'a Repository<'a>,
        storage: &'a str,
        backups: &'a [Backup],
        now: DateTime<Utc>,
    ) -> RetentionFacts<'a> {
        RetentionFacts {
            repository,
            storage,
            backups,
            now,
            known: vec![None; backups.len()],
            proven: vec![None; backups.len()],
        }
    }

    /// Whether this one is partial, where that is known.
    pub fn partial(&self, index: usize) -> Option<bool> {
        self.known[index].as_ref().map(|fact| fact.partial)
    }

    /// What keeps this one from taking the place of another, where that is known.
    pub fn objection(&self, index: usize) -> Option<Objection> {
        self.known[index].as_ref()?.objection
    }

    /// Plans, and reads until the plan rests on nothing unknown.
    pub fn plan(&mut self, policy: &Policy, now: DateTime<Utc>, cancel: &Cancel) -> Result<Plan> {
        for index in (0..self.backups.len()).rev().take(NEWEST) {
            self.learn(index, cancel)?;
        }
        loop {
            let plan = retention::plan(&self.candidates(), policy, now);
            let mut learnt = false;
            for (index, verdict) in plan.verdicts.iter().enumerate() {
                // one that stays keeps what it needs
                let may_keep_others = plan.deleted() > 0 && self.is_incremental(index);
                if !verdict.keeps() || verdict.rests_on_counting() || may_keep_others {
                    learnt |= self.learn(index, cancel)?;
                }
                // the next one that counts may tell that this one is what it lost rows of
                if !verdict.keeps()
                    && let Some(next) = self.unknown_next(index)
                {
                    learnt |= self.learn(next, cancel)?;
                }
            }
            if !learnt && !self.learn_proven(&plan, cancel)? {
                return Ok(plan);
            }
        }
    }

    /// Two different sources among the backups from `accepted` on.
    pub fn change(&self, accepted: Option<Timestamp>) -> Option<SourceChange> {
        let newest_first = self.backups.iter().zip(&self.known).rev();
        let mut sources = newest_first
            .take_while(|(backup, _)| accepted.is_none_or(|since| backup.id.timestamp >= since))
            .filter_map(|(_, fact)| fact.as_ref()?.source.as_ref());
        let newest = sources.next()?;
        let before = sources.find(|source| !source.is(newest))?;
        Some(SourceChange {
            newest: newest.clone(),
            before: before.clone(),
        })
    }

    /// What needs what, as far as that was looked up.
    pub fn parents(&self) -> BTreeMap<BackupId, BackupId> {
        let backups = self.backups.iter().enumerate();
        let pairs = backups.filter_map(|(index, backup)| {
            let parent = self.parent(index)?;
            Some((backup.id.clone(), self.backups[parent].id.clone()))
        });
        pairs.collect()
    }

    fn is_incremental(&self, index: usize) -> bool {
        let archives = &self.backups[index].archives;
        archives.iter().any(|archive| archive.kind.is_incremental())
    }

    /// The place of the backup that this one needs.
    fn parent(&self, index: usize) -> Option<usize> {
        let Some(parent) = self.known[index].as_ref()?.parent else {
            // where it does not tell, it may be the one before
            return index.checked_sub(1).filter(|_| self.is_incremental(index));
        };
        let older = self.backups[..index].iter();
        older
            .rev()
            .position(|backup| backup.id.timestamp == parent)
            .map(|steps| index - 1 - steps)
    }

    fn counts(&self, index: usize) -> Option<bool> {
        let fact = self.known[index].as_ref()?;
        Some(fact.objection.is_none())
    }

    /// The next newer backup that may count, if nothing is known of it yet.
    fn unknown_next(&self, index: usize) -> Option<usize> {
        let next =
            (index + 1..self.backups.len()).find(|&next| self.counts(next) != Some(false))?;
        self.known[next].is_none().then_some(next)
    }

    /// What is known so far of all of them. Until it is known, a backup counts, so that what this decides is looked at.
    pub fn candidates(&self) -> Vec<Candidate> {
        let backups = self.backups.iter().enumerate();
        backups
            .map(|(index, backup)| Candidate {
                counts: self.counts(index) != Some(false),
                pinned: backup.has(Part::Pin),
                proven: self.proven[index] == Some(true),
                lost_rows: self.known[index]
                    .as_ref()
                    .is_some_and(|fact| fact.lost_rows),
                incremental: self.is_incremental(index),
                parent: self.parent(index),
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
        let mut proven = false;
        for copy in self.copies(index) {
            cancel.check()?;
            let records = self.repository.records(&copy, cancel)?;
            let (key, bytes) = (copy.entry.archive_key(), copy.entry.bytes);
            let records = records.map(|records| records.until(self.now + SKEW));
            proven |= records.is_some_and(|records| {
                records
                    .last_good(CheckLevel::Restore, &key, bytes)
                    .is_some()
            });
        }
        self.proven[index] = Some(proven);
        Ok(true)
    }

    /// Finds out about one backup, unless that was done before.
    fn learn(&mut self, index: usize, cancel: &Cancel) -> Result<bool> {
        if self.known[index].is_some() {
            return Ok(false);
        }
        cancel.check()?;
        let mut least: Option<Option<Objection>> = None;
        let mut fact = BackupFact {
            objection: None,
            partial: false,
            lost_rows: false,
            source: None,
            parent: None,
        };
        for copy in self.copies(index) {
            let held = HeldBackup {
                id: copy.entry.id.clone(),
                encoding: copy.entry.encoding,
                copies: vec![copy],
            };
            let standings = self.repository.standings(&held, cancel)?;
            let objections = standings.iter();
            let objections = objections.map(|standing| standing.objection(Purpose::Keep, false));
            least = objections.chain(least).min();
            if let Some(manifest) = self.repository.manifest(&held, cancel)?.read() {
                fact.partial = manifest.is_partial();
                fact.lost_rows = manifest.has_lost_rows();
                fact.source = manifest.source.clone();
                fact.parent = manifest.parent().and_then(Timestamp::parse);
            }
        }
        fact.objection = least.flatten();
        self.known[index] = Some(fact);
        Ok(true)
    }

    /// The archives of one backup: one, unless someone laid the same backup there encoded in another way.
    fn copies(&self, index: usize) -> Vec<Copy> {
        let entries = self.backups[index].entries();
        entries
            .map(|entry| Copy {
                storage: self.storage.to_string(),
                entry,
            })
            .collect()
    }
}
