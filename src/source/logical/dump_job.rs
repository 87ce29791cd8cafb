//! What it takes to dump one database.

use crate::format::codec::CodecOptions;
use crate::format::encoding::{ArchiveEncoding, Cipher};
use crate::format::seal::Keys;
use crate::postgres::session::Session;
use std::time::Duration;

/// One database to back up, with everything resolved.
pub struct DumpJob {
    /// The database's `name`.
    pub database: String,
    /// How to reach it.
    pub session: Session,
    /// How to compress; `CodecOptions::None` leaves it to pg_dump.
    pub codec: CodecOptions,
    /// The keys to seal with; `None` stores in the clear.
    pub keys: Option<Keys>,
    /// Options for pg_dump.
    pub options: Vec<String>,
    /// True where the options leave out part of the database.
    pub partial: bool,
    /// A restore is about to replace what it holds.
    pub before_restore: bool,
    /// Roles and tablespaces are stored beside it.
    pub globals: bool,
    /// How long to wait for a table lock.
    pub lock_timeout: Duration,
    /// How long to wait for another run of this database.
    pub lock_wait: Duration,
}

impl DumpJob {
    /// What the archive and the globals will be encoded with.
    pub fn encoding(&self) -> ArchiveEncoding {
        let cipher = match self.keys {
            Some(_) => Cipher::Container,
            None => Cipher::None,
        };
        ArchiveEncoding::new(self.codec.codec(), cipher)
    }
}
