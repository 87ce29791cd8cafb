//! What programs warn of, told once: a server says the same to each of the sessions that a run has with it, such as that its
//! database has a collation of another version.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

/// The next run of a daemon tells it again.
const AGAIN: Duration = Duration::from_secs(60);
/// More than a run has; beyond that all is told.
const REMEMBERED: usize = 100;

static TOLD: LazyLock<Mutex<HashMap<String, Instant>>> = LazyLock::new(Mutex::default);

/// Has `warning`, a whole line, not told of what is done next: it is of what was meant.
pub fn expect(warning: &str) {
    was_told(warning);
}

/// True where `warning` has been told by this process of late. It counts as told from now on.
pub(super) fn was_told(warning: &str) -> bool {
    let Ok(mut told) = TOLD.lock() else {
        return false;
    };
    told.retain(|_, at| at.elapsed() < AGAIN);
    if told.contains_key(warning) {
        return true;
    }
    if told.len() < REMEMBERED {
        told.insert(warning.to_string(), Instant::now());
    }
    false
}
