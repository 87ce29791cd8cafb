//! What of an archive is restored: a part that someone asked for, and not what the target's role may not do.
//!
//! A table comes with what belongs to it, as `pg_dump --table` has it: rows, indexes, keys, defaults, triggers, rules,
//! policies, grants, comments, the sequences of its columns, its partitions, and its place in the publications that the
//! target has. What else comes along is in `related`.

use super::dependencies;
use super::dependencies::Needs;
use super::left_out::{left_out, unquoted};
use super::object_kinds::{is_relation, is_remark, shown};
use super::request::{RestoreRequest, Subset};
use super::target_state::TargetState;
use crate::error::{Error, Result};
use crate::repository::manifest::TableName;
use crate::source::logical::archive::{Toc, TocEntry};
use crate::source::logical::drop_existing::DroppedObject;
use crate::text::nearest::nearest;
use crate::text::shell;
use std::collections::{BTreeSet, HashMap, HashSet};

impl Subset {
    /// With the names of schemas that the backup holds, where they were written in quotes, as SQL and psql write them.
    fn unquoted(&self, catalog: &Toc) -> Subset {
        let schemas = self
            .schemas
            .iter()
            .map(|schema| match has_schema(catalog, schema) {
                true => schema.clone(),
                false => unquoted(schema),
            });
        Subset {
            schemas: schemas.collect(),
            ..self.clone()
        }
    }
}

/// What is restored of an archive.
#[derive(Debug, Default)]
pub struct TocSelection {
    /// These entries; none means all.
    pub ids: Option<HashSet<i64>>,
    /// What the role may not do and is left out, in words.
    pub left_out: Vec<String>,
    /// Views and foreign keys that are dropped and made again with the tables that they need, in words.
    pub taken_along: Vec<String>,
    /// What cannot be restored, and why.
    pub objection: Option<Error>,
}

impl TocSelection {
    /// True if the entry is restored.
    pub fn holds(&self, id: i64) -> bool {
        self.ids.as_ref().is_none_or(|ids| ids.contains(&id))
    }

    /// Adds to a part what of the backup brings back what would be `lost` from the target otherwise, and says whether that
    /// was anything: then more may be dropped by it. Tables are never added, since their rows would be replaced.
    pub fn take_along(
        &mut self,
        catalog: &Toc,
        lost: &[DroppedObject],
        target: &TargetState,
    ) -> bool {
        let Some(ids) = &mut self.ids else {
            return false;
        };
        let before = ids.len();
        for entry in &catalog.entries {
            let is_table = is_relation(&entry.kind) && !entry.kind.ends_with("VIEW");
            if is_table || ids.contains(&entry.id) {
                continue;
            }
            if let Some(lost) = lost.iter().find(|lost| lost.is_brought_back_by(entry)) {
                self.taken_along.push(lost.shown.clone());
                ids.insert(entry.id);
            }
        }
        if ids.len() == before {
            return false;
        }
        add_parts(catalog, ids, &absent_publications(catalog, Some(target)));
        true
    }

    /// The tables, views and sequences that are restored.
    pub fn relations<'a>(&'a self, catalog: &'a Toc) -> impl Iterator<Item = &'a TocEntry> {
        let entries = catalog.entries.iter();
        entries.filter(|entry| is_relation(&entry.kind) && self.holds(entry.id))
    }
}

/// Chooses from `catalog` what `request` asks for.
pub fn choose(
    catalog: &Toc,
    request: &RestoreRequest,
    target: Option<&TargetState>,
) -> Result<TocSelection> {
    let (subset, clean) = (&request.subset, request.options.clean);
    let mut taken_along = Vec::new();
    let mut needs = Needs::default();
    let mut ids = match subset.names_objects() {
        true => {
            let replaces = target.filter(|_| clean);
            let subset = &subset.unquoted(catalog);
            let mut ids = part(catalog, subset, target, replaces, &mut taken_along)?;
            if let Some(target) = target.filter(|_| !subset.data_only) {
                needs = dependencies::add_needed(catalog, &mut ids, target, request.create);
                if !(request.create || subset.tables.is_empty()) {
                    needs
                        .left_out
                        .extend(dependencies::stay_away(catalog, &ids, target));
                }
            }
            Some(ids)
        }
        false => None,
    };
    let all = || catalog.entries.iter().map(|entry| entry.id).collect();
    let omitted = catalog.entries.iter();
    for entry in omitted.filter(|entry| request.omitted.holds(entry)) {
        ids.get_or_insert_with(all).remove(&entry.id);
    }
    let mut told = needs.left_out;
    let unwanted = target.map_or(Vec::new(), |target| left_out(catalog, clean, target));
    for (entry, what) in unwanted {
        let was_chosen = ids.get_or_insert_with(all).remove(&entry.id);
        let is_silent = entry.kind == "ACL" && request.options.no_privileges
            || entry.kind == "SCHEMA" && entry.tag == "public" && request.options.no_owner;
        told.extend(what.filter(|_| was_chosen && !is_silent));
    }
    Ok(TocSelection {
        ids,
        left_out: told,
        taken_along,
        objection: needs.objection,
    })
}

/// The part that `subset` names. Of a target that it `replaces` something in, what depends on that is `taken_along`.
fn part(
    catalog: &Toc,
    subset: &Subset,
    target: Option<&TargetState>,
    replaces: Option<&TargetState>,
    taken_along: &mut Vec<String>,
) -> Result<HashSet<i64>> {
    for schema in &subset.schemas {
        if !has_schema(catalog, schema) {
            let known = catalog.entries.iter().map(|entry| entry.schema.as_str());
            let known: BTreeSet<&str> = known.filter(|name| !name.is_empty()).collect();
            let known: Vec<&str> = known.into_iter().collect();
            return Err(
                Error::usage(format!("the backup holds no schema {schema:?}"))
                    .hint(format!("it holds: {}", known.join(", "))),
            );
        }
    }
    let in_schemas =
        |entry: &TocEntry| subset.schemas.is_empty() || subset.schemas.contains(&entry.schema);
    let mut ids: HashSet<i64> = match subset.tables.is_empty() {
        true => schemas(catalog, subset, target),
        false => {
            let mut chosen = HashSet::new();
            for name in &subset.tables {
                chosen.insert(relation(catalog, name, &in_schemas)?);
            }
            chosen
        }
    };
    if !subset.tables.is_empty() {
        add_partitions(catalog, &mut ids);
    }
    if let Some(target) = replaces {
        *taken_along = dependencies::add_dependents(catalog, &mut ids, target);
    }
    if !(subset.tables.is_empty() && taken_along.is_empty()) {
        add_parts(catalog, &mut ids, &absent_publications(catalog, target));
    }
    // settings of the session that every restore needs
    let settings = catalog
        .entries
        .iter()
        .filter(|entry| is_setting(&entry.kind));
    ids.extend(settings.map(|entry| entry.id));
    Ok(ids)
}

fn has_schema(catalog: &Toc, schema: &str) -> bool {
    let mut entries = catalog.entries.iter();
    entries.any(|entry| entry.schema == schema || entry.kind == "SCHEMA" && entry.tag == schema)
}

/// Everything in the schemas, and those of the schemas themselves that the target lacks.
fn schemas(catalog: &Toc, subset: &Subset, target: Option<&TargetState>) -> HashSet<i64> {
    let lacks = |schema: &str| target.is_none_or(|target| !target.schemas.contains(schema));
    let absent = absent_publications(catalog, target);
    let mut ids: HashSet<i64> = HashSet::new();
    for entry in &catalog.entries {
        let itself =
            entry.kind == "SCHEMA" && subset.schemas.contains(&entry.tag) && lacks(&entry.tag);
        let of_it = is_remark(&entry.kind) && entry.dependencies.iter().any(|id| ids.contains(id));
        // what ties two objects together needs both of them
        let whole = match &*entry.kind {
            "PUBLICATION TABLE" | "PUBLICATION TABLES IN SCHEMA" => {
                entry.dependencies.iter().all(|id| !absent.contains(id))
            }
            kind if is_attachment(kind) => entry.dependencies.iter().all(|id| ids.contains(id)),
            _ => true,
        };
        if itself || of_it || subset.schemas.contains(&entry.schema) && whole {
            ids.insert(entry.id);
        }
    }
    ids
}

/// The publications that are in the archive and not in the target: nothing can be added to them.
fn absent_publications(catalog: &Toc, target: Option<&TargetState>) -> HashSet<i64> {
    let entries = catalog.entries.iter();
    let absent = entries.filter(|entry| {
        let there = target.is_some_and(|target| target.publications.contains(&entry.tag));
        entry.kind == "PUBLICATION" && !there
    });
    absent.map(|entry| entry.id).collect()
}

/// The one table, view or sequence that is called `name` or `schema.name`.
fn relation(catalog: &Toc, name: &str, wanted: &dyn Fn(&TocEntry) -> bool) -> Result<i64> {
    let quoted = quoted_name(name);
    let called = |entry: &&TocEntry| {
        let as_quoted = match quoted.as_deref() {
            Some([tag]) => entry.tag == *tag,
            Some([schema, tag]) => entry.schema == *schema && entry.tag == *tag,
            _ => false,
        };
        let as_it_is = entry.tag == name || shown(entry) == name;
        is_relation(&entry.kind) && wanted(entry) && (as_it_is || as_quoted)
    };
    let found: Vec<&TocEntry> = catalog.entries.iter().filter(called).collect();
    match found[..] {
        [only] => Ok(only.id),
        [] => {
            let entries = catalog.entries.iter();
            let entries = entries.filter(|entry| is_relation(&entry.kind) && wanted(entry));
            Err(no_such_relation(name, &entries.collect::<Vec<_>>()))
        }
        _ => {
            let names: Vec<String> = found.iter().map(|entry| shown(entry)).collect();
            Err(Error::usage(format!(
                "several tables are called {name:?}: {}",
                names.join(", ")
            ))
            .hint("write the one that is meant as schema.name"))
        }
    }
}

/// The parts of a name with quotes, as SQL and psql write it: `"s 1".t`. A part without quotes is taken as it is.
fn quoted_name(name: &str) -> Option<Vec<String>> {
    let (mut parts, mut is_quoted) = (vec![String::new()], false);
    let mut letters = name.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if is_quoted && letters.peek() == Some(&'"') => {
                letters.next();
                parts.last_mut()?.push('"');
            }
            '"' => is_quoted = !is_quoted,
            '.' if !is_quoted => parts.push(String::new()),
            letter => parts.last_mut()?.push(letter),
        }
    }
    (name.contains('"') && !is_quoted).then_some(parts)
}

/// Names the nearest one that there is, or else some of them.
fn no_such_relation(name: &str, there: &[&TocEntry]) -> Error {
    let error = Error::usage(format!("the backup holds no table {name:?}"));
    let mut names: Vec<String> = there.iter().map(|entry| shown(entry)).collect();
    let tags: Vec<&str> = there.iter().map(|entry| entry.tag.as_str()).collect();
    let full: Vec<&str> = names.iter().map(String::as_str).collect();
    let near = nearest(name, &full).or_else(|| nearest(name, &tags));
    if let Some(near) = near {
        // several schemas may have one that is called so
        let called = there.iter().zip(&names);
        let called = called.filter(|(entry, full)| entry.tag == near || *full == near);
        let options = called.map(|(_, full)| format!("--table {}", shell::word(full)));
        let options: Vec<String> = options.collect();
        return error.hint(format!("the nearest is: {}", options.join(" or ")));
    }
    names.sort();
    match names.is_empty() {
        true => error,
        false => error.hint(format!(
            "it holds {}; without --table, --dry-run --json names all",
            dependencies::some(&names)
        )),
    }
}

/// Adds the partitions of what is chosen, and theirs.
fn add_partitions(catalog: &Toc, ids: &mut HashSet<i64>) {
    let relations: HashSet<i64> = catalog
        .entries
        .iter()
        .filter(|entry| is_relation(&entry.kind))
        .map(|entry| entry.id)
        .collect();
    let attachments: Vec<&TocEntry> = catalog
        .entries
        .iter()
        .filter(|entry| entry.kind == "TABLE ATTACH")
        .collect();
    loop {
        let before = ids.len();
        for attachment in &attachments {
            let tables = attachment
                .dependencies
                .iter()
                .filter(|id| relations.contains(id));
            let (child, parent): (Vec<i64>, Vec<i64>) = tables.partition(|id| {
                // it is called after the child
                let mut entries = catalog.entries.iter();
                entries.any(|entry| entry.id == **id && same_name(entry, attachment))
            });
            if parent.iter().any(|id| ids.contains(id)) {
                ids.extend(child);
            }
        }
        if ids.len() == before {
            return;
        }
    }
}

/// Adds what belongs to the chosen tables.
fn add_parts(catalog: &Toc, ids: &mut HashSet<i64>, absent_publications: &HashSet<i64>) {
    let tables: Vec<&TocEntry> = catalog
        .entries
        .iter()
        .filter(|entry| ids.contains(&entry.id))
        .collect();
    let names: HashSet<(&str, &str)> = tables
        .iter()
        .map(|entry| (entry.schema.as_str(), entry.tag.as_str()))
        .collect();
    let relations = catalog.entries.iter();
    let relations: HashMap<(&str, &str), i64> = relations
        .filter(|entry| is_relation(&entry.kind))
        .map(|entry| ((&*entry.schema, &*entry.tag), entry.id))
        .collect();
    let is_chosen = |name: &str, entry: &TocEntry| names.contains(&(&*entry.schema, name));
    let of_chosen =
        |entry: &TocEntry| table_of(entry, &relations).is_some_and(|table| is_chosen(table, entry));
    for entry in &catalog.entries {
        let needs_chosen = || entry.dependencies.iter().any(|id| ids.contains(id));
        let belongs = match &*entry.kind {
            "TABLE DATA" | "MATERIALIZED VIEW DATA" | "ROW SECURITY" => {
                is_chosen(&entry.tag, entry)
            }
            "CONSTRAINT" | "CHECK CONSTRAINT" | "FK CONSTRAINT" | "DEFAULT" | "TRIGGER"
            | "RULE" | "POLICY" => of_chosen(entry),
            "INDEX" | "STATISTICS" | "STATISTICS DATA" | "SEQUENCE" | "SEQUENCE SET" => {
                needs_chosen()
            }
            "PUBLICATION TABLE" => {
                let mut needed = entry.dependencies.iter();
                needs_chosen() && needed.all(|id| !absent_publications.contains(id))
            }
            kind if is_attachment(kind) => entry.dependencies.iter().all(|id| ids.contains(id)),
            kind => is_remark(kind) && needs_chosen(),
        };
        if belongs {
            ids.insert(entry.id);
        }
    }
}

/// The table of an entry that is called `table name`: either may hold spaces, so that of several tables of such a name it is one
/// that the entry needs, and the longest.
fn table_of<'a>(entry: &'a TocEntry, relations: &HashMap<(&str, &str), i64>) -> Option<&'a str> {
    let ends = entry.tag.match_indices(' ').map(|(at, _)| at);
    let tables = ends.filter_map(|end| {
        let name = &entry.tag[..end];
        let id = relations.get(&(&*entry.schema, name))?;
        Some((entry.dependencies.contains(id), name))
    });
    let table = tables.max_by_key(|(is_needed, name)| (*is_needed, name.len()));
    table.map(|(_, name)| name)
}

fn same_name(one: &TocEntry, other: &TocEntry) -> bool {
    (&one.schema, &one.tag) == (&other.schema, &other.tag)
}

/// What ties two objects together.
fn is_attachment(kind: &str) -> bool {
    matches!(kind, "TABLE ATTACH" | "INDEX ATTACH" | "SEQUENCE OWNED BY")
}

fn is_setting(kind: &str) -> bool {
    matches!(kind, "ENCODING" | "STDSTRINGS" | "SEARCHPATH")
}

/// The tables that get their rows restored.
pub fn tables_with_rows(catalog: &Toc, choice: &TocSelection) -> BTreeSet<TableName> {
    let entries = catalog.entries.iter();
    entries
        .filter(|entry| entry.kind == "TABLE DATA" && choice.holds(entry.id))
        .map(|entry| TableName {
            schema: entry.schema.clone(),
            name: entry.tag.clone(),
        })
        .collect()
}
