//! The `.sha256` beside an archive: one line, as `sha256sum` writes and checks it.

use super::sidecars::read_small;
use crate::error::{Error, Result};
use std::io::Read;

/// The line for an archive of this checksum under this key.
pub fn line(sha256: &str, key: &str) -> String {
    let file = key.rsplit('/').next().unwrap_or_default();
    format!("{sha256}  {file}\n")
}

/// The SHA-256 that a file such as `sha256sum` writes begins with; `name` is only for the message.
pub fn read(reader: impl Read, name: &str) -> Result<String> {
    const LARGEST: u64 = 64 * 1024;
    let bytes = read_small(reader, LARGEST, name)?;
    let text = String::from_utf8_lossy(&bytes);
    let hash = text.split_whitespace().next().unwrap_or_default();
    if hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(
            Error::damaged(format!("{name} does not begin with a SHA-256 checksum"))
                .hint("remove it if you know why; the archive can be read without it"),
        );
    }
    Ok(hash.to_string())
}
