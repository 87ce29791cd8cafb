//! The first process of a container: it starts the daemon, hands signals on and reaps what is left to it.
//!
//! Orphans of a container become children of its first process, and stay there as zombies unless it waits for them. A
//! daemon that did so itself could take the exit status of one of its own children from the run that waits for it; so
//! where it is the first process, it runs as the second one.

use crate::error::{Doing, Error, Kind, Result};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, wait};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// True in the first process of a container.
pub fn is_first() -> bool {
    getpid().is_init()
}

/// Runs this program again, with the same arguments, and ends as it does. Whatever else is left ends with us.
pub fn supervise() -> Result<()> {
    let doing = || "cannot start the daemon as the first process";
    let mut signals = Signals::new([SIGCHLD, SIGHUP, SIGINT, SIGTERM]).doing(doing)?;
    let program = std::env::current_exe().doing(doing)?;
    let daemon = Command::new(program)
        .args(std::env::args_os().skip(1))
        // a Ctrl-C reaches it through us and not also by itself, which would be two
        .process_group(0)
        .spawn()
        .doing(doing)?;
    let daemon = Pid::from_child(&daemon);
    for signal in signals.forever() {
        if signal == SIGCHLD {
            if let Some(status) = reap(daemon) {
                return ended(status);
            }
        } else if let Some(signal) = Signal::from_named_raw(signal) {
            // it has ended, and SIGCHLD says so next
            let _ = kill_process(daemon, signal);
        }
    }
    Err(Error::failed("the first process lost its signals"))
}

/// Reaps every child that has ended, and returns the daemon's status if it is among them.
fn reap(daemon: Pid) -> Option<WaitStatus> {
    let mut status = None;
    while let Ok(Some((pid, ended))) = wait(WaitOptions::NOHANG) {
        if pid == daemon {
            status = Some(ended);
        }
    }
    status
}

/// What the daemon ended with, which it has told itself.
fn ended(status: WaitStatus) -> Result<()> {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => std::process::exit(code),
        (None, Some(signal)) => Err(Error::new(
            Kind::Signal(signal),
            format!("the daemon was killed by signal {signal}"),
        )),
        (None, None) => Err(Error::failed("the daemon ended")),
    }
}
