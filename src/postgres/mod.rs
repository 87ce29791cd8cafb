//! PostgreSQL's own tools and what they write.

pub mod archive;
