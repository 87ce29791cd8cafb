//! What people are told of the run for one database, by `backup` and by the daemon alike.

use super::backup::BackupRun;
use super::context::App;
use super::missing_copies::missing_copies;
use super::verify::VerifyRun;
use crate::cancel::Cancel;
use crate::config::process_env;
use crate::error::Error;
use crate::notify::{self, Delivered, Event, EventOutcome};
use crate::operation::prune::outcome::PruneOutcome;
use crate::operation::verify::verified::Verified;
use std::time::Duration;

/// All of the notifications of one event, all tries of all routes.
const TELLING: Duration = Duration::from_secs(30);
/// The notifications of a start, which the run waits for.
const TELLING_START: Duration = Duration::from_secs(5);

impl App {
    /// Tells the routes that want to know it that a run begins. What goes wrong is a warning.
    pub(super) fn notify_start(&self, kind: notify::EventKind, db: &str, cancel: &Cancel) {
        let cancel = cancel.with_deadline(TELLING_START);
        let routes = &self.config.notifications;
        warn(notify::tell_start(routes, kind, db, &process_env, &cancel).failures);
    }

    /// Tells of `event` by every route that wants it. It has a time of its own, for what there is to tell may be that
    /// the run was stopped. What goes wrong is a warning; false where nobody was reached of those who wanted to know.
    pub(super) fn notify(&self, event: &Event) -> bool {
        let told = Cancel::new().map(|cancel| {
            let cancel = cancel.with_deadline(TELLING);
            notify::tell(&self.config.notifications, event, &process_env, &cancel)
        });
        let told = told.unwrap_or_else(|error| Delivered {
            failures: vec![error],
            ..Delivered::default()
        });
        let heard = told.is_heard();
        warn(told.failures);
        heard
    }
}

fn warn(failures: Vec<Error>) {
    for failure in failures {
        log::warn!("{}", failure.report());
    }
}

impl BackupRun<'_> {
    /// The run as an event.
    pub(super) fn event(&self) -> Event {
        let name = &self.database.name;
        let event = Event::new(notify::EventKind::Backup, name, self.started_at, self.took);
        let mut event = match &self.result {
            Err(error) => return event.failed(EventOutcome::Failed, error),
            Ok(stored) => match missing_copies(stored) {
                Ok(()) => event,
                Err(error) => event.failed(EventOutcome::Degraded, &error),
            },
        };
        if let Ok(stored) = &self.result {
            event.bytes = stored.manifest.bytes();
            event.dest = stored.destination().to_string();
            let objects = stored.manifest.objects();
            event.key = objects.into_iter().next().map(|object| object.key);
        }
        if let Ok(stored) = &self.result {
            event.warnings = stored.warnings.clone();
        }
        let concerns = self.retention.iter().flatten().flat_map(concerns);
        event.warnings.extend(concerns);
        event
    }
}

impl VerifyRun {
    /// Why not all copies are known to be good.
    pub(super) fn failure(&self) -> Option<Error> {
        let unlisted = self.unlisted.iter().map(|(storage, error)| {
            let said = format!("storage {storage}: {}", error.chain());
            Error::new(error.kind(), said)
        });
        let copies = self.copies.iter().filter_map(failure);
        let failures: Vec<Error> = copies.chain(unlisted).collect();
        let said: Vec<String> = failures.iter().map(|failure| failure.chain()).collect();
        let error = Error::new(failures.first()?.kind(), said.join("; "));
        let hint = self
            .copies
            .iter()
            .find_map(|copy| copy.result.as_ref().err()?.first_hint());
        Some(match hint {
            Some(hint) => error.hint(hint),
            None => error,
        })
    }

    /// The checks of copies of the backups of `database` as one event. One that could not be made is a failure too.
    pub(super) fn event(&self, database: &str) -> Event {
        let mut event = Event::new(
            notify::EventKind::Verify,
            database,
            self.started_at,
            self.took,
        );
        if let Some(error) = self.failure() {
            event = event.failed(EventOutcome::Failed, &error);
        }
        let evidence = self
            .copies
            .iter()
            .filter_map(|copy| copy.result.as_ref().ok());
        event.warnings = evidence.flat_map(|found| found.notes.clone()).collect();
        event.bytes = self.copies.iter().map(|copy| copy.bytes).sum();
        event.dest = match self.copies.as_slice() {
            [only] => only.location.clone(),
            several => format!("{} copies", several.len()),
        };
        event
    }
}

/// Why a copy is not known to be good.
fn failure(check: &Verified) -> Option<Error> {
    let shown = &check.location;
    match &check.result {
        Err(error) => Some(Error::new(
            error.kind(),
            format!("cannot check {shown}: {}", error.chain()),
        )),
        Ok(evidence) if evidence.faults.is_empty() => None,
        Ok(evidence) => {
            let said: Vec<String> = evidence.faults.iter().map(ToString::to_string).collect();
            Some(Error::damaged(format!(
                "{shown} is bad: {}",
                said.join("; ")
            )))
        }
    }
}

/// What retention on one storage has to say.
fn concerns(retention: &PruneOutcome) -> Vec<String> {
    let storage = &retention.storage;
    let warnings = retention.warnings().iter();
    let mut said: Vec<String> = warnings
        .map(|warning| format!("{warning} (on the storage {storage})"))
        .collect();
    if let Some(error) = retention.error() {
        said.push(format!(
            "old backups on the storage {storage} were not removed: {}",
            error.chain()
        ));
    }
    said
}
