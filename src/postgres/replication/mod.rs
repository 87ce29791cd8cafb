//! A small client of PostgreSQL's replication protocol: base backups with several tablespaces and WAL beside them, which its
//! own programs cannot stream.
//!
//! ```text
//! address         where: hosts and ports, sockets        wire, tls      the connection, and how it is protected
//! authentication  who: passwords, SCRAM, certificates    message        the frames of the protocol
//! connection      all of these, and plain commands       base_backup    BASE_BACKUP, UPLOAD_MANIFEST
//! wal_stream      slots and START_REPLICATION            lsn            places in the WAL
//! ```
//!
//! Every wait has a limit and ends when the run is cancelled. What libpq knows and this client does not is refused by name
//! before anything is sent.

mod address;
mod authentication;
mod base_backup;
mod connection;
mod lsn;
mod message;
mod scram;
mod server_error;
mod tls;
mod wal_stream;
mod wire;

pub use base_backup::{
    BaseBackupEnd, BaseBackupOptions, BaseBackupStart, BaseBackupStream, CheckpointSpeed,
    ObjectKind, SentTablespace,
};
pub use connection::{ReplicationConnection, SystemIdentity};
pub use lsn::Lsn;
pub use wal_stream::WalStream;
