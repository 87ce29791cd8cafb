//! What the configuration says, made: storages, keys, tools, sessions.

use super::context::App;
use crate::cancel::Cancel;
use crate::config::{BackupMethod, CompressionSetting, Connection, SourceSettings, process_env};
use crate::error::{Error, Result};
use crate::files::directory::for_large_temporaries;
use crate::format::codec::CodecOptions;
use crate::format::codec::gzip::Level;
use crate::format::encoding::{ArchiveEncoding, Cipher, Codec};
use crate::format::seal::Keys;
use crate::postgres::session::Session;
use crate::postgres::tools::Tools;
use crate::repository::places::{Place, Places};
use crate::repository::reference::Reference;
use crate::repository::source_kind::SourceClass;
use crate::repository::{Expected, Repository};
use crate::secret::Secret;
use crate::source::logical::drill::options::DrillOptions;
use crate::storage::Storage;
use chrono::Utc;
use std::sync::Arc;
use std::time::Duration;

/// Whom a throwaway server runs as, unless the configuration says otherwise: a user who owns no live server, whose files
/// and sockets would be open to what is restored.
const DRILL_USER: &str = "nobody";
/// How long one examination of a restored database may take, unless the configuration says otherwise.
const DRILL_TIMEOUT: Duration = Duration::from_secs(3600);

impl App {
    /// The databases named, or all.
    pub(super) fn chosen(&self, names: &[String]) -> Result<Vec<&SourceSettings>> {
        if names.is_empty() {
            return Ok(self.config.sources.iter().collect());
        }
        let mut chosen: Vec<&SourceSettings> = Vec::new();
        for name in names {
            let database = self.config.source(name)?;
            if !chosen.iter().any(|known| known.name == database.name) {
                chosen.push(database);
            }
        }
        Ok(chosen)
    }

    pub(super) fn storage(&self, name: &str) -> Result<Box<dyn Storage>> {
        self.config.storage(name)?.open(&process_env)
    }

    /// The names of the storages to look for backups of `database` on: `only` that one, else its own, or all where
    /// it is not configured.
    pub(super) fn storages_of(&self, database: &str, only: Option<&str>) -> Vec<String> {
        match (only, self.config.source(database)) {
            (Some(only), _) => vec![only.to_string()],
            (None, Ok(database)) => database.backup.storage.clone(),
            (None, Err(_)) => {
                let storages = self.config.storages.iter();
                storages.map(|storage| storage.name.clone()).collect()
            }
        }
    }

    /// The storages of these names, each usable or not by itself, to be written to.
    pub(super) fn targets(&self, names: &[String]) -> Vec<Place> {
        let place = |name: &String| Place {
            name: name.clone(),
            storage: self.storage(name).map(Arc::from),
        };
        names.iter().map(place).collect()
    }

    /// The storages of these names, each usable or not by itself, to be read from.
    pub(super) fn places(&self, names: &[String]) -> Places {
        Places::new(self.targets(names))
    }

    /// What the configuration makes of `database`, as far as it decides which backups count.
    pub(super) fn expected(&self, database: &str) -> Expected {
        let Ok(configured) = self.config.source(database) else {
            return Expected::default();
        };
        let (class, partial) = match &configured.backup.method {
            BackupMethod::Dump(dump) => {
                // options that cannot be resolved make no backup either, so which count makes no difference
                let options = dump.options(&process_env);
                let partial = options.is_ok_and(|options| options.is_partial());
                (SourceClass::Database, partial)
            }
            BackupMethod::Base(_) => (SourceClass::Cluster, false),
        };
        Expected {
            class: Some(class),
            sealed: configured.backup.encryption.enabled,
            partial,
        }
    }

    /// What lies on `places` of `database`.
    pub(super) fn repository<'a>(
        &self,
        database: &str,
        places: &'a Places,
        cancel: &Cancel,
    ) -> Result<Repository<'a>> {
        let names: Vec<String> = places.names().map(str::to_string).collect();
        let expected = self.expected(database);
        Repository::open(database, &names, places, expected, Utc::now(), cancel)
    }

    pub(super) fn tools(&self) -> Result<Tools> {
        Ok(Tools::new(self.config.bin_dir(&process_env)?))
    }

    /// How backups of `database` are drilled.
    pub(super) fn drill(&self, database: &str) -> Result<DrillOptions> {
        let configured = self.config.source(database).ok();
        let keys = self.config.drill(configured, &process_env)?;
        let directory = keys.directory.unwrap_or_else(for_large_temporaries);
        Ok(DrillOptions {
            tools: self.tools()?,
            directory,
            user: keys.user.unwrap_or(DRILL_USER.to_string()),
            connection: keys.connection.map(session_of),
            // a drill is held without it, too
            origin: configured.and_then(|database| session(database).ok()),
            database: keys.database,
            assertions: keys.assertions,
            commands: keys.commands,
            timeout: keys.timeout.unwrap_or(DRILL_TIMEOUT),
        })
    }

    pub(super) fn encrypts(&self, database: &str) -> bool {
        self.config
            .source(database)
            .is_ok_and(|database| database.backup.encryption.enabled)
    }

    /// What backups of `database` look like by the configuration.
    pub(super) fn configured_encoding(&self, database: &str) -> Option<ArchiveEncoding> {
        let database = self.config.source(database).ok()?;
        let codec = match database.backup.compression {
            CompressionSetting::ByPgDump => Codec::None,
            CompressionSetting::Gzip { .. } => Codec::Gzip,
            CompressionSetting::Zstd { .. } => Codec::Zstd,
        };
        let cipher = match database.backup.encryption.enabled {
            true => Cipher::Container,
            false => Cipher::None,
        };
        Some(ArchiveEncoding::new(codec, cipher))
    }

    /// The passwords that may open a backup of `database`: its own, the current one first. For a file, which may be
    /// anybody's, and for a name that is not configured, those of the other databases too.
    pub(super) fn keys_for(&self, database: &str, reference: &Reference) -> Result<Keys> {
        let own = |known: &&SourceSettings| known.name == database;
        let mut databases: Vec<&SourceSettings> = self.config.sources.iter().filter(own).collect();
        if databases.is_empty() || matches!(reference, Reference::Path(_)) {
            databases.extend(self.config.sources.iter().filter(|known| !own(known)));
        }
        let mut passwords: Vec<Secret> = Vec::new();
        let mut missing: Vec<Error> = Vec::new();
        for database in databases {
            for password in database.backup.encryption.open_passwords(&process_env) {
                match password {
                    Ok(password) if !passwords.contains(&password) => passwords.push(password),
                    Ok(_) => {}
                    Err(error) => missing.push(error),
                }
            }
        }
        match missing.is_empty() || !passwords.is_empty() {
            true => {
                let reasons = missing.iter().map(Error::chain).collect();
                let keys = Keys::new(passwords, Arc::clone(&self.derivations))?;
                Ok(keys.lacking(reasons))
            }
            false => Err(missing.swap_remove(0)),
        }
    }
}

/// How to reach the server of `database`.
pub(super) fn session(database: &SourceSettings) -> Result<Session> {
    let connection = database.connection.resolve(&process_env)?;
    Ok(session_of(connection))
}

/// How to reach it for a restore, where no option says otherwise.
pub(super) fn restore_session(database: &SourceSettings) -> Result<Session> {
    let mut connection = database.restore_connection(&process_env)?;
    connection.password = database.restore_password(&connection.user, &process_env)?;
    Ok(session_of(connection))
}

pub(super) fn session_of(connection: Connection) -> Session {
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
    Session::new(variables, connection.password, connection.database, shown)
}

/// How we compress, with zstd at `zstd_level` where none is configured.
pub(super) fn codec_options(
    compression: CompressionSetting,
    zstd_level: u8,
) -> Result<CodecOptions> {
    Ok(match compression {
        CompressionSetting::ByPgDump => CodecOptions::None,
        CompressionSetting::Gzip { level: None } => CodecOptions::Gzip(Level::Adaptive),
        CompressionSetting::Gzip { level: Some(level) } => {
            CodecOptions::Gzip(Level::Fixed(level as u8))
        }
        CompressionSetting::Zstd { level } => {
            CodecOptions::Zstd(level.map_or(zstd_level, |level| level as u8))
        }
    })
}
