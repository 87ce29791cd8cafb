//! Completions for shells, made from the definition that `--help` is made from.
//!
//! What a value is follows from its name in that help: FILE and DIR are looked for on disk, NAME, BACKUP, A and B among the
//! configured databases, SHELL and LEVEL are those that we know; anything else is left to the user.

mod bash;
mod fish;
mod zsh;

use crate::cli::{Arguments, Subject};
use argh::{ArgsInfo, CommandInfoWithArgs, FlagInfo, FlagInfoKind};

/// The options that may stand before the command, in the words of the commands that have them.
const LEADING: [&str; 4] = ["--config", "--verbose", "--json", "--help"];

/// What `help` in the place of a command does, which is not in the definition.
const HELP: &str = "Print the help of a command";

/// The completions of a shell; nothing for what is no shell.
pub fn script(subject: Subject) -> Option<String> {
    let program = Arguments::get_args_info();
    match subject {
        Subject::Bash => Some(bash::script(&program)),
        Subject::Zsh => Some(zsh::script(&program)),
        Subject::Fish => Some(fish::script(&program)),
        Subject::Databases => None,
    }
}

/// The kinds of value that there is something to say about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    File,
    Directory,
    Database,
    Backup,
    Shell,
    Level,
    Free,
}

impl Value {
    fn named(name: &str) -> Value {
        match name {
            "FILE" => Value::File,
            "DIR" => Value::Directory,
            "NAME" => Value::Database,
            // A and B are those of diff
            "BACKUP" | "A" | "B" => Value::Backup,
            "SHELL" => Value::Shell,
            "LEVEL" => Value::Level,
            _ => Value::Free,
        }
    }

    /// What an option takes, if it takes anything.
    fn of(flag: &FlagInfo<'_>) -> Option<Value> {
        match flag.kind {
            FlagInfoKind::Option { arg_name } => Some(Value::named(arg_name)),
            FlagInfoKind::Switch => None,
        }
    }
}

/// An option as it is typed: `--config`, and `-c` where it has a short form.
fn spellings(flag: &FlagInfo<'_>) -> Vec<String> {
    let mut spellings = vec![flag.long.to_string()];
    spellings.extend(flag.short.map(|short| format!("-{short}")));
    spellings
}

/// The names of the commands.
fn names(program: &CommandInfoWithArgs) -> String {
    let names: Vec<&str> = program.commands.iter().map(|known| known.name).collect();
    names.join(" ")
}

/// The options that are shown.
fn flags(command: &CommandInfoWithArgs) -> impl Iterator<Item = &'static FlagInfo<'static>> {
    command.flags.iter().filter(|flag| !flag.hidden)
}

/// The options that may stand before the command.
fn leading_flags(program: &CommandInfoWithArgs) -> Vec<&'static FlagInfo<'static>> {
    let mut found: Vec<&FlagInfo<'_>> = Vec::new();
    for command in &program.commands {
        for flag in flags(&command.command) {
            let known = found.iter().any(|known| known.long == flag.long);
            if LEADING.contains(&flag.long) && !known {
                found.push(flag);
            }
        }
    }
    found
}

/// What the words after a command are, if it takes some: all of one kind.
fn positional(command: &CommandInfoWithArgs) -> Option<Value> {
    let first = command.positionals.first();
    first.map(|positional| Value::named(positional.name))
}

/// `text` as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
