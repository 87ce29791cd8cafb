//! One token that wakes every wait: a signal, a deadline or a stall.
//!
//! The token owns a pipe that is written to once and never read, so its read end stays readable for
//! good; every wait of the program is a `poll` over that end and the thing waited for. A token with a
//! deadline shares the pipe of the token it was made from, so whatever comes first ends both.

use crate::error::{Error, Kind, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Why a run was told to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// This signal arrived.
    Signal(i32),
    /// Something was waited for longer than is sensible; the text says what.
    Stalled(String),
}

/// A shared cancellation token. Clones are the same token.
#[derive(Clone)]
pub struct Cancel {
    shared: Arc<Shared>,
    deadline: Option<Deadline>,
}

#[derive(Clone)]
struct Deadline {
    at: Instant,
    limit: Duration,
}

struct Shared {
    cause: Mutex<Option<Cause>>,
    readable: OwnedFd,
    writable: OwnedFd,
}

/// What ended a wait that was not cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// The descriptor is ready, or its other end is gone.
    Ready,
    /// The time given for this wait is over.
    TimedOut,
}

impl Cancel {
    /// A fresh token that nothing has cancelled.
    pub fn new() -> Result<Cancel> {
        let (readable, writable) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
            .map_err(|error| {
                Error::failed("cannot make a pipe").because(std::io::Error::from(error))
            })?;
        Ok(Cancel {
            shared: Arc::new(Shared {
                cause: Mutex::new(None),
                readable,
                writable,
            }),
            deadline: None,
        })
    }

    /// This token, which also ends after `limit`.
    pub fn with_deadline(&self, limit: Duration) -> Cancel {
        let at = Instant::now() + limit;
        let deadline = match &self.deadline {
            Some(earlier) if earlier.at <= at => earlier.clone(),
            _ => Deadline { at, limit },
        };
        Cancel {
            shared: Arc::clone(&self.shared),
            deadline: Some(deadline),
        }
    }

    /// The time until its deadline; `None` without one.
    pub fn left(&self) -> Option<Duration> {
        let deadline = self.deadline.as_ref()?;
        Some(deadline.at.saturating_duration_since(Instant::now()))
    }

    /// Cancels every clone. Only the first cause is kept.
    pub fn cancel(&self, cause: Cause) {
        let mut slot = self
            .shared
            .cause
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if slot.is_none() {
            *slot = Some(cause);
            // one byte in an empty pipe: cannot block, and if it fails there is no reader to wake
            let _ = rustix::io::write(&self.shared.writable, b"x");
        }
    }

    /// Fails once the token is cancelled or its deadline is over.
    pub fn check(&self) -> Result<()> {
        match self.error() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// The failure to report where the token is cancelled or over.
    pub fn error(&self) -> Option<Error> {
        let cause = self
            .shared
            .cause
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        match cause {
            Some(Cause::Signal(number)) => Some(Error::new(
                Kind::Signal(number),
                format!("stopped by {}", signal_name(number)),
            )),
            Some(Cause::Stalled(what)) => Some(Error::new(Kind::Unavailable, what)),
            None => {
                let deadline = self.deadline.as_ref()?;
                self.deadline_is_over().then(|| {
                    Error::new(
                        Kind::Unavailable,
                        format!("stopped: the time limit of {:?} is over", deadline.limit),
                    )
                })
            }
        }
    }

    /// True once its own time is over, whether or not it was cancelled as well.
    pub fn deadline_is_over(&self) -> bool {
        let deadline = self.deadline.as_ref();
        deadline.is_some_and(|deadline| Instant::now() >= deadline.at)
    }

    /// Waits until `fd` shows one of `flags` (or an error or hang-up), at most `limit`.
    pub fn wait_for(
        &self,
        fd: BorrowedFd<'_>,
        flags: PollFlags,
        limit: Option<Duration>,
    ) -> Result<Woken> {
        let give_up = limit.map(|limit| Instant::now() + limit);
        loop {
            self.check()?;
            let until = [give_up, self.deadline.as_ref().map(|deadline| deadline.at)]
                .into_iter()
                .flatten()
                .min();
            let timeout = until.map(timespec_until);
            let mut fds = [
                PollFd::from_borrowed_fd(fd, flags),
                PollFd::new(&self.shared.readable, PollFlags::IN),
            ];
            match poll(&mut fds, timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(errno) => {
                    return Err(Error::failed("cannot wait for a child process or file")
                        .because(std::io::Error::from(errno)));
                }
            }
            let (ready, cancelled) = (!fds[0].revents().is_empty(), !fds[1].revents().is_empty());
            if cancelled {
                continue; // check() above says why
            }
            if ready {
                return Ok(Woken::Ready);
            }
            if give_up.is_some_and(|at| Instant::now() >= at) {
                return Ok(Woken::TimedOut);
            }
        }
    }

    /// Waits for `limit` unless cancelled before.
    pub fn pause(&self, limit: Duration) -> Result<()> {
        // the token's own pipe, asked for nothing: only the time or the cancellation ends this
        let fd = self.shared.writable.as_fd();
        self.wait_for(fd, PollFlags::empty(), Some(limit))
            .map(|_| ())
    }
}

fn timespec_until(at: Instant) -> Timespec {
    let left = at.saturating_duration_since(Instant::now());
    // a millisecond more, so that a wait never wakes just before its end and spins
    let left = left + Duration::from_millis(1);
    Timespec {
        tv_sec: left.as_secs().min(i64::MAX as u64 / 2) as i64,
        tv_nsec: left.subsec_nanos().into(),
    }
}

fn signal_name(number: i32) -> String {
    match number {
        1 => "SIGHUP".into(),
        2 => "SIGINT".into(),
        15 => "SIGTERM".into(),
        other => format!("signal {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancel_wakes_a_wait_and_says_why() {
        let cancel = Cancel::new().unwrap();
        let other = cancel.clone();
        let waiter = std::thread::spawn(move || other.pause(Duration::from_secs(600)));
        cancel.cancel(Cause::Signal(15));
        let error = waiter.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), Kind::Signal(15));
        assert_eq!(error.kind().exit_status(), 143);
        assert_eq!(error.to_string(), "stopped by SIGTERM");
    }

    #[test]
    fn a_deadline_ends_a_wait_but_not_the_token_it_came_from() {
        let cancel = Cancel::new().unwrap();
        let short = cancel.with_deadline(Duration::from_millis(5));
        assert_eq!(
            short.pause(Duration::from_secs(600)).unwrap_err().kind(),
            Kind::Unavailable
        );
        assert!(short.deadline_is_over() && !cancel.deadline_is_over());
        assert!(cancel.check().is_ok());
    }
}
