//! `daemon`: waits for the next minute and starts what is due, for years.
//!
//! One thread decides, in a loop: it asks the [`plan`] what is due, starts a thread for each run, and waits, on a channel
//! that tells it of signals and of the ends of runs, until the next minute of the calendar at the latest. It never waits
//! for anything else, so that as long as it says that it is alive, it is. What a run does is not known here.

pub mod clock;
mod event;
pub mod heartbeat;
pub mod identity;
pub mod next_runs;
mod owner;
pub mod pid1;
pub mod plan;
pub mod service;
pub mod signals;
pub mod told_failures;

pub use event::{DaemonEvent, End};

use crate::cancel::{Cancel, Cause};
use crate::error::{Doing, Error, Result};
use crate::text::duration;
use clock::{Clock, until_next_minute};
use heartbeat::{DaemonDirectories, Heartbeat};
use plan::{Ending, Left, Planner, Run, ScheduledJob, minute};
use service::Service;
use signal_hook::consts::SIGHUP;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use told_failures::ToldFailures;

/// How long the runs have to end after a signal. They stop their children, clean up and tell people within it, each of
/// which has its own limit; this is for what no limit reaches, such as a file system that hangs.
const STOPPING: Duration = Duration::from_secs(80);

/// What a configuration gives the daemon to do. Shared with the runs, which finish with what they began with.
pub struct Work {
    pub jobs: Vec<ScheduledJob>,
    /// How many runs there may be at a time.
    pub max_parallel: usize,
    /// Carries one run out, and tells people about it.
    pub run: Box<RunOne>,
}

/// How one run is carried out by the daemon whose owner token is given; the other token ends it.
pub type RunOne = dyn Fn(&Run, &str, &Cancel) -> End + Send + Sync;

/// What the daemon is started with.
pub struct Setup<'a> {
    /// Its configuration, for messages.
    pub config: &'a Path,
    /// Loads it again.
    pub load: &'a dyn Fn() -> Result<Work>,
    /// The runs that were cut short as others tell, for a daemon that does not remember them.
    pub cut_short: Vec<Left>,
    /// How long a run may take; zero is for ever.
    pub run_timeout: Duration,
    /// What time it is.
    pub clock: &'a dyn Clock,
    /// Where its files are; none where there is no place for them.
    pub places: Option<DaemonDirectories>,
    /// The service manager that wants to know how we are.
    pub service: Service,
    /// Where events go to and come from.
    pub events: (Sender<DaemonEvent>, Receiver<DaemonEvent>),
}

/// Does `work` until a signal says stop. A stop that leaves nothing behind is `Ok`.
pub fn run(work: Work, setup: Setup) -> Result<()> {
    if work.jobs.is_empty() {
        return Err(no_jobs().hint("give one backup.schedule, such as \"0 2 * * *\" (UTC)"));
    }
    let now = setup.clock.now();
    let state = Heartbeat::hold(setup.config, setup.places.as_ref(), now.wall)?;
    let memory = setup.places.as_ref();
    let owner_file = memory.map(|places| places.owner_of(setup.config));
    let memory = memory.map(|places| places.memory_of(setup.config));
    let mut daemon = Daemon {
        planner: Planner::new(work.jobs.clone(), work.max_parallel, now),
        // the heartbeat that is held keeps other writers away
        owner: owner::of(owner_file.as_deref(), state.config())?.into(),
        memory: ToldFailures::of(memory, state.config()),
        state,
        work: Arc::new(work),
        threads: Vec::new(),
        stopping: None,
        setup,
    };
    log::info!(
        "daemon started with {}; all times are UTC",
        daemon.setup.config.display()
    );
    let mut left = daemon.memory.kept().to_vec();
    for told in &daemon.setup.cut_short {
        let is_known = |known: &Left| known.database == told.database && known.task == told.task;
        if !left.iter().any(is_known) {
            left.push(told.clone());
        }
    }
    for notice in daemon.planner.recall(&left, now) {
        log::info!("{notice}");
    }
    // a run that ends all of us is not taken up for ever
    daemon.memory.keep(daemon.planner.left());
    daemon.tell_upcoming();
    daemon.setup.service.ready();
    daemon.run()
}

fn no_jobs() -> Error {
    Error::usage("no database has a schedule, so nothing would ever run")
}

struct Daemon<'a> {
    setup: Setup<'a>,
    work: Arc<Work>,
    planner: Planner,
    threads: Vec<Thread>,
    state: Heartbeat,
    memory: ToldFailures,
    /// Who it is to the daemons of other hosts.
    owner: Arc<str>,
    /// The signal that ends it.
    stopping: Option<i32>,
}

/// The thread of a run.
struct Thread {
    run: Run,
    cancel: Cancel,
    handle: JoinHandle<()>,
}

impl Daemon<'_> {
    fn run(mut self) -> Result<()> {
        loop {
            let now = self.setup.clock.now();
            for notice in self.planner.tick(now) {
                log::warn!("{notice}");
            }
            while let Some(run) = self.planner.start() {
                self.start(run);
            }
            let running = self.planner.running();
            let running: Vec<&str> = running.map(|job| job.database.as_str()).collect();
            self.state.tick(now.wall, &running);
            self.setup.service.alive();
            self.setup.service.status(&self.status());

            let mut wait = self.setup.clock.real(until_next_minute(now.wall));
            if let Some(often) = self.setup.service.watchdog() {
                wait = wait.min(often);
            }
            match self.setup.events.1.recv_timeout(wait) {
                Ok(DaemonEvent::Ended(run, end)) => self.ended(&run, end),
                Ok(DaemonEvent::Signal(SIGHUP)) => self.reload(),
                Ok(DaemonEvent::Signal(signal)) => return self.stop(signal),
                Err(RecvTimeoutError::Timeout) => {}
                // we hold a sender ourselves
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::failed("the daemon lost its own events"));
                }
            }
        }
    }

    /// Starts the thread of a run. One that cannot be started has failed.
    fn start(&mut self, run: Run) {
        let (work, events) = (Arc::clone(&self.work), self.setup.events.0.clone());
        let owner = Arc::clone(&self.owner);
        let (limit, stopping) = (self.setup.run_timeout, self.stopping);
        let started = Cancel::new().and_then(|cancel| {
            if let Some(signal) = stopping {
                cancel.cancel(Cause::Signal(signal));
            }
            let (given, mine) = (run.clone(), cancel.clone());
            let limited = match limit.is_zero() {
                true => mine,
                false => mine.with_deadline(limit),
            };
            let body = move || {
                // an end that never came would keep the database from ever running again
                let end = catch_unwind(AssertUnwindSafe(|| (work.run)(&given, &owner, &limited)));
                let end = end.unwrap_or(End {
                    ending: Ending::Failed,
                    heard: false,
                });
                // nobody listens any more where the daemon gave up waiting
                let _ = events.send(DaemonEvent::Ended(given, end));
            };
            let thread = std::thread::Builder::new().name(format!("run {}", run.database));
            let handle = thread.spawn(body).doing(|| "cannot start a thread")?;
            Ok(Thread {
                run: run.clone(),
                cancel,
                handle,
            })
        });
        match started {
            Ok(thread) => self.threads.push(thread),
            Err(error) => {
                let error = error.doing(format!("cannot run {}", run.database));
                log::error!("{}", error.report());
                let (ending, heard) = (Ending::Passing, false);
                self.planned_end(&run, End { ending, heard });
            }
        }
    }

    fn ended(&mut self, run: &Run, end: End) {
        self.join(run);
        self.planned_end(run, end);
    }

    fn planned_end(&mut self, run: &Run, end: End) {
        let now = self.setup.clock.now();
        let notice = self.planner.ended(run, end.ending, now);
        if !end.heard {
            self.planner.unheard(run);
        }
        self.memory.keep(self.planner.left());
        match notice {
            None if self.stopping.is_some() => {}
            Some(notice) => log::info!("{notice}"),
            None => {
                let upcoming = self.planner.upcoming();
                let mut next = upcoming.filter(|(job, _)| job.database == run.database);
                if let Some((job, at)) = next.find(|(job, _)| job.task == run.task) {
                    let task = job.task.name();
                    log::info!("{}: next {task} at {}", job.database, minute(at));
                }
            }
        }
    }

    /// Lets go of the thread of a run that has ended, so that nothing of it is left.
    fn join(&mut self, run: &Run) {
        let index = self.threads.iter().position(|thread| thread.run == *run);
        if let Some(index) = index {
            // it has sent its last word, and a panic was caught
            let _ = self.threads.swap_remove(index).handle.join();
        }
    }

    /// Takes the configuration over as it is now, or keeps the one there is.
    fn reload(&mut self) {
        self.setup.service.reloading();
        let config = self.setup.config.display();
        let loaded = (self.setup.load)().and_then(|work| match work.jobs.is_empty() {
            true => Err(no_jobs()),
            false => Ok(work),
        });
        match loaded {
            Ok(work) => {
                log::info!("{config} is loaded anew; runs that are under way end with the old one");
                self.planner.replace(work.jobs.clone(), work.max_parallel);
                self.work = Arc::new(work);
                self.tell_upcoming();
            }
            Err(error) => {
                let error = error.doing(format!(
                    "{config} is not loaded anew, the old configuration stays"
                ));
                log::error!("{}", error.report());
            }
        }
        self.setup.service.ready();
    }

    /// Stops the runs, waits for them to clean up, and is done. What was due and has not begun is handed out as well,
    /// cancelled before it begins, so that it is told and written down as any other failure.
    fn stop(mut self, signal: i32) -> Result<()> {
        self.setup.service.stopping();
        let name = signals::name(signal);
        match self.threads.is_empty() {
            true => log::info!("stopping on {name}"),
            false => log::warn!("stopping on {name}, with the runs of {}", self.runs()),
        }
        self.stopping = Some(signal);
        self.planner.stop();
        for thread in &self.threads {
            thread.cancel.cancel(Cause::Signal(signal));
        }
        let give_up = Instant::now() + STOPPING;
        loop {
            while let Some(run) = self.planner.start() {
                self.start(run);
            }
            if self.threads.is_empty() {
                break;
            }
            let left = give_up.saturating_duration_since(Instant::now());
            match self.setup.events.1.recv_timeout(left) {
                Ok(DaemonEvent::Ended(run, end)) => self.ended(&run, end),
                Ok(DaemonEvent::Signal(_)) => {}
                Err(_) => {
                    return Err(Error::failed(format!(
                        "the runs of {} did not stop within {}",
                        self.runs(),
                        duration::display(STOPPING)
                    ))
                    .hint("what they left behind is removed by the next run"));
                }
            }
        }
        self.memory.keep(self.planner.left());
        self.state.release(self.setup.places.as_ref());
        log::info!("daemon stopped");
        Ok(())
    }

    fn runs(&self) -> String {
        let names = self.threads.iter().map(|thread| &*thread.run.database);
        names.collect::<Vec<_>>().join(", ")
    }

    fn tell_upcoming(&self) {
        for (job, at) in self.planner.upcoming() {
            let task = job.task.name();
            log::info!("{}: next {task} at {}", job.database, minute(at));
        }
    }

    /// One line about what goes on, for `systemctl status`.
    fn status(&self) -> String {
        let running: Vec<String> = self
            .planner
            .running()
            .map(|job| format!("{} of {}", job.task.name(), job.database))
            .collect();
        if !running.is_empty() {
            return format!("running: {}", running.join(", "));
        }
        match self.planner.upcoming().min_by_key(|(_, at)| *at) {
            Some((job, at)) => {
                let task = job.task.name();
                format!("idle; next: {task} of {} at {}", job.database, minute(at))
            }
            None => "idle".into(),
        }
    }
}
