//! What a database holds, told by PostgreSQL alone: by its catalogs, by its rows, and by pg_dump's text.

use crate::support::postgres::Database;
use crate::support::program;
use std::collections::BTreeSet;
use std::fmt::Write;

/// So many differences are told of each side.
const TOLD: usize = 4;

/// One line each: what it is, of what, and how it is, with `|` between them.
#[derive(Default)]
pub struct Facts(BTreeSet<String>);

impl Facts {
    /// What `database` holds now.
    pub fn of(database: &Database<'_>) -> Facts {
        let mut facts = Facts::of_catalogs(database);
        facts
            .0
            .extend(entries(&script_of(database, &["--schema-only"])));
        facts
    }

    /// The same without pg_dump.
    pub fn of_catalogs(database: &Database<'_>) -> Facts {
        Facts::told_by(include_str!("facts.sql"), '\0', database)
    }

    /// What belongs to the database itself.
    pub fn of_the_database(database: &Database<'_>) -> Facts {
        Facts::told_by(include_str!("database.sql"), '\n', database)
    }

    /// What `queries` say, with `separator` between the facts.
    fn told_by(queries: &str, separator: char, database: &Database<'_>) -> Facts {
        let mut command = database.server.client("psql");
        command.env("PGDATABASE", &database.name);
        command.args(["-X", "-q", "-At", "-v", "ON_ERROR_STOP=1"]);
        let output = program::run(command, queries).exits(0);
        let text = output.text();
        Facts(
            text.split(separator)
                .map(str::trim_end)
                .filter(|fact| !fact.is_empty())
                .map(str::to_string)
                .collect(),
        )
    }

    /// How many there are of each kind, but for what pg_dump's text says once more.
    pub fn count(&self) -> String {
        let mut kinds: Vec<(&str, u32)> = Vec::new();
        for fact in &self.0 {
            let kind = fact.split('|').next().unwrap_or_default();
            match kinds.last_mut() {
                _ if kind == "dumped" => {}
                Some((last, number)) if *last == kind => *number += 1,
                _ => kinds.push((kind, 1)),
            }
        }
        let words: Vec<String> = kinds
            .iter()
            .map(|(kind, number)| format!("{number} {kind}"))
            .collect();
        words.join(", ")
    }

    /// Those of which `keep` is true.
    pub fn only(&self, keep: impl Fn(&str) -> bool) -> Facts {
        Facts(self.0.iter().filter(|fact| keep(fact)).cloned().collect())
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// What is lost of `wanted` and what is new, as it is known of `control`, is no difference: PostgreSQL itself does not bring
    /// that back. Rows it always does.
    pub fn differs_from(&self, wanted: &Facts, control: &Facts) -> Option<String> {
        let matters = |fact: &&String, known: bool| !known || is_data(fact);
        let lost = wanted.0.difference(&self.0);
        let lost: Vec<&String> = lost
            .filter(|fact| matters(fact, !control.0.contains(*fact)))
            .collect();
        let new = self.0.difference(&wanted.0);
        let new: Vec<&String> = new
            .filter(|fact| matters(fact, control.0.contains(*fact)))
            .collect();
        if lost.is_empty() && new.is_empty() {
            return None;
        }
        let mut words = format!("{} facts lost, {} new", lost.len(), new.len());
        for (sign, facts) in [('-', lost), ('+', new)] {
            for fact in facts.into_iter().take(TOLD) {
                let short: String = fact.chars().take(600).collect();
                let _ = write!(words, "\n  {sign} {}", short.replace('\n', "\n      "));
            }
        }
        Some(words)
    }
}

/// Rows and what is set with them.
pub fn is_data(fact: &str) -> bool {
    let kinds = ["rows|", "filled|", "sequence|", "object|"];
    kinds.iter().any(|kind| fact.starts_with(kind))
}

/// What the server's own pg_dump writes as text, without the key that differs each time.
pub fn script_of(database: &Database<'_>, options: &[&str]) -> String {
    let mut command = database.server.client("pg_dump");
    command.env("PGDATABASE", &database.name).args(options);
    without_keys(&program::run(command, "").exits(0).text())
}

/// The text of a dump without the key that differs each time.
pub fn without_keys(script: &str) -> String {
    let lines = script
        .lines()
        .filter(|line| !line.starts_with("\\restrict ") && !line.starts_with("\\unrestrict "));
    lines.collect::<Vec<_>>().join("\n")
}

/// Each object of a text in any order, the grants of each as well: both stand in the order of OIDs.
fn entries(script: &str) -> impl Iterator<Item = String> {
    script.split("\n--\n-- Name: ").map(|entry| {
        let mut lines: Vec<&str> = entry
            .lines()
            .filter(|line| !line.is_empty() && *line != "--")
            .collect();
        if lines.first().is_some_and(|name| name.contains("ACL;")) {
            lines.sort_unstable();
        }
        // what the session is when an entry comes depends on its place
        lines.retain(|line| !line.starts_with("SET default_table"));
        format!("dumped|{}", lines.join("\n"))
    })
}
