//! What a segment of WAL says of itself in its first page; see `xlog_internal.h` of PostgreSQL's sources.
//!
//! ```text
//! offset  bytes, little-endian
//!      0      2  magic, which changes with each major version
//!      4      4  timeline
//!      8      8  where the page lies in the WAL
//!     24      8  system identifier
//!     32      4  bytes of a segment
//! ```

use crate::postgres::replication::Lsn;

/// So many bytes hold all of it.
pub const HEADER: usize = 40;

/// The first bytes of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalHeader {
    pub timeline: u32,
    /// Where the segment begins.
    pub start: Lsn,
    pub system_identifier: u64,
    pub segment_size: u64,
}

impl WalHeader {
    /// Reads them; nothing in them is checked.
    pub fn parse(bytes: &[u8; HEADER]) -> WalHeader {
        let four = |at: usize| {
            let mut word = [0; 4];
            word.copy_from_slice(&bytes[at..at + 4]);
            u32::from_le_bytes(word)
        };
        let eight = |at: usize| u64::from(four(at + 4)) << 32 | u64::from(four(at));
        WalHeader {
            timeline: four(4),
            start: Lsn(eight(8)),
            system_identifier: eight(24),
            segment_size: u64::from(four(32)),
        }
    }
}
