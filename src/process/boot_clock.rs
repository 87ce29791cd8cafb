//! Clocks that nobody sets and that go on while this process is stopped.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// The time since the machine was started, its sleep included. Only differences of it say something.
pub fn since_boot() -> Duration {
    read(ClockId::Boottime)
}

/// The same without its sleep, in which nothing runs.
pub fn awake_since_boot() -> Duration {
    read(ClockId::Monotonic)
}

fn read(clock: ClockId) -> Duration {
    let now = clock_gettime(clock);
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
        let awake = awake_since_boot();
        assert!(awake > Duration::ZERO && awake <= since_boot());
    }
}
