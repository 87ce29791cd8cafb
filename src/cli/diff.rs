//! What `diff` accepts.

use argh::{ArgsInfo, FromArgs};
use std::path::PathBuf;

/// Show which tables differ between two backups, from their manifests alone.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "diff",
    help_triggers("-h", "--help"),
    note = "Reads no archive. The manifest of an encrypted backup is opened with its password.\nEnds with status 0 whether or not there are differences.",
    example = "See what changed since a backup:\n  $ {command_name} app_db/20261120_020000.123456789Z app_db/latest"
)]
pub struct DiffArgs {
    /// the earlier backup: [STORAGE:]DB/TIMESTAMP, DB, DB/latest, latest, or a storage key
    #[argh(positional, arg_name = "EARLIER")]
    pub before: String,

    /// the later one
    #[argh(positional, arg_name = "LATER")]
    pub after: String,

    /// the configured database that a plain latest is of
    #[argh(option, arg_name = "NAME")]
    pub db: Option<String>,

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
