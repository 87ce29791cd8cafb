//! Waiting for a thing to happen, never for time to pass.

use std::thread;
use std::time::{Duration, Instant};

/// Far longer than anything here takes on the slowest machine.
const LIMIT: Duration = Duration::from_secs(120);
/// How often a condition is looked at.
const AGAIN: Duration = Duration::from_millis(1);

/// The first thing that `look` finds; fails the test, saying `what`, if it never does.
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < give_up, "waited in vain until {what}");
        thread::sleep(AGAIN);
    }
}
