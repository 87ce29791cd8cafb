//! What `test` prints: a line for each check, or one document of them.

use crate::logging::is_coloured;
use crate::operation::test::{Check, Outcome};
use serde_json::{Value, json};
use std::io;

/// The line of a check, and one with the fix below it where there is something to mend.
pub fn check_line(check: &Check) -> String {
    let (word, colour) = match check.outcome {
        Outcome::Ok => ("ok  ", "32"),
        Outcome::Warn => ("warn", "33"),
        Outcome::Fail => ("FAIL", "31"),
    };
    let word = match is_coloured(&io::stdout()) {
        true => format!("\x1b[{colour}m{word}\x1b[0m"),
        false => word.to_string(),
    };
    // what other programs say may have several lines
    let what: Vec<&str> = check.what.split_whitespace().collect();
    let mut line = format!("{word}  {}: {}", check.subject, what.join(" "));
    if let Some(fix) = check.fix.as_ref().filter(|_| check.outcome != Outcome::Ok) {
        line.push_str(&format!(
            "\n      fix: {}",
            fix.replace('\n', "\n           ")
        ));
    }
    line
}

/// The document of `test --json`.
pub fn check_json(checks: &[Check]) -> Value {
    let count = |outcome| {
        checks
            .iter()
            .filter(|check| check.outcome == outcome)
            .count()
    };
    json!({
        "ok": count(Outcome::Ok),
        "warnings": count(Outcome::Warn),
        "failed": count(Outcome::Fail),
        "checks": checks.iter().map(one).collect::<Vec<_>>(),
    })
}

fn one(check: &Check) -> Value {
    json!({
        "subject": check.subject,
        "status": match check.outcome {
            Outcome::Ok => "ok",
            Outcome::Warn => "warn",
            Outcome::Fail => "fail",
        },
        "what": check.what,
        "fix": check.fix,
    })
}
