//! What `restore` prints.

use super::look::Look;
use crate::format::sniff::Content;
use crate::source::logical::restore::{RestorePreview, RestoreReport};
use crate::text::duration;
use crate::text::escape::printable;
use crate::text::human::human_bytes;
use crate::text::rfc3339;
use serde_json::{Value, json};
use std::time::Duration;

/// So many names are on one line.
const NAMED: usize = 20;

/// The line of a restore that ended well.
pub fn restore_text(
    database: &str,
    from: &str,
    restored: &RestoreReport,
    took: Duration,
    look: Look,
) -> String {
    let (bytes, took) = (look.bytes(restored.plain_bytes), duration::display(took));
    look.line(&[database, "ok", &bytes, from, &took])
}

/// The document of `restore --json`.
pub fn restore_json(database: &str, from: &str, restored: &RestoreReport, took: Duration) -> Value {
    json!({
        "type": "summary",
        "database": database,
        "target": restored.target,
        "created": restored.created,
        "owner": restored.owner,
        "from": from,
        "content": content(restored.content),
        "label": restored.label,
        "plain_bytes": restored.plain_bytes,
        "compared_tables": restored.compared,
        "not_compared": restored.unread,
        "left_out": restored.left_out,
        "broken_keys": restored.broken_keys,
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
pub fn preview_text(preview: &RestorePreview) -> String {
    let unknown = || "unknown".to_string();
    let bytes = |bytes: Option<u64>| bytes.map_or_else(unknown, human_bytes);
    let firing: Vec<String> = preview.firing.iter().map(ToString::to_string).collect();
    let mut lines = vec![
        ("backup", preview.from.clone()),
        (
            "began",
            preview.started_at.map_or_else(unknown, rfc3339::second),
        ),
        (
            "size",
            format!(
                "{} stored, {} as a dump",
                bytes(preview.stored_bytes),
                bytes(preview.plain_bytes)
            ),
        ),
        (
            "target",
            format!("{}{}", preview.target, of_target(preview)),
        ),
        ("logs in as", preview.login.clone()),
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
    if preview.cleans {
        let dropped = preview.drops.as_deref();
        lines.push((
            "drops",
            dropped.map_or_else(unknown, |names| counted(names, "nothing that is there")),
        ));
    }
    if let Some(relations) = &preview.relations {
        lines.push(("restores", counted(relations, "no table, view or sequence")));
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
        ("replaced too", &preview.taken_along),
        ("left out", &preview.left_out),
        ("may fail at", &preview.doubts),
        ("not looked at", &preview.not_looked_at),
        ("off meanwhile", &preview.set_aside),
        ("not off", &firing),
        ("set meanwhile", &preview.lent_settings),
    ] {
        if !names.is_empty() {
            lines.push((what, names.join(", ")));
        }
    }
    lines.push((
        "outcome",
        match &preview.refusal {
            None => "nothing speaks against it".into(),
            Some(refusal) => format!("refused, with status {}", refusal.kind().exit_status()),
        },
    ));
    let lines = lines.into_iter();
    lines
        .map(|(what, value)| format!("{what:14}{}\n", printable(&value)))
        .collect()
}

/// What is said of the target after its name.
fn of_target(preview: &RestorePreview) -> String {
    match (preview.creates, &preview.leftover, &preview.owner) {
        (true, Some(_), _) => {
            ", which a restore left behind and would be dropped and created anew".into()
        }
        (true, None, Some(owner)) => format!(", which would be created and belong to {owner}"),
        (true, None, None) => ", which would be created".into(),
        (false, ..) => String::new(),
    }
}

/// How many there are, and the first of them.
fn counted(names: &[String], none: &str) -> String {
    let first = names.iter().take(NAMED).cloned().collect::<Vec<_>>();
    match names.len() {
        0 => none.into(),
        1 => first.join(", "),
        count if count > NAMED => format!(
            "{count} tables, views and sequences: {} and {} more (--json names all)",
            first.join(", "),
            count - NAMED
        ),
        count => format!("{count} tables, views and sequences: {}", first.join(", ")),
    }
}

/// The document of `restore --dry-run --json`. One that would be refused is not the last: the error follows.
pub fn preview_json(database: &str, preview: &RestorePreview) -> Value {
    let firing = preview.firing.iter().map(|trigger| &trigger.name);
    json!({
        "type": if preview.refusal.is_none() { "summary" } else { "preview" },
        "dry_run": true,
        "database": database,
        "target": preview.target,
        "login": preview.login,
        "from": preview.from,
        "started_at": preview.started_at.map(rfc3339::precise),
        "content": content(preview.content),
        "stored_bytes": preview.stored_bytes,
        "plain_bytes": preview.plain_bytes,
        "creates": preview.creates,
        "owner": preview.owner,
        "leftover": preview.leftover,
        "cleans": preview.cleans,
        "drops": preview.drops,
        "atomic": preview.atomic,
        "server_major": preview.server,
        "dumped_server_version": preview.dumped_server,
        "pg_dump_version": preview.dumped_by,
        "pg_restore": preview.pg_restore,
        "relations": preview.relations.as_ref().map(Vec::len),
        "tables": preview.relations,
        "taken_along": preview.taken_along,
        "missing_roles": preview.missing_roles,
        "missing_extensions": preview.missing_extensions,
        "left_out": preview.left_out,
        "may_fail_at": preview.doubts,
        "not_looked_at": preview.not_looked_at,
        "set_aside": preview.set_aside,
        "set_meanwhile": preview.lent_settings,
        "event_triggers": firing.collect::<Vec<_>>(),
        "spool": preview.spool,
        "refused": preview.refusal.as_ref().map(|refusal| json!({
            "kind": refusal.kind().name(),
            "exit_status": refusal.kind().exit_status(),
            "message": refusal.chain(),
        })),
    })
}
