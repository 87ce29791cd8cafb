//! What `restore` prints.

use crate::config::duration;
use crate::operation::restore::{Preview, Restored};
use crate::progress::human_bytes;
use crate::stream::sniff::Content;
use serde_json::{Value, json};
use std::time::Duration;

/// The line of a restore that ended well.
pub fn restore_text(database: &str, from: &str, restored: &Restored, took: Duration) -> String {
    let (bytes, took) = (restored.plain_bytes, duration::display(took));
    format!("{database}\tok\t{bytes}\t{from}\t{took}")
}

/// The same as a JSON object.
pub fn restore_json(database: &str, from: &str, restored: &Restored, took: Duration) -> Value {
    json!({
        "type": "summary",
        "database": database,
        "target": restored.target,
        "created": restored.created,
        "from": from,
        "content": content(restored.content),
        "label": restored.label,
        "plain_bytes": restored.plain_bytes,
        "compared_tables": restored.compared,
        "left_out": restored.left_out,
        "duration": duration::display(took),
        "duration_seconds": took.as_secs_f64(),
    })
}

fn content(content: Content) -> &'static str {
    match content {
        Content::Sql => "sql",
        _ => "archive",
    }
}

/// What `restore --dry-run` would do, a fact a line.
pub fn preview_text(preview: &Preview) -> String {
    let unknown = || "unknown".to_string();
    let bytes = |bytes: Option<u64>| bytes.map_or_else(unknown, human_bytes);
    let what = match (preview.creates, preview.cleans) {
        (true, _) => ", which would be created",
        (false, true) => ", from which what the backup holds would be dropped first",
        (false, false) => "",
    };
    let mut lines = vec![
        ("backup", preview.from.clone()),
        (
            "began",
            preview.started_at.map_or_else(unknown, super::rfc3339),
        ),
        (
            "size",
            format!(
                "{} stored, {} as a dump",
                bytes(preview.stored_bytes),
                bytes(preview.plain_bytes)
            ),
        ),
        ("target", format!("{}{what}", preview.target)),
    ];
    if let Some(server) = preview.server {
        lines.push(("server", format!("PostgreSQL {server}")));
    }
    if let (Some(server), Some(by)) = (&preview.dumped_server, &preview.dumped_by) {
        lines.push((
            "dumped",
            format!("from PostgreSQL {server} by pg_dump {by}"),
        ));
    }
    lines.push((
        "restored by",
        preview.pg_restore.clone().unwrap_or("psql".into()),
    ));
    if let Some(relations) = preview.relations {
        lines.push(("holds", format!("{relations} tables, views and sequences")));
    }
    lines.push((
        "if it fails",
        match preview.atomic {
            true => "everything is as before".into(),
            false => "a part of it may be in the target".into(),
        },
    ));
    if let Some(directory) = &preview.spool {
        lines.push(("needs room", format!("for the dump in {directory}")));
    }
    for (what, names) in [
        ("no such role", &preview.missing_roles),
        ("no extension", &preview.missing_extensions),
        ("left out", &preview.left_out),
    ] {
        if !names.is_empty() {
            lines.push((what, names.join(", ")));
        }
    }
    let lines = lines.into_iter();
    lines
        .map(|(what, value)| format!("{what}\t{value}\n"))
        .collect()
}

/// The same as a JSON object.
pub fn preview_json(database: &str, preview: &Preview) -> Value {
    json!({
        "type": "summary",
        "dry_run": true,
        "database": database,
        "target": preview.target,
        "from": preview.from,
        "started_at": preview.started_at.map(super::rfc3339),
        "content": content(preview.content),
        "stored_bytes": preview.stored_bytes,
        "plain_bytes": preview.plain_bytes,
        "creates": preview.creates,
        "cleans": preview.cleans,
        "atomic": preview.atomic,
        "server_major": preview.server,
        "dumped_server_version": preview.dumped_server,
        "pg_dump_version": preview.dumped_by,
        "pg_restore": preview.pg_restore,
        "relations": preview.relations,
        "missing_roles": preview.missing_roles,
        "missing_extensions": preview.missing_extensions,
        "left_out": preview.left_out,
        "spool": preview.spool,
    })
}
