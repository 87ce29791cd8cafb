//! Which backup a name on the command line means with this configuration.

use super::context::App;
use crate::cancel::Cancel;
use crate::config::SourceSettings;
use crate::error::{Error, Kind, Result};
use crate::repository::Repository;
use crate::repository::located::Located;
use crate::repository::names::Timestamp;
use crate::repository::places::Places;
use crate::repository::reference::{Meant, Reference, looks_like_a_path};
use crate::repository::standing::Purpose;
use crate::text::ours;
use crate::text::rfc3339;
use chrono::{DateTime, Utc};

/// What a command names: a database, which of its backups, and where to look for it.
pub(super) struct NamedBackup {
    /// The database's name.
    pub database: String,
    /// Which backup.
    pub reference: Reference,
    /// The storages to look on.
    pub places: Places,
}

impl App {
    /// What a backup's name on the command line means with this configuration.
    fn meant(&self, text: &str) -> Result<Meant> {
        let storages = self.config.storages.iter();
        let databases = self.config.sources.iter();
        let databases: Vec<&str> = databases.map(|known| &*known.name).collect();
        let meant = Meant::parse(
            text,
            &storages.map(|known| &*known.name).collect::<Vec<_>>(),
            &databases,
        )?;
        match &meant.reference {
            Reference::Path(path)
                if Timestamp::parse(text).is_some() && path.symlink_metadata().is_err() =>
            {
                Err(self.without_database(text))
            }
            Reference::Path(path)
                if !looks_like_a_path(text, &databases) && path.symlink_metadata().is_err() =>
            {
                Err(self.names_nothing(text))
            }
            _ => Ok(meant),
        }
    }

    /// A time stamp by itself, which several databases may have a backup of.
    fn without_database(&self, stamp: &str) -> Error {
        let what = format!("{stamp} is a time stamp without the database before it");
        let error = Error::new(Kind::NotFound, what);
        error.hint(match self.config.sources.as_slice() {
            [only] => format!("name the backup as {}/{stamp}", only.name),
            _ => format!(
                "name the backup as DB/{stamp}, as it is listed by: {}",
                ours::command("list")
            ),
        })
    }

    /// What is no backup, no database and no file: a slip of the hand more often than not.
    fn names_nothing(&self, text: &str) -> Error {
        let error = Error::new(
            Kind::NotFound,
            format!("{text:?} names no backup, no configured database and no file"),
        );
        let name = text.split('/').next().unwrap_or(text);
        match self.config.source(name) {
            Ok(database) => error.hint(format!(
                "a backup is named by its time stamp, as it is listed by: {} --db {}",
                ours::command("list"),
                database.name
            )),
            Err(unknown) => with_nearest(error, &unknown).also_hint(format!(
                "see which backups there are with: {}; a file is named by a path such as ./FILE",
                ours::command("list")
            )),
        }
    }

    /// The backup that `text` names, with `--at` and, where it names no database, with `--db`.
    pub(super) fn named(
        &self,
        text: &str,
        at: Option<DateTime<Utc>>,
        db: Option<&str>,
    ) -> Result<NamedBackup> {
        let meant = self.meant(text)?.by(at)?;
        let database = match meant.reference.database() {
            Some(named) => named.to_string(),
            None => self.unnamed(&meant.reference, db)?.name.clone(),
        };
        let storages = match &meant.reference {
            Reference::Path(_) => Vec::new(),
            _ => self.storages_of(&database, meant.storage.as_deref()),
        };
        Ok(NamedBackup {
            places: self.places(&storages),
            reference: meant.reference,
            database,
        })
    }

    /// The copy of it that comes first, where it is on a storage; the latest is the one for `purpose`.
    pub(super) fn find(
        &self,
        named: &NamedBackup,
        purpose: Purpose,
        cancel: &Cancel,
    ) -> Result<Located> {
        if let Reference::Path(path) = &named.reference {
            return Ok(Located::File(path.clone()));
        }
        let repository = self.repository(&named.database, &named.places, cancel)?;
        self.find_in(&repository, named, purpose, cancel)
    }

    /// All of its copies.
    pub(super) fn find_copies(
        &self,
        named: &NamedBackup,
        purpose: Purpose,
        cancel: &Cancel,
    ) -> Result<Vec<Located>> {
        if let Reference::Path(path) = &named.reference {
            return Ok(vec![Located::File(path.clone())]);
        }
        let repository = self.repository(&named.database, &named.places, cancel)?;
        let found = self.find_in(&repository, named, purpose, cancel)?;
        let Located::Stored { entry, .. } = &found else {
            return Ok(vec![found]);
        };
        let backups = repository.backups().into_iter();
        let copies = backups
            .filter(|backup| backup.id == entry.id && backup.encoding == entry.encoding)
            .flat_map(|backup| backup.copies);
        Ok(copies
            .filter_map(|copy| repository.located(&copy))
            .collect())
    }

    fn find_in(
        &self,
        repository: &Repository,
        named: &NamedBackup,
        purpose: Purpose,
        cancel: &Cancel,
    ) -> Result<Located> {
        let found = repository.find(&named.reference, purpose, cancel);
        let located = found.map_err(|error| match self.config.source(&named.database) {
            Err(unknown) if error.kind() == Kind::NotFound => with_nearest(error, &unknown),
            _ => error,
        })?;
        // which one a moment leads to is not seen in the command
        if let (Reference::Latest { by: Some(by), .. }, Located::Stored { entry, .. }) =
            (&named.reference, &located)
        {
            let by = rfc3339::second(*by);
            log::info!("the newest backup that had begun by {by} is {}", entry.id);
        }
        Ok(located)
    }

    /// The database for a reference that names none: `--db`, else the only one; only a path takes the first.
    fn unnamed(&self, reference: &Reference, chosen: Option<&str>) -> Result<&SourceSettings> {
        match (chosen, self.config.sources.as_slice()) {
            (Some(name), _) => self.config.source(name),
            (None, [only]) => Ok(only),
            (None, [first, ..]) if matches!(reference, Reference::Path(_)) => Ok(first),
            (None, [first, ..]) => Err(Error::usage("several databases are configured")
                .hint(format!("name one: {}/latest", first.name))),
            (None, []) => Err(Error::usage("no database is configured")),
        }
    }
}

/// Adds what the configuration says about a name that it does not know.
fn with_nearest(error: Error, unknown: &Error) -> Error {
    match unknown.first_hint() {
        Some(hint) => error.also_hint(hint),
        None => error,
    }
}
