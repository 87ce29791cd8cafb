//! What is said of words that no command and no option is called.

use super::Arguments;
use crate::config::nearest;
use crate::error::Error;
use argh::FromArgs;

/// The error for what argh `said` of `words`: with the nearest command or option, and where help is.
pub(super) fn explain(said: &str, words: &[&str]) -> Error {
    let commands = commands();
    let command = words
        .iter()
        .find(|word| commands.iter().any(|known| known == *word));
    let known = match command {
        Some(command) => options(command),
        None => commands.clone(),
    };
    let error = Error::usage(said.to_string());
    let help = match command {
        Some(command) => format!("see what there is with: backupkit {command} --help"),
        None => "see what there is with: backupkit --help".to_string(),
    };
    let unknown = said.strip_prefix("Unrecognized argument: ");
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    match unknown.and_then(|unknown| nearest(unknown.trim(), &known)) {
        Some(near) => error.hint(format!("did you mean {near}? {help}")),
        None => error.hint(help),
    }
}

/// The names of all commands, as the help lists them.
fn commands() -> Vec<String> {
    let help = help(&["--help"]);
    let listed = help.split_once("Commands:\n").map_or("", |(_, rest)| rest);
    let listed = listed.lines().take_while(|line| !line.is_empty());
    first_words(listed).collect()
}

/// The long options of `command`.
fn options(command: &str) -> Vec<String> {
    let help = help(&[command, "--help"]);
    let words =
        help.split(|letter: char| letter.is_whitespace() || matches!(letter, ',' | '[' | ']'));
    let options = words.filter(|word| word.starts_with("--"));
    options.map(str::to_string).collect()
}

fn help(words: &[&str]) -> String {
    match Arguments::from_args(&["backupkit"], words) {
        Err(early) => early.output,
        Ok(_) => String::new(),
    }
}

fn first_words<'a>(lines: impl Iterator<Item = &'a str>) -> impl Iterator<Item = String> {
    // a line that goes on with the text of the one before is indented further
    let lines = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    lines.filter_map(|line| line.split_whitespace().next().map(str::to_string))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_what_was_meant_and_the_help_of_its_command() {
        for (words, hint) in [
            (
                &["bakcup"][..],
                "did you mean backup? see what there is with: backupkit --help",
            ),
            (
                &["backup", "--dbs", "x"],
                "did you mean --db? see what there is with: backupkit backup --help",
            ),
            (
                &["prune", "--dryrun"],
                "did you mean --dry-run? see what there is with: backupkit prune --help",
            ),
            (
                &["list", "--frobnicate"],
                "see what there is with: backupkit list --help",
            ),
            (&["frobnicate"], "see what there is with: backupkit --help"),
        ] {
            let Err(early) = Arguments::from_args(&["backupkit"], words) else {
                panic!("{words:?} is understood");
            };
            let error = explain(early.output.trim(), words);
            assert_eq!(
                error.first_hint(),
                Some(hint),
                "{words:?}: {}",
                early.output
            );
        }
    }
}
