//! What each command accepts; no behaviour.

#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the comments of arguments are their help"
)]

mod arguments;
mod backup;
mod cat;
mod completion;
mod daemon;
mod diff;
mod help;
mod init;
mod list;
mod other_tools;
mod pin;
mod prune;
mod restore;
mod status;
mod status_reader;
mod test;
mod unknown;
mod values;
mod verify;
mod wal_fetch;
mod wal_push;

pub use arguments::{Arguments, Command};
pub use backup::BackupArgs;
pub use cat::CatArgs;
pub use completion::{CompletionArgs, CompletionSubject};
pub use daemon::DaemonArgs;
pub use diff::DiffArgs;
pub use init::InitArgs;
pub use list::ListArgs;
pub use pin::{PinArgs, UnpinArgs};
pub use prune::PruneArgs;
pub use restore::RestoreArgs;
pub use status::StatusArgs;
pub use status_reader::StatusReader;
pub use test::TestArgs;
pub use verify::VerifyArgs;
pub use wal_fetch::WalFetchArgs;
pub use wal_push::WalPushArgs;

use crate::error::{Error, Kind, Result};
use argh::{ArgsInfo, FromArgs};

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
    let words = help_last(common_last(same_words(separated(words))));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match Arguments::from_args(&["backupkit"], &words) {
        Ok(arguments) => {
            let command = arguments.command;
            command.check()?;
            Ok(Asked::For(Box::new(command)))
        }
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

/// `--name`, which fits clusters as well, for the older word for the same.
fn same_words(mut words: Vec<String>) -> Vec<String> {
    let options = words.iter_mut().take_while(|word| *word != "--");
    for word in options.filter(|word| *word == "--name") {
        *word = "--db".to_string();
    }
    words
}

/// `backupkit -c FILE list` as `backupkit list -c FILE`: every command has the common options.
fn common_last(mut words: Vec<String>) -> Vec<String> {
    let mut leading = 0;
    while let Some(word) = words.get(leading) {
        match word.as_str() {
            "-c" | "--config" if leading + 1 < words.len() => leading += 2,
            "--verbose" | "--quiet" | "--json" => leading += 1,
            _ => break,
        }
    }
    let common: Vec<String> = words.drain(..leading).collect();
    if !words.is_empty() {
        words.splice(1..1, common);
    }
    words
}

/// `backupkit help diff` as `backupkit diff --help`, without what every command has and help does not need.
fn help_last(words: Vec<String>) -> Vec<String> {
    let first = words.first().map(String::as_str);
    if !matches!(first, Some("help" | "--help" | "-h")) {
        return words;
    }
    let mut command = None;
    let mut rest = words.into_iter().skip(1);
    while let Some(word) = rest.next() {
        match word.as_str() {
            "-c" | "--config" => drop(rest.next()),
            "--verbose" | "--quiet" | "--json" => {}
            _ => command = Some(word),
        }
    }
    command.into_iter().chain(["--help".to_string()]).collect()
}

/// The short help, for someone who typed the program's name to see what it is.
fn nothing() -> Error {
    let mut text = String::from("no command is given\n  usage: backupkit COMMAND [options]\n");
    for command in Arguments::get_args_info().commands {
        let about = command.command.description;
        let short = about
            .split_once([',', ':', '.'])
            .map_or(about, |(short, _)| short);
        text.push_str(&format!("  {:<12}{short}\n", command.name));
    }
    Error::in_lines(Kind::Usage, text.trim_end())
        .hint("backupkit --help says more, backupkit COMMAND --help says everything")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

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
            "--help -c x",
            "-c x --help",
            "help -c x.yaml",
            "help -c x.yaml --verbose diff",
        ] {
            assert!(matches!(parsed(line), Ok(Asked::Text(_))), "{line}");
        }
    }
}
