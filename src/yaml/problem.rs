//! What is wrong with a file: every problem with line, column, key path and hint, in one error.

use super::document;
use crate::error::{Error, Kind};
use crate::text::escape::printable;

/// One thing wrong.
#[derive(Debug)]
pub(crate) struct ConfigProblem {
    /// The key path, such as `databases[0].backup.schedule`; empty for the file as a whole.
    pub path: String,
    /// The way to it from the root of the tree.
    pub steps: Vec<usize>,
    /// The key itself is wrong, not its value.
    pub on_key: bool,
    /// Said after the path.
    pub what: String,
    pub hint: Option<String>,
}

/// More than this many are counted, not shown.
const MOST_SHOWN: usize = 20;

/// All problems of the file `name` as one usage error, in the order of the file.
pub(crate) fn report(name: &str, text: &str, problems: Vec<ConfigProblem>) -> Error {
    let total = problems.len();
    let mut placed: Vec<_> = problems
        .into_iter()
        .map(|problem| (problem.steps.clone(), problem))
        .collect();
    placed.sort_by(|(a, _), (b, _)| a.cmp(b));
    placed.truncate(MOST_SHOWN);
    let mut lines: Vec<(String, Option<String>)> = placed
        .into_iter()
        .map(|(steps, problem)| {
            let place = match document::locate(text, &steps, problem.on_key) {
                Some((line, column)) => format!("line {line}, column {column}: "),
                None => String::new(),
            };
            let subject = match problem.path.is_empty() {
                true => String::new(),
                false => format!("{} ", problem.path),
            };
            (format!("{place}{subject}{}", problem.what), problem.hint)
        })
        .collect();
    if total == 1
        && let Some((line, hint)) = lines.pop()
    {
        let error = Error::usage(format!("{name}: {line}"));
        return match hint {
            Some(hint) => error.hint(hint),
            None => error,
        };
    }
    let mut message = format!("{name} has {total} problems");
    for (line, hint) in lines {
        message.push_str(&format!("\n  {}", printable(&line)));
        if let Some(hint) = hint {
            message.push_str(&format!("\n    hint: {}", printable(&hint)));
        }
    }
    if total > MOST_SHOWN {
        message.push_str(&format!("\n  and {} more", total - MOST_SHOWN));
    }
    Error::in_lines(Kind::Usage, &message)
}
