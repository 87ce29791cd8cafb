//! What an archive holds, against the dump of the database that it was restored into. Pure.
//!
//! Tables are compared by rows, bytes and digest. Rows that are loaded through the root of a partitioned table may come
//! back in another partition, so they are compared at the root. Inheritance can give a table another order of columns;
//! the rows of such a table have to be read once more in the archive's order ([`Reordered`]).

use crate::repository::evidence::Fault;
use crate::repository::manifest::TableName;
use crate::source::logical::archive::{Digest, Rows, Summary, TableData, column_names};
use std::collections::{BTreeMap, BTreeSet};

/// What came out.
#[derive(Debug, Default)]
pub struct Comparison {
    /// How many tables were compared.
    pub tables: u64,
    /// What is wrong.
    pub faults: Vec<Fault>,
    /// What could not be compared.
    pub notes: Vec<String>,
    /// Tables with as many rows as they should have, and other text in them, where the server that was dumped wrote values in
    /// another form than those of today.
    pub unsure: Vec<TableName>,
    /// What has to be read once more.
    pub reordered: Vec<Reordered>,
    is_of_old_form: bool,
}

/// The first major version that writes floating-point numbers as it does today; older ones write more digits, and those
/// before 9.0 bytea in another way as well.
const ROUNDS_TO_SHORTEST: u32 = 12;

/// A table that came back with its columns in another order.
#[derive(Debug)]
pub struct Reordered {
    /// Its name.
    pub table: TableName,
    /// It stands for all of its partitions.
    pub is_root: bool,
    /// Its columns in the order of the archive.
    pub columns: Vec<String>,
    expected: Total,
}

/// The rows of one table, or of all partitions below a root.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Total {
    rows: u64,
    bytes: u64,
    digest: Digest,
    is_root: bool,
    /// Each different list of columns, in order.
    columns: BTreeSet<Vec<String>>,
}

impl Total {
    fn add(&mut self, data: &TableData) {
        self.rows += data.rows;
        self.bytes += data.bytes;
        self.digest.add(data.digest.0);
        let names = data.columns.as_deref().map(column_names);
        self.columns.insert(names.unwrap_or_default());
    }

    fn holds_the_same(&self, rows: u64, bytes: u64, digest: Digest) -> bool {
        (self.rows, self.bytes, self.digest) == (rows, bytes, digest)
    }

    /// How other rows differ from these.
    fn fault(&self, rows: u64, bytes: u64, digest: Digest) -> Option<String> {
        if rows != self.rows {
            return Some(format!(
                "has {rows} rows after the restore instead of {}",
                self.rows
            ));
        }
        let same = self.holds_the_same(rows, bytes, digest);
        (!same).then(|| {
            format!("has other data after the restore: {rows} rows as it should, but not the same")
        })
    }

    /// The columns whatever their order, where all lists have the same.
    fn one_set(&self) -> Option<BTreeSet<&String>> {
        let mut sets = self
            .columns
            .iter()
            .map(|list| list.iter().collect::<BTreeSet<_>>());
        let first = sets.next()?;
        sets.all(|set| set == first).then_some(first)
    }
}

/// Compares table by table.
pub fn compare(archived: &Summary, restored: &Summary) -> Comparison {
    let roots: BTreeSet<&TableName> = archived
        .tables
        .iter()
        .filter_map(|data| data.root.as_ref())
        .collect();
    let (expected, found) = (totals(archived, &roots), totals(restored, &roots));
    let mut comparison = Comparison {
        tables: expected.len() as u64,
        is_of_old_form: archived.server_major() < Some(ROUNDS_TO_SHORTEST),
        ..Comparison::default()
    };
    for (table, expected) in &expected {
        match found.get(table) {
            None => comparison.faults.push(Fault::of(
                table,
                format!("is missing after the restore, with {} rows", expected.rows),
            )),
            Some(found) => comparison.table(table, expected, found),
        }
    }
    let dumped_without_rows: BTreeSet<&TableName> = archived.uncounted.iter().collect();
    for (table, found) in &found {
        let known = expected.contains_key(table) || dumped_without_rows.contains(table);
        if !known && found.rows > 0 {
            let rows = found.rows;
            comparison.faults.push(Fault::of(
                table,
                format!("has {rows} rows after the restore, and none in the archive"),
            ));
        }
    }
    for table in &archived.uncounted {
        if !restored.table_names.contains(table) && !found.contains_key(table) {
            comparison
                .faults
                .push(Fault::of(table, "is missing after the restore"));
        }
    }
    comparison.large_objects(archived, restored);
    comparison
}

impl Comparison {
    fn table(&mut self, table: &TableName, expected: &Total, found: &Total) {
        let same_order = expected.columns == found.columns;
        if same_order {
            self.rows(table, expected, (found.rows, found.bytes, found.digest));
            return;
        }
        let one_order = match expected.columns.iter().collect::<Vec<_>>()[..] {
            [only] => Some(only),
            _ => None,
        };
        match (expected.one_set(), found.one_set()) {
            (Some(theirs), Some(ours)) if theirs != ours => {
                let list = |set: BTreeSet<&String>| {
                    let names: Vec<&str> = set.into_iter().map(String::as_str).collect();
                    names.join(", ")
                };
                self.faults.push(Fault::of(
                    table,
                    format!(
                        "has the columns {} after the restore instead of {}",
                        list(ours),
                        list(theirs)
                    ),
                ));
            }
            _ => match one_order {
                Some(order) => self.reordered.push(Reordered {
                    table: table.clone(),
                    is_root: expected.is_root,
                    columns: order.clone(),
                    expected: expected.clone(),
                }),
                // partitions with orders of their own and rows that went elsewhere: there is no one order to read them in
                None if expected.rows != found.rows => self.faults.extend(
                    expected
                        .fault(found.rows, found.bytes, found.digest)
                        .map(|what| Fault::of(table, what)),
                ),
                None => self.notes.push(format!(
                    "{table} has the rows it should, but what is in them is not compared: its partitions have their \
                     columns in different orders"
                )),
            },
        }
    }

    fn rows(&mut self, table: &TableName, expected: &Total, found: (u64, u64, Digest)) {
        let (rows, bytes, digest) = found;
        match expected.fault(rows, bytes, digest) {
            Some(_) if self.is_of_old_form && rows == expected.rows => {
                self.unsure.push(table.clone());
            }
            what => self.faults.extend(what.map(|what| Fault::of(table, what))),
        }
    }

    /// Adds what became of a table that was read once more.
    pub fn add(&mut self, reordered: &Reordered, found: &Rows) {
        let found = (found.rows, found.bytes, found.digest);
        self.rows(&reordered.table, &reordered.expected, found);
    }

    /// What of the tables could not be compared for their form, in words.
    pub fn doubt(&self, archived: &Summary) -> Option<String> {
        let what = match &self.unsure[..] {
            [] => return None,
            [only] => format!("what the table {only} holds"),
            several => format!("what {} tables hold", several.len()),
        };
        Some(format!(
            "{what} cannot be compared, but for the number of rows: PostgreSQL {} wrote values such as floating-point \
             numbers in another form",
            archived.server_version
        ))
    }

    fn large_objects(&mut self, archived: &Summary, restored: &Summary) {
        let what = match (&archived.large_objects, &restored.large_objects) {
            (Some(expected), Some(found)) if found.count != expected.count => format!(
                "there are {} large objects after the restore instead of {}",
                found.count, expected.count
            ),
            (Some(expected), Some(found)) if found != expected => {
                "the large objects hold other data after the restore".into()
            }
            _ => return,
        };
        self.faults.push(Fault::new(what));
    }
}

/// The rows of each table, those of partitions at their root where it is one of `roots`.
fn totals(summary: &Summary, roots: &BTreeSet<&TableName>) -> BTreeMap<TableName, Total> {
    let mut totals: BTreeMap<TableName, Total> = BTreeMap::new();
    for data in &summary.tables {
        let root = data.root.as_ref().filter(|root| roots.contains(root));
        let total = totals
            .entry(root.unwrap_or(&data.table).clone())
            .or_default();
        total.is_root |= root.is_some();
        total.add(data);
    }
    totals
}

/// Objects that the archive creates and the restored database lacks, by their kinds, without those that were `left_out`.
/// Only what the same pg_dump counts can be compared.
pub fn missing_objects(
    archived: &Summary,
    restored: &Summary,
    left_out: &BTreeMap<String, u64>,
) -> Vec<Fault> {
    if archived.pg_dump_major() != restored.pg_dump_major() {
        return Vec::new();
    }
    let lacking = archived.objects.iter().filter_map(|(kind, expected)| {
        let found = restored.objects.get(kind).copied().unwrap_or(0);
        let expected = expected - left_out.get(kind).unwrap_or(&0).min(expected);
        // statistics are computed, not restored, and only dumped where that is asked for
        let counts = found < expected && kind != "STATISTICS DATA";
        counts.then(|| {
            Fault::new(format!(
                "there are {found} objects of kind {kind} after the restore instead of {expected}"
            ))
        })
    });
    lacking.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::logical::archive::{DumpCompression, DumpLargeObjects, DumpVersion};

    fn name(name: &str) -> TableName {
        TableName {
            schema: "s".into(),
            name: name.into(),
        }
    }

    fn data(table: &str, columns: &str, rows: u64, digest: u128) -> TableData {
        TableData {
            table: name(table),
            columns: Some(columns.into()),
            root: None,
            rows,
            bytes: rows * 10,
            digest: Digest(digest),
        }
    }

    fn through(root: &str, mut data: TableData) -> TableData {
        data.root = Some(name(root));
        data
    }

    fn summary(tables: Vec<TableData>) -> Summary {
        Summary {
            version: DumpVersion::NEWEST,
            compression: DumpCompression::None,
            created: None,
            database: "d".into(),
            server_version: "18.1".into(),
            pg_dump_version: "18.1".into(),
            encoding: Some("UTF8".into()),
            table_names: tables.iter().map(|data| data.table.clone()).collect(),
            tables,
            uncounted: vec![],
            large_objects: Some(DumpLargeObjects::default()),
            objects: BTreeMap::new(),
            extensions: vec![],
            roles: BTreeSet::new(),
        }
    }

    fn told(archived: Vec<TableData>, restored: Vec<TableData>) -> Vec<String> {
        let compared = compare(&summary(archived), &summary(restored));
        assert!(compared.reordered.is_empty() && compared.notes.is_empty());
        compared.faults.iter().map(Fault::to_string).collect()
    }

    #[test]
    fn what_is_missing_changed_or_from_nowhere_is_named() {
        let archived = vec![
            data("same", "a", 3, 1),
            data("lost", "a", 3, 1),
            data("other", "a", 3, 1),
            data("gone", "a", 3, 1),
            data("columns", "a, b", 3, 1),
        ];
        let restored = vec![
            data("columns", "a, c", 3, 1),
            data("new", "a", 1, 1),
            data("empty", "a", 0, 0),
            data("other", "a", 3, 2),
            data("lost", "a", 2, 1),
            data("same", "a", 3, 1),
        ];
        assert_eq!(
            told(archived, restored),
            [
                "s.columns: has the columns a, c after the restore instead of a, b",
                "s.gone: is missing after the restore, with 3 rows",
                "s.lost: has 2 rows after the restore instead of 3",
                "s.other: has other data after the restore: 3 rows as it should, but not the same",
                "s.new: has 1 rows after the restore, and none in the archive",
            ]
        );
    }

    #[test]
    fn rows_that_moved_between_partitions_are_the_same_at_their_root() {
        let archived = vec![
            through("r", data("p1", "a", 3, 10)),
            through("r", data("p2", "a", 1, 5)),
            data("q1", "a", 1, 7),
        ];
        let restored = |digest| {
            vec![
                through("r", data("p1", "a", 2, digest)),
                through("r", data("p2", "a", 2, 8)),
                // another root is named only because all are
                through("q", data("q1", "a", 1, 7)),
            ]
        };
        assert_eq!(told(archived.clone(), restored(7)), [""; 0]);
        assert_eq!(told(archived, restored(6)).len(), 1);
    }

    #[test]
    fn another_order_of_columns_is_neither_a_fault_nor_good_by_its_rows_alone() {
        let archived = summary(vec![data("t", "a, \"b, c\", d", 3, 1)]);
        let restored = summary(vec![data("t", "a, d, \"b, c\"", 3, 2)]);
        let mut compared = compare(&archived, &restored);
        assert!(compared.faults.is_empty());
        let again = compared.reordered.remove(0);
        assert_eq!(again.columns, ["a", "b, c", "d"]);
        let mut rows = Rows::default();
        rows.feed(b"1\t2\t3\n4\t5\t6\n7\t8\t9\n").unwrap();
        compared.add(&again, &rows);
        assert!(compared.faults[0].to_string().contains("not the same"));
    }

    #[test]
    fn other_text_of_an_old_server_is_no_fault_and_another_number_of_rows_is() {
        let archived = |version: &str| Summary {
            server_version: version.into(),
            ..summary(vec![data("t", "a", 3, 1), data("u", "a", 3, 1)])
        };
        let restored = summary(vec![data("t", "a", 3, 2), data("u", "a", 2, 1)]);
        let compared = compare(&archived("9.6.24"), &restored);
        assert_eq!((compared.unsure.len(), compared.faults.len()), (1, 1));
        let doubt = compared.doubt(&archived("9.6.24"));
        assert!(doubt.is_some_and(|doubt| doubt.contains("s.t holds")));
        let compared = compare(&archived("12.1"), &restored);
        assert_eq!((compared.unsure.len(), compared.faults.len()), (0, 2));
    }

    #[test]
    fn lost_objects_and_large_objects_are_told_by_their_kind() {
        let archived = {
            let mut archived = summary(vec![]);
            archived.objects = BTreeMap::from([("INDEX".into(), 2), ("STATISTICS DATA".into(), 9)]);
            archived.large_objects = Some(DumpLargeObjects {
                count: 1,
                ..DumpLargeObjects::default()
            });
            archived
        };
        let mut restored = summary(vec![]);
        restored.objects = BTreeMap::from([("INDEX".into(), 1), ("VIEW".into(), 1)]);
        let lacking = missing_objects(&archived, &restored, &BTreeMap::new());
        assert_eq!(
            lacking.iter().map(Fault::to_string).collect::<Vec<_>>(),
            ["there are 1 objects of kind INDEX after the restore instead of 2"]
        );
        assert_eq!(compare(&archived, &restored).faults.len(), 1);
        restored.pg_dump_version = "17.2".into();
        assert!(missing_objects(&archived, &restored, &BTreeMap::new()).is_empty());
    }
}
