//! What `restore` accepts.

use super::values::moment;
use argh::FromArgs;
use chrono::{DateTime, Utc};
use std::path::PathBuf;

/// Restore one backup into a database, all or nothing.
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "restore",
    help_triggers("-h", "--help"),
    note = "BACKUP is app_db or app_db/latest, latest, app_db/TIMESTAMP or a storage key, each with STORAGE: before it\nto look on that storage alone; or the path of a file.\nThe stages follow the bytes of the archive, not the configuration. Everything happens in one\ntransaction: where anything is wrong the target stays as it was."
)]
pub struct Restore {
    /// the backup: [STORAGE:]DB/TIMESTAMP, DB, DB/latest, latest, a storage key, or a path
    #[argh(option, arg_name = "BACKUP")]
    pub from: String,

    /// only what began by this moment, such as 2026-11-01T12:00Z; with a database or its latest
    #[argh(option, arg_name = "TIME", from_str_fn(moment))]
    pub at: Option<DateTime<Utc>>,

    /// the configured database to restore into (default: the one that the backup names; for a path the first)
    #[argh(option, arg_name = "NAME")]
    pub db: Option<String>,

    /// drop what the backup holds from the target first
    #[argh(switch)]
    pub clean: bool,

    /// restore another database's backup into --db, or an archive whose label does not fit its name
    #[argh(switch)]
    pub force: bool,

    /// fail where the bytes differ from what the name or the configuration says
    #[argh(switch)]
    pub strict_sniff: bool,

    /// let psql run a backup that is SQL text
    #[argh(switch)]
    pub allow_sql_fallback: bool,

    /// leave ownership to the role that restores
    #[argh(switch)]
    pub no_owner: bool,

    /// leave grants out
    #[argh(switch)]
    pub no_privileges: bool,

    /// not atomic: for dumps with more objects than one transaction can lock; a failure leaves a part behind
    #[argh(switch)]
    pub no_single_transaction: bool,

    /// print JSON Lines instead of text
    #[argh(switch)]
    pub json: bool,

    /// the configuration file
    #[argh(option, short = 'c', arg_name = "FILE")]
    pub config: Option<PathBuf>,

    /// say more on stderr
    #[argh(switch)]
    pub verbose: bool,
}
