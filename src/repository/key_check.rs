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

/// What is to be said where no password of the configuration opens the archive `entry`, which is older than the
/// current one: someone changed it without meaning to, or without keeping the earlier one.
pub fn changed(storage: &dyn Storage, entry: &Entry) -> Error {
    Error::new(
        Kind::WrongPassword,
        format!(
            "no configured password opens {}",
            storage.locate(&entry.archive_key())
        ),
    )
    .hint("if encryption.password was changed, put the earlier one under encryption.previous_passwords; else set it back")
}
