//! Signals as events of the daemon.

use super::event::DaemonEvent;
use crate::error::{Doing, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::sync::mpsc::Sender;

/// Hands signals on: SIGHUP each time, the first SIGINT or SIGTERM too. A second one of those ends the process at once.
pub fn watch(events: Sender<DaemonEvent>) -> Result<()> {
    let doing = || "cannot watch for signals";
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).doing(doing)?;
    let body = move || {
        let mut stopping = false;
        for signal in signals.forever() {
            if signal != SIGHUP && std::mem::replace(&mut stopping, true) {
                std::process::exit(128 + signal);
            }
            // nobody listens to a daemon that is at its end
            let _ = events.send(DaemonEvent::Signal(signal));
        }
    };
    let thread = std::thread::Builder::new().name("signals".into());
    thread.spawn(body).map(|_| ()).doing(doing)
}

/// As people know it: `SIGTERM`.
pub fn name(signal: i32) -> String {
    let name = signal_hook::low_level::signal_name(signal);
    name.map_or_else(|| format!("signal {signal}"), str::to_string)
}
