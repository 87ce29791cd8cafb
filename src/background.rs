//! Blocking work on another thread, waited for under a [`Cancel`].
//!
//! An HTTP call cannot be woken by our token, so it runs on a thread of its own and its caller waits here:
//! a cancel ends the wait at once, and the thread ends by the limits of the call it makes. A thread that
//! ends without its message is an error, never an end.

use crate::cancel::Cancel;
use crate::error::{Doing, Error, Result};
use rustix::event::PollFlags;
use rustix::pipe::{PipeFlags, pipe_with};
use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

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
