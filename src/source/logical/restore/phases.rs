//! The runs of pg_restore that a restore over several connections is made of, one after the other.
//!
//! pg_restore has what depends on each other wait, as far as the archive says so, and there are four things that it does
//! not know. The tables of an extension come with their foreign keys, so their rows have to come in the order of the archive.
//! A foreign key of a table with partitions would be made before their rows are there, each of which it then checks.
//! To attach the index of a partition locks the tables of both, so that several of them can wait for each other for ever.
//! An event trigger fires at whatever else is under way. Each of these is a run of its own.

use crate::source::logical::archive::TocEntry;
use crate::source::logical::set_aside;
use std::collections::BTreeSet;

/// One run of pg_restore.
#[derive(Debug, PartialEq, Eq)]
pub struct Phase {
    /// The entries, in the order of the archive.
    pub ids: Vec<i64>,
    /// One after the other, over one connection.
    pub one_by_one: bool,
}

/// The runs that restore what `chosen` accepts of `all` entries of an archive.
pub fn phases(all: &[TocEntry], chosen: &dyn Fn(i64) -> bool) -> Vec<Phase> {
    let entries: Vec<&TocEntry> = all.iter().filter(|entry| chosen(entry.id)).collect();
    let rows = rows_of_extensions(all, &entries);
    let attached = ids_where(&entries, |entry| entry.kind == "INDEX ATTACH");
    let keys = keys_without_rows(&entries);
    let late = &(&needing(&entries, &attached) | &needing(&entries, &keys)) | &keys;
    let has_late = !attached.is_empty() || !late.is_empty();
    let first_data = entries.iter().position(|entry| entry.has_data);
    let definitions = first_data.filter(|_| !rows.is_empty()).unwrap_or(0);
    let mut runs: [Vec<i64>; 6] = Default::default();
    for (place, entry) in entries.iter().enumerate() {
        let run = if set_aside::is_of_event_trigger(entry) {
            5
        } else if rows.contains(&entry.id) {
            1
        } else if attached.contains(&entry.id) {
            3
        } else if late.contains(&entry.id) || comes_last(entry) && has_late {
            4
        } else if place < definitions && !comes_last(entry) {
            0
        } else {
            2
        };
        runs[run].push(entry.id);
    }
    let runs = runs.into_iter().enumerate();
    let runs = runs.filter(|(_, ids)| !ids.is_empty());
    runs.map(|(run, ids)| Phase {
        ids,
        one_by_one: matches!(run, 1 | 3),
    })
    .collect()
}

/// The rows of tables that the archive does not make, since an extension does.
fn rows_of_extensions(all: &[TocEntry], entries: &[&TocEntry]) -> BTreeSet<i64> {
    let made = all.iter().filter(|entry| entry.kind == "TABLE");
    let made: BTreeSet<(&str, &str)> = made.map(name).collect();
    ids_where(entries, |entry| {
        entry.kind == "TABLE DATA" && !made.contains(&name(entry))
    })
}

/// The foreign keys of tables that have no rows of their own.
fn keys_without_rows(entries: &[&TocEntry]) -> BTreeSet<i64> {
    let loaded = entries.iter().filter(|entry| entry.kind == "TABLE DATA");
    let loaded: BTreeSet<(&str, &str)> = loaded.map(|entry| name(entry)).collect();
    ids_where(entries, |entry| {
        // called `table name`, both of which may have blanks
        let mut tables = entry.tag.match_indices(' ').map(|(at, _)| &entry.tag[..at]);
        entry.kind == "FK CONSTRAINT"
            && !tables.any(|table| loaded.contains(&(&*entry.schema, table)))
    })
}

fn name(entry: &TocEntry) -> (&str, &str) {
    (&entry.schema, &entry.tag)
}

/// What needs one of these, or needs what does.
fn needing(entries: &[&TocEntry], needed: &BTreeSet<i64>) -> BTreeSet<i64> {
    let mut found = BTreeSet::new();
    // an archive holds what is needed before what needs it, unless views need each other
    for entry in entries {
        let mut needs = entry.dependencies.iter();
        if needs.any(|id| needed.contains(id) || found.contains(id)) {
            found.insert(entry.id);
        }
    }
    &found - needed
}

/// True of what pg_restore leaves for the end: rights, without which some of the rest cannot be done, and what is computed.
fn comes_last(entry: &TocEntry) -> bool {
    matches!(
        &*entry.kind,
        "ACL" | "DEFAULT ACL" | "MATERIALIZED VIEW DATA" | "STATISTICS DATA"
    )
}

fn ids_where(entries: &[&TocEntry], is_one: impl Fn(&TocEntry) -> bool) -> BTreeSet<i64> {
    let found = entries.iter().filter(|entry| is_one(entry));
    found.map(|entry| entry.id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: i64, kind: &str, tag: &str, dependencies: &[i64]) -> TocEntry {
        TocEntry::called(id, kind, tag, dependencies)
    }

    fn runs(entries: Vec<TocEntry>) -> Vec<(Vec<i64>, bool)> {
        let runs = phases(&entries, &|_| true);
        runs.into_iter()
            .map(|run| (run.ids, run.one_by_one))
            .collect()
    }

    #[test]
    fn what_can_go_side_by_side_is_one_run() {
        let entries = vec![
            entry(1, "TABLE", "t", &[]),
            entry(2, "ACL", "TABLE t", &[1]),
            entry(3, "TABLE DATA", "t", &[1]),
            entry(4, "CONSTRAINT", "t t_pkey", &[1]),
            entry(5, "FK CONSTRAINT", "t t_fk", &[1, 4]),
        ];
        assert_eq!(runs(entries), [(vec![1, 2, 3, 4, 5], false)]);
    }

    #[test]
    fn indexes_are_attached_alone_and_before_the_keys_that_need_them() {
        let entries = vec![
            entry(1, "TABLE", "p", &[]),
            entry(2, "ACL", "TABLE p", &[1]),
            entry(3, "TABLE", "p 1", &[]),
            entry(4, "TABLE DATA", "p 1", &[3]),
            entry(5, "CONSTRAINT", "p p_pkey", &[1]),
            entry(6, "INDEX ATTACH", "p1_pkey", &[5]),
            entry(7, "FK CONSTRAINT", "p 1 to_p", &[3, 6]),
            entry(8, "COMMENT", "CONSTRAINT to_p ON p1", &[7]),
            entry(9, "FK CONSTRAINT", "p p_fk", &[1]),
            entry(10, "EVENT TRIGGER", "e", &[]),
        ];
        let expected = [
            (vec![1, 3, 4, 5], false),
            (vec![6], true),
            (vec![2, 7, 8, 9], false),
            (vec![10], false),
        ];
        assert_eq!(runs(entries), expected);
    }

    #[test]
    fn rows_of_an_extension_come_in_order_before_the_others() {
        let entries = vec![
            entry(1, "EXTENSION", "e", &[]),
            entry(2, "TABLE", "t", &[]),
            entry(3, "ACL", "TABLE t", &[2]),
            entry(4, "TABLE DATA", "of_e", &[1]),
            entry(5, "TABLE DATA", "t", &[2]),
            entry(6, "TABLE DATA", "also_of_e", &[1]),
        ];
        let expected = [(vec![1, 2], false), (vec![4, 6], true), (vec![3, 5], false)];
        assert_eq!(runs(entries), expected);
    }
}
