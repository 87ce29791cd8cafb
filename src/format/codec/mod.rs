//! How the plain stream is compressed.

pub mod gzip;
