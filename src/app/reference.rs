//! Which backup a name on the command line means with this configuration.

use super::App;
use crate::cancel::Cancel;
use crate::config::DatabaseSettings;
use crate::error::{Error, Kind, Result};
use crate::output;
use crate::repository::find;
use crate::repository::names::Timestamp;
use crate::repository::reference::{Meant, Reference, Selected, looks_like_a_path};

impl App {
    /// What a backup's name on the command line means with this configuration.
    pub(super) fn meant(&self, text: &str) -> Result<Meant> {
        let storages = self.config.storages.iter();
        let databases = self.config.databases.iter();
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
        error.hint(match self.config.databases.as_slice() {
            [only] => format!("name the backup as {}/{stamp}", only.name),
            _ => format!("name the backup as DB/{stamp}, as it is listed by: backupkit list"),
        })
    }

    /// What is no backup, no database and no file: a slip of the hand more often than not.
    fn names_nothing(&self, text: &str) -> Error {
        let error = Error::new(
            Kind::NotFound,
            format!("{text:?} names no backup, no configured database and no file"),
        );
        let name = text.split('/').next().unwrap_or(text);
        match self.config.database(name) {
            Ok(database) => error.hint(format!(
                "a backup is named by its time stamp, as it is listed by: backupkit list --db {}",
                database.name
            )),
            Err(unknown) => with_nearest(error, &unknown).also_hint(
                "see which backups there are with: backupkit list; a file is named by a path such as ./FILE",
            ),
        }
    }

    pub(super) fn find(&self, meant: &Meant, source: &str, cancel: &Cancel) -> Result<Selected> {
        let places = self.places(&self.storages_of(source, meant.storage.as_deref()));
        let sealed_only = self.encrypts(source);
        let found = find::find(&meant.reference, source, places, sealed_only, cancel);
        let selected = found.map_err(|error| match self.config.database(source) {
            Err(unknown) if error.kind() == Kind::NotFound => with_nearest(error, &unknown),
            _ => error,
        })?;
        // which one a moment leads to is not seen in the command
        if let (Reference::Latest { by: Some(by), .. }, Selected::Stored { entry, .. }) =
            (&meant.reference, &selected)
        {
            let by = output::second(*by);
            log::info!("the newest backup that had begun by {by} is {}", entry.id);
        }
        Ok(selected)
    }

    /// The database for a reference that names none: `--db`, else the only one; only a path takes the first.
    pub(super) fn unnamed(
        &self,
        reference: &Reference,
        chosen: Option<&str>,
    ) -> Result<&DatabaseSettings> {
        match (chosen, self.config.databases.as_slice()) {
            (Some(name), _) => self.config.database(name),
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
