//! How a child is asked to end: SIGINT, SIGTERM after a while, SIGKILL after a grace; a server gets SIGQUIT.

use super::hang_up::hung_up;
use rustix::process::{Pid, Signal, kill_process_group};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// How long a child may take to end after SIGINT before it gets SIGTERM.
const POLITE: Duration = Duration::from_secs(2);
/// How long a child may take to end after SIGTERM before it gets SIGKILL.
const GRACE: Duration = Duration::from_secs(5);
/// How long a server may take to end after SIGQUIT: only its own end takes away the memory that it shares.
const IMMEDIATE: Duration = Duration::from_secs(30);
/// A server, which is stopped like no other program: nothing that it holds is worth a tidy shutdown.
const SERVER: &str = "postgres";

/// The signals that ask a program to end, and how long it may take for each. SIGINT first, because psql cancels what
/// runs on the server only for that.
fn signals(program: &str) -> &'static [(Signal, Duration)] {
    match program {
        SERVER => &[(Signal::QUIT, IMMEDIATE)],
        _ => &[(Signal::INT, POLITE), (Signal::TERM, GRACE)],
    }
}

/// What a program gets if we die: the signal on which it tells its server to give up before it ends itself. A server
/// of ours gives up by itself, with all of its processes.
pub(super) fn last_signal(program: &str) -> Signal {
    match program {
        "psql" => Signal::INT,
        SERVER => Signal::QUIT,
        _ => Signal::TERM,
    }
}

/// Ends the process group `group` of `program`, which is not reaped yet, and says whether its leader has ended. `exited`
/// hangs up once it has.
pub(super) fn terminate(program: &str, group: Pid, exited: &OwnedFd) -> bool {
    for (signal, grace) in signals(program) {
        let _ = kill_process_group(group, *signal);
        // a stopped process handles signals only once it continues
        let _ = kill_process_group(group, Signal::CONT);
        if hung_up(exited, *grace) {
            break;
        }
    }
    // also for what the leader may have left behind in its group
    let _ = kill_process_group(group, Signal::KILL);
    hung_up(exited, GRACE)
}
