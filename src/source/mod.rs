//! What is backed up: each kind of source says which objects are written, what the manifest tells of them, and how they
//! are looked into, restored and proved.

pub mod logical;
pub mod physical;
