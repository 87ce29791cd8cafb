//! What `list` prints: a row for each backup, and what each storage holds.

use super::error::error_json;
use super::look::Look;
use crate::format::encoding::Codec;
use crate::operation::list::{Holding, ListedBackup, ListedBackups, ListedCopy, ListedFragment};
use crate::repository::check_records::{Check, CheckOutcome};
use crate::repository::listing::Fragment;
use crate::repository::source_kind::SourceKind;
use crate::text::duration;
use crate::text::human::{human_age, human_bytes};
use crate::text::rfc3339;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::time::Duration;

/// The document of `list --json`.
pub fn list_json(listed: &ListedBackups) -> Value {
    let backups: Vec<Value> = listed.backups.iter().map(backup_json).collect();
    let storages: Vec<Value> = listed.storages.iter().map(holding_json).collect();
    let fragments = listed.fragments.iter();
    let others: Vec<Value> = fragments.map(fragment_json).collect();
    json!({ "backups": backups, "older": listed.older, "others": others, "storages": storages })
}

fn fragment_json(listed: &ListedFragment) -> Value {
    json!({
        "id": listed.fragment.id.to_string(),
        "storage": listed.storage,
        "kind": null,
        "bytes": listed.fragment.bytes,
    })
}

fn backup_json(listed: &ListedBackup) -> Value {
    let entry = listed.entry();
    let copies: Vec<Value> = listed.copies.iter().map(copy_json).collect();
    let mut backup = json!({
        "id": entry.id.to_string(),
        "database": entry.id.database,
        "started_at": rfc3339::precise(entry.id.timestamp.moment()),
        "storage": listed.copies[0].storage,
        "key": entry.archive_key(),
        "location": listed.copies[0].location,
        "kind": entry.kind,
        "bytes": entry.total_bytes(),
        "compression": entry.encoding.codec.word(),
        "gzip": entry.encoding.codec == Codec::Gzip,
        "encrypted": entry.encoding.cipher.is_encrypted(),
        "manifest": entry.has_manifest,
        "pinned": listed.is_pinned(),
        "unfinished": entry.is_unfinished(),
        "verified": listed.check().map(check_json),
        "copies": copies,
    });
    if let Some(manifest) = &listed.manifest {
        let objects = manifest.objects();
        let plain_bytes: u64 = objects.iter().map(|object| object.plain_bytes).sum();
        backup["plain_bytes"] = plain_bytes.into();
        if let Some(parent) = manifest.parent() {
            backup["parent"] = parent.into();
        }
        if let Some(cluster) = manifest.cluster() {
            backup["timeline"] = cluster.timeline.into();
            backup["start_lsn"] = cluster.start_lsn.clone().into();
            backup["stop_lsn"] = cluster.stop_lsn.clone().into();
            backup["damaged_pages"] = cluster.damaged_pages.into();
            backup["cluster_bytes"] = json!(cluster.bytes);
        }
        backup["partial"] = manifest.is_partial().into();
        if let [only] = objects.as_slice() {
            backup["sha256"] = only.sha256.clone().into();
        }
        backup["finished_at"] = rfc3339::precise(manifest.finished_at).into();
        backup["duration_seconds"] = took(manifest.started_at, manifest.finished_at)
            .as_secs_f64()
            .into();
        backup["server_version"] = json!(manifest.server_version());
    }
    backup
}

fn copy_json(copy: &ListedCopy) -> Value {
    json!({
        "storage": copy.storage,
        "location": copy.location,
        "bytes": copy.entry.total_bytes(),
        "manifest": copy.entry.has_manifest,
        "pinned": copy.entry.pinned,
        "damaged": copy.damaged,
        "verified": copy.check.as_ref().map(check_json),
    })
}

fn check_json(check: &Check) -> Value {
    json!({
        "at": rfc3339::precise(check.at),
        "level": check.level.name(),
        "result": check.result.name(),
    })
}

fn holding_json(holding: &Holding) -> Value {
    match &holding.total {
        Ok(total) => json!({
            "storage": holding.storage,
            "status": "ok",
            "backups": total.backups,
            "bytes": total.bytes,
            "oldest": total.oldest.map(rfc3339::precise),
        }),
        Err(error) => json!({
            "storage": holding.storage,
            "status": "failed",
            "error": error_json(error),
        }),
    }
}

/// The table of `list`, and below it one of the storages. `now` is for the ages.
pub fn list_text(listed: &ListedBackups, now: DateTime<Utc>, look: Look) -> String {
    let header = [
        "BACKUP", "AGE", "SIZE", "RATIO", "TOOK", "KIND", "VERIFIED", "STORAGE",
    ];
    let mut rows = vec![header.map(String::from)];
    rows.extend(listed.backups.iter().map(|backup| row(backup, now)));
    let fragments = listed.fragments.iter();
    rows.extend(fragments.map(|listed| fragment_row(listed, now)));
    let header = ["STORAGE", "BACKUPS", "SIZE", "OLDEST"];
    let mut storages = vec![header.map(String::from)];
    storages.extend(listed.storages.iter().map(holding_row));
    format!("{}\n{}", look.table(&rows), look.table(&storages))
}

fn row(backup: &ListedBackup, now: DateTime<Utc>) -> [String; 8] {
    let entry = backup.entry();
    let manifest = backup.manifest.as_ref();
    let unknown = || "-".to_string();
    let suffixes = entry.encoding.to_string();
    let mut kind = match suffixes.strip_prefix('.') {
        Some(suffixes) => suffixes.replace('.', "+"),
        None => "plain".into(),
    };
    match entry.kind {
        SourceKind::Dump => {}
        SourceKind::FullCluster | SourceKind::FullFiles => kind.insert_str(0, "full "),
        SourceKind::IncrementalCluster | SourceKind::IncrementalFiles => {
            kind.insert_str(0, "incr ");
        }
    }
    if manifest.is_some_and(|manifest| manifest.damaged_pages() > 0) {
        kind.push_str(" damaged-pages");
    }
    if manifest.is_some_and(|manifest| manifest.is_partial()) {
        kind.push_str(" partial");
    }
    if backup.is_pinned() {
        kind.push_str(" pinned");
    }
    if backup.copies.iter().any(|copy| copy.damaged) {
        kind.push_str(" damaged");
    }
    if entry.is_unfinished() {
        kind.push_str(" unfinished");
    }
    let storages: Vec<&str> = backup.copies.iter().map(|copy| &*copy.storage).collect();
    [
        entry.id.to_string(),
        human_age(now - entry.id.timestamp.moment()),
        human_bytes(entry.total_bytes()),
        manifest
            .filter(|_| entry.bytes > 0)
            .map_or_else(unknown, |manifest| {
                let objects = manifest.objects();
                let plain: u64 = objects.iter().map(|object| object.plain_bytes).sum();
                format!("{:.1}", plain as f64 / entry.total_bytes() as f64)
            }),
        manifest.map_or_else(unknown, |manifest| {
            duration::display(took(manifest.started_at, manifest.finished_at))
        }),
        kind,
        backup
            .check()
            .map_or_else(unknown, |check| verified(check, now)),
        storages.join(","),
    ]
}

/// What may be a part of a backup, of which no more is known than its names tell.
fn fragment_row(listed: &ListedFragment, now: DateTime<Utc>) -> [String; 8] {
    let unknown = || "-".to_string();
    let Fragment { id, bytes } = &listed.fragment;
    [
        id.to_string(),
        human_age(now - id.timestamp.moment()),
        human_bytes(*bytes),
        unknown(),
        unknown(),
        "fragment".into(),
        unknown(),
        listed.storage.clone(),
    ]
}

/// `full 3d 4h ago`, and before it whatever it is but good.
fn verified(check: &Check, now: DateTime<Utc>) -> String {
    let when = format!("{} {} ago", check.level, human_age(now - check.at));
    match check.result {
        CheckOutcome::Good => when,
        other => format!("{}: {when}", other.name()),
    }
}

fn holding_row(holding: &Holding) -> [String; 4] {
    let name = holding.storage.clone();
    match &holding.total {
        Ok(total) => [
            name,
            total.backups.to_string(),
            human_bytes(total.bytes),
            total
                .oldest
                .map_or_else(|| "-".to_string(), rfc3339::second),
        ],
        Err(_) => [name, "?".into(), "?".into(), "?".into()],
    }
}

fn took(started: DateTime<Utc>, finished: DateTime<Utc>) -> Duration {
    (finished - started).to_std().unwrap_or_default()
}
