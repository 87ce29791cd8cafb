//! `status`.

use super::context::App;
use super::failure_here::FailedTask;
use super::overall_status::overall;
use super::unattended;
use crate::cancel::Cancel;
use crate::cli;
use crate::config::{SourceSettings, process_env};
use crate::error::{Error, Kind, Result};
use crate::operation::status;
use crate::operation::status::report::{DatabaseStatus, Severity, StatusReport};
use crate::operation::status::subject::StatusSubject;
use crate::output;
use crate::repository::check_records::CheckLevel;
use crate::repository::reference::Reference;
use chrono::{DateTime, Utc};
use std::path::Path;

/// `status --daemon` of the configuration at `path`, which is not read: a fault in it does not stop the daemon that has read it before.
pub(super) fn daemon(options: &cli::StatusArgs, path: &Path) -> Result<()> {
    options.check()?;
    let now = Utc::now();
    let daemon = status::daemon(unattended::keeper(path).attendance(), now)?;
    match options.json {
        true => output::json(&output::daemon_json(&daemon, Severity::Ok)),
        false => output::line(&output::daemon_line(&daemon, now)),
    }
}

impl App {
    pub(super) fn status(
        &self,
        options: &cli::StatusArgs,
        path: &Path,
        cancel: &Cancel,
    ) -> Result<()> {
        let now = Utc::now();
        let databases = self.chosen(&options.db)?;
        let mut storages: Vec<String> = Vec::new();
        for name in databases.iter().flat_map(|known| &known.backup.storage) {
            if !storages.contains(name) {
                storages.push(name.clone());
            }
        }
        let subjects: Vec<StatusSubject> = databases
            .into_iter()
            .map(|database| self.subject(database, now))
            .collect();
        let attendance = unattended::keeper(path).attendance();
        let places = self.places(&storages);
        let report = status::run(&places, subjects, attendance, now, cancel)?;
        if options.nagios {
            output::line(&output::status_nagios(&report))?;
            return match output::nagios_status(report.level()) {
                0 => Ok(()),
                status => Err(Error::already_told(Kind::Plugin(status))),
            };
        }
        for storage in &report.storages {
            if let Err(error) = &storage.space {
                log::warn!("storage {}: {}", storage.name, error.report());
            }
        }
        if options.json {
            output::json(&output::status_json(&report))?;
        } else {
            output::shown(&output::status_text(&report, output::Look::of_stdout()))?;
        }
        match verdict(&report) {
            Some(kind) => Err(Error::already_told(kind)),
            None => Ok(()),
        }
    }

    fn subject<'a>(
        &'a self,
        database: &'a SourceSettings,
        now: DateTime<Utc>,
    ) -> StatusSubject<'a> {
        let name = &database.name;
        let next_run = match database.backup.schedules(&process_env) {
            Ok(schedules) => schedules.next_after(now),
            Err(error) => {
                // on another host than the one that makes the backups it need not be known
                log::warn!("the next run is not known: {}", error.report());
                None
            }
        };
        let verify = database.verify.as_ref();
        let checks = verify.map(|verify| verify.schedule(&process_env));
        let checks = checks.transpose().unwrap_or_else(|error| {
            log::warn!("the next check is not known: {}", error.report());
            None
        });
        let latest = Reference::Latest {
            database: Some(name.clone()),
            by: None,
        };
        StatusSubject {
            name: name.clone(),
            storages: database.backup.storage.clone(),
            expected: self.expected(name),
            max_age: database.max_age,
            verify_level: verify.map_or(CheckLevel::Restore, |verify| verify.level),
            max_unverified_age: database.max_unverified_age,
            next_run,
            next_check: checks.and_then(|checks| checks.next_after(now)),
            failure_here: self.failure_here(&[FailedTask::Backup], name),
            failed_check: self.failure_here(&FailedTask::CHECKS, name),
            keys: Box::new(move || self.keys_for(name, &latest)),
        }
    }
}

/// No backup at all, or one that is too old or was last proven good too long ago; else one that is not good, else a daemon that
/// hangs, else a storage that could not be asked.
fn verdict(report: &StatusReport) -> Option<Kind> {
    let late = |database: &DatabaseStatus| database.too_old || database.proven.too_long_ago;
    if report.databases.iter().any(late) {
        return Some(Kind::TooOld);
    }
    if report.databases.iter().any(DatabaseStatus::is_damaged) {
        return Some(Kind::Damaged);
    }
    if report.daemon_hangs() {
        return Some(Kind::Failed);
    }
    let failures = report.storages.iter();
    let failures: Vec<Kind> = failures
        .filter_map(|storage| Some(storage.space.as_ref().err()?.kind()))
        .collect();
    overall(report.storages.len() - failures.len(), &failures)
}
