//! A restore of a cluster with everything resolved.

use super::recovery::Recovery;
use crate::source::physical::restore::assemble::Assembly;
use crate::source::physical::restore::settings::Becomes;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A restore with everything resolved.
pub struct BaseRestore<'a> {
    pub source: Assembly<'a>,
    pub directory: &'a Path,
    /// Where tablespaces go, by their OID; the others go to where they were.
    pub tablespaces: &'a BTreeMap<u32, PathBuf>,
    /// Where its WAL goes, if not into the data directory.
    pub wal: Option<&'a Path>,
    /// Whom the files belong to, where that is somebody else.
    pub owner: Option<(u32, u32)>,
    pub becomes: Becomes,
    /// How it goes on from the backup by archived WAL.
    pub recovery: Option<&'a Recovery>,
    /// It is started, and waited for.
    pub starts: bool,
    /// The port that it listens at, where not at the one of its origin.
    pub port: Option<u16>,
}
