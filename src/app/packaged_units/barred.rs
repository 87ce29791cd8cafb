//! What keeps services, or their user, from a path, in words, and what to do about it.

use super::units::ROOT;
use crate::app::service_user::ServiceUser;
use crate::files::system_directory::{is_kept_for_system, is_system_directory};
use crate::process::account::is_root;
use crate::systemd::drop_in::{self, BarredPath, UsedPath};
use crate::systemd::service_sandbox::Obstacle;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What keeps units from a path by their settings.
pub(super) fn said(barred: &BarredPath) -> String {
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

/// What to do where no line lets the services through.
pub(super) fn no_line(barred: &BarredPath) -> String {
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
    let own = match is_kept_for_system(path) {
        true => PathBuf::from("/var/backups/backupkit"),
        false => path.join("backupkit"),
    };
    format!(
        "name a directory of its own instead, such as {}",
        own.display()
    )
}

/// What keeps the user of the units from a path by its owner and mode, and what to do; looked at by root alone, who sees
/// all of them.
pub(super) fn not_permitted(used: &UsedPath, users: &[ServiceUser]) -> Vec<(String, String)> {
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
                || is_kept_for_system(path)
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
