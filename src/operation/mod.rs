//! What the commands do, one file a command, and what several of them share.

pub mod backup;
pub mod base_backup;
pub mod base_restore;
pub mod cat;
pub mod diff;
pub mod init;
pub mod list;
pub mod pin;
pub mod prune;
pub mod restore;
pub mod status;
pub mod test;
pub mod verify;
pub mod wal_fetch;
pub mod wal_push;
