//! `wal-push` and `wal-fetch`: what a server runs for each file of WAL.

use super::compose::{codec_options, session};
use super::context::App;
use super::limit;
use crate::cancel::Cancel;
use crate::cli;
use crate::config::{BackupMethod, BaseBackupSettings, SourceSettings, process_env};
use crate::error::{Doing, Error, Kind, Result};
use crate::format::codec::{self, CodecOptions, zstd};
use crate::format::seal::Keys;
use crate::operation::test::{self, Finding};
use crate::operation::wal_fetch::{self, Fetched, WalFetch};
use crate::operation::wal_push::{self, WalPush};
use crate::postgres::wal_file::WalFile;
use crate::repository::epoch_keys::EpochKeys;
use crate::repository::host_state::HostState;
use crate::repository::places::Place;
use crate::repository::wal_archive::OpenWal;
use crate::source::physical::control;
use crate::storage::Storage;
use crate::text::shell::word;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// So long a file is looked for while a later one is there.
const PATIENCE: Duration = Duration::from_secs(30);
/// So long a fetch may take: a recovery waits for nothing else.
const FETCH_LIMIT: Duration = Duration::from_secs(600);

impl App {
    /// Archives one file.
    pub(super) fn wal_push(&self, options: &cli::WalPushArgs, cancel: &Cancel) -> Result<()> {
        let (source, base) = self.cluster(options.db.as_deref())?;
        let cancel = cancel.with_deadline(limit::end_after(base.wal.timeout, 1)?);
        let places = self.targets(&source.backup.storage);
        let encryption = &source.backup.encryption;
        let passwords = match encryption.seal_password(&process_env)? {
            Some(current) => {
                // an epoch key may be sealed under an earlier one still
                let earlier = encryption.open_passwords(&process_env).skip(1).flatten();
                let passwords = std::iter::once(current).chain(earlier).collect();
                Some(Keys::new(passwords, Arc::clone(&self.derivations))?)
            }
            None => None,
        };
        let keys = || self.wal_keys(source, &places, &cancel);
        let push = WalPush {
            cluster: &source.name,
            path: &options.path,
            required: &base.wal.require,
            open: OpenWal {
                keys: &keys,
                sealed_only: passwords.is_some(),
            },
            passwords,
            codec: match codec_options(source.backup.compression, zstd::FILES_LEVEL)? {
                // some layer has to tell when a byte of it has changed
                CodecOptions::None if !source.backup.encryption.enabled => {
                    CodecOptions::Zstd(zstd::FILES_LEVEL)
                }
                configured => configured,
            },
            threads: codec::threads(),
            parallel: base.wal.parallel,
            state: HostState::of(&source.name),
            places: &places,
        };
        wal_push::run(push, &cancel)
    }

    /// Delivers one file; false where there is none, nor anything that comes after it.
    pub(super) fn wal_fetch(&self, options: &cli::WalFetchArgs, cancel: &Cancel) -> Result<bool> {
        let (source, _) = self.cluster(options.db.as_deref())?;
        let cancel = cancel.with_deadline(limit::end_after(FETCH_LIMIT, 201)?);
        let file = WalFile::parse(&options.file).ok_or_else(|| {
            Error::usage(format!(
                "{:?} is no file that a server archives",
                options.file
            ))
            .hint("give it what the server gives: restore_command = '… wal-fetch … \"%f\" \"%p\"'")
        })?;
        let system_identifier = match options.system_identifier {
            Some(identifier) => identifier,
            None => control::system_identifier(Path::new("."))?.ok_or_else(|| {
                Error::usage("this is no data directory, so it is not known of which cluster WAL is wanted")
                    .hint("run it in the data directory, as restore_command does, or name it: --system-identifier ID")
            })?,
        };
        let places = self.targets(&source.backup.storage);
        let keys = || self.wal_keys(source, &places, &cancel);
        let fetch = WalFetch {
            cluster: &source.name,
            system_identifier,
            file,
            target: &options.target,
            timeline: options.timeline,
            open: OpenWal {
                keys: &keys,
                sealed_only: source.backup.encryption.enabled,
            },
            places: &places,
            patience: PATIENCE,
        };
        match wal_fetch::run(&fetch, &cancel) {
            Ok(fetched) => Ok(fetched == Fetched::Delivered),
            // a standby asks again, and follows its primary meanwhile
            Err(error) if !options.strict && is_standby() && is_of_moment(&error) => {
                crate::logging::tell_failure(&error.report());
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Has every storage of `source` take the WAL of the cluster that its server has now.
    pub(super) fn accept_new_system(
        &self,
        source: &SourceSettings,
        cancel: &Cancel,
    ) -> Result<Vec<Finding>> {
        if !matches!(source.backup.method, BackupMethod::Base(_)) {
            return Ok(Vec::new());
        }
        let subject = format!("WAL of {}", source.name);
        let accept = || {
            let identifier = test::cluster::system_identifier(&session(source)?, cancel)?;
            let mut accepted = Vec::new();
            for place in self.targets(&source.backup.storage) {
                let storage = place.storage?;
                let name = &source.name;
                accepted.extend(test::archiving::accept(
                    name,
                    identifier,
                    storage.as_ref(),
                    cancel,
                )?);
            }
            Ok(accepted)
        };
        match accept() {
            Err(error @ Error { .. }) if !error.ends_the_run() => {
                Ok(vec![Finding::broken(&subject, &error)])
            }
            accepted => accepted,
        }
    }

    /// The cluster of this name, or the only one.
    fn cluster(&self, name: Option<&str>) -> Result<(&SourceSettings, &BaseBackupSettings)> {
        let of = |source: &'_ SourceSettings| match &source.backup.method {
            BackupMethod::Base(_) => true,
            BackupMethod::Dump(_) => false,
        };
        let source = match name {
            Some(name) => self.config.source(name)?,
            None => {
                let mut clusters = self.config.sources.iter().filter(|source| of(source));
                match (clusters.next(), clusters.next()) {
                    (Some(only), None) => only,
                    (None, _) => return Err(no_cluster("no cluster is configured")),
                    _ => {
                        return Err(Error::usage("several clusters are configured")
                            .hint("name the one that is meant: --name NAME"));
                    }
                }
            }
        };
        match &source.backup.method {
            BackupMethod::Base(base) => Ok((source, base)),
            BackupMethod::Dump(_) => Err(no_cluster(&format!("{} is a database", source.name))),
        }
    }

    /// What may open WAL of `source`: its passwords, and the epoch keys on its storages.
    pub(super) fn wal_keys(
        &self,
        source: &SourceSettings,
        places: &[Place],
        cancel: &Cancel,
    ) -> Result<Keys> {
        let mut passwords = Vec::new();
        let mut lacking = Vec::new();
        for password in source.backup.encryption.open_passwords(&process_env) {
            match password {
                Ok(password) => passwords.push(password),
                Err(error) => lacking.push(error.chain()),
            }
        }
        let keys = Keys::new(passwords, Arc::clone(&self.derivations))?.lacking(lacking);
        let epochs = EpochKeys::new(&source.name, HostState::of(&source.name));
        let storages = places
            .iter()
            .filter_map(|place| place.storage.as_ref().ok());
        let storages: Vec<Arc<dyn Storage>> = storages.map(Arc::clone).collect();
        let (passwords, cancel) = (keys.clone(), cancel.clone());
        let find = move |id| epochs.find(id, &storages, &passwords, &cancel);
        Ok(keys.finding_epochs(Arc::new(find)))
    }
}

/// What the server runs for each file of WAL of `cluster`, as it is written into its configuration.
pub(super) fn archive_command(configuration: &Path, cluster: &str) -> Result<String> {
    let program = std::env::current_exe().doing(|| "cannot find out where this program is")?;
    let configuration = std::path::absolute(configuration)
        .doing(|| format!("cannot find {}", configuration.display()))?;
    Ok(format!(
        "{} wal-push -c {} --name {} \"%p\"",
        for_server(&program.display().to_string()),
        for_server(&configuration.display().to_string()),
        for_server(cluster)
    ))
}

/// A word for a shell in a setting of the server, which reads a percent sign for itself.
pub(super) fn for_server(text: &str) -> String {
    word(text).replace('%', "%%")
}

fn no_cluster(what: &str) -> Error {
    Error::usage(what).hint("WAL is archived of what stands under clusters:")
}

/// True where the server that asks is a standby, which never begins to serve by itself.
fn is_standby() -> bool {
    Path::new("standby.signal").exists()
}

/// True for what may be otherwise when it is asked again.
fn is_of_moment(error: &Error) -> bool {
    matches!(
        error.kind(),
        Kind::Refused | Kind::Damaged | Kind::WrongPassword | Kind::Unavailable | Kind::Failed
    )
}
