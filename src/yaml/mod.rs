//! The configuration file as text: read into values that know where they stand, with variables expanded, and every fault
//! named by line, key and what was meant. It knows no key of ours.

pub mod cursor;
pub mod document;
pub mod expand;
pub mod keys;
mod nesting;
pub mod problem;
pub mod reader;
pub mod relative;
pub mod rules;
pub mod secret_file;
mod shown;
