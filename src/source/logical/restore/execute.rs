//! The bytes of a backup on their way into the target.

use super::broken_keys;
use super::phases::{Phase, phases};
use super::prepare::PreparedRestore;
use super::spool::Spool;
use crate::cancel::Cancel;
use crate::cause::FailureCause;
use crate::error::{Error, Result};
use crate::format::sniff::Content;
use crate::postgres::client::Client;
use crate::postgres::explain;
use crate::postgres::explain::{MORE_LOCKS_HINT, NEW_IN_PARTS_HINT};
use crate::postgres::locks::Watch;
use crate::postgres::tools::Tools;
use crate::source::logical::archive::edits::{ArchiveEdits, EditedArchive};
use crate::source::logical::archive::tablespaces;
use crate::source::logical::archive::{DumpContents, Offset, Summary, Toc, TocEntry};
use crate::source::logical::dump_inspector::{DumpInspector, inspector_for};
use crate::source::logical::pg_restore;
use crate::source::logical::pg_restore::{PgRestore, PgRestoreOptions};
use crate::source::logical::set_aside;
use crate::source::logical::toc_list::TocList;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// How long putting back what was set aside may take, after a run that was cancelled.
const PUTTING_BACK: Duration = Duration::from_secs(60);
/// What pg_restore sets for its own session as well.
const QUIET: &str = "SET client_min_messages = warning;\n\
     SELECT pg_catalog.set_config('search_path', '', false);\n";

impl PreparedRestore<'_> {
    /// Restores into a database that is there. Returns the bytes of the plain stream and, of an archive that could be
    /// read, what it holds.
    pub(super) fn restore(
        &mut self,
        application: &str,
        tools: &Tools,
        cancel: &Cancel,
    ) -> Result<(u64, Option<Box<Summary>>)> {
        let watch = match self.client.is_available() {
            true => {
                let limit = self.facts.request.lock_timeout;
                let limit = (!limit.is_zero()).then_some(limit);
                Some(Watch::start(self.client.named(application), limit)?)
            }
            false => None,
        };
        let fed = match self.facts.is_atomic() {
            true => self.run(application, tools, cancel),
            false => self.run_beside_what_is_set_aside(application, tools, cancel),
        };
        drop(watch);
        let is_sql_text = self.content() == Content::Sql;
        fed.map_err(|error| explain::fitting(error, is_sql_text, self.facts.creates))
            .map_err(|error| match self.past_event_triggers(&error) {
                Some(hint) => self.own_up(error).also_hint(hint),
                None => self.own_up(error),
            })
    }

    fn run(
        &mut self,
        application: &str,
        tools: &Tools,
        cancel: &Cancel,
    ) -> Result<(u64, Option<Box<Summary>>)> {
        match self.facts.request.jobs {
            Some(jobs) => self.in_parallel(jobs, application, tools, cancel),
            None => {
                let restore = self.start(application, tools, cancel)?;
                self.feed(restore, cancel)
            }
        }
    }

    /// Without one transaction around it all, what is set aside is put back however the restore ends.
    fn run_beside_what_is_set_aside(
        &mut self,
        application: &str,
        tools: &Tools,
        cancel: &Cancel,
    ) -> Result<(u64, Option<Box<Summary>>)> {
        let aside = self.facts.set_aside.clone();
        let client = self.as_dumped.named(application);
        if !aside.is_empty() {
            log::warn!(
                "switched off until the restore has ended, which a kill would leave so: {}",
                aside.shown()
            );
            in_a_transaction(aside.before().as_bytes(), "UTF8", &client)?;
        }
        let ended = match self.make_room(&client) {
            Ok(()) => self.run(application, tools, cancel),
            Err(error) => Err(error),
        };
        if !aside.is_empty() {
            let fresh = Cancel::new()?.with_deadline(PUTTING_BACK);
            let client = client.with_cancel(&fresh);
            let put_back = in_a_transaction(aside.after().as_bytes(), "UTF8", &client);
            let doing = || format!("cannot switch on again: {}", aside.shown());
            match (put_back, &ended) {
                (Err(error), Ok(_)) => return Err(error.doing(doing())),
                (Err(error), Err(_)) => log::error!("{}: {}", doing(), error.report()),
                (Ok(()), _) => {}
            }
        }
        ended
    }

    /// Drops what is to be replaced, in transactions of their own.
    fn make_room(&self, client: &Client) -> Result<()> {
        let Some(room) = self.facts.room().filter(|_| client.is_available()) else {
            return Ok(());
        };
        let catalog = self.facts.toc.as_deref();
        let encoding = catalog.and_then(|catalog| catalog.encoding.as_deref());
        let mut psql = client.script()?;
        let encoding = encoding.unwrap_or("UTF8");
        psql.write_all(format!("\\encoding {encoding}\n{QUIET}").as_bytes())?;
        psql.write_all(&room)?;
        psql.finish()
    }

    /// Says of a restore that was not one transaction what its failure means.
    fn own_up(&self, error: Error) -> Error {
        let next_step = self.next_step(&error);
        if self.facts.is_atomic() {
            return match next_step {
                Some(hint) => error.hint(hint),
                None => error,
            };
        }
        let error = error.doing("the restore failed on its way").hint(
            "it was not one transaction, so a part of it may be in the target: start again with an empty database",
        );
        match next_step {
            Some(hint) => error.also_hint(hint),
            None => error,
        }
    }

    /// The next step, where it depends on how this restore was done.
    fn next_step(&self, error: &Error) -> Option<&'static str> {
        let in_parts = self.content() == Content::Sql || !self.facts.is_one_transaction();
        match error.cause()? {
            FailureCause::OutOfLocks if in_parts => Some(MORE_LOCKS_HINT),
            FailureCause::OutOfLocks if self.facts.creates => Some(NEW_IN_PARTS_HINT),
            cause => self.facts.way_past(cause),
        }
    }

    fn start(&self, application: &str, tools: &Tools, cancel: &Cancel) -> Result<PgRestore> {
        let client = self.as_dumped.named(application);
        if self.content() == Content::Sql {
            let aside = &self.facts.set_aside;
            let in_utf8 = |statements: String| match statements.is_empty() {
                true => statements,
                false => format!("SET LOCAL client_encoding = 'UTF8';\n{statements}"),
            };
            let before = in_utf8(aside.before());
            return match self.facts.request.create_in_dump_allowed {
                true => PgRestore::text(&client, self.escapes),
                false => PgRestore::sql(
                    &client,
                    self.escapes,
                    &format!("{before}RESET client_encoding;\n"),
                    &in_utf8(format!("RESET SESSION AUTHORIZATION;\n{}", aside.after())),
                ),
            };
        }
        let pg_restore = self.pg_restore(tools, cancel)?;
        log::debug!("using {pg_restore}");
        let mut options = self.options()?;
        if client.is_available() {
            if self.facts.is_atomic() {
                let names = self.facts.toc.as_ref().map(|toc| toc.names());
                let encode = |text: &str| names.unwrap_or_default().encode(text);
                options.before = encode(&self.facts.set_aside.before());
                options.after = encode(&self.facts.set_aside.after());
            }
            options.before.extend(self.facts.room().unwrap_or_default());
        }
        PgRestore::archive(&pg_restore, &client, self.facts.server, options)
    }

    fn options(&self) -> Result<PgRestoreOptions> {
        let mut options = self.facts.request.options.clone();
        options.no_single_transaction = !self.facts.is_one_transaction();
        options.objects_in_transaction = self.facts.objects_in_transaction();
        if let Some(catalog) = &self.facts.toc {
            let (others, event_triggers) = self.in_order(catalog);
            if self.facts.selection.ids.is_some() || !event_triggers.is_empty() {
                let ids = others.into_iter().chain(event_triggers);
                options.list = Some(Arc::new(TocList::new(ids)?));
            }
        }
        Ok(options)
    }

    /// What is restored, and the event triggers that follow it: they fire at whatever is made after them, such as the rows
    /// of a materialized view, which an archive holds behind them.
    fn in_order(&self, catalog: &Toc) -> (Vec<i64>, Vec<i64>) {
        let chosen = catalog.entries.iter();
        let chosen = chosen.filter(|entry| self.facts.selection.holds(entry.id));
        let (last, others): (Vec<&TocEntry>, Vec<&TocEntry>) =
            chosen.partition(|entry| set_aside::is_of_event_trigger(entry));
        let ids = |entries: Vec<&TocEntry>| entries.iter().map(|entry| entry.id).collect();
        (ids(others), ids(last))
    }

    /// Feeds the restore, and kills it rather than letting it see an end of input where anything was wrong.
    fn feed(
        &mut self,
        mut restore: PgRestore,
        cancel: &Cancel,
    ) -> Result<(u64, Option<Box<Summary>>)> {
        match self.copy_to(&mut restore) {
            Ok((bytes, inspector)) => {
                restore.finish()?;
                Ok((bytes, inspector.and_then(whole)))
            }
            Err(error) => {
                restore.abort();
                Err(self.inbound.blame(error, cancel))
            }
        }
    }

    fn copy_to(&mut self, target: &mut impl Write) -> Result<(u64, Option<DumpInspector>)> {
        let meter = Arc::clone(&self.meter);
        if self.content() != Content::Archive {
            let mut inspector = inspector_for(self.content(), false);
            let bytes = self.inbound.copy_to(target, inspector.as_mut(), &meter)?;
            return Ok((bytes, None));
        }
        let mut inspector = DumpInspector::new();
        let edits = self.edits()?;
        let mut target = EditedArchive::new(target, &edits);
        let bytes = self.inbound.copy_to(&mut target, &mut inspector, &meter)?;
        Ok((bytes, Some(inspector)))
    }

    /// What is changed in the archive on its way.
    fn edits(&self) -> Result<ArchiveEdits> {
        let Some(toc) = self.facts.toc.as_deref() else {
            return Ok(ArchiveEdits::default());
        };
        let mut edits = tablespaces::edits(toc, &self.facts.renamed_tablespaces());
        if self.facts.request.allow_broken_keys {
            let chosen = |id| self.facts.selection.holds(id);
            edits.extend(broken_keys::edits(toc, &chosen)?);
        }
        Ok(ArchiveEdits::new(edits))
    }

    /// Decodes the whole archive into a file first: what is damaged reaches no database this way either.
    fn in_parallel(
        &mut self,
        jobs: u32,
        application: &str,
        tools: &Tools,
        cancel: &Cancel,
    ) -> Result<(u64, Option<Box<Summary>>)> {
        let pg_restore = self.pg_restore(tools, cancel)?;
        log::debug!("using {pg_restore}");
        let mut spool = Spool::new(self.expected_bytes(cancel)?)?;
        let (bytes, inspector) = self.copy_to(&mut spool)?;
        let offsets = inspector.as_ref().map_or(&[][..], DumpInspector::offsets);
        let edits = self.edits()?;
        let moved = offsets.iter().map(|offset| Offset {
            field: edits.moved(offset.field),
            block: edits.moved(offset.block),
        });
        let offsets: Vec<Offset> = moved.collect();
        let offset_size = self
            .facts
            .toc
            .as_ref()
            .map_or(8, |catalog| catalog.offset_size);
        let file = spool.finish(&offsets, offset_size)?;

        log::warn!(
            "restoring over {jobs} connections is not one transaction: a failure leaves a part behind"
        );
        let client = self.as_dumped.named(application);
        let mut options = self.options()?;
        // a view that is to be dropped is first replaced by an empty one, which fails where its schema is not there
        options.clean &= !self.facts.is_all_new();
        let Some(toc) = self.facts.toc.as_deref() else {
            pg_restore::parallel(&pg_restore, &client, &options, jobs, &file)?;
            return Ok((bytes, inspector.and_then(whole)));
        };
        for Phase { ids, one_by_one } in phases(&toc.entries, &|id| self.facts.selection.holds(id))
        {
            options.list = Some(Arc::new(TocList::new(ids)?));
            let jobs = if one_by_one { 1 } else { jobs };
            pg_restore::parallel(&pg_restore, &client, &options, jobs, &file)?;
        }
        Ok((bytes, inspector.and_then(whole)))
    }
}

fn whole(inspector: DumpInspector) -> Option<Box<Summary>> {
    match inspector.into_contents() {
        Some(DumpContents::Read(summary)) => Some(summary),
        _ => None,
    }
}

/// Runs these statements, all or none.
fn in_a_transaction(statements: &[u8], encoding: &str, client: &Client) -> Result<()> {
    let mut psql = client.script()?;
    psql.write_all(format!("\\encoding {encoding}\nBEGIN;\n{QUIET}").as_bytes())?;
    psql.write_all(statements)?;
    psql.write_all(b"COMMIT;\n")?;
    psql.finish()
}
