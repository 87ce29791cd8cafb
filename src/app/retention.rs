//! The commands about retention, and what `backup` does after a backup that ended well.

use super::context::App;
use super::overall_status::overall;
use crate::cancel::Cancel;
use crate::cli;
use crate::config::SourceSettings;
use crate::error::{Error, Result};
use crate::format::seal::Keys;
use crate::operation::backup::StoredBackup;
use crate::operation::prune::Spared;
use crate::operation::prune::outcome::PruneOutcome;
use crate::operation::{pin, prune};
use crate::output;
use crate::repository::copies::StoredCopy;
use crate::repository::located::Located;
use crate::repository::pins::Pinning;
use crate::repository::reference::Reference;
use crate::repository::standing::Purpose;
use crate::text::ours;
use crate::text::rfc3339;
use chrono::Utc;
use std::time::Duration;

/// `pin` or `unpin`.
pub(super) struct PinChange<'a> {
    pinning: Pinning,
    backup: &'a str,
    db: Option<&'a str>,
    lock_wait: Duration,
    json: bool,
}

impl<'a> From<&'a cli::PinArgs> for PinChange<'a> {
    fn from(options: &'a cli::PinArgs) -> PinChange<'a> {
        PinChange {
            pinning: Pinning::Pinned,
            backup: &options.backup,
            db: options.db.as_deref(),
            lock_wait: options.lock_wait,
            json: options.json,
        }
    }
}

impl<'a> From<&'a cli::UnpinArgs> for PinChange<'a> {
    fn from(options: &'a cli::UnpinArgs) -> PinChange<'a> {
        PinChange {
            pinning: Pinning::Unpinned,
            backup: &options.backup,
            db: options.db.as_deref(),
            lock_wait: options.lock_wait,
            json: options.json,
        }
    }
}

impl App {
    pub(super) fn prune(&self, options: &cli::PruneArgs, cancel: &Cancel) -> Result<()> {
        let (mut ok, mut failures, mut outcomes) = (0, Vec::new(), Vec::new());
        let mut printed = Ok(());
        let look = output::Look::of_stdout();
        for database in self.chosen(&options.db)? {
            for storage in &database.backup.storage {
                let outcome = self.prune_one(database, storage, options, None, None, cancel);
                printed = printed.and(match (options.json, options.explain) {
                    (true, _) => Ok(()),
                    (false, true) => output::text_out(&output::explain_text(&outcome)),
                    (false, false) if options.quiet => Ok(()),
                    (false, false) => output::shown(&output::prune_text(&outcome, look)),
                });
                tell_warnings(&outcome);
                match outcome.error() {
                    None => ok += 1,
                    Some(error) => {
                        let name = &database.name;
                        log::error!("cannot prune {name}: {}", error.report());
                        failures.push(error.kind());
                    }
                }
                outcomes.push(outcome);
                cancel.check()?;
            }
        }
        if options.json {
            let document = output::prune_json(&outcomes, options.dry_run);
            printed = printed.and(output::json(&document));
        }
        match overall(ok, &failures) {
            Some(kind) => Err(Error::already_told(kind)),
            None => printed,
        }
    }

    fn prune_one<'a>(
        &self,
        database: &'a SourceSettings,
        storage: &str,
        options: &cli::PruneArgs,
        keys: Option<&Keys>,
        stored: Option<&StoredBackup>,
        cancel: &Cancel,
    ) -> PruneOutcome<'a> {
        let places = self.places(&[storage.to_string()]);
        let result = match (places.usable(storage), places.take_failures().pop()) {
            (Some(storage), _) => {
                let job = prune::PruneJob {
                    database: &database.name,
                    storage: storage.as_ref(),
                    expected: self.expected(&database.name),
                    policy: &database.retention,
                    dry_run: options.dry_run,
                    accept_new_source: options.accept_new_source,
                    accept_clock: options.accept_clock,
                    lock_wait: options.lock_wait,
                    keys,
                    stored: stored.map(StoredBackup::id),
                    held: stored.and_then(|stored| stored.holds.on(storage.name())),
                };
                prune::run(&job, &places, Utc::now(), cancel)
            }
            (None, Some((_, error))) => Err(error),
            (None, None) => Err(Error::failed(format!("there is no storage {storage}"))),
        };
        PruneOutcome {
            database: &database.name,
            storage: storage.to_string(),
            policy: &database.retention,
            dry_run: options.dry_run,
            result,
        }
    }

    /// Prunes each storage that `stored` was just backed up to; the results are in the order of its copies. Whatever
    /// goes wrong is a warning: the backup stands.
    pub(super) fn prune_after_backup<'a>(
        &self,
        database: &'a SourceSettings,
        stored: &StoredBackup,
        lock_wait: Duration,
        cancel: &Cancel,
    ) -> Vec<Option<PruneOutcome<'a>>> {
        if database.retention.keeps_everything() {
            return Vec::new();
        }
        let options = cli::PruneArgs {
            lock_wait,
            ..cli::PruneArgs::default()
        };
        let keys = match database.backup.encryption.enabled {
            true => self.keys_for(&database.name, &Reference::Id(stored.id())),
            false => return self.prune_copies(database, stored, &options, None, cancel),
        };
        match keys {
            Ok(keys) => self.prune_copies(database, stored, &options, Some(&keys), cancel),
            Err(error) => {
                let name = &database.name;
                log::warn!(
                    "the backup of {name} is stored, but old ones stay: {}",
                    error.report()
                );
                Vec::new()
            }
        }
    }

    fn prune_copies<'a>(
        &self,
        database: &'a SourceSettings,
        stored: &StoredBackup,
        options: &cli::PruneArgs,
        keys: Option<&Keys>,
        cancel: &Cancel,
    ) -> Vec<Option<PruneOutcome<'a>>> {
        let prune = |copy: &StoredCopy| {
            // where the newest backup is missing, the old ones are worth more
            copy.result.as_ref().ok()?;
            let outcome =
                self.prune_one(database, &copy.storage, options, keys, Some(stored), cancel);
            tell_warnings(&outcome);
            tell_deleted(&outcome);
            if let Some(error) = outcome.error() {
                let name = &database.name;
                log::warn!(
                    "the backup of {name} is stored, but old ones stay: {}",
                    error.report()
                );
            }
            Some(outcome)
        };
        stored.copies.iter().map(prune).collect()
    }

    pub(super) fn pin(&self, options: &PinChange, cancel: &Cancel) -> Result<()> {
        let named = self.named(options.backup, None, options.db)?;
        let id = match &named.reference {
            // named in full, it is looked for where it is pinned
            Reference::Id(id) | Reference::Key(id, _) => id.clone(),
            _ => match self.find(&named, Purpose::Restore, cancel)? {
                Located::Stored { entry, .. } => entry.id,
                Located::File(path) => {
                    return Err(Error::usage(format!(
                        "{} is a file and no backup on a storage",
                        path.display()
                    ))
                    .hint("name a backup as list prints it"));
                }
            },
        };
        let copies = pin::run(
            &id,
            options.pinning,
            &named.places,
            options.lock_wait,
            Utc::now(),
            cancel,
        )?;
        if options.json {
            output::json(&output::pin_json(&id, options.pinning, &copies))
        } else {
            output::text_out(&output::pin_text(&id, options.pinning, &copies))
        }
    }
}

fn tell_warnings(outcome: &PruneOutcome) {
    for warning in outcome.warnings() {
        log::warn!("{}: {warning}", outcome.database);
    }
    let Ok(pruned) = &outcome.result else { return };
    let times = pruned.spared().filter_map(|(_, spared)| match spared {
        Spared::Until(from) => Some(from),
        Spared::BeingRead | Spared::Changed | Spared::Needed => None,
    });
    let times: Vec<_> = times.collect();
    if let Some(first) = times.iter().min() {
        log::info!(
            "{}: {} marked on {}, which keeps no conditional writes; a prune from {} on deletes what it finds to go as well",
            outcome.database,
            backups(times.len()),
            outcome.storage,
            rfc3339::second(*first)
        );
    }
}

/// So many backups, in words.
fn backups(count: usize) -> String {
    match count {
        1 => "1 backup".to_string(),
        count => format!("{count} backups"),
    }
}

/// What is gone, in one line.
fn tell_deleted(outcome: &PruneOutcome) {
    const SHOWN: usize = 5;
    let Ok(pruned) = &outcome.result else { return };
    let count = pruned.deleted().count();
    if pruned.refused.is_some() || count == 0 {
        return;
    }
    let shown = pruned.deleted().take(SHOWN);
    let mut shown: Vec<String> = shown.map(|gone| gone.id.timestamp.to_string()).collect();
    if count > SHOWN {
        shown.push("…".to_string());
    }
    let older = backups(count).replacen(' ', " older ", 1);
    log::info!(
        "{}: deleted {older} on {} ({}), see {}",
        outcome.database,
        outcome.storage,
        shown.join(", "),
        ours::command("prune --dry-run --explain")
    );
}
