//! The stages that bytes pass between a dump and its storage. They know neither PostgreSQL nor storage.

pub mod gzip;
pub mod measure;
