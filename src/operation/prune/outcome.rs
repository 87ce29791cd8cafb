//! What retention did to one database on one storage, for those who print it and those who tell people of it.

use super::Pruned;
use crate::error::{Error, Result};
use crate::repository::retention::Policy;

/// One database on one storage, and what `prune` made of it.
#[derive(Debug)]
pub struct PruneOutcome<'a> {
    /// The database's `name`.
    pub database: &'a str,
    /// The storage's name.
    pub storage: String,
    /// The rules that were applied.
    pub policy: &'a Policy,
    /// Nothing was to be deleted.
    pub dry_run: bool,
    /// Every backup with its verdict, or why there are none.
    pub result: Result<Pruned>,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PruneStatus {
    /// What no rule keeps is gone, or would be.
    Done,
    /// There is a reason to delete nothing.
    Refused,
    /// A part of it, or all, could not be done.
    Failed,
}

impl PruneOutcome<'_> {
    /// What went wrong, or was refused.
    pub fn error(&self) -> Option<&Error> {
        match &self.result {
            Ok(pruned) => pruned.refused.as_ref(),
            Err(error) => Some(error),
        }
    }

    /// How it ended.
    pub fn status(&self) -> PruneStatus {
        match &self.result {
            Err(_) => PruneStatus::Failed,
            Ok(pruned) if pruned.refused.is_some() => PruneStatus::Refused,
            Ok(_) => PruneStatus::Done,
        }
    }

    /// True where what was to go is gone.
    pub fn happened(&self) -> bool {
        !self.dry_run && self.status() == PruneStatus::Done
    }

    /// What should be looked at, refusals and failures aside.
    pub fn warnings(&self) -> &[String] {
        match &self.result {
            Ok(pruned) => &pruned.warnings,
            Err(_) => &[],
        }
    }
}
