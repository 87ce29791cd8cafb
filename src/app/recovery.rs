//! How a restore of a cluster goes on from its base backup by archived WAL: which backup it begins with, and where it goes.

use super::context::App;
use super::reference::NamedBackup;
use super::wal::for_server;
use crate::cancel::Cancel;
use crate::cli;
use crate::config::{BackupMethod, SourceSettings};
use crate::error::{Doing, Error, Result};
use crate::files::permitted::Visitor;
use crate::operation::base_restore::recovery::{self, Recovery, RecoveryRequest, RecoveryTarget};
use crate::postgres::replication::Lsn;
use crate::process::account::Account;
use crate::repository::Repository;
use crate::repository::located::Located;
use crate::repository::manifest::{ClusterFacts, Manifest};
use crate::repository::reference::Reference;
use crate::repository::standing::Purpose;
use crate::repository::wal_archive::OpenWal;
use crate::storage::Storage;
use crate::text::rfc3339;
use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use std::path::Path;
use std::sync::Arc;

impl App {
    /// The backup that a restore of the cluster `named` begins with, and where it goes from there; `None` where that is nowhere.
    pub(super) fn recovery(
        &self,
        options: &cli::RestoreArgs,
        named: &NamedBackup,
        selected: Located,
        cancel: &Cancel,
    ) -> Result<(Located, Option<Recovery>)> {
        let target = target(options, &named.reference)?;
        let source = self.archiving(&named.database);
        let (Some(source), Some(target), false) = (source, target, options.standby) else {
            return match options.recovery_options().first() {
                None => Ok((selected, None)),
                Some(option) if options.standby => Err(Error::usage(format!(
                    "{option} and --standby do not go together"
                ))
                .hint(
                    "a standby follows its primary to wherever that goes; leave one of them out",
                )),
                Some(option) => Err(Error::usage(format!(
                    "{option} wants archived WAL, and none of {} is archived",
                    named.database
                ))
                .hint("archive it from now on: backupkit.yaml(5) says how, under wal")),
            };
        };
        let places = self.places(&source.backup.storage);
        let repository = self.repository(&source.name, &places, cancel)?;
        let is_latest = matches!(named.reference, Reference::Latest { .. });
        let selected = match is_latest {
            true => base_before(&repository, selected, &target, cancel)?,
            false => selected,
        };
        let chain = self.chain_of(&source.name, &selected, cancel)?;
        let last = chain.last().map(|link| &link.link.manifest);
        let base = last.and_then(Manifest::cluster).ok_or_else(|| {
            Error::damaged("the manifest of the backup does not tell where in the WAL it lies")
        })?;
        let targets = self.targets(&source.backup.storage);
        let keys = || self.wal_keys(source, &targets, cancel);
        let mut storages: Vec<Arc<dyn Storage>> = Vec::new();
        for place in &targets {
            match &place.storage {
                Ok(storage) => storages.push(Arc::clone(storage)),
                Err(error) => log::warn!("the storage {}: {}", place.name, error.chain()),
            }
        }
        let program = std::env::current_exe().doing(|| "cannot find out where this program is")?;
        let configuration = std::path::absolute(&self.path)
            .doing(|| format!("cannot find {}", self.path.display()))?;
        if let Some(owner) = &options.owner {
            require_readable(owner, &configuration)?;
        }
        let request = RecoveryRequest {
            cluster: &source.name,
            base,
            target,
            is_exclusive: options.target_exclusive,
            timeline: options.target_timeline,
            storages: &storages,
            open: OpenWal {
                keys: &keys,
                sealed_only: source.backup.encryption.enabled && !options.force,
            },
            restore_command: &|timeline| {
                restore_command(&program, &configuration, &source.name, timeline)
            },
        };
        let recovery = recovery::plan(&request, cancel)?;
        Ok((selected, recovery))
    }

    /// The cluster `name`, where its WAL is archived.
    fn archiving(&self, name: &str) -> Option<&SourceSettings> {
        let source = self.config.source(name).ok()?;
        match &source.backup.method {
            BackupMethod::Base(base) if base.wal.archive => Some(source),
            _ => None,
        }
    }
}

/// What a server runs for each file of WAL, by a shell. What is neither the file nor the knowledge that there is none stops it: also
/// where the program is gone, or too old to know the command.
fn restore_command(program: &Path, configuration: &Path, cluster: &str, timeline: u32) -> String {
    format!(
        "{} wal-fetch -c {} --name {} --timeline {timeline} \"%f\" \"%p\"; s=$?; [ $s -le 1 ] || [ $s -gt 125 ] || s=255; exit $s",
        for_server(&program.display().to_string()),
        for_server(&configuration.display().to_string()),
        for_server(cluster),
    )
}

/// Refuses what the server would fail by: it runs as this user, and gets its WAL by this configuration.
fn require_readable(owner: &str, configuration: &Path) -> Result<()> {
    let account = Account::named(owner)?;
    let visitor = Visitor {
        uid: account.uid,
        groups: account.groups(),
    };
    let barred = visitor
        .barred_from_reading(configuration, false)
        .doing(|| format!("cannot look at {}", configuration.display()))?;
    match barred {
        None => Ok(()),
        Some(place) => Err(Error::usage(format!(
            "the server would get archived WAL by {}, which {owner} may not read: {} is closed",
            configuration.display(),
            place.display()
        ))
        .hint("name a configuration that it may read with -c FILE, or restore the backup alone: --from NAME/TIMESTAMP")),
    }
}

/// Where the options say that it goes; `None` where the backup alone was asked for.
fn target(options: &cli::RestoreArgs, reference: &Reference) -> Result<Option<RecoveryTarget>> {
    let given = options.recovery_options();
    let moment = match reference {
        Reference::Latest { by, .. } => *by,
        _ => None,
    };
    if let [one, other, ..] = given[..] {
        return Err(
            Error::usage(format!("{one} and {other} do not go together"))
                .hint("a recovery has one target"),
        );
    }
    if let (Some(option), Some(_)) = (given.first(), moment) {
        return Err(
            Error::usage(format!("{option} and --at do not go together"))
                .hint("a recovery has one target"),
        );
    }
    let named = options.target_name.clone().map(RecoveryTarget::Named);
    let own = options
        .target_lsn
        .map(RecoveryTarget::Lsn)
        .or(options.target_xid.map(RecoveryTarget::Transaction))
        .or(named)
        .or(options
            .target_immediate
            .then_some(RecoveryTarget::Immediate));
    let is_plain = own.is_none() && moment.is_none();
    if options.target_exclusive && is_plain {
        return Err(Error::usage("--target-exclusive wants a target")
            .hint("name one: --at, --target-lsn, --target-xid"));
    }
    Ok(match (own, moment, reference) {
        (None, None, _) if options.target_timeline.is_some() => Some(RecoveryTarget::End),
        (Some(own), ..) => Some(own),
        (None, Some(moment), _) => Some(RecoveryTarget::Time(moment)),
        (None, None, Reference::Latest { .. }) => Some(RecoveryTarget::End),
        _ => None,
    })
}

/// A day alone is no moment, and stands for its last one elsewhere.
fn require_time_of_day(moment: DateTime<Utc>) -> Result<()> {
    match (moment + TimeDelta::nanoseconds(1)).time() == NaiveTime::MIN {
        false => Ok(()),
        true => Err(
            Error::usage("--at is a whole day, and a recovery goes to a moment")
                .hint(format!("say when: --at {}T12:00Z", moment.date_naive())),
        ),
    }
}

/// The newest backup that ends before `target`, from `selected` on: from there on it is consistent.
fn base_before(
    repository: &Repository,
    selected: Located,
    target: &RecoveryTarget,
    cancel: &Cancel,
) -> Result<Located> {
    if let RecoveryTarget::Time(moment) = target {
        require_time_of_day(*moment)?;
    }
    let ends_before = |facts: &ClusterFacts| match target {
        RecoveryTarget::Time(moment) => facts.stop_time <= *moment,
        RecoveryTarget::Lsn(lsn) => facts.stop_lsn.parse::<Lsn>().is_ok_and(|stop| stop <= *lsn),
        _ => true,
    };
    let Located::Stored { entry, .. } = &selected else {
        return Ok(selected);
    };
    let (mut newest, mut oldest_end) = (entry.id.timestamp, None);
    loop {
        let found = repository.newest(
            Purpose::Restore,
            |id| id.timestamp <= newest,
            &mut Vec::new(),
            cancel,
        )?;
        let Some(found) = found else {
            let of = repository.name();
            let target = match target {
                RecoveryTarget::Time(moment) => rfc3339::millisecond(*moment),
                RecoveryTarget::Lsn(lsn) => lsn.to_string(),
                _ => "it".to_string(),
            };
            let from = oldest_end.map_or(String::new(), |end| {
                format!(": recoverable from {}", rfc3339::millisecond(end))
            });
            return Err(
                Error::refused(format!("no backup of {of} ended before {target}{from}"))
                    .hint("name a later moment"),
            );
        };
        let manifest = repository.manifest(&found.backup, cancel)?;
        let facts = manifest.read().and_then(Manifest::cluster);
        if facts.is_some_and(ends_before) {
            let located = repository.located(&found.copy);
            return located
                .ok_or_else(|| Error::failed("the storage of the backup does not answer"));
        }
        oldest_end = facts.map(|facts| facts.stop_time).or(oldest_end);
        // names are told apart by nanoseconds
        let before = found.backup.id.timestamp.moment() - TimeDelta::nanoseconds(1);
        newest = crate::repository::names::Timestamp::new(before);
    }
}
