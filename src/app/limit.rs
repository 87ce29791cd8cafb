//! The end of a process whose time is over, whatever it is waiting for: a call into a file system that hangs hears no cancellation.

use crate::error::{Doing, Result};
use std::time::Duration;

/// What a tidy end may take.
const GRACE: Duration = Duration::from_secs(3);

/// Ends the process with `status` if it is still there when `limit` is over. Returns how long it may work, so that it ends by itself.
pub(super) fn end_after(limit: Duration, status: i32) -> Result<Duration> {
    std::thread::Builder::new()
        .name("limit".into())
        .spawn(move || {
            std::thread::sleep(limit);
            crate::logging::tell_failure(&format!(
                "it hangs, and is ended: its time limit of {} s is over",
                limit.as_secs()
            ));
            std::process::exit(status);
        })
        .map(|_| limit.saturating_sub(GRACE).max(limit / 2))
        .doing(|| "cannot start a thread")
}
