//! What `completion` accepts.

use argh::{ArgsInfo, FromArgs};
use std::path::PathBuf;

/// Print the completions of a shell: bash, zsh or fish.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "completion",
    help_triggers("-h", "--help"),
    note = "They complete commands, options, files and the names of databases, for which they run\nbackupkit completion databases.",
    example = "Try them in this bash:\n  $ source <({command_name} bash)"
)]
pub struct CompletionArgs {
    /// bash, zsh or fish; or databases, for the names of those that are configured
    #[argh(positional, arg_name = "SHELL", from_str_fn(subject))]
    pub subject: CompletionSubject,

    /// the configuration file
    #[argh(option, short = 'c', arg_name = "FILE")]
    pub config: Option<PathBuf>,

    /// say more on stderr
    #[argh(switch)]
    pub verbose: bool,
}

/// What to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompletionSubject {
    /// The completions of bash.
    Bash,
    /// The completions of zsh.
    Zsh,
    /// The completions of fish.
    Fish,
    /// The configured databases, a line each.
    Databases,
}

fn subject(text: &str) -> Result<CompletionSubject, String> {
    match text {
        "bash" => Ok(CompletionSubject::Bash),
        "zsh" => Ok(CompletionSubject::Zsh),
        "fish" => Ok(CompletionSubject::Fish),
        "databases" => Ok(CompletionSubject::Databases),
        _ => Err(format!("{text:?} is none of bash, zsh, fish and databases")),
    }
}
