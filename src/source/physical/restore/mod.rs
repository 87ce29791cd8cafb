//! From the objects of base backups to a data directory that a server starts from.
//!
//! ```text
//! target_directory   where it goes: empty, private, nobody's
//! unpack             one backup's tars into a directory, each file held against backup_manifest
//! assemble           all of a chain, from its storages
//! combine            a full backup and incremental ones, made into one by pg_combinebackup
//! ```
//!
//! `global/pg_control`, without which no server starts, gets its name last, when everything else is durable. What fails before is
//! removed again.

pub mod assemble;
pub mod combine;
pub mod new_tablespaces;
pub mod settings;
pub mod target_directory;
pub mod unpack;
