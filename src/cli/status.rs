//! What `status` accepts.

use crate::error::{Error, Result};
use argh::{ArgsInfo, FromArgs};
use std::path::PathBuf;

/// Say how each database stands: its newest backup, the last proof, the last failure, the next run.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "status",
    help_triggers("-h", "--help"),
    note = "Everything is read from the storages, so any host with the configuration can tell. Exits 14 where a backup\nis older than its max_age, or the last check that found one good than its max_unverified_age;\n13 where the newest one is damaged or was found bad.",
    example = "Check from Nagios, Icinga and their like:\n  $ {command_name} --nagios",
    example = "Probe a container that runs the daemon:\n  $ {command_name} --daemon"
)]
pub struct StatusArgs {
    /// only this database, by its configured name; may be repeated
    #[argh(option, arg_name = "NAME")]
    pub db: Vec<String>,

    /// print one line with performance data, and exit 0 to 3 as a monitoring plugin
    #[argh(switch)]
    pub nagios: bool,

    /// only whether the daemon of this configuration looks at the clock, for probes; reads neither configuration nor storages
    #[argh(switch)]
    pub daemon: bool,

    /// print one JSON document instead of a table
    #[argh(switch)]
    pub json: bool,

    /// the configuration file
    #[argh(option, short = 'c', arg_name = "FILE")]
    pub config: Option<PathBuf>,

    /// say more on stderr
    #[argh(switch)]
    pub verbose: bool,
}

impl StatusArgs {
    /// Refuses what does not go together.
    pub fn check(&self) -> Result<()> {
        let pair = match (self.daemon, self.nagios, self.db.is_empty()) {
            (true, true, _) => "--daemon and --nagios",
            (true, _, false) => "--daemon and --db",
            _ => return Ok(()),
        };
        Err(Error::usage(format!("{pair} do not go together"))
            .hint("leave one of them out; without --daemon both are judged, daemon and databases"))
    }
}
