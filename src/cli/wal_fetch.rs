//! What `wal-fetch` accepts.

use argh::{ArgsInfo, FromArgs};
use std::path::PathBuf;

/// Restore one file of WAL: what restore_command runs.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "wal-fetch",
    help_triggers("-h", "--help"),
    note = "Its exit statuses are its own, because PostgreSQL takes 1 to 125 for the end of the archive and begins to serve:\n0 delivered; 1 there is no such file, nor anything after it; 200 and the usual status for all else.\nNever run it through a wrapper that changes them, such as timeout or `|| true`.",
    example = "In postgresql.auto.conf, as restore writes it:\n  restore_command = '/usr/bin/{command_name} -c /etc/backupkit/config.yaml --name main --timeline 1 \"%f\" \"%p\"'"
)]
pub struct WalFetchArgs {
    /// the file that the server asks for: %f
    #[argh(positional, arg_name = "FILE")]
    pub file: String,

    /// where it wants it: %p
    #[argh(positional, arg_name = "TARGET")]
    pub target: PathBuf,

    /// the cluster that it is of; needed where more than one is configured
    #[argh(option, arg_name = "NAME")]
    pub db: Option<String>,

    /// the timeline that the server recovers to; without it the newest one
    #[argh(option, arg_name = "N")]
    pub timeline: Option<u32>,

    /// the system identifier of the cluster; without it that of the data directory that this runs in
    #[argh(option, arg_name = "ID")]
    pub system_identifier: Option<u64>,

    /// keep the statuses above 200 for a standby as well, which shuts down by them
    #[argh(switch)]
    pub strict: bool,

    /// the configuration file
    #[argh(option, short = 'c', arg_name = "FILE")]
    pub config: Option<PathBuf>,

    /// say more on stderr
    #[argh(switch)]
    pub verbose: bool,
}
