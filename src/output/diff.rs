//! What `diff` prints of two dumps: a row for each table that differs, and which kinds of objects have become more or fewer.

use super::look::Look;
use crate::operation::diff::Side;
use crate::repository::manifest::{Detail, Table};
use crate::source::logical::table_comparison::{Change, Difference, differences, objects};
use crate::text::escape::printable_list;
use crate::text::human::human_bytes;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The table of `diff`, and below it how many there are of each kind.
pub fn diff_text(before: &Side<Detail>, after: &Side<Detail>, look: Look) -> String {
    let differences = differences(&before.detail.tables, &after.detail.tables);
    let mut text = String::new();
    if !differences.is_empty() {
        let header = ["TABLE", "CHANGE", "ROWS", "NOW", "SIZE", "NOW"];
        let mut rows = vec![header.map(String::from)];
        rows.extend(differences.iter().map(row));
        text = format!("{}\n", look.table(&rows));
    }
    let same = same(after, &differences);
    let kinds = [
        Change::Appeared,
        Change::Vanished,
        Change::Grew,
        Change::Shrank,
        Change::Changed,
    ];
    let counts = kinds.iter().map(|kind| {
        let count = differences
            .iter()
            .filter(|found| found.change == *kind)
            .count();
        format!("{count} {}", kind.name())
    });
    let counts: Vec<String> = counts.filter(|count| !count.starts_with("0 ")).collect();
    let counts = match counts.is_empty() {
        true => "no table differs".to_string(),
        false => counts.join(", "),
    };
    text.push_str(&format!("{counts}; {same} the same\n"));
    let others = objects(
        before.detail.contents.as_ref(),
        after.detail.contents.as_ref(),
    );
    let others: Vec<String> = others
        .iter()
        .map(|found| format!("{} {} instead of {}", found.after, found.kind, found.before))
        .collect();
    if !others.is_empty() {
        text.push_str(&format!("objects: {}\n", printable_list(&others)));
    }
    text
}

fn same(after: &Side<Detail>, differences: &[Difference]) -> usize {
    let there = differences.iter().filter(|found| found.after.is_some());
    after.detail.tables.len().saturating_sub(there.count())
}

fn row(found: &Difference) -> [String; 6] {
    let unknown = || "-".to_string();
    let rows = |table: Option<&Table>| table.map_or_else(unknown, |table| table.rows.to_string());
    let size = |table: Option<&Table>| table.map_or_else(unknown, |table| human_bytes(table.bytes));
    [
        found.table.to_string(),
        found.change.name().to_string(),
        rows(found.before),
        rows(found.after),
        size(found.before),
        size(found.after),
    ]
}

/// The document of `diff --json`.
pub fn diff_json(before: &Side<Detail>, after: &Side<Detail>) -> Value {
    let differences = differences(&before.detail.tables, &after.detail.tables);
    let tables: Vec<Value> = differences.iter().map(difference_json).collect();
    let others = objects(
        before.detail.contents.as_ref(),
        after.detail.contents.as_ref(),
    );
    let others: BTreeMap<&str, Value> = others
        .iter()
        .map(|found| {
            let counts = json!({"before": found.before, "after": found.after});
            (found.kind.as_str(), counts)
        })
        .collect();
    json!({
        "before": before.id.to_string(),
        "after": after.id.to_string(),
        "tables": tables,
        "same": same(after, &differences),
        "objects": others,
    })
}

fn difference_json(found: &Difference) -> Value {
    let side = |table: Option<&Table>| {
        table.map(|table| {
            json!({
                "rows": table.rows,
                "bytes": table.bytes,
                "digest": table.digest,
                "columns": table.columns,
            })
        })
    };
    json!({
        "schema": found.table.schema,
        "name": found.table.name,
        "change": found.change.name(),
        "before": side(found.before),
        "after": side(found.after),
    })
}
