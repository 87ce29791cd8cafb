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
    let mut options = format!("-c data_directory={directory}");
    let copies = restored.configuration.iter().filter_map(|(path, _)| {
        let setting = match path.file_name()?.to_str()? {
            "postgresql.conf" => "config_file",
            "pg_hba.conf" => "hba_file",
            "pg_ident.conf" => "ident_file",
            _ => return None,
        };
        Some(format!(" -c {setting}={}", path.display()))
    });
    options.extend(copies);
    text.push_str(&format!(
        "\nIt archives nothing, follows and subscribes to no other server and runs no jobs of pg_cron until the lines of backupkit\n\
         in postgresql.auto.conf are removed; its history is its own from the start on. To start it with PostgreSQL {major},\n\
         as the user that owns it:\n\n  pg_ctl -D {} -o {} -w start\n",
        word(&directory),
        word(&options)
    ));
    text
}
