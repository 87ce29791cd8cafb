//! What a check of a backup found out: what is wrong with it, and what that says of it.

use super::manifest::TableName;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One thing that is wrong with a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The table, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<TableName>,
    /// What is wrong, as in `holds 99 rows instead of 100`.
    pub fault: String,
    /// What it says of the backup.
    #[serde(default, skip_serializing_if = "FaultCause::is_damage")]
    pub cause: FaultCause,
}

/// What a fault says of a backup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultCause {
    /// It is not what was backed up, or cannot be brought back.
    #[default]
    Damage,
    /// It is whole, but what is in it is not what an assertion or a command of the configuration wants.
    Assertion,
}

impl FaultCause {
    fn is_damage(&self) -> bool {
        *self == FaultCause::Damage
    }
}

impl Fault {
    /// Something is wrong with the backup as a whole.
    pub fn new(fault: impl Into<String>) -> Fault {
        Fault {
            table: None,
            fault: fault.into(),
            cause: FaultCause::Damage,
        }
    }

    /// Something is wrong with this table.
    pub fn of(table: &TableName, fault: impl Into<String>) -> Fault {
        Fault {
            table: Some(table.clone()),
            ..Fault::new(fault)
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.table {
            Some(table) => write!(f, "{table}: {}", self.fault),
            None => f.write_str(&self.fault),
        }
    }
}

/// What a check that came to its end found out. Without faults the backup is good.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evidence {
    /// What is wrong.
    pub faults: Vec<Fault>,
    /// What could not be compared, or should be looked at, but does not make the backup bad.
    pub notes: Vec<String>,
    /// How many tables were compared.
    pub tables: Option<u64>,
    /// How many rows a drill of a cluster read in them.
    pub rows: Option<u64>,
    /// The size of the plain dump, where it was read.
    pub plain_bytes: Option<u64>,
    /// The SHA-256 of the archive as it is stored, where all of it was read.
    pub sha256: Option<String>,
    /// How long the restore alone took, in seconds, where there was one.
    pub restore_seconds: Option<f64>,
}

impl Evidence {
    /// Something is wrong with the backup as a whole.
    pub fn fault(&mut self, fault: impl Into<String>) {
        self.faults.push(Fault::new(fault));
    }

    /// The restored database is not as an assertion or a command wants it.
    pub fn refuted(&mut self, fault: impl Into<String>) {
        self.faults.push(Fault {
            cause: FaultCause::Assertion,
            ..Fault::new(fault)
        });
    }

    /// True where nothing is wrong but that assertions failed.
    pub fn only_refuted(&self) -> bool {
        let mut causes = self.faults.iter().map(|fault| fault.cause);
        !self.faults.is_empty() && causes.all(|cause| cause == FaultCause::Assertion)
    }

    /// Something should be looked at.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}
