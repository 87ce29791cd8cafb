//! BackupKit backs up PostgreSQL and proves that the backups restore.
//!
//! The house has five layers, and a layer imports only those below it (`tests/layers.rs` keeps it so):
//!
//! ```text
//! 5  main  cli  app  daemon
//! 4  operation/
//! 3  postgres/  stream/  storage/  notify/
//! 2  catalog/  retention  schedule  config/
//! 1  process  cancel  progress  logging  error  secret
//! ```

pub mod cancel;
pub mod error;
pub mod secret;
pub mod stream;
