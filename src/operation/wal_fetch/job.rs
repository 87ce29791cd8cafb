//! A fetch with everything resolved.

use crate::postgres::wal_file::WalFile;
use crate::repository::places::Place;
use crate::repository::wal_archive::OpenWal;
use std::path::Path;
use std::time::Duration;

/// A fetch with everything resolved.
pub struct WalFetch<'a> {
    /// The name of the cluster.
    pub cluster: &'a str,
    pub system_identifier: u64,
    /// What the server asks for.
    pub file: WalFile,
    /// Where it wants it.
    pub target: &'a Path,
    /// The timeline that it recovers to; the newest one where that is not said.
    pub timeline: Option<u32>,
    pub places: &'a [Place],
    pub open: OpenWal<'a>,
    /// So long a file is looked for while a later one is there.
    pub patience: Duration,
}
