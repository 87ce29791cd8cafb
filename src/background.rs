//! Blocking work on another thread, waited for under a [`Cancel`].
//!
//! An HTTP call cannot be woken by our token, so it runs on a thread of its own and its caller waits here:
//! a cancel ends the wait at once, and the thread ends by the limits of the call it makes. A thread that
//! ends without its message is an error, never an end.

use crate::cancel::Cancel;
use crate::cancel::Cause;
use crate::error::{Doing, Error, Result};
use rustix::event::PollFlags;
use rustix::pipe::{PipeFlags, pipe_with};
use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

type Queue<T> = Arc<Mutex<VecDeque<T>>>;

/// Makes the two ends of a mailbox.
pub fn mailbox<T>() -> Result<(Sender<T>, Receiver<T>)> {
    let (readable, writable) =
        pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).doing(|| "cannot make a pipe")?;
    let queue = Queue::default();
    let sender = Sender {
        queue: Arc::clone(&queue),
        bell: Arc::new(writable),
    };
    Ok((sender, Receiver { queue, readable }))
}

/// The end of a mailbox that threads put their results into.
pub struct Sender<T> {
    queue: Queue<T>,
    bell: Arc<OwnedFd>,
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Sender {
            queue: Arc::clone(&self.queue),
            bell: Arc::clone(&self.bell),
        }
    }
}

impl<T> Sender<T> {
    /// Leaves `message` for the receiver, who may be gone.
    pub fn send(&self, message: T) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push_back(message);
        drop(queue);
        // a full pipe rings as well as one more byte would; a closed one has nobody to wake
        let _ = rustix::io::write(&self.bell, b"x");
    }
}

/// The end of a mailbox that waits.
pub struct Receiver<T> {
    queue: Queue<T>,
    readable: OwnedFd,
}

impl<T> Receiver<T> {
    /// Waits for the next message. Fails when cancelled, and when every sender is gone without one.
    pub fn receive(&self, cancel: &Cancel) -> Result<T> {
        loop {
            if let Some(message) = self.take() {
                return Ok(message);
            }
            if self.wait(cancel)? == Rung::Gone {
                return self
                    .take()
                    .ok_or_else(|| Error::failed("a thread of this program died"));
            }
        }
    }

    fn take(&self) -> Option<T> {
        self.queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    }

    fn wait(&self, cancel: &Cancel) -> Result<Rung> {
        cancel.wait_for(self.readable.as_fd(), PollFlags::IN, None)?;
        let mut bytes = [0u8; 64];
        match rustix::io::read(&self.readable, &mut bytes) {
            Ok(0) => Ok(Rung::Gone),
            _ => Ok(Rung::Maybe),
        }
    }
}

#[derive(PartialEq)]
enum Rung {
    /// Look into the queue.
    Maybe,
    /// No sender is left.
    Gone,
}

/// Starts `work` on a thread called `name`.
pub fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    std::thread::Builder::new()
        .name(name.to_string())
        .spawn(work)
        .map(|_| ())
        .doing(|| "cannot start a thread")
}

/// Something that is done again and again on a thread of its own until this is dropped.
pub struct Repeating {
    shared: Arc<(Mutex<Repetition>, Condvar)>,
    stop: Cancel,
    thread: Option<JoinHandle<()>>,
    patience: Duration,
}

#[derive(Default)]
struct Repetition {
    is_to_end: bool,
    has_ended: bool,
}

impl Repeating {
    /// Does `step` after a pause of `first`, and again after each pause that it returns; `None` is its end. When dropped, a
    /// step that is under way has `patience` to end by itself, then its token is cancelled.
    pub fn start(
        name: &str,
        first: Duration,
        patience: Duration,
        mut step: impl FnMut(&Cancel) -> Option<Duration> + Send + 'static,
    ) -> Result<Repeating> {
        let shared = Arc::new((Mutex::new(Repetition::default()), Condvar::new()));
        let stop = Cancel::new()?;
        let (told, token) = (Arc::clone(&shared), stop.clone());
        let body = move || {
            let (state, changed) = &*told;
            let mut pause = Some(first);
            while let Some(limit) = pause {
                let guard = state.lock().unwrap_or_else(PoisonError::into_inner);
                let goes_on = |state: &mut Repetition| !state.is_to_end;
                let waited = changed.wait_timeout_while(guard, limit, goes_on);
                let (guard, _) = waited.unwrap_or_else(PoisonError::into_inner);
                if guard.is_to_end {
                    break;
                }
                drop(guard);
                pause = step(&token);
            }
            let mut guard = state.lock().unwrap_or_else(PoisonError::into_inner);
            guard.has_ended = true;
            changed.notify_all();
        };
        let thread = std::thread::Builder::new().name(name.to_string());
        let thread = thread.spawn(body).doing(|| "cannot start a thread")?;
        Ok(Repeating {
            shared,
            stop,
            thread: Some(thread),
            patience,
        })
    }
}

impl Drop for Repeating {
    fn drop(&mut self) {
        let (state, changed) = &*self.shared;
        let mut guard = state.lock().unwrap_or_else(PoisonError::into_inner);
        guard.is_to_end = true;
        changed.notify_all();
        let works = |state: &mut Repetition| !state.has_ended;
        drop(changed.wait_timeout_while(guard, self.patience, works));
        self.stop.cancel(Cause::Stalled("the run has ended".into()));
        if let Some(thread) = self.thread.take() {
            // a panic of it has told itself on stderr
            let _ = thread.join();
        }
    }
}

/// Runs `work` on a thread and waits for what it returns. A cancel abandons it.
pub fn run<T: Send + 'static>(
    cancel: &Cancel,
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    cancel.check()?;
    let (sender, receiver) = mailbox()?;
    spawn(name, move || sender.send(work()))?;
    receiver.receive(cancel)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::Cause;
    use crate::error::Kind;

    #[test]
    fn a_cancel_wakes_the_caller_though_the_work_goes_on() {
        let cancel = Cancel::new().unwrap();
        let (release, held) = std::sync::mpsc::channel::<()>();
        let other = cancel.clone();
        let waiting = std::thread::spawn(move || run(&other, "stuck", move || held.recv()));
        cancel.cancel(Cause::Signal(15));
        let error = waiting.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), Kind::Signal(15));
        drop(release);
    }

    #[test]
    fn what_repeats_ends_when_it_is_dropped_or_says_so() {
        let (sender, steps) = std::sync::mpsc::channel();
        let short = Duration::from_millis(1);
        let repeating = Repeating::start("steps", short, CLEAN_UP, move |_| {
            sender.send(()).unwrap();
            Some(short)
        });
        for _ in 0..3 {
            steps.recv().unwrap();
        }
        drop(repeating.unwrap());
        while steps.try_recv().is_ok() {}
        assert!(steps.recv().is_err(), "its thread is gone");
        // one that waits for something is cancelled
        let (sender, begun) = std::sync::mpsc::channel();
        let repeating = Repeating::start("waits", short, short, move |stop| {
            sender.send(()).unwrap();
            let _ = stop.pause(Duration::from_secs(600));
            None
        });
        begun.recv().unwrap();
        drop(repeating.unwrap());
    }

    const CLEAN_UP: Duration = Duration::from_secs(60);

    #[test]
    fn a_thread_that_dies_is_an_error() {
        let cancel = Cancel::new().unwrap();
        let (sender, receiver) = mailbox::<u32>().unwrap();
        drop(sender);
        assert!(receiver.receive(&cancel).is_err());
    }

    #[test]
    fn many_messages_arrive_in_order() {
        let cancel = Cancel::new().unwrap();
        let (sender, receiver) = mailbox().unwrap();
        let count = 100_000;
        for number in 0..count {
            sender.send(number);
        }
        drop(sender);
        for number in 0..count {
            assert_eq!(receiver.receive(&cancel).unwrap(), number);
        }
        assert!(receiver.receive(&cancel).is_err());
    }
}
