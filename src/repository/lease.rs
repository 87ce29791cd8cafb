//! The lease of a name on a storage: one run at a time among all hosts that share it.
//!
//! It is the object `<name>/lease.<n>.json`. A run that wants it creates the next one by a conditional write, which a storage
//! grants to one run only, and removes the earlier ones. While it runs a thread writes it again and again, so that it never gets
//! old; in the end it is left behind as released, so that the number only ever rises. A lease that got old is over: its run was
//! killed, stopped or cut off.
//!
//! Each time, a second conditional write of the same key shows whether the storage keeps conditional writes at all. Where it
//! does not, two runs may hold a lease at the same moment; then nothing is deleted at once, see
//! [`doomed`](super::doomed).

use super::lease_record::{LeaseRecord, LeaseWatch, LeasedWork, MinuteClaim, SeenLease, Terms};
use super::listing::Listing;
use super::mark_names::{HostMark, MarkKind};
use super::sidecars::listing_of;
use crate::background::Repeating;
use crate::cancel::Cancel;
use crate::cause::FailureCause;
use crate::error::{Doing, Error, Kind, Result};
use crate::files::random;
use crate::process::boot_clock::since_boot;
use crate::storage::{CLEAN_UP, Storage};
use chrono::{TimeDelta, Utc};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// No lease is larger than this.
const LARGEST: u64 = 64 * 1024;
/// How often a lease that another run holds is looked at, at first and at most.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

/// What a lease is wanted for.
#[derive(Debug, Clone)]
pub struct LeaseRequest<'a> {
    /// The database's name.
    pub name: &'a str,
    pub work: LeasedWork,
    /// The minute that it takes, for a scheduled run.
    pub claim: Option<&'a MinuteClaim>,
    /// The lock of this machine, which the caller holds.
    pub lock: Option<String>,
    /// How long to wait for another run.
    pub wait: Duration,
    /// Only if there is anything under the name.
    pub if_any: bool,
}

/// A lease that is held. Dropping it releases it.
pub struct Lease {
    held: Arc<HeldLease>,
    renewing: Option<Repeating>,
}

struct HeldLease {
    storage: Arc<dyn Storage>,
    key: String,
    number: u64,
    terms: Terms,
    is_conditional: bool,
    state: Mutex<LeaseState>,
}

struct LeaseState {
    record: LeaseRecord,
    /// When the last write of it began that got through, by the clock since boot.
    written: Duration,
    /// Another run may have it.
    is_lost: bool,
}

impl Lease {
    /// Takes the lease, waiting while another run holds it, and hands on what the storage held just before. `None` where
    /// there is nothing and that is what was asked.
    pub fn take(
        storage: &Arc<dyn Storage>,
        request: &LeaseRequest,
        cancel: &Cancel,
    ) -> Result<Option<(Lease, Listing)>> {
        let doing = || {
            let place = storage.locate(request.name);
            format!("cannot take the lease of {place}")
        };
        let (terms, began) = (Terms::usual(), Instant::now());
        let give_up = began + request.wait;
        let (mut watch, mut told, mut pause) = (LeaseWatch::default(), false, AGAIN.0);
        loop {
            let listing = listing_of(storage.as_ref(), Some(request.name), cancel)?;
            if request.if_any && listing == Listing::default() {
                return Ok(None);
            }
            let numbers = listing.numbers(request.name, MarkKind::Lease);
            let seen = newest(storage.as_ref(), request.name, &numbers, cancel).doing(doing)?;
            let record = seen.as_ref().and_then(|seen| seen.record.as_ref());
            if let (Some(record), Some(claim)) = (record, request.claim)
                && record.has_taken(claim, Utc::now())
            {
                return Err(minute_taken(record, claim));
            }
            // its holder may just have taken the next one
            let has_vanished = seen.is_none() && !numbers.is_empty();
            let is_free = !has_vanished
                && seen.as_ref().is_none_or(|seen| {
                    watch.is_free(seen, request.lock.as_deref(), &terms, since_boot())
                });
            if is_free
                && let Some(lease) =
                    Lease::create(storage, request, &numbers, record, terms, cancel).doing(doing)?
            {
                return Ok(Some((lease, listing)));
            }
            // whether an undated one is over shows only by watching it, and nobody else may ever do so for long enough
            let is_undated = seen.as_ref().is_some_and(|seen| seen.age.is_none());
            if Instant::now() >= give_up && !(is_undated && began.elapsed() < terms.watched()) {
                // where another run was quicker, nobody knows yet which
                let holder = record.filter(|_| !is_free);
                return Err(is_held(storage.as_ref(), request, holder, &terms));
            }
            let left = give_up.saturating_duration_since(Instant::now());
            if is_undated && !told {
                told = true;
                let place = storage.locate(request.name);
                log::info!("watching the lease of {place}, which does not tell how old it is");
            }
            cancel.pause(if is_undated { pause } else { pause.min(left) })?;
            pause = (pause * 2).min(AGAIN.1);
        }
    }

    /// Creates the next lease; `None` where another run was quicker.
    fn create(
        storage: &Arc<dyn Storage>,
        request: &LeaseRequest,
        numbers: &[u64],
        before: Option<&LeaseRecord>,
        terms: Terms,
        cancel: &Cancel,
    ) -> Result<Option<Lease>> {
        let number = numbers.last().map_or(1, |last| last + 1);
        let mark = |number| {
            let mark = HostMark {
                database: request.name.to_string(),
                kind: MarkKind::Lease,
                number,
            };
            mark.to_string()
        };
        let key = mark(number);
        if HostMark::parse(&key).is_none() {
            return Err(
                Error::failed(format!("no lease comes after {}", mark(number - 1)))
                    .hint("no run writes such a number; remove that object"),
            );
        }
        let lock = request.lock.clone();
        let id = random::token()?;
        let record = LeaseRecord::new(id, request.work, lock, request.claim, before, until(&terms));
        let bytes = record.to_json()?;
        let written = since_boot();
        if !storage.claim(&key, &bytes, cancel)? {
            return Ok(None);
        }
        let is_conditional = !storage.claim(&key, &bytes, cancel)?;
        // where a rival may have done the same, the later write is the one that stays
        if !is_conditional
            && record_at(storage.as_ref(), number, &key, cancel)?.as_ref() != Some(&record)
        {
            return Ok(None);
        }
        // a run that was stopped since it listed may have claimed a number that is long over
        let now = listing_of(storage.as_ref(), Some(request.name), cancel)?;
        if now.numbers(request.name, MarkKind::Lease).last() != Some(&number) {
            storage.delete(&[key], cancel)?;
            return Ok(None);
        }
        let earlier: Vec<String> = numbers.iter().map(|number| mark(*number)).collect();
        if !earlier.is_empty()
            && let Err(error) = storage.delete(&earlier, cancel)
        {
            cancel.check()?;
            // who may not delete leaves them
            log::debug!("earlier leases stay: {}", error.chain());
        }
        let held = Arc::new(HeldLease {
            storage: Arc::clone(storage),
            key,
            number,
            terms,
            is_conditional,
            state: Mutex::new(LeaseState {
                record,
                written,
                is_lost: false,
            }),
        });
        let renewed = Arc::clone(&held);
        let mut lease = Lease {
            held,
            renewing: None,
        };
        let step = move |stop: &Cancel| renewed.renew(stop);
        lease.renewing = Some(Repeating::start("lease", terms.renewed, CLEAN_UP, step)?);
        Ok(Some(lease))
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.held.number
    }

    /// What no other lease has.
    pub fn id(&self) -> String {
        self.held.state().record.id.clone()
    }

    /// False where two runs may hold it at the same time, because the storage keeps no conditional writes.
    pub fn is_conditional(&self) -> bool {
        self.held.is_conditional
    }

    /// Until when what it protects may be begun, by the clock since boot. Fails where that is over.
    pub fn until(&self) -> Result<Duration> {
        self.held.until()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // what is written last is that it is nobody's
        drop(self.renewing.take());
        if let Err(error) = self.held.release() {
            log::debug!("{} is not released: {}", self.held.key, error.chain());
        }
    }
}

impl HeldLease {
    fn state(&self) -> MutexGuard<'_, LeaseState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn until(&self) -> Result<Duration> {
        let state = self.state();
        let until = state.written + self.terms.relied_on;
        match !state.is_lost && since_boot() < until {
            true => Ok(until),
            false => Err(Error::failed(format!(
                "the lease {} is over: this run was stopped for too long, or could not renew it",
                self.storage.locate(&self.key)
            ))
            .hint("run it again; meanwhile another host may have begun to work on this database")),
        }
    }

    /// Keeps it from getting old; the pause until the next time, unless it is lost.
    fn renew(&self, stop: &Cancel) -> Option<Duration> {
        let state = self.state();
        let (mut record, before) = (state.record.clone(), state.written);
        drop(state);
        let over = before + self.terms.lasts;
        let sent = since_boot();
        record.renewed += 1;
        record.until = until(&self.terms);
        let written = match over.checked_sub(sent) {
            Some(left) => self.write(&record, &stop.with_deadline(left)),
            None => Ok(false),
        };
        let mut state = self.state();
        match written {
            // an answer that came too late is no renewal: others may have taken it for over
            Ok(true) if since_boot() < over => {
                (state.record, state.written) = (record, sent);
                Some(self.terms.renewed)
            }
            Ok(_) => {
                state.is_lost = true;
                None
            }
            Err(error) => {
                log::debug!("{} is not renewed: {}", self.key, error.chain());
                Some(self.terms.renewed / 8)
            }
        }
    }

    /// Puts `record` in its place; false where another run's is there, or none.
    fn write(&self, record: &LeaseRecord, cancel: &Cancel) -> Result<bool> {
        let there = read(self.storage.as_ref(), self.number, &self.key, cancel)?;
        let is_mine = there.is_some_and(|there| match there.record {
            Some(there) => there.id == record.id,
            // on a full disk it was left without its content
            None => self.is_conditional,
        });
        if !is_mine {
            return Ok(false);
        }
        self.storage
            .replace(&self.key, &record.to_json()?, cancel)?;
        Ok(true)
    }

    /// Leaves it behind as nobody's.
    fn release(&self) -> Result<()> {
        let state = self.state();
        let is_over = since_boot() >= state.written + self.terms.lasts;
        let mut record = state.record.clone();
        if state.is_lost || is_over {
            return Ok(());
        }
        drop(state);
        record.released = true;
        let cancel = Cancel::new()?.with_deadline(CLEAN_UP);
        match self.write(&record, &cancel) {
            Ok(_) => Ok(()),
            // on a full disk there is no room to say so
            Err(error) if error.kind() == Kind::Failed => {
                let gone = self
                    .storage
                    .delete(std::slice::from_ref(&self.key), &cancel);
                gone.map_err(|_| error)
            }
            Err(error) => Err(error),
        }
    }
}

/// What the lease under this key says, if there is one that can be read.
fn record_at(
    storage: &dyn Storage,
    number: u64,
    key: &str,
    cancel: &Cancel,
) -> Result<Option<LeaseRecord>> {
    let seen = read(storage, number, key, cancel)?;
    Ok(seen.and_then(|seen| seen.record))
}

fn until(terms: &Terms) -> chrono::DateTime<Utc> {
    let lasts = TimeDelta::from_std(terms.lasts).unwrap_or(TimeDelta::zero());
    Utc::now() + lasts
}

/// True where a run that holds the lease `id` of `name` may go on: it is the newest one, and neither released nor over.
pub fn may_be_held(
    storage: &dyn Storage,
    name: &str,
    listing: &Listing,
    id: &str,
    cancel: &Cancel,
) -> Result<bool> {
    let numbers = listing.numbers(name, MarkKind::Lease);
    let Some(seen) = newest(storage, name, &numbers, cancel)? else {
        return Ok(false);
    };
    let is_over = seen.age.is_some_and(|age| Terms::usual().is_over(age));
    // of one that cannot be read nothing is known
    let is_its = |record: &LeaseRecord| record.id == id && !record.released;
    Ok(!is_over && seen.record.as_ref().is_none_or(is_its))
}

/// The newest lease that is there; one may vanish while it is looked for, as its holder's does who takes the next.
fn newest(
    storage: &dyn Storage,
    name: &str,
    numbers: &[u64],
    cancel: &Cancel,
) -> Result<Option<SeenLease>> {
    let Some(&number) = numbers.last() else {
        return Ok(None);
    };
    let mark = HostMark {
        database: name.to_string(),
        kind: MarkKind::Lease,
        number,
    };
    read(storage, number, &mark.to_string(), cancel)
}

fn read(
    storage: &dyn Storage,
    number: u64,
    key: &str,
    cancel: &Cancel,
) -> Result<Option<SeenLease>> {
    let dated = storage.read_dated(key, LARGEST, cancel)?;
    Ok(dated.map(|dated| SeenLease {
        number,
        record: serde_json::from_slice(&dated.bytes).ok(),
        age: dated.age,
    }))
}

fn minute_taken(record: &LeaseRecord, claim: &MinuteClaim) -> Error {
    let (host, task) = (&record.host, &claim.task);
    let what = format!("the {task} of this minute is taken by another daemon, last seen on {host}");
    Error::new(Kind::Locked, what).with_cause(FailureCause::MinuteTaken)
}

fn is_held(
    storage: &dyn Storage,
    request: &LeaseRequest,
    holder: Option<&LeaseRecord>,
    terms: &Terms,
) -> Error {
    let place = storage.locate(request.name);
    let who = holder.map_or_else(
        || "another run is working on this database now".to_string(),
        LeaseRecord::holder,
    );
    let minutes = terms.lasts.as_secs().div_ceil(60);
    let error = Error::new(Kind::Locked, format!("{who} ({place} has its lease)")).hint(format!(
        "wait for it to end, or let this run wait with --lock-wait 30m; if it was killed, its lease ends by itself within \
         {minutes} min"
    ));
    let task = holder.and_then(|holder| holder.task.as_ref());
    match request.claim {
        // the daemon that makes a run of an earlier minute makes this one, too, when that has ended
        Some(claim) if task == Some(&claim.task) => error.with_cause(FailureCause::MinuteTaken),
        _ => error,
    }
}
