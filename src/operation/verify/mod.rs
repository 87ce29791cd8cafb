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

mod full;
pub mod record;
pub mod report;
mod sidecars;
mod stored;
pub mod verified;

use crate::cancel::Cancel;
use crate::error::{Kind, Result};
use crate::format::seal::Keys;
use crate::repository::check_records::{CheckLevel, Evidence};
use crate::repository::located::Located;
use crate::repository::open::{Opening, Rules};
use crate::source::logical::drill;
use crate::source::logical::drill::options::DrillOptions;
use sidecars::Claims;

/// One copy of a backup, and what it takes to look into it.
pub struct Subject<'a> {
    /// Where it is.
    pub selected: &'a Located,
    /// The keys that may open it; asked for only if it is sealed.
    pub keys: &'a dyn Fn() -> Result<Keys>,
    /// What the configuration says of it.
    pub rules: &'a Rules<'a>,
    /// How it is drilled; asked for only by [`CheckLevel::Restore`].
    pub drill: &'a dyn Fn() -> Result<DrillOptions>,
}

/// Looks at one copy. Damage is a fault among the evidence; an error means that the check could not be made.
pub fn check(subject: &Subject, level: CheckLevel, cancel: &Cancel) -> Result<Evidence> {
    let (claims, mut evidence) = sidecars::look(subject.selected, cancel)?;
    let looked = match level {
        CheckLevel::Exists => Ok(()),
        CheckLevel::Checksum => stored::look(subject, &claims, &mut evidence, cancel),
        CheckLevel::Full => full::look(subject, claims, &mut evidence, cancel),
        CheckLevel::Restore => restore(subject, claims, &mut evidence, cancel),
    };
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
    subject: &Subject,
    claims: Claims,
    evidence: &mut Evidence,
    cancel: &Cancel,
) -> Result<()> {
    full::look(subject, claims, evidence, cancel)?;
    match evidence.faults.is_empty() {
        true => {
            let opening = Opening {
                selected: subject.selected,
                keys: subject.keys,
                rules: subject.rules,
            };
            drill::run(&opening, &(subject.drill)()?, evidence, cancel)
        }
        false => Ok(()),
    }
}
