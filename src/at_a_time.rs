//! Work on several things at a time.

use crate::error::{Error, Result};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Told to everybody once something has failed.
#[derive(Debug, Default)]
pub struct GiveUp(AtomicBool);

impl GiveUp {
    /// Fails where something else has; that error is the one that is told.
    pub fn check(&self) -> Result<()> {
        match self.0.load(Ordering::Relaxed) {
            false => Ok(()),
            true => Err(Error::failed("something else has failed meanwhile")),
        }
    }
}

/// Does `work` for each of `items`, for `most` of them at a time. What takes long looks at its [`GiveUp`] now and then. Returns what
/// came of the items in their order, or the first error that was met.
pub fn at_a_time<I: Sync, T: Send>(
    most: usize,
    items: &[I],
    work: impl Fn(&I, &GiveUp) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let stop = GiveUp::default();
    if most <= 1 || items.len() <= 1 {
        return items.iter().map(|item| work(item, &stop)).collect();
    }
    let left: Mutex<VecDeque<(usize, &I)>> = Mutex::new(items.iter().enumerate().collect());
    let (done, failed) = (Mutex::new(Vec::new()), Mutex::new(None));
    let take = || {
        stop.check().ok()?;
        locked(&left).pop_front()
    };
    std::thread::scope(|scope| {
        for _ in 0..most.min(items.len()) {
            scope.spawn(|| {
                while let Some((number, item)) = take() {
                    match work(item, &stop) {
                        Ok(one) => locked(&done).push((number, one)),
                        Err(error) => {
                            // before the others hear of it, who fail by that alone
                            locked(&failed).get_or_insert(error);
                            stop.0.store(true, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    if let Some(error) = locked(&failed).take() {
        return Err(error);
    }
    let mut done = std::mem::take(&mut *locked(&done));
    done.sort_by_key(|(number, _)| *number);
    Ok(done.into_iter().map(|(_, one)| one).collect())
}

/// Whoever panicked, what is in it is whole: nothing is done with it but what cannot fail.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[test]
    fn so_many_are_done_at_a_time_and_come_back_in_order() {
        for most in [1, 3] {
            let barrier = Barrier::new(most);
            let doubled = at_a_time(most, &[1, 2, 3, 4, 5, 6], |number, _| {
                // it passes only where so many have come
                barrier.wait();
                Ok(number * 2)
            });
            assert_eq!(doubled.unwrap(), [2, 4, 6, 8, 10, 12]);
        }
    }

    #[test]
    fn the_first_error_is_told_and_nothing_more_is_begun() {
        let (begun, both) = (Mutex::new(Vec::new()), Barrier::new(2));
        let failed = at_a_time(2, &[1, 2, 3, 4], |number, stop| {
            locked(&begun).push(*number);
            both.wait();
            if *number == 1 {
                return Err(Error::failed("one"));
            }
            while stop.check().is_ok() {
                std::thread::yield_now();
            }
            stop.check()
        });
        assert_eq!(failed.unwrap_err().to_string(), "one");
        let mut begun = locked(&begun).clone();
        begun.sort_unstable();
        assert_eq!(begun, [1, 2]);
    }
}
