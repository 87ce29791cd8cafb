//! A replication connection: from the first byte to plain commands and their rows.

use super::address::ServerAddress;
use super::authentication::{LoginAnswer, ReplicationLogin};
use super::lsn::Lsn;
use super::message::{BodyFields, Frames, MessageBody, Tag, not_postgresql, query};
use super::scram::Binding;
use super::server_error::ServerError;
use super::tls::{self, Attempt, Protected};
use super::wire::Wire;
use crate::cancel::Cancel;
use crate::error::{Error, Kind, Result};
use crate::postgres::session::Session;
use std::io::{self, Read, Write};
use std::time::Duration;

/// What asks a server for TLS.
const WANTS_TLS: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// Version 3.0 of the protocol, which every server speaks.
const PROTOCOL: u32 = 3 << 16;
/// How long an answer to a small command may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many notices are kept.
const NOTICES: usize = 1000;

/// A connection to a WAL sender.
pub struct ReplicationConnection {
    pub(super) frames: Frames<Link>,
    /// Where it goes, for messages.
    shown: String,
    /// The server waits for a command.
    is_ready: bool,
    /// What the server told meanwhile, the first of it.
    pub(super) notices: Vec<ServerError>,
    major: u32,
}

/// Who the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemIdentity {
    /// What its cluster was born with.
    pub system_identifier: u64,
    pub timeline: u32,
    /// How far its WAL is written out.
    pub flushed: Lsn,
}

/// The bytes of a connection.
pub(super) enum Link {
    Plain(Wire),
    Tls(Protected),
}

impl Link {
    /// The socket below.
    pub fn wire(&mut self) -> &mut Wire {
        match self {
            Link::Plain(wire) => wire,
            Link::Tls(protected) => protected.wire(),
        }
    }

    /// True once a read will not wait, by `limit`.
    pub fn is_readable_within(&mut self, limit: Duration) -> Result<bool> {
        if let Link::Tls(protected) = self
            && protected.has_plain_text()
        {
            return Ok(true);
        }
        self.wire().is_readable_within(limit)
    }

    fn binding(&self) -> Option<Binding> {
        match self {
            Link::Plain(_) => None,
            Link::Tls(protected) => Some(protected.binding()),
        }
    }
}

impl Read for Link {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Link::Plain(wire) => wire.read(buffer),
            Link::Tls(protected) => protected.read(buffer),
        }
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Link::Plain(wire) => wire.write(bytes),
            Link::Tls(protected) => protected.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Link::Plain(wire) => wire.flush(),
            Link::Tls(protected) => protected.flush(),
        }
    }
}

impl ReplicationConnection {
    /// Logs in as `session` says, under this name in `pg_stat_activity`. Passing failures are [`Kind::Unavailable`].
    pub fn connect(
        session: &Session,
        application: &str,
        cancel: &Cancel,
    ) -> Result<ReplicationConnection> {
        let address = ServerAddress::of(session)?;
        let attempts = address.tls.attempts();
        let mut last = None;
        for attempt in attempts {
            let tried = try_once(session, &address, *attempt, application, cancel);
            match tried {
                Ok(connection) => return Ok(connection),
                Err(error) if error.ends_the_run() => return Err(error),
                // with or without TLS, what cannot be reached cannot be reached
                Err(error) if error.kind() == Kind::Unavailable => return Err(error),
                Err(error) => last.get_or_insert(error),
            };
        }
        Err(last.unwrap_or_else(|| Error::failed(format!("cannot connect to {}", address.shown))))
    }

    /// The major version of the server: 17.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// Where it goes, for messages.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// True where the server waits for a command: whatever failed before is over.
    pub fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// Asks the server who it is.
    pub fn identify_system(&mut self) -> Result<SystemIdentity> {
        let rows = self.rows("IDENTIFY_SYSTEM")?;
        let column = |at: usize| rows.first()?.get(at)?.as_deref();
        let identity = || {
            Some(SystemIdentity {
                system_identifier: column(0)?.parse().ok()?,
                timeline: column(1)?.parse().ok()?,
                flushed: column(2)?.parse().ok()?,
            })
        };
        identity().ok_or_else(not_postgresql)
    }

    /// The rows that a command gives.
    pub(super) fn rows(&mut self, command: &str) -> Result<Vec<Vec<Option<String>>>> {
        self.send_command(command)?;
        let mut rows = Vec::new();
        loop {
            let (tag, body) = self.next()?;
            match tag {
                b'D' => rows.push(BodyFields(self.frames.body(body)).row()?),
                b'T' | b'C' | b'I' => {}
                b'Z' => {
                    self.is_ready = true;
                    return Ok(rows);
                }
                _ => return Err(not_postgresql()),
            }
        }
    }

    pub(super) fn send_command(&mut self, command: &str) -> Result<()> {
        self.is_ready = false;
        self.patience(PATIENCE);
        self.frames.send(&query(command))
    }

    /// How long the server may be silent from now on.
    pub(super) fn patience(&mut self, patience: Duration) {
        self.frames.stream().wire().set_patience(patience);
    }

    /// The next message that matters. An error of the server is one of ours; the connection is ready again after it, unless the
    /// server has ended it.
    pub(super) fn next(&mut self) -> Result<(Tag, MessageBody)> {
        match self.next_or_error()? {
            Ok(message) => Ok(message),
            Err(refused) => {
                let is_over = refused.severity != "ERROR";
                let error = refused.into_error();
                if !is_over {
                    self.until_ready()?;
                }
                Err(error)
            }
        }
    }

    /// The same, and an error of the server as it is.
    pub(super) fn next_or_error(
        &mut self,
    ) -> Result<std::result::Result<(Tag, MessageBody), ServerError>> {
        loop {
            let (tag, body) = self.frames.next()?;
            match tag {
                b'E' => return Ok(Err(ServerError::read(self.frames.body(body))?)),
                b'N' => {
                    let notice = ServerError::read(self.frames.body(body))?;
                    if self.notices.len() < NOTICES {
                        self.notices.push(notice);
                    }
                }
                // settings and keys
                b'S' | b'K' => {}
                _ => return Ok(Ok((tag, body))),
            }
        }
    }

    /// Skips to where the server waits for a command.
    pub(super) fn until_ready(&mut self) -> Result<()> {
        loop {
            let (tag, _) = self.frames.next()?;
            if tag == b'Z' {
                self.is_ready = true;
                return Ok(());
            }
        }
    }

    pub(super) fn set_ready(&mut self) {
        self.is_ready = true;
    }

    fn log_in(&mut self, mut login: ReplicationLogin) -> Result<()> {
        loop {
            let (tag, body) = self.frames.next()?;
            match tag {
                b'R' => {
                    let binding = self.frames.stream().binding();
                    match login.answer(self.frames.body(body), binding)? {
                        LoginAnswer::Send(bytes) => self.frames.send(&bytes)?,
                        LoginAnswer::Wait | LoginAnswer::Done => {}
                    }
                }
                b'E' => return Err(ServerError::read(self.frames.body(body))?.into_error()),
                b'S' => {
                    let mut fields = BodyFields(self.frames.body(body));
                    if fields.text()? == "server_version" {
                        let version = fields.text()?;
                        let digits = version.split(|c: char| !c.is_ascii_digit()).next();
                        self.major = digits.and_then(|text| text.parse().ok()).unwrap_or(0);
                    }
                }
                b'Z' => {
                    self.is_ready = true;
                    return Ok(());
                }
                b'N' | b'K' | b'v' => {}
                _ => return Err(not_postgresql()),
            }
        }
    }
}

impl Drop for ReplicationConnection {
    /// Says goodbye where that costs nothing; the server notices the end anyway.
    fn drop(&mut self) {
        if self.is_ready {
            self.patience(Duration::from_secs(1));
            drop(self.frames.send(&super::message::frame(b'X', b"")));
        }
    }
}

fn try_once(
    session: &Session,
    address: &ServerAddress,
    attempt: Attempt,
    application: &str,
    cancel: &Cancel,
) -> Result<ReplicationConnection> {
    let wire = address.connect(cancel)?;
    let link = match attempt {
        Attempt::Plain => Link::Plain(wire),
        Attempt::Tls if address.tls.is_direct => Link::Tls(address.tls.begin(&address.host, wire)?),
        Attempt::Tls | Attempt::TlsIfThere => negotiated(address, wire, attempt)?,
    };
    let mut connection = ReplicationConnection {
        frames: Frames::new(link),
        shown: address.shown.clone(),
        is_ready: false,
        notices: Vec::new(),
        major: 0,
    };
    connection.patience(address.limit.max(PATIENCE));
    connection
        .frames
        .send(&start_up(session, address, application))?;
    let login = ReplicationLogin::of(session, address)?;
    connection
        .log_in(login)
        .map_err(|error| error.doing(format!("cannot log in at {}", address.shown)))?;
    Ok(connection)
}

/// Asks for TLS in the clear, as every server understands it.
fn negotiated(address: &ServerAddress, mut wire: Wire, attempt: Attempt) -> Result<Link> {
    wire.write_all(&WANTS_TLS)?;
    let mut answer = [0];
    wire.read_exact(&mut answer)?;
    match (&answer, attempt) {
        (b"S", _) => Ok(Link::Tls(address.tls.begin(&address.host, wire)?)),
        (b"N", Attempt::TlsIfThere) => Ok(Link::Plain(wire)),
        (b"N", _) => Err(tls::not_there(&address.shown)),
        _ => Err(not_postgresql()),
    }
}

fn start_up(session: &Session, address: &ServerAddress, application: &str) -> Vec<u8> {
    let mut parameters = vec![
        ("user", session.user()),
        ("replication", "true"),
        ("application_name", application),
        ("client_encoding", "UTF8"),
    ];
    // a storage may be slow to take what was sent
    let own = address.options.as_deref().unwrap_or_default();
    let options = format!("{own} -c wal_sender_timeout=600s");
    parameters.push(("options", options.trim()));
    let mut body = PROTOCOL.to_be_bytes().to_vec();
    for (name, value) in parameters {
        for text in [name, value] {
            body.extend(text.as_bytes());
            body.push(0);
        }
    }
    body.push(0);
    let mut message = (body.len() as u32 + 4).to_be_bytes().to_vec();
    message.extend(body);
    message
}
