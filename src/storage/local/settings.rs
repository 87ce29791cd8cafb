//! The keys of a local storage.

use crate::text::amount::Amount;
use crate::yaml::keys::{KeyForm, SectionKey};
use std::path::PathBuf;

/// Where a local storage is.
#[derive(Debug, Default)]
pub(super) struct LocalSettings {
    pub path: PathBuf,
    /// What is to be free there at the least.
    pub min_free: Option<Amount>,
}

/// The keys under `local`.
pub(super) const KEYS: [SectionKey<LocalSettings>; 2] = [
    SectionKey {
        name: "path",
        form: KeyForm::RequiredPath("the directory for backups", |local, path| local.path = path),
    },
    SectionKey {
        name: "min_free",
        form: KeyForm::Amount(|local, min_free| local.min_free = Some(min_free)),
    },
];
