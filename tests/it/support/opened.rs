//! Whether a file has been opened, also by a process whose descriptors are its own secret.

use super::wait;
use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
use std::os::fd::OwnedFd;
use std::path::Path;

/// Notices from its start on that a file is opened.
pub struct Opened(OwnedFd);

impl Opened {
    /// Begins to watch the file at `path`.
    #[track_caller]
    pub fn watch(path: &Path) -> Opened {
        let watch =
            init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).expect("the kernel has inotify");
        add_watch(&watch, path, WatchFlags::OPEN).expect("the file is there");
        Opened(watch)
    }

    /// Waits until it has been opened.
    #[track_caller]
    pub fn wait(&self) {
        let mut event = [0u8; 1024];
        wait::until("the file is opened", || {
            rustix::io::read(&self.0, &mut event).ok().map(|_| ())
        });
    }
}
