//! A clock that nobody sets and that goes on while the machine sleeps or this process is stopped.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// The time since the machine was started, its sleep included. Only differences of it say something.
pub fn since_boot() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or(0),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_forward() {
        let before = since_boot();
        assert!(before > Duration::ZERO && since_boot() >= before);
    }
}
