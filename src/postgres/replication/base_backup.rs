//! `BASE_BACKUP`: one tar a tablespace, the data directory last, and PostgreSQL's own manifest of all of it.
//!
//! From PostgreSQL 15 on all comes in one COPY, cut into archives by messages in it; PostgreSQL 14 sends a COPY for each. Here
//! both are a row of objects, each of which is read to its end.

use super::connection::ReplicationConnection;
use super::lsn::Lsn;
use super::message::{BodyFields, MessageBody, Tag, closed, frame, not_postgresql};
use crate::error::{Error, Kind, Result};
use crate::postgres::quoting::literal;
use std::io::{self, BufRead, Read};
use std::time::Duration;

/// The first version that sends all in one COPY, and takes options in brackets.
const ONE_COPY: u32 = 15;
/// How long the checkpoint at the start may take.
const FAST: Duration = Duration::from_secs(3600);
/// The same, where it is spread over what may be a day.
const SPREAD: Duration = Duration::from_secs(25 * 3600);
/// How long the server may be silent while it sends.
const SILENCE: Duration = Duration::from_secs(1800);
/// How much of a manifest is sent at a time.
const PIECE: usize = 64 * 1024;
/// What ends a tar, which PostgreSQL 14 leaves to its client.
const TAR_END: usize = 1024;
const ZEROS: [u8; TAR_END] = [0; TAR_END];

/// How the server makes the checkpoint that a backup begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckpointSpeed {
    Fast,
    /// As its settings spread any other.
    Spread,
}

/// What to back up and how.
#[derive(Debug, Clone)]
pub struct BaseBackupOptions {
    /// What backup_label calls it.
    pub label: String,
    pub checkpoint: CheckpointSpeed,
    /// What changed since the backup whose manifest was sent before.
    pub incremental: bool,
    /// Bytes a second.
    pub max_rate: Option<u64>,
}

impl BaseBackupOptions {
    fn command(&self, major: u32) -> String {
        let label = literal(&self.label);
        let rate = self.max_rate.map(|rate| rate / 1024);
        if major < ONE_COPY {
            let fast = match self.checkpoint {
                CheckpointSpeed::Fast => " FAST",
                CheckpointSpeed::Spread => "",
            };
            let rate = rate.map_or(String::new(), |rate| format!(" MAX_RATE {rate}"));
            return format!(
                "BASE_BACKUP LABEL {label} PROGRESS{fast} NOWAIT{rate} TABLESPACE_MAP MANIFEST 'yes' MANIFEST_CHECKSUMS 'CRC32C'"
            );
        }
        let checkpoint = match self.checkpoint {
            CheckpointSpeed::Fast => "fast",
            CheckpointSpeed::Spread => "spread",
        };
        let rate = rate.map_or(String::new(), |rate| format!(", MAX_RATE {rate}"));
        let incremental = if self.incremental {
            ", INCREMENTAL"
        } else {
            ""
        };
        format!(
            "BASE_BACKUP (LABEL {label}, PROGRESS, CHECKPOINT '{checkpoint}', WAIT false, TABLESPACE_MAP, MANIFEST 'yes', \
             MANIFEST_CHECKSUMS 'CRC32C', TARGET 'client'{rate}{incremental})"
        )
    }
}

/// What the server says before it sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseBackupStart {
    /// Where the WAL that the backup needs begins.
    pub start_lsn: Lsn,
    pub timeline: u32,
    /// One for each archive that it sends, in their order.
    pub tablespaces: Vec<SentTablespace>,
}

/// One tablespace; without an OID it is the data directory, with the two tablespaces that lie in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentTablespace {
    pub oid: Option<u32>,
    /// Where it lies on the server.
    pub path: Option<String>,
    /// About how large it is, in bytes.
    pub bytes: Option<u64>,
}

impl BaseBackupStart {
    /// About how much will be sent, as far as the server tells.
    pub fn expected_bytes(&self) -> Option<u64> {
        self.tablespaces.iter().map(|one| one.bytes).sum()
    }
}

/// What the server says at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BaseBackupEnd {
    /// Where the WAL that the backup needs ends.
    pub stop_lsn: Lsn,
    /// Everything was sent, and the server says that pages of it did not fit their checksums.
    pub has_damaged_pages: bool,
}

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// A tar of the tablespace with this OID.
    Tablespace(u32),
    /// A tar of the data directory.
    Base,
    /// PostgreSQL's list of all files.
    Manifest,
}

impl ReplicationConnection {
    /// Sends the manifest of an earlier backup, for an incremental one to begin from. PostgreSQL 17 and newer.
    pub fn upload_manifest(&mut self, manifest: &mut dyn Read) -> Result<()> {
        self.send_command("UPLOAD_MANIFEST")?;
        let (tag, _) = self.next()?;
        if tag != b'G' {
            return Err(not_postgresql());
        }
        let mut piece = vec![0; PIECE];
        loop {
            let count = match manifest.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    // the server waits for more of it, or for this
                    self.frames.send(&frame(b'f', b"it cannot be read\0"))?;
                    drop(self.next());
                    return Err(error.into());
                }
            };
            self.frames.send(&frame(b'd', &piece[..count]))?;
        }
        self.frames.send(&frame(b'c', b""))?;
        loop {
            let (tag, _) = self.next()?;
            match tag {
                b'C' | b'T' | b'D' => {}
                b'Z' => {
                    self.set_ready();
                    return Ok(());
                }
                _ => return Err(not_postgresql()),
            }
        }
    }

    /// Has the server begin, up to the moment at which it sends. Where it refuses, the connection can be used on.
    pub fn begin_base_backup(&mut self, options: &BaseBackupOptions) -> Result<BaseBackupStart> {
        self.send_command(&options.command(self.major()))?;
        self.patience(match options.checkpoint {
            CheckpointSpeed::Fast => FAST,
            CheckpointSpeed::Spread => SPREAD,
        });
        let start = self.result_set()?;
        let column = |at: usize| start.first()?.get(at)?.as_deref();
        let start = || Some((column(0)?.parse().ok()?, column(1)?.parse().ok()?));
        let (start_lsn, timeline) = start().ok_or_else(not_postgresql)?;
        let tablespaces = self.result_set()?.into_iter().map(|mut row| {
            row.resize(3, None);
            let kilobytes: Option<u64> = row[2].as_ref().and_then(|text| text.parse().ok());
            Ok(SentTablespace {
                oid: match &row[0] {
                    Some(oid) => Some(oid.parse().map_err(|_| not_postgresql())?),
                    None => None,
                },
                path: row[1].take(),
                bytes: kilobytes.map(|kilobytes| kilobytes * 1024),
            })
        });
        let tablespaces = tablespaces.collect::<Result<Vec<SentTablespace>>>()?;
        let (tag, _) = self.next()?;
        if tag != b'H' {
            return Err(not_postgresql());
        }
        self.patience(SILENCE);
        Ok(BaseBackupStart {
            start_lsn,
            timeline,
            tablespaces,
        })
    }

    /// Takes what the server sends after `start`.
    pub fn receive(self, start: &BaseBackupStart) -> BaseBackupStream {
        let places = start.tablespaces.iter().map(|one| match one.oid {
            Some(oid) => ObjectKind::Tablespace(oid),
            None => ObjectKind::Base,
        });
        let mut expected: Vec<ObjectKind> = places.collect();
        expected.push(ObjectKind::Manifest);
        expected.reverse();
        let state = match self.major() < ONE_COPY {
            // its first COPY has begun, which is the first archive
            true => StreamState::InCopy,
            false => StreamState::Between,
        };
        BaseBackupStream {
            connection: self,
            expected,
            state,
            piece: None,
            padding: 0,
            is_fresh: true,
        }
    }

    /// The rows of one of several result sets.
    fn result_set(&mut self) -> Result<Vec<Vec<Option<String>>>> {
        let mut rows = Vec::new();
        loop {
            let (tag, body) = self.next()?;
            match tag {
                b'T' => {}
                b'D' => rows.push(BodyFields(self.frames.body(body)).row()?),
                b'C' => return Ok(rows),
                _ => return Err(not_postgresql()),
            }
        }
    }
}

/// The objects of a backup, in the order in which the server sends them.
pub struct BaseBackupStream {
    connection: ReplicationConnection,
    /// What is still to come, the next one last.
    expected: Vec<ObjectKind>,
    state: StreamState,
    /// The bytes of the object that are here and were not taken.
    piece: Option<CopyPiece>,
    /// Zeros that end the object.
    padding: usize,
    /// The first object has not been asked for.
    is_fresh: bool,
}

#[derive(Clone, Copy)]
struct CopyPiece {
    body: MessageBody,
    taken: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StreamState {
    /// Between two objects of one COPY: the message that begins the next is not here yet.
    Between,
    /// Such a message is here.
    Announced,
    /// Within an object of one COPY.
    InArchive,
    /// Within an object that has a COPY of its own.
    InCopy,
    /// That COPY is over.
    AfterCopy,
    /// All COPYs are over.
    Over,
}

impl BaseBackupStream {
    /// The next object, to be read to its end; what was left of the one before is skipped. `None` where all have come.
    pub fn next_object(&mut self) -> Result<Option<ObjectKind>> {
        if !self.is_fresh {
            let mut rest = [0; 4096];
            while self.read(&mut rest)? > 0 {}
        }
        self.is_fresh = false;
        if self.connection.major() < ONE_COPY {
            return self.next_copy();
        }
        if self.state == StreamState::Between {
            self.look()?;
        }
        match self.state {
            StreamState::Announced => self.state = StreamState::InArchive,
            _ => return self.all_came(),
        }
        let Some(next) = self.expected.pop() else {
            return Err(not_postgresql());
        };
        Ok(Some(next))
    }

    fn next_copy(&mut self) -> Result<Option<ObjectKind>> {
        if self.state == StreamState::AfterCopy {
            if self.expected.is_empty() {
                self.state = StreamState::Over;
            } else {
                let (tag, _) = self.connection.next()?;
                match tag {
                    b'H' => self.state = StreamState::InCopy,
                    _ => return Err(not_postgresql()),
                }
            }
        }
        match (self.state, self.expected.pop()) {
            (StreamState::InCopy, Some(next)) => {
                self.padding = match next {
                    ObjectKind::Manifest => 0,
                    ObjectKind::Base | ObjectKind::Tablespace(_) => TAR_END,
                };
                Ok(Some(next))
            }
            _ => self.all_came(),
        }
    }

    fn all_came(&self) -> Result<Option<ObjectKind>> {
        match (self.state, self.expected.is_empty()) {
            (StreamState::Over, true) => Ok(None),
            _ => Err(Error::new(
                Kind::Unavailable,
                "the server ended the backup before all of it was sent",
            )),
        }
    }

    /// Has bytes of the object in `piece`, or its end in `state`.
    fn look(&mut self) -> Result<()> {
        loop {
            let (tag, body) = self.message()?;
            match (tag, self.state) {
                (b'c', StreamState::InCopy) => self.state = StreamState::AfterCopy,
                (b'c', _) => self.state = StreamState::Over,
                (b'd', StreamState::InCopy) => self.begin_piece(body),
                (b'd', _) => {
                    let (kind, rest) = self.connection.frames.split_first(body)?;
                    match (kind, self.state) {
                        // a new archive, with its name and its place, or the manifest
                        (b'n' | b'm', StreamState::Between | StreamState::InArchive) => {
                            self.announced(kind)?;
                            self.state = StreamState::Announced;
                        }
                        (b'd', StreamState::InArchive) => self.begin_piece(rest),
                        (b'p', _) => continue,
                        _ => return Err(not_postgresql()),
                    }
                }
                _ => return Err(not_postgresql()),
            }
            return Ok(());
        }
    }

    /// What is here of the object is this, if it is anything.
    fn begin_piece(&mut self, body: MessageBody) {
        let is_empty = self.connection.frames.body(body).is_empty();
        self.piece = (!is_empty).then_some(CopyPiece { body, taken: 0 });
    }

    /// What comes now is what was to come.
    fn announced(&self, kind: u8) -> Result<()> {
        let is_manifest = self.expected.last() == Some(&ObjectKind::Manifest);
        match is_manifest == (kind == b'm') && !self.expected.is_empty() {
            true => Ok(()),
            false => Err(not_postgresql()),
        }
    }

    fn message(&mut self) -> Result<(Tag, MessageBody)> {
        self.connection.next().map_err(|error| match error.kind() {
            Kind::Unavailable => error.doing("the server stopped sending the backup"),
            _ => error,
        })
    }

    /// What the server says when all was sent.
    pub fn finish(mut self) -> Result<BaseBackupEnd> {
        if self.state != StreamState::Over {
            return Err(closed());
        }
        let connection = &mut self.connection;
        let mut stop_lsn: Option<Lsn> = None;
        let mut has_damaged_pages = false;
        loop {
            let message = match connection.next_or_error()? {
                Ok(message) => message,
                // it comes last of all
                Err(refused) if refused.is_checksum_failure() && stop_lsn.is_some() => {
                    has_damaged_pages = true;
                    continue;
                }
                Err(refused) => return Err(refused.into_error()),
            };
            match message {
                (b'D', body) => {
                    let row = BodyFields(connection.frames.body(body)).row()?;
                    let first = row.first().and_then(Option::as_deref);
                    stop_lsn = first.and_then(|text| text.parse().ok()).or(stop_lsn);
                }
                (b'T' | b'C', _) => {}
                (b'Z', _) => break,
                _ => return Err(not_postgresql()),
            }
        }
        connection.set_ready();
        Ok(BaseBackupEnd {
            stop_lsn: stop_lsn.ok_or_else(not_postgresql)?,
            has_damaged_pages,
        })
    }
}

impl BufRead for BaseBackupStream {
    /// The bytes of the object that are here; its end only once the server has gone on to what follows it.
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.piece.is_none()
            && matches!(self.state, StreamState::InArchive | StreamState::InCopy)
        {
            self.look()?;
        }
        match self.piece {
            Some(piece) => Ok(&self.connection.frames.body(piece.body)[piece.taken..]),
            None if self.state == StreamState::AfterCopy => Ok(&ZEROS[..self.padding]),
            None => Ok(&[]),
        }
    }

    fn consume(&mut self, count: usize) {
        match &mut self.piece {
            Some(piece) => {
                piece.taken += count;
                if piece.taken == self.connection.frames.body(piece.body).len() {
                    self.piece = None;
                }
            }
            None => self.padding -= count,
        }
    }
}

impl Read for BaseBackupStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}
