//! A codec and what it has to know to compress.

use super::gzip::Level;
use crate::format::encoding::Codec;

/// How to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodecOptions {
    /// Not at all.
    None,
    /// As gzip members.
    Gzip(Level),
}

impl CodecOptions {
    /// The codec that these options are for.
    pub fn codec(self) -> Codec {
        match self {
            CodecOptions::None => Codec::None,
            CodecOptions::Gzip(_) => Codec::Gzip,
        }
    }
}
