//! The backups of one name on its storages: what they are called, what is written down about each, which one counts for
//! what, and what keeps or removes them.

pub mod check_records;
pub mod copies;
pub mod failure_record;
pub mod fallback;
pub mod find;
pub mod holdings;
pub mod key_check;
pub mod last_failure;
pub mod listing;
pub mod manifest;
pub mod manifest_details;
pub mod names;
pub mod open;
pub mod reference;
pub mod retention;
pub mod size_check;
pub mod trend;
