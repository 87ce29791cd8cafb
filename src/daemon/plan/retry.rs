//! When a failed run is tried again.

use std::time::Duration;

/// How long after the end of a failed run it is tried again: once after each.
pub const PAUSES: [Duration; 3] = [
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
    Duration::from_secs(45 * 60),
];
