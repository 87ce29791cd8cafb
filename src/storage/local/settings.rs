//! The keys of a local storage.

use crate::yaml::keys::{KeyForm, SectionKey};
use std::path::PathBuf;

/// Where a local storage is.
#[derive(Debug, Default)]
pub(super) struct LocalSettings {
    pub path: PathBuf,
}

/// The keys under `local`.
pub(super) const KEYS: [SectionKey<LocalSettings>; 1] = [SectionKey {
    name: "path",
    form: KeyForm::RequiredPath("the directory for backups", |local, path| local.path = path),
}];
