//! The storages of a command: each opened once, asked as long as it answers.
//!
//! One that failed is not waited for again: its failure is noted under its name, and what it may hold stays unknown.
//! Only a signal ends the command. That rule stands here and nowhere else.

use crate::error::{Error, Kind, Result};
use crate::storage::Storage;
use std::cell::{Cell, RefCell};
use std::sync::Arc;

/// A configured storage, or why it cannot be used.
pub struct Place {
    /// Its name in the configuration.
    pub name: String,
    pub storage: Result<Arc<dyn Storage>>,
}

/// The storages that a command asks, in their order.
pub struct Places {
    storages: Vec<Opened>,
}

struct Opened {
    name: String,
    /// `None` where it could not even be opened.
    storage: Option<Arc<dyn Storage>>,
    has_failed: Cell<bool>,
    /// Why, until someone takes it to tell of it.
    failure: RefCell<Option<Error>>,
}

impl Places {
    /// Takes each storage as it could be opened.
    pub fn new(places: Vec<Place>) -> Places {
        let opened = places.into_iter().map(|place| {
            let (storage, failure) = match place.storage {
                Ok(storage) => (Some(storage), None),
                Err(error) => (None, Some(error)),
            };
            Opened {
                name: place.name,
                storage,
                has_failed: Cell::new(failure.is_some()),
                failure: RefCell::new(failure),
            }
        });
        Places {
            storages: opened.collect(),
        }
    }

    /// The names of all, those that failed included.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.storages.iter().map(|opened| opened.name.as_str())
    }

    /// The storage `name`, if it could be opened at all.
    pub fn opened(&self, name: &str) -> Option<&Arc<dyn Storage>> {
        self.of_name(name)?.storage.as_ref()
    }

    /// The storage `name`, as long as it answers.
    pub fn usable(&self, name: &str) -> Option<&Arc<dyn Storage>> {
        let opened = self.of_name(name)?;
        match opened.has_failed.get() {
            true => None,
            false => opened.storage.as_ref(),
        }
    }

    /// True for a storage that could not be asked, now or before.
    pub fn has_failed(&self, name: &str) -> bool {
        self.of_name(name)
            .is_some_and(|opened| opened.has_failed.get())
    }

    /// What `ask` has to say of the storage `name`; `None` where it cannot be asked, now or since an earlier question.
    /// Only what ends the run is an error.
    pub fn ask<T>(
        &self,
        name: &str,
        ask: impl FnOnce(&dyn Storage) -> Result<T>,
    ) -> Result<Option<T>> {
        let Some(storage) = self.usable(name) else {
            return Ok(None);
        };
        match ask(storage.as_ref()) {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.ends_the_run() => Err(error),
            Err(error) => {
                if let Some(opened) = self.of_name(name) {
                    opened.has_failed.set(true);
                    opened.failure.replace(Some(error));
                }
                Ok(None)
            }
        }
    }

    /// What `read` finds on the storage `name`; `None` where it cannot be asked, and with a warning where only this
    /// object cannot be read.
    pub fn read<T>(
        &self,
        name: &str,
        read: impl FnOnce(&dyn Storage) -> Result<T>,
    ) -> Result<Option<T>> {
        let answer = self.ask(name, |storage| match read(storage) {
            Err(error) if error.kind() != Kind::Unavailable && !error.ends_the_run() => {
                log::warn!("{}", error.report());
                Ok(None)
            }
            read => read.map(Some),
        })?;
        Ok(answer.flatten())
    }

    /// The failures so far, by the name of the storage, to be told of once; the storages stay unusable.
    pub fn take_failures(&self) -> Vec<(String, Error)> {
        let failed = self.storages.iter();
        failed
            .filter_map(|opened| Some((opened.name.clone(), opened.failure.take()?)))
            .collect()
    }

    fn of_name(&self, name: &str) -> Option<&Opened> {
        self.storages.iter().find(|opened| opened.name == name)
    }
}
