//! The exit status of a command that did the same to several databases or copies.

use crate::error::Kind;

/// The status of a run: none failed, some of several did, or all did; of a single one, its own.
pub(super) fn overall(ok: usize, failures: &[Kind]) -> Option<Kind> {
    match (ok, failures) {
        (_, []) => None,
        (0, [only]) => Some(*only),
        (0, _) => Some(Kind::Failed),
        _ => Some(Kind::Partial),
    }
}
