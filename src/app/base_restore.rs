//! `restore` of a cluster: which backups it takes, where it goes, and what is left to do by hand.

use super::context::App;
use super::fallback;
use super::reference::NamedBackup;
use crate::cancel::Cancel;
use crate::cli;
use crate::error::{Error, Result};
use crate::operation::base_restore::{self, BaseRestore, RestoredBase};
use crate::output;
use crate::process::account::Account;
use crate::repository::chain::ChainLink;
use crate::repository::held::Copy;
use crate::repository::located::Located;
use crate::repository::reading_mark::ReadingMark;
use crate::source::physical::restore::assemble::{Assembly, StoredLink};
use crate::source::physical::restore::settings::Becomes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

impl App {
    /// Restores `selected` into a directory, where it is a backup of a cluster; false where it is none.
    pub(super) fn restore_base(
        &self,
        options: &cli::RestoreArgs,
        named: &NamedBackup,
        selected: &Located,
        cancel: &Cancel,
    ) -> Result<bool> {
        let is_cluster = selected.is_of_cluster();
        match (is_cluster, &options.to_dir) {
            (false, None) => return Ok(false),
            (false, Some(_)) => {
                return Err(Error::usage(
                    "--to-dir is for backups of clusters, and this is a dump",
                )
                .hint("name a database with --db or --to"));
            }
            (true, None) => {
                return Err(Error::usage(format!(
                    "{} is a backup of a whole cluster, which is restored into a directory",
                    named.database
                ))
                .hint("name one that is new or empty: --to-dir DIR"));
            }
            (true, Some(_)) => {}
        }
        options.refuse_dump_options()?;
        let (Some(directory), began) = (&options.to_dir, Instant::now()) else {
            return Ok(false);
        };
        let (selected, recovery) = self.recovery(options, named, selected.clone(), cancel)?;
        let selected = &selected;
        let chain = self.chain_of(&named.database, selected, cancel)?;
        let mut reading = Vec::new();
        if !options.dry_run {
            for link in &chain {
                let located = Located::Stored {
                    storage: Arc::clone(&link.storage),
                    entry: link.link.copy.entry.clone(),
                };
                reading.push(ReadingMark::leave(&located, cancel)?);
            }
        }
        let (name, reference) = (&named.database, &named.reference);
        let keys = || self.keys_for(name, reference);
        let owner = options.owner.as_deref().map(Account::named).transpose();
        let owner = owner.map_err(|error| {
            error.hint("name a user of this machine, as --owner postgres; getent passwd lists them")
        })?;
        let tablespaces: BTreeMap<_, _> = options.tablespace_map.iter().cloned().collect();
        let job = BaseRestore {
            source: Assembly {
                chain: &chain,
                keys: &keys,
                sealed_only: self.encrypts(&named.database) && !options.force,
                jobs: options.jobs.map_or(1, |jobs| jobs as usize),
            },
            directory,
            tablespaces: &tablespaces,
            wal: options.waldir.as_deref(),
            owner: owner.map(|owner| (owner.uid, owner.gid)),
            becomes: match options.standby {
                true => Becomes::Standby,
                false => Becomes::Primary,
            },
            recovery: recovery.as_ref(),
            starts: options.start,
            port: options.port,
        };
        let tools = self.tools()?;
        let with_older = |error| self.hint_older(error, selected, fallback::same_restore, cancel);
        let restored: RestoredBase = match options.dry_run {
            true => base_restore::preview(&job, &tools, cancel),
            false => base_restore::run(&job, &tools, cancel),
        }
        .map_err(with_older)?;
        let took = began.elapsed();
        match options.json {
            true => output::json(&output::base_restore_json(&restored, options.dry_run, took))?,
            false if options.quiet => {}
            false => {
                output::text_out(&output::base_restore_text(&restored, options.dry_run, took))?
            }
        }
        Ok(true)
    }

    /// All that `selected` needs to be restored, itself last, each on a storage that has it.
    pub(super) fn chain_of(
        &self,
        name: &str,
        selected: &Located,
        cancel: &Cancel,
    ) -> Result<Vec<StoredLink>> {
        let Located::Stored { storage, entry } = selected else {
            return Err(Error::usage("a file is no backup of a cluster"));
        };
        let places = self.places(&self.storages_of(name, None));
        let repository = self.repository(name, &places, cancel)?;
        let copy = Copy {
            storage: storage.name().to_string(),
            entry: entry.clone(),
        };
        let stored = |link: ChainLink| match places.usable(&link.copy.storage) {
            Some(storage) => Ok(StoredLink {
                storage: Arc::clone(storage),
                link,
            }),
            None => Err(Error::failed(format!(
                "the storage {} does not answer",
                link.copy.storage
            ))),
        };
        let chain = repository.chain(&copy, cancel)?;
        chain.into_iter().map(stored).collect()
    }
}
