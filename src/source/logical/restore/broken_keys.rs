//! Keys that the rows of the backup break: those of the database that was backed up do as well, such as after rows were loaded
//! with triggers off, or since a library sorts otherwise than the one that an index was made with.
//!
//! A restore fails at them. Where someone asks for it, the statement that makes a key tries it and puts up with a failure: a
//! foreign key is then added NOT VALID, which checks new rows and lets the others be, and a unique key or index is left out. The
//! statement is changed in the archive as it passes, so it comes when and how pg_restore sees fit; what became of the keys is
//! asked of the target.

use super::facts::RestoreFacts;
use super::object_kinds::shown;
use crate::cause::FailureCause;
use crate::error::Result;
use crate::files::random;
use crate::postgres::client::Client;
use crate::source::logical::archive::edits::ArchiveEdit;
use crate::source::logical::archive::{Toc, TocEntry};
use std::collections::{BTreeMap, BTreeSet};

/// Every key and index of the target: as the archive calls it, what it is, and whether all rows were checked. A key comes after
/// the index that it has the name of.
const KEYS: &str = "SELECT format('%s.%s', nspname, relname), 'index', indisvalid FROM pg_index
       JOIN pg_class c ON c.oid = indexrelid JOIN pg_namespace n ON n.oid = relnamespace
     UNION ALL SELECT format('%s.%s %s', nspname, relname, conname), 'key', convalidated FROM pg_constraint
       JOIN pg_class c ON c.oid = conrelid JOIN pg_namespace n ON n.oid = relnamespace";

/// What a block of PL/pgSQL does where the statement `definition` fails for rows that a foreign key forbids. A table with
/// partitions takes no such key before PostgreSQL 18, and none refers to a key that was left out.
const WITHOUT_CHECKING: &str = "foreign_key_violation THEN
  BEGIN
    EXECUTE pg_catalog.rtrim(definition, E'; \\n') || ' NOT VALID';
  EXCEPTION WHEN wrong_object_type OR feature_not_supported THEN NULL;
  END;
WHEN invalid_foreign_key THEN NULL;";
/// The same of other keys.
const WITHOUT_IT: &str = "unique_violation OR exclusion_violation THEN NULL;";

/// The same of what is said of a key or is done with one, which is not there where the key was left out.
const WITHOUT_KEY: &str = "undefined_object OR undefined_table THEN NULL;";

/// What is changed in the archive so that what `chosen` accepts of its keys is put up with.
pub fn edits(toc: &Toc, chosen: &dyn Fn(i64) -> bool) -> Result<Vec<ArchiveEdit>> {
    // no name in the archive ends such a quote
    let tag = random::token()?;
    let (outer, inner) = (format!("$statement_{tag}$"), format!("$definition_{tag}$"));
    let before = format!("DO {outer}\nDECLARE definition CONSTANT text := {inner}");
    let after = |handler: &str| {
        format!("{inner};\nBEGIN\n  EXECUTE definition;\nEXCEPTION WHEN {handler}\nEND\n{outer};\n")
    };
    let entries = || toc.entries.iter().filter(|entry| chosen(entry.id));
    let keys = entries().filter(|entry| kind_of(entry).is_some());
    let keys: BTreeSet<i64> = keys.map(|entry| entry.id).collect();
    let needs_key = |entry: &TocEntry| entry.dependencies.iter().any(|id| keys.contains(id));
    let edits = entries().filter_map(|entry| {
        let handler = match &*entry.kind {
            "FK CONSTRAINT" => WITHOUT_CHECKING,
            "CONSTRAINT" | "INDEX" => WITHOUT_IT,
            "COMMENT" | "INDEX ATTACH" | "STATISTICS DATA" if needs_key(entry) => WITHOUT_KEY,
            _ => return None,
        };
        Some(entry.wrapped(&before, &after(handler)))
    });
    Ok(edits.flatten().collect())
}

impl RestoreFacts<'_> {
    /// The keys and indexes that are not in the target as the backup has them, in words. None were put up with unless that
    /// was asked for.
    pub(super) fn broken_keys(&self, client: &Client) -> Result<Vec<String>> {
        let (Some(toc), true) = (self.toc.as_deref(), self.request.allow_broken_keys) else {
            return Ok(Vec::new());
        };
        let mut there = BTreeMap::new();
        for row in client.query_names(KEYS)? {
            let [name, what, checked] = <[String; 3]>::try_from(row).unwrap_or_default();
            there.insert((what, name), checked == "t");
        }
        let chosen = toc.entries.iter();
        let chosen = chosen.filter(|entry| self.selection.holds(entry.id));
        let broken = chosen.filter_map(|entry| {
            let (what, key) = kind_of(entry)?;
            let name = shown(entry);
            match there.get(&(key.to_string(), name.clone())) {
                Some(true) => None,
                Some(false) if key == "key" && !entry.is_unchecked => {
                    Some(format!("{what} {name} (NOT VALID)"))
                }
                // neither was it before, or the index of a table with partitions lacks one
                Some(false) => None,
                None => Some(format!("{what} {name} (left out)")),
            }
        });
        Ok(broken.collect())
    }

    /// How to restore all the same, where the rows of the backup are to blame and no others.
    pub(super) fn way_past(&self, cause: FailureCause) -> Option<&'static str> {
        let subset = &self.request.subset;
        if self.toc.is_none() || subset.data_only || subset.names_objects() {
            return None;
        }
        match cause {
            FailureCause::ForeignKeyViolated => Some(
                "the rows of the backup break this key, as those of the database did that was backed up: correct them there, and back \
                 up again; this backup comes back with --allow-broken-keys, which adds such a key NOT VALID: the rows stay as \
                 they are, and new ones are checked",
            ),
            FailureCause::IndexDuplicate => Some(
                "the rows of the backup break this key or index, as those of the database did that was backed up (after a change of \
                 collations, say): correct them there, REINDEX, and back up again; this backup comes back with \
                 --allow-broken-keys, which leaves such a key or index out",
            ),
            FailureCause::CheckViolated => Some(
                "a row of the backup breaks this check, as that of the database did that was backed up (a function that it calls may \
                 have changed since): correct it there, and back up again; how to bring this backup back without the check: \
                 THE ROWS BREAK A KEY in backupkit-runbook(7)",
            ),
            _ => None,
        }
    }
}

/// What a key is called, and whether it is to be found among keys or among indexes.
fn kind_of(entry: &TocEntry) -> Option<(&'static str, &'static str)> {
    match &*entry.kind {
        "FK CONSTRAINT" => Some(("foreign key", "key")),
        "CONSTRAINT" => Some(("key", "key")),
        "INDEX" => Some(("index", "index")),
        _ => None,
    }
}
