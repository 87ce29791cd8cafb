//! What is in the target after a restore, compared with what was read from the archive.

use super::prepare::PreparedRestore;
use super::rights_comparison;
use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::postgres::tools::Tools;
use crate::repository::evidence::Fault;
use crate::repository::located::Located;
use crate::repository::manifest::TableName;
use crate::repository::manifest_details;
use crate::repository::sidecars::read_manifest;
use crate::source::logical::archive::{Summary, Toc};
use crate::source::logical::drill::{compare, redump};
use crate::source::logical::dump_inspector;
use crate::source::logical::table_comparison;
use crate::text::escape::printable;
use std::collections::BTreeSet;

/// So many tables are dumped by name; more would be too much for the arguments of a program.
const NAMED: usize = 100;
/// So many differences are told.
const TOLD: usize = 5;

/// What a comparison came to.
#[derive(Default)]
pub(super) struct TargetComparison {
    /// How many tables were compared; none where that could not be done, which does not undo the restore.
    pub tables: Option<u64>,
    /// What of the backup is in no form to be compared, in words.
    pub unread: Option<String>,
    /// The backup holds what its manifest says, and the target the same.
    pub is_proof: bool,
    /// The target differs, and the backup is not to blame: an older one would fare no better.
    pub differs: Option<Error>,
}

/// Dumps what was restored once more and compares it, table by table, with `archived`. Fails where they differ and nothing
/// says that `archived` is what was backed up.
pub(super) fn run(
    prepared: &PreparedRestore,
    archived: &Summary,
    tools: &Tools,
    cancel: &Cancel,
) -> Result<TargetComparison> {
    let subset = &prepared.facts.request.subset;
    if subset.data_only || subset.schema_only {
        return Ok(TargetComparison::default());
    }
    let unread = unread(prepared, archived);
    if let Some(unread) = &unread {
        log::warn!(
            "{} is restored, and {unread} could not be compared with it",
            prepared.facts.request.session.shown()
        );
    }
    match look(prepared, archived, tools, cancel) {
        Ok((tables, faults, rights)) if faults.is_empty() => Ok(TargetComparison {
            tables: (tables > 0 || unread.is_none()).then_some(tables),
            // a target can be the same as a backup that is not what was backed up
            is_proof: tables > 0
                && unread.is_none()
                && rights.is_empty()
                && !prepared.rules.force
                && is_what_was_backed_up(prepared, archived, cancel)?,
            unread,
            differs: (!rights.is_empty()).then(|| differ_in_rights(prepared, &rights)),
        }),
        Ok((tables, faults, _)) => {
            let error = differs(prepared, &faults);
            if !is_what_was_backed_up(prepared, archived, cancel)? {
                return Err(error.hint(
                    "if other sessions or triggers write to it, that is why; else restore it anew, or an older backup",
                ));
            }
            let error = error.hint(
                "the backup is whole and holds what its manifest says, so something else wrote to the target: look for \
                 event triggers and triggers that are always enabled, and for other sessions, then restore it anew",
            );
            Ok(TargetComparison {
                tables: Some(tables),
                unread,
                is_proof: false,
                differs: Some(error),
            })
        }
        Err(error) => {
            cancel.check()?;
            let shown = prepared.facts.request.session.shown();
            log::warn!(
                "{shown} is restored, but cannot be compared with the backup: {}",
                error.report()
            );
            Ok(TargetComparison::default())
        }
    }
}

/// What of that which is restored the archive holds in a form that is not looked into.
fn unread(prepared: &PreparedRestore, archived: &Summary) -> Option<String> {
    if !prepared.facts.request.subset.names_objects() {
        return archived.unread();
    }
    let restored = prepared.facts.tables_with_rows();
    let mut chosen = archived.clone();
    chosen.uncounted.retain(|table| restored.contains(table));
    // large objects belong to no table
    chosen.unread().filter(|_| !chosen.uncounted.is_empty())
}

/// True where the archive, as it was read, is what its manifest says.
fn is_what_was_backed_up(
    prepared: &PreparedRestore,
    archived: &Summary,
    cancel: &Cancel,
) -> Result<bool> {
    let Located::Stored { storage, entry } = prepared.selected else {
        return Ok(false);
    };
    let claimed = read_manifest(storage.as_ref(), entry, cancel).and_then(|manifest| {
        let detail =
            manifest.map(|manifest| manifest_details::detail(manifest, &entry.id, prepared.keys));
        Ok(detail.transpose()?.flatten())
    });
    cancel.check()?;
    let claimed = claimed.ok().flatten();
    Ok(claimed.is_some_and(|claimed| {
        table_comparison::faults(&claimed, &dump_inspector::detail(archived)).is_empty()
    }))
}

fn look(
    prepared: &PreparedRestore,
    archived: &Summary,
    tools: &Tools,
    cancel: &Cancel,
) -> Result<(u64, Vec<Fault>, Vec<String>)> {
    let server = prepared.facts.server.unwrap_or(0);
    let client = prepared.client.clone().required()?;
    // beside what was restored there may be other tables, and other people's
    let alone =
        !prepared.facts.request.options.clean && !prepared.facts.request.subset.names_objects();
    let mut archived = archived.clone();
    let mut only = Vec::new();
    if !alone {
        let restored = prepared.facts.tables_with_rows();
        keep(&mut archived, &restored);
        if archived.tables.len() <= NAMED {
            only.extend(archived.tables.iter().map(|data| data.table.clone()));
        }
        if archived.tables.is_empty() {
            return Ok((0, Vec::new(), Vec::new()));
        }
    }
    let redump = redump::dump(&archived, &client, server, &only, tools, cancel)?;
    let rights = rights_that_differ(prepared, redump.toc.as_deref());
    let mut restored = *redump.summary;
    if !alone {
        let names = archived
            .tables
            .iter()
            .map(|data| data.table.clone())
            .collect();
        keep(&mut restored, &names);
    }
    let mut comparison = compare::compare(&archived, &restored);
    for reordered in std::mem::take(&mut comparison.reordered) {
        let counted = redump::count(&reordered, &archived, &client)?;
        comparison.add(&reordered, &counted);
    }
    if let Some(doubt) = comparison.doubt(&archived) {
        log::warn!("{doubt}");
        comparison.tables -= comparison.unsure.len() as u64;
    }
    for note in &comparison.notes {
        log::info!("{}", printable(note));
    }
    Ok((comparison.tables, comparison.faults, rights))
}

/// What of the rights in the target is not as in the backup, where they were to be restored.
fn rights_that_differ(prepared: &PreparedRestore, restored: Option<&Toc>) -> Vec<String> {
    let facts = &prepared.facts;
    let options = &facts.request.options;
    match (facts.toc.as_deref(), restored) {
        // rights are told beside those that the owner has
        (Some(archived), Some(restored)) if !(options.no_owner || options.no_privileges) => {
            rights_comparison::differences(archived, &|id| facts.selection.holds(id), restored)
        }
        _ => Vec::new(),
    }
}

/// Keeps these tables, and forgets the large objects, which belong to none.
fn keep(summary: &mut Summary, names: &BTreeSet<TableName>) {
    summary.tables.retain(|data| names.contains(&data.table));
    summary.uncounted.retain(|table| names.contains(table));
    summary.large_objects = None;
}

fn differs(prepared: &PreparedRestore, faults: &[Fault]) -> Error {
    let faults: Vec<String> = faults.iter().map(Fault::to_string).collect();
    Error::damaged(format!(
        "{} was restored, and does not hold what the backup does: {}",
        prepared.facts.request.session.shown(),
        some(&faults)
    ))
}

fn differ_in_rights(prepared: &PreparedRestore, rights: &[String]) -> Error {
    Error::damaged(format!(
        "{} was restored with all rows, and its rights are not those of the backup: {}",
        prepared.facts.request.session.shown(),
        some(rights)
    ))
    .hint(
        "event triggers of others, or default privileges of a role that the login may not act for, hand out rights on what is made: \
         see psql's \\dy and \\ddp, and set those objects right by GRANT and REVOKE",
    )
}

/// The first few of them.
fn some(all: &[String]) -> String {
    let mut told: Vec<String> = all.iter().take(TOLD).cloned().collect();
    if all.len() > TOLD {
        told.push(format!("and {} more", all.len() - TOLD));
    }
    told.join("; ")
}
