//! What is done to a child between fork and exec: it does not outlive us, it may inherit nothing, and it becomes another user.
//!
//! The only `unsafe` of the program. The closures run where only async-signal-safe calls are allowed: they make system
//! calls and allocate nothing.

#![allow(unsafe_code)]

use rustix::process::{Gid, Pid, Signal, Uid, getpid, getppid, set_parent_process_death_signal};
use rustix::thread::{set_thread_gid, set_thread_groups, set_thread_uid};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The first descriptor after stdin, stdout and stderr.
const FIRST_OTHER: libc::c_int = 3;
/// Up to here descriptors are looked for, one by one, on kernels before 5.11.
const FORMER_LAST: libc::c_int = 65_535;

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

/// Leaves the child nothing that is open but its stdin, stdout and stderr, not even what our own parent left open in us.
pub fn inherit_nothing(command: &mut Command) {
    let before_exec = || -> io::Result<()> {
        let flag = libc::CLOSE_RANGE_CLOEXEC as libc::c_int;
        // SAFETY: the calls take numbers and change nothing but flags of our own descriptors. Closed at exec, and not here,
        // since the standard library has one to report a failed exec by.
        let done =
            unsafe { libc::syscall(libc::SYS_close_range, FIRST_OTHER, libc::c_int::MAX, flag) };
        if done != 0 {
            for descriptor in FIRST_OTHER..=FORMER_LAST {
                // SAFETY: as above; one that is not open is an error that changes nothing.
                unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
            }
        }
        Ok(())
    };
    // SAFETY: close_range and fcntl are async-signal-safe, and the closure captures nothing.
    unsafe {
        command.pre_exec(before_exec);
    }
}

/// Has the child run as `user` in `group` and in `groups`. The standard library leaves a child that changes its user no groups at
/// all. Comes before [`die_with_parent`], whose tie a change of user undoes.
pub fn become_user(command: &mut Command, user: Uid, group: Gid, groups: Vec<Gid>) {
    let before_exec = move || -> io::Result<()> {
        // the child has one thread; the user goes last, since only root may change the others
        set_thread_groups(&groups)?;
        set_thread_gid(group)?;
        set_thread_uid(user)?;
        Ok(())
    };
    // SAFETY: setgroups, setgid and setuid are system calls here, and the closure does not allocate.
    unsafe {
        command.pre_exec(before_exec);
    }
}
