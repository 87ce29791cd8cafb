//! Where a server is, and what else libpq's variables say of a connection. What this client does not know is refused by name:
//! a setting that is silently left out could be the one that protects the connection.

use super::tls::TlsSettings;
use super::wire::{Socket, Wire};
use crate::background::{mailbox, spawn};
use crate::cancel::Cancel;
use crate::error::{Error, Kind, Result};
use crate::postgres::session::Session;
use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
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
pub(super) struct ServerAddress {
    place: SocketPlace,
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

enum SocketPlace {
    Socket(PathBuf),
    Tcp(String, u16),
}

impl ServerAddress {
    /// What `session` says.
    pub fn of(session: &Session) -> Result<ServerAddress> {
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
            true => SocketPlace::Socket(PathBuf::from(&host).join(format!(".s.PGSQL.{port}"))),
            false => {
                let numeric = session.setting("PGHOSTADDR");
                let numeric = numeric.filter(|address| !address.is_empty());
                SocketPlace::Tcp(numeric.unwrap_or_else(|| host.clone()), number)
            }
        };
        let shown = match &place {
            SocketPlace::Socket(path) => path.display().to_string(),
            SocketPlace::Tcp(..) => format!("{host}:{port}"),
        };
        let limit = session.setting("PGCONNECT_TIMEOUT");
        let limit = limit.and_then(|seconds| seconds.parse().ok());
        // 0 is for ever, which no wait of ours is
        let limit = limit.filter(|seconds| *seconds > 0);
        Ok(ServerAddress {
            tls: match place {
                SocketPlace::Socket(_) => TlsSettings::none(),
                SocketPlace::Tcp(..) => TlsSettings::of(session)?,
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
        matches!(self.place, SocketPlace::Socket(_))
    }

    /// Connects. The work is done on another thread, since neither names nor connections can be woken from.
    pub fn connect(&self, cancel: &Cancel) -> Result<Wire> {
        let (sender, receiver) = mailbox()?;
        let limit = self.limit;
        match &self.place {
            SocketPlace::Socket(path) => {
                let path = path.clone();
                spawn("connect", move || {
                    sender.send(UnixStream::connect(path).map(Socket::Unix));
                })?;
            }
            SocketPlace::Tcp(host, port) => {
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
