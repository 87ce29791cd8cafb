//! What `test` prints: a line for each check, or one document of them.

use super::stdout::coloured;
use crate::error::Result;
use crate::operation::test::{Finding, FindingLevel};
use crate::text::escape::printable;
use serde_json::{Value, json};

/// Prints the line of a check, and one with the fix below it where there is something to mend.
pub fn print_check(check: &Finding) -> Result<()> {
    let (word, colour) = match check.outcome {
        FindingLevel::Ok => ("ok  ", "32"),
        FindingLevel::Warn => ("warn", "33"),
        FindingLevel::Fail => ("FAIL", "31"),
    };
    // what other programs say may have several lines
    let what: Vec<&str> = check.what.split_whitespace().collect();
    let (subject, what) = (printable(&check.subject), printable(&what.join(" ")));
    let mut rest = format!("  {subject}: {what}");
    if let Some(fix) = check
        .fix
        .as_ref()
        .filter(|_| check.outcome != FindingLevel::Ok)
    {
        let fixes: Vec<String> = fix.lines().map(printable).collect();
        rest.push_str(&format!("\n      fix: {}", fixes.join("\n           ")));
    }
    coloured(colour, word, &rest)
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
