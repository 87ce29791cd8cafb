//! What a part of a backup takes along: what it needs and the target lacks, and what depends on a table that is
//! dropped and made again.

use super::object_kinds::{is_relation, is_remark, shown};
use super::target_state::TargetState;
use crate::error::Error;
use crate::source::logical::archive::{Demand, Toc, TocEntry};
use std::collections::{BTreeSet, HashMap, HashSet};

/// So many names are told.
const TOLD: usize = 5;

/// What a part needs, found out.
#[derive(Debug, Default)]
pub struct Needs {
    /// What is left out, since something that it needs is nowhere.
    pub left_out: Vec<String>,
    /// Tables that are nowhere, though something of the part cannot be made without them.
    pub objection: Option<Error>,
}

/// Adds to the part `ids` what its objects need and `target` lacks, such as schemas, types and functions; never other
/// tables, since those may be large. Where `lenient`, a foreign key, trigger or policy that needs such a table is left out.
pub fn add_needed(
    catalog: &Toc,
    ids: &mut HashSet<i64>,
    target: &TargetState,
    lenient: bool,
) -> Needs {
    let before = ids.clone();
    let lacking = add_what_is_known(catalog, ids, target);
    add_mentioned(catalog, ids, target);
    add_operator_classes(catalog, ids, target);
    let added = |id: &i64| ids.contains(id) && !before.contains(id);
    let mut about = Vec::new();
    for entry in &catalog.entries {
        // of a domain: pg_dump has those beside it that are not valid
        let is_part = matches!(&*entry.kind, "SEQUENCE SET" | "CHECK CONSTRAINT");
        if (is_remark(&entry.kind) || is_part) && entry.dependencies.iter().any(added) {
            about.push(entry.id);
        }
    }
    ids.extend(about);
    settle(catalog, ids, lacking, lenient)
}

/// Adds what pg_dump knows that the objects of the part need. Returns the tables among that, which are not added.
fn add_what_is_known<'a>(
    catalog: &'a Toc,
    ids: &mut HashSet<i64>,
    target: &TargetState,
) -> Vec<(&'a TocEntry, &'a TocEntry)> {
    let by_id: HashMap<i64, &TocEntry> = entries_by_id(catalog);
    let schemas = catalog.entries.iter();
    let schemas: HashMap<&str, i64> = schemas
        .filter(|entry| entry.kind == "SCHEMA")
        .map(|entry| (entry.tag.as_str(), entry.id))
        .collect();
    let mut lacking = Vec::new();
    let mut left: Vec<i64> = ids.iter().copied().collect();
    while let Some(entry) = left.pop().and_then(|id| by_id.get(&id)) {
        let schema = schemas.get(entry.schema.as_str());
        for id in entry.dependencies.iter().chain(schema) {
            let Some(needed) = by_id.get(id).filter(|_| !ids.contains(id)) else {
                continue;
            };
            if !is_absent(needed, &by_id, target) {
                continue;
            }
            if is_relation(&needed.kind) && needed.kind != "SEQUENCE" {
                lacking.push((*entry, *needed));
            } else if comes_along(&needed.kind) {
                ids.insert(*id);
                left.push(*id);
            }
        }
    }
    lacking
}

/// Adds the functions and types that the functions of the part name in their bodies, of which the server, and so pg_dump,
/// knows nothing: an index, a check or a materialized view may run them while it is made. A word in a body may mean
/// something else, so what needs a table that is not there stays away.
fn add_mentioned(catalog: &Toc, ids: &mut HashSet<i64>, target: &TargetState) {
    let mut absent: HashMap<&str, Vec<i64>> = HashMap::new();
    for entry in &catalog.entries {
        let is_named = matches!(
            &*entry.kind,
            "FUNCTION" | "PROCEDURE" | "AGGREGATE" | "TYPE" | "DOMAIN"
        );
        if is_named && !ids.contains(&entry.id) && target.lacks(entry) {
            absent.entry(name_alone(entry)).or_default().push(entry.id);
        }
    }
    if absent.is_empty() {
        return;
    }
    let by_id = entries_by_id(catalog);
    let mut left: Vec<i64> = ids.iter().copied().collect();
    while let Some(entry) = left.pop().and_then(|id| by_id.get(&id)) {
        for word in words(entry.definition.as_deref().unwrap_or_default()) {
            let folded = word.to_lowercase();
            let found = absent.remove(word).or_else(|| absent.remove(&*folded));
            for id in found.into_iter().flatten() {
                let mut with = ids.clone();
                with.insert(id);
                if add_what_is_known(catalog, &mut with, target).is_empty() {
                    left.extend(with.difference(ids).copied());
                    *ids = with;
                }
            }
        }
    }
}

/// Extensions with operator classes for types of the server itself, by which an exclusion constraint compares them.
const COMPARING: [&str; 3] = ["btree_gist", "pg_trgm", "intarray"];

/// Adds the operator classes by which keys and exclusion constraints compare their columns. Only the index behind a constraint
/// needs them, of which an archive has no entry: so those of a type come with the type.
fn add_operator_classes(catalog: &Toc, ids: &mut HashSet<i64>, target: &TargetState) {
    let by_id = entries_by_id(catalog);
    let mut entries = catalog.entries.iter();
    let excludes =
        entries.any(|entry| ids.contains(&entry.id) && entry.demands.contains(&Demand::Excludes));
    let is_new_type = |id: &i64, ids: &HashSet<i64>| {
        let entry = by_id.get(id).filter(|entry| ids.contains(&entry.id));
        entry.is_some_and(|entry| entry.kind == "TYPE" && target.lacks(entry))
    };
    for entry in &catalog.entries {
        let mut needed = entry.dependencies.iter();
        let is_wanted = match &*entry.kind {
            "OPERATOR CLASS" => needed.any(|id| is_new_type(id, ids)),
            "EXTENSION" => {
                let name = &entry.tag;
                excludes
                    && COMPARING.contains(&name.as_str())
                    && target.lacks(entry)
                    && target.may_create_extension(name)
            }
            _ => false,
        };
        if is_wanted && !ids.contains(&entry.id) {
            let mut with = ids.clone();
            with.insert(entry.id);
            if add_what_is_known(catalog, &mut with, target).is_empty() {
                *ids = with;
            }
        }
    }
}

/// True of what the target lacks, as far as that is known: an operator, and what is made of operators, is not there where
/// something is not that it needs.
fn is_absent(entry: &TocEntry, by_id: &HashMap<i64, &TocEntry>, target: &TargetState) -> bool {
    let is_of_operators = matches!(
        &*entry.kind,
        "OPERATOR" | "OPERATOR CLASS" | "OPERATOR FAMILY"
    );
    let mut needed = entry.dependencies.iter().filter_map(|id| by_id.get(id));
    target.lacks(entry) || is_of_operators && needed.any(|needed| is_absent(needed, by_id, target))
}

/// The name of a function without the types of its arguments.
fn name_alone(entry: &TocEntry) -> &str {
    let end = entry.tag.find('(').unwrap_or(entry.tag.len());
    &entry.tag[..end]
}

/// What may be a name in the definition of a function.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let of_a_name = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '$';
    text.split(move |letter| !of_a_name(letter))
        .filter(|word| !word.is_empty())
}

/// Leaves out what may be left out of what lacks a table, and objects to the rest.
fn settle(
    catalog: &Toc,
    ids: &mut HashSet<i64>,
    lacking: Vec<(&TocEntry, &TocEntry)>,
    lenient: bool,
) -> Needs {
    let (mut left_out, mut missing) = (BTreeSet::new(), BTreeSet::new());
    for (entry, needed) in lacking {
        let what = match &*entry.kind {
            "FK CONSTRAINT" => "foreign key",
            "TRIGGER" => "trigger",
            "POLICY" => "policy",
            _ => "",
        };
        if !lenient || what.is_empty() {
            missing.insert(shown(needed));
            continue;
        }
        let (table, name) = entry.tag.split_once(' ').unwrap_or(("", &entry.tag));
        left_out.insert(format!(
            "the {what} {name} of {}.{table}, which needs {}",
            entry.schema,
            shown(needed)
        ));
        ids.remove(&entry.id);
        let remarks = catalog
            .entries
            .iter()
            .filter(|remark| is_remark(&remark.kind) && remark.dependencies.contains(&entry.id));
        remarks.for_each(|remark| {
            ids.remove(&remark.id);
        });
    }
    let objection = (!missing.is_empty()).then(|| {
        let names: Vec<String> = missing.into_iter().collect();
        let options: Vec<String> = names.iter().take(TOLD).map(|name| format!("--table {name}")).collect();
        Error::failed(format!(
            "what is to be restored needs tables that the target lacks: {}",
            some(&names)
        ))
        .hint(format!(
            "restore them as well: {}; or look at it in a database of its own, where foreign keys to them are left \
             out: --to NAME --create",
            options.join(" ")
        ))
    });
    Needs {
        left_out: left_out.into_iter().collect(),
        objection,
    }
}

/// Adds to the part `ids` the views and foreign keys that depend on its tables in the backup and in the target: they go
/// with what is dropped, and come back with it. Returns the names of those that belong to nothing of the part.
pub fn add_dependents(catalog: &Toc, ids: &mut HashSet<i64>, target: &TargetState) -> Vec<String> {
    let by_id = entries_by_id(catalog);
    let mut names = Vec::new();
    let views = views_of(catalog);
    let needs_part = |entry: &TocEntry, ids: &HashSet<i64>| {
        let mut needed = entry.dependencies.iter().filter(|id| ids.contains(id));
        needed.any(|id| by_id.get(id).is_some_and(|entry| is_relation(&entry.kind)))
    };
    loop {
        let before = names.len();
        for entry in &catalog.entries {
            let view = view_of(entry, &views);
            let Some(view) = view.filter(|view| !ids.contains(&view.id)) else {
                continue;
            };
            if needs_part(entry, ids) && !target.lacks(view) {
                ids.insert(view.id);
                names.push(format!("{} {}", view.kind.to_lowercase(), shown(view)));
            }
        }
        if names.len() == before {
            break;
        }
    }
    let part: HashSet<String> = catalog
        .entries
        .iter()
        .filter(|entry| ids.contains(&entry.id))
        .map(shown)
        .collect();
    for entry in catalog
        .entries
        .iter()
        .filter(|entry| entry.kind == "FK CONSTRAINT")
    {
        let (table, name) = entry.tag.split_once(' ').unwrap_or(("", &entry.tag));
        let is_there = target.foreign_keys.contains(&shown(entry));
        let of_part = part.contains(&format!("{}.{table}", entry.schema));
        if needs_part(entry, ids) && is_there && !of_part {
            ids.insert(entry.id);
            names.push(format!("foreign key {name} of {}.{table}", entry.schema));
        }
    }
    names
}

/// The views and foreign keys that went when a table of the part `ids` was dropped with all that depends on it, and that do not
/// come back with it: those of the backup that `target` lacks like the table itself.
pub fn stay_away(catalog: &Toc, ids: &HashSet<i64>, target: &TargetState) -> Vec<String> {
    let by_id = entries_by_id(catalog);
    let mut gone: HashSet<i64> = ids
        .iter()
        .copied()
        .filter(|id| {
            by_id
                .get(id)
                .is_some_and(|entry| is_relation(&entry.kind) && target.lacks(entry))
        })
        .collect();
    let needs = |entry: &TocEntry, gone: &HashSet<i64>| {
        let mut needed = entry.dependencies.iter();
        needed.any(|id| gone.contains(id))
    };
    let mut away = Vec::new();
    let views = views_of(catalog);
    loop {
        let before = away.len();
        for entry in &catalog.entries {
            let view = view_of(entry, &views);
            let view = view.filter(|view| !(ids.contains(&view.id) || gone.contains(&view.id)));
            let Some(view) = view.filter(|view| needs(entry, &gone) && target.lacks(view)) else {
                continue;
            };
            gone.insert(view.id);
            let (kind, name) = (view.kind.to_lowercase(), shown(view));
            away.push(format!(
                "the {kind} {name}, which needs what was dropped (--table {name} brings it back)"
            ));
        }
        if away.len() == before {
            break;
        }
    }
    for entry in &catalog.entries {
        let (table, name) = entry.tag.split_once(' ').unwrap_or(("", &entry.tag));
        let of = format!("{}.{table}", entry.schema);
        let stays = entry.kind == "FK CONSTRAINT"
            && !ids.contains(&entry.id)
            && needs(entry, &gone)
            && target.relations.contains(&of)
            && !target.foreign_keys.contains(&shown(entry));
        if stays {
            away.push(format!(
                "the foreign key {name} of {of}, which needs what was dropped (ALTER TABLE ... ADD brings it back)"
            ));
        }
    }
    away
}

/// The views, by their names.
fn views_of(catalog: &Toc) -> HashMap<String, &TocEntry> {
    let is_view = |entry: &&TocEntry| matches!(&*entry.kind, "VIEW" | "MATERIALIZED VIEW");
    let views = catalog.entries.iter().filter(is_view);
    views.map(|entry| (shown(entry), entry)).collect()
}

/// The view that `entry` is, or that it says of what it selects: pg_dump makes one in two steps that needs what needs it.
fn view_of<'a>(entry: &TocEntry, views: &HashMap<String, &'a TocEntry>) -> Option<&'a TocEntry> {
    let name = shown(entry);
    match entry.kind == "RULE" {
        true => views.get(name.strip_suffix(" _RETURN")?).copied(),
        false => views.get(&name).copied().filter(|view| view.id == entry.id),
    }
}

fn entries_by_id(catalog: &Toc) -> HashMap<i64, &TocEntry> {
    let entries = catalog.entries.iter();
    entries.map(|entry| (entry.id, entry)).collect()
}

/// What a table may need and is restored with it.
fn comes_along(kind: &str) -> bool {
    matches!(
        kind,
        "SCHEMA"
            | "EXTENSION"
            | "TYPE"
            | "SHELL TYPE"
            | "DOMAIN"
            | "COLLATION"
            | "FUNCTION"
            | "PROCEDURE"
            | "AGGREGATE"
            | "OPERATOR"
            | "OPERATOR CLASS"
            | "OPERATOR FAMILY"
            | "CAST"
            | "TRANSFORM"
            | "SEQUENCE"
            | "ACCESS METHOD"
            | "PROCEDURAL LANGUAGE"
            | "FOREIGN DATA WRAPPER"
            | "SERVER"
    ) || kind.starts_with("TEXT SEARCH ")
}

/// The first few of these names, and how many more there are.
pub fn some(names: &[String]) -> String {
    let first = names
        .iter()
        .take(TOLD)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match names.len() {
        count if count > TOLD => format!("{first} and {} more", count - TOLD),
        _ => first,
    }
}
