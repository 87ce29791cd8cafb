//! What a run holds of a name on a storage while it writes there or deletes: the lock of this machine, and the lease that
//! other hosts see. The lock comes first, so that runs of one machine cost no requests to keep apart.

use super::lease::{Lease, LeaseRequest};
use super::lease_record::{LeasedWork, MinuteClaim};
use super::listing::Listing;
use super::sidecars::listing_of;
use crate::cancel::Cancel;
use crate::error::{Error, Kind, Result};
use crate::storage::Storage;
use crate::storage::lock::Lock;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Who wants to hold a name, and for how long it would wait.
#[derive(Debug, Clone, Copy)]
pub struct HoldRequest<'a> {
    /// The database's name.
    pub name: &'a str,
    pub work: LeasedWork,
    /// The minute that it takes, for a scheduled run.
    pub claim: Option<&'a MinuteClaim>,
    /// How long to wait for another run, on whatever host.
    pub wait: Duration,
}

/// A name that is held on one storage.
pub struct Hold {
    // released before the lock
    lease: Option<Lease>,
    /// What lay there just before the lease was taken.
    listing: Option<Listing>,
    lock: Lock,
}

impl Hold {
    /// Holds the name for a run that only adds. Where this user may not list, or may not write a lease, it goes on without
    /// one: adding takes nothing from anybody. `between` is done with the lock and before the lease.
    pub fn take_to_add(
        storage: &Arc<dyn Storage>,
        request: &HoldRequest,
        between: impl FnOnce() -> Result<()>,
        cancel: &Cancel,
    ) -> Result<Hold> {
        let began = Instant::now();
        let lock = Lock::take(&storage.lock_file(request.name)?, request.wait, cancel)?;
        between()?;
        let mut hold = Hold {
            lease: None,
            listing: None,
            lock,
        };
        match hold.take_lease(storage, request, began, false, cancel) {
            Ok(_) => {}
            Err(error) if is_of_rights(&error) => {
                cancel.check()?;
                log::warn!(
                    "other hosts are not kept from working on {} meanwhile: {}",
                    storage.locate(request.name),
                    error.report()
                );
            }
            Err(error) => return Err(error),
        }
        Ok(hold)
    }

    /// Holds the name for a run that deletes; `None` where nothing is there.
    pub fn take_if_there(
        storage: &Arc<dyn Storage>,
        request: &HoldRequest,
        cancel: &Cancel,
    ) -> Result<Option<Hold>> {
        let began = Instant::now();
        let path = storage.lock_file(request.name)?;
        let Some(lock) = Lock::take_if_there(&path, request.wait, cancel)? else {
            return Ok(None);
        };
        let mut hold = Hold {
            lease: None,
            listing: None,
            lock,
        };
        let held = hold.take_lease(storage, request, began, true, cancel)?;
        Ok(held.then_some(hold))
    }

    fn take_lease(
        &mut self,
        storage: &Arc<dyn Storage>,
        request: &HoldRequest,
        began: Instant,
        if_any: bool,
        cancel: &Cancel,
    ) -> Result<bool> {
        let wanted = LeaseRequest {
            name: request.name,
            work: request.work,
            claim: request.claim,
            lock: self.lock.identity(),
            wait: request.wait.saturating_sub(began.elapsed()),
            if_any,
        };
        let taken = Lease::take(storage, &wanted, cancel)?;
        let is_taken = taken.is_some();
        if let Some((lease, listing)) = taken {
            (self.lease, self.listing) = (Some(lease), Some(listing));
        }
        Ok(is_taken)
    }

    /// Its lease, as far as there is one.
    pub fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref()
    }

    /// True while no other host can have worked on the name since it is held.
    pub fn is_sure(&self) -> bool {
        let lease = self.lease.as_ref();
        lease.is_some_and(|lease| lease.is_conditional() && lease.until().is_ok())
    }

    /// What lay there when it was taken, once; later what lies there now.
    pub fn listing(
        &mut self,
        storage: &dyn Storage,
        name: &str,
        cancel: &Cancel,
    ) -> Result<Listing> {
        match self.listing.take() {
            Some(listing) => Ok(listing),
            None => listing_of(storage, Some(name), cancel),
        }
    }

    /// Takes a lease that is over once more, waiting for who has it now. True where it had been over.
    pub fn refresh(
        &mut self,
        storage: &Arc<dyn Storage>,
        request: &HoldRequest,
        cancel: &Cancel,
    ) -> Result<bool> {
        let Some(lease) = &self.lease else {
            return Ok(false);
        };
        if lease.until().is_ok() {
            return Ok(false);
        }
        self.lease = None;
        self.take_lease(storage, request, Instant::now(), false, cancel)?;
        Ok(true)
    }
}

/// What other keys or another setting would allow, and no waiting does.
fn is_of_rights(error: &Error) -> bool {
    !error.ends_the_run() && !matches!(error.kind(), Kind::Locked | Kind::Unavailable)
}

/// The storages on which a run holds its name.
#[derive(Default)]
pub struct Holds(Vec<(String, Hold)>);

impl Holds {
    /// Adds the storage of this name.
    pub fn add(&mut self, storage: &str, hold: Hold) {
        self.0.push((storage.to_string(), hold));
    }

    /// What is held on the storage of this name.
    pub fn on(&self, storage: &str) -> Option<&Hold> {
        let mut holds = self.0.iter();
        Some(&holds.find(|(name, _)| name == storage)?.1)
    }

    /// The same, to be changed.
    pub fn on_mut(&mut self, storage: &str) -> Option<&mut Hold> {
        let mut holds = self.0.iter_mut();
        Some(&mut holds.find(|(name, _)| name == storage)?.1)
    }
}

impl fmt::Debug for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().map(|(name, _)| name);
        f.debug_list().entries(names).finish()
    }
}
