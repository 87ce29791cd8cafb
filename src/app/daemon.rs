//! `daemon`: what the configuration gives it to do, and how one of its runs goes.

use super::backup::tell_concerns;
use super::context::App;
use super::failure_here::FailedTask;
use super::undone::{CutShort, look_for_cut_short};
use super::verify::{CopiesToCheck, VerifyRun};
use crate::cancel::Cancel;
use crate::cause::FailureCause;
use crate::cli;
use crate::config::{SourceSettings, VerifyPick, VerifySettings, process_env};
use crate::daemon::clock::{Clock, SystemClock};
use crate::daemon::heartbeat::DaemonDirectories;
use crate::daemon::next_runs::NextRuns;
use crate::daemon::plan::{Ending, PAUSES, Run, ScheduledJob, Task, minute};
use crate::daemon::service::Service;
use crate::daemon::{self, End, Setup, Work, signals};
use crate::error::{Error, Kind, Result};
use crate::format::seal::Derivations;
use crate::notify::{self, Event};
use crate::operation::backup::{BackupTime, StoredBackup};
use crate::operation::base_backup::BaseType;
use crate::operation::verify::verified::Verified;
use crate::output;
use crate::repository::check_records::CheckOutcome;
use crate::repository::last_failure::Failure;
use crate::repository::lease_record::MinuteClaim;
use crate::repository::pick::Pick;
use crate::storage::runtime_directory::runtime_directory;
use crate::storage::state_directory::state_directory;
use crate::text::duration;
use crate::text::human::human_bytes;
use chrono::{DateTime, Utc};
use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// How many runs of each job `--dry-run` shows.
const SHOWN: usize = 5;
/// How long a run waits for one that someone started by hand, before it counts as failed for a passing reason.
const LOCK_WAIT: Duration = Duration::from_secs(30 * 60);

/// Nothing to tell anybody of.
const WELL: End = End {
    ending: Ending::Well,
    heard: true,
};

/// `daemon`, beginning with the configuration of `app`, which is the one at `path`.
pub(super) fn run(app: App, options: &cli::DaemonArgs, path: &Path) -> Result<()> {
    if options.dry_run {
        return app.next_runs(options.json, Utc::now());
    }
    if options.json {
        return Err(Error::usage("daemon --json needs --dry-run")
            .hint("the daemon prints no results; what it did is on stderr and in list --json"));
    }
    let events = channel();
    signals::watch(events.0.clone())?;
    let service = Service::from_env();
    let with = With {
        run_timeout: options.run_timeout,
        clock: &SystemClock,
        places: places(),
        service,
    };
    app.stay(path, with, events)
}

/// The daemon by any clock, with its files in any `directory`, until an event stops it.
pub fn drive(
    path: &Path,
    directory: &Path,
    clock: &dyn Clock,
    events: (Sender<daemon::DaemonEvent>, Receiver<daemon::DaemonEvent>),
) -> Result<()> {
    let app = App::load(path, &Derivations::new())?;
    let with = With {
        run_timeout: Duration::ZERO,
        clock,
        places: Some(DaemonDirectories {
            runtime: directory.to_path_buf(),
            memory: directory.to_path_buf(),
        }),
        service: Service::default(),
    };
    app.stay(path, with, events)
}

/// What a daemon has beside its configuration.
struct With<'a> {
    run_timeout: Duration,
    clock: &'a dyn Clock,
    places: Option<DaemonDirectories>,
    service: Service,
}

/// What is remembered is kept where systemd keeps a service's state, if it runs us.
fn places() -> Option<DaemonDirectories> {
    let runtime = runtime_directory()
        .inspect_err(|error| log::warn!("no sign of life for status: {}", error.report()))
        .ok()?;
    let memory = state_directory().unwrap_or_else(|_| runtime.clone());
    Some(DaemonDirectories { memory, runtime })
}

impl App {
    fn stay(
        self,
        path: &Path,
        with: With,
        events: (Sender<daemon::DaemonEvent>, Receiver<daemon::DaemonEvent>),
    ) -> Result<()> {
        let run_timeout = with.run_timeout;
        // kept over all configurations, so that a password that stays is not derived again
        let derivations = Arc::clone(&self.derivations);
        let app = Arc::new(self);
        let cut_short = Arc::new(look_for_cut_short(&app));
        daemon::run(
            work(app, run_timeout, &cut_short)?,
            Setup {
                config: path,
                load: &|| {
                    let app = Arc::new(App::load(path, &derivations)?);
                    work(app, run_timeout, &cut_short)
                },
                cut_short: cut_short.iter().map(CutShort::left).collect(),
                run_timeout,
                clock: with.clock,
                places: with.places,
                service: with.service,
                events,
            },
        )
    }

    /// What is to be done by schedule.
    fn jobs(&self) -> Result<Vec<ScheduledJob>> {
        let mut jobs = Vec::new();
        for database in &self.config.sources {
            let schedules = database.backup.schedules(&process_env)?;
            let backups = [
                (Task::Backup, schedules.full),
                (Task::Incremental, schedules.incremental),
            ];
            for (task, schedule) in backups {
                jobs.extend(schedule.map(|schedule| ScheduledJob {
                    database: database.name.clone(),
                    task,
                    schedule,
                }));
            }
            if let Some(verify) = &database.verify {
                jobs.push(ScheduledJob {
                    database: database.name.clone(),
                    task: Task::Verify,
                    schedule: verify.schedule(&process_env)?,
                });
            }
        }
        Ok(jobs)
    }

    fn next_runs(&self, json: bool, now: DateTime<Utc>) -> Result<()> {
        let jobs = self.jobs()?;
        let shown: Vec<NextRuns> = jobs
            .iter()
            .map(|job| NextRuns::of(job, now, SHOWN))
            .collect();
        let databases = self.config.sources.iter().map(|known| &*known.name);
        let unscheduled: Vec<&str> = databases
            .filter(|name| jobs.iter().all(|job| job.database != *name))
            .collect();
        if json {
            let document = output::next_runs_json(&shown, &unscheduled);
            return output::json(&document);
        }
        output::text_out(&output::next_runs_text(&shown))?;
        if !unscheduled.is_empty() {
            log::info!("without a schedule: {}", unscheduled.join(", "));
        }
        Ok(())
    }

    /// One run of the daemon. What goes wrong is told here, and is an error to nobody else.
    fn scheduled(
        &self,
        run: &Run,
        claim: &MinuteClaim,
        run_timeout: Duration,
        cancel: &Cancel,
    ) -> End {
        let (name, task) = (&run.database, run.task.name());
        let stopped = cancel.check().err();
        match run.repetition {
            _ if stopped.is_some() => {}
            0 => log::info!("{name}: {task} of {} begins", minute(run.due)),
            number => log::info!("{name}: try {number} of {} of {task} begins", PAUSES.len()),
        }
        let database = match self.config.source(name) {
            Ok(database) => database,
            Err(error) => {
                log::error!("{}", error.report());
                return End {
                    ending: Ending::Failed,
                    heard: false,
                };
            }
        };
        if let Some(stopped) = stopped {
            return self.not_begun(run, database, claim, stopped);
        }
        match (run.task, &database.verify) {
            (Task::Backup | Task::Incremental, _) => {
                self.scheduled_backup(run, database, claim, run_timeout, cancel)
            }
            (Task::Verify, Some(verify)) => match self.take_minute(database, claim, cancel) {
                Ok(()) => self.scheduled_check(run, verify, run_timeout, cancel),
                Err(error) if error.cause() == Some(FailureCause::MinuteTaken) => {
                    elsewhere(run, &error)
                }
                Err(held) => self.check_held_up(run, &held),
            },
            (Task::Verify, None) => WELL,
        }
    }

    /// The end of a run that was due and that the daemon's own end came before.
    fn not_begun(
        &self,
        run: &Run,
        database: &SourceSettings,
        claim: &MinuteClaim,
        stopped: Error,
    ) -> End {
        let (now, task) = (Utc::now(), run.task.name());
        let due = minute(run.due);
        let error = stopped
            .doing(format!("the {task} of {due} was due and has not begun"))
            .hint("the daemon makes up for it if it is started before the next one is due");
        log::error!("{}: {}", run.database, error.report());
        let kind = match run.task {
            Task::Backup | Task::Incremental => {
                self.record_failure(database, &error, now, Some(claim));
                notify::EventKind::Backup
            }
            Task::Verify => notify::EventKind::Verify,
        };
        let event = Event::new(kind, &run.database, now, Duration::ZERO);
        let event = event.failed(notify::EventOutcome::Failed, &error);
        self.end(run, Ending::Failed, event)
    }

    fn scheduled_backup(
        &self,
        run: &Run,
        database: &SourceSettings,
        claim: &MinuteClaim,
        run_timeout: Duration,
        cancel: &Cancel,
    ) -> End {
        let name = &run.database;
        let has_begun = Cell::new(run.told.is_some());
        let begins = || {
            if !has_begun.replace(true) {
                self.notify_start(notify::EventKind::Backup, name, cancel);
            }
        };
        let time = BackupTime {
            claim: Some(claim),
            begins: &begins,
            now: &Utc::now,
        };
        let base = match run.task {
            Task::Incremental => BaseType::Incremental,
            _ => BaseType::Full,
        };
        let mut ended = self.back_up(database, base, LOCK_WAIT, time, cancel);
        if let Err(error) = &ended.result
            && error.cause() == Some(FailureCause::MinuteTaken)
        {
            return elsewhere(run, error);
        }
        // what failed before it held its storages is told like any other
        begins();
        if cancel.deadline_is_over() {
            ended.result = ended
                .result
                .map_err(|error| took_too_long(error, run_timeout));
        }
        match &ended.result {
            Ok(stored) => tell_stored(name, stored, ended.took, run.told.is_some()),
            Err(error) => log::error!("cannot back up {name}: {}", error.report()),
        }
        let ending = ending(&ended.result);
        let last = match ending {
            Ending::Well => self.last_failure(database),
            _ => None,
        };
        // of the end of what this daemon told of, a run by hand may have told
        let is_news = run.told.is_some_and(|told| {
            let is_ended = |last: &Failure| !last.recovery_due && told.is_before(last.failed_at);
            !last.as_ref().is_some_and(is_ended)
        });
        let unended = last.filter(|last| last.recovery_due);
        let recovered = unended.is_some() || is_news;
        let end = self.end(
            run,
            ending,
            Event {
                recovered,
                ..ended.event()
            },
        );
        if end.heard
            && let Some(failure) = unended
        {
            self.end_failure(database, failure);
        }
        end
    }
}

impl App {
    /// A check of one backup, in all its copies.
    fn scheduled_check(
        &self,
        run: &Run,
        verify: &VerifySettings,
        run_timeout: Duration,
        cancel: &Cancel,
    ) -> End {
        let name = &run.database;
        let pick = match verify.pick {
            VerifyPick::Latest => Pick::Last(1),
            VerifyPick::Random => Pick::Random(1),
        };
        let (started_at, began) = (Utc::now(), Instant::now());
        let mut said = |check: &Verified| {
            let (backup, outcome) = (&check.backup, check.outcome().name());
            log::info!("{backup} is {outcome} at the level {}", check.level);
            Ok(())
        };
        let checked = self
            .picked(name, pick, cancel)
            .and_then(CopiesToCheck::all_listed)
            .and_then(|wanted| self.verify_copies(&wanted, verify.level, &mut said, cancel))
            .map_err(|error| match cancel.deadline_is_over() {
                true => took_too_long(error, run_timeout),
                false => error,
            });
        let (ending, event) = match &checked {
            Ok(checked) if checked.copies.is_empty() => {
                log::info!("{name}: there is no backup to pick for a check yet");
                return WELL;
            }
            Ok(checked) => {
                self.note_check(name, checked, verify.level);
                let recovered = run.told.is_some();
                let event = Event {
                    recovered,
                    ..checked.event(name)
                };
                (checked.ending(), event)
            }
            Err(error) => {
                let failure = Failure::new(name, error, started_at, Utc::now());
                self.keep_failure_here(FailedTask::Check(verify.level), &failure);
                log::error!("cannot check a backup of {name}: {}", error.report());
                let event =
                    Event::new(notify::EventKind::Verify, name, started_at, began.elapsed());
                let event = event.failed(notify::EventOutcome::Failed, error);
                (ending_of(error), event)
            }
        };
        self.end(run, ending, event)
    }
}

impl App {
    /// The end of a check that another run holds up, be it on another host. That is no failure to tell anybody of before
    /// the last try.
    fn check_held_up(&self, run: &Run, held: &Error) -> End {
        let name = &run.database;
        if run.repetition < PAUSES.len() {
            log::info!("{name}: {} waits: {}", run.task.name(), held.report());
            return End {
                ending: Ending::Passing,
                heard: false,
            };
        }
        log::error!("cannot check a backup of {name}: {}", held.report());
        let event = Event::new(notify::EventKind::Verify, name, Utc::now(), Duration::ZERO);
        let event = event.failed(notify::EventOutcome::Failed, held);
        self.end(run, Ending::Passing, event)
    }

    /// The end of a run, told where that is due.
    fn end(&self, run: &Run, ending: Ending, event: Event) -> End {
        let recovered = ending == Ending::Well && event.recovered;
        let heard = !run.tells(ending) || self.notify(&Event { recovered, ..event });
        End { ending, heard }
    }
}

impl VerifyRun {
    /// A copy that is bad stays bad; one that could not be read may be readable in a while.
    fn ending(&self) -> Ending {
        let failures = || self.copies.iter().filter_map(Verified::failure);
        match self
            .copies
            .iter()
            .any(|copy| copy.outcome() == CheckOutcome::Bad)
        {
            true => Ending::Failed,
            false if failures().any(|kind| !kind.may_pass()) => Ending::Failed,
            false if failures().next().is_some() => Ending::Passing,
            false => Ending::Well,
        }
    }
}

/// What `app` gives the daemon to do.
fn work(app: Arc<App>, run_timeout: Duration, cut_short: &Arc<Vec<CutShort>>) -> Result<Work> {
    let cut_short = Arc::clone(cut_short);
    Ok(Work {
        jobs: app.jobs()?,
        max_parallel: app.config.max_parallel,
        run: Box::new(move |run, owner, cancel| {
            // one that is tried again as well: the try before may have failed before it could take the minute
            let claim = MinuteClaim {
                task: run.task.name().to_string(),
                minute: run.latest,
                owner: owner.to_string(),
                in_place_of: in_place_of(run, &cut_short),
            };
            app.scheduled(run, &claim, run_timeout, cancel)
        }),
    })
}

/// The daemon that had taken the minute of `run`, where that was cut short.
fn in_place_of(run: &Run, cut_short: &[CutShort]) -> Option<String> {
    let is_of = |cut: &&CutShort| {
        run.task == cut.task && cut.database == run.database && cut.minute.minute == run.latest
    };
    let cut = cut_short.iter().find(is_of)?;
    Some(cut.minute.owner.clone())
}

/// The end of a run that another host makes.
fn elsewhere(run: &Run, taken: &Error) -> End {
    log::info!("{}: {}", run.database, taken.report());
    End {
        ending: Ending::Elsewhere,
        heard: true,
    }
}

fn tell_stored(name: &str, stored: &StoredBackup, took: Duration, recovered: bool) {
    let again = if recovered { ", again" } else { "" };
    log::info!(
        "{name}: backed up{again}, {} at {} in {}",
        human_bytes(stored.manifest.bytes()),
        stored.destination(),
        duration::display(took)
    );
    tell_concerns(name, stored);
}

/// The run's own limit is the reason, whatever was under way; trying again would take as long.
fn took_too_long(error: Error, limit: Duration) -> Error {
    let limit = duration::display(limit);
    Error::failed(format!(
        "stopped after {limit}, which is the limit of --run-timeout"
    ))
    .because(error)
    .hint("raise --run-timeout if the database has grown, else see what the run waited for")
}

fn ending(result: &Result<StoredBackup>) -> Ending {
    match result {
        Ok(stored) if !stored.is_everywhere() => Ending::Degraded,
        Ok(_) => Ending::Well,
        Err(error) => ending_of(error),
    }
}

fn ending_of(error: &Error) -> Ending {
    // someone else's run for this database has outlasted our patience, and ends one day
    match error.kind().may_pass() || error.kind() == Kind::Locked {
        true => Ending::Passing,
        false => Ending::Failed,
    }
}
