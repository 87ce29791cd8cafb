//! `test`: which checks there are with this configuration.

use super::compose::{restore_session, session};
use super::context::App;
use super::packaged_units;
use super::unattended::{self, Keeper};
use super::wal::archive_command;
use crate::cancel::Cancel;
use crate::cli;
use crate::config::{
    BackupMethod, BaseBackupSettings, DumpSettings, Notification, Route, SourceSettings,
    process_env,
};
use crate::error::{Error, Kind, Result};
use crate::format::seal::Keys;
use crate::http;
use crate::notify::{self, Event};
use crate::operation::test;
use crate::operation::test::storage::Probed;
use crate::operation::test::{Finding, FindingLevel};
use crate::output;
use crate::repository::check_records::CheckLevel;
use crate::repository::listing::Entry;
use crate::repository::reference::Reference;
use crate::repository::sidecars::listing_of;
use crate::storage::Storage;
use crate::text::ours;
use crate::text::rfc3339;
use chrono::Utc;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What a test tells of is about none.
const NO_DATABASE: &str = "-";
/// How long one notification may take.
const SENDING: Duration = Duration::from_secs(60);

/// The checks so far.
struct CheckList {
    checks: Vec<Finding>,
    json: bool,
    quiet: bool,
}

impl CheckList {
    /// Adds a check, and prints it where a person waits for it.
    fn add(&mut self, check: Finding) -> Result<()> {
        let left_out = self.quiet && check.outcome == FindingLevel::Ok;
        if !self.json && !left_out {
            output::print_check(&check)?;
        }
        self.checks.push(check);
        Ok(())
    }

    fn all(&mut self, checks: impl IntoIterator<Item = Finding>) -> Result<()> {
        checks.into_iter().try_for_each(|check| self.add(check))
    }
}

impl App {
    pub(super) fn check(
        &self,
        options: &cli::TestArgs,
        path: &Path,
        cancel: &Cancel,
    ) -> Result<()> {
        let databases = self.chosen(&options.db)?;
        let mut told = CheckList {
            checks: Vec::new(),
            json: options.json,
            quiet: options.quiet,
        };
        told.all(self.check_configuration(path))?;
        for database in &databases {
            told.all(self.check_database(database, cancel)?)?;
            if options.accept_new_system {
                told.all(self.accept_new_system(database, cancel)?)?;
            }
            cancel.check()?;
        }
        told.all(check_keeper(&databases, path))?;
        told.all(packaged_units::check(&self.config, path))?;
        for storage in &self.config.storages {
            let users: Vec<&SourceSettings> = databases
                .iter()
                .filter(|database| database.backup.storage.contains(&storage.name))
                .copied()
                .collect();
            if !users.is_empty() {
                self.check_storage(&storage.name, &users, &mut told, cancel)?;
                cancel.check()?;
            }
        }
        for (index, route) in self.config.notifications.iter().enumerate() {
            let check = self.check_route(index, route);
            told.add(match options.send && check.outcome == FindingLevel::Ok {
                true => self.send(&check.subject, route, &databases, cancel)?,
                false => check,
            })?;
        }
        if self.config.notifications.is_empty() {
            let check = Finding::warn("notifications", "nobody is told when a backup fails");
            told.add(check.fix(format!(
                "add notifications to the configuration, or watch: {}",
                ours::command("status")
            )))?;
        }
        if options.json {
            output::json(&output::check_json(&told.checks))?;
        }
        let mut failed = told.checks.iter();
        match failed.any(|check| check.outcome == FindingLevel::Fail) {
            true => Err(Error::already_told(Kind::Failed)),
            false => Ok(()),
        }
    }

    fn check_configuration(&self, path: &Path) -> Vec<Finding> {
        let subject = "configuration";
        let warnings = self.config.warnings.iter();
        let mut checks: Vec<Finding> = warnings
            .map(|warning| Finding::warn(subject, warning))
            .collect();
        let what = format!("{} is valid", path.display());
        checks.insert(0, Finding::ok(subject, what));
        checks
    }

    fn check_database(&self, database: &SourceSettings, cancel: &Cancel) -> Result<Vec<Finding>> {
        let mut checks = match &database.backup.method {
            BackupMethod::Dump(dump) => self.check_dumps(database, dump, cancel)?,
            BackupMethod::Base(base) => check_base_backups(self, database, base, cancel)?,
        };
        let name = &database.name;
        checks.push(check_schedule(database));
        match database.backup.encryption.seal_password(&process_env) {
            Ok(Some(password)) => {
                checks.extend(test::encryption::short(name, &password));
                checks.push(test::encryption::round_trip(name, password));
            }
            Ok(None) => {}
            Err(error) => checks.push(Finding::broken(&format!("encryption of {name}"), &error)),
        }
        Ok(checks)
    }

    fn check_dumps(
        &self,
        database: &SourceSettings,
        dump: &DumpSettings,
        cancel: &Cancel,
    ) -> Result<Vec<Finding>> {
        let name = &database.name;
        let subject = format!("database {name}");
        let mut checks = match (session(database), self.tools()) {
            (Ok(session), Ok(tools)) => {
                let options = dump.options(&process_env);
                let chosen = options
                    .as_ref()
                    .is_ok_and(|options| !options.args.is_empty());
                let verify = database.verify.as_ref();
                let drilled = verify.is_some_and(|verify| verify.level == CheckLevel::Restore);
                let drill = drilled.then(|| self.drill(name)).transpose();
                let wanted = test::database::Wanted {
                    chosen,
                    globals: dump.globals,
                    drill: drill.as_ref().map_or(None, Option::as_ref),
                };
                let mut checks = test::database::run(name, &session, &tools, &wanted, cancel)?;
                if let Err(error) = &drill {
                    let check = Finding::broken(&format!("drill of {name}"), error);
                    checks.push(check.as_warning());
                }
                if let Err(error) = &options {
                    checks.push(Finding::broken(&subject, error));
                }
                checks
            }
            (Err(error), _) | (_, Err(error)) => vec![Finding::broken(&subject, &error)],
        };
        checks.extend(self.check_restore_login(database, cancel)?);
        Ok(checks)
    }

    /// Whether the login for restores would do. A backup is made without it.
    fn check_restore_login(
        &self,
        database: &SourceSettings,
        cancel: &Cancel,
    ) -> Result<Option<Finding>> {
        let (name, is_own) = (&database.name, database.has_restore_connection());
        match (session(database), restore_session(database), self.tools()) {
            (Ok(backs_up), Ok(restores), Ok(tools)) => {
                test::restore::run(name, &backs_up, &restores, is_own, &tools, cancel)
            }
            (_, Err(error), _) if is_own => {
                let check = Finding::broken(&format!("restore of {name}"), &error);
                Ok(Some(check.as_warning()))
            }
            // told of by the check of the database
            _ => Ok(None),
        }
    }

    fn check_storage(
        &self,
        name: &str,
        users: &[&SourceSettings],
        told: &mut CheckList,
        cancel: &Cancel,
    ) -> Result<()> {
        let storage = match self.storage(name) {
            Ok(storage) => storage,
            Err(error) => return told.add(Finding::broken(&format!("storage {name}"), &error)),
        };
        let storage = storage.as_ref();
        let root = self.local_directory(name);
        // what is empty because nothing has been stored yet need not be listed, nor said to be missing
        let is_new = root.as_ref().is_some_and(|root| !root.exists());
        let (now, mut listed) = (Utc::now(), Vec::new());
        // whether it keeps conditional writes, and whether anything is deleted there
        let mut conditional: Option<(bool, bool)> = None;
        let mut failures: Vec<StorageFailure> = Vec::new();
        for database in users {
            let name = &database.name;
            if let Some(first) = failures.iter_mut().find(|failure| failure.is_of_storage) {
                first.others.push(name.clone());
                continue;
            }
            let directory = root.as_ref().map(|root| root.join(name));
            let deletes = !database.retention.keeps_everything();
            let Probed {
                check,
                failure,
                is_conditional,
            } = test::storage::probe(storage, name, directory.as_deref(), deletes, now, cancel)?;
            if let Some(is_conditional) = is_conditional {
                let (_, deletes_any) = conditional.unwrap_or((true, false));
                conditional = Some((is_conditional, deletes || deletes_any));
            }
            if check.outcome != FindingLevel::Fail {
                if !is_new {
                    listed.push(*database);
                }
                told.add(check)?;
                continue;
            }
            // the directory of each of them stands in what is said of it
            let said = check.what.replace(&storage.locate(name), "");
            match failures.iter_mut().find(|failure| failure.said == said) {
                Some(first) => first.others.push(name.clone()),
                None => failures.push(StorageFailure {
                    check,
                    said,
                    is_of_storage: failure == Some(Kind::Unavailable),
                    others: Vec::new(),
                }),
            }
        }
        told.all(failures.into_iter().map(StorageFailure::once))?;
        told.all(test::storage::clock(storage, cancel)?)?;
        told.all(conditional.map(|(is_conditional, deletes)| {
            test::storage::conditional(storage, is_conditional, deletes)
        }))?;

        let mut needed = 0;
        let mut archives = Vec::new();
        for database in listed {
            match listing_of(storage, Some(&database.name), cancel) {
                Ok(listing) => {
                    let entries = listing.entries();
                    needed += entries.last().map_or(0, |newest| newest.bytes);
                    archives.extend(self.check_archives(database, storage, &entries, cancel)?);
                }
                Err(error) => {
                    cancel.check()?;
                    told.add(Finding::broken(&format!("storage {name}"), &error))?;
                }
            }
        }
        told.all(test::storage::room(storage, needed))?;
        told.all(archives)
    }

    /// The directory of a storage that is one.
    fn local_directory(&self, name: &str) -> Option<PathBuf> {
        let storage = self.config.storage(name).ok()?;
        std::path::absolute(storage.directory(&process_env).ok()??).ok()
    }

    fn check_archives(
        &self,
        database: &SourceSettings,
        storage: &dyn Storage,
        entries: &[Entry],
        cancel: &Cancel,
    ) -> Result<Vec<Finding>> {
        let name = &database.name;
        let encryption = &database.backup.encryption;
        let Some(current) = encryption.open_passwords(&process_env).next() else {
            return Ok(Vec::new());
        };
        let latest = Reference::Latest {
            database: Some(name.clone()),
            by: None,
        };
        let keys = current.and_then(|current| {
            let current = Keys::new(vec![current], Arc::clone(&self.derivations))?;
            Ok((self.keys_for(name, &latest)?, current))
        });
        match keys {
            Ok((all, current)) => {
                test::encryption::archives(name, storage, entries, &all, &current, cancel)
            }
            // one that seals has been told of
            Err(_) if encryption.enabled => Ok(Vec::new()),
            Err(error) => Ok(vec![
                Finding::broken(&format!("encryption of {name}"), &error).as_warning(),
            ]),
        }
    }

    /// Really tells the route, which says so in what it tells. One that has an address for each database is told for each.
    fn send(
        &self,
        subject: &str,
        route: &Notification,
        databases: &[&SourceSettings],
        cancel: &Cancel,
    ) -> Result<Finding> {
        let names: Vec<&str> = match notify::is_per_database(route, &process_env) {
            true => databases.iter().map(|known| known.name.as_str()).collect(),
            // the name of none, so that no receiver counts this as a backup
            false => vec![NO_DATABASE],
        };
        for name in &names {
            let event = Event::new(notify::EventKind::Test, name, Utc::now(), Duration::ZERO);
            let limited = cancel.with_deadline(SENDING);
            let sent = notify::send(route, &event, &process_env, &limited);
            cancel.check()?;
            if let Err(error) = sent {
                let error = match *name {
                    NO_DATABASE => error,
                    name => error.doing(format!("for {name}")),
                };
                return Ok(Finding::broken(subject, &error)
                    .or_fix("see that the address is right, and what the receiver says of it"));
            }
        }
        Ok(Finding::ok(
            subject,
            match names.as_slice() {
                [NO_DATABASE] => "sent".to_string(),
                names => format!("sent for {}", names.join(", ")),
            },
        ))
    }

    fn check_route(&self, index: usize, route: &Notification) -> Finding {
        let (kind, ca_file) = match &route.route {
            Route::Webhook(keys) => (
                "webhook",
                keys.resolve(&process_env).map(|webhook| webhook.ca_file),
            ),
            Route::Email(keys) => (
                "email",
                keys.resolve(&process_env).map(|email| email.ca_file),
            ),
        };
        let resolved = ca_file.and_then(|ca_file| match ca_file {
            Some(path) => http::certificates(&path).map(|_| ()),
            None => Ok(()),
        });
        let subject = format!("notification {} ({kind})", index + 1);
        match resolved {
            Ok(()) => Finding::ok(
                &subject,
                "all of its settings are known; --send really sends",
            ),
            // which turns the route off and no backup into a failure
            Err(error) => Finding::broken(&subject, &error).as_warning(),
        }
    }
}

/// Why one database cannot be kept on a storage, and others not either.
struct StorageFailure {
    check: Finding,
    /// The reason, without the database's directory.
    said: String,
    /// It is the storage that is down.
    is_of_storage: bool,
    /// The other databases.
    others: Vec<String>,
}

impl StorageFailure {
    /// The reason, said once for all of them.
    fn once(mut self) -> Finding {
        if !self.others.is_empty() {
            let others = self.others.join(", ");
            self.check
                .what
                .push_str(&format!("; the same for {others}"));
        }
        self.check
    }
}

fn check_base_backups(
    app: &App,
    cluster: &SourceSettings,
    base: &BaseBackupSettings,
    cancel: &Cancel,
) -> Result<Vec<Finding>> {
    let name = &cluster.name;
    match (session(cluster), app.tools()) {
        (Ok(session), Ok(tools)) => {
            let command = archive_command(&app.path, name)?;
            let wanted = test::cluster::WantedOfCluster {
                incremental: base.incremental.is_some(),
                archive_command: base.wal.archive.then_some(command.as_str()),
            };
            test::cluster::run(name, &session, &tools, &wanted, cancel)
        }
        (Err(error), _) | (_, Err(error)) => {
            Ok(vec![Finding::broken(&format!("cluster {name}"), &error)])
        }
    }
}

/// Whether anybody obeys the schedules of `databases` in the configuration at `path`.
fn check_keeper(databases: &[&SourceSettings], path: &Path) -> Option<Finding> {
    let subject = "daemon";
    let scheduled = |database: &&&SourceSettings| {
        let schedules = database.backup.schedules(&process_env);
        database.verify.is_some() || schedules.is_ok_and(|schedules| !schedules.are_none())
    };
    databases.iter().find(scheduled)?;
    let start = format!("start it with: {}", unattended::start(path));
    Some(match unattended::keeper(path) {
        Keeper::Daemon(life, true) => {
            Finding::ok(subject, format!("process {} obeys the schedules", life.pid))
        }
        Keeper::Daemon(_, false) => {
            Finding::warn(subject, "it was killed, so nothing obeys the schedules").fix(start)
        }
        Keeper::Timer => Finding::ok(
            subject,
            "none runs; backupkit-backup.timer makes the backups, at times of its own",
        ),
        Keeper::Nobody => Finding::warn(
            subject,
            "none runs on this machine for this configuration, so nothing obeys the schedules",
        )
        .fix(format!(
            "{start}; where cron calls backupkit backup, leave the schedules out"
        )),
        Keeper::Unknown => return None,
    })
}

/// The next runs, and whether `max_age` allows the time between them.
fn check_schedule(database: &SourceSettings) -> Finding {
    let subject = format!("schedule of {}", database.name);
    let schedules = match database.backup.schedules(&process_env) {
        Ok(schedules) if schedules.are_none() => {
            return Finding::ok(
                &subject,
                "none: backups are made when somebody asks for one",
            );
        }
        Ok(schedules) => schedules,
        Err(error) => return Finding::broken(&subject, &error),
    };
    let mut runs = vec![Utc::now()];
    for _ in 0..3 {
        let last = runs[runs.len() - 1];
        runs.extend(schedules.next_after(last));
    }
    runs.remove(0);
    let shown: Vec<String> = runs.iter().map(|run| rfc3339::second(*run)).collect();
    let what = format!("next runs {}", shown.join(", "));
    let longest = runs.windows(2).map(|pair| pair[1] - pair[0]).max();
    let longest = longest.and_then(|gap| gap.to_std().ok());
    match (database.max_age, longest) {
        (Some(limit), Some(gap)) if limit < gap => Finding::warn(
            &subject,
            format!("{what}, which are further apart than max_age allows"),
        )
        .fix("let max_age be longer than the time between two runs, with room for the run itself"),
        _ => Finding::ok(&subject, what),
    }
}
