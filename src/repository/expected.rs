//! What the configuration makes of a name, as far as it decides what counts.

use super::source_kind::SourceClass;

/// What the configuration makes of a name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expected {
    /// Backups are encrypted, so that what is not could have been put there by anybody.
    pub sealed: bool,
    /// Backups leave out part of the database, so that a partial one is what there is to have.
    pub partial: bool,
    /// What is backed up under this name; `None` where it is not configured.
    pub class: Option<SourceClass>,
}
