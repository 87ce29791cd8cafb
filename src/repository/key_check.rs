//! Whether the passwords of the configuration are those of the archives: the header of one tells.

use crate::cancel::Cancel;
use crate::error::{Doing, Error, Kind, Result};
use crate::format::seal::{ContainerVersion, Expect, Keys, Opener};
use crate::repository::listing::Entry;
use crate::storage::Storage;

/// The container of the archive `entry` if a password of `keys` opens it, `None` if none does. Reads its header, or of
/// the old kind the first frame, and derives a key for each password tried.
pub fn opens(
    storage: &dyn Storage,
    entry: &Entry,
    keys: &Keys,
    cancel: &Cancel,
) -> Result<Option<ContainerVersion>> {
    let key = entry.archive_key();
    let stored = storage.open(&key, cancel)?;
    match Opener::open(stored, keys, Expect::Any) {
        Ok(opened) => Ok(Some(opened.version())),
        Err(error) if error.kind() == Kind::WrongPassword => Ok(None),
        Err(error) => Err(error).doing(|| format!("cannot read {}", storage.locate(&key))),
    }
}

/// Of how many of the newest archives a run looks at the passwords, beside the oldest: each costs a derivation.
const LOOKED_AT: usize = 8;

/// One of the encrypted archives among `entries`, which are oldest first, that no password of `keys` opens. Looks at the
/// newest ones and the oldest, so that it is told as long as there is one, and not of the first run with another password
/// alone. What cannot be read tells nothing of its password.
pub fn unopened<'a>(
    storage: &dyn Storage,
    entries: &'a [Entry],
    keys: &Keys,
    cancel: &Cancel,
) -> Result<Option<&'a Entry>> {
    let sealed = entries
        .iter()
        .filter(|entry| entry.encoding.cipher.is_encrypted());
    let sealed: Vec<&Entry> = sealed.collect();
    let newest = sealed.iter().rev().take(LOOKED_AT);
    let oldest = sealed.iter().take(usize::from(sealed.len() > LOOKED_AT));
    for entry in newest.chain(oldest) {
        match opens(storage, entry, keys, cancel) {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(Some(entry)),
            Err(error) if error.kind() == Kind::Damaged => log::debug!("{}", error.chain()),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// What is to be said where no password of `keys` opens the archive `entry`, which is older than the current one: someone
/// changed it without meaning to, or without keeping the earlier one.
pub fn changed(storage: &dyn Storage, entry: &Entry, keys: &Keys) -> Error {
    let address = storage.locate(&entry.archive_key());
    keys.opens_nothing(
        format!("no configured password opens {address}"),
        "if encryption.password was changed, put the earlier one under encryption.previous_passwords; else set it back",
    )
}
