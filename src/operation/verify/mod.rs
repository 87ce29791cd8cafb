//! `verify`: is a backup what it should be?
//!
//! ```text
//! exists    what lies beside the archive is there and speaks of this archive     sidecars
//! checksum  + the stored bytes are those that were written                      stored
//! full      + the dump inside is whole and holds what the manifest says          full
//! restore   + it restores, and the restored database holds the same              the drill
//! ```
//!
//! A check that comes to its end gives [`Evidence`]; its faults make a backup bad. A check that fails says nothing about
//! the backup. What was found is written down in `record`, and
//! summed up in `report`.

mod base;
mod checked_copy;
mod full;
pub mod record;
pub mod report;
mod sidecars;
mod stored;
pub mod verified;

pub use checked_copy::CheckedCopy;

use crate::cancel::Cancel;
use crate::error::{Kind, Result};

use crate::repository::check_records::CheckLevel;
use crate::repository::evidence::Evidence;

use crate::repository::located::Located;
use crate::repository::source_kind::SourceClass;
use crate::source::logical::drill;
use sidecars::Claims;

/// Looks at one copy. Damage is a fault among the evidence; an error means that the check could not be made.
pub fn check(checked: &CheckedCopy, level: CheckLevel, cancel: &Cancel) -> Result<Evidence> {
    if let Located::Stored { entry, .. } = checked.opening.copy
        && entry.kind.class() == SourceClass::Cluster
    {
        let mut evidence = Evidence::default();
        let looked = base::look(checked, level, &mut evidence, cancel);
        return judged(looked, evidence);
    }
    let (claims, mut evidence) = sidecars::look(checked.opening.copy, cancel)?;
    let looked = match level {
        CheckLevel::Exists => Ok(()),
        CheckLevel::Checksum => stored::look(&checked.opening, &claims, &mut evidence, cancel),
        CheckLevel::Full => {
            let looked = full::look(&checked.opening, claims, &mut evidence, cancel);
            looked.and_then(|doubt| match doubt.filter(|_| evidence.faults.is_empty()) {
                Some(doubt) => Err(doubt),
                None => Ok(()),
            })
        }
        CheckLevel::Restore => restore(checked, claims, &mut evidence, cancel),
    };
    judged(looked, evidence)
}

/// What a look came to: damage is what it was to find.
fn judged(looked: Result<()>, mut evidence: Evidence) -> Result<Evidence> {
    match looked {
        Ok(()) => Ok(evidence),
        // sealed for another name, or with parameters that no writer of ours uses
        Err(error) if matches!(error.kind(), Kind::Damaged | Kind::Refused) => {
            evidence.fault(error.chain());
            Ok(evidence)
        }
        Err(error) => Err(error),
    }
}

/// A backup that is not what it should be is not worth a drill.
fn restore(
    checked: &CheckedCopy,
    claims: Claims,
    evidence: &mut Evidence,
    cancel: &Cancel,
) -> Result<()> {
    // what could not be decoded there is decoded by the drill
    full::look(&checked.opening, claims, evidence, cancel)?;
    match evidence.faults.is_empty() {
        true => drill::run(&checked.opening, &(checked.drill)()?, evidence, cancel),
        false => Ok(()),
    }
}
