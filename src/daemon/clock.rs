//! What time it is, twice: as the calendar says, which may jump, and as it passes, which never does.

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// One moment on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReading {
    /// The calendar's time: set by people and by NTP, so that it may jump either way.
    pub wall: DateTime<Utc>,
    /// The time since some start, suspends included. It only goes forward.
    pub steady: Duration,
}

/// Where moments come from: [`SystemClock`], or one that runs faster in tests.
pub trait Clock: Sync {
    /// What time it is now.
    fn now(&self) -> ClockReading;

    /// How long one has to wait for this much of the clock's time to pass.
    fn real(&self, time: Duration) -> Duration {
        time
    }
}

/// The clock of this machine.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> ClockReading {
        let steady = clock_gettime(ClockId::Boottime);
        ClockReading {
            wall: Utc::now(),
            steady: Duration::new(
                steady.tv_sec.unsigned_abs(),
                steady.tv_nsec.unsigned_abs() as u32,
            ),
        }
    }
}

/// The beginning of the minute that holds `time`.
pub fn minute_of(time: DateTime<Utc>) -> DateTime<Utc> {
    let within = TimeDelta::seconds(time.second().into()) + TimeDelta::nanoseconds(nanos(time));
    time.checked_sub_signed(within).unwrap_or(time)
}

/// How long it is from `time` to the next minute; never zero, and never more than a minute.
pub fn until_next_minute(time: DateTime<Utc>) -> Duration {
    let within = Duration::new(time.second().into(), nanos(time) as u32);
    // a millisecond more, so that nobody wakes just before it
    Duration::from_secs(60).saturating_sub(within) + Duration::from_millis(1)
}

/// Within the second; a leap second counts as more of the second before it.
fn nanos(time: DateTime<Utc>) -> i64 {
    time.nanosecond().min(999_999_999).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    #[test]
    fn a_minute_begins_and_ends_where_the_calendar_says() {
        let minute = Utc.with_ymd_and_hms(2028, 2, 29, 23, 59, 0).unwrap();
        for (millis, left) in [(0, 60_001), (59_999, 2), (30_500, 29_501)] {
            let time = minute + TimeDelta::milliseconds(millis);
            assert_eq!(minute_of(time), minute);
            assert_eq!(until_next_minute(time), Duration::from_millis(left));
        }
        let leap = minute.with_nanosecond(1_500_000_000).unwrap() + TimeDelta::zero();
        assert!(until_next_minute(leap) > Duration::ZERO);
    }

    #[test]
    fn the_steady_clock_goes_forward() {
        let first = SystemClock.now();
        let second = SystemClock.now();
        assert!(second.steady >= first.steady && first.steady > Duration::ZERO);
    }
}
