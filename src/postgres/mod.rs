//! PostgreSQL's own tools, and what we need to know to drive them.

pub mod client;
pub mod cluster;
pub mod databases;
pub mod dump_options;
pub mod encoding;
pub mod explain;
pub mod locks;
pub mod memory_file;
pub mod messages;
pub mod password;
pub mod pooler;
pub mod preload;
pub mod psql;
pub mod quoting;
pub mod rights;
pub mod server;
pub mod session;
pub mod sql_text;
pub mod tools;
pub mod uri;
pub mod version;
