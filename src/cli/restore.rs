//! What `restore` accepts.

use super::values::{host, jobs, lsn, moment, name, port, renamed, tablespace_map};
use crate::error::{Error, Result};
use crate::postgres::replication::Lsn;
use argh::{ArgsInfo, FromArgs};
use chrono::{DateTime, Utc};
use std::path::PathBuf;

/// Restore one backup, or a part of it, into a database, or that of a cluster into a directory, all or nothing.
#[derive(FromArgs, ArgsInfo, Debug, Default)]
#[argh(
    subcommand,
    name = "restore",
    help_triggers("-h", "--help"),
    note = "BACKUP is app_db or app_db/latest, latest, app_db/TIMESTAMP or a storage key, each with STORAGE: before it\nto look on that storage alone; or the path of a file.\nThe stages follow the bytes of the archive, not the configuration. Everything happens in one\ntransaction (but with --jobs): where anything is wrong the target stays as it was.",
    example = "Restore beside the live database, into a new one on the same server:\n  $ {command_name} --from app_db --to app_check --create",
    example = "Bring one lost table back:\n  $ {command_name} --from app_db --table public.orders",
    example = "Bring a whole cluster back on another machine, and start it:\n  $ {command_name} --from main --to-dir /srv/new --owner postgres --start"
)]
pub struct RestoreArgs {
    // which backup
    /// the backup: [STORAGE:]DB/TIMESTAMP, DB, DB/latest, latest, a storage key, or a path
    #[argh(option, arg_name = "BACKUP")]
    pub from: String,

    /// only what began by this moment, or on this day: 2026-11-01, 2026-11-01T12:00+01:00; UTC where no zone is named. Of a cluster
    /// whose WAL is archived, all that was committed by this moment
    #[argh(option, arg_name = "TIME", from_str_fn(moment))]
    pub at: Option<DateTime<Utc>>,

    // into which database
    /// the configured database to restore into (default: the one that the backup names; for a path the first)
    #[argh(option, arg_name = "NAME")]
    pub db: Option<String>,

    /// another database on the same server
    #[argh(option, arg_name = "DATABASE")]
    pub to: Option<String>,

    /// log in as this role, and not as the one that the configuration names for restores
    #[argh(option, arg_name = "ROLE", from_str_fn(name))]
    pub user: Option<String>,

    /// the file with that role's password; else you are asked for it on a terminal, or libpq finds it: .pgpass, PGPASSWORD
    #[argh(option, arg_name = "FILE")]
    pub db_password_file: Option<PathBuf>,

    /// restore on this server: a host name, an address or a socket directory
    #[argh(option, arg_name = "HOST", from_str_fn(host))]
    pub host: Option<String>,

    /// restore on the server at this port
    #[argh(option, arg_name = "PORT", from_str_fn(port))]
    pub port: Option<u16>,

    /// make the database if it is not there; it is dropped again where the restore fails
    #[argh(switch)]
    pub create: bool,

    /// with --create: make the database with this locale of the server, and not with that of the original
    #[argh(option, arg_name = "NAME", from_str_fn(name))]
    pub locale: Option<String>,

    /// drop what the backup holds from the target first
    #[argh(switch)]
    pub clean: bool,

    /// with --clean: back the target up and pin that backup before anything is dropped
    #[argh(switch)]
    pub backup_first: bool,

    /// do not ask before --clean
    #[argh(switch)]
    pub yes: bool,

    /// only say what would happen
    #[argh(switch)]
    pub dry_run: bool,

    // which part of it
    /// only this table, view or sequence, as name or schema.name, with all that belongs to it; may be repeated
    #[argh(option, arg_name = "TABLE")]
    pub table: Vec<String>,

    /// only this schema; may be repeated
    #[argh(option, arg_name = "SCHEMA")]
    pub schema: Vec<String>,

    /// only rows, into tables that are there
    #[argh(switch)]
    pub data_only: bool,

    /// only definitions
    #[argh(switch)]
    pub schema_only: bool,

    /// with --data-only: switch triggers and foreign keys off while rows are loaded
    #[argh(switch)]
    pub disable_triggers: bool,

    /// also make the roles that are beside the backup and missing on the server
    #[argh(switch)]
    pub globals: bool,

    /// leave ownership to the role that restores
    #[argh(switch)]
    pub no_owner: bool,

    /// leave grants out
    #[argh(switch)]
    pub no_privileges: bool,

    /// leave publications out
    #[argh(switch)]
    pub no_publications: bool,

    /// leave subscriptions out
    #[argh(switch)]
    pub no_subscriptions: bool,

    /// leave event triggers out
    #[argh(switch)]
    pub no_event_triggers: bool,

    /// leave comments out
    #[argh(switch)]
    pub no_comments: bool,

    /// leave security labels out
    #[argh(switch)]
    pub no_security_labels: bool,

    /// put everything into the tablespace of the database
    #[argh(switch)]
    pub no_tablespaces: bool,

    /// put what was in the tablespace OLD into NEW; may be repeated
    #[argh(option, arg_name = "OLD=NEW", from_str_fn(renamed))]
    pub tablespace: Vec<(String, String)>,

    // a cluster
    /// restore a backup of a cluster into this directory, which is new or empty
    #[argh(option, arg_name = "DIR")]
    pub to_dir: Option<PathBuf>,

    /// put the tablespace with this OID into DIR; may be repeated
    #[argh(option, arg_name = "OID=DIR", from_str_fn(tablespace_map))]
    pub tablespace_map: Vec<(u32, PathBuf)>,

    /// put the WAL of the cluster into DIR
    #[argh(option, arg_name = "DIR")]
    pub waldir: Option<PathBuf>,

    /// let the cluster follow another server, and not begin a history of its own
    #[argh(switch)]
    pub standby: bool,

    /// start its server, at --port if that is named, and wait until it has recovered
    #[argh(switch)]
    pub start: bool,

    // a moment of a cluster whose WAL is archived
    /// recover to this place in the WAL, such as 16/B374D848
    #[argh(option, arg_name = "LSN", from_str_fn(lsn))]
    pub target_lsn: Option<Lsn>,

    /// recover to this transaction
    #[argh(option, arg_name = "ID")]
    pub target_xid: Option<u64>,

    /// recover to the restore point of this name, as pg_create_restore_point made it
    #[argh(option, arg_name = "NAME")]
    pub target_name: Option<String>,

    /// recover no further than to the end of the base backup
    #[argh(switch)]
    pub target_immediate: bool,

    /// recover on this timeline, and not on the newest that leads on from the backup
    #[argh(option, arg_name = "N")]
    pub target_timeline: Option<u32>,

    /// leave out what is exactly at the target
    #[argh(switch)]
    pub target_exclusive: bool,

    /// give the files of the cluster to this user
    #[argh(option, arg_name = "USER")]
    pub owner: Option<String>,

    // how
    /// a dump over so many connections at a time, 2 to 1000, from a temporary file, not atomic; so many objects of a cluster at a
    /// time
    #[argh(option, arg_name = "N", from_str_fn(jobs))]
    pub jobs: Option<u32>,

    /// not atomic: for dumps with more objects than one transaction can lock; a failure leaves a part behind
    #[argh(switch)]
    pub no_single_transaction: bool,

    /// do not dump the target afterwards to compare it with the backup
    #[argh(switch)]
    pub no_check: bool,

    // what is not refused
    /// restore another database's backup into --db, or an archive whose label does not fit its name
    #[argh(switch)]
    pub force: bool,

    /// fail where the bytes differ from what the name or the configuration says
    #[argh(switch)]
    pub strict_sniff: bool,

    /// where rows of the backup break a foreign key, add it NOT VALID; a unique key or index, leave it out
    #[argh(switch)]
    pub allow_broken_keys: bool,

    /// let psql run a backup that is SQL text
    #[argh(switch)]
    pub allow_sql_fallback: bool,

    /// let that SQL create databases and connect to them; not atomic
    #[argh(switch)]
    pub allow_create_in_dump: bool,

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

impl RestoreArgs {
    /// Refuses what is about databases, for a backup of a cluster.
    pub fn refuse_dump_options(&self) -> Result<()> {
        let given = [
            ("--to", self.to.is_some()),
            ("--db", self.db.is_some()),
            ("--host", self.host.is_some()),
            ("--user", self.user.is_some()),
            ("--create", self.create),
            ("--clean", self.clean),
            ("--backup-first", self.backup_first),
            ("--table", !self.table.is_empty()),
            ("--schema", !self.schema.is_empty()),
            ("--data-only", self.data_only),
            ("--schema-only", self.schema_only),
            ("--globals", self.globals),
            ("--tablespace", !self.tablespace.is_empty()),
            ("--no-tablespaces", self.no_tablespaces),
        ];
        match given.into_iter().find(|(_, is_given)| *is_given) {
            None => Ok(()),
            Some((option, _)) => Err(Error::usage(format!(
                "{option} is for dumps, and this is a backup of a cluster"
            ))
            .hint("a cluster is restored as a whole: --to-dir DIR, --tablespace-map OID=DIR, --waldir DIR, --owner USER, --start")),
        }
    }

    /// The options by which a recovery has a target of its own, as far as they are given.
    pub fn recovery_options(&self) -> Vec<&'static str> {
        let given = [
            ("--target-lsn", self.target_lsn.is_some()),
            ("--target-xid", self.target_xid.is_some()),
            ("--target-name", self.target_name.is_some()),
            ("--target-immediate", self.target_immediate),
        ];
        let given = given.into_iter().filter(|(_, is_given)| *is_given);
        given.map(|(option, _)| option).collect()
    }

    /// Refuses what does not go together.
    pub fn check(&self) -> Result<()> {
        let pairs = [
            (
                self.data_only && self.schema_only,
                "--data-only and --schema-only",
            ),
            (self.clean && self.data_only, "--clean and --data-only"),
            (
                self.backup_first && self.to.is_some(),
                "--backup-first and --to",
            ),
            (
                self.backup_first && self.dry_run,
                "--backup-first and --dry-run",
            ),
            (
                self.allow_broken_keys && self.data_only,
                "--allow-broken-keys and --data-only",
            ),
            (
                self.no_tablespaces && !self.tablespace.is_empty(),
                "--no-tablespaces and --tablespace",
            ),
        ];
        if let Some((_, pair)) = pairs.into_iter().find(|(both, _)| *both) {
            return Err(Error::usage(format!("{pair} do not go together"))
                .hint("leave one of them out; see what each does with: backupkit restore --help"));
        }
        let needs = [
            (
                !self.tablespace_map.is_empty() && self.to_dir.is_none(),
                "--tablespace-map",
                "--to-dir",
            ),
            (
                self.owner.is_some() && self.to_dir.is_none(),
                "--owner",
                "--to-dir",
            ),
            (
                self.waldir.is_some() && self.to_dir.is_none(),
                "--waldir",
                "--to-dir",
            ),
            (
                self.standby && self.to_dir.is_none(),
                "--standby",
                "--to-dir",
            ),
            (self.start && self.to_dir.is_none(), "--start", "--to-dir"),
            (
                self.locale.is_some() && !self.create,
                "--locale",
                "--create",
            ),
            (
                self.backup_first && !self.clean,
                "--backup-first",
                "--clean",
            ),
            (
                self.disable_triggers && !self.data_only,
                "--disable-triggers",
                "--data-only",
            ),
            (
                self.allow_create_in_dump && !self.allow_sql_fallback,
                "--allow-create-in-dump",
                "--allow-sql-fallback",
            ),
        ];
        match needs.into_iter().find(|(alone, ..)| *alone) {
            Some((_, option, other)) => Err(Error::usage(format!("{option} goes with {other}"))),
            None => Ok(()),
        }
    }
}
