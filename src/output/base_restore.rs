//! What `restore` of a cluster prints: what is where now, and the commands that are left to type.

use crate::operation::base_restore::RestoredBase;
use crate::text::duration;
use crate::text::human::human_bytes;
use crate::text::shell::word;
use serde_json::{Value, json};
use std::time::Duration;

/// The document of `restore --to-dir --json`.
pub fn base_restore_json(restored: &RestoredBase, dry_run: bool, took: Duration) -> Value {
    let tablespaces: Vec<Value> = restored
        .tablespaces
        .iter()
        .map(|(oid, path)| json!({ "oid": oid, "directory": path }))
        .collect();
    json!({
        "type": "summary",
        "from": restored.id.to_string(),
        "dry_run": dry_run,
        "directory": restored.directory,
        "chain": restored.chain,
        "bytes": restored.bytes,
        "server_version": restored.server_version,
        "tablespaces": tablespaces,
        "configuration": restored.configuration.iter().map(|(path, _)| path).collect::<Vec<_>>(),
        "damaged_pages": restored.damaged_pages,
        "duration": duration::display(took),
        "duration_seconds": took.as_secs_f64(),
    })
}

/// What was done, or would be, and what to do next.
pub fn base_restore_text(restored: &RestoredBase, dry_run: bool, took: Duration) -> String {
    let directory = restored.directory.display().to_string();
    let from = match restored.chain {
        1 => restored.id.to_string(),
        count => format!("{} and the {} backups before it", restored.id, count - 1),
    };
    let size = human_bytes(restored.bytes);
    let mut text = match dry_run {
        true => format!("would restore {from} ({size}) into {directory}\n"),
        false => format!(
            "restored {from} ({size}) into {directory} in {}\n",
            duration::display(took)
        ),
    };
    for (oid, path) in &restored.tablespaces {
        text.push_str(&format!("  tablespace {oid} in {}\n", path.display()));
    }
    for (path, before) in &restored.configuration {
        text.push_str(&format!(
            "  {before} lay elsewhere; its copy is {}\n",
            path.display()
        ));
    }
    if dry_run {
        return text;
    }
    let major = restored
        .server_version
        .split('.')
        .next()
        .unwrap_or_default();
    text.push_str(&format!(
        "\nIt archives nothing and follows no other server (postgresql.auto.conf) until you say so. To start it with\n\
         PostgreSQL {major}, as the user that owns it:\n\n  pg_ctl -D {} -w start\n",
        word(&directory)
    ));
    text
}
