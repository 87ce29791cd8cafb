//! A whole cluster as it lies on disk: base backups, and the WAL that they need.

pub mod base_inspector;
pub mod basis;
pub mod details;
pub mod server_facts;
mod tar_header;
pub mod wal_tar;
