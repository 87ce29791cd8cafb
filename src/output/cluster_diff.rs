//! What `diff` prints of two backups of a cluster: a row for each database that differs.

use super::look::Look;
use crate::operation::diff::{DatabaseDifference, Side, database_differences};
use crate::source::physical::details::{ClusterDetails, DatabaseFacts};
use crate::text::escape::printable;
use crate::text::human::human_bytes;
use serde_json::{Value, json};

/// The table of `diff`, and below it how many databases are the same.
pub fn cluster_diff_text(
    before: &Side<ClusterDetails>,
    after: &Side<ClusterDetails>,
    look: Look,
) -> String {
    let differences = database_differences(&before.detail, &after.detail);
    let mut text = String::new();
    if !differences.is_empty() {
        let header = ["DATABASE", "CHANGE", "SIZE", "NOW"];
        let mut rows = vec![header.map(String::from)];
        rows.extend(differences.iter().map(row));
        text = format!("{}\n", look.table(&rows));
    }
    let changed = match differences.len() {
        0 => "no database differs".to_string(),
        1 => "1 database differs".to_string(),
        count => format!("{count} databases differ"),
    };
    text.push_str(&format!(
        "{changed}; {} the same\n",
        same(after, &differences)
    ));
    text
}

/// The document of `diff --json`.
pub fn cluster_diff_json(before: &Side<ClusterDetails>, after: &Side<ClusterDetails>) -> Value {
    let differences = database_differences(&before.detail, &after.detail);
    let side = |database: Option<&DatabaseFacts>| {
        database.map(|database| json!({ "name": database.name, "bytes": database.bytes }))
    };
    let databases: Vec<Value> = differences
        .iter()
        .map(|found| {
            json!({
                "oid": found.after.or(found.before).map(|one| one.oid),
                "name": name(found),
                "change": found.change.name(),
                "before": side(found.before),
                "after": side(found.after),
            })
        })
        .collect();
    json!({
        "before": before.id.to_string(),
        "after": after.id.to_string(),
        "databases": databases,
        "same": same(after, &differences),
    })
}

fn name<'a>(found: &'a DatabaseDifference) -> &'a str {
    let known = found.after.or(found.before);
    known.map_or("", |database| &database.name)
}

fn same(after: &Side<ClusterDetails>, differences: &[DatabaseDifference]) -> usize {
    let there = differences.iter().filter(|found| found.after.is_some());
    after.detail.databases.len().saturating_sub(there.count())
}

fn row(found: &DatabaseDifference) -> [String; 4] {
    let size = |database: Option<&DatabaseFacts>| {
        database.map_or_else(|| "-".to_string(), |database| human_bytes(database.bytes))
    };
    [
        printable(name(found)).to_string(),
        found.change.name().to_string(),
        size(found.before),
        size(found.after),
    ]
}
