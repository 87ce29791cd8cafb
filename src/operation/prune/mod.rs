//! `prune`: applies the retention of one database on one storage.
//!
//! What holds, wherever a run is cut off:
//!
//! - The archive of a backup goes before what lies beside it, so that one that is no full one, or is known to be bad, never
//!   passes for a good one. What is left in between is swept by the next run.
//! - A run on another host that pins or reads a backup meanwhile keeps it, see [`deletion`](crate::repository::deletion); and only
//!   the one that holds the lease of the name deletes. Where a storage keeps no conditional writes, a backup goes only if a run
//!   an hour before found the same, see [`doomed`](crate::repository::doomed).
//! - Sidecars without their archive are swept, where two listings in a row agree that it is.
//! - Nothing else is touched: no foreign name, no other database, nothing that is being written.
//! - Nothing is deleted at all where a listing or a manifest could not be read, where a listing lacks the backup that was
//!   just stored, where the clock is behind the newest backup, or where it seems to have jumped ahead or backups come from
//!   different sources and nobody said that this is meant.

mod delete;
mod facts;
pub mod outcome;
mod wal;

use crate::cancel::Cancel;
use crate::error::{Doing, Error, Kind, Result};
use crate::format::seal::Keys;
use crate::repository::clock_jump::{self, ClockJump};
use crate::repository::hold::{Hold, HoldRequest};
use crate::repository::key_check;
use crate::repository::lease::Lease;
use crate::repository::lease_record::LeasedWork;
use crate::repository::listing::{Backup, Entry, Listing};
use crate::repository::names::{Acceptance, BackupId, Part};
use crate::repository::places::Places;
use crate::repository::retention;
use crate::repository::retention::{Plan, Policy, Verdict};
use crate::repository::source_kind::SourceClass;
use crate::repository::standing;
use crate::repository::standing::Objection;
use crate::repository::{Expected, Repository, run_mark};
use crate::storage::Storage;
use crate::text::ours;
use crate::text::rfc3339;
use chrono::{DateTime, Utc};
use delete::DeletionJob;
pub use delete::Spared;
use facts::{RetentionFacts, SourceChange};
use std::time::Duration;
pub use wal::PrunedWal;
use wal::{OldWalJob, StayingBackup};

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
    /// What the run holds already, which has just stored a backup there.
    pub held: Option<&'a Hold>,
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
    /// Why it is there still, although it goes by its verdict.
    pub spared: Option<Spared>,
}

impl Judged {
    /// True where it is gone now, or would be.
    pub fn goes(&self) -> bool {
        !self.verdict.keeps() && self.spared.is_none()
    }
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
    /// Archived WAL that nothing needs any more.
    pub wal: PrunedWal,
}

impl Pruned {
    /// The backups that stay; with `refused`, that would.
    pub fn kept(&self) -> impl Iterator<Item = &Judged> {
        self.backups.iter().filter(|backup| backup.verdict.keeps())
    }

    /// The backups that go; with `refused`, that would.
    pub fn deleted(&self) -> impl Iterator<Item = &Judged> {
        self.backups.iter().filter(|backup| backup.goes())
    }

    /// The backups that go by their verdict, and are there still.
    pub fn spared(&self) -> impl Iterator<Item = (&Judged, Spared)> {
        let backups = self.backups.iter();
        backups.filter_map(|backup| Some((backup, backup.spared?)))
    }
}

/// Deletes what no rule keeps at the moment `now`, of the storage of `job`, which is the one of `places`.
pub fn run(job: &PruneJob, places: &Places, now: DateTime<Utc>, cancel: &Cancel) -> Result<Pruned> {
    let own = hold(job, places, now, cancel)?;
    let lease = job.held.or(own.as_ref()).and_then(Hold::lease);
    let storage = job.storage.name();
    let (repository, listing) = look(job, places, now, cancel)?;
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
        pruned.wal = old_wal(job, &repository, &pruned, lease, now, cancel)?;
        pruned.swept = listing.orphans;
        return Ok(pruned);
    }
    pruned.refused = refusal(job, &listing, &plan, cancel)?;
    if pruned.refused.is_none() {
        let deletion = DeletionJob {
            database: job.database,
            storage: job.storage,
            lease,
            listing: &listing,
            again: &|| judge_again(job, places, now, cancel),
            parents: &facts.parents(),
            judged: &|backup| is_judged(job, backup),
            now,
        };
        let doomed = pruned.deleted().map(|backup| backup.id.clone()).collect();
        let done = delete::all(deletion, doomed, cancel)?;
        for backup in &mut pruned.backups {
            backup.spared = done.spared.get(&backup.id).copied();
        }
        pruned.warnings.extend(done.warnings);
        pruned.swept = done.swept;
        pruned.wal = old_wal(job, &repository, &pruned, lease, now, cancel)?;
    }
    Ok(pruned)
}

/// Deletes the WAL that no backup that stays needs, where there may be any.
fn old_wal(
    job: &PruneJob,
    repository: &Repository,
    pruned: &Pruned,
    lease: Option<&Lease>,
    now: DateTime<Utc>,
    cancel: &Cancel,
) -> Result<PrunedWal> {
    if job.expected.class != Some(SourceClass::Cluster) {
        return Ok(PrunedWal::default());
    }
    let stays = pruned.backups.iter().filter(|backup| !backup.goes());
    let old = OldWalJob {
        cluster: job.database,
        storage: job.storage,
        repository,
        stays: stays
            .map(|backup| StayingBackup {
                id: &backup.id,
                counts: backup.objection.is_none(),
            })
            .collect(),
        limit: job.policy.pitr,
        dry_run: job.dry_run,
        lease,
        now,
    };
    wal::run(&old, cancel)
}

/// What lies on the storage, but for what a run is writing, which is not for retention to judge.
fn look<'a>(
    job: &PruneJob,
    places: &'a Places,
    now: DateTime<Utc>,
    cancel: &Cancel,
) -> Result<(Repository<'a>, Listing)> {
    let storage = [job.storage.name().to_string()];
    let opened = Repository::open(job.database, &storage, places, job.expected, now, cancel)?;
    let repository = opened.strict();
    if let Some((_, error)) = places.take_failures().pop() {
        return Err(error);
    }
    let mut listing = match repository.listings() {
        [(_, listing)] => listing.clone(),
        _ => Listing::default(),
    };
    listing.backups.retain(|backup| is_judged(job, backup));
    if let Some(stored) = &job.stored
        && !listing.backups.iter().any(|backup| backup.id == *stored)
    {
        return Err(not_listed(job, stored));
    }
    Ok((repository, listing))
}

/// False for what a run is writing, and for a backup of something else than the name is configured for.
fn is_judged(job: &PruneJob, backup: &Backup) -> bool {
    let class = job.expected.class;
    !backup.is_unfinished() && class.is_none_or(|class| backup.class() == Some(class))
}

/// The verdicts by what lies there now: these backups go.
fn judge_again(
    job: &PruneJob,
    places: &Places,
    now: DateTime<Utc>,
    cancel: &Cancel,
) -> Result<Vec<BackupId>> {
    let (repository, listing) = look(job, places, now, cancel)?;
    let mut facts = RetentionFacts::new(&repository, job.storage.name(), &listing.backups, now);
    let plan = facts.plan(job.policy, now, cancel)?;
    let clock = listing.accepted(job.database, Acceptance::Clock);
    let clock = clock.map(|newest| newest.moment());
    let jump = clock_jump::find(&facts.candidates(), &plan, job.policy, clock, now);
    let source = listing.accepted(job.database, Acceptance::Source);
    if jump.is_some() || facts.change(source).is_some() {
        return Ok(Vec::new());
    }
    let judged = listing.backups.iter().zip(&plan.verdicts);
    let goes = judged.filter(|(_, verdict)| !verdict.keeps());
    Ok(goes.map(|(backup, _)| backup.id.clone()).collect())
}

/// Keeps other runs of this database away, and removes what those left that died. A dry run, or one without rules, needs
/// no right to write.
fn hold(
    job: &PruneJob,
    places: &Places,
    now: DateTime<Utc>,
    cancel: &Cancel,
) -> Result<Option<Hold>> {
    if job.dry_run || job.policy.keeps_everything() || job.held.is_some() {
        return Ok(None);
    }
    let Some(storage) = places.usable(job.storage.name()) else {
        return Ok(None);
    };
    let request = HoldRequest {
        name: job.database,
        work: LeasedWork::Prune,
        claim: None,
        wait: job.lock_wait,
    };
    let mut hold = Hold::take_if_there(storage, &request, cancel)?;
    if let Some(hold) = &mut hold {
        let listing = hold.listing(job.storage, job.database, cancel)?;
        run_mark::sweep(job.storage, &listing, hold.lease(), now, cancel)?;
    }
    Ok(hold)
}

/// Why nothing of what goes by `plan` is deleted.
fn refusal(
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
        return Ok(Some(password_changed(job, &entry, keys)));
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
        spared: None,
    });
    Pruned {
        backups: newest_first.collect(),
        swept: Vec::new(),
        refused: None,
        warnings: Vec::new(),
        wal: PrunedWal::default(),
    }
}

fn not_listed(job: &PruneJob, stored: &BackupId) -> Error {
    Error::failed(format!(
        "nothing is deleted on {}: its listing lacks {stored}, which was just stored there",
        job.storage.name()
    ))
    .hint(format!("where a listing leaves one backup out, it may leave out others: see what it shows with: {}", ours::command("list --all")))
}

fn clock_is_behind(job: &PruneJob, listing: &Listing, now: DateTime<Utc>) -> Error {
    let newest = listing.backups.last().map(|backup| backup.id.to_string());
    Error::refused(format!(
        "nothing is deleted on {}: it is {} here, and there is a backup from the future, {}",
        job.storage.name(),
        rfc3339::second(now),
        newest.unwrap_or_default(),
    ))
    .hint(match listing.backups.last() {
        Some(newest) => standing::right_the_clock(job.storage, &newest.id),
        None => "set the clock right".to_string(),
    })
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
        "see what the date is; if that is right: {} --db {} --accept-clock",
        ours::command("prune"),
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
        "if that is meant: {} --db {} --accept-new-source",
        ours::command("prune"),
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

fn password_changed(job: &PruneJob, entry: &Entry, keys: &Keys) -> Error {
    key_check::changed(job.storage, entry, keys).doing(format!(
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
