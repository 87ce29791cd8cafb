//! What each command accepts; no behaviour.

mod backup;
mod cat;
mod completion;
mod daemon;
mod diff;
mod help;
mod init;
mod list;
mod pin;
mod prune;
mod restore;
mod status;
mod test;
mod unknown;
mod values;
mod verify;

pub use backup::Backup;
pub use cat::Cat;
pub use completion::{Completion, Subject};
pub use daemon::Daemon;
pub use diff::Diff;
pub use init::Init;
pub use list::List;
pub use pin::{Pin, Unpin};
pub use prune::Prune;
pub use restore::Restore;
pub use status::Status;
pub use test::Test;
pub use verify::Verify;

use crate::error::{Error, Result};
use argh::{ArgsInfo, FromArgs};
use std::path::PathBuf;

/// BackupKit backs up PostgreSQL and proves that the backups restore.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    help_triggers("-h", "--help", "help"),
    note = "Every command takes -c/--config FILE (else $BACKUPKIT_CONFIG, else /etc/backupkit/config.yaml),\n--verbose and --help; --option=value works wherever --option value does.\nbackupkit --version prints the version.",
    example = "Write a configuration, and check that it works:\n  $ {command_name} init\n  $ {command_name} test",
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
    error_code(14, "a backup is older than allowed"),
    error_code(15, "refused for safety"),
    error_code(128, "and above: ended by a signal, 128 + its number")
)]
pub struct Arguments {
    #[argh(subcommand)]
    /// what to do
    pub command: Command,
}

/// The commands.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
pub enum Command {
    /// init
    Init(Init),
    /// test
    Test(Test),
    /// backup
    Backup(Backup),
    /// daemon
    Daemon(Daemon),
    /// restore
    Restore(Restore),
    /// status
    Status(Status),
    /// list
    List(List),
    /// verify
    Verify(Verify),
    /// diff
    Diff(Diff),
    /// cat
    Cat(Cat),
    /// prune
    Prune(Prune),
    /// pin
    Pin(Pin),
    /// unpin
    Unpin(Unpin),
    /// completion
    Completion(Completion),
}

impl Command {
    /// The configuration file, where one was named.
    pub fn config(&self) -> Option<&PathBuf> {
        match self {
            Command::Init(options) => options.config.as_ref(),
            Command::Test(options) => options.config.as_ref(),
            Command::Backup(options) => options.config.as_ref(),
            Command::Daemon(options) => options.config.as_ref(),
            Command::Status(options) => options.config.as_ref(),
            Command::Restore(options) => options.config.as_ref(),
            Command::List(options) => options.config.as_ref(),
            Command::Verify(options) => options.config.as_ref(),
            Command::Diff(options) => options.config.as_ref(),
            Command::Cat(options) => options.config.as_ref(),
            Command::Prune(options) => options.config.as_ref(),
            Command::Pin(options) => options.config.as_ref(),
            Command::Unpin(options) => options.config.as_ref(),
            Command::Completion(options) => options.config.as_ref(),
        }
    }

    /// True for more on stderr.
    pub fn verbose(&self) -> bool {
        match self {
            Command::Init(options) => options.verbose,
            Command::Test(options) => options.verbose,
            Command::Backup(options) => options.verbose,
            Command::Daemon(options) => options.verbose,
            Command::Status(options) => options.verbose,
            Command::Restore(options) => options.verbose,
            Command::List(options) => options.verbose,
            Command::Verify(options) => options.verbose,
            Command::Diff(options) => options.verbose,
            Command::Cat(options) => options.verbose,
            Command::Prune(options) => options.verbose,
            Command::Pin(options) => options.verbose,
            Command::Unpin(options) => options.verbose,
            Command::Completion(options) => options.verbose,
        }
    }

    /// True for JSON on stdout.
    pub fn json(&self) -> bool {
        match self {
            Command::Init(_) => false,
            Command::Test(options) => options.json,
            Command::Backup(options) => options.json,
            Command::Daemon(options) => options.json,
            Command::Status(options) => options.json,
            Command::Restore(options) => options.json,
            Command::List(options) => options.json,
            Command::Verify(options) => options.json,
            Command::Diff(options) => options.json,
            Command::Cat(_) | Command::Completion(_) => false,
            Command::Prune(options) => options.json,
            Command::Pin(options) => options.json,
            Command::Unpin(options) => options.json,
        }
    }

    /// True where the exit status is to be that of a monitoring plugin.
    pub fn nagios(&self) -> bool {
        matches!(self, Command::Status(options) if options.nagios)
    }
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
    if words.is_empty() {
        return Err(nothing());
    }
    let words = help_last(common_last(separated(words)));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match Arguments::from_args(&["backupkit"], &words) {
        Ok(arguments) => Ok(Asked::For(Box::new(arguments.command))),
        Err(early) if early.status.is_ok() => Ok(Asked::Text(help::wrapped(&early.output))),
        Err(early) => Err(unknown::explain(early.output.trim(), &words)),
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

/// `backupkit help diff` as `backupkit diff --help`.
fn help_last(words: Vec<String>) -> Vec<String> {
    match words.as_slice() {
        [help, .., command] if help == "help" => vec![command.clone(), "--help".to_string()],
        _ => words,
    }
}

/// The short help, for someone who typed the program's name to see what it is.
fn nothing() -> Error {
    let mut text = String::from("no command is given\n\nusage: backupkit COMMAND [options]\n\n");
    for command in Arguments::get_args_info().commands {
        let about = command.command.description;
        let short = about
            .split_once([',', ':', '.'])
            .map_or(about, |(short, _)| short);
        text.push_str(&format!("  {:<12}{short}\n", command.name));
    }
    Error::usage(text).hint("backupkit --help says more, backupkit COMMAND --help says everything")
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
    fn help_is_everywhere() {
        for line in [
            "--help",
            "-h",
            "init --help",
            "test --help",
            "status --help",
            "backup --help",
            "daemon --help",
            "restore -h",
            "list --help",
            "verify --help",
            "diff --help",
            "cat --help",
            "prune --help",
            "pin --help",
            "unpin --help",
            "completion --help",
            "help",
            "help diff",
            "-c x help restore",
        ] {
            assert!(matches!(parsed(line), Ok(Asked::Text(_))), "{line}");
        }
    }
}
