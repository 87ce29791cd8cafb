//! One database as pg_dump writes it: dumped, looked into, restored, and proved by a drill.

pub mod archive;
pub mod database_properties;
pub mod drill;
pub mod drop_existing;
pub mod dump;
pub mod dump_inspector;
pub mod dump_job;
pub mod foreign_text;
pub mod globals;
pub mod pg_restore;
pub mod restore;
pub mod restrict_key;
pub mod row_loss;
pub mod script;
pub mod set_aside;
pub mod stored_globals;
pub mod table_comparison;
pub mod toc_list;
