//! Where a server is, and what else libpq's variables say of a connection. What this client does not know is refused by name:
//! a setting that is silently left out could be the one that protects the connection.

use super::tls::{self, TlsSettings};
use crate::background::{mailbox, spawn};
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Kind, Result};
use crate::postgres::session::Session;
use rustix::event::PollFlags;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// How long to wait for a connection, unless the configuration says otherwise.
const CONNECT: Duration = Duration::from_secs(30);

/// What libpq knows and this client does not, with the value that asks for nothing.
const UNKNOWN: [(&str, &str, &[&str]); 8] = [
    ("PGGSSENCMODE", "gssencmode", &["disable", "prefer"]),
    ("PGREQUIREPEER", "requirepeer", &[""]),
    ("PGSSLCRL", "sslcrl", &[""]),
    ("PGSSLCRLDIR", "sslcrldir", &[""]),
    ("PGSSLCERTMODE", "sslcertmode", &["allow", "disable"]),
    ("PGTARGETSESSIONATTRS", "target_session_attrs", &["any"]),
    ("PGSSLCOMPRESSION", "sslcompression", &["0"]),
    ("PGGSSDELEGATION", "gssdelegation", &["0"]),
];

/// Everything about a connection but who logs in.
pub(super) struct Address {
    place: Place,
    /// For messages: `db.example:5432`, or the path of a socket.
    pub shown: String,
    /// What the server's certificate has to name, and what a file of passwords is searched for.
    pub host: String,
    pub port: String,
    pub limit: Duration,
    pub tls: TlsSettings,
    /// Settings for the server, as `options` has them.
    pub options: Option<String>,
}

enum Place {
    Socket(PathBuf),
    Tcp(String, u16),
}

impl Address {
    /// What `session` says.
    pub fn of(session: &Session) -> Result<Address> {
        for (variable, parameter, harmless) in UNKNOWN {
            let value = session.setting(variable).unwrap_or_default();
            if !value.is_empty() && !harmless.contains(&value.as_str()) {
                return Err(Error::usage(format!(
                    "base backups do not know {parameter} ({variable}={value})"
                ))
                .hint("leave it out of the connection of this cluster"));
            }
        }
        let host = session.host().to_string();
        let port = session.port().to_string();
        let number: u16 = port
            .parse()
            .map_err(|_| Error::usage(format!("{port:?} is no port")))?;
        if host.starts_with('@') {
            return Err(Error::usage("base backups do not know abstract sockets")
                .hint("name the directory of the server's socket, or its host"));
        }
        let place = match host.starts_with('/') {
            true => Place::Socket(PathBuf::from(&host).join(format!(".s.PGSQL.{port}"))),
            false => {
                let numeric = session.setting("PGHOSTADDR");
                let numeric = numeric.filter(|address| !address.is_empty());
                Place::Tcp(numeric.unwrap_or_else(|| host.clone()), number)
            }
        };
        let shown = match &place {
            Place::Socket(path) => path.display().to_string(),
            Place::Tcp(..) => format!("{host}:{port}"),
        };
        let limit = session.setting("PGCONNECT_TIMEOUT");
        let limit = limit.and_then(|seconds| seconds.parse().ok());
        // 0 is for ever, which no wait of ours is
        let limit = limit.filter(|seconds| *seconds > 0);
        Ok(Address {
            tls: match place {
                Place::Socket(_) => TlsSettings::none(),
                Place::Tcp(..) => tls::TlsSettings::of(session)?,
            },
            place,
            shown,
            host,
            port,
            limit: limit.map_or(CONNECT, Duration::from_secs),
            options: session.setting("PGOPTIONS").filter(|text| !text.is_empty()),
        })
    }

    /// True for a socket of this machine.
    pub fn is_local(&self) -> bool {
        matches!(self.place, Place::Socket(_))
    }

    /// Connects. The work is done on another thread, since neither names nor connections can be woken from.
    pub fn connect(&self, cancel: &Cancel) -> Result<Wire> {
        let (sender, receiver) = mailbox()?;
        let limit = self.limit;
        match &self.place {
            Place::Socket(path) => {
                let path = path.clone();
                spawn("connect", move || {
                    sender.send(UnixStream::connect(path).map(Socket::Unix));
                })?;
            }
            Place::Tcp(host, port) => {
                let (host, port) = (host.clone(), *port);
                spawn("connect", move || {
                    sender.send(connect_tcp(&host, port, limit).map(Socket::Tcp));
                })?;
            }
        }
        let connected = receiver.receive(&cancel.with_deadline(limit));
        cancel.check()?;
        let socket = connected.and_then(|connected| connected.map_err(Error::from));
        let socket = socket.map_err(|error| {
            Error::new(
                Kind::Unavailable,
                format!("cannot connect to {}: {}", self.shown, error.chain()),
            )
            .hint("is the server running, and are host and port of the connection right?")
        })?;
        Wire::new(socket, cancel)
    }
}

/// Tries each address of a host.
fn connect_tcp(host: &str, port: u16, limit: Duration) -> io::Result<TcpStream> {
    let addresses: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, limit) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

enum Socket {
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
    fn new(socket: Socket, cancel: &Cancel) -> Result<Wire> {
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
            patience: CONNECT,
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
        Ok(woken == crate::cancel::Woken::Ready)
    }

    fn wait(&self, flags: PollFlags) -> Result<()> {
        let woken = self
            .cancel
            .wait_for(self.socket.as_fd(), flags, Some(self.patience))?;
        match woken {
            crate::cancel::Woken::Ready => Ok(()),
            crate::cancel::Woken::TimedOut => Err(Error::new(
                Kind::Unavailable,
                format!(
                    "the server has neither sent nor taken anything for {}",
                    crate::text::duration::spelled(self.patience)
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
