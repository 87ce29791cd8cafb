//! The units of systemd that the packages bring, as far as they decide what a run may read and write: their settings by
//! their files, what follows for a path, and the drop-in that lets it through. No systemd need run.

pub mod drop_in;
pub mod service_sandbox;
pub mod unit_environment;
pub mod unit_settings;

/// The services that run by the configuration of this machine.
pub const SERVICES: [&str; 3] = [
    "backupkit.service",
    "backupkit-backup.service",
    "backupkit-verify.service",
];
