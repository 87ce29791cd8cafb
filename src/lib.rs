//! BackupKit backs up PostgreSQL and proves that the backups restore.
//!
//! The house has seven layers, and a layer imports only those below it (`tests/layers.rs` keeps it so). What belongs
//! where is told in `CONTRIBUTING.md`.
//!
//! ```text
//! 6  main cli/ completion/ app/ daemon/ output/
//! 5  operation/
//! 4  source/
//! 3  repository/ notify/ config/
//! 2  format/ storage/ postgres/
//! 1  yaml/ schedule systemd/
//! 0  process/ at_a_time cancel background progress logging http error cause secret text/ files/
//! ```

pub mod app;
pub mod at_a_time;
pub mod background;
pub mod cancel;
pub mod cause;
pub mod cli;
pub mod completion;
pub mod config;
pub mod daemon;
pub mod error;
pub mod files;
pub mod format;
pub mod http;
pub mod logging;
pub mod notify;
pub mod operation;
pub mod output;
pub mod postgres;
pub mod process;
pub mod progress;
pub mod repository;
pub mod schedule;
pub mod secret;
pub mod source;
pub mod storage;
pub mod systemd;
pub mod text;
pub mod yaml;
