//! The composition root: configuration to storages, keys and tools, and those to one operation.

mod retention;

use crate::cancel::Cancel;
use crate::catalog::name::Shape;
use crate::cli::{self, Command};
use crate::config::{self, Compression, Config, Database, S3Keys, StorageKind, process_env};
use crate::error::{Error, Kind, Result};
use crate::operation::backup::{self, Job, Stored};
use crate::operation::find::{self, Place};
use crate::operation::list::Holding;
use crate::operation::open::Rules;
use crate::operation::restore::{self, Target};
use crate::operation::select::{Meant, Reference, Selected};
use crate::operation::{cat, list};
use crate::output::{self, Stdout};
use crate::postgres::restore::Options;
use crate::postgres::session::Session;
use crate::postgres::tools::Tools;
use crate::secret::Secret;
use crate::storage::Storage;
use crate::storage::local::Local;
use crate::storage::s3::{S3, Settings};
use crate::stream::gzip::Level;
use crate::stream::seal::{Derivations, Keys};
use chrono::Utc;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Instant;

/// Carries one command out.
pub fn run(command: &Command, cancel: &Cancel) -> Result<()> {
    let path = config::find(command.config().map(|path| path.as_path()), &process_env);
    let config = Config::load(&path, &process_env)?;
    for warning in &config.warnings {
        log::warn!("{warning}");
    }
    let app = App {
        config,
        derivations: Derivations::new(),
    };
    match command {
        Command::Backup(options) => app.backup(options, cancel),
        Command::Restore(options) => app.restore(options, cancel),
        Command::List(options) => app.list(options, cancel),
        Command::Cat(options) => app.cat(options, cancel),
        Command::Prune(options) => app.prune(options, cancel),
        Command::Pin(options) => app.pin(&options.into(), cancel),
        Command::Unpin(options) => app.pin(&options.into(), cancel),
    }
}

struct App {
    config: Config,
    derivations: Arc<Derivations>,
}

impl App {
    fn backup(&self, options: &cli::Backup, cancel: &Cancel) -> Result<()> {
        let databases = self.chosen(&options.db)?;
        let began = Instant::now();
        let (mut statuses, mut ok, mut failed, mut missing, mut bytes) = (Vec::new(), 0, 0, 0, 0);
        // a stdout that cannot be written to must not stop the backups
        let mut printed = Ok(());
        for database in databases {
            let began = Instant::now();
            let result = self.backup_one(database, options, cancel);
            let took = began.elapsed();
            let retention = match &result {
                Ok(stored) => self.prune_after_backup(database, stored, options.lock_wait, cancel),
                Err(_) => Vec::new(),
            };
            let line = if options.json {
                output::backup_json(&database.name, &result, retention, took).to_string()
            } else {
                output::backup_text(&database.name, &result, took)
            };
            printed = printed.and(output::line(&line));
            match result {
                Ok(stored) => {
                    ok += 1;
                    bytes += stored.manifest.archive.bytes;
                    for copy in stored.copies {
                        let Err(error) = copy.result else { continue };
                        let (name, storage) = (&database.name, copy.storage);
                        log::error!(
                            "the backup of {name} is not on the storage {storage}: {}",
                            error.report()
                        );
                        missing += 1;
                        statuses.push(Kind::Partial);
                    }
                }
                Err(error) => {
                    failed += 1;
                    let error = error.doing(format!("cannot back up {}", database.name));
                    log::error!("{}", error.report());
                    statuses.push(error.kind());
                }
            }
            // a signal ends the run, not only the database it hit
            cancel.check()?;
        }
        if options.json {
            let summary = output::backup_summary(ok, failed, missing, bytes, began.elapsed());
            printed = printed.and(output::line(&summary.to_string()));
        }
        match overall(ok, &statuses) {
            Some(kind) => Err(Error::already_told(kind)),
            None => printed,
        }
    }

    fn backup_one(
        &self,
        database: &Database,
        options: &cli::Backup,
        cancel: &Cancel,
    ) -> Result<Stored> {
        let places = self.places(&database.backup.storage);
        let dump_options = database.backup.options(&process_env)?;
        let keys = match database.backup.encryption.seal_password(&process_env)? {
            Some(password) => Some(Keys::new(vec![password], Arc::clone(&self.derivations))?),
            None => None,
        };
        let job = Job {
            database: database.name.clone(),
            session: session(database)?,
            gzip: gzip_level(database.backup.compression)?,
            keys,
            partial: dump_options.is_partial(),
            options: dump_options.args,
            lock_timeout: database.backup.lock_timeout,
            lock_wait: options.lock_wait,
        };
        backup::run(&job, places, &self.tools()?, &Utc::now, cancel)
    }

    fn restore(&self, options: &cli::Restore, cancel: &Cancel) -> Result<()> {
        let began = Instant::now();
        let meant = self.meant(&options.from)?.by(options.at)?;
        let reference = &meant.reference;
        let (source, database) = self.source_and_target(reference, options)?;
        let selected = self.find(&meant, &source, cancel)?;
        let target = Target {
            database: &database.name,
            session: session(database)?,
            lock_timeout: database.backup.lock_timeout,
            options: Options {
                clean: options.clean,
                no_owner: options.no_owner,
                no_privileges: options.no_privileges,
                no_single_transaction: options.no_single_transaction,
            },
            sql_allowed: options.allow_sql_fallback,
        };
        let rules = Rules {
            configured: self.configured_shape(&source),
            unchosen_target: options.db.is_none().then_some(database.name.as_str()),
            strict: options.strict_sniff,
            force: options.force,
        };
        let keys = || self.keys_for(&source, reference);
        let restored = restore::run(&selected, &keys, &rules, &target, &self.tools()?, cancel)?;
        let took = began.elapsed();
        let from = selected.shown();
        output::line(&if options.json {
            output::restore_json(&database.name, &from, &restored, took).to_string()
        } else {
            let took = config::duration::display(took);
            format!(
                "{}\tok\t{}\t{from}\t{took}",
                database.name, restored.plain_bytes
            )
        })
    }

    /// What a backup's name on the command line means with this configuration.
    fn meant(&self, text: &str) -> Result<Meant> {
        let storages = self.config.storages.iter();
        let databases = self.config.databases.iter();
        Meant::parse(
            text,
            &storages.map(|known| &*known.name).collect::<Vec<_>>(),
            &databases.map(|known| &*known.name).collect::<Vec<_>>(),
        )
    }

    fn find(&self, meant: &Meant, source: &str, cancel: &Cancel) -> Result<Selected> {
        let places = self.places(&self.storages_of(source, meant.storage.as_deref()));
        let sealed_only = self.encrypts(source);
        find::find(&meant.reference, source, places, sealed_only, cancel)
    }

    /// The database that the backup is of, and the one to restore into. A backup that names its database goes to
    /// that one; to another only with `--force`.
    fn source_and_target(
        &self,
        reference: &Reference,
        options: &cli::Restore,
    ) -> Result<(String, &Database)> {
        match (reference.database(), &options.db) {
            (Some(named), Some(target)) if named != target && !options.force => Err(
                Error::refused(format!("the backup is of {named}, and --db says {target}"))
                    .hint("add --force if the one is to be restored into the other"),
            ),
            (Some(named), target) => {
                let target = self.config.database(target.as_deref().unwrap_or(named))?;
                Ok((named.to_string(), target))
            }
            (None, target) => {
                let target = self.unnamed(reference, target.as_deref())?;
                Ok((target.name.clone(), target))
            }
        }
    }

    /// The database for a reference that names none: `--db`, else the only one; only a path takes the first.
    fn unnamed(&self, reference: &Reference, chosen: Option<&str>) -> Result<&Database> {
        match (chosen, self.config.databases.as_slice()) {
            (Some(name), _) => self.config.database(name),
            (None, [only]) => Ok(only),
            (None, [first, ..]) if matches!(reference, Reference::Path(_)) => Ok(first),
            (None, [first, ..]) => Err(Error::usage("several databases are configured")
                .hint(format!("name one: {}/latest", first.name))),
            (None, []) => Err(Error::usage("no database is configured")),
        }
    }

    fn list(&self, options: &cli::List, cancel: &Cancel) -> Result<()> {
        let storages = self.config.storages.iter();
        let names: Vec<String> = storages.map(|storage| storage.name.clone()).collect();
        let mut listed = list::run(self.places(&names), &options.db, options.all, cancel)?;
        if let [Holding { total: Err(_), .. }] = listed.storages.as_slice() {
            // the only one: its failure is that of the command
            let only = listed.storages.pop();
            return only.map_or(Ok(()), |only| only.total.map(|_| ()));
        }
        for (storage, error) in listed.failures() {
            log::warn!("cannot list the storage {storage}: {}", error.report());
        }
        if options.json {
            output::line(&output::list_json(&listed).to_string())?;
        } else if !listed.backups.is_empty() {
            output::text_out(&output::list_text(&listed, Utc::now()))?;
        }
        let failures: Vec<Kind> = listed.failures().map(|(_, error)| error.kind()).collect();
        if let Some(kind) = overall(listed.storages.len() - failures.len(), &failures) {
            return Err(Error::already_told(kind));
        }
        if listed.backups.is_empty() {
            log::info!("there are no backups yet");
        }
        if listed.older > 0 {
            let older = listed.older;
            log::info!("{older} older backups are not shown; see them with: backupkit list --all");
        }
        // a name that is neither configured nor on storage is a mistake, not an empty result
        for name in &options.db {
            let mut backups = listed.backups.iter();
            if !backups.any(|backup| backup.entry().id.database == *name) {
                self.config.database(name)?;
            }
        }
        Ok(())
    }

    fn cat(&self, options: &cli::Cat, cancel: &Cancel) -> Result<()> {
        if io::stdout().is_terminal() {
            return Err(Error::usage("a dump is nothing for a terminal")
                .hint("pipe it, such as into pg_restore --list, or redirect it into a file"));
        }
        let meant = self.meant(&options.backup)?.by(options.at)?;
        let reference = &meant.reference;
        let source = match reference.database() {
            Some(named) => named.to_string(),
            None => self.unnamed(reference, options.db.as_deref())?.name.clone(),
        };
        let selected = self.find(&meant, &source, cancel)?;
        let rules = Rules {
            configured: self.configured_shape(&source),
            unchosen_target: None,
            strict: options.strict_sniff,
            force: options.force,
        };
        let keys = || self.keys_for(&source, reference);
        let mut target = Stdout::new(cancel)?;
        match cat::run(&selected, &keys, &rules, &mut target, cancel) {
            Err(_) if target.is_closed() => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// The databases named, or all.
    fn chosen(&self, names: &[String]) -> Result<Vec<&Database>> {
        if names.is_empty() {
            return Ok(self.config.databases.iter().collect());
        }
        let mut chosen: Vec<&Database> = Vec::new();
        for name in names {
            let database = self.config.database(name)?;
            if !chosen.iter().any(|known| known.name == database.name) {
                chosen.push(database);
            }
        }
        Ok(chosen)
    }

    fn storage(&self, name: &str) -> Result<Box<dyn Storage>> {
        let storage = self.config.storage(name)?;
        match &storage.kind {
            StorageKind::Local(keys) => Ok(Box::new(Local::new(name, keys.path(&process_env)?)?)),
            StorageKind::S3(keys) => Ok(Box::new(S3::new(s3_settings(name, keys)?)?)),
        }
    }

    /// The names of the storages to look for backups of `database` on: `only` that one, else its own, or all where
    /// it is not configured.
    fn storages_of(&self, database: &str, only: Option<&str>) -> Vec<String> {
        match (only, self.config.database(database)) {
            (Some(only), _) => vec![only.to_string()],
            (None, Ok(database)) => database.backup.storage.clone(),
            (None, Err(_)) => {
                let storages = self.config.storages.iter();
                storages.map(|storage| storage.name.clone()).collect()
            }
        }
    }

    /// The storages of these names, each usable or not by itself.
    fn places(&self, names: &[String]) -> Vec<Place> {
        let place = |name: &String| Place {
            name: name.clone(),
            storage: self.storage(name),
        };
        names.iter().map(place).collect()
    }

    fn tools(&self) -> Result<Tools> {
        Ok(Tools::new(self.config.bin_dir(&process_env)?))
    }

    fn encrypts(&self, database: &str) -> bool {
        self.config
            .database(database)
            .is_ok_and(|database| database.backup.encryption.enabled)
    }

    /// What backups of `database` look like by the configuration.
    fn configured_shape(&self, database: &str) -> Option<Shape> {
        let database = self.config.database(database).ok()?;
        let gzip = database.backup.compression != Compression::ByPgDump;
        Some(Shape::new(gzip, database.backup.encryption.enabled))
    }

    /// The passwords that may open a backup of `database`: its own, the current one first. For a file, which may be
    /// anybody's, and for a name that is not configured, those of the other databases too.
    fn keys_for(&self, database: &str, reference: &Reference) -> Result<Keys> {
        let own = |known: &&Database| known.name == database;
        let mut databases: Vec<&Database> = self.config.databases.iter().filter(own).collect();
        if databases.is_empty() || matches!(reference, Reference::Path(_)) {
            databases.extend(self.config.databases.iter().filter(|known| !own(known)));
        }
        let mut passwords: Vec<Secret> = Vec::new();
        let mut missing = None;
        for database in databases {
            for password in database.backup.encryption.open_passwords(&process_env) {
                match password {
                    Ok(password) if !passwords.contains(&password) => passwords.push(password),
                    Ok(_) => {}
                    Err(error) => missing = missing.or(Some(error)),
                }
            }
        }
        match missing {
            Some(error) if passwords.is_empty() => Err(error),
            _ => Keys::new(passwords, Arc::clone(&self.derivations)),
        }
    }
}

/// The status of a run: none failed, some of several did, or all did; of a single one, its own.
fn overall(ok: usize, failures: &[Kind]) -> Option<Kind> {
    match (ok, failures) {
        (_, []) => None,
        (0, [only]) => Some(*only),
        (0, _) => Some(Kind::Failed),
        _ => Some(Kind::Partial),
    }
}

fn session(database: &Database) -> Result<Session> {
    let connection = database.connection.resolve(&process_env)?;
    let shown = if connection.host.starts_with('/') {
        format!("{}/{}", connection.host, connection.database)
    } else {
        format!(
            "{}:{}/{}",
            connection.host, connection.port, connection.database
        )
    };
    let mut variables = vec![
        ("PGHOST".to_string(), connection.host),
        ("PGPORT".to_string(), connection.port.to_string()),
        ("PGUSER".to_string(), connection.user),
    ];
    let extra = connection.extra.into_iter();
    variables.extend(extra.map(|(name, value)| (name.to_string(), value)));
    Ok(Session::new(
        variables,
        connection.password,
        connection.database,
        shown,
    ))
}

fn s3_settings(name: &str, keys: &S3Keys) -> Result<Settings> {
    let s3 = keys.resolve(&process_env)?;
    let mut settings = Settings::new(name, s3.bucket, s3.region);
    settings.prefix = s3.prefix;
    settings.endpoint = s3.endpoint;
    settings.path_style = s3.path_style;
    settings.ca_file = s3.ca_file;
    settings.storage_class = s3.storage_class;
    settings.server_side_encryption = s3.server_side_encryption;
    settings.kms_key_id = s3.kms_key_id;
    settings.part_size = s3.part_size;
    if let Some(concurrency) = s3.concurrency {
        settings.concurrency = concurrency as usize;
    }
    if let Some(keys) = s3.keys {
        settings.access_key = Some(keys.access_key);
        settings.secret_key = Some(keys.secret_key);
        settings.session_token = keys.session_token;
    }
    Ok(settings)
}

fn gzip_level(compression: Compression) -> Result<Option<Level>> {
    Ok(match compression {
        Compression::ByPgDump => None,
        Compression::Gzip { level: None } => Some(Level::Adaptive),
        Compression::Gzip { level: Some(level) } => Some(Level::Fixed(level as u8)),
    })
}
