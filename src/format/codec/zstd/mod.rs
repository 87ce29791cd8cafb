//! Zstandard: each block is a frame of its own, with its length and a checksum (RFC 8878).
//!
//! The frames follow each other in order, so the whole is an ordinary zstd file. A frame names the length of its plain
//! bytes and those of the compressed blocks in it, so the next one is found without decompressing it. Frames that are
//! short enough are unpacked apart, whoever wrote them; longer ones, and those that do not name their length, as they
//! come. Skippable frames are passed over.
//!
//! A frame says how much of what went before it may refer to, its window, which is what a reader has to hold in memory:
//! more than [`WINDOW`] is refused before anything is allocated for it.

mod frame;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use frame::{WINDOW, is_zstd};
pub use write::{DUMP_LEVEL, FILES_LEVEL, LEVELS, Zstd};
