//! A number of bytes, or a part of a whole.

/// So many bytes, or so much of a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    Bytes(u64),
    /// From 0 to 100.
    Percent(u32),
}

impl Amount {
    /// In bytes, of a whole of `total`.
    pub fn of(self, total: u64) -> u64 {
        match self {
            Amount::Bytes(bytes) => bytes,
            Amount::Percent(percent) => total / 100 * u64::from(percent),
        }
    }
}
