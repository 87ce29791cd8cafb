//! What a restored cluster is told before it starts.

use super::unpack::create_file;
use super::written_settings;
use crate::error::{Doing, Result};
use crate::files::regular;
use crate::postgres::preload;
use crate::source::physical::server_facts::insisted;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What each line overrides stands in the configuration of its origin, or may.
const UNTIL_SOMEBODY_SAYS_SO: &str = "\n# Written by backupkit: what was restored neither archives, follows or subscribes to another server, nor runs jobs of pg_cron or waits for standbys, until \
somebody removes these lines, but those that say that they stay. Its log lies in its own directory.\n\
archive_mode = off\nprimary_slot_name = ''\nrecovery_end_command = ''\narchive_cleanup_command = ''\n\
external_pid_file = 'backupkit.pid'\nlog_directory = 'log'\nmax_logical_replication_workers = 0\ncron.launch_active_jobs = off\n\
synchronous_standby_names = ''\n\
citus.recover_2pc_interval = -1\ncitus.distributed_deadlock_detection_factor = -1\ncitus.defer_shard_delete_interval = -1\n";
/// Behind what the server cannot be without where it is.
const STAYS: &str = "# of this directory, stays";
/// The same, for what is to be a server of its own.
const FOLLOW_NOBODY: &str = "primary_conninfo = ''\n";
/// A server that was restored to a moment once often has that in its configuration still: the copy would look for it, and not find
/// it.
const NO_TARGET: &str = "recovery_target = ''\nrecovery_target_lsn = ''\nrecovery_target_name = ''\nrecovery_target_time = ''\nrecovery_target_xid = ''\n";
/// From this version on slots can be waited for like standbys.
const FIRST_SYNCHRONIZED_SLOTS: u32 = 17;
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

/// How a server recovers beyond its base backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoverySettings {
    /// What it runs to get a file of WAL.
    pub restore_command: String,
    /// The timeline that it recovers to.
    pub timeline: u32,
    /// The setting that says where it stops, with its value; to the end of what is archived without one.
    pub target: Option<(&'static str, String)>,
    /// What is exactly at the target is left out.
    pub is_exclusive: bool,
}

impl RecoverySettings {
    fn lines(&self) -> String {
        let mut text = format!(
            "restore_command = {}\nrecovery_target_timeline = '{}'\n",
            quoted_text(&self.restore_command),
            self.timeline
        );
        if let Some((setting, value)) = &self.target {
            text.push_str(&format!("{setting} = {}\n", quoted_text(value)));
        }
        let inclusive = match self.is_exclusive {
            true => "off",
            false => "on",
        };
        // what it stops at it would wait at for somebody to say that it is meant
        text.push_str(&format!(
            "recovery_target_inclusive = {inclusive}\nrecovery_target_action = 'promote'\n"
        ));
        text
    }
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
    if major >= FIRST_SYNCHRONIZED_SLOTS {
        text.push_str("synchronized_standby_slots = ''\n");
    }
    append(data, &text)
}

/// Has the server that starts in `data` load no library that reaches other servers on its own. The configuration of its origin is
/// there by now.
pub fn load_nothing_that_reaches_out(data: &Path) -> Result<()> {
    let loaded = written_settings::value(data, preload::SETTING).unwrap_or_default();
    match preload::without_those_that_reach_out(&loaded) {
        Some(fewer) => append(
            data,
            &format!(
                "# without what reaches other servers\n{} = {}\n",
                preload::SETTING,
                quoted_text(&fewer)
            ),
        ),
        None => Ok(()),
    }
}

/// Has the server that starts in `data` listen at `port`.
pub fn listen_at(data: &Path, port: u16) -> Result<()> {
    append(data, &format!("port = {port} {STAYS}\n"))
}

/// Has the server that starts in `data` use this file for `setting`, one of those that name files.
pub fn use_file(data: &Path, setting: &str, path: &Path) -> Result<()> {
    append(data, &format!("{setting} = {} {STAYS}\n", quoted(path)))
}

/// Raises those of the settings in `insists`, which the origin had in force, that the configuration of `data` has smaller: it could
/// not be read, or had not come into force, or was overridden where the server was started. A recovery refuses to be without them,
/// and so may the data after it.
pub fn raise(data: &Path, insists: &BTreeMap<String, String>) -> Result<()> {
    let lines = insisted(insists).filter_map(|(name, wanted)| {
        let written = written_settings::value(data, name).and_then(|text| text.parse::<u32>().ok());
        let is_smaller = written.unwrap_or(0) < wanted;
        is_smaller.then(|| format!("{name} = {wanted} # as its origin had it, stays\n"))
    });
    append(data, &lines.collect::<String>())
}

/// Has the server that starts in `data` replay what lies in `pg_wal`, and then what `beyond` gives it, and begin a timeline of its
/// own after that, so that its history and that of its origin are told apart; or wait for whom it follows. Returns what was written
/// for the recovery alone, which [`forget_recovery`] takes away again.
pub fn recover(data: &Path, becomes: Becomes, beyond: Option<&RecoverySettings>) -> Result<String> {
    let (text, signal) = match (becomes, beyond) {
        (Becomes::Primary, Some(beyond)) => (
            format!(
                "{NO_TARGET}{}recovery_min_apply_delay = 0\n",
                beyond.lines()
            ),
            "recovery.signal",
        ),
        // there is nothing else to be asked for WAL, and nothing to wait for; a number would want a history file from there
        (Becomes::Primary, None) => (
            format!(
                "{NO_TARGET}restore_command = 'false'\nrecovery_target_timeline = 'current'\nrecovery_min_apply_delay = 0\n"
            ),
            "recovery.signal",
        ),
        // one timeline would keep it from following who was promoted since
        (Becomes::Standby, beyond) => {
            let command = beyond.map_or(String::new(), |beyond| {
                format!(
                    "restore_command = {}\n",
                    quoted_text(&beyond.restore_command)
                )
            });
            (
                format!("{NO_TARGET}{command}recovery_target_timeline = 'latest'\n"),
                "standby.signal",
            )
        }
    };
    append(data, &text)?;
    create_file(&data.join(signal))?;
    Ok(text)
}

/// Removes again what [`recover`] wrote for a server of its own, which has recovered.
pub fn forget_recovery(data: &Path, written: &str) -> Result<()> {
    let path = auto_configuration(data);
    let doing = || format!("cannot write {}", path.display());
    // its owner may be another user by now, who may have laid something else there
    let mut file = regular::open_to_change(&path).doing(doing)?;
    let mut text = Vec::new();
    file.read_to_end(&mut text).doing(doing)?;
    match text.strip_suffix(written.as_bytes()) {
        Some(settled) => file.set_len(settled.len() as u64).doing(doing),
        // somebody has changed it meanwhile
        None => Ok(()),
    }
}

/// A path as the value of a setting.
pub fn quoted(path: &Path) -> String {
    quoted_text(&path.display().to_string())
}

fn quoted_text(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
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
        let written = recover(data.path(), Becomes::Primary, None).unwrap();
        assert!(fs::read_to_string(&auto).unwrap().ends_with(&written));
        assert!(data.path().join("recovery.signal").exists());
        forget_recovery(data.path(), &written).unwrap();
        assert_eq!(fs::read_to_string(&auto).unwrap(), settled);
    }

    #[test]
    fn only_what_is_smaller_than_the_origin_had_it_is_raised() {
        let data = tempfile::tempdir().unwrap();
        let main = data.path().join("postgresql.conf");
        fs::write(main, "max_connections = 20\nmax_wal_senders = 7\n").unwrap();
        let insists = [
            ("max_connections", "100"),
            ("max_wal_senders", "5"),
            ("max_worker_processes", "8"),
            ("max_prepared_transactions", "0"),
            ("max_locks_per_transaction", "'; x"),
        ];
        let insists = insists.map(|(name, value)| (name.to_string(), value.to_string()));
        raise(data.path(), &insists.into()).unwrap();
        let stays = "# as its origin had it, stays";
        assert_eq!(
            fs::read_to_string(data.path().join("postgresql.auto.conf")).unwrap(),
            format!("max_connections = 100 {stays}\nmax_worker_processes = 8 {stays}\n")
        );
    }

    #[test]
    fn what_reaches_others_is_not_loaded() {
        let data = tempfile::tempdir().unwrap();
        let auto = data.path().join("postgresql.auto.conf");
        let main = data.path().join("postgresql.conf");
        fs::write(&main, "shared_preload_libraries = 'pgaudit'\n").unwrap();
        load_nothing_that_reaches_out(data.path()).unwrap();
        assert!(!auto.exists());
        fs::write(&main, "shared_preload_libraries = 'pg_cron, pgaudit'\n").unwrap();
        load_nothing_that_reaches_out(data.path()).unwrap();
        let text = fs::read_to_string(&auto).unwrap();
        assert!(
            text.ends_with("shared_preload_libraries = 'pgaudit'\n"),
            "{text}"
        );
    }

    #[test]
    fn a_path_is_a_value_whatever_is_in_it() {
        assert_eq!(quoted(Path::new("/a'b\\c")), "'/a''b\\\\c'");
    }
}
