//! What the daemon hears while it waits: signals, and the ends of runs.

use super::plan::{Ending, Run};

/// What came of a run.
#[derive(Debug, Clone, Copy)]
pub struct End {
    /// How it ended.
    pub ending: Ending,
    /// False where people were to be told of it and nobody could be reached.
    pub heard: bool,
}

/// What wakes the daemon.
pub enum DaemonEvent {
    /// This signal has come: SIGHUP to load the configuration again, any other to stop.
    Signal(i32),
    /// This run has ended.
    Ended(Run, End),
}
