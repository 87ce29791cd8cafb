//! Gzip: each block is a member of its own, and says how long it is.
//!
//! The members follow each other in order, so the whole is an ordinary gzip file. The length stands in an extra field,
//! which other readers skip, so that the next one is found without inflating it:
//!
//! ```text
//! 1f 8b 08 04 | 00 00 00 00 | 00 ff | 08 00 | 'B' 'K' 04 00 | length of the whole member, u32 little-endian
//! deflate data | CRC-32 u32 | length of the plain bytes u32
//! ```
//!
//! Any gzip stream is read; from the first member that is not of this shape on it is read as one stream.

mod level;
mod member;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use level::{LEVELS, Level};
pub use write::Gzip;
