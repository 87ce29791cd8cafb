//! An ordered parallel map over jobs: submitted on one thread, worked on by a few, handed back in the
//! order of submission.
//!
//! A job owns its buffers and comes back with them, so the side that submits decides how many there are and
//! that bounds the memory. A worker that dies is an error of the job it held, never an end.

use crate::error::{Doing, Error, Result};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// How many threads help with one stream on this machine: its cores, at most eight.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(8))
}

/// Blocks in flight for `threads` workers: one at work and one waiting for each, and one being filled.
pub(super) fn blocks_for(threads: usize) -> usize {
    2 * threads.max(1) + 1
}

/// Where one job is worked on, and the way its result takes back.
type Ticket<J> = (J, SyncSender<Result<J>>);

/// A few threads that work on jobs `J`. Dropping it waits for the jobs still under way, one a thread, and begins no other.
pub(super) struct Pool<J> {
    is_closed: Arc<AtomicBool>,
    queue: Option<Sender<Ticket<J>>>,
    /// One receiver a job, the oldest first.
    pending: VecDeque<Receiver<Result<J>>>,
    workers: Vec<JoinHandle<()>>,
}

impl<J: Send + 'static> Pool<J> {
    /// Starts `threads` workers; each gets a `work` of its own from `make`, with whatever state it keeps.
    pub(super) fn start<W>(threads: usize, make: impl Fn() -> Result<W>) -> Result<Pool<J>>
    where
        W: FnMut(&mut J) -> Result<()> + Send + 'static,
    {
        let (queue, jobs) = channel::<Ticket<J>>();
        let jobs = Arc::new(Mutex::new(jobs));
        let is_closed = Arc::new(AtomicBool::new(false));
        let mut pool = Pool {
            is_closed: Arc::clone(&is_closed),
            queue: Some(queue),
            pending: VecDeque::new(),
            workers: Vec::new(),
        };
        for _ in 0..threads.max(1) {
            let (jobs, is_closed) = (Arc::clone(&jobs), Arc::clone(&is_closed));
            let mut work = make()?;
            let worker = std::thread::Builder::new()
                .name("codec".into())
                .spawn(move || {
                    while let Some((mut job, back)) = next(&jobs, &is_closed) {
                        let result = work(&mut job).map(|()| job);
                        // nobody waits for it any more when the pool was dropped
                        let _ = back.send(result);
                    }
                })
                .doing(|| "cannot start a compression thread")?;
            pool.workers.push(worker);
        }
        Ok(pool)
    }

    /// Hands `job` to the next free worker; never blocks.
    pub(super) fn submit(&mut self, job: J) -> Result<()> {
        let (back, result) = sync_channel(1);
        let queue = self.queue.as_ref().ok_or_else(died)?;
        queue.send((job, back)).map_err(|_| died())?;
        self.pending.push_back(result);
        Ok(())
    }

    /// Jobs submitted and not yet taken back.
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The oldest job if it is done, without waiting.
    pub(super) fn try_take(&mut self) -> Option<Result<J>> {
        let result = match self.pending.front()?.try_recv() {
            Ok(result) => result,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => Err(died()),
        };
        self.pending.pop_front();
        Some(result)
    }

    /// The oldest job, waited for; `None` when none is pending.
    pub(super) fn take(&mut self) -> Option<Result<J>> {
        let oldest = self.pending.pop_front()?;
        Some(oldest.recv().unwrap_or_else(|_| Err(died())))
    }
}

impl<J> Drop for Pool<J> {
    fn drop(&mut self) {
        self.is_closed.store(true, Ordering::Relaxed);
        drop(self.queue.take());
        for worker in self.workers.drain(..) {
            // a panic was already reported as the failure of its job
            let _ = worker.join();
        }
    }
}

fn next<J>(jobs: &Mutex<Receiver<Ticket<J>>>, is_closed: &AtomicBool) -> Option<Ticket<J>> {
    let jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
    let ticket = jobs.recv().ok()?;
    // what is queued when the pool is dropped would take a slow level many seconds
    (!is_closed.load(Ordering::Relaxed)).then_some(ticket)
}

fn died() -> Error {
    Error::failed("a compression thread died before it was done")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn a_pool_that_is_dropped_begins_nothing_more() {
        let (begun, release) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(2)));
        let mut pool = Pool::start(1, || {
            let (begun, release) = (Arc::clone(&begun), Arc::clone(&release));
            Ok(move |_: &mut u32| {
                if begun.fetch_add(1, Ordering::SeqCst) == 0 {
                    release.wait();
                    release.wait();
                }
                Ok(())
            })
        })
        .unwrap();
        (0..5).for_each(|job| pool.submit(job).unwrap());
        let is_closed = Arc::clone(&pool.is_closed);
        // the first is under way
        release.wait();
        let dropping = std::thread::spawn(move || drop(pool));
        while !is_closed.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        release.wait();
        dropping.join().unwrap();
        assert_eq!(begun.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn jobs_come_back_in_order_though_they_are_done_in_another() {
        // the first job waits for the second, which must be another worker's
        let both = Arc::new(Barrier::new(2));
        let mut pool = Pool::start(2, || {
            let both = Arc::clone(&both);
            Ok(move |job: &mut u32| {
                if *job < 2 {
                    both.wait();
                }
                *job *= 10;
                Ok(())
            })
        })
        .unwrap();
        (0..9).for_each(|job| pool.submit(job).unwrap());
        assert_eq!(pool.pending(), 9);
        for job in 0..9 {
            assert_eq!(pool.take().unwrap().unwrap(), 10 * job);
        }
        assert!(pool.take().is_none());
        assert!(pool.try_take().is_none());
    }

    #[test]
    fn a_worker_that_dies_is_an_error_and_not_an_end() {
        let mut pool = Pool::start(1, || {
            Ok(|job: &mut u32| match *job {
                0 => Ok(()),
                _ => panic!("on purpose"),
            })
        })
        .unwrap();
        pool.submit(0).unwrap();
        pool.submit(1).unwrap();
        assert!(pool.take().unwrap().is_ok());
        assert!(pool.take().unwrap().is_err());
        pool.submit(2).ok();
        while pool.pending() > 0 {
            if let Some(end) = pool.try_take() {
                assert!(end.is_err());
            }
        }
        // with the last worker gone a job is refused or comes back as an error
        let refused = pool.submit(0).is_err() || pool.take().unwrap().is_err();
        assert!(refused);
    }

    #[test]
    fn a_failed_job_is_its_own_failure() {
        let mut pool = Pool::start(2, || {
            Ok(|job: &mut u32| match *job {
                3 => Err(Error::damaged("three")),
                _ => Ok(()),
            })
        })
        .unwrap();
        (0..5).for_each(|job| pool.submit(job).unwrap());
        let ends: Vec<bool> = std::iter::from_fn(|| pool.take())
            .map(|end| end.is_ok())
            .collect();
        assert_eq!(ends, [true, true, true, false, true]);
    }
}
