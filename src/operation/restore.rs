//! `restore`: one copy of a backup into a database. What came back and was found to be the same is the best proof of a
//! backup that there is, and is written down beside it.

use super::verify::record::{self, Recording};
use crate::cancel::Cancel;
use crate::error::Result;
use crate::postgres::tools::Tools;
use crate::repository::check_records::CheckLevel;
use crate::repository::evidence::Evidence;
use crate::repository::open::CopyToOpen;
use crate::source::logical::restore::{self, RestoreReport, RestoreRequest};
use chrono::{DateTime, Utc};
use std::time::{Duration, Instant};

/// Restores the copy as `request` says. Fails where the target differs from the backup afterwards; it stands all the same.
/// With `sealed`, what is written down of it is sealed whether the archive is or not.
pub fn run(
    copy: &CopyToOpen,
    sealed: bool,
    request: &RestoreRequest,
    tools: &Tools,
    cancel: &Cancel,
) -> Result<RestoreReport> {
    let (at, began) = (Utc::now(), Instant::now());
    let mut report = restore::run(copy.copy, copy.keys, copy.rules, request, tools, cancel)?;
    if let Some(differs) = report.differs.take() {
        return Err(differs);
    }
    if let (Some(tables), true) = (report.compared, report.is_proof) {
        let recording = Recording {
            copy: copy.copy,
            keys: copy.keys,
            sealed,
        };
        record_proof(&recording, tables, (at, began.elapsed()), cancel);
    }
    Ok(report)
}

/// Writes down beside the backup that it has restored and was found to be the same, as a drill does: there is no better
/// proof. Who only may read there still has the restore.
fn record_proof(
    recording: &Recording,
    tables: u64,
    (at, took): (DateTime<Utc>, Duration),
    cancel: &Cancel,
) {
    let evidence = Evidence {
        tables: Some(tables),
        restore_seconds: Some(took.as_secs_f64()),
        ..Evidence::default()
    };
    let (level, result) = (CheckLevel::Restore, Ok(evidence));
    if let Err(error) = record::write(recording, level, &result, (at, took), cancel) {
        log::debug!("the restore is not recorded: {}", error.chain());
    }
}
