//! A file in memory for a child to read: nothing of it is ever left on a disk.

use rustix::fs::{MemfdFlags, memfd_create};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;

/// A file that every child inherits.
pub fn in_memory(text: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create("text", MemfdFlags::empty())?);
    file.write_all(text)?;
    Ok(file)
}

/// Where a child finds it.
pub fn path_of(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}
