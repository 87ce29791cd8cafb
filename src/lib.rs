//! BackupKit backs up PostgreSQL and proves that the backups restore.
//!
//! The house has five layers, and a layer imports only those below it (`tests/layers.rs` keeps it so):
//!
//! ```text
//! 5  main  cli  app  completion  daemon/  output
//! 4  operation/
//! 3  postgres/  stream/  storage/  notify/
//! 2  catalog/  retention  schedule  config/
//! 1  process  background  cancel  progress  logging  http  error  secret
//! ```

pub mod app;
pub mod background;
pub mod cancel;
pub mod cause;
pub mod cli;
pub mod completion;
pub mod config;
pub mod daemon;
pub mod error;
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
pub mod text;
pub mod yaml;
