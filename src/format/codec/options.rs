//! A codec and what it has to know to compress.

use super::gzip;
use crate::format::encoding::Codec;

/// How to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodecOptions {
    /// Not at all.
    None,
    /// As gzip members.
    Gzip(gzip::Level),
    /// As zstd frames, at this of zstd's levels.
    Zstd(u8),
}

impl CodecOptions {
    /// The codec that these options are for.
    pub fn codec(self) -> Codec {
        match self {
            CodecOptions::None => Codec::None,
            CodecOptions::Gzip(_) => Codec::Gzip,
            CodecOptions::Zstd(_) => Codec::Zstd,
        }
    }
}
