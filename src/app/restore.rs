//! `restore`: from which backup into which database.

use super::App;
use super::compose::session;
use crate::cancel::Cancel;
use crate::cli;
use crate::config::{self, Database};
use crate::error::{Error, Result};
use crate::operation::open::Rules;
use crate::operation::restore::{self, Target};
use crate::operation::select::Reference;
use crate::output;
use crate::postgres::restore::Options;
use std::time::Instant;

impl App {
    pub(super) fn restore(&self, options: &cli::Restore, cancel: &Cancel) -> Result<()> {
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
                no_tablespaces: false,
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
        let restored = restore::run(&selected, &keys, &rules, &target, &self.tools()?, cancel)
            .map_err(|error| self.hint_older(error, &selected, cancel))?;
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

    /// The database that the backup is of, and the one to restore into. A backup that names its database goes to
    /// that one; to another only with `--force`.
    pub(super) fn source_and_target(
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
}
