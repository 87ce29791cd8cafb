//! What the tests of the sealed container share: a password, a plaintext, and a reader that keeps what it was given.
#![allow(dead_code)] // each test uses some of it

use backupkit::error::{Error, Result};
use backupkit::format::seal::{Derivations, Expect, Keys, Opener};
use backupkit::secret::Secret;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

/// Keys that hold the password of the vectors.
pub fn keys(derivations: &Arc<Derivations>) -> Keys {
    keys_of(&["correct horse"], derivations)
}

/// Keys that hold these passwords.
pub fn keys_of(passwords: &[&str], derivations: &Arc<Derivations>) -> Keys {
    let passwords = passwords.iter().copied().map(Secret::new).collect();
    Keys::new(passwords, Arc::clone(derivations)).unwrap()
}

/// The plaintext of the vectors: `length` bytes of it.
pub fn plain(length: usize) -> Vec<u8> {
    (0..length).map(|i| (7 * i + i / 251) as u8).collect()
}

/// Opens `sealed`; returns the bytes that were released, and how it ended.
pub fn read(sealed: &[u8], keys: &Keys) -> (Vec<u8>, Result<()>) {
    let mut released = Vec::new();
    let result = match Opener::open(sealed, keys, Expect::Any) {
        Ok(mut opener) => opener.read_to_end(&mut released).map_err(Error::from),
        Err(error) => return (released, Err(error)),
    };
    (released, result.map(drop))
}

/// The containers of an independent implementation.
pub fn vectors() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/archives/vectors")
}
