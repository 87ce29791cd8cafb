//! Which backup a name on the command line means with this configuration.

use super::App;
use crate::cancel::Cancel;
use crate::config::Database;
use crate::error::{Error, Result};
use crate::operation::find;
use crate::operation::select::{Meant, Reference, Selected};

impl App {
    /// What a backup's name on the command line means with this configuration.
    pub(super) fn meant(&self, text: &str) -> Result<Meant> {
        let storages = self.config.storages.iter();
        let databases = self.config.databases.iter();
        Meant::parse(
            text,
            &storages.map(|known| &*known.name).collect::<Vec<_>>(),
            &databases.map(|known| &*known.name).collect::<Vec<_>>(),
        )
    }

    pub(super) fn find(&self, meant: &Meant, source: &str, cancel: &Cancel) -> Result<Selected> {
        let places = self.places(&self.storages_of(source, meant.storage.as_deref()));
        let sealed_only = self.encrypts(source);
        find::find(&meant.reference, source, places, sealed_only, cancel)
    }

    /// The database for a reference that names none: `--db`, else the only one; only a path takes the first.
    pub(super) fn unnamed(&self, reference: &Reference, chosen: Option<&str>) -> Result<&Database> {
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
