//! PostgreSQL's own tools, and what we need to know to drive them.

pub mod archive;
pub mod clean;
pub mod cluster;
pub mod databases;
pub mod dump;
pub mod encoding;
pub mod explain;
pub mod globals;
pub mod list;
pub mod locks;
pub mod query;
pub mod restore;
mod restricted;
pub mod rights;
pub mod script;
pub mod session;
pub mod sql;
pub mod tools;
