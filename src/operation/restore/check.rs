//! What is in the target after a restore, compared with what was read from the archive.

use super::plan::Plan;
use crate::cancel::Cancel;
use crate::catalog::proof::Fault;
use crate::error::{Error, Result};
use crate::operation::drill::{again, compare};
use crate::postgres::archive::{Summary, TableName};
use crate::postgres::tools::Tools;
use std::collections::BTreeSet;

/// So many tables are dumped by name; more would be too much for the arguments of a program.
const NAMED: usize = 100;
/// So many differences are told.
const TOLD: usize = 5;

/// Dumps what was restored once more and compares it, table by table, with `archived`. Returns how many tables were
/// compared; none where that could not be done, which does not undo the restore.
pub(super) fn run(
    plan: &Plan,
    archived: &Summary,
    tools: &Tools,
    cancel: &Cancel,
) -> Result<Option<u64>> {
    let subset = &plan.job.subset;
    if subset.data_only || subset.schema_only {
        log::info!("a part of the backup is restored, so it is not compared with the whole");
        return Ok(None);
    }
    match look(plan, archived, tools, cancel) {
        Ok((tables, faults)) if faults.is_empty() => Ok(Some(tables)),
        Ok((_, faults)) => Err(differs(plan, &faults)),
        Err(error) => {
            cancel.check()?;
            let shown = plan.job.session.shown();
            log::warn!(
                "{shown} is restored, but cannot be compared with the backup: {}",
                error.report()
            );
            Ok(None)
        }
    }
}

fn look(
    plan: &Plan,
    archived: &Summary,
    tools: &Tools,
    cancel: &Cancel,
) -> Result<(u64, Vec<Fault>)> {
    let psql = tools.need_psql(cancel)?;
    let server = plan.server.unwrap_or(0);
    let session = &plan.job.session;
    // beside what was restored there may be other tables, and other people's
    let alone = !plan.job.options.clean && !plan.job.subset.names_objects();
    let mut archived = archived.clone();
    let mut only = Vec::new();
    if !alone {
        let restored = plan.tables_with_rows();
        keep(&mut archived, &restored);
        if archived.tables.len() <= NAMED {
            only.extend(archived.tables.iter().map(|data| data.table.clone()));
        }
        if archived.tables.is_empty() {
            return Ok((0, Vec::new()));
        }
    }
    let mut restored = *again::dump(&archived, session, server, &only, tools, cancel)?;
    if !alone {
        let names = archived
            .tables
            .iter()
            .map(|data| data.table.clone())
            .collect();
        keep(&mut restored, &names);
    }
    let mut comparison = compare::compare(&archived, &restored);
    for reordered in comparison.reordered.drain(..) {
        let counted = again::count(&reordered, &archived, &psql, session, cancel)?;
        comparison.faults.extend(reordered.fault(&counted));
    }
    for note in &comparison.notes {
        log::info!("{note}");
    }
    Ok((comparison.tables, comparison.faults))
}

/// Keeps these tables, and forgets the large objects, which belong to none.
fn keep(summary: &mut Summary, names: &BTreeSet<TableName>) {
    summary.tables.retain(|data| names.contains(&data.table));
    summary.uncounted.retain(|table| names.contains(table));
    summary.large_objects = None;
}

fn differs(plan: &Plan, faults: &[Fault]) -> Error {
    let mut told: Vec<String> = faults.iter().take(TOLD).map(Fault::to_string).collect();
    if faults.len() > TOLD {
        told.push(format!("and {} more", faults.len() - TOLD));
    }
    Error::damaged(format!(
        "{} was restored, and does not hold what the backup does: {}",
        plan.job.session.shown(),
        told.join("; ")
    ))
    .hint("if other sessions or triggers write to it, that is why; else restore it anew, or an older backup")
}
