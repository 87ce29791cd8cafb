//! What it takes to check one copy of a backup.

use crate::error::Result;
use crate::repository::open::CopyToOpen;
use crate::source::logical::drill::options::DrillOptions;
use crate::source::physical::restore::assemble::StoredLink;

/// One copy of a backup to be checked.
pub struct CheckedCopy<'a> {
    /// The copy, and what it takes to look into it.
    pub opening: CopyToOpen<'a>,
    /// How it is drilled; asked for only by the level `restore`.
    pub drill: &'a dyn Fn() -> Result<DrillOptions>,
    /// All that a backup of a cluster needs, itself last; asked for only where it is one.
    pub chain: &'a dyn Fn() -> Result<Vec<StoredLink>>,
    /// Only what is encrypted is read.
    pub sealed_only: bool,
}
