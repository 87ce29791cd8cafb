//! The commands, options and kinds of value, as the scripts of all shells need them.

use argh::{CommandInfoWithArgs, FlagInfo, FlagInfoKind};

/// The options that may stand before the command, in the words of the commands that have them.
const LEADING: [&str; 5] = ["--config", "--verbose", "--quiet", "--json", "--help"];

/// What `help` in the place of a command does, which is not in the definition.
pub(super) const HELP: &str = "Print the help of a command";

/// The kinds of value that there is something to say about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueKind {
    File,
    Directory,
    Database,
    Backup,
    Shell,
    Level,
    Free,
}

impl ValueKind {
    pub(super) fn named(name: &str) -> ValueKind {
        match name {
            "FILE" => ValueKind::File,
            "DIR" => ValueKind::Directory,
            "NAME" => ValueKind::Database,
            // A and B are those of diff
            "BACKUP" | "EARLIER" | "LATER" => ValueKind::Backup,
            "SHELL" => ValueKind::Shell,
            "LEVEL" => ValueKind::Level,
            _ => ValueKind::Free,
        }
    }

    /// What an option takes, if it takes anything.
    pub(super) fn of(flag: &FlagInfo<'_>) -> Option<ValueKind> {
        match flag.kind {
            FlagInfoKind::Option { arg_name } => Some(ValueKind::named(arg_name)),
            FlagInfoKind::Switch => None,
        }
    }
}

/// An option as it is typed: `--config`, and `-c` where it has a short form.
pub(super) fn spellings(flag: &FlagInfo<'_>) -> Vec<String> {
    let mut spellings = vec![flag.long.to_string()];
    spellings.extend(flag.short.map(|short| format!("-{short}")));
    spellings
}

/// The names of the commands.
pub(super) fn names(program: &CommandInfoWithArgs) -> String {
    let names: Vec<&str> = program.commands.iter().map(|known| known.name).collect();
    names.join(" ")
}

/// The options that are shown.
pub(super) fn flags(
    command: &CommandInfoWithArgs,
) -> impl Iterator<Item = &'static FlagInfo<'static>> {
    command.flags.iter().filter(|flag| !flag.hidden)
}

/// The options that may stand before the command.
pub(super) fn leading_flags(program: &CommandInfoWithArgs) -> Vec<&'static FlagInfo<'static>> {
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
pub(super) fn positional(command: &CommandInfoWithArgs) -> Option<ValueKind> {
    let first = command.positionals.first();
    first.map(|positional| ValueKind::named(positional.name))
}

/// `text` as one word of a shell.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
