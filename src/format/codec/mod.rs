//! How the plain stream is compressed: cut into blocks, each of which is packed without the others by a few threads.
//!
//! [`Compressor`] and [`Decompressor`] are the two halves, the same for every codec. What a codec makes of a block, and
//! how it finds the next one when it reads, stands in its folder: [`gzip`], [`zstd`]. Both halves hold a fixed number of
//! buffers, whatever the length of the stream.

mod block;
mod compress;
mod decompress;
pub mod gzip;
mod options;
mod pool;
mod source;
#[cfg(test)]
mod testing;
pub mod zstd;

pub use compress::Compressor;
pub use decompress::{BlockUnpacking, Decompressor};
pub use options::CodecOptions;
pub use pool::threads;
