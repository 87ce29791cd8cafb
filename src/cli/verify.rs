//! What `verify` accepts.

use super::values::{duration, level};
use crate::repository::check_records::CheckLevel;
use argh::{ArgsInfo, FromArgs};
use std::path::PathBuf;
use std::time::Duration;

/// Check that backups are whole and hold what their manifests say.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "verify",
    help_triggers("-h", "--help"),
    note = "BACKUP is app_db or app_db/latest, latest, app_db/TIMESTAMP or a storage key, each with STORAGE: before it\nto check that copy alone; or the path of a file. Without any, the newest backup of each database is checked.\nEvery copy is checked, and one that is bad does not keep the others from being checked.\nPrints one line a copy: backup, good, bad or undecided, level, storage, duration; and one for each fault.",
    example = "Prove that the newest backup of each database is whole:\n  $ {command_name}",
    example = "Look at what has not been looked at for a week:\n  $ {command_name} --all --older-than-last-check 7d",
    error_code(0, "all are good"),
    error_code(1, "none could be checked, or something else failed"),
    error_code(3, "some could not be checked, the others are good"),
    error_code(12, "wrong password"),
    error_code(
        13,
        "at least one is damaged, incomplete or not what its manifest says"
    )
)]
pub struct VerifyArgs {
    /// the backups: [STORAGE:]DB/TIMESTAMP, DB, DB/latest, latest, a storage key, or a path
    #[argh(positional, arg_name = "BACKUP")]
    pub backups: Vec<String>,

    /// exists: archive, size and sidecars; checksum: the stored bytes; full (default): decrypt, decompress, read the
    /// dump and compare each table with the manifest; restore: also restore it into a throwaway cluster and compare what came back
    #[argh(
        option,
        arg_name = "LEVEL",
        default = "CheckLevel::Full",
        from_str_fn(level)
    )]
    pub level: CheckLevel,

    /// only this database, by its configured name; may be repeated
    #[argh(option, arg_name = "NAME")]
    pub db: Vec<String>,

    /// all backups
    #[argh(switch)]
    pub all: bool,

    /// the newest backup of each database
    #[argh(switch)]
    pub latest: bool,

    /// the newest so many of each database
    #[argh(option, arg_name = "N")]
    pub last: Option<usize>,

    /// so many of each database, chosen at random, never the newest
    #[argh(option, arg_name = "N")]
    pub random: Option<usize>,

    /// of these (default: of all) only those without a good check of this level or more within this time, such as 7d
    #[argh(option, arg_name = "DURATION", from_str_fn(duration))]
    pub older_than_last_check: Option<Duration>,

    /// check nothing, and sum up the records of earlier checks
    #[argh(switch)]
    pub report: bool,

    /// with --report: no older checks than this (default: 90d)
    #[argh(option, arg_name = "DURATION", from_str_fn(duration))]
    pub since: Option<Duration>,

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
