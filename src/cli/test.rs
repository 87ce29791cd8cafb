//! What `test` accepts.

use argh::{ArgsInfo, FromArgs};
use std::path::PathBuf;

/// Check everything that the next backup will need, and change nothing that stays.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "test",
    help_triggers("-h", "--help"),
    note = "Prints one line per check: ok, warn or FAIL, and below a line that is not ok what to do. Exits 1 if\nanything failed; warnings alone exit 0."
)]
pub struct TestArgs {
    /// only this database and its storages; may be repeated
    #[argh(option, arg_name = "NAME")]
    pub db: Vec<String>,

    /// really send a notification by every route
    #[argh(switch)]
    pub send: bool,

    /// from now on, archive the WAL of the cluster that the server has now: after pg_upgrade or initdb
    #[argh(switch)]
    pub accept_new_system: bool,

    /// print one JSON document instead of text
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
