//! What the configuration has to know of a kind of storage.

use super::Storage;
use crate::error::Result;
use crate::yaml::cursor::Spot;
use crate::yaml::expand::Env;
use crate::yaml::reader::KeyReader;
use std::fmt::Debug;
use std::path::PathBuf;

/// A kind of storage.
pub(crate) struct StorageKind {
    /// Its word under `type`, and the key that its own keys stand below.
    pub word: &'static str,
    /// That key as it may look like, for a hint.
    pub example: &'static str,
    /// The names of its own keys.
    pub keys: fn() -> Vec<&'static str>,
    /// Reads its own keys; notes what is wrong with them.
    pub read: fn(&mut KeyReader, &Spot) -> Option<Box<dyn StorageKeys>>,
}

/// The keys of one storage. Their variables are replaced when it is opened, and not before.
pub(crate) trait StorageKeys: Debug + Send + Sync {
    /// The storage, called `name`. Asks nobody yet.
    fn open(&self, name: &str, env: &Env) -> Result<Box<dyn Storage>>;

    /// The directory of this machine that it is, if it is one.
    fn directory(&self, env: &Env) -> Result<Option<PathBuf>>;

    /// The files of this machine that are read to reach it, beside those of secrets.
    fn files(&self, env: &Env) -> Result<Vec<PathBuf>>;
}
