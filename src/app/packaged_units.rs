//! The units of the packages beside the configuration that they run by: what it names that they would not come to, and what
//! lets them.

use super::service_user::ServiceUser;
use super::unattended;
use crate::cancel::Cancel;
use crate::config::{Config, process_env};
use crate::error::{Doing, Error, Result};
use crate::files::system_directory::is_system_directory;
use crate::operation::test::Finding;
use crate::process::account::is_root;
use crate::process::{explain_plainly, run};
use crate::systemd::drop_in::{self, BarredPath, UsedPath};
use crate::systemd::service_sandbox::Obstacle;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Where they lie.
const ROOT: &str = "/";
/// There while systemd runs.
const RUNNING: &str = "/run/systemd/system";
/// Links to what is enabled.
const ENABLED: [&str; 3] = [
    "/etc/systemd/system/multi-user.target.wants/backupkit.service",
    "/etc/systemd/system/timers.target.wants/backupkit-backup.timer",
    "/etc/systemd/system/timers.target.wants/backupkit-verify.timer",
];
/// How long systemd may take to read its units.
const READING: Duration = Duration::from_secs(60);
const SUBJECT: &str = "service";

/// Who the units run as that run by the configuration at `path`; nobody where there are none.
fn users(path: &Path) -> Vec<ServiceUser> {
    match unattended::is_usual(path) {
        true => ServiceUser::all(Path::new(ROOT)),
        false => Vec::new(),
    }
}

/// What `test` has to say of the units that run by the `config` at `path`: nothing where there are none, or none of them
/// could run.
pub(super) fn check(config: &Config, path: &Path) -> Vec<Finding> {
    let users = users(path);
    let mut links = ENABLED.iter().map(Path::new);
    let is_enabled = links.any(|link| link.symlink_metadata().is_ok());
    if users.is_empty() || !(is_enabled || Path::new(RUNNING).is_dir()) {
        return Vec::new();
    }
    let used = used_paths(config, path);
    let barred = drop_in::barred(Path::new(ROOT), &used, "");
    let by_settings = barred.iter().map(|barred| {
        Finding::fail(SUBJECT, said(barred)).fix(match barred.lines() {
            Some(lines) => format!(
                "systemctl edit {}, and restart what runs; the lines: [Service] {}",
                barred.services.join(" "),
                lines.join(" ")
            ),
            None => no_line(barred),
        })
    });
    let barred_paths: Vec<&Path> = barred.iter().map(|barred| &*barred.used.path).collect();
    let by_owner = used
        .iter()
        .filter(|used| !barred_paths.contains(&&*used.path))
        .flat_map(|used| not_permitted(used, &users))
        .map(|(what, fix)| Finding::fail(SUBJECT, what).fix(fix));
    let found: Vec<Finding> = by_settings.chain(by_owner).collect();
    if found.is_empty() {
        let what = "the units of the package come to all that the configuration names";
        return vec![Finding::ok(SUBJECT, what)];
    }
    // where cron makes the backups, what they could not do costs none
    match is_enabled {
        true => found,
        false => found.into_iter().map(Finding::as_warning).collect(),
    }
}

/// What `init` has done for the units.
#[derive(Default)]
pub(super) struct Admitted {
    /// The drop-ins.
    pub files: Vec<PathBuf>,
    /// What is left for somebody to do: what is the matter, and what to do.
    pub left: Vec<(String, String)>,
    /// Who the daemon runs as, where that is known.
    pub user: Option<String>,
    /// True where something is shown to the services alone, so that their user sees it in them and nowhere else.
    pub is_shown: bool,
}

/// Lets the units come to what the configuration at `path` names, where they run by it and we are root: makes the
/// directories of backups for their user, and writes drop-ins.
pub(super) fn admit(path: &Path, cancel: &Cancel) -> Result<Admitted> {
    let users = users(path);
    let Some(user) = users.first().filter(|_| is_root()) else {
        return Ok(Admitted::default());
    };
    let config = Config::load(path, &process_env)?;
    let used = used_paths(&config, path);
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
    let written = drop_in::write(Path::new(ROOT), &used, path).unwrap_or_else(|error| {
        let fix = "mend that, and ask backupkit test what the services lack";
        left.push((error.to_string(), fix.to_string()));
        drop_in::Written::default()
    });
    // it has read none of them where it does not run
    if Path::new(RUNNING).is_dir() {
        if let Err(error) = systemctl(&["daemon-reload"], cancel) {
            cancel.check()?;
            left.push((error.to_string(), "systemctl daemon-reload".to_string()));
        }
        for service in &written.changed {
            if systemctl(&["is-active", "--quiet", service], cancel).is_ok() {
                let what = format!("{service} runs, and with the settings from before");
                left.push((what, format!("systemctl restart {service}")));
            }
        }
    }
    let strange = written.strange.iter();
    left.extend(strange.map(|barred| (said(barred), no_line(barred))));
    left.extend(used.iter().flat_map(|used| not_permitted(used, &users)));
    Ok(Admitted {
        files: written.files,
        left,
        user: Some(user.name.clone()),
        is_shown: used
            .iter()
            .any(|used| drop_in::is_shown(Path::new(ROOT), &used.path)),
    })
}

fn systemctl(arguments: &[&str], cancel: &Cancel) -> Result<()> {
    let mut command = Command::new("systemctl");
    command.args(arguments);
    run("systemctl", command, cancel, READING, explain_plainly)
        .map(drop)
        .doing(|| "cannot have systemd read its units")
}

/// What to do where no line lets the services through.
fn no_line(barred: &BarredPath) -> String {
    let path = &barred.used.path;
    match barred.obstacle {
        Obstacle::Inaccessible | Obstacle::KeptReadOnly => format!(
            "take it out of {} by systemctl edit {}",
            barred.obstacle.setting(),
            barred.services.join(" ")
        ),
        _ if is_system_directory(path) => own_directory(path),
        _ => "name a path without quotes, colons and backslashes".to_string(),
    }
}

/// Instead of a directory that is somebody else's.
fn own_directory(path: &Path) -> String {
    let own = path.join("backupkit");
    format!(
        "name a directory of its own instead, such as {}",
        own.display()
    )
}

/// What a run reads and writes by its configuration, beside what is everybody's.
fn used_paths(config: &Config, path: &Path) -> Vec<UsedPath> {
    let mut used = Vec::new();
    let mut add = |subject: String, path: PathBuf, is_written: bool| {
        let path = real(&path);
        let known = |known: &UsedPath| known.path == path && known.is_written == is_written;
        if path.is_absolute() && !used.iter().any(known) {
            used.push(UsedPath {
                subject,
                path,
                is_written,
            });
        }
    };
    add("the configuration".into(), path.to_path_buf(), false);
    // what cannot be resolved is told where it is used
    if let Ok(Some(directory)) = config.bin_dir(&process_env) {
        add("bin_dir".into(), directory, false);
    }
    for storage in &config.storages {
        if let Ok(Some(directory)) = storage.directory(&process_env) {
            let directory = std::path::absolute(&directory).unwrap_or(directory);
            add(format!("storage {}", storage.name), directory, true);
        }
    }
    for database in &config.sources {
        let drill = config.drill(Some(database), &process_env).ok();
        if let Some(directory) = drill.as_ref().and_then(|drill| drill.directory.clone()) {
            add("drill.directory".into(), directory, true);
        }
        let own = database.backup_place(&process_env).ok();
        let lent = drill.and_then(|drill| drill.connection);
        for connection in own.into_iter().chain(lent) {
            let subject = format!("database {}", database.name);
            for (_, value) in connection.extra.iter().filter(|(name, _)| is_file(name)) {
                add(subject.clone(), PathBuf::from(value), false);
            }
            add(subject, PathBuf::from(connection.host), false);
        }
    }
    for (field, file) in &config.secret_files {
        // restores are made by hand
        if !field.split('.').any(|part| part == "restore") {
            add(field.clone(), file.clone(), false);
        }
    }
    used
}

/// True for the variables of libpq that name a file.
fn is_file(variable: &str) -> bool {
    ["PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY", "PGPASSFILE"].contains(&variable)
}

/// `path` without links, as far as it exists.
fn real(path: &Path) -> PathBuf {
    for above in path.ancestors() {
        if let Ok(real) = above.canonicalize() {
            let rest = path.strip_prefix(above).unwrap_or(Path::new(""));
            return match rest.as_os_str().is_empty() {
                true => real,
                false => real.join(rest),
            };
        }
    }
    path.to_path_buf()
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

/// What keeps units from a path by their settings.
fn said(barred: &BarredPath) -> String {
    let UsedPath {
        subject,
        path,
        is_written,
    } = &barred.used;
    let services = barred.services.join(", ");
    let what = if *is_written { "write to" } else { "see" };
    let (path, setting) = (path.display(), barred.obstacle.setting());
    format!("{services} could not {what} {path} ({subject}): {setting} keeps it away")
}

/// What keeps the user of the units from a path by its owner and mode, and what to do; looked at by root alone, who sees
/// all of them.
fn not_permitted(used: &UsedPath, users: &[ServiceUser]) -> Vec<(String, String)> {
    let users = users.iter().filter(|_| is_root());
    users
        .filter_map(|user| not_permitted_to(user, used))
        .collect()
}

fn not_permitted_to(user: &ServiceUser, used: &UsedPath) -> Option<(String, String)> {
    let ServiceUser {
        name,
        group,
        visitor,
        ..
    } = user;
    let UsedPath {
        subject,
        path,
        is_written,
    } = used;
    let is_shown = drop_in::is_shown(Path::new(ROOT), path);
    // what is not there is told by who wants it
    let barred = match is_written {
        true => visitor.barred_from_writing(path, is_shown),
        // a directory here is that of a socket
        false if path.is_dir() => return None,
        false => visitor.barred_from_reading(path, is_shown),
    };
    let by = barred.ok().flatten()?;
    let (shown, by) = (path.display(), by.display());
    let what = if *is_written { "write to" } else { "read" };
    let what = format!("the user {name} of the service may not {what} {shown} ({subject})");
    Some(match () {
        _ if by.to_string() != shown.to_string() => (
            format!("{what}: {by} keeps it out"),
            format!(
                "let it enter {by}, or use a place that it may enter, such as one below /etc/backupkit for secrets"
            ),
        ),
        // what is no longer root's has an owner who needs it
        _ if *is_written
            && (is_system_directory(path)
                || path.metadata().is_ok_and(|found| found.uid() != 0)) =>
        {
            (what, own_directory(path))
        }
        _ if *is_written => (
            what,
            format!("give it the directory: chown {name}:{group} {shown}"),
        ),
        _ => (
            what,
            format!("let its group read the file: chgrp {group} {shown} && chmod g+r {shown}"),
        ),
    })
}

/// What is left for somebody to do, as a warning says it.
pub(super) fn warning((what, fix): &(String, String)) -> String {
    Error::failed(what.as_str()).hint(fix.as_str()).report()
}
