//! The hint of a backup that cannot be opened: the command that restores the next older good one.

use super::App;
use crate::cancel::Cancel;
use crate::error::{Error, Kind};
use crate::operation::older::older_good;
use crate::operation::select::Selected;

impl App {
    /// Adds that command to an error about a wrong password or a damaged archive, where there is such a backup.
    pub(super) fn hint_older(&self, error: Error, selected: &Selected, cancel: &Cancel) -> Error {
        let Selected::Stored { entry, .. } = selected else {
            return error;
        };
        if !matches!(error.kind(), Kind::WrongPassword | Kind::Damaged) {
            return error;
        }
        let database = &entry.id.database;
        let places = self.places(&self.storages_of(database, None));
        match older_good(&entry.id, places, self.encrypts(database), cancel) {
            Some(older) => error.also_hint(format!(
                "the next older good backup: backupkit restore --from {older}"
            )),
            None => error,
        }
    }
}
