//! PostgreSQL's own tools, and what we need to know to drive them.

pub mod cluster;
pub mod databases;
pub mod dump_options;
pub mod encoding;
pub mod explain;
pub mod locks;
pub mod psql;
pub mod query;
pub mod rights;
pub mod session;
pub mod tools;
pub mod uri;
