//! The disk begins with what is written while more of it comes, so that who makes it durable at the end finds little left to
//! wait for.

use rustix::fs::{Advice, fadvise};
use std::fs::File;
use std::num::NonZeroU64;

/// So many bytes are sent to the disk at a time.
const STRETCH: u64 = 8 * 1024 * 1024;

/// How much of a file that is written from its start on is on its way to the disk.
#[derive(Debug, Default)]
pub struct WriteBehind {
    written: u64,
    sent: u64,
}

impl WriteBehind {
    /// `count` more bytes were written to `file`. This is advice: what goes wrong with them is told by who makes the file durable.
    pub fn wrote(&mut self, file: &File, count: usize) {
        self.written += count as u64;
        if self.written - self.sent < STRETCH {
            return;
        }
        let stretch = NonZeroU64::new(self.written - self.sent);
        // DONTNEED begins to write dirty pages out, and waits for none of them
        let _ = fadvise(file, self.sent, stretch, Advice::DontNeed);
        self.sent = self.written;
    }
}
