//! The units of this machine.

use crate::app::service_user::ServiceUser;
use crate::app::unattended;
use std::path::Path;

/// Where they lie.
pub(super) const ROOT: &str = "/";
/// There while systemd runs.
const RUNNING: &str = "/run/systemd/system";
/// Links to what is enabled.
const ENABLED: [&str; 3] = [
    "/etc/systemd/system/multi-user.target.wants/backupkit.service",
    "/etc/systemd/system/timers.target.wants/backupkit-backup.timer",
    "/etc/systemd/system/timers.target.wants/backupkit-verify.timer",
];

/// Who the units run as that run by the configuration at `path`; nobody where there are none.
pub(super) fn users(path: &Path) -> Vec<ServiceUser> {
    match unattended::is_usual(path) {
        true => ServiceUser::all(Path::new(ROOT)),
        false => Vec::new(),
    }
}

/// True where one of them is to run by itself.
pub(super) fn is_any_enabled() -> bool {
    let mut links = ENABLED.iter().map(Path::new);
    links.any(|link| link.symlink_metadata().is_ok())
}

/// True where there is a systemd that runs them.
pub(super) fn has_systemd() -> bool {
    Path::new(RUNNING).is_dir()
}
