//! How the plain stream is compressed.

pub mod gzip;
mod options;

pub use options::CodecOptions;
