//! `restore`: from which backup into which database.

use super::backup::by_hand;
use super::context::App;
use super::fallback;
use super::reference::NamedBackup;
use super::restore_login;
use crate::cancel::Cancel;
use crate::cli;
use crate::config::{DumpSettings, SourceSettings};
use crate::error::{Doing, Error, Result};
use crate::operation;
use crate::operation::pin;
use crate::output;
use crate::postgres::session::Session;
use crate::progress;
use crate::repository::hold::Holds;
use crate::repository::open::{CopyToOpen, Rules};
use crate::repository::pins::Pinning;
use crate::repository::reading_mark::ReadingMark;
use crate::repository::standing::Purpose;
use crate::source::logical::pg_restore::PgRestoreOptions;
use crate::source::logical::restore;
use crate::source::logical::restore::{OmittedKinds, RestorePreview, RestoreRequest, Subset};
use crate::text::escape::printable;
use chrono::Utc;
use rustix::event::PollFlags;
use std::io::{self, BufRead, IsTerminal};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// So many of the tables that would be dropped are named before someone says yes.
const NAMED: usize = 10;

impl App {
    pub(super) fn restore(&self, options: &cli::RestoreArgs, cancel: &Cancel) -> Result<()> {
        options.check()?;
        let began = Instant::now();
        let named = self.named(&options.from, options.at, options.db.as_deref())?;
        let source = &named.database;
        let selected = self.find(&named, Purpose::Restore, cancel)?;
        if self.restore_base(options, &named, &selected, cancel)? {
            return Ok(());
        }
        let database = self.target(&named, options)?;
        let tools = self.tools()?;
        // a password is asked for once there is something to restore
        let session = restore_login::session(database, options, &tools, cancel)?;
        let job = self.restore_job(options, source, database, session)?;
        let _reading = match options.dry_run {
            true => None,
            false => ReadingMark::leave(&selected, cancel)?,
        };
        // another database on the same server is a choice, too
        let chosen = options.db.is_some() || options.to.is_some();
        let rules = Rules {
            configured: self.configured_encoding(source),
            unchosen_target: (!chosen).then_some(database.name.as_str()),
            strict: options.strict_sniff,
            force: options.force,
        };
        let keys = || self.keys_for(source, &named.reference);
        let with_older = |error| self.hint_older(error, &selected, fallback::same_restore, cancel);
        if options.dry_run {
            let preview = restore::preview(&selected, &keys, &rules, &job, &tools, cancel)
                .map_err(with_older)?;
            match options.json {
                true => output::json(&output::preview_json(&database.name, &preview))?,
                false => output::text_out(&output::preview_text(&preview))?,
            }
            return preview.refusal.map_or(Ok(()), Err);
        }
        let is_asked = options.clean && !options.yes && is_attended();
        if is_asked || options.backup_first {
            let mut preview = restore::preview(&selected, &keys, &rules, &job, &tools, cancel)
                .map_err(with_older)?;
            // before anybody is asked, or a backup is made of what would then not be replaced
            if let Some(refusal) = preview.refusal.take() {
                return Err(refusal);
            }
            if is_asked {
                confirm(&preview, cancel)?;
            }
        }
        if options.backup_first {
            self.back_up_and_pin(database, cancel).doing(|| {
                format!(
                    "cannot back up {} first, so nothing was restored",
                    database.name
                )
            })?;
        }
        let copy = CopyToOpen {
            copy: &selected,
            keys: &keys,
            rules: &rules,
        };
        let sealed = self.encrypts(source);
        let restored =
            operation::restore::run(&copy, sealed, &job, &tools, cancel).map_err(with_older)?;
        let compared = what_was_compared(restored.compared, options);
        log::info!("restored into {}: {compared}", restored.target);
        let (from, took) = (selected.shown(), began.elapsed());
        match options.json {
            true => output::json(&output::restore_json(
                &database.name,
                &from,
                &restored,
                took,
            )),
            false if options.quiet => Ok(()),
            false => output::shown(&output::restore_text(
                &database.name,
                &from,
                &restored,
                took,
                output::Look::of_stdout(),
            )),
        }
    }

    fn restore_job(
        &self,
        options: &cli::RestoreArgs,
        source: &str,
        database: &SourceSettings,
        configured: Session,
    ) -> Result<RestoreRequest> {
        let dump = dump_settings(database)?;
        let target = match &options.to {
            Some(name) => configured.to_database(name),
            None => configured.clone(),
        };
        Ok(RestoreRequest {
            known: configured.database().to_string(),
            session: target,
            create: options.create,
            lock_timeout: dump.lock_timeout,
            options: PgRestoreOptions {
                clean: options.clean,
                data_only: options.data_only,
                schema_only: options.schema_only,
                disable_triggers: options.disable_triggers,
                no_owner: options.no_owner,
                no_privileges: options.no_privileges,
                no_tablespaces: options.no_tablespaces,
                no_single_transaction: options.no_single_transaction,
                ..PgRestoreOptions::default()
            },
            subset: Subset {
                tables: options.table.clone(),
                schemas: options.schema.clone(),
                data_only: options.data_only,
                schema_only: options.schema_only,
            },
            omitted: OmittedKinds {
                publications: options.no_publications,
                subscriptions: options.no_subscriptions,
                event_triggers: options.no_event_triggers,
                comments: options.no_comments,
                security_labels: options.no_security_labels,
            },
            locale: options.locale.clone(),
            tablespaces: options.tablespace.iter().cloned().collect(),
            allow_broken_keys: options.allow_broken_keys,
            jobs: options.jobs,
            sql_allowed: options.allow_sql_fallback,
            create_in_dump_allowed: options.allow_create_in_dump,
            globals: options.globals,
            sealed_only: self.encrypts(source),
            check: !options.no_check,
        })
    }

    /// Stores what the target holds now, where retention leaves it alone.
    fn back_up_and_pin(&self, database: &SourceSettings, cancel: &Cancel) -> Result<()> {
        let dump = dump_settings(database)?;
        let mut stored =
            self.dump_and_store(database, dump, true, Duration::ZERO, by_hand(), cancel)?;
        // the pin takes the lock itself
        stored.holds = Holds::default();
        let id = stored.id();
        let copies = stored.copies.iter().filter(|copy| copy.result.is_ok());
        let names: Vec<String> = copies.map(|copy| copy.storage.clone()).collect();
        pin::run(
            &id,
            Pinning::Pinned,
            &self.places(&names),
            Duration::ZERO,
            Utc::now(),
            cancel,
        )?;
        log::info!("what {} held is kept and pinned as {id}", database.name);
        Ok(())
    }

    /// The database to restore into. A backup that names its database goes to that one; to another only with `--force`.
    fn target(&self, named: &NamedBackup, options: &cli::RestoreArgs) -> Result<&SourceSettings> {
        match (named.reference.database(), options.db.as_deref()) {
            (Some(named), Some(target)) if named != target && !options.force => Err(
                Error::refused(format!("the backup is of {named}, and --db says {target}"))
                    .hint("add --force if the one is to be restored into the other"),
            ),
            (_, target) => self.config.source(target.unwrap_or(&named.database)),
        }
    }
}

/// The keys of the database `target`; fails where it is a cluster, which no dump is restored into.
fn dump_settings(target: &SourceSettings) -> Result<&DumpSettings> {
    target.backup.dump().ok_or_else(|| {
        let name = &target.name;
        Error::usage(format!("{name} is a cluster, and a dump goes into a database"))
            .hint("name a database with --db, or restore a backup of the cluster into a directory with --to-dir")
    })
}

/// What the comparison with the backup came to, in words.
fn what_was_compared(compared: Option<u64>, options: &cli::RestoreArgs) -> String {
    match compared {
        Some(0) => "it had no table to compare with the backup".to_string(),
        Some(1) => "its table was compared with the backup and is the same".to_string(),
        Some(count) => format!("{count} tables compared with the backup, all the same"),
        None if options.data_only => {
            "not compared with the backup, since --data-only adds to what was there".to_string()
        }
        None if options.schema_only => {
            "not compared with the backup, since --schema-only leaves out the rows".to_string()
        }
        None => "not compared with the backup".to_string(),
    }
}

/// True where someone can be asked.
fn is_attended() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// A line for each name, and one for how many more there are.
fn listed(names: &[String]) -> String {
    // a line for one more is as long as its name
    let shown = match names.len() {
        count if count > NAMED + 1 => NAMED,
        count => count,
    };
    let mut lines: String = names[..shown]
        .iter()
        .map(|name| format!("\n  {}", printable(name)))
        .collect();
    if names.len() > shown {
        let more = names.len() - shown;
        lines += &format!("\n  and {more} more; --dry-run --json names all");
    }
    lines
}

/// Asks before anything is dropped, as `preview` tells it.
fn confirm(preview: &RestorePreview, cancel: &Cancel) -> Result<()> {
    let target = &preview.target;
    let dropped = preview.drops.as_deref().unwrap_or_default();
    let (lines, shown) = (listed(dropped), printable(target));
    let mut what = match lines.is_empty() {
        true => format!("This drops what the backup holds from the database {shown}"),
        false => format!("This drops from the database {shown}{lines}"),
    };
    let along = preview.taken_along.iter();
    let along: Vec<String> = along
        .filter(|name| !dropped.contains(name))
        .cloned()
        .collect();
    if !along.is_empty() {
        progress::say("", &what);
        what = format!("makes anew what depends on it{}", listed(&along));
    }
    progress::say("", &what);
    progress::say(
        "",
        &format!("and restores {} there.", printable(&preview.from)),
    );
    progress::say("", "Type yes to go on:");
    let stdin = io::stdin();
    cancel.wait_for(stdin.as_fd(), PollFlags::IN, None)?;
    let mut answer = String::new();
    stdin
        .lock()
        .read_line(&mut answer)
        .doing(|| "cannot read the answer")?;
    match answer.trim() {
        "yes" => Ok(()),
        _ => {
            Err(Error::refused(format!("{target} was left as it is"))
                .hint("answer yes, or give --yes"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_more_is_named_and_only_several_are_counted() {
        let names: Vec<String> = (1..=12).map(|n| format!("table t{n}")).collect();
        let eleven = listed(&names[..11]);
        assert!(eleven.ends_with("\n  table t10\n  table t11"), "{eleven}");
        let twelve = listed(&names);
        assert!(
            twelve.ends_with("\n  table t10\n  and 2 more; --dry-run --json names all"),
            "{twelve}"
        );
    }
}
