//! Who keeps the schedules of a configuration on this machine, and how someone is made to.

use crate::config::{self, DEFAULT_PATH, process_env};
use crate::daemon::heartbeat;
use crate::daemon::heartbeat::{Life, Seen};
use crate::operation::status::Attendance;
use crate::operation::status::report::DaemonLife;
use crate::storage::runtime_directory::runtime_directories;
use crate::systemd::unit_settings::UnitSettings;
use crate::text::shell::word;
use std::path::{Path, PathBuf};

/// The unit that runs the daemon.
const UNIT: &str = "backupkit.service";
/// There while the timer that takes the daemon's place is enabled.
const TIMER: &str = "/etc/systemd/system/timers.target.wants/backupkit-backup.timer";

/// Who keeps the schedules.
pub(super) enum Keeper {
    /// This daemon, and whether it is alive.
    Daemon(Box<Life>, bool),
    /// A timer, which makes backups at times of its own.
    Timer,
    Nobody,
    /// This user may not see who.
    Unknown,
}

/// Who keeps the schedules of the configuration at `path`.
pub(super) fn keeper(path: &Path) -> Keeper {
    match heartbeat::look(path, &runtime_directories()) {
        Seen::Daemon(life, alive) => Keeper::Daemon(life, alive),
        Seen::Unknown => Keeper::Unknown,
        Seen::Nobody if is_usual(path) && Path::new(TIMER).symlink_metadata().is_ok() => {
            Keeper::Timer
        }
        Seen::Nobody => Keeper::Nobody,
    }
}

impl Keeper {
    /// As [`keeper`], for those who only want to know whether the schedules are obeyed.
    pub fn attendance(self) -> Attendance {
        match self {
            Keeper::Daemon(life, alive) => Attendance::Daemon(DaemonLife {
                pid: life.pid,
                started_at: life.started_at,
                ticked_at: life.ticked_at,
                silent: life.silent(),
                running: life.running,
                alive,
            }),
            Keeper::Nobody => Attendance::Nobody,
            Keeper::Timer | Keeper::Unknown => Attendance::Other,
        }
    }
}

/// What makes the daemon of the configuration at `path` run from now on.
pub(super) fn start(path: &Path) -> String {
    match has_unit(path) {
        true => "systemctl enable --now backupkit".to_string(),
        false => format!("backupkit daemon{}", named(path)),
    }
}

/// True where systemd has a unit, and no masked one, that runs the daemon with the configuration at `path`.
pub(super) fn has_unit(path: &Path) -> bool {
    is_usual(path) && UnitSettings::read(Path::new("/"), UNIT, "").is_some()
}

/// What a command needs to find the configuration at `path`: ` -c FILE`, or nothing where it finds that one by itself.
pub(super) fn named(path: &Path) -> String {
    match absolute(path) == absolute(&config::find(None, &process_env)) {
        true => String::new(),
        false => option(path),
    }
}

/// The line for crontab(5) that makes a backup by the configuration at `path` every night. cron knows few directories
/// of programs and none of this shell's variables, and takes an unescaped percent sign for the end of the command.
pub(super) fn cron_line(path: &Path) -> String {
    let program = std::env::current_exe().unwrap_or_else(|_| "backupkit".into());
    let program = word(&program.display().to_string());
    let option = match is_usual(path) {
        true => String::new(),
        false => option(path),
    };
    let command = format!("{program} backup{option}").replace('%', r"\%");
    format!("0 2 * * * {command} >/dev/null")
}

fn option(path: &Path) -> String {
    format!(" -c {}", word(&absolute(path).display().to_string()))
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

/// True for the path of the configuration that the units and everybody else run by, however it is written.
pub(super) fn is_usual(path: &Path) -> bool {
    absolute(path) == Path::new(DEFAULT_PATH)
}
