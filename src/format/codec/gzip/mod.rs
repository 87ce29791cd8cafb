//! Gzip, written in parallel and read back in parallel.
//!
//! [`Compressor`] cuts its input into blocks of 512 KiB and makes each a gzip member of its own, on a few threads.
//! The members follow each other in order, so the whole is an ordinary gzip file. Each says how long it is in
//! an extra field, which other readers skip, so that [`Decompressor`] can find the next one without inflating it:
//!
//! ```text
//! 1f 8b 08 04 | 00 00 00 00 | 00 ff | 08 00 | 'B' 'K' 04 00 | length of the whole member, u32 little-endian
//! deflate data | CRC-32 u32 | length of the plain bytes u32
//! ```
//!
//! [`Decompressor`] reads any gzip stream; from the first member that is not of this shape on it reads as one stream.
//! Both hold a fixed number of buffers, whatever the length of the stream.

mod block;
mod compress;
mod decompress;
mod level;
mod pool;
#[cfg(test)]
mod tests;

pub use compress::Compressor;
pub use decompress::Decompressor;
pub use level::Level;
pub use pool::threads;
