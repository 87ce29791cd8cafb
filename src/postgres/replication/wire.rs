//! A connected socket whose waits have a limit and end when the run is cancelled.

use crate::cancel::{Cancel, Woken};
use crate::error::{Doing, Error, Kind, Result};
use crate::text::duration::spelled;
use rustix::event::PollFlags;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long one read or write may wait, unless somebody says otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connected socket.
pub(super) enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket::Unix(stream) => stream.as_fd(),
            Socket::Tcp(stream) => stream.as_fd(),
        }
    }
}

/// A connected socket whose waits have a limit and end when the run is cancelled.
pub(super) struct Wire {
    socket: Socket,
    cancel: Cancel,
    /// How long one read or write may wait.
    patience: Duration,
}

impl Wire {
    /// Takes a connected socket.
    pub fn new(socket: Socket, cancel: &Cancel) -> Result<Wire> {
        let doing = || "cannot set up a connection";
        match &socket {
            Socket::Unix(stream) => stream.set_nonblocking(true).doing(doing)?,
            Socket::Tcp(stream) => {
                stream.set_nonblocking(true).doing(doing)?;
                stream.set_nodelay(true).doing(doing)?;
            }
        }
        Ok(Wire {
            socket,
            cancel: cancel.clone(),
            patience: PATIENCE,
        })
    }

    /// How long a read or a write may wait from now on.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// True once there is something to read, by `limit`.
    pub fn is_readable_within(&self, limit: Duration) -> Result<bool> {
        let woken = self
            .cancel
            .wait_for(self.socket.as_fd(), PollFlags::IN, Some(limit))?;
        Ok(woken == Woken::Ready)
    }

    fn wait(&self, flags: PollFlags) -> Result<()> {
        let woken = self
            .cancel
            .wait_for(self.socket.as_fd(), flags, Some(self.patience))?;
        match woken {
            Woken::Ready => Ok(()),
            Woken::TimedOut => Err(Error::new(
                Kind::Unavailable,
                format!(
                    "the server has neither sent nor taken anything for {}",
                    spelled(self.patience)
                ),
            )),
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.cancel.check()?;
            let read = match &mut self.socket {
                Socket::Unix(stream) => stream.read(buffer),
                Socket::Tcp(stream) => stream.read(buffer),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(PollFlags::IN)?
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // a server that ends resets what was not read
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(0),
                read => return read,
            }
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let written = match &mut self.socket {
                Socket::Unix(stream) => stream.write(bytes),
                Socket::Tcp(stream) => stream.write(bytes),
            };
            match written {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(PollFlags::OUT)?
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
