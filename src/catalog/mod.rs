//! What backups are called, what is written down about each, and which ones a storage holds.

pub mod failure;
pub mod listing;
pub mod manifest;
pub mod name;
pub mod proof;
pub mod size;
pub mod tables;
