//! What `init` does for the units: directories that are theirs, and drop-ins that let them through.

use super::barred::{no_line, not_permitted, said};
use super::units::{ROOT, has_systemd, users};
use super::variables::{environments, used_paths};
use crate::app::service_user::ServiceUser;
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Result};
use crate::process::account::is_root;
use crate::process::{explain_plainly, run};
use crate::systemd::drop_in;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long systemd may take to read its units.
const READING: Duration = Duration::from_secs(60);

/// What was done.
#[derive(Default)]
pub struct Admitted {
    /// The drop-ins.
    pub files: Vec<PathBuf>,
    /// What is left for somebody to do: what is the matter, and what to do.
    pub left: Vec<(String, String)>,
    pub first_backup: FirstBackup,
}

/// Who should make the first backup, and see whether it would work.
#[derive(Default)]
pub enum FirstBackup {
    /// Whoever likes to: there are no services, or they are root's.
    #[default]
    Anybody,
    /// This user of the services, who could not write beside what root stores first.
    User(String),
    /// The services, which alone are shown what is used: their user sees it nowhere else.
    Service,
}

/// Lets the units come to what the configuration at `path` names, where they run by it and we are root: makes the
/// directories of backups for their user, and writes drop-ins.
pub fn admit(path: &Path, cancel: &Cancel) -> Result<Admitted> {
    let users = users(path);
    let Some(user) = users.first().filter(|_| is_root()) else {
        return Ok(Admitted::default());
    };
    let used = used_paths(path, &environments())?.paths;
    let mut left = Vec::new();
    for used in used.iter().filter(|used| used.is_written) {
        if let Err(error) = make_for(user, &used.path) {
            let fix = format!(
                "make it by hand, so that {} may write to it, or name another directory",
                user.name
            );
            left.push((error.to_string(), fix));
        }
    }
    let written = drop_in::write(Path::new(ROOT), &used, path);
    left.extend(written.failures.iter().map(|error| {
        let fix = "mend that, and ask backupkit test what the services lack";
        (error.chain(), fix.to_string())
    }));
    left.extend(tell_systemd(&written.changed, cancel)?);
    let strange = written.strange.iter();
    left.extend(strange.map(|barred| (said(barred), no_line(barred))));
    left.extend(used.iter().flat_map(|used| not_permitted(used, &users)));
    let mut used = used.iter();
    Ok(Admitted {
        files: written.files,
        left,
        first_backup: match &*user.name {
            _ if used.any(|used| drop_in::is_shown(Path::new(ROOT), &used.path)) => {
                FirstBackup::Service
            }
            "root" => FirstBackup::Anybody,
            name => FirstBackup::User(name.to_string()),
        },
    })
}

/// Has systemd read its units, where it runs, and tells which of the `changed` services run with what they were before.
fn tell_systemd(changed: &[&str], cancel: &Cancel) -> Result<Vec<(String, String)>> {
    let mut left = Vec::new();
    // it has read none of them where it does not run
    if !has_systemd() {
        return Ok(left);
    }
    if let Err(error) = systemctl(&["daemon-reload"], cancel) {
        cancel.check()?;
        let error = error.doing("cannot have systemd read its units");
        left.push((error.chain(), "systemctl daemon-reload".to_string()));
    }
    for service in changed {
        // its status says no where it does not run, and nothing better is known where it cannot be asked
        if systemctl(&["is-active", "--quiet", service], cancel).is_ok() {
            let what = format!("{service} runs, and with the settings from before");
            left.push((what, format!("systemctl restart {service}")));
        }
        cancel.check()?;
    }
    Ok(left)
}

fn systemctl(arguments: &[&str], cancel: &Cancel) -> Result<()> {
    let mut command = Command::new("systemctl");
    command.args(arguments);
    run("systemctl", command, cancel, READING, explain_plainly).map(drop)
}

/// Makes the directory where there is none, and what is missing above it.
fn make_for(user: &ServiceUser, path: &Path) -> Result<()> {
    let missing: Vec<&Path> = path.ancestors().take_while(|path| !path.exists()).collect();
    for directory in missing.into_iter().rev() {
        let doing = || format!("cannot create the directory {}", directory.display());
        let is_last = directory == path;
        let mode = if is_last { 0o750 } else { 0o755 };
        let mut builder = std::fs::DirBuilder::new();
        builder.mode(mode).create(directory).doing(doing)?;
        if is_last {
            chown(directory, Some(user.visitor.uid), Some(user.gid)).doing(doing)?;
        }
    }
    Ok(())
}

/// What is left for somebody to do, as a warning says it.
pub fn warning((what, fix): &(String, String)) -> String {
    Error::failed(what.as_str()).hint(fix.as_str()).report()
}
