//! Landlock: which files a confined program may use. What a kernel is too old for is left out, the rest holds.

use super::confinement::Confinement;
use super::loader;
use crate::error::{Error, Result};
use landlock::{
    ABI, Access, AccessFs, BitFlags, LandlockStatus, RestrictionStatus, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use std::iter;
use std::path::Path;

/// The newest version of Landlock whose rights are taken away here.
const KNOWN: ABI = ABI::V7;
/// The first version that knows of truncation, which needs no open file.
const TRUNCATION: ABI = ABI::V3;
/// The first version that keeps signals from processes outside.
const SIGNALS: ABI = ABI::V6;

/// What this kernel holds.
pub(super) struct FileHold {
    /// No file outside can be opened, made, removed or run.
    pub access: bool,
    /// Nor cut.
    pub truncation: bool,
    /// No process outside can be sent a signal.
    pub signals: bool,
}

/// Leaves this process, and what it starts, the files of `confinement`.
pub(super) fn restrict(confinement: &Confinement) -> Result<FileHold> {
    let status = landlock(confinement).map_err(|error| {
        let error = Error::failed(error.to_string());
        error.doing("cannot confine it by Landlock")
    })?;
    let version = match (status.ruleset, status.landlock) {
        (RulesetStatus::NotEnforced, _) => ABI::Unsupported,
        (_, LandlockStatus::Available { effective_abi, .. }) => effective_abi,
        _ => ABI::Unsupported,
    };
    Ok(FileHold {
        access: version != ABI::Unsupported,
        truncation: version >= TRUNCATION,
        signals: version >= SIGNALS,
    })
}

fn landlock(confinement: &Confinement) -> std::result::Result<RestrictionStatus, RulesetError> {
    let program: &Path = &confinement.program;
    let programs = iter::once(program.to_path_buf()).chain(loader::of(program));
    let reading = AccessFs::ReadFile | AccessFs::ReadDir;
    Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))?
        .scope(Scope::from_all(KNOWN))?
        .create()?
        .add_rules(path_beneath_rules(&confinement.writable, writing()))?
        .add_rules(path_beneath_rules(&confinement.readable, reading))?
        .add_rules(path_beneath_rules(
            programs,
            AccessFs::ReadFile | AccessFs::Execute,
        ))?
        .restrict_self()
}

/// What may be done in a directory of its own: neither running a program nor making a device.
fn writing() -> BitFlags<AccessFs> {
    let never = AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev;
    AccessFs::from_all(KNOWN) & !never
}
