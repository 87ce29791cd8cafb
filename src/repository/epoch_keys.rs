//! The epoch keys of a cluster: on every storage, sealed under the password, and at hand on this host, so that an archiver that
//! starts for each segment derives nothing.
//!
//! At hand is a file of this user alone, as secret as the file with the password:
//!
//! ```text
//! <state directory>/wal/<cluster>/sealing        the id of the key that this host seals with
//! <state directory>/wal/<cluster>/<id>.epoch     the key, and on which storages it is known to be
//! ```

use super::host_state::{HostState, address};
use super::wal_names::{epoch_key_directory, epoch_key_key, epoch_key_label, epoch_key_of};
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Kind, Result};
use crate::format::measure::hex;
use crate::format::seal::{EpochKey, EpochKeyId, Expect, Keys, open_bytes, seal_bytes};
use crate::storage::Storage;
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A sealed key has no more bytes.
const LARGEST: u64 = 64 * 1024;

/// The epoch keys of one cluster.
#[derive(Clone)]
pub struct EpochKeys {
    cluster: String,
    /// Where they are at hand.
    at_hand: HostState,
}

/// A key at hand. Its field `key` is secret.
#[derive(Serialize, Deserialize)]
struct KeyAtHand {
    /// 64 hex digits.
    key: String,
    /// The addresses of storages that have it.
    stored_on: Vec<String>,
}

impl EpochKeys {
    /// Those of `cluster`, at hand in `state`.
    pub fn new(cluster: &str, state: HostState) -> EpochKeys {
        EpochKeys {
            cluster: cluster.to_string(),
            at_hand: state,
        }
    }

    /// The key to seal with: the one at hand, else one that is on a storage and opens with `passwords`, else a new one.
    pub fn for_sealing(
        &self,
        storages: &[Arc<dyn Storage>],
        passwords: &Keys,
        cancel: &Cancel,
    ) -> Result<EpochKey> {
        if let Ok(Some((key, _))) = self.sealing() {
            return Ok(key);
        }
        let key = match self.any_stored(storages, passwords, cancel)? {
            Some(key) => key,
            None => EpochKey::draw()?,
        };
        self.keep(&key, Vec::new());
        let id = key.id().to_string();
        quietly(self.at_hand.write("sealing", id.as_bytes()));
        Ok(key)
    }

    /// Sees to it that `key` is on `storage` before anything there is sealed with it.
    pub fn require_on(
        &self,
        key: &EpochKey,
        storage: &dyn Storage,
        passwords: &Keys,
        cancel: &Cancel,
    ) -> Result<()> {
        let address = address(storage);
        let known = self.read_at_hand(key.id()).unwrap_or_default();
        let mut stored_on = known.map_or(Vec::new(), |(_, stored_on)| stored_on);
        let stored_as = epoch_key_key(&self.cluster, key.id());
        if stored_on.contains(&address) && storage.stat(&stored_as, cancel)?.is_some() {
            return Ok(());
        }
        match self.stored(key.id(), storage, passwords, cancel)? {
            Some(_) => {}
            None => {
                let label = epoch_key_label(&self.cluster, key.id());
                let sealed = seal_bytes(key.expose(), passwords, &label)?;
                storage.put(&epoch_key_key(&self.cluster, key.id()), &sealed, cancel)?;
            }
        }
        if !stored_on.contains(&address) {
            stored_on.push(address);
        }
        self.keep(key, stored_on);
        Ok(())
    }

    /// The key of this name: the one at hand, else the one on a storage, which then is at hand as well.
    pub fn find(
        &self,
        id: EpochKeyId,
        storages: &[Arc<dyn Storage>],
        passwords: &Keys,
        cancel: &Cancel,
    ) -> Result<Option<EpochKey>> {
        if let Ok(Some((key, _))) = self.read_at_hand(id) {
            return Ok(Some(key));
        }
        let mut failed = None;
        for storage in storages {
            match self.stored(id, storage.as_ref(), passwords, cancel) {
                Ok(Some(key)) => {
                    self.keep(&key, Vec::new());
                    return Ok(Some(key));
                }
                Ok(None) => {}
                Err(error) if error.ends_the_run() => return Err(error),
                Err(error) => drop(failed.get_or_insert(error)),
            }
        }
        failed.map_or(Ok(None), Err)
    }

    /// The first key on any storage that opens.
    fn any_stored(
        &self,
        storages: &[Arc<dyn Storage>],
        passwords: &Keys,
        cancel: &Cancel,
    ) -> Result<Option<EpochKey>> {
        let mut ids = Vec::new();
        for storage in storages {
            let directory = epoch_key_directory(&self.cluster);
            let listed = storage.visit(Some(&directory), cancel, &mut |object| {
                ids.extend(epoch_key_of(&object.key));
                Ok(())
            });
            match listed {
                // there may be one there; two are as good
                Err(error) if !error.ends_the_run() => log::warn!("{}", error.chain()),
                listed => listed?,
            }
        }
        ids.sort();
        ids.dedup();
        for id in ids {
            match self.find(id, storages, passwords, cancel) {
                Ok(Some(key)) => return Ok(Some(key)),
                Err(error) if error.ends_the_run() => return Err(error),
                // of an earlier password, or damaged: it opens what was sealed with it, or nothing does
                Err(error) => log::debug!("{}", error.chain()),
                Ok(None) => {}
            }
        }
        Ok(None)
    }

    /// The key of this name as `storage` has it.
    fn stored(
        &self,
        id: EpochKeyId,
        storage: &dyn Storage,
        passwords: &Keys,
        cancel: &Cancel,
    ) -> Result<Option<EpochKey>> {
        let key = epoch_key_key(&self.cluster, id);
        let doing = || format!("cannot open the key {}", storage.locate(&key));
        let mut sealed = Vec::new();
        match storage.open(&key, cancel) {
            Ok(found) => found.take(LARGEST).read_to_end(&mut sealed).doing(doing)?,
            Err(error) if error.kind() == Kind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let label = epoch_key_label(&self.cluster, id);
        let opened = open_bytes(&sealed, passwords, Expect::Label(&label)).doing(doing)?;
        let opened = Zeroizing::new(opened);
        let exposed = <[u8; 32]>::try_from(opened.as_slice())
            .map_err(|_| Error::damaged("it holds no key").doing(doing()))?;
        let found = EpochKey::of(Zeroizing::new(exposed));
        match found.id() == id {
            true => Ok(Some(found)),
            false => Err(Error::damaged("it holds another key than its name says").doing(doing())),
        }
    }

    fn sealing(&self) -> Result<Option<(EpochKey, Vec<String>)>> {
        let id = self.at_hand.read("sealing")?;
        let id = id.and_then(|text| EpochKeyId::parse(std::str::from_utf8(&text).ok()?));
        id.map_or(Ok(None), |id| self.read_at_hand(id))
    }

    fn read_at_hand(&self, id: EpochKeyId) -> Result<Option<(EpochKey, Vec<String>)>> {
        let Some(text) = self.at_hand.read(&format!("{id}.epoch"))? else {
            return Ok(None);
        };
        // what is no key any more is written anew
        let Ok(known) = serde_json::from_slice::<KeyAtHand>(&text) else {
            return Ok(None);
        };
        let digits = Zeroizing::new(known.key);
        let byte = |at: usize| {
            let pair = digits.get(2 * at..2 * at + 2)?;
            u8::from_str_radix(pair, 16).ok()
        };
        let mut bytes = Zeroizing::new([0; 32]);
        for (at, place) in bytes.iter_mut().enumerate() {
            match byte(at) {
                Some(value) => *place = value,
                None => return Ok(None),
            }
        }
        let key = EpochKey::of(bytes);
        Ok((key.id() == id).then_some((key, known.stored_on)))
    }

    /// Has `key` at hand from now on, where that can be had.
    fn keep(&self, key: &EpochKey, stored_on: Vec<String>) {
        let known = KeyAtHand {
            key: hex(key.expose()),
            stored_on,
        };
        let text = serde_json::to_vec(&known).map(Zeroizing::new);
        let _digits = Zeroizing::new(known.key);
        let name = format!("{}.epoch", key.id());
        let text = text.map_err(|error| Error::failed(error.to_string()));
        quietly(text.and_then(|text| self.at_hand.write(&name, &text)));
    }
}

/// What is not at hand is found again.
fn quietly(done: Result<()>) {
    if let Err(error) = done {
        log::debug!("{}", error.chain());
    }
}
