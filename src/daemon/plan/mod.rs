//! What is due, and what may start: the daemon's decisions, without its clock, threads and signals.
//!
//! - A job is due in each minute of its schedule, and no minute is due twice: the calendar is followed only forward. A
//!   clock that was set back is waited for, up to `TRUSTED`; one further behind was wrong before and is believed now.
//! - However many of a job's minutes have passed since someone last looked (a long run, a suspend, a clock that was set
//!   forward), they make one run. So do those that come while the job runs or waits for its turn.
//! - A database has one run at a time, whatever its kind, and all databases together `Planner::max_parallel`.
//! - A run that fails for a passing reason is tried again after each of [`PAUSES`], counted from its end, as long as that
//!   is before the job's next minute.
//! - A failure is told once, until the job ends well again. It is told again where it gets worse, and by the first
//!   scheduled run after `REMINDER`.
//! - What a stop keeps from being made, or from being tried again, is [left](Left) to the next start, which makes it as
//!   long as that is before the job's next minute.

mod notice;
mod retry;
mod task;
#[cfg(test)]
mod tests;

pub use notice::{Notice, minute};
pub use retry::PAUSES;
pub use task::Task;

use super::clock::{ClockReading, minute_of};
use crate::schedule::Schedule;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How far back a clock may be set and still be waited for.
const TRUSTED: TimeDelta = TimeDelta::days(2);
/// How long a failure that lasts is told only once.
const REMINDER: TimeDelta = TimeDelta::hours(12);

/// What is to be done, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledJob {
    /// The database's name in the configuration.
    pub database: String,
    /// What is done to it.
    pub task: Task,
    /// In which minutes.
    pub schedule: Schedule,
}

/// One run of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub database: String,
    /// What it does.
    pub task: Task,
    /// The minute that it was due in.
    pub due: DateTime<Utc>,
    /// The last minute of the schedule that it stands for; that of a repetition is the one of the run that failed.
    pub latest: DateTime<Utc>,
    /// 0 for a scheduled run, then the number of the repetition.
    pub repetition: usize,
    /// The failure that lasts, if people have been told of one.
    pub told: Option<ToldFailure>,
}

impl Run {
    /// True where people are to be told of this ending.
    pub fn tells(&self, ending: Ending) -> bool {
        let Some(told) = self.told else {
            return true;
        };
        let reminds = self.repetition == 0 && self.due.signed_duration_since(told.due) >= REMINDER;
        match ending {
            Ending::Well => true,
            Ending::Elsewhere => false,
            Ending::Degraded => reminds,
            Ending::Passing | Ending::Failed => reminds || told.degraded,
        }
    }
}

/// A failure that people have been told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldFailure {
    /// The minute that its run was due in.
    due: DateTime<Utc>,
    /// It was of the lesser kind, [`Ending::Degraded`].
    degraded: bool,
}

impl ToldFailure {
    /// True where the record of `failed_at` is of this failure or of a later one.
    pub fn is_before(&self, failed_at: DateTime<Utc>) -> bool {
        self.due <= failed_at
    }
}

/// What the next daemon has to know of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The job's database.
    pub database: String,
    /// What it does.
    pub task: Task,
    /// The failure that lasts, if people have been told of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<ToldFailure>,
    /// The last minute of the schedule that a run stood for that a stop cut short, or kept from beginning or from being
    /// tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone: Option<DateTime<Utc>>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Well,
    /// Another host has done it, or is about it.
    Elsewhere,
    /// There is a backup, and a copy of it is missing.
    Degraded,
    /// It failed for a reason that may pass by itself.
    Passing,
    /// It failed for good.
    Failed,
}

/// The jobs and where each of them stands.
pub struct Planner {
    jobs: Vec<PlannedJob>,
    max_parallel: usize,
    /// The furthest that the calendar has been seen; every minute up to here has been dealt with.
    seen: DateTime<Utc>,
    /// The clock stands before `seen`, and this has been said.
    behind: bool,
    /// Runs are only ended from here on.
    stopping: bool,
}

struct PlannedJob {
    job: ScheduledJob,
    /// The first minute that has not been dealt with.
    next: Option<DateTime<Utc>>,
    waiting: Option<Waiting>,
    retry: Option<Retry>,
    running: bool,
    /// Repetitions since the last scheduled run.
    repetitions: usize,
    /// The failure that lasts, as it was told last.
    told: Option<ToldFailure>,
    /// The last minute of a run that the stop kept from being made.
    undone: Option<DateTime<Utc>>,
    /// No longer configured, and here only until its run has ended.
    retired: bool,
}

#[derive(Clone, Copy)]
struct Waiting {
    due: DateTime<Utc>,
    latest: DateTime<Utc>,
    repetition: usize,
}

struct Retry {
    /// On the steady clock, which no jump delays.
    at: Duration,
    /// The last minute of the schedule that the run which failed stood for.
    latest: DateTime<Utc>,
}

impl Planner {
    /// Jobs that are due from the next minute on.
    pub fn new(jobs: Vec<ScheduledJob>, max_parallel: usize, now: ClockReading) -> Planner {
        let mut planner = Planner {
            jobs: Vec::new(),
            max_parallel,
            seen: now.wall,
            behind: false,
            stopping: false,
        };
        planner.replace(jobs, max_parallel);
        planner
    }

    /// Takes over other jobs. What runs goes on and what is due stays due; a schedule that has changed begins now.
    pub fn replace(&mut self, jobs: Vec<ScheduledJob>, max_parallel: usize) {
        self.max_parallel = max_parallel;
        let mut known = std::mem::take(&mut self.jobs);
        for job in jobs {
            let found = known.iter().position(|entry| entry.is(&job));
            let next = job.schedule.next_after(self.seen);
            self.jobs
                .push(match found.map(|index| known.remove(index)) {
                    Some(entry) if entry.job.schedule == job.schedule && !entry.retired => entry,
                    Some(entry) => PlannedJob {
                        job,
                        next,
                        retired: false,
                        ..entry
                    },
                    None => PlannedJob::new(job, next),
                });
        }
        known.retain(|entry| entry.running);
        self.jobs.extend(known.into_iter().map(|entry| PlannedJob {
            next: None,
            waiting: None,
            retry: None,
            retired: true,
            ..entry
        }));
    }

    /// Takes up what the daemon before us `left`: what people were told, and runs that it was kept from making.
    pub fn recall(&mut self, left: &[Left], now: ClockReading) -> Vec<Notice> {
        let mut notices = Vec::new();
        for left in left {
            let of_this = |entry: &&mut PlannedJob| {
                entry.job.database == left.database && entry.job.task == left.task
            };
            let Some(entry) = self.jobs.iter_mut().find(of_this) else {
                continue;
            };
            // one from the future was told by another clock
            entry.told = left.told.filter(|told| told.due <= now.wall);
            let Some(due) = left.undone.filter(|due| *due <= now.wall) else {
                continue;
            };
            let following = entry.job.schedule.next_after(due);
            if following.is_none_or(|following| following > now.wall) {
                entry.waiting = Some(Waiting {
                    due,
                    latest: due,
                    repetition: 0,
                });
                let (database, task) = (entry.job.database.clone(), entry.job.task);
                notices.push(Notice::TakenUp(database, task, due));
            }
        }
        notices
    }

    /// From here on [`start`](Planner::start) hands out everything that is due, however much runs already, only for it
    /// to be ended.
    pub fn stop(&mut self) {
        self.stopping = true;
        self.max_parallel = usize::MAX;
        for entry in &mut self.jobs {
            entry.undone = entry.retry.take().map(|retry| retry.latest);
        }
    }

    /// What the next daemon has to know.
    pub fn left(&self) -> Vec<Left> {
        let known = self.jobs.iter().filter(|entry| {
            let is_news = entry.told.is_some() || entry.undone.is_some();
            is_news && !entry.retired
        });
        let left = known.map(|entry| Left {
            database: entry.job.database.clone(),
            task: entry.job.task,
            told: entry.told,
            undone: entry.undone,
        });
        left.collect()
    }

    /// Looks at the clock: finds out what has become due.
    pub fn tick(&mut self, now: ClockReading) -> Vec<Notice> {
        let mut notices = self.look_back(now.wall);
        self.seen = self.seen.max(now.wall);
        for entry in &mut self.jobs {
            entry.tick(now, &mut notices);
        }
        notices
    }

    /// Notices a clock that was set back.
    fn look_back(&mut self, wall: DateTime<Utc>) -> Vec<Notice> {
        let by = self.seen - wall;
        if by > TRUSTED {
            self.seen = wall;
            self.behind = false;
            for entry in self.jobs.iter_mut().filter(|entry| !entry.retired) {
                entry.next = entry.job.schedule.next_after(wall);
                entry.told = None;
            }
            return vec![Notice::ClockWrong(by)];
        }
        // NTP nudges a clock by less than that, and no minute is lost by it
        let behind = by >= TimeDelta::minutes(1);
        let notice = (behind && !self.behind).then_some(Notice::ClockBack(by));
        self.behind = behind;
        notice.into_iter().collect()
    }

    /// The run that starts now, if there is one: of those that may, the one that is due longest.
    pub fn start(&mut self) -> Option<Run> {
        if self.running().count() >= self.max_parallel {
            return None;
        }
        let index = self.first_waiting()?;
        let entry = &mut self.jobs[index];
        let waiting = entry.waiting.take()?;
        entry.running = true;
        entry.repetitions = waiting.repetition;
        Some(Run {
            database: entry.job.database.clone(),
            task: entry.job.task,
            due: waiting.due,
            latest: waiting.latest,
            repetition: waiting.repetition,
            told: entry.told,
        })
    }

    fn first_waiting(&self) -> Option<usize> {
        let busy: Vec<&str> = self.running().map(|job| job.database.as_str()).collect();
        let may = self.jobs.iter().enumerate().filter_map(|(index, entry)| {
            let waiting = entry.waiting?;
            (!busy.contains(&entry.job.database.as_str())).then_some((waiting.due, index))
        });
        may.min().map(|(_, index)| index)
    }

    /// Takes note of the end of a run.
    pub fn ended(&mut self, run: &Run, ending: Ending, now: ClockReading) -> Option<Notice> {
        let index = self
            .jobs
            .iter()
            .position(|entry| entry.running && entry.is_of(run))?;
        let entry = &mut self.jobs[index];
        entry.running = false;
        if entry.retired {
            self.jobs.remove(index);
            return None;
        }
        if ending == Ending::Well {
            entry.told = None;
        } else if run.tells(ending) {
            entry.told = Some(ToldFailure {
                due: run.due,
                degraded: ending == Ending::Degraded,
            });
        }
        let failed = matches!(ending, Ending::Passing | Ending::Failed);
        if self.stopping && failed {
            entry.undone = Some(run.latest);
        } else if ending == Ending::Passing {
            return entry.try_again(run, now);
        }
        None
    }

    /// Nobody could be told how `run` ended, which has to be said again: the next run of its job tells.
    pub fn unheard(&mut self, run: &Run) {
        for entry in self.jobs.iter_mut().filter(|entry| entry.is_of(run)) {
            entry.told = run.told;
        }
    }

    /// The jobs that run now.
    pub fn running(&self) -> impl Iterator<Item = &ScheduledJob> {
        let running = self.jobs.iter().filter(|entry| entry.running);
        running.map(|entry| &entry.job)
    }

    /// The next scheduled run of each job.
    pub fn upcoming(&self) -> impl Iterator<Item = (&ScheduledJob, DateTime<Utc>)> {
        let jobs = self.jobs.iter();
        jobs.filter_map(|entry| Some((&entry.job, entry.next?)))
    }
}

impl PlannedJob {
    fn new(job: ScheduledJob, next: Option<DateTime<Utc>>) -> PlannedJob {
        PlannedJob {
            job,
            next,
            waiting: None,
            retry: None,
            running: false,
            repetitions: 0,
            told: None,
            undone: None,
            retired: false,
        }
    }

    fn is(&self, job: &ScheduledJob) -> bool {
        self.job.database == job.database && self.job.task == job.task
    }

    fn is_of(&self, run: &Run) -> bool {
        self.job.database == run.database && self.job.task == run.task
    }

    fn tick(&mut self, now: ClockReading, notices: &mut Vec<Notice>) {
        let (database, task) = (&self.job.database, self.job.task);
        if let Some(first) = self.next.filter(|next| *next <= now.wall) {
            self.next = self.job.schedule.next_after(now.wall);
            // its minute has come, so the interval of the run before is over
            self.retry = None;
            let waited = match self.waiting {
                Some(waiting) if waiting.repetition == 0 => Some(waiting.due),
                _ => None,
            };
            if waited.is_some() {
                notices.push(Notice::Queued(database.clone(), task));
            } else if self.running {
                notices.push(Notice::Overtaken(database.clone(), task));
            } else if first < minute_of(now.wall) {
                notices.push(Notice::Missed(database.clone(), task, first));
            }
            self.waiting = Some(Waiting {
                due: waited.unwrap_or(first),
                latest: self.job.schedule.last_since(first, now.wall),
                repetition: 0,
            });
        } else if let Some(retry) = self.retry.take_if(|retry| now.steady >= retry.at) {
            self.waiting = Some(Waiting {
                due: minute_of(now.wall),
                latest: retry.latest,
                repetition: self.repetitions + 1,
            });
        }
    }

    /// Plans the next repetition, if there is one left within the interval.
    fn try_again(&mut self, run: &Run, now: ClockReading) -> Option<Notice> {
        // one that follows at once makes it needless
        if self.waiting.is_some() {
            return None;
        }
        let pause = *PAUSES.get(self.repetitions)?;
        let at = now
            .wall
            .checked_add_signed(TimeDelta::from_std(pause).ok()?)?;
        if self.next.is_some_and(|next| next <= at) {
            return None;
        }
        self.retry = Some(Retry {
            at: now.steady + pause,
            latest: run.latest,
        });
        let (database, task) = (self.job.database.clone(), self.job.task);
        let number = self.repetitions + 1;
        Some(Notice::TryingAgain(database, task, at, number))
    }
}
