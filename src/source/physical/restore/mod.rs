//! From the objects of base backups to a data directory that a server starts from.
//!
//! ```text
//! room               whether there is room for it
//! target_directory   where it goes: empty, private, nobody's
//! unpack             one backup's tars into a directory, each file held against backup_manifest
//! assemble           all of a chain, from its storages
//! combine            a full backup and incremental ones, made into one by pg_combinebackup
//! wal_directory      WAL on a disk of its own
//! settings           what it is told before it starts
//! configuration      what of that lay outside of its data directory
//! written_settings   what all of it says of one setting
//! ```
//!
//! `global/pg_control`, without which no server starts, gets its name last, when everything else is durable. What fails before is
//! removed again.

pub mod assemble;
pub mod combine;
pub mod configuration;
pub mod room;
pub mod settings;
pub mod target_directory;
pub mod unpack;
pub mod wal_directory;
mod written_settings;
