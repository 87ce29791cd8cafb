//! WAL as the server writes it, from a slot of our own that keeps it there until it was read.

use super::connection::ReplicationConnection;
use super::lsn::Lsn;
use super::message::{BodyFields, frame, not_postgresql};
use crate::error::{Error, Kind, Result};
use crate::postgres::quoting::identifier;
use std::time::{Duration, Instant};

/// How often the server is told how far we are.
const STATUS: Duration = Duration::from_secs(10);
/// How long the end may take.
const GOODBYE: Duration = Duration::from_secs(5);
/// Seconds between the epochs of Unix and of PostgreSQL.
const EPOCH: u64 = 946_684_800;

/// A stream of WAL.
pub struct WalStream {
    connection: ReplicationConnection,
    /// All before this is not wanted again.
    confirmed: Lsn,
    told: Instant,
}

impl ReplicationConnection {
    /// Makes a slot that ends with this connection and keeps all WAL from the last checkpoint on.
    pub fn create_temporary_slot(&mut self, name: &str) -> Result<()> {
        let name = identifier(name);
        self.rows(&format!(
            "CREATE_REPLICATION_SLOT {name} TEMPORARY PHYSICAL RESERVE_WAL"
        ))
        .map(drop)
    }

    /// Begins to read the WAL of `timeline` from `start` on.
    pub fn start_replication(mut self, slot: &str, start: Lsn, timeline: u32) -> Result<WalStream> {
        let slot = identifier(slot);
        self.send_command(&format!(
            "START_REPLICATION SLOT {slot} PHYSICAL {start} TIMELINE {timeline}"
        ))?;
        let (tag, _) = self.next()?;
        if tag != b'W' {
            return Err(not_postgresql());
        }
        Ok(WalStream {
            connection: self,
            confirmed: start,
            told: Instant::now(),
        })
    }
}

impl WalStream {
    /// The next piece and where it begins; `None` where nothing came within `patience`.
    pub fn next(&mut self, patience: Duration) -> Result<Option<(Lsn, Vec<u8>)>> {
        let give_up = Instant::now() + patience;
        loop {
            if self.told.elapsed() >= STATUS {
                self.tell()?;
            }
            let frames = &mut self.connection.frames;
            let left = give_up.saturating_duration_since(Instant::now());
            if !frames.has_frame() && !frames.stream().is_readable_within(left)? {
                return Ok(None);
            }
            let (tag, body) = self.connection.next()?;
            match tag {
                b'd' => {}
                b'c' => {
                    return Err(Error::new(
                        Kind::Unavailable,
                        "the server has no more WAL of this timeline: it was promoted, or another server has taken over",
                    )
                    .hint("back up again; the next one follows the new timeline"));
                }
                _ => return Err(not_postgresql()),
            }
            let mut fields = BodyFields(self.connection.frames.body(body));
            match fields.byte()? {
                b'w' => {
                    let start = Lsn(fields.u64()?);
                    fields.bytes(16)?;
                    return Ok(Some((start, fields.0.to_vec())));
                }
                b'k' => {
                    fields.bytes(16)?;
                    if fields.byte()? == 1 {
                        self.tell()?;
                    }
                }
                _ => return Err(not_postgresql()),
            }
        }
    }

    /// All before `lsn` is not wanted again.
    pub fn confirm(&mut self, lsn: Lsn) {
        self.confirmed = self.confirmed.max(lsn);
    }

    /// No more is wanted. A server that does not answer loses nothing by it.
    pub fn end(&mut self) {
        self.connection.patience(GOODBYE);
        let ended = self.tell().and_then(|()| {
            self.connection.frames.send(&frame(b'c', b""))?;
            self.connection.until_ready()
        });
        if let Err(error) = ended {
            log::debug!("{}", error.chain());
        }
    }

    fn tell(&mut self) -> Result<()> {
        self.told = Instant::now();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = now.map_or(0, |since| since.as_secs().saturating_sub(EPOCH) * 1_000_000);
        let mut body = vec![b'r'];
        for lsn in [self.confirmed; 3] {
            body.extend(lsn.0.to_be_bytes());
        }
        body.extend(now.to_be_bytes());
        body.push(0);
        self.connection.frames.send(&frame(b'd', &body))
    }
}
