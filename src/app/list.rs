//! `list`.

use super::context::App;
use super::overall_status::overall;
use crate::cancel::Cancel;
use crate::cli;
use crate::error::{Error, Kind, Result};
use crate::operation::list::{self, Holding};
use crate::output;
use crate::text::ours;
use chrono::Utc;

impl App {
    pub(super) fn list(&self, options: &cli::ListArgs, cancel: &Cancel) -> Result<()> {
        let storages = self.config.storages.iter();
        let names: Vec<String> = storages.map(|storage| storage.name.clone()).collect();
        let mut listed = list::run(&self.places(&names), &options.db, options.all, cancel)?;
        if let [Holding { total: Err(_), .. }] = listed.storages.as_slice() {
            // the only one: its failure is that of the command
            let only = listed.storages.pop();
            return only.map_or(Ok(()), |only| only.total.map(|_| ()));
        }
        for (storage, error) in listed.failures() {
            log::warn!("storage {storage}: {}", error.report());
        }
        // a name that is neither configured nor on storage is a mistake, not an empty result
        for name in options
            .db
            .iter()
            .filter(|_| listed.failures().next().is_none())
        {
            let mut backups = listed.backups.iter();
            if !backups.any(|backup| backup.entry().id.database == *name) {
                self.config.source(name)?;
            }
        }
        if options.json {
            output::json(&output::list_json(&listed))?;
        } else if !listed.backups.is_empty() || !listed.fragments.is_empty() {
            output::shown(&output::list_text(
                &listed,
                Utc::now(),
                output::Look::of_stdout(),
            ))?;
        }
        let failures: Vec<Kind> = listed.failures().map(|(_, error)| error.kind()).collect();
        if let Some(kind) = overall(listed.storages.len() - failures.len(), &failures) {
            return Err(Error::already_told(kind));
        }
        if listed.backups.is_empty() && listed.fragments.is_empty() {
            log::info!("there are no backups yet");
        }
        if listed.older > 0 {
            let older = listed.older;
            let all = ours::command("list --all");
            log::info!("{older} older backups are not shown; see them with: {all}");
        }
        Ok(())
    }
}
