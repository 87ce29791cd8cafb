//! What `daemon` accepts.

use super::values::duration;
use argh::{ArgsInfo, FromArgs};
use std::path::PathBuf;
use std::time::Duration;

/// Back up each database by its schedule, and stay for it.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "daemon",
    help_triggers("-h", "--help"),
    note = "Schedules are in UTC. SIGHUP loads the configuration anew; SIGTERM or SIGINT stops what runs, cleans up\nand exits 0, a second one stops at once. What a stop keeps from being made is told as a failure, and made up for\nby the next start.",
    example = "See when what will run:\n  $ {command_name} --dry-run"
)]
pub struct DaemonArgs {
    /// stop the run of a database that takes longer (default: 24h; 0: never)
    #[argh(
        option,
        arg_name = "DURATION",
        default = "Duration::from_secs(24 * 3600)",
        from_str_fn(duration)
    )]
    pub run_timeout: Duration,

    /// print the next runs and exit
    #[argh(switch)]
    pub dry_run: bool,

    /// with --dry-run, print one JSON document instead of text
    #[argh(switch)]
    pub json: bool,

    /// the configuration file
    #[argh(option, short = 'c', arg_name = "FILE")]
    pub config: Option<PathBuf>,

    /// say more on stderr
    #[argh(switch)]
    pub verbose: bool,
}
