//! The daemon in this process, with a clock that runs a thousand times as fast.

use super::sandbox::Sandbox;
use backupkit::app;
use backupkit::daemon::DaemonEvent;
use backupkit::daemon::clock::{Clock, ClockReading};
use backupkit::daemon::heartbeat::{Life, Seen, look};
use backupkit::error::Result;
use chrono::{DateTime, TimeDelta, Utc};
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const SPEED: u32 = 1000;

/// A clock that begins at some minute, and can be stopped.
pub struct Fast {
    begins: DateTime<Utc>,
    /// What has passed, and since when more does.
    passed: Mutex<(Duration, Option<Instant>)>,
}

impl Fast {
    fn passed(&self) -> (Duration, Option<Instant>) {
        let (before, since) = *self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        let more = since.map_or(Duration::ZERO, |since| since.elapsed() * SPEED);
        (before + more, since)
    }

    /// Nothing becomes due until it goes on.
    pub fn stop(&self) {
        let (passed, _) = self.passed();
        *self.passed.lock().unwrap_or_else(PoisonError::into_inner) = (passed, None);
    }

    /// Goes on.
    pub fn go_on(&self) {
        let (passed, _) = self.passed();
        *self.passed.lock().unwrap_or_else(PoisonError::into_inner) =
            (passed, Some(Instant::now()));
    }
}

impl Clock for Fast {
    fn now(&self) -> ClockReading {
        let (steady, _) = self.passed();
        let passed = TimeDelta::from_std(steady).expect("not that long");
        ClockReading {
            wall: self.begins + passed,
            steady,
        }
    }

    fn real(&self, time: Duration) -> Duration {
        time / SPEED
    }
}

/// A daemon under way. Dropped, it is told to stop.
pub struct FastDaemon {
    pub clock: Arc<Fast>,
    events: Sender<DaemonEvent>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl FastDaemon {
    /// One with this sandbox's configuration. It begins at midnight.
    pub fn start(sandbox: &Sandbox) -> FastDaemon {
        FastDaemon::start_later(sandbox, TimeDelta::zero())
    }

    /// One that begins so much later.
    pub fn start_later(sandbox: &Sandbox, later: TimeDelta) -> FastDaemon {
        let config: PathBuf = sandbox.path("config.yaml");
        let directory = sandbox.path("run");
        let clock = Arc::new(Fast {
            begins: DateTime::from_timestamp(1_835_222_400, 0).expect("in range") + later,
            passed: Mutex::new((Duration::ZERO, Some(Instant::now()))),
        });
        let (sender, receiver) = channel();
        let (given, events) = (Arc::clone(&clock), sender.clone());
        let run = move || app::daemon::drive(&config, &directory, &*given, (sender, receiver));
        FastDaemon {
            clock,
            events,
            thread: Some(thread::spawn(run)),
        }
    }

    /// Stops it tidily.
    #[track_caller]
    pub fn stop(mut self) {
        let thread = self.thread.take().expect("it is stopped once");
        self.events
            .send(DaemonEvent::Signal(15))
            .expect("it listens");
        thread.join().expect("no panic").expect("a tidy stop");
    }
}

impl Drop for FastDaemon {
    fn drop(&mut self) {
        let _ = self.events.send(DaemonEvent::Signal(15));
    }
}

/// What the daemon of this sandbox says of itself, and whether it is alive.
pub fn life(sandbox: &Sandbox) -> Option<(Life, bool)> {
    match look(&sandbox.path("config.yaml"), &[sandbox.path("run")]) {
        Seen::Daemon(life, alive) => Some((*life, alive)),
        Seen::Nobody | Seen::Unknown => None,
    }
}
