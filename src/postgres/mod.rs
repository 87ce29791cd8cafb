//! PostgreSQL's own tools, and what we need to know to drive them.

pub mod archive;
pub mod cluster;
pub mod dump;
pub mod explain;
pub mod locks;
pub mod query;
pub mod restore;
pub mod session;
pub mod sql;
pub mod tools;
