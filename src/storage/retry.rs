//! Trying again: full-jitter backoff under a total budget.
//!
//! A server that stays away is told of more and more rarely: after the first failure, the second, the fourth, and so on.
//! What it failed for last is the error in the end.
//!
//! Only what [may pass by itself](crate::error::Kind::may_pass) is tried again, and only while the time since
//! the first failure fits the budget. The pause before try `n` is drawn evenly from zero to
//! `min(most, first * 2^n)`, so that many hosts that failed together do not come back together
//! (AWS Architecture Blog, "Exponential Backoff And Jitter").

use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::files::random;
use std::time::{Duration, Instant};

/// How patient to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The longest first pause.
    pub first: Duration,
    /// The longest pause at all.
    pub most: Duration,
    /// No try starts later than this after the first failure.
    pub budget: Duration,
}

impl RetryPolicy {
    /// A single try.
    pub const NONE: RetryPolicy = RetryPolicy::within(Duration::ZERO);

    /// The usual pauses, from up to a quarter of a second to up to 20 seconds, within `budget`.
    pub const fn within(budget: Duration) -> RetryPolicy {
        RetryPolicy {
            first: Duration::from_millis(250),
            most: Duration::from_secs(20),
            budget,
        }
    }

    /// Calls `attempt` until it succeeds, fails for good, or the budget is used up.
    pub fn run<T>(&self, cancel: &Cancel, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
        let mut backoff = self.start();
        loop {
            cancel.check()?;
            match attempt() {
                Ok(value) => return Ok(value),
                Err(error) => backoff.pause(error, cancel)?,
            }
        }
    }

    /// A fresh count of failures.
    pub fn start(self) -> Backoff {
        Backoff {
            retry: self,
            failures: 0,
            first_failure: None,
        }
    }

    /// The pause after `failures` failures (0 = the first), with `random` in 0..1.
    fn delay(&self, failures: u32, random: f64) -> Duration {
        let doubled = 2u32.saturating_pow(failures);
        self.first
            .saturating_mul(doubled)
            .min(self.most)
            .mul_f64(random)
    }
}

/// The failures of one piece of work.
pub struct Backoff {
    retry: RetryPolicy,
    failures: u32,
    first_failure: Option<Instant>,
}

impl Backoff {
    /// Waits before the next try, or hands `error` back where there is to be none.
    pub fn pause(&mut self, error: Error, cancel: &Cancel) -> Result<()> {
        // what a cancelled run says of its last connection is not why it ended
        cancel.check()?;
        if !error.kind().may_pass() {
            return Err(error);
        }
        let since = self.first_failure.get_or_insert_with(Instant::now);
        let delay = self.retry.delay(self.failures, random::fraction());
        if since.elapsed() + delay > self.retry.budget {
            return Err(error);
        }
        self.failures += 1;
        let level = match is_told(self.failures) {
            true => log::Level::Warn,
            false => log::Level::Debug,
        };
        let so_far = match self.failures {
            1 => String::new(),
            failures => format!(" ({failures} failures so far)"),
        };
        let said = error.chain();
        log::log!(level, "{said}; trying again in {delay:.1?}{so_far}");
        cancel.pause(delay)
    }

    /// Forgets the failures so far, because something got through since.
    pub fn progress(&mut self) {
        self.failures = 0;
        self.first_failure = None;
    }
}

/// True for a failure, counted from 1, that is told: the longer it goes on, the rarer.
fn is_told(failure: u32) -> bool {
    failure.is_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::Cause;
    use crate::error::Kind;

    const FAST: RetryPolicy = RetryPolicy {
        first: Duration::from_millis(1),
        most: Duration::from_millis(2),
        budget: Duration::from_secs(60),
    };

    const USUAL: RetryPolicy = RetryPolicy::within(Duration::from_secs(300));

    fn down() -> Error {
        Error::new(Kind::Unavailable, "down")
    }

    #[test]
    fn what_may_pass_is_tried_again_and_nothing_else() {
        let cancel = Cancel::new().unwrap();
        let mut tries = 0;
        let done = FAST.run(&cancel, || {
            tries += 1;
            if tries < 4 { Err(down()) } else { Ok(tries) }
        });
        assert_eq!(done.unwrap(), 4);
        let mut tries = 0;
        let error = FAST
            .run(&cancel, || -> Result<()> {
                tries += 1;
                Err(Error::failed("no"))
            })
            .unwrap_err();
        assert_eq!((tries, error.to_string().as_str()), (1, "no"));
    }

    #[test]
    fn the_budget_ends_it_with_the_last_error() {
        let cancel = Cancel::new().unwrap();
        let retry = RetryPolicy {
            budget: Duration::ZERO,
            ..FAST
        };
        let mut backoff = retry.start();
        backoff.first_failure = Some(Instant::now() - Duration::from_secs(1));
        assert_eq!(
            backoff.pause(down(), &cancel).unwrap_err().to_string(),
            "down"
        );
    }

    #[test]
    fn a_server_that_stays_away_is_told_of_more_and_more_rarely() {
        let told: Vec<u32> = (1..=100).filter(|failure| is_told(*failure)).collect();
        assert_eq!(told, [1, 2, 4, 8, 16, 32, 64]);
    }

    #[test]
    fn a_cancel_ends_the_pause_and_is_the_reason() {
        let cancel = Cancel::new().unwrap();
        cancel.cancel(Cause::Signal(15));
        let error = USUAL.start().pause(down(), &cancel).unwrap_err();
        assert_eq!(error.kind(), Kind::Signal(15));
    }

    #[test]
    fn pauses_double_up_to_the_most_and_are_drawn_from_zero() {
        let retry = USUAL;
        assert_eq!(retry.delay(0, 0.0), Duration::ZERO);
        assert_eq!(retry.delay(0, 1.0), Duration::from_millis(250));
        assert_eq!(retry.delay(3, 1.0), Duration::from_secs(2));
        assert_eq!(retry.delay(60, 1.0), Duration::from_secs(20));
    }
}
