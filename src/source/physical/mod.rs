//! A whole cluster as it lies on disk: base backups, and the WAL that they need.

mod backup_label;
pub mod backup_manifest;
pub mod base_inspector;
pub mod basis;
pub mod control;
pub mod coverage;
pub mod details;
pub mod drill;
pub mod full_check;
mod incremental_file;
pub mod page;
pub mod restore;
pub mod server_facts;
mod tar_header;
pub mod tar_stream;
pub mod timeline_history;
pub mod wal_check;
pub mod wal_header;
pub mod wal_records;
pub mod wal_tar;
