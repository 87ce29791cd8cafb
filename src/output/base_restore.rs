//! What `restore` of a cluster prints: what is where now, and the commands that are left to type.

use crate::operation::base_restore::RestoredBase;
use crate::operation::base_restore::recovery::{Recovery, RecoveryTarget};
use crate::source::physical::restore::settings::Becomes;
use crate::text::duration;
use crate::text::escape::printable;
use crate::text::human::human_bytes;
use crate::text::rfc3339;
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
    let rooms: Vec<Value> = restored
        .rooms
        .iter()
        .map(|room| json!({ "directory": room.directory, "needed_bytes": room.needed, "free_bytes": room.free }))
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
        "wal_directory": restored.wal,
        "standby": restored.becomes == Becomes::Standby,
        "started": restored.started.is_some(),
        "log": restored.started,
        "rooms": rooms,
        "configuration": restored.configuration.iter().map(|(path, _)| path).collect::<Vec<_>>(),
        "damaged_pages": restored.damaged_pages,
        "recovery": restored.recovery.as_ref().map(recovery_json),
        "reached": restored.reached.as_ref().map(|reached| json!({
            "timeline": reached.timeline,
            "lsn": reached.lsn.to_string(),
            "why": reached.why,
        })),
        "duration": duration::display(took),
        "duration_seconds": took.as_secs_f64(),
    })
}

fn recovery_json(recovery: &Recovery) -> Value {
    let coverage = &recovery.coverage;
    json!({
        "target": described(&recovery.target),
        "timeline": recovery.timeline,
        "first_segment": coverage.first.to_string(),
        "last_segment": coverage.last.map(|last| last.to_string()),
        "missing_segment": coverage.hole.map(|(missing, _)| missing.to_string()),
        "last_commit": recovery.last_commit.map(rfc3339::precise),
    })
}

/// Where a recovery goes, in words.
fn described(target: &RecoveryTarget) -> String {
    match target {
        RecoveryTarget::End => "the end of what is archived".to_string(),
        RecoveryTarget::Time(time) => rfc3339::precise(*time),
        RecoveryTarget::Lsn(lsn) => format!("the place {lsn} in the WAL"),
        RecoveryTarget::Transaction(id) => format!("the transaction {id}"),
        RecoveryTarget::Named(name) => format!("the restore point {}", printable(name)),
        RecoveryTarget::Immediate => "the end of the backup".to_string(),
    }
}

/// Where it goes on to from the backup.
fn recovery_text(recovery: &Recovery) -> String {
    let coverage = &recovery.coverage;
    let to = described(&recovery.target);
    let mut text = format!(
        "  goes on by archived WAL of timeline {} to {to}",
        recovery.timeline
    );
    if recovery.asked != recovery.target {
        text.push_str(&format!(
            ", which was written after {}: nothing was committed in between",
            described(&recovery.asked)
        ));
    }
    if let Some(last) = coverage.last {
        text.push_str(&format!("\n  archived are {} to {last}", coverage.first));
    }
    match recovery.last_commit {
        Some(last) => text.push_str(&format!(
            ", the last commit in them at {}\n",
            rfc3339::precise(last)
        )),
        None => text.push('\n'),
    }
    if let Some((missing, next)) = coverage.hole {
        text.push_str(&format!(
            "  {missing} is on no storage, and {next} is: what comes after is out of reach\n"
        ));
    }
    text
}

/// What was done, or would be, and what to do next.
pub fn base_restore_text(restored: &RestoredBase, dry_run: bool, took: Duration) -> String {
    let directory = restored.directory.display().to_string();
    let from = match restored.chain {
        1 => restored.id.to_string(),
        2 => format!("{} and the backup before it", restored.id),
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
    if let Some(wal) = &restored.wal {
        text.push_str(&format!("  WAL in {}\n", wal.display()));
    }
    for (path, before) in &restored.configuration {
        text.push_str(&format!(
            "  {before} lay elsewhere; its copy is {}\n",
            path.display()
        ));
    }
    if let Some(recovery) = &restored.recovery {
        text.push_str(&recovery_text(recovery));
    }
    if dry_run {
        for room in &restored.rooms {
            text.push_str(&format!(
                "  takes {} of the {} that are free in {}\n",
                human_bytes(room.needed),
                human_bytes(room.free),
                room.directory.display()
            ));
        }
        return text;
    }
    text.push_str(match restored.becomes {
        Becomes::Primary => {
            "\nIt archives nothing, follows and subscribes to no other server and runs no jobs of pg_cron until the lines of backupkit\n\
             in postgresql.auto.conf are removed, but those that say that they stay; its history is its own from the start on.\n"
        }
        Becomes::Standby => {
            "\nIt is a standby, and follows whom primary_conninfo names: see that it is the right one, in postgresql.auto.conf. It archives\n\
             nothing and runs no jobs of pg_cron until the lines of backupkit there are removed, but those that say that they stay.\n"
        }
    });
    if let Some(reached) = &restored.reached {
        text.push_str(&format!(
            "The recovery ended at {} ({}), where timeline {} begins.\n",
            reached.lsn,
            printable(&reached.why),
            reached.timeline
        ));
    }
    match &restored.started {
        Some(log) => text.push_str(&format!(
            "Its server was started and {}; what it said is in {}.\n",
            match restored.becomes {
                Becomes::Primary => "has recovered",
                Becomes::Standby =>
                    "is a standby, which can be read from unless hot_standby is off",
            },
            log.display()
        )),
        None => {
            let major = restored.server_version.split('.').next();
            text.push_str(&format!(
                "To start it with PostgreSQL {}, as the user that owns it:\n\n  pg_ctl -D {} -w start\n",
                major.unwrap_or_default(),
                word(&directory)
            ));
        }
    }
    text
}
