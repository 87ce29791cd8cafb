//! What the commands do, one file a command, and what several of them share.

pub mod backup;
pub mod cat;
pub mod check;
mod claim;
pub mod copies;
pub mod diff;
pub mod drill;
pub mod failure;
pub mod find;
pub mod globals;
pub mod init;
pub mod list;
pub mod older;
pub mod open;
pub mod password;
pub mod pin;
pub mod prune;
pub mod restore;
pub mod select;
pub mod shelf;
mod shrink;
pub mod status;
mod tap;
pub mod trend;
pub mod verify;
