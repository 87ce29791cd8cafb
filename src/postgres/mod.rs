//! PostgreSQL's own tools, and what we need to know to drive them.

pub mod client;
pub mod cluster;
mod complaint;
pub mod databases;
pub mod dump_options;
pub mod encoding;
pub mod explain;
mod failure;
mod hint;
pub mod lasting_server;
pub mod locks;
pub mod memory_file;
pub mod messages;
pub mod password;
pub mod pooler;
pub mod preload;
pub mod psql;
pub mod quoting;
pub mod replication;
pub mod rights;
pub mod search_path;
pub mod server;
pub mod session;
pub mod sql_text;
pub mod tools;
pub mod uri;
pub mod version;
