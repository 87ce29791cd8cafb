//! What `list` accepts.

use argh::{ArgsInfo, FromArgs};
use std::path::PathBuf;

/// List the backups there are, newest first.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "list", help_triggers("-h", "--help"))]
pub struct ListArgs {
    /// only this database; may be repeated
    #[argh(option, arg_name = "NAME")]
    pub db: Vec<String>,

    /// all backups, and not only the newest 20 of each database
    #[argh(switch)]
    pub all: bool,

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
