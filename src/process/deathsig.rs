//! Children that do not outlive us: the kernel sends them a signal when the thread that started them dies.
//!
//! The only `unsafe` of the program. The closure runs between fork and exec, where only
//! async-signal-safe calls are allowed: it makes two system calls and allocates nothing.

#![allow(unsafe_code)]

use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Ties the life of the child to the calling thread, which must outlive it; `signal` comes when it does not.
pub fn die_with_parent(command: &mut Command, signal: Signal) {
    let parent: Pid = getpid();
    let before_exec = move || -> io::Result<()> {
        set_parent_process_death_signal(Some(signal))?;
        // if we died before the call above took hold, no signal will ever come
        if getppid() != Some(parent) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(())
    };
    // SAFETY: prctl and getppid are async-signal-safe, the closure captures a number and does not allocate.
    unsafe {
        command.pre_exec(before_exec);
    }
}
