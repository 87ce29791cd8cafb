//! What `prune` accepts.

use super::values::duration;
use argh::{ArgsInfo, FromArgs};
use std::path::PathBuf;
use std::time::Duration;

/// Delete the backups that retention does not keep, and say why.
#[derive(FromArgs, ArgsInfo, Debug, Default)]
#[argh(
    subcommand,
    name = "prune",
    help_triggers("-h", "--help"),
    note = "backup does the same after each backup that ended well. Prints one line per backup that goes, and\none per database: name, ok, dry-run, refused or failed, storage, backups kept, deleted, bytes freed;\n- where that is not known.",
    example = "See what would stay and why, and delete nothing:\n  $ {command_name} --dry-run --explain"
)]
pub struct PruneArgs {
    /// only this database, by its configured name; may be repeated
    #[argh(option, arg_name = "NAME")]
    pub db: Vec<String>,

    /// delete nothing
    #[argh(switch)]
    pub dry_run: bool,

    /// print the calendar of all backups, what stays and why
    #[argh(switch)]
    pub explain: bool,

    /// delete although the newest backup is of another source than those before it, now and from now on
    #[argh(switch)]
    pub accept_new_source: bool,

    /// delete although the clock seems to have jumped ahead; it was right until now
    #[argh(switch)]
    pub accept_clock: bool,

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
