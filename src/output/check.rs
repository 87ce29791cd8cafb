//! What `test` prints: a line for each check, or one document of them.

use crate::logging::is_coloured;
use crate::operation::test::{Finding, FindingLevel};
use serde_json::{Value, json};
use std::io;

/// The line of a check, and one with the fix below it where there is something to mend.
pub fn check_line(check: &Finding) -> String {
    let (word, colour) = match check.outcome {
        FindingLevel::Ok => ("ok  ", "32"),
        FindingLevel::Warn => ("warn", "33"),
        FindingLevel::Fail => ("FAIL", "31"),
    };
    let word = match is_coloured(&io::stdout()) {
        true => format!("\x1b[{colour}m{word}\x1b[0m"),
        false => word.to_string(),
    };
    // what other programs say may have several lines
    let what: Vec<&str> = check.what.split_whitespace().collect();
    let mut line = format!("{word}  {}: {}", check.subject, what.join(" "));
    if let Some(fix) = check
        .fix
        .as_ref()
        .filter(|_| check.outcome != FindingLevel::Ok)
    {
        line.push_str(&format!(
            "\n      fix: {}",
            fix.replace('\n', "\n           ")
        ));
    }
    line
}

/// The document of `test --json`.
pub fn check_json(checks: &[Finding]) -> Value {
    let count = |outcome| {
        checks
            .iter()
            .filter(|check| check.outcome == outcome)
            .count()
    };
    json!({
        "ok": count(FindingLevel::Ok),
        "warnings": count(FindingLevel::Warn),
        "failed": count(FindingLevel::Fail),
        "checks": checks.iter().map(one).collect::<Vec<_>>(),
    })
}

fn one(check: &Finding) -> Value {
    json!({
        "subject": check.subject,
        "status": match check.outcome {
            FindingLevel::Ok => "ok",
            FindingLevel::Warn => "warn",
            FindingLevel::Fail => "fail",
        },
        "what": check.what,
        "fix": check.fix,
    })
}
