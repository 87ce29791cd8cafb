//! What `status` accepts.

use argh::{ArgsInfo, FromArgs};
use std::path::PathBuf;

/// Say how each database stands: its newest backup, the last proof, the last failure, the next run.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "status",
    help_triggers("-h", "--help"),
    note = "Everything is read from the storages, so any host with the configuration can tell. Exits 14 where a backup\nis older than its max_age, or the last check that found one good than its max_unverified_age;\n13 where the newest one is damaged or was found bad.",
    example = "Check from Nagios, Icinga and their like:\n  $ {command_name} --nagios"
)]
pub struct StatusArgs {
    /// only this database, by its configured name; may be repeated
    #[argh(option, arg_name = "NAME")]
    pub db: Vec<String>,

    /// print one line with performance data, and exit 0 to 3 as a monitoring plugin
    #[argh(switch)]
    pub nagios: bool,

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
