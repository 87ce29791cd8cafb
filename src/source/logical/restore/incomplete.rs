//! An archive of a part of a database, as `pg_dump --data-only` and `--table` make it: what it does not bring itself and the
//! target has to have.

use super::dependencies::some;
use super::facts::RestoreFacts;
use super::object_kinds::{is_in_a_schema, is_relation, shown};
use super::target_state::TargetState;
use crate::error::Error;
use crate::postgres::quoting::identifier;
use crate::source::logical::archive::{Toc, TocEntry};
use crate::text::shell;
use std::collections::BTreeSet;

/// The schemas of every new database that an archive may refer to.
const IN_EVERY_DATABASE: [&str; 3] = ["public", "pg_catalog", "information_schema"];

/// True of an archive that has rows, and no table to put them into.
pub fn holds_rows_alone(toc: &Toc) -> bool {
    let makes = |entry: &TocEntry| is_relation(&entry.kind);
    toc.entries.iter().any(|entry| entry.has_data) && !toc.entries.iter().any(makes)
}

impl RestoreFacts<'_> {
    /// Tables and schemas that neither the archive nor the target has.
    pub fn lacking_ground(&self, toc: &Toc, chosen: &[&TocEntry]) -> Vec<Error> {
        let Some(holds) = &self.target else {
            return Vec::new();
        };
        let mut found = Vec::new();
        // some extensions make tables and schemas of which an archive does not know
        if toc.extensions.is_empty() {
            found.extend(self.rows_without_tables(toc, holds, chosen));
            found.extend(self.objects_without_schemas(toc, holds, chosen));
        }
        found
    }

    /// Tables that the target lacks, where rows alone are restored.
    pub fn no_tables(&self, toc: &Toc, chosen: &[&TocEntry]) -> Option<Error> {
        let holds = self.target.as_ref()?;
        let tables = chosen.iter().filter(|entry| entry.kind == "TABLE DATA");
        let missing = tables.map(|entry| shown(entry));
        let missing: Vec<String> = missing
            .filter(|table| !holds.relations.contains(table))
            .collect();
        let hint = match holds_rows_alone(toc) {
            true => "make it there first, from where it is defined: the backup holds rows alone",
            false => "restore without --data-only: a table that is missing comes back whole",
        };
        (!missing.is_empty()).then(|| {
            Error::failed(format!("the target has no table {}", some(&missing))).hint(hint)
        })
    }

    /// Tables to which `--data-only` adds rows beside those that they hold, which their keys may refuse.
    pub(super) fn rows_beside_rows(&self) -> Option<String> {
        let (toc, holds) = (self.toc.as_deref()?, self.target.as_ref()?);
        if !self.request.subset.data_only {
            return None;
        }
        let rows = toc
            .entries
            .iter()
            .filter(|entry| entry.kind == "TABLE DATA");
        let rows = rows.filter(|entry| self.selection.holds(entry.id));
        let tables: Vec<String> = rows
            .map(shown)
            .filter(|table| holds.filled.contains(table))
            .collect();
        (!tables.is_empty()).then(|| {
            format!(
                "rows that are there already, refused by a key or there twice: {} is not empty",
                some(&tables)
            )
        })
    }

    fn rows_without_tables(
        &self,
        toc: &Toc,
        holds: &TargetState,
        chosen: &[&TocEntry],
    ) -> Option<Error> {
        // where it has tables, a name that is none of them is damage, which is told as that
        if !holds_rows_alone(toc) {
            return None;
        }
        let rows = chosen.iter().filter(|entry| entry.kind == "TABLE DATA");
        let rows = rows.map(|entry| shown(entry));
        let lacking = rows.filter(|name| !holds.relations.contains(name));
        let lacking: Vec<String> = lacking.collect();
        (!lacking.is_empty()).then(|| {
            let what = match self.creates {
                true => "a new database has none",
                false => "the target has none either",
            };
            Error::failed(format!(
                "the backup holds the rows of {} and no such table, and {what}",
                some(&lacking)
            ))
            .hint(
                "it was made by pg_dump --data-only or the like: make the tables first, from where they are defined, and restore \
                 into that database with --data-only and without --create",
            )
        })
    }

    fn objects_without_schemas(
        &self,
        toc: &Toc,
        holds: &TargetState,
        chosen: &[&TocEntry],
    ) -> Option<Error> {
        // as above: where it has schemas, it has all
        if toc.entries.iter().any(|entry| entry.kind == "SCHEMA") {
            return None;
        }
        let is_there = |schema: &String| {
            holds.schemas.contains(schema)
                || holds.is_new && IN_EVERY_DATABASE.contains(&schema.as_str())
        };
        let objects = chosen.iter().filter(|entry| is_in_a_schema(&entry.kind));
        let schemas = objects.map(|entry| &entry.schema);
        let lacking: BTreeSet<&String> = schemas
            .filter(|schema| !schema.is_empty() && !is_there(schema))
            .collect();
        let lacking: Vec<String> = lacking.into_iter().cloned().collect();
        let database = shell::word(self.request.session.database());
        let create = lacking.iter().take(5);
        let create = create.map(|schema| format!("CREATE SCHEMA {}", identifier(schema)));
        let create = create.collect::<Vec<_>>().join("; ");
        (!lacking.is_empty()).then(|| {
            let error = Error::failed(format!(
                "the backup holds what is in the schema {} and not the schema itself",
                some(&lacking)
            ));
            error.hint(match self.creates {
                true => format!(
                    "it was made by pg_dump --table or the like: make a database with it, createdb --template=template0 {database}, \
                     {create}, and restore without --create"
                ),
                false => format!("make it there first: {create}"),
            })
        })
    }
}
