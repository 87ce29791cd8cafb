//! A pipe that tells of an end: its other end is closed when there is nothing left to wait for.

use crate::error::{Doing, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// The end to wait on, and the end to drop once what is watched for has come.
pub(super) fn watch_end(program: &str) -> Result<(OwnedFd, OwnedFd)> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .doing(|| format!("cannot watch {program}"))
}

/// True once the other end of `fd` is closed, waiting at most `limit`. Not cancellable: this is the clean-up itself.
pub(super) fn hung_up(fd: &OwnedFd, limit: Duration) -> bool {
    let give_up = Instant::now() + limit;
    loop {
        let left = give_up.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: left.subsec_nanos().into(),
        };
        let mut fds = [PollFd::new(fd, PollFlags::IN)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(ready) => return ready > 0,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}
