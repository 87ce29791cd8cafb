//! Where and how drills are held, by the configuration.

use crate::postgres::session::Session;
use crate::postgres::tools::Tools;
use std::path::PathBuf;
use std::time::Duration;

/// How our sessions are called on a server.
pub(super) const APPLICATION: &str = "backupkit drill";

/// Where and how drills are held.
#[derive(Debug, Clone)]
pub struct DrillOptions {
    /// Where programs are looked for.
    pub tools: Tools,
    /// Where throwaway clusters are made.
    pub directory: PathBuf,
    /// Whom their programs run as where we are root.
    pub user: String,
    /// A server to restore into instead, and the database of it to connect to first.
    pub connection: Option<Session>,
    /// The server that backups are from and go back to, which knows what their roles may do.
    pub origin: Option<Session>,
    /// The database of a cluster that it is asked in; of a dump there is no other.
    pub database: Option<String>,
    /// SQL that has to return true.
    pub assertions: Vec<String>,
    /// Commands that have to succeed.
    pub commands: Vec<String>,
    /// How long one of the examinations may take.
    pub timeout: Duration,
}
