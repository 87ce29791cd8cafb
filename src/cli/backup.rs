//! What `backup` accepts.

use super::values::{base_type, duration};
use crate::operation::base_backup::BaseType;
use argh::{ArgsInfo, FromArgs};
use std::path::PathBuf;
use std::time::Duration;

/// Back up all configured databases and clusters, or those named with --db; --name is the same.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "backup",
    help_triggers("-h", "--help"),
    note = "Prints one line per database: name, ok, degraded (a copy is missing) or failed, stored bytes, destination,\nduration; with several storages then the destination of each copy, or -.\nA failed database does not stop the others; exit 3 if some of several failed or a\ncopy is missing, 1 if all of them failed."
)]
pub struct BackupArgs {
    /// only this database, by its configured name; may be repeated
    #[argh(option, arg_name = "NAME")]
    pub db: Vec<String>,

    /// of a cluster, make a full backup (the default) or incr, what changed since the last one (PostgreSQL 17 and newer)
    #[argh(option, arg_name = "TYPE", from_str_fn(base_type))]
    pub r#type: Option<BaseType>,

    /// wait this long for another run of the same database, such as 30m (default: 0, fail at once)
    #[argh(
        option,
        arg_name = "DURATION",
        default = "Duration::ZERO",
        from_str_fn(duration)
    )]
    pub lock_wait: Duration,

    /// print JSON Lines instead of text
    #[argh(switch)]
    pub json: bool,

    /// print warnings and errors only, for cron
    #[argh(switch)]
    pub quiet: bool,

    /// the configuration file
    #[argh(option, short = 'c', arg_name = "FILE")]
    pub config: Option<PathBuf>,

    /// say more on stderr
    #[argh(switch)]
    pub verbose: bool,
}
