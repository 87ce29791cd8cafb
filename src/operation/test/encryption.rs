//! The encryption password: that it seals and opens, and which archives it opens.

use super::{Finding, FindingLevel};
use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::format::seal::{
    Argon2Cost, ContainerVersion, Derivations, Expect, Keys, open_bytes, seal_bytes,
};
use crate::repository::key_check;
use crate::repository::listing::Entry;
use crate::secret::Secret;
use crate::storage::Storage;
use crate::text::duration;
use crate::text::human::human_bytes;
use std::time::Instant;

/// So many archives without a manifest, which those of the old kind are, are looked at.
const LOOKED_AT: usize = 20;

/// A password of fewer characters is found by trying.
const SHORT: usize = 8;

/// Warns of a password that can be guessed, whatever its key is derived with.
pub fn short(name: &str, password: &Secret) -> Option<Finding> {
    let length = password.expose().chars().count();
    (length < SHORT).then(|| {
        let what = match length {
            1 => "the password is one character long, and can be guessed".to_string(),
            _ => format!("the password is {length} characters long, and can be guessed"),
        };
        Finding::warn(&format!("encryption of {name}"), what).fix(
            "choose a new encryption.password, such as openssl rand -base64 32 makes, and put this one under \
             encryption.previous_passwords",
        )
    })
}

/// Seals something and opens it again, which takes one derivation of the key.
pub fn round_trip(name: &str, password: Secret) -> Finding {
    let subject = format!("encryption of {name}");
    // more than a frame
    let plain = b"backupkit test ".repeat(8192);
    let label = format!("{name}/test");
    let began = Instant::now();
    let opened = Keys::new(vec![password], Derivations::new()).and_then(|keys| {
        let sealed = seal_bytes(&plain, &keys, &label)?;
        open_bytes(&sealed, &keys, Expect::Label(&label))
    });
    match opened {
        Ok(opened) if opened == plain => {
            let (took, memory) = (
                began.elapsed(),
                u64::from(Argon2Cost::WRITING.memory) * 1024,
            );
            Finding::ok(
                &subject,
                format!(
                    "sealed and opened again in {}, the key derived with {}",
                    duration::display(took),
                    human_bytes(memory)
                ),
            )
        }
        Ok(_) => Finding::broken(
            &subject,
            &Error::damaged("what was sealed opened as something else"),
        ),
        Err(error) => Finding::broken(&subject, &error),
    }
}

/// Whether the passwords are those of the newest encrypted archive among `entries`, which are oldest first, and
/// whether the `current` one opens archives of the old kind, where the password can be guessed at hash speed.
pub fn archives(
    name: &str,
    storage: &dyn Storage,
    entries: &[Entry],
    all: &Keys,
    current: &Keys,
    cancel: &Cancel,
) -> Result<Vec<Finding>> {
    let subject = format!("encryption of {name}");
    let mut checks = Vec::new();
    let sealed = || {
        entries
            .iter()
            .rev()
            .filter(|entry| entry.encoding.cipher.is_encrypted())
    };
    if let Some(newest) = sealed().next() {
        let place = storage.locate(&newest.archive_key());
        checks.push(match key_check::opens(storage, newest, all, cancel) {
            Ok(Some(_)) => Finding::ok(&subject, format!("the password opens {place}")),
            Ok(None) => Finding::broken(&subject, &key_check::changed(storage, newest, all)),
            Err(error) => {
                cancel.check()?;
                Finding::broken(&subject, &error)
            }
        });
        // of those before it, which the next backup does not need
        let earlier = entries.iter().filter(|entry| entry.id < newest.id);
        let earlier: Vec<Entry> = earlier.cloned().collect();
        let unopened = key_check::unopened(storage, &earlier, all, cancel);
        if let Ok(Some(entry)) = unopened.or_else(|_| cancel.check().map(|()| None))
            && checks.iter().all(|check| check.outcome == FindingLevel::Ok)
        {
            let changed = key_check::changed(storage, entry, all);
            checks.push(Finding::broken(&subject, &changed).as_warning());
        }
    }
    for entry in sealed().filter(|entry| !entry.has_manifest).take(LOOKED_AT) {
        cancel.check()?;
        if let Ok(Some(ContainerVersion::V1)) = key_check::opens(storage, entry, current, cancel) {
            let place = storage.locate(&entry.archive_key());
            let what = format!(
                "the password also opens {place}, of the old kind BKENC001, from which it can be guessed at hash speed"
            );
            checks.push(Finding::warn(&subject, what).fix(
                "choose a new encryption.password, and put this one under encryption.previous_passwords",
            ));
            break;
        }
    }
    Ok(checks)
}
