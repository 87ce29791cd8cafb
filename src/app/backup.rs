//! `backup`: what each database's run is made of, and what is said of it.

use super::compose::{codec_options, session};
use super::context::App;
use super::failure_here::FailedTask;
use super::missing_copies::missing_copies;
use super::overall_status::overall;
use crate::cancel::Cancel;
use crate::cause::FailureCause;
use crate::cli;
use crate::config::{
    BackupMethod, BaseBackupSettings, Checkpoint, DumpSettings, SourceSettings, process_env,
};
use crate::error::{Error, Kind, Result};
use crate::format::codec::zstd;
use crate::format::seal::Keys;
use crate::notify;
use crate::operation::backup::{self, BackupTime, StoredBackup};
use crate::operation::base_backup::{self, BaseJob, BaseType};
use crate::operation::prune::outcome::PruneOutcome;
use crate::output;
use crate::postgres::replication::CheckpointSpeed;
use crate::repository::hold::Holds;
use crate::repository::reference::Reference;
use crate::source::logical::dump_job::DumpJob;
use chrono::{DateTime, Utc};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How the run for one database ended, its retention included.
pub(super) struct BackupRun<'a> {
    pub database: &'a SourceSettings,
    pub result: Result<StoredBackup>,
    /// What retention did on the storage of each copy, where it did anything.
    pub retention: Vec<Option<PruneOutcome<'a>>>,
    pub started_at: DateTime<Utc>,
    pub took: Duration,
}

impl BackupRun<'_> {
    /// True where there is a backup on all of its storages.
    pub(super) fn is_well(&self) -> bool {
        self.result.as_ref().is_ok_and(StoredBackup::is_everywhere)
    }
}

impl App {
    pub(super) fn backup(&self, options: &cli::BackupArgs, cancel: &Cancel) -> Result<()> {
        let sources = self.backed_up(options)?;
        let base = options.r#type.unwrap_or(BaseType::Full);
        let began = Instant::now();
        let (mut statuses, mut ok, mut failed, mut missing, mut bytes) = (Vec::new(), 0, 0, 0, 0);
        // a stdout that cannot be written to must not stop the backups
        let mut printed = Ok(());
        let look = output::Look::of_stdout();
        for database in sources {
            self.notify_start(notify::EventKind::Backup, &database.name, cancel);
            let ended = self.back_up(database, base, options.lock_wait, by_hand(), cancel);
            let ending = match ended.is_well() {
                true => self.unended_failure(database),
                false => None,
            };
            let recovered = ending.is_some();
            let event = notify::Event {
                recovered,
                ..ended.event()
            };
            let name = &ended.database.name;
            printed = printed.and(match options.json {
                true => {
                    let retention = &ended.retention;
                    output::json(&output::backup_json(
                        name,
                        &ended.result,
                        retention,
                        ended.took,
                    ))
                }
                false if options.quiet => Ok(()),
                false => output::shown(&output::backup_text(name, &ended.result, ended.took, look)),
            });
            let mut stopped = None;
            match ended.result {
                Ok(stored) => {
                    ok += 1;
                    bytes += stored.manifest.bytes();
                    for _ in 0..tell_concerns(name, &stored) {
                        missing += 1;
                        statuses.push(Kind::Partial);
                    }
                }
                Err(error) => {
                    failed += 1;
                    let error = error.doing(format!("cannot back up {name}"));
                    log::error!("{}", error.report());
                    statuses.push(error.kind());
                    stopped = error.ends_the_run().then_some(error);
                }
            }
            if self.notify(&event)
                && let Some(failure) = ending
            {
                self.end_failure(database, failure);
            }
            // a signal ends the run, not only the database it hit, and is told of once
            if let Some(error) = stopped {
                if options.json {
                    output::json(&output::error_line(&error))?;
                }
                return Err(Error::already_told(error.kind()));
            }
            cancel.check()?;
        }
        if options.json {
            let summary = output::backup_summary(ok, failed, missing, bytes, began.elapsed());
            printed = printed.and(output::json(&summary));
        }
        match overall(ok, &statuses) {
            Some(kind) => Err(Error::already_told(kind)),
            None => printed,
        }
    }

    /// What the command is about: all that is named, else all that is configured, and with a type all clusters.
    fn backed_up(&self, options: &cli::BackupArgs) -> Result<Vec<&SourceSettings>> {
        let mut sources = self.chosen(&options.db)?;
        let Some(base) = options.r#type else {
            return Ok(sources);
        };
        if options.db.is_empty() {
            sources.retain(|source| source.backup.base().is_some());
        }
        match sources.iter().find(|one| one.backup.base().is_none()) {
            Some(dumped) => Err(Error::usage(format!(
                "--type {base} is for clusters, and {} is a database",
                dumped.name
            ))
            .hint("leave it out: a dump is always of the whole database")),
            None if sources.is_empty() => Err(Error::usage(format!(
                "--type {base} is for clusters, and none is configured"
            ))
            .hint("man 5 backupkit.yaml shows clusters: below CLUSTERS")),
            None => Ok(sources),
        }
    }

    /// Backs one database or cluster up and prunes what its retention does not keep: one run, no matter who asked for it.
    /// `base` is what is made of a cluster.
    pub(super) fn back_up<'a>(
        &self,
        database: &'a SourceSettings,
        base: BaseType,
        lock_wait: Duration,
        time: BackupTime,
        cancel: &Cancel,
    ) -> BackupRun<'a> {
        let (started_at, began) = (Utc::now(), Instant::now());
        let claim = time.claim;
        let mut result = match &database.backup.method {
            BackupMethod::Dump(dump) => {
                self.dump_and_store(database, dump, false, lock_wait, time, cancel)
            }
            BackupMethod::Base(settings) => {
                self.store_base(database, settings, base, lock_wait, time, cancel)
            }
        };
        let took = began.elapsed();
        let retention = match &mut result {
            Ok(stored) => {
                self.forget_failure_here(FailedTask::Backup, &database.name);
                if let Err(error) = missing_copies(stored) {
                    self.record_failure(database, &error, started_at, claim);
                }
                // before retention takes away what there is to compare with
                let concerns = self.concerns(database, stored, cancel);
                stored.warnings.extend(concerns);
                let retention = self.prune_after_backup(database, stored, lock_wait, cancel);
                // who is told takes its time, which no other run has to wait for
                stored.holds = Holds::default();
                retention
            }
            // another daemon makes it
            Err(error) if error.cause() == Some(FailureCause::MinuteTaken) => Vec::new(),
            Err(error) => {
                self.record_failure(database, error, started_at, claim);
                Vec::new()
            }
        };
        // what is stored is stored, and the run failed all the same
        let failure = result
            .as_mut()
            .ok()
            .and_then(|stored| stored.failure.take());
        if let Some(error) = failure {
            if let Ok(stored) = &result {
                tell_concerns(&database.name, stored);
            }
            self.record_failure(database, &error, started_at, claim);
            result = Err(error);
        }
        BackupRun {
            database,
            result,
            retention,
            started_at,
            took,
        }
    }

    pub(super) fn dump_and_store(
        &self,
        database: &SourceSettings,
        dump: &DumpSettings,
        before_restore: bool,
        lock_wait: Duration,
        time: BackupTime,
        cancel: &Cancel,
    ) -> Result<StoredBackup> {
        let places = self.targets(&database.backup.storage);
        let dump_options = dump.options(&process_env)?;
        let keys = self.sealing_keys(database)?;
        let job = DumpJob {
            database: database.name.clone(),
            session: session(database)?,
            codec: codec_options(database.backup.compression, zstd::DUMP_LEVEL)?,
            keys,
            partial: dump_options.is_partial(),
            before_restore,
            options: dump_options.args,
            globals: dump.globals,
            lock_timeout: dump.lock_timeout,
            lock_wait,
        };
        backup::run(
            &job,
            places,
            self.expected(&database.name),
            &self.tools()?,
            time,
            cancel,
        )
    }

    fn store_base(
        &self,
        cluster: &SourceSettings,
        settings: &BaseBackupSettings,
        base: BaseType,
        lock_wait: Duration,
        time: BackupTime,
        cancel: &Cancel,
    ) -> Result<StoredBackup> {
        let reading = || {
            let latest = Reference::Latest {
                database: None,
                by: None,
            };
            self.keys_for(&cluster.name, &latest)
        };
        let job = BaseJob {
            cluster: cluster.name.clone(),
            session: session(cluster)?,
            codec: codec_options(cluster.backup.compression, zstd::FILES_LEVEL)?,
            keys: self.sealing_keys(cluster)?,
            reading: &reading,
            base,
            max_chain: settings.incremental.as_ref().map(|one| one.max_chain),
            checkpoint: match settings.checkpoint {
                Checkpoint::Fast => CheckpointSpeed::Fast,
                Checkpoint::Spread => CheckpointSpeed::Spread,
            },
            max_rate: settings.max_rate,
            lock_wait,
        };
        let places = self.targets(&cluster.backup.storage);
        let expected = self.expected(&cluster.name);
        base_backup::run(&job, places, expected, &self.tools()?, time, cancel)
    }

    /// What seals new backups, where they are sealed.
    fn sealing_keys(&self, source: &SourceSettings) -> Result<Option<Keys>> {
        let password = source.backup.encryption.seal_password(&process_env)?;
        password
            .map(|password| Keys::new(vec![password], Arc::clone(&self.derivations)))
            .transpose()
    }
}

/// A backup that someone makes now.
pub(super) fn by_hand() -> BackupTime<'static> {
    BackupTime {
        claim: None,
        begins: &|| {},
        now: &Utc::now,
    }
}

/// Says what should be looked at, and which copies are missing; returns how many.
pub(super) fn tell_concerns(name: &str, stored: &StoredBackup) -> usize {
    for warning in &stored.warnings {
        log::warn!("{name}: {warning}");
    }
    let mut missing = 0;
    for copy in &stored.copies {
        if let Err(error) = &copy.result {
            let (storage, why) = (&copy.storage, error.report());
            log::error!("the backup of {name} is not on the storage {storage}: {why}");
            missing += 1;
        }
    }
    missing
}
