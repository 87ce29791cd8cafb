//! What each command accepts; no behaviour.

use crate::error::{Error, Result};
use argh::FromArgs;
use chrono::{DateTime, Utc};
use std::path::PathBuf;
use std::time::Duration;

/// BackupKit backs up PostgreSQL and proves that the backups restore.
#[derive(FromArgs, Debug)]
#[argh(
    help_triggers("-h", "--help", "help"),
    note = "Every command takes -c/--config FILE (else $BACKUPKIT_CONFIG, else /etc/backupkit/config.yaml),\n--verbose and --help; --option=value works wherever --option value does.\nbackupkit --version prints the version.",
    example = "Back up all configured databases:\n  $ {command_name} backup",
    example = "Show the backups there are:\n  $ {command_name} list",
    example = "Restore the newest backup of app_db into the empty database it came from:\n  $ {command_name} restore --from app_db/latest",
    error_code(1, "failed"),
    error_code(2, "usage or configuration"),
    error_code(3, "some of several databases or copies failed"),
    error_code(10, "no such backup or database"),
    error_code(11, "another run holds the lock"),
    error_code(12, "wrong password"),
    error_code(13, "archive damaged or incomplete"),
    error_code(15, "refused for safety"),
    error_code(128, "and above: ended by a signal, 128 + its number")
)]
pub struct Arguments {
    #[argh(subcommand)]
    /// what to do
    pub command: Command,
}

/// The commands.
#[derive(FromArgs, Debug)]
#[argh(subcommand)]
pub enum Command {
    /// backup
    Backup(Backup),
    /// restore
    Restore(Restore),
    /// list
    List(List),
    /// cat
    Cat(Cat),
    /// prune
    Prune(Prune),
    /// pin
    Pin(Pin),
    /// unpin
    Unpin(Unpin),
}

/// Back up all configured databases, or those named with --db.
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "backup",
    help_triggers("-h", "--help"),
    note = "Prints one line per database: name, ok, degraded (a copy is missing) or failed, stored bytes, destination,\nduration; with several storages then the destination of each copy, or -.\nA failed database does not stop the others; exit 3 if some of several failed or a\ncopy is missing, 1 if all of them failed."
)]
pub struct Backup {
    /// only this database, by its configured name; may be repeated
    #[argh(option, arg_name = "NAME")]
    pub db: Vec<String>,

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

    /// the configuration file
    #[argh(option, short = 'c', arg_name = "FILE")]
    pub config: Option<PathBuf>,

    /// say more on stderr
    #[argh(switch)]
    pub verbose: bool,
}

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

/// List the backups there are, newest first.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "list", help_triggers("-h", "--help"))]
pub struct List {
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

/// Write the plain dump of one backup to stdout, decrypted and decompressed.
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "cat",
    help_triggers("-h", "--help"),
    note = "The last 64 KiB come only after the whole archive has proved good.",
    example = "Look into a backup:\n  $ {command_name} app_db/latest | pg_restore --list"
)]
pub struct Cat {
    /// the backup: [STORAGE:]DB/TIMESTAMP, DB, DB/latest, latest, a storage key, or a path
    #[argh(positional, arg_name = "BACKUP")]
    pub backup: String,

    /// only what began by this moment, such as 2026-11-01T12:00Z; with a database or its latest
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

    /// the configuration file
    #[argh(option, short = 'c', arg_name = "FILE")]
    pub config: Option<PathBuf>,

    /// say more on stderr
    #[argh(switch)]
    pub verbose: bool,
}

/// Delete the backups that retention does not keep, and say why.
#[derive(FromArgs, Debug, Default)]
#[argh(
    subcommand,
    name = "prune",
    help_triggers("-h", "--help"),
    note = "backup does the same after each backup that ended well. Prints one line per backup that goes, and\none per database: name, ok, dry-run, refused or failed, storage, backups kept, deleted, bytes freed.",
    example = "See what would stay and why, and delete nothing:\n  $ {command_name} --dry-run --explain"
)]
pub struct Prune {
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

/// Protect one backup from retention for good, on every storage that holds it.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "pin", help_triggers("-h", "--help"))]
pub struct Pin {
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
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "unpin", help_triggers("-h", "--help"))]
pub struct Unpin {
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

impl Command {
    /// The configuration file, where one was named.
    pub fn config(&self) -> Option<&PathBuf> {
        match self {
            Command::Backup(options) => options.config.as_ref(),
            Command::Restore(options) => options.config.as_ref(),
            Command::List(options) => options.config.as_ref(),
            Command::Cat(options) => options.config.as_ref(),
            Command::Prune(options) => options.config.as_ref(),
            Command::Pin(options) => options.config.as_ref(),
            Command::Unpin(options) => options.config.as_ref(),
        }
    }

    /// True for more on stderr.
    pub fn verbose(&self) -> bool {
        match self {
            Command::Backup(options) => options.verbose,
            Command::Restore(options) => options.verbose,
            Command::List(options) => options.verbose,
            Command::Cat(options) => options.verbose,
            Command::Prune(options) => options.verbose,
            Command::Pin(options) => options.verbose,
            Command::Unpin(options) => options.verbose,
        }
    }

    /// True for JSON on stdout.
    pub fn json(&self) -> bool {
        match self {
            Command::Backup(options) => options.json,
            Command::Restore(options) => options.json,
            Command::List(options) => options.json,
            Command::Cat(_) => false,
            Command::Prune(options) => options.json,
            Command::Pin(options) => options.json,
            Command::Unpin(options) => options.json,
        }
    }
}

/// RFC 3339; the seconds may be left out.
fn moment(text: &str) -> std::result::Result<DateTime<Utc>, String> {
    const MINUTE: usize = "2026-11-01T12:00".len();
    let full = match (text.get(..MINUTE), text.get(MINUTE..)) {
        (Some(minute), Some(zone)) if !zone.starts_with(':') => format!("{minute}:00{zone}"),
        _ => text.to_string(),
    };
    match DateTime::parse_from_rfc3339(&full) {
        Ok(moment) => Ok(moment.to_utc()),
        Err(_) => Err(format!(
            "{text:?} is not a time such as 2026-11-01T12:00Z or 2026-11-01T12:00:30+01:00"
        )),
    }
}

fn duration(text: &str) -> std::result::Result<Duration, String> {
    crate::config::duration::parse(text)
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Asked {
    /// A command.
    For(Box<Command>),
    /// Text for stdout: help or the version.
    Text(String),
}

/// Reads the arguments without the program's name.
pub fn parse(arguments: impl Iterator<Item = std::ffi::OsString>) -> Result<Asked> {
    let mut words = Vec::new();
    for argument in arguments {
        let word = argument
            .into_string()
            .map_err(|word| Error::usage(format!("the argument {word:?} is not valid UTF-8")))?;
        words.push(word);
    }
    if words.iter().any(|word| word == "--version" || word == "-V") {
        return Ok(Asked::Text(format!(
            "backupkit {}\n",
            env!("CARGO_PKG_VERSION")
        )));
    }
    let words = common_last(separated(words));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match Arguments::from_args(&["backupkit"], &words) {
        Ok(arguments) => Ok(Asked::For(Box::new(arguments.command))),
        Err(early) if early.status.is_ok() => Ok(Asked::Text(early.output)),
        Err(early) => Err(Error::usage(early.output.trim().to_string())
            .hint("see what there is with: backupkit --help")),
    }
}

/// `--option=value` as two words, which is what argh reads.
fn separated(words: Vec<String>) -> Vec<String> {
    let mut separated = Vec::new();
    let mut options = true;
    for word in words {
        options &= word != "--";
        match word.split_once('=') {
            Some((option, value)) if options && option.starts_with("--") => {
                separated.push(option.to_string());
                separated.push(value.to_string());
            }
            _ => separated.push(word),
        }
    }
    separated
}

/// `backupkit -c FILE list` as `backupkit list -c FILE`: every command has the common options.
fn common_last(mut words: Vec<String>) -> Vec<String> {
    let mut leading = 0;
    while let Some(word) = words.get(leading) {
        match word.as_str() {
            "-c" | "--config" if leading + 1 < words.len() => leading += 2,
            "--verbose" | "--json" => leading += 1,
            _ => break,
        }
    }
    let common: Vec<String> = words.drain(..leading).collect();
    if !words.is_empty() {
        words.splice(1..1, common);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Asked> {
        parse(line.split_whitespace().map(Into::into))
    }

    #[test]
    fn an_option_may_hold_its_value_and_stand_before_the_command() {
        let Ok(Asked::For(command)) = parsed("--config=/a/b=c --verbose list --db=x --db y") else {
            panic!("not a command");
        };
        assert_eq!(command.config(), Some(&PathBuf::from("/a/b=c")));
        assert!(command.verbose());
        let Command::List(list) = *command else {
            panic!("not list");
        };
        assert_eq!(list.db, ["x", "y"]);
    }

    #[test]
    fn nonsense_is_a_usage_error() {
        for line in [
            "",
            "frobnicate",
            "backup --nope",
            "restore",
            "backup --lock-wait soon",
            "restore --from app --at yesterday",
        ] {
            let error = parsed(line).unwrap_err();
            assert_eq!(error.kind().exit_status(), 2, "{line}");
        }
    }

    #[test]
    fn a_moment_may_leave_its_seconds_out_but_not_its_zone() {
        for (text, seconds) in [
            ("1970-01-02T00:01Z", 86460),
            ("1970-01-02T00:01:00Z", 86460),
            ("1970-01-02T00:01:05.5Z", 86465),
            ("1970-01-02T01:01+01:00", 86460),
        ] {
            assert_eq!(moment(text).map(|at| at.timestamp()), Ok(seconds), "{text}");
        }
        for text in [
            "",
            "1970-01-02",
            "1970-01-02T00:01",
            "1970-01-02T00:01:00",
            "1970-01-02T25:01Z",
            "1970-01-02T00:0é",
        ] {
            assert!(moment(text).is_err(), "{text}");
        }
    }

    #[test]
    fn help_is_everywhere() {
        for line in [
            "--help",
            "-h",
            "backup --help",
            "restore -h",
            "list --help",
            "cat --help",
            "prune --help",
            "pin --help",
            "unpin --help",
        ] {
            assert!(matches!(parsed(line), Ok(Asked::Text(_))), "{line}");
        }
    }
}
