//! What the daemon does to a database.

use serde::{Deserialize, Serialize};

/// What a job does to its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Back it up and apply its retention.
    Backup,
    /// Back up what changed in a cluster, and apply its retention.
    Incremental,
    /// Check one of its backups.
    Verify,
}

impl Task {
    /// As people call it.
    pub fn name(self) -> &'static str {
        match self {
            Task::Backup => "backup",
            Task::Incremental => "incremental",
            Task::Verify => "verify",
        }
    }
}
