//! The version of a server, as numbers.

/// Since PostgreSQL 10, as in 15.18.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerVersion {
    /// 15 of 15.18.
    pub major: u32,
    /// 18 of 15.18.
    pub minor: u32,
}

impl ServerVersion {
    /// Reads `server_version_num`, as in 150018.
    pub(super) fn of_number(number: &str) -> Option<ServerVersion> {
        let number: u32 = number.parse().ok()?;
        Some(ServerVersion {
            major: number / 10000,
            minor: number % 10000,
        })
    }
}
