//! What `wal-push` accepts.

use argh::{ArgsInfo, FromArgs};
use std::path::PathBuf;

/// Archive one file of WAL: what archive_command runs.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "wal-push",
    help_triggers("-h", "--help"),
    note = "Ends with 0 only once the file is durable on the storages that wal.require names. It never ends above 125,\nwhich the server would not count as a failure.",
    example = "In postgresql.conf:\n  archive_mode = on\n  archive_command = '/usr/bin/{command_name} -c /etc/backupkit/config.yaml --name main \"%p\"'"
)]
pub struct WalPushArgs {
    /// the file, as the server names it: %p
    #[argh(positional, arg_name = "PATH")]
    pub path: PathBuf,

    /// the cluster that it is of; needed where more than one is configured
    #[argh(option, arg_name = "NAME")]
    pub db: Option<String>,

    /// the configuration file
    #[argh(option, short = 'c', arg_name = "FILE")]
    pub config: Option<PathBuf>,

    /// say more on stderr
    #[argh(switch)]
    pub verbose: bool,
}
