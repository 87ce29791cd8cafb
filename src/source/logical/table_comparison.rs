//! Two lists of tables compared. Pure.
//!
//! Rows are sets: the same rows in another order are the same, because their digest is.

use crate::repository::evidence::Fault;
use crate::repository::manifest::{Contents, Detail, Table, TableName};
use std::collections::BTreeMap;
use std::fmt;

/// What became of a table between two lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is only in the second.
    Appeared,
    /// It is only in the first.
    Vanished,
    /// It has more rows.
    Grew,
    /// It has fewer.
    Shrank,
    /// As many rows, but not the same.
    Changed,
}

impl Change {
    /// `appeared`, `vanished`, `grew`, `shrank` or `changed`.
    pub fn name(self) -> &'static str {
        match self {
            Change::Appeared => "appeared",
            Change::Vanished => "vanished",
            Change::Grew => "grew",
            Change::Shrank => "shrank",
            Change::Changed => "changed",
        }
    }
}

/// A table that differs between two lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference<'a> {
    /// Its name.
    pub table: TableName,
    /// What became of it.
    pub change: Change,
    /// As the first list has it.
    pub before: Option<&'a Table>,
    /// As the second one has it.
    pub after: Option<&'a Table>,
}

/// One table as both lists have it, either of which may not.
type Pair<'a> = (Option<&'a Table>, Option<&'a Table>);

/// The tables of both lists by name. pg_dump may name one twice: then the first is compared with the first.
fn pairs<'a>(before: &'a [Table], after: &'a [Table]) -> BTreeMap<(TableName, usize), Pair<'a>> {
    let mut pairs: BTreeMap<(TableName, usize), Pair> = BTreeMap::new();
    for (tables, second) in [(before, false), (after, true)] {
        let mut seen: BTreeMap<TableName, usize> = BTreeMap::new();
        for table in tables {
            let times = seen.entry(table.full_name()).or_default();
            let pair = pairs.entry((table.full_name(), *times)).or_default();
            match second {
                false => pair.0 = Some(table),
                true => pair.1 = Some(table),
            }
            *times += 1;
        }
    }
    pairs
}

/// The tables that differ, by name.
pub fn differences<'a>(before: &'a [Table], after: &'a [Table]) -> Vec<Difference<'a>> {
    let change = |pair: Pair| match pair {
        (None, None) => None,
        (None, Some(_)) => Some(Change::Appeared),
        (Some(_), None) => Some(Change::Vanished),
        (Some(before), Some(after)) if after.rows > before.rows => Some(Change::Grew),
        (Some(before), Some(after)) if after.rows < before.rows => Some(Change::Shrank),
        (Some(before), Some(after)) => {
            let rows = |table: &Table| (table.bytes, table.digest.clone(), table.columns.clone());
            (rows(before) != rows(after)).then_some(Change::Changed)
        }
    };
    let pairs = pairs(before, after).into_iter();
    pairs
        .filter_map(|((table, _), (before, after))| {
            Some(Difference {
                table,
                change: change((before, after))?,
                before,
                after,
            })
        })
        .collect()
}

/// How many objects of a kind there are in two backups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// pg_dump's word for the kind.
    pub kind: String,
    /// In the first.
    pub before: u64,
    /// In the second.
    pub after: u64,
}

/// The kinds of objects with different numbers, by name; nothing where one of the two does not know them.
pub fn objects(before: Option<&Contents>, after: Option<&Contents>) -> Vec<Counts> {
    let (Some(before), Some(after)) = (before, after) else {
        return Vec::new();
    };
    let count = |contents: &Contents, kind: &str| contents.objects.get(kind).copied().unwrap_or(0);
    let kinds = keys(&before.objects, &after.objects).into_iter();
    let counts = kinds.map(|kind| Counts {
        kind: kind.clone(),
        before: count(before, kind),
        after: count(after, kind),
    });
    counts.filter(|found| found.before != found.after).collect()
}

/// A table with fewer rows has not lost much with them: a queue that is empty now, or a lock that was let go, is no loss.
const MANY: u64 = 10;

/// A table of some rows that lost more than half of them, or went away with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shrunk {
    /// Its name.
    pub table: TableName,
    /// The rows it had.
    pub before: u64,
    /// The rows that are left; `None` where the table is gone.
    pub after: Option<u64>,
}

impl fmt::Display for Shrunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shrunk { table, before, .. } = self;
        match self.after {
            Some(after) => write!(
                f,
                "{table} has {after} rows, the backup before has {before}"
            ),
            None => write!(
                f,
                "{table} is gone, the backup before has {before} rows of it"
            ),
        }
    }
}

/// The tables that lost more than half of their rows between two backups, by name.
pub fn shrunk(previous: &[Table], current: &[Table]) -> Vec<Shrunk> {
    let lost_most = |(key, pair): (_, Pair)| {
        let (table, _): (TableName, usize) = key;
        let (before, after) = (pair.0?.rows, pair.1.map(|table| table.rows));
        let left = after.unwrap_or(0);
        let counts = before >= MANY || after.is_none();
        (counts && left < before - left.min(before)).then_some(Shrunk {
            table,
            before,
            after,
        })
    };
    pairs(previous, current)
        .into_iter()
        .filter_map(lost_most)
        .collect()
}

/// What is wrong with a dump that holds `found`, where the manifest says `expected`. What the manifest does not say is
/// not compared.
pub fn faults(expected: &Detail, found: &Detail) -> Vec<Fault> {
    let tables = pairs(&expected.tables, &found.tables).into_iter();
    let mut faults: Vec<Fault> = tables
        .filter_map(|((table, _), pair)| Some(Fault::of(&table, table_fault(pair)?)))
        .collect();
    if let (Some(expected), Some(found)) = (&expected.contents, &found.contents) {
        faults.extend(contents_faults(expected, found));
    }
    faults
}

fn table_fault(pair: Pair) -> Option<String> {
    match pair {
        (None, None) => None,
        (Some(table), None) => Some(format!("is missing, with {} rows", table.rows)),
        (None, Some(table)) => Some(format!(
            "is there with {} rows, and the manifest does not name it",
            table.rows
        )),
        (Some(expected), Some(found)) if found.rows != expected.rows => Some(format!(
            "holds {} rows instead of {}",
            found.rows, expected.rows
        )),
        (Some(expected), Some(found)) => {
            let columns = expected.columns.as_ref().zip(found.columns.as_ref());
            let rows = |table: &Table| (table.bytes, table.digest.to_ascii_lowercase());
            match columns {
                Some((expected, found)) if expected != found => {
                    Some(format!("has the columns ({found}) instead of ({expected})"))
                }
                _ if rows(expected) != rows(found) => Some(format!(
                    "holds other data: {} rows as it should, but not the same",
                    found.rows
                )),
                _ => None,
            }
        }
    }
}

fn contents_faults(expected: &Contents, found: &Contents) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut note = |fault: String| faults.push(Fault::new(fault));
    match (&expected.large_objects, &found.large_objects) {
        (Some(expected), Some(found)) if found.count != expected.count => note(format!(
            "there are {} large objects instead of {}",
            found.count, expected.count
        )),
        (Some(expected), Some(found)) if found != expected => {
            note("the large objects hold other data".into());
        }
        _ => {}
    }
    for kind in keys(&expected.objects, &found.objects) {
        let count = |objects: &BTreeMap<String, u64>| objects.get(kind).copied().unwrap_or(0);
        let (expected, found) = (count(&expected.objects), count(&found.objects));
        if expected != found {
            note(format!(
                "there are {found} objects of kind {kind} instead of {expected}"
            ));
        }
    }
    if expected.extensions != found.extensions {
        note(format!(
            "the extensions are {} instead of {}",
            list(&found.extensions),
            list(&expected.extensions)
        ));
    }
    if expected.roles != found.roles {
        note(format!(
            "the roles are {} instead of {}",
            list(&found.roles),
            list(&expected.roles)
        ));
    }
    for table in &expected.uncounted {
        if !found.uncounted.contains(table) {
            faults.push(Fault::of(table, "is missing"));
        }
    }
    faults
}

fn keys<'a>(one: &'a BTreeMap<String, u64>, other: &'a BTreeMap<String, u64>) -> Vec<&'a String> {
    let mut keys: Vec<&String> = one.keys().chain(other.keys()).collect();
    keys.sort();
    keys.dedup();
    keys
}

fn list<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
    match names.is_empty() {
        true => "none".into(),
        false => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, rows: u64, digest: &str) -> Table {
        Table {
            schema: "public".into(),
            name: name.into(),
            rows,
            bytes: rows.wrapping_mul(10),
            digest: digest.into(),
            columns: Some("id, note".into()),
            root: None,
        }
    }

    fn detail(tables: Vec<Table>) -> Detail {
        Detail {
            tables,
            contents: None,
        }
    }

    #[test]
    fn each_kind_of_difference_is_told_and_equal_tables_are_not() {
        let before = [
            table("changed", 3, "aa"),
            table("grew", 3, "aa"),
            table("same", 3, "aa"),
            table("shrank", 3, "aa"),
            table("vanished", 3, "aa"),
        ];
        let after = [
            table("same", 3, "aa"),
            table("appeared", 3, "aa"),
            table("changed", 3, "bb"),
            table("grew", 4, "bb"),
            table("shrank", 2, "bb"),
        ];
        let differences = differences(&before, &after);
        let shown: Vec<_> = differences
            .iter()
            .map(|found| (found.table.name.as_str(), found.change))
            .collect();
        assert_eq!(
            shown,
            [
                ("appeared", Change::Appeared),
                ("changed", Change::Changed),
                ("grew", Change::Grew),
                ("shrank", Change::Shrank),
                ("vanished", Change::Vanished)
            ]
        );
    }

    #[test]
    fn a_table_shrank_only_if_it_lost_more_than_half() {
        let shrunk = |before, after: Option<u64>| {
            let after: Vec<Table> = after
                .map(|rows| table("t", rows, "aa"))
                .into_iter()
                .collect();
            shrunk(&[table("t", before, "aa")], &after).len()
        };
        for (before, after, warned) in [
            (100, Some(49), 1),
            (100, Some(50), 0),
            (101, Some(50), 1),
            (10, Some(0), 1),
            (9, Some(0), 0),
            (1, Some(0), 0),
            (1, None, 1),
            (0, Some(0), 0),
            (2, Some(1), 0),
            (3, Some(300), 0),
            (u64::MAX, Some(u64::MAX), 0),
            (10, None, 1),
            (0, None, 0),
        ] {
            assert_eq!(shrunk(before, after), warned, "{before} {after:?}");
        }
    }

    #[test]
    fn a_lost_row_a_changed_byte_and_a_strange_table_are_named() {
        let expected = detail(vec![
            table("lost", 3, "aa"),
            table("other", 3, "aa"),
            table("gone", 3, "aa"),
            table("fine", 3, "AA"),
        ]);
        let found = detail(vec![
            table("lost", 2, "aa"),
            table("other", 3, "bb"),
            table("new", 3, "aa"),
            table("fine", 3, "aa"),
        ]);
        let told: Vec<String> = faults(&expected, &found)
            .iter()
            .map(Fault::to_string)
            .collect();
        assert_eq!(
            told,
            [
                "public.gone: is missing, with 3 rows",
                "public.lost: holds 2 rows instead of 3",
                "public.new: is there with 3 rows, and the manifest does not name it",
                "public.other: holds other data: 3 rows as it should, but not the same",
            ]
        );
    }

    #[test]
    fn a_table_that_is_named_twice_is_compared_in_its_order() {
        let twice = detail(vec![table("t", 1, "aa"), table("t", 2, "bb")]);
        assert_eq!(faults(&twice, &twice), []);
        let once = detail(vec![table("t", 1, "aa")]);
        assert_eq!(faults(&twice, &once).len(), 1);
    }
}
