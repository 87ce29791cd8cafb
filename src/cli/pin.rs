//! What `pin` and `unpin` accept.

use super::values::duration;
use argh::{ArgsInfo, FromArgs};
use std::path::PathBuf;
use std::time::Duration;

/// Protect one backup from retention for good, on every storage that holds it.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "pin", help_triggers("-h", "--help"))]
pub struct PinArgs {
    /// the backup: [STORAGE:]DB/TIMESTAMP, DB, DB/latest, latest or a storage key
    #[argh(positional, arg_name = "BACKUP")]
    pub backup: String,

    /// the configured database that latest is about
    #[argh(option, arg_name = "NAME")]
    pub db: Option<String>,

    /// wait this long for another run of the same database, such as 30m (default: 0, fail at once)
    #[argh(
        option,
        arg_name = "DURATION",
        default = "Duration::ZERO",
        from_str_fn(duration)
    )]
    pub lock_wait: Duration,

    /// print one JSON document instead of text
    #[argh(switch)]
    pub json: bool,

    /// the configuration file
    #[argh(option, short = 'c', arg_name = "FILE")]
    pub config: Option<PathBuf>,

    /// say more on stderr
    #[argh(switch)]
    pub verbose: bool,
}

/// Give one backup back to retention.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "unpin", help_triggers("-h", "--help"))]
pub struct UnpinArgs {
    /// the backup: [STORAGE:]DB/TIMESTAMP, DB, DB/latest, latest or a storage key
    #[argh(positional, arg_name = "BACKUP")]
    pub backup: String,

    /// the configured database that latest is about
    #[argh(option, arg_name = "NAME")]
    pub db: Option<String>,

    /// wait this long for another run of the same database, such as 30m (default: 0, fail at once)
    #[argh(
        option,
        arg_name = "DURATION",
        default = "Duration::ZERO",
        from_str_fn(duration)
    )]
    pub lock_wait: Duration,

    /// print one JSON document instead of text
    #[argh(switch)]
    pub json: bool,

    /// the configuration file
    #[argh(option, short = 'c', arg_name = "FILE")]
    pub config: Option<PathBuf>,

    /// say more on stderr
    #[argh(switch)]
    pub verbose: bool,
}
