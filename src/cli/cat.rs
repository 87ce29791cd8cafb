//! What `cat` accepts.

use super::values::moment;
use argh::{ArgsInfo, FromArgs};
use chrono::{DateTime, Utc};
use std::path::PathBuf;

/// Write the plain dump of one backup to stdout, decrypted and decompressed.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "cat",
    help_triggers("-h", "--help"),
    note = "The last 64 KiB come only after the whole archive has proved good.",
    example = "Look into a backup:\n  $ {command_name} app_db/latest | pg_restore --list"
)]
pub struct CatArgs {
    /// the backup: [STORAGE:]DB/TIMESTAMP, DB, DB/latest, latest, a storage key, or a path
    #[argh(positional, arg_name = "BACKUP")]
    pub backup: String,

    /// only what began by this moment, or on this day: 2026-11-01, 2026-11-01T12:00+01:00; UTC where no zone is named
    #[argh(option, arg_name = "TIME", from_str_fn(moment))]
    pub at: Option<DateTime<Utc>>,

    /// the configured database whose passwords open it
    #[argh(option, arg_name = "NAME")]
    pub db: Option<String>,

    /// read an archive whose label does not fit its name
    #[argh(switch)]
    pub force: bool,

    /// fail where the bytes differ from what the name or the configuration says
    #[argh(switch)]
    pub strict_sniff: bool,

    /// the roles that are beside the backup, instead of its dump
    #[argh(switch)]
    pub globals: bool,

    /// the configuration file
    #[argh(option, short = 'c', arg_name = "FILE")]
    pub config: Option<PathBuf>,

    /// say more on stderr
    #[argh(switch)]
    pub verbose: bool,
}
