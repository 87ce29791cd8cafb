//! `prune`: applies the retention of one database on one storage.
//!
//! What holds, wherever a run is cut off:
//!
//! - The archive of a backup goes before what lies beside it, so that one that is no full one, or is known to be bad, never
//!   passes for a good one. What is left in between is swept by the next run.
//! - Sidecars without their archive are swept, where two listings in a row agree that it is.
//! - Nothing else is touched: no foreign name, no other database, nothing that is being written.
//! - Nothing is deleted at all where a listing or a manifest could not be read, where a listing lacks the backup that was
//!   just stored, where the clock is behind the newest backup, or where it seems to have jumped ahead or backups come from
//!   different sources and nobody said that this is meant.

mod facts;
pub mod outcome;

use crate::cancel::Cancel;
use crate::error::{Doing, Error, Kind, Result};
use crate::format::seal::Keys;
use crate::repository::clock_jump::{self, ClockJump};
use crate::repository::key_check;
use crate::repository::listing::{Backup, Entry, Listing};
use crate::repository::names::{Acceptance, BackupId, Part};
use crate::repository::places::Places;
use crate::repository::retention;
use crate::repository::retention::{Plan, Policy, Verdict};
use crate::repository::sidecars::listing_of;
use crate::repository::standing::Objection;
use crate::repository::{Expected, Repository, run_mark};
use crate::storage::Storage;
use crate::storage::lock::Lock;
use crate::text::rfc3339;
use chrono::{DateTime, Utc};
use facts::{RetentionFacts, SourceChange};
use std::time::Duration;

/// So many backups are deleted in one go, which on remote storage is three requests.
const BATCH: usize = 100;

/// One database on one storage, and what to keep there.
pub struct PruneJob<'a> {
    /// The database's `name`.
    pub database: &'a str,
    /// Where its backups are.
    pub storage: &'a dyn Storage,
    /// What the configuration makes of it.
    pub expected: Expected,
    /// What to keep.
    pub policy: &'a Policy,
    /// Only say what would happen.
    pub dry_run: bool,
    /// From the newest backup on, its source is the right one.
    pub accept_new_source: bool,
    /// The clock is right, and was right until now.
    pub accept_clock: bool,
    /// How long to wait for another run of this database.
    pub lock_wait: Duration,
    /// Nothing goes while these do not open the earlier backups: a password may have been changed by mistake.
    pub keys: Option<&'a Keys>,
    /// A backup that was just stored there: a listing without it is not complete.
    pub stored: Option<BackupId>,
}

/// What became, or would become, of one backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    pub id: BackupId,
    /// Size of its archive.
    pub bytes: u64,
    /// What keeps it from taking the place of an older one, where that was looked up.
    pub objection: Option<Objection>,
    /// Options left out part of the database; `None` where nothing hung on it, so that it was not looked up.
    pub partial: Option<bool>,
    /// The verdict and the reasons.
    pub verdict: Verdict,
}

/// What `prune` did, or would do.
#[derive(Debug)]
pub struct Pruned {
    /// Every backup that was there, newest first.
    pub backups: Vec<Judged>,
    /// Keys of sidecars without their archive.
    pub swept: Vec<String>,
    /// Why nothing was deleted, although there are rules.
    pub refused: Option<Error>,
    /// What happened but should be looked at.
    pub warnings: Vec<String>,
}

impl Pruned {
    /// The backups that stay; with `refused`, that would.
    pub fn kept(&self) -> impl Iterator<Item = &Judged> {
        self.backups.iter().filter(|backup| backup.verdict.keeps())
    }

    /// The backups that go; with `refused`, that would.
    pub fn deleted(&self) -> impl Iterator<Item = &Judged> {
        self.backups.iter().filter(|backup| !backup.verdict.keeps())
    }
}

/// Deletes what no rule keeps at the moment `now`, of the storage of `job`, which is the one of `places`.
pub fn run(job: &PruneJob, places: &Places, now: DateTime<Utc>, cancel: &Cancel) -> Result<Pruned> {
    let _lock = lock(job, now, cancel)?;
    let storage = job.storage.name();
    let repository = Repository::open(
        job.database,
        &[storage.to_string()],
        places,
        job.expected,
        now,
        cancel,
    )?
    .strict();
    if let Some((_, error)) = places.take_failures().pop() {
        return Err(error);
    }
    let mut listing = match repository.listings() {
        [(_, listing)] => listing.clone(),
        _ => Listing::default(),
    };
    // what a run is writing is not for retention to judge
    listing.backups.retain(|backup| !backup.is_unfinished());
    if let Some(stored) = &job.stored
        && !listing.backups.iter().any(|backup| backup.id == *stored)
    {
        return Err(not_listed(job, stored));
    }
    if job.policy.keeps_everything() {
        let candidates = vec![retention::Candidate::full(now); listing.backups.len()];
        let plan = retention::plan(&candidates, job.policy, now);
        return Ok(judged(&listing.backups, &plan, None));
    }

    let mut facts = RetentionFacts::new(&repository, storage, &listing.backups, now);
    let plan = facts.plan(job.policy, now, cancel)?;
    let mut pruned = judged(&listing.backups, &plan, Some(&facts));
    if plan.clock_is_behind() {
        pruned.refused = Some(clock_is_behind(job, &listing, now));
        return Ok(pruned);
    }
    let accepted = listing.accepted(job.database, Acceptance::Clock);
    let accepted = accepted.map(|newest| newest.moment());
    if let Some(jump) = clock_jump::find(&facts.candidates(), &plan, job.policy, accepted, now) {
        if !job.accept_clock {
            pruned.refused = Some(clock_jumped(job, &jump));
            return Ok(pruned);
        }
        accept(job, &listing, Acceptance::Clock, now, cancel)?;
    }
    let accepted = listing.accepted(job.database, Acceptance::Source);
    if let Some(change) = facts.change(accepted) {
        if !job.accept_new_source {
            pruned.refused = Some(source_changed(job, &change));
            return Ok(pruned);
        }
        accept(job, &listing, Acceptance::Source, now, cancel)?;
        log::info!("from the newest backup on, {} is the source", change.newest);
    }
    if plan.deletes_most() {
        let (most, all) = (plan.deleted(), plan.verdicts.len());
        let warning = format!("retention deletes {most} of {all} backups, more than half");
        pruned.warnings.push(warning);
    }
    if job.dry_run {
        pruned.swept = listing.orphans;
        return Ok(pruned);
    }
    pruned.refused = delete_all(job, &listing, &plan, cancel)?;
    if pruned.refused.is_none() {
        pruned.swept = sweep(job, listing.orphans, cancel)?;
    }
    Ok(pruned)
}

/// Keeps other runs of this database away, and removes what those left that died. A dry run, or one without rules, needs
/// no right to write.
fn lock(job: &PruneJob, now: DateTime<Utc>, cancel: &Cancel) -> Result<Option<Lock>> {
    if job.dry_run || job.policy.keeps_everything() {
        return Ok(None);
    }
    let path = job.storage.lock_file(job.database)?;
    let lock = Lock::take_if_there(&path, job.lock_wait, cancel)?;
    if lock.is_some() {
        run_mark::sweep(job.storage, job.database, now, cancel)?;
    }
    Ok(lock)
}

/// Deletes what goes by `plan`, or says why nothing was.
fn delete_all(
    job: &PruneJob,
    listing: &Listing,
    plan: &Plan,
    cancel: &Cancel,
) -> Result<Option<Error>> {
    let judged = listing.backups.iter().zip(&plan.verdicts);
    let doomed: Vec<&Backup> = judged
        .filter(|(_, verdict)| !verdict.keeps())
        .map(|(backup, _)| backup)
        .collect();
    if let Some(keys) = job.keys
        && !doomed.is_empty()
        && let Some(entry) = unopened(job, listing, &doomed, keys, cancel)?
    {
        return Ok(Some(password_changed(job, &entry)));
    }
    for batch in doomed.chunks(BATCH) {
        delete(job, batch, cancel)?;
    }
    Ok(None)
}

fn judged(backups: &[Backup], plan: &Plan, facts: Option<&RetentionFacts>) -> Pruned {
    let judged = backups.iter().zip(&plan.verdicts).enumerate();
    let newest_first = judged.rev().map(|(index, (backup, verdict))| Judged {
        id: backup.id.clone(),
        bytes: backup.bytes(),
        objection: facts.and_then(|facts| facts.objection(index)),
        partial: facts.and_then(|facts| facts.partial(index)),
        verdict: verdict.clone(),
    });
    Pruned {
        backups: newest_first.collect(),
        swept: Vec::new(),
        refused: None,
        warnings: Vec::new(),
    }
}

fn not_listed(job: &PruneJob, stored: &BackupId) -> Error {
    Error::failed(format!(
        "nothing is deleted on {}: its listing lacks {stored}, which was just stored there",
        job.storage.name()
    ))
    .hint("where a listing leaves one backup out, it may leave out others: see what it shows with: backupkit list --all")
}

fn clock_is_behind(job: &PruneJob, listing: &Listing, now: DateTime<Utc>) -> Error {
    let newest = listing.backups.last().map(|backup| backup.id.to_string());
    Error::refused(format!(
        "nothing is deleted on {}: it is {} here, and there is a backup from the future, {}",
        job.storage.name(),
        rfc3339::second(now),
        newest.unwrap_or_default(),
    ))
    .hint("set the clock right, or remove that backup if it is the one that is wrong")
}

fn clock_jumped(job: &PruneJob, jump: &ClockJump) -> Error {
    let backups = match jump.expired {
        1 => "one backup looks".to_string(),
        count => format!("{count} backups look"),
    };
    Error::refused(format!(
        "nothing is deleted on {}: {backups} too old only because nothing was stored from {} to {}, or because the clock was \
         set ahead",
        job.storage.name(),
        rfc3339::second(jump.from),
        rfc3339::second(jump.to),
    ))
    .hint(format!(
        "see what the date is; if that is right: backupkit prune --db {} --accept-clock",
        job.database
    ))
}

fn source_changed(job: &PruneJob, change: &SourceChange) -> Error {
    Error::refused(format!(
        "nothing is deleted on {}: the newest backup of {} is of {}, earlier ones are of {}",
        job.storage.name(),
        job.database,
        change.newest,
        change.before
    ))
    .hint(format!(
        "if that is meant: backupkit prune --db {} --accept-new-source",
        job.database
    ))
}

/// An encrypted archive that no password of `keys` opens: of the newest backup but one, or of the oldest or the newest
/// that goes. A changed password shows at one of them, and each costs a derivation.
fn unopened(
    job: &PruneJob,
    listing: &Listing,
    doomed: &[&Backup],
    keys: &Keys,
    cancel: &Cancel,
) -> Result<Option<Entry>> {
    let before = listing.backups.iter().rev().nth(1).map(|backup| &backup.id);
    let ends = [doomed.first(), doomed.last()];
    let ends = ends.into_iter().flatten().map(|backup| &backup.id);
    let mut looked_at: Vec<&BackupId> = before.into_iter().chain(ends).collect();
    looked_at.sort();
    looked_at.dedup();
    for entry in listing.entries() {
        if !entry.encoding.cipher.is_encrypted() || !looked_at.contains(&&entry.id) {
            continue;
        }
        match key_check::opens(job.storage, &entry, keys, cancel) {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(Some(entry)),
            // which says nothing of the password
            Err(error) if error.kind() == Kind::Damaged => log::debug!("{}", error.chain()),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn password_changed(job: &PruneJob, entry: &Entry) -> Error {
    key_check::changed(job.storage, entry).doing(format!(
        "nothing is deleted on {} until the earlier password is listed under encryption.previous_passwords",
        job.storage.name()
    ))
}

/// Writes down beside the newest backup what was said to be meant.
fn accept(
    job: &PruneJob,
    listing: &Listing,
    what: Acceptance,
    now: DateTime<Utc>,
    cancel: &Cancel,
) -> Result<()> {
    let Some(newest) = listing.backups.last().filter(|_| !job.dry_run) else {
        return Ok(());
    };
    let when = rfc3339::second(now);
    let key = newest.id.key(Part::Accepted(what));
    job.storage
        .replace(&key, format!("{when}\n").as_bytes(), cancel)
        .doing(|| format!("cannot write down what was accepted of {}", job.database))
}

/// Deletes these backups, their archives first.
fn delete(job: &PruneJob, batch: &[&Backup], cancel: &Cancel) -> Result<()> {
    let (mut archives, mut beside) = (Vec::new(), Vec::new());
    for backup in batch {
        let encodings = backup.archives.iter();
        archives.extend(encodings.map(|(encoding, _)| backup.id.archive_key(*encoding)));
        let sidecars = backup.sidecars.iter();
        beside.extend(sidecars.map(|part| backup.id.key(*part)));
    }
    for keys in [archives, beside] {
        if !keys.is_empty() {
            job.storage
                .delete(&keys, cancel)
                .doing(|| format!("cannot delete old backups of {}", job.database))?;
        }
    }
    for backup in batch {
        log::debug!("deleted {}", backup.id);
    }
    Ok(())
}

/// Removes sidecars without their archive. A backup that is being stored elsewhere at this moment shows its archive
/// first, so what had none in one listing and has none in the next is no such backup.
fn sweep(job: &PruneJob, orphans: Vec<String>, cancel: &Cancel) -> Result<Vec<String>> {
    if orphans.is_empty() {
        return Ok(orphans);
    }
    let again = listing_of(job.storage, Some(job.database), cancel)?.orphans;
    let both: Vec<String> = orphans
        .into_iter()
        .filter(|key| again.contains(key))
        .collect();
    job.storage.delete(&both, cancel).doing(|| {
        format!(
            "cannot sweep what is left of old backups of {}",
            job.database
        )
    })?;
    for key in &both {
        log::info!("swept {}, whose archive is gone", job.storage.locate(key));
    }
    Ok(both)
}
