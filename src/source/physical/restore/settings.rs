//! What a restored cluster is told before it starts.

use super::unpack::create_file;
use crate::error::{Doing, Result};
use crate::files::regular;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What each line overrides stands in the configuration of its origin, or may.
const UNTIL_SOMEBODY_SAYS_SO: &str = "\n# Written by backupkit: what was restored neither archives, follows or subscribes to another server, nor runs jobs of pg_cron, until \
somebody removes these lines. Its log lies in its own directory.\n\
archive_mode = off\nprimary_slot_name = ''\nrecovery_end_command = ''\narchive_cleanup_command = ''\n\
external_pid_file = 'backupkit.pid'\nlog_directory = 'log'\nmax_logical_replication_workers = 0\ncron.launch_active_jobs = off\n";
/// The same, for what is to be a server of its own.
const FOLLOW_NOBODY: &str = "primary_conninfo = ''\n";
/// A server that was restored to a moment once often has that in its configuration still: the copy would look for it, and not find
/// it.
const NO_TARGET: &str = "recovery_target = ''\nrecovery_target_lsn = ''\nrecovery_target_name = ''\nrecovery_target_time = ''\nrecovery_target_xid = ''\n";
/// Up to this version statistics are written to files, for which Debian names a directory beside the server's socket.
const LAST_STATISTICS_FILES: u32 = 14;

/// What becomes of a restored cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Becomes {
    /// A server with a history of its own.
    Primary,
    /// One that follows another.
    Standby,
}

/// Switches off in `data`, of this major version, what would reach others.
pub fn keep_to_itself(data: &Path, major: u32, becomes: Becomes) -> Result<()> {
    let mut text = UNTIL_SOMEBODY_SAYS_SO.to_string();
    if becomes == Becomes::Primary {
        text.push_str(FOLLOW_NOBODY);
    }
    if major <= LAST_STATISTICS_FILES {
        text.push_str("stats_temp_directory = 'pg_stat_tmp'\n");
    }
    append(data, &text)
}

/// Has the server that starts in `data` listen at `port`.
pub fn listen_at(data: &Path, port: u16) -> Result<()> {
    append(data, &format!("port = {port}\n"))
}

/// Has the server that starts in `data` use this file for `setting`, one of those that name files.
pub fn use_file(data: &Path, setting: &str, path: &Path) -> Result<()> {
    append(data, &format!("{setting} = {}\n", quoted(path)))
}

/// Has the server that starts in `data` replay what lies in `pg_wal`, and then begin a timeline of its own after `timeline`, so that
/// its history and that of its origin are told apart; or wait for whom it follows.
pub fn recover(data: &Path, timeline: u32, becomes: Becomes) -> Result<()> {
    let signal = match becomes {
        Becomes::Primary => {
            append(data, &recovery(timeline))?;
            "recovery.signal"
        }
        Becomes::Standby => {
            append(data, NO_TARGET)?;
            // a number would keep it from following who was promoted since
            append(data, "recovery_target_timeline = 'latest'\n")?;
            "standby.signal"
        }
    };
    create_file(&data.join(signal)).map(drop)
}

/// Removes again what [`recover`] wrote for a server of its own, which has recovered.
pub fn forget_recovery(data: &Path, timeline: u32) -> Result<()> {
    let path = auto_configuration(data);
    let doing = || format!("cannot write {}", path.display());
    // its owner may be another user by now, who may have laid something else there
    let mut file = regular::open_to_change(&path).doing(doing)?;
    let mut text = Vec::new();
    file.read_to_end(&mut text).doing(doing)?;
    match text.strip_suffix(recovery(timeline).as_bytes()) {
        Some(settled) => file.set_len(settled.len() as u64).doing(doing),
        // somebody has changed it meanwhile
        None => Ok(()),
    }
}

/// There is nothing else to be asked for WAL, and nothing to wait for.
fn recovery(timeline: u32) -> String {
    format!(
        "{NO_TARGET}restore_command = 'false'\nrecovery_target_timeline = '{timeline}'\nrecovery_min_apply_delay = 0\n"
    )
}

/// A path as the value of a setting.
pub fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    format!("'{}'", path.replace('\\', "\\\\").replace('\'', "''"))
}

fn auto_configuration(data: &Path) -> PathBuf {
    data.join("postgresql.auto.conf")
}

fn append(data: &Path, text: &str) -> Result<()> {
    let path = auto_configuration(data);
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .doing(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_was_written_for_the_recovery_goes_and_the_rest_stays() {
        let data = tempfile::tempdir().unwrap();
        let auto = data.path().join("postgresql.auto.conf");
        fs::write(&auto, "work_mem = 5MB\n").unwrap();
        keep_to_itself(data.path(), 17, Becomes::Primary).unwrap();
        let settled = fs::read_to_string(&auto).unwrap();
        assert!(settled.starts_with("work_mem = 5MB\n"));
        recover(data.path(), 3, Becomes::Primary).unwrap();
        assert_ne!(fs::read_to_string(&auto).unwrap(), settled);
        assert!(data.path().join("recovery.signal").exists());
        forget_recovery(data.path(), 3).unwrap();
        assert_eq!(fs::read_to_string(&auto).unwrap(), settled);
    }

    #[test]
    fn a_path_is_a_value_whatever_is_in_it() {
        assert_eq!(quoted(Path::new("/a'b\\c")), "'/a''b\\\\c'");
    }
}
