//! What a restored cluster is told before it starts, and the configuration that lay outside of its data directory.

use crate::error::{Doing, Result};
use crate::source::physical::details::ClusterDetails;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Where configuration files are put that lay elsewhere.
pub const CONFIGURATION: &str = "backupkit.configuration";
/// A copy that archives would write into the history of its origin; one that follows a server, take its place there.
const UNTIL_SOMEBODY_SAYS_SO: &str = "\n# Written by backupkit: what was restored neither archives, follows or subscribes to another server, nor runs jobs of pg_cron, until \
somebody removes these lines.\n\
archive_mode = off\nprimary_conninfo = ''\nprimary_slot_name = ''\nrecovery_end_command = ''\narchive_cleanup_command = ''\n\
external_pid_file = ''\nmax_logical_replication_workers = 0\ncron.launch_active_jobs = off\n";

/// Switches off in `data` what would reach others.
pub fn keep_to_itself(data: &Path) -> Result<()> {
    append(data, UNTIL_SOMEBODY_SAYS_SO)
}

/// Has the server that starts in `data` replay what lies in `pg_wal` and begin a timeline of its own after `timeline`, so that
/// its history and that of its origin are told apart.
pub fn recover_to_own_timeline(data: &Path, timeline: u32) -> Result<()> {
    // there is nothing else to be asked
    append(
        data,
        &format!("restore_command = '/bin/false'\nrecovery_target_timeline = '{timeline}'\n"),
    )?;
    super::unpack::create_file(&data.join("recovery.signal")).map(drop)
}

/// Gives `data` configuration files of its own where the origin's lay elsewhere and could not be read: the server's own user is let
/// in, by its socket.
pub fn make_configuration(data: &Path) -> Result<()> {
    for (name, text) in [
        (
            "postgresql.conf",
            "# Written by backupkit: that of the origin lay outside of its data directory.\n",
        ),
        ("pg_hba.conf", "local all all peer\n"),
        ("pg_ident.conf", ""),
    ] {
        let path = data.join(name);
        if !path.exists() {
            super::unpack::create_file(&path)?
                .write_all(text.as_bytes())
                .doing(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}

fn append(data: &Path, text: &str) -> Result<()> {
    let path = data.join("postgresql.auto.conf");
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .doing(|| format!("cannot write {}", path.display()))
}

/// Writes the configuration files that lay outside of the data directory into it, and returns where each is now and where it
/// lay.
pub fn restore_configuration(
    data: &Path,
    details: &ClusterDetails,
) -> Result<Vec<(PathBuf, String)>> {
    let mut restored = Vec::new();
    let directory = data.join(CONFIGURATION);
    for file in &details.configuration {
        let (Some(text), Some(name)) = (&file.text, Path::new(&file.path).file_name()) else {
            continue;
        };
        super::unpack::make_directory(&directory)?;
        let path = directory.join(name);
        if path.exists() {
            continue;
        }
        fs::write(&path, text).doing(|| format!("cannot write {}", path.display()))?;
        restored.push((path, file.path.clone()));
    }
    Ok(restored)
}
