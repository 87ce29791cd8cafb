//! Passwords, and the keys that Argon2id makes of them; and epoch keys, which are keys already.
//!
//! A derivation is slow and large on purpose (64 MiB), so a process does each of them once: [`Derivations`]
//! remembers the latest, and all that a process writes shares one kdf salt.

use super::epoch::{EpochKey, EpochKeyId};
use super::key_derivation::Key;
use crate::background;
use crate::error::{Error, Kind, Result};
use crate::files::random;
use crate::secret::Secret;
use argon2::{Algorithm, Argon2, Block, Params};
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroize;

/// How many derived keys are remembered: enough for the passwords in use and a run over a shelf of archives.
const REMEMBERED: usize = 64;

/// What one Argon2id derivation costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Cost {
    /// m: memory in KiB.
    pub memory: u32,
    /// t: passes over the memory.
    pub passes: u32,
    /// p: lanes.
    pub lanes: u32,
}

impl Argon2Cost {
    /// What writers use: 64 MiB, 3 passes, 4 lanes.
    pub const WRITING: Argon2Cost = Argon2Cost {
        memory: 65_536,
        passes: 3,
        lanes: 4,
    };
}

/// The derived keys of this process; one is made at the start and shared by all [`Keys`].
#[derive(Default)]
pub struct Derivations {
    state: Mutex<DerivationCache>,
}

#[derive(Default)]
struct DerivationCache {
    /// The kdf salt of everything this process writes, drawn when it is first needed.
    writing_salt: Option<[u8; 16]>,
    /// The latest derivations, most recently used first.
    latest: Vec<Derived>,
    count: usize,
}

/// One derivation: what went in, and the key that came out.
#[derive(Clone)]
pub(super) struct Derived {
    password: Secret,
    pub(super) cost: Argon2Cost,
    pub(super) salt: [u8; 16],
    pub(super) key: Arc<Key>,
}

impl Derivations {
    /// Remembers nothing yet.
    pub fn new() -> Arc<Derivations> {
        Arc::default()
    }

    /// How many times Argon2id was run.
    pub fn count(&self) -> usize {
        self.lock().count
    }

    /// The key that this process writes with under `password`.
    pub(super) fn for_writing(&self, password: &Secret) -> Result<Derived> {
        let mut state = self.lock();
        let salt = match state.writing_salt {
            Some(salt) => salt,
            None => {
                let mut salt = [0; 16];
                random::fill(&mut salt)?;
                *state.writing_salt.insert(salt)
            }
        };
        state.derive(password, Argon2Cost::WRITING, salt)
    }

    /// The key of `password` under the cost and salt that a slot names. They must have passed the limits.
    pub(super) fn for_reading(
        &self,
        password: &Secret,
        cost: Argon2Cost,
        salt: [u8; 16],
    ) -> Result<Derived> {
        self.lock().derive(password, cost, salt)
    }

    /// Held during a derivation: two at a time would only take twice the memory.
    fn lock(&self) -> std::sync::MutexGuard<'_, DerivationCache> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DerivationCache {
    fn derive(&mut self, password: &Secret, cost: Argon2Cost, salt: [u8; 16]) -> Result<Derived> {
        let known = self
            .latest
            .iter()
            .position(|d| d.cost == cost && d.salt == salt && d.password == *password);
        let derived = match known {
            Some(place) => self.latest.remove(place),
            None => {
                self.count += 1;
                Derived {
                    password: password.clone(),
                    cost,
                    salt,
                    key: Arc::new(argon2id(password, cost, &salt)?),
                }
            }
        };
        self.latest.insert(0, derived.clone());
        self.latest.truncate(REMEMBERED);
        Ok(derived)
    }
}

/// Argon2id, version 1.3, 32 bytes. Too little memory is a failure of its own, never a wrong password.
fn argon2id(password: &Secret, cost: Argon2Cost, salt: &[u8; 16]) -> Result<Key> {
    let failed = |error: argon2::Error| {
        Error::failed("cannot derive a key from the password").because(error.to_string())
    };
    let params = Params::new(cost.memory, cost.passes, cost.lanes, Some(32)).map_err(failed)?;

    let mut memory = Vec::new();
    memory
        .try_reserve_exact(params.block_count())
        .map_err(|_| {
            Error::failed(format!(
                "cannot derive a key from the password: no {} MiB of memory for it",
                cost.memory.div_ceil(1024)
            ))
            .hint("give the process more memory: the derivation needs this much for a moment")
        })?;
    memory.resize(params.block_count(), Block::new());

    let mut key = Key::default();
    let result = Argon2::new(Algorithm::Argon2id, argon2::Version::V0x13, params)
        .hash_password_into_with_memory(
            password.expose().as_bytes(),
            salt,
            key.as_mut(),
            memory.as_mut_slice(),
        );
    // the last blocks are the key in other words
    memory.zeroize();
    result.map_err(failed)?;
    Ok(key)
}

/// Finds the epoch key of that name.
pub type FindEpochKey = Arc<dyn Fn(EpochKeyId) -> Result<Option<EpochKey>> + Send + Sync>;

/// What a slot of a new header is made with.
pub(super) enum SlotKey {
    Passphrase(Derived),
    Epoch(EpochKey),
}

/// The passwords that archives are sealed and opened with.
#[derive(Clone)]
pub struct Keys {
    passwords: Vec<Secret>,
    /// What is sealed is sealed under this one instead of a password.
    sealing: Option<EpochKey>,
    /// Where others are to be had.
    find_epoch: Option<FindEpochKey>,
    /// Why further passwords are not at hand, one sentence each.
    lacking: Vec<String>,
    derivations: Arc<Derivations>,
}

impl Keys {
    /// `passwords`: the current one first, which seals; then the previous ones, which only open. None at all
    /// is allowed, an empty one is not.
    pub fn new(passwords: Vec<Secret>, derivations: Arc<Derivations>) -> Result<Keys> {
        if passwords.iter().any(Secret::is_empty) {
            return Err(Error::usage("the encryption password is empty")
                .hint("set encryption.password to one that nobody can guess"));
        }
        Ok(Keys {
            passwords,
            sealing: None,
            find_epoch: None,
            lacking: Vec::new(),
            derivations,
        })
    }

    /// The same, but that they seal under `epoch` and open what is sealed so.
    pub fn sealing_under(mut self, epoch: EpochKey) -> Keys {
        self.sealing = Some(epoch);
        self
    }

    /// The same, where `find` has the epoch keys that containers name.
    pub fn finding_epochs(mut self, find: FindEpochKey) -> Keys {
        self.find_epoch = Some(find);
        self
    }

    /// The epoch key of this name, where it can be had.
    pub(super) fn epoch(&self, id: EpochKeyId) -> Result<Option<EpochKey>> {
        match (&self.sealing, &self.find_epoch) {
            (Some(epoch), _) if epoch.id() == id => Ok(Some(epoch.clone())),
            (_, Some(find)) => find(id),
            _ => Ok(None),
        }
    }

    /// The same, where further passwords would belong to it that are not at hand for these reasons. They are told where
    /// none of those at hand opens an archive.
    pub fn lacking(mut self, reasons: Vec<String>) -> Keys {
        self.lacking = reasons;
        self
    }

    /// Says that no password at hand opens the archive.
    pub(super) fn wrong_password(&self) -> Error {
        self.opens_nothing(
            "wrong password: none of those at hand opens the archive",
            "if the password was changed since, list the earlier one under encryption.previous_passwords",
        )
    }

    /// `what` happened because none of these passwords fits. Where one is not at hand it may be the one, and is to be
    /// given instead of what `hint` advises.
    pub fn opens_nothing(&self, what: impl Into<String>, hint: &str) -> Error {
        let what = what.into();
        match self.lacking.is_empty() {
            true => Error::new(Kind::WrongPassword, what).hint(hint),
            false => {
                let lacking = self.lacking.join(", and ");
                Error::new(Kind::WrongPassword, format!("{what}, and {lacking}"))
                    .hint("give it its value: it may be the password of this archive")
            }
        }
    }

    /// Begins to derive what the first header will need, so that it is there by then.
    pub fn derive_ahead(&self) {
        let keys = self.clone();
        // what fails here fails again where it is needed, and is told there
        let _ = background::spawn("keys", move || drop(keys.for_writing()));
    }

    /// What the slot of a header to be written is made with.
    pub(super) fn for_writing(&self) -> Result<SlotKey> {
        match &self.sealing {
            Some(epoch) => Ok(SlotKey::Epoch(epoch.clone())),
            None => self.derived().map(SlotKey::Passphrase),
        }
    }

    /// What the current password derives, for a header to be written.
    fn derived(&self) -> Result<Derived> {
        let current = self
            .passwords
            .first()
            .ok_or_else(|| no_password("cannot seal an archive without a password"))?;
        self.derivations.for_writing(current)
    }

    /// The passwords to open an archive with; holding none is the caller's mistake, not the archive's.
    pub(super) fn for_reading(&self) -> Result<&[Secret]> {
        if self.passwords.is_empty() {
            return Err(no_password(
                "the archive is encrypted, and there is no password to open it with",
            ));
        }
        Ok(&self.passwords)
    }

    /// What `password` derives under the cost and salt of a slot.
    pub(super) fn derive(
        &self,
        password: &Secret,
        cost: Argon2Cost,
        salt: [u8; 16],
    ) -> Result<Derived> {
        self.derivations.for_reading(password, cost, salt)
    }
}

fn no_password(message: &str) -> Error {
    Error::new(Kind::Usage, message)
        .hint("set encryption.password of the database in the configuration")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(password: &str, derivations: &Arc<Derivations>) -> Keys {
        Keys::new(vec![Secret::new(password)], Arc::clone(derivations)).unwrap()
    }

    #[test]
    fn many_archives_cost_one_derivation_until_the_password_changes() {
        let derivations = Derivations::new();
        let first = keys("one", &derivations).derived().unwrap();
        let again = keys("one", &derivations).derived().unwrap();
        assert_eq!(derivations.count(), 1);
        assert_eq!(first.key, again.key);
        let changed = keys("two", &derivations).derived().unwrap();
        assert_eq!(derivations.count(), 2);
        assert_ne!(first.key, changed.key);
        assert_eq!(first.salt, changed.salt, "one kdf salt a process");
        assert_ne!(
            Derivations::new()
                .for_writing(&Secret::new("one"))
                .unwrap()
                .salt,
            first.salt
        );
    }

    #[test]
    fn an_empty_password_is_refused() {
        let error = Keys::new(
            vec![Secret::new("good"), Secret::new("")],
            Derivations::new(),
        )
        .err();
        assert_eq!(error.unwrap().kind(), Kind::Usage);
    }
}
