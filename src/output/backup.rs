//! What `backup` prints: a line for each database, or an event for each and one of all.

use super::error::error_json;
use super::look::Look;
use super::prune::summary_json;
use crate::error::Result;
use crate::operation::backup::StoredBackup;
use crate::operation::prune::outcome::PruneOutcome;
use crate::repository::copies::StoredCopy;
use crate::text::duration;
use crate::text::rfc3339;
use serde_json::{Value, json};
use std::time::Duration;

/// The line of one database of `backup`. With several storages a field for each of them follows.
pub fn backup_text(
    database: &str,
    result: &Result<StoredBackup>,
    took: Duration,
    look: Look,
) -> String {
    let took = duration::display(took);
    let status = backup_status(result);
    let Ok(stored) = result else {
        return look.line(&[database, status, "0", "-", &took]);
    };
    let bytes = look.bytes(stored.manifest.bytes());
    let mut line = vec![database, status, &bytes, stored.destination(), &took];
    if stored.copies.len() > 1 {
        let copies = stored.copies.iter();
        line.extend(copies.map(|copy| copy.result.as_deref().unwrap_or("-")));
    }
    look.line(&line)
}

fn backup_status(result: &Result<StoredBackup>) -> &'static str {
    match result {
        Ok(stored) if stored.is_everywhere() => "ok",
        Ok(_) => "degraded",
        Err(_) => "failed",
    }
}

/// The event of one database of `backup --json`. `retention` is what it did on the storage of each copy, if anything.
pub fn backup_json(
    database: &str,
    result: &Result<StoredBackup>,
    retention: &[Option<PruneOutcome>],
    took: Duration,
) -> Value {
    let mut event = json!({
        "type": "backup",
        "database": database,
        "status": backup_status(result),
        "duration": duration::display(took),
        "duration_seconds": took.as_secs_f64(),
    });
    match result {
        Ok(stored) => {
            let manifest = &stored.manifest;
            event["destination"] = stored.destination().into();
            if let Some(part) = manifest.dump() {
                event["key"] = part.archive.key.clone().into();
                event["bytes"] = part.archive.bytes.into();
                event["sha256"] = part.archive.sha256.clone().into();
                event["plain_bytes"] = part.dump.bytes.into();
                event["compression"] = part.pipeline.compression.clone().into();
                event["encryption"] = part.pipeline.encryption.clone().into();
            }
            event["partial"] = manifest.is_partial().into();
            event["started_at"] = rfc3339::precise(manifest.started_at).into();
            event["finished_at"] = rfc3339::precise(manifest.finished_at).into();
            event["warnings"] = json!(stored.warnings);
        }
        Err(error) => event["error"] = error_json(error),
    }
    if let Ok(stored) = result {
        let retention = retention.iter().map(Option::as_ref);
        let retention = retention.chain(std::iter::repeat(None));
        let copies = stored.copies.iter().zip(retention);
        event["copies"] = copies
            .map(|(copy, retention)| copy_json(copy, retention))
            .collect();
    }
    event
}

fn copy_json(copy: &StoredCopy, retention: Option<&PruneOutcome>) -> Value {
    let mut object = match &copy.result {
        Ok(destination) => json!({ "status": "ok", "destination": destination }),
        Err(error) => json!({ "status": "failed", "error": error_json(error) }),
    };
    object["storage"] = copy.storage.clone().into();
    if let Some(retention) = retention {
        object["retention"] = summary_json(retention);
    }
    object
}

/// The last line of `backup --json`.
pub fn backup_summary(
    ok: usize,
    failed: usize,
    missing_copies: usize,
    bytes: u64,
    took: Duration,
) -> Value {
    json!({
        "type": "summary",
        "ok": ok,
        "failed": failed,
        "missing_copies": missing_copies,
        "bytes": bytes,
        "duration": duration::display(took),
        "duration_seconds": took.as_secs_f64(),
    })
}
