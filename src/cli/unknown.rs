//! What is said of a command line that cannot be read: what is wrong, how it is meant to look, and where help is.

use super::arguments::Arguments;
use super::other_tools::{command_meant, key_meant, option_meant};
use crate::error::Error;
use crate::text::nearest::nearest;
use crate::text::shell::word;
use argh::{ArgsInfo, CommandInfoWithArgs, Optionality};

/// What is missing stands in lines below one of these, as argh says it.
const MISSING: [&str; 2] = [
    "Required positional arguments not provided:",
    "Required options not provided:",
];

/// The error for what argh `said` of `words`.
pub(super) fn explain(said: &str, words: &[&str]) -> Error {
    let program = Arguments::get_args_info();
    let of_line = |word: &&str| {
        let mut commands = program.commands.iter();
        commands.find(|known| known.name == *word)
    };
    match words.iter().find_map(of_line) {
        Some(command) => of_command(said, &command.command),
        None => of_none(said, words, &program),
    }
}

/// A line without a command that there is.
fn of_none(said: &str, words: &[&str], program: &CommandInfoWithArgs) -> Error {
    let help = "see what there is with: backupkit --help";
    let names: Vec<&str> = program.commands.iter().map(|known| known.name).collect();
    let Some(unknown) = said.strip_prefix("Unrecognized argument: ") else {
        let what = match words {
            [] => "no command is given".to_string(),
            words => format!("no command is given, only {}", words.join(" ")),
        };
        return Error::usage(what).hint(format!("usage: backupkit COMMAND [options]; {help}"));
    };
    let unknown = unknown.trim();
    // anywhere but at the end of the line it has been understood
    if matches!(unknown, "-c" | "--config") {
        return Error::usage(format!("{unknown} needs a value")).hint(format!(
            "usage: backupkit {unknown} FILE COMMAND [options]; {help}"
        ));
    }
    let error = match unknown.starts_with('-') {
        true => Error::usage(format!("there is no option {unknown} before a command")),
        false => Error::usage(format!("there is no command {unknown}")),
    };
    error.hint(match command_meant(unknown).or(nearest(unknown, &names)) {
        Some(near) => format!("did you mean {near}? {help}"),
        None => help.to_string(),
    })
}

/// A line with a known command.
fn of_command(said: &str, command: &CommandInfoWithArgs) -> Error {
    let name = command.name;
    let help = format!("see what there is with: backupkit {name} --help");
    if let Some(unknown) = said.strip_prefix("Unrecognized argument: ") {
        let unknown = unknown.trim();
        let options: Vec<&'static str> = command.flags.iter().map(|flag| flag.long).collect();
        let error = Error::usage(match unknown.starts_with('-') {
            true => format!("{name} has no option {unknown}"),
            false => format!("{name} does not take {unknown:?} here"),
        });
        let near = option_meant(unknown, &options).or_else(|| match key_meant(unknown) {
            Some(_) => None,
            None => nearest(unknown, &options),
        });
        return error.hint(match near {
            Some(near) => format!("did you mean {near}? {help}"),
            None if !unknown.starts_with('-') && options.contains(&"--from") => {
                format!("a backup is named by: --from {}; {help}", word(unknown))
            }
            None if unknown == "--from" && !command.positionals.is_empty() => {
                format!(
                    "a backup stands by itself; usage: {}; {help}",
                    usage(command)
                )
            }
            None if !unknown.starts_with('-') && names_databases(command) => {
                format!("a database is named by: --db {}; {help}", word(unknown))
            }
            None if unknown.starts_with('-') => match key_meant(unknown) {
                Some(key) => format!("{key}; {help}"),
                None => help,
            },
            None => format!("usage: {}; {help}", usage(command)),
        });
    }
    let what = missing(said)
        .map(|missing| format!("{name} needs {missing}"))
        .or_else(|| without_value(said))
        .or_else(|| not_understood(said))
        .unwrap_or_else(|| said.to_string());
    Error::usage(what).hint(format!("usage: {}; {help}", usage(command)))
}

/// True for a command that needs nothing and is about the databases that `--db` names.
fn names_databases(command: &CommandInfoWithArgs) -> bool {
    let has_db = command.flags.iter().any(|flag| flag.long == "--db");
    let needs = |flag: &argh::FlagInfo<'_>| flag.optionality == Optionality::Required;
    has_db && command.positionals.is_empty() && !command.flags.iter().any(needs)
}

/// `A and B` of the lines that name what is missing.
fn missing(said: &str) -> Option<String> {
    let is_name = |line: &&str| !line.is_empty() && !MISSING.contains(line);
    let is_about_it = MISSING.iter().any(|beginning| said.starts_with(beginning));
    let names: Vec<&str> = said.lines().map(str::trim).filter(is_name).collect();
    is_about_it.then(|| names.join(" and "))
}

/// An option at the end of the line.
fn without_value(said: &str) -> Option<String> {
    let option = said.strip_prefix("No value provided for option '")?;
    let option = option.trim_end_matches(['.', '\'']);
    Some(format!("{option} needs a value"))
}

/// A value that is not of its kind.
fn not_understood(said: &str) -> Option<String> {
    let (place, rest) = match said.strip_prefix("Error parsing option '") {
        Some(rest) => rest.split_once("' with value '")?,
        None => {
            let rest = said.strip_prefix("Error parsing positional argument '")?;
            ("", rest.split_once("' with value '")?.1)
        }
    };
    // neither the value nor the reason is known not to hold what stands between them
    let (value, why) = rest.split_once("': ")?;
    let quoted = format!("{value:?}");
    Some(match why {
        "duplicate values provided" => format!("{place} is given twice"),
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            format!("{place} {quoted} is not a number")
        }
        why if why.starts_with(&quoted) => format!("{place} {why}").trim_start().to_string(),
        why => format!("{place} {quoted} {why}").trim_start().to_string(),
    })
}

/// `backupkit diff EARLIER LATER [options]`: what the command has to be given.
fn usage(command: &CommandInfoWithArgs) -> String {
    let mut usage = format!("backupkit {}", command.name);
    let flags = command.flags.iter();
    for flag in flags.filter(|flag| flag.optionality == Optionality::Required) {
        let value = match flag.kind {
            argh::FlagInfoKind::Option { arg_name } => arg_name,
            argh::FlagInfoKind::Switch => "",
        };
        usage.push_str(&format!(" {} {value}", flag.long));
    }
    for positional in command.positionals {
        let name = positional.name;
        usage.push_str(&match positional.optionality {
            Optionality::Required => format!(" {name}"),
            Optionality::Optional => format!(" [{name}]"),
            Optionality::Repeating | Optionality::Greedy => format!(" [{name} ...]"),
        });
    }
    usage + " [options]"
}

#[cfg(test)]
mod tests {
    use super::*;
    use argh::FromArgs;

    #[test]
    fn each_slip_says_what_is_wrong_how_it_is_meant_and_where_help_is() {
        for (line, what, hint) in [
            (
                "bakcup",
                "there is no command bakcup",
                "did you mean backup? see what there is with: backupkit --help",
            ),
            (
                "backup --dbs x",
                "backup has no option --dbs",
                "did you mean --db? see what there is with: backupkit backup --help",
            ),
            (
                "prune --dryrun",
                "prune has no option --dryrun",
                "did you mean --dry-run? see what there is with: backupkit prune --help",
            ),
            (
                "list --frobnicate",
                "list has no option --frobnicate",
                "see what there is with: backupkit list --help",
            ),
            (
                "frobnicate",
                "there is no command frobnicate",
                "see what there is with: backupkit --help",
            ),
            (
                "--json",
                "there is no option --json before a command",
                "see what there is with: backupkit --help",
            ),
            (
                "-c",
                "-c needs a value",
                "usage: backupkit -c FILE COMMAND [options]; see what there is with: backupkit --help",
            ),
            (
                "--config",
                "--config needs a value",
                "usage: backupkit --config FILE COMMAND [options]; see what there is with: backupkit --help",
            ),
            (
                "diff",
                "diff needs EARLIER and LATER",
                "usage: backupkit diff EARLIER LATER [options]; see what there is with: backupkit diff --help",
            ),
            (
                "diff x",
                "diff needs LATER",
                "usage: backupkit diff EARLIER LATER [options]; see what there is with: backupkit diff --help",
            ),
            (
                "diff a b c",
                "diff does not take \"c\" here",
                "usage: backupkit diff EARLIER LATER [options]; see what there is with: backupkit diff --help",
            ),
            (
                "prune --keep 3",
                "prune has no option --keep",
                "what is kept stands under retention in the configuration; see what there is with: backupkit prune --help",
            ),
            (
                "backup app",
                "backup does not take \"app\" here",
                "a database is named by: --db app; see what there is with: backupkit backup --help",
            ),
            (
                "snapshots",
                "there is no command snapshots",
                "did you mean list? see what there is with: backupkit --help",
            ),
            (
                "check",
                "there is no command check",
                "did you mean verify, which checks backups, or test, which checks the configuration and what it names? see \
                 what there is with: backupkit --help",
            ),
            (
                "stanza-create --stanza x",
                "there is no command stanza-create",
                "did you mean init? see what there is with: backupkit --help",
            ),
            (
                "backup --database x",
                "backup has no option --database",
                "did you mean --db? see what there is with: backupkit backup --help",
            ),
            (
                "restore --snapshot x",
                "restore has no option --snapshot",
                "did you mean --from? see what there is with: backupkit restore --help",
            ),
            (
                "restore latest",
                "restore does not take \"latest\" here",
                "a backup is named by: --from latest; see what there is with: backupkit restore --help",
            ),
            (
                "cat --from x",
                "cat has no option --from",
                "a backup stands by itself; usage: backupkit cat BACKUP [options]; see what there is with: backupkit cat --help",
            ),
            (
                "prune --keep-daily 7",
                "prune has no option --keep-daily",
                "what is kept stands under retention in the configuration; see what there is with: backupkit prune --help",
            ),
            (
                "restore",
                "restore needs --from",
                "usage: backupkit restore --from BACKUP [options]; see what there is with: backupkit restore --help",
            ),
            (
                "restore --from a --from b",
                "--from is given twice",
                "usage: backupkit restore --from BACKUP [options]; see what there is with: backupkit restore --help",
            ),
            (
                "init --port x",
                "--port \"x\" is not a number",
                "usage: backupkit init [options]; see what there is with: backupkit init --help",
            ),
            (
                "verify --level deep",
                "--level \"deep\" is not one of exists, checksum, full and restore",
                "usage: backupkit verify [BACKUP ...] [options]; see what there is with: backupkit verify --help",
            ),
            (
                "backup --lock-wait soon",
                "--lock-wait \"soon\" does not begin with a number",
                "usage: backupkit backup [options]; see what there is with: backupkit backup --help",
            ),
            (
                "backup --db",
                "--db needs a value",
                "usage: backupkit backup [options]; see what there is with: backupkit backup --help",
            ),
            (
                "completion tcsh",
                "\"tcsh\" is none of bash, zsh, fish and databases",
                "usage: backupkit completion SHELL [options]; see what there is with: backupkit completion --help",
            ),
        ] {
            let words: Vec<&str> = line.split_whitespace().collect();
            let Err(early) = Arguments::from_args(&["backupkit"], &words) else {
                panic!("{line:?} is understood");
            };
            let error = explain(early.output.trim(), &words);
            let shown = (error.to_string(), error.first_hint());
            assert_eq!(shown, (what.to_string(), Some(hint)), "{}", early.output);
        }
    }
}
