//! The bytes of a backup on their way into the target.

use super::prepare::PreparedRestore;
use super::spool::Spool;
use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::format::sniff::Content;
use crate::postgres::client::Client;
use crate::postgres::locks::Watch;
use crate::postgres::tools::Tools;
use crate::source::logical::archive::tablespaces::{EditedArchive, TablespaceEdits};
use crate::source::logical::archive::{DumpContents, Offset, Summary};
use crate::source::logical::dump_inspector::{DumpInspector, inspector_for};
use crate::source::logical::pg_restore;
use crate::source::logical::pg_restore::{PgRestore, PgRestoreOptions};
use crate::source::logical::toc_list::TocList;
use std::io::Write;
use std::sync::Arc;

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
        let fed = match self.facts.request.jobs {
            Some(jobs) => self.in_parallel(jobs, application, tools, cancel),
            None => {
                let restore = self.start(application, tools, cancel)?;
                self.feed(restore, cancel)
            }
        };
        drop(watch);
        fed.map_err(|error| self.own_up(error))
    }

    /// Says of a restore that was not one transaction what its failure means.
    fn own_up(&self, error: Error) -> Error {
        match self.facts.is_atomic() {
            true => error,
            false => error.doing("the restore failed on its way").hint(
                "it was not one transaction, so a part of it may be in the target: start again with an empty database",
            ),
        }
    }

    fn start(&self, application: &str, tools: &Tools, cancel: &Cancel) -> Result<PgRestore> {
        let client = self.as_dumped.named(application);
        if self.content() == Content::Sql {
            return match self.facts.request.create_in_dump_allowed {
                true => PgRestore::text(&client, self.escapes),
                false => PgRestore::sql(&client, self.escapes),
            };
        }
        let pg_restore = self.pg_restore(tools, cancel)?;
        log::debug!("using {pg_restore}");
        let mut options = self.options()?;
        if client.is_available() {
            options.room = self.facts.room();
        }
        PgRestore::archive(&pg_restore, &client, self.facts.server, options)
    }

    fn options(&self) -> Result<PgRestoreOptions> {
        let mut options = self.facts.request.options.clone();
        if let (Some(catalog), Some(_)) = (&self.facts.toc, &self.facts.selection.ids) {
            let ids = catalog.entries.iter().map(|entry| entry.id);
            let chosen = ids.filter(|id| self.facts.selection.holds(*id));
            options.list = Some(Arc::new(TocList::new(chosen)?));
        }
        Ok(options)
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
        let edits = self.tablespace_edits();
        let mut target = EditedArchive::new(target, &edits);
        let bytes = self.inbound.copy_to(&mut target, &mut inspector, &meter)?;
        Ok((bytes, Some(inspector)))
    }

    /// What is changed in the archive on its way.
    fn tablespace_edits(&self) -> TablespaceEdits {
        let renamed = self.facts.renamed_tablespaces();
        let toc = self.facts.toc.as_deref();
        toc.map_or_else(TablespaceEdits::default, |toc| {
            TablespaceEdits::new(toc, &renamed)
        })
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
        let edits = self.tablespace_edits();
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
        if let Some(room) = self.facts.room().filter(|_| client.is_available()) {
            let catalog = self.facts.toc.as_deref();
            let encoding = catalog.and_then(|catalog| catalog.encoding.as_deref());
            make_room(&room, encoding.unwrap_or("UTF8"), &client)?;
        }
        let mut options = self.options()?;
        // a view that is to be dropped is first replaced by an empty one, which fails where its schema is not there
        options.clean &= !self.facts.is_all_new();
        pg_restore::parallel(&pg_restore, &client, &options, jobs, file)?;
        Ok((bytes, inspector.and_then(whole)))
    }
}

fn whole(inspector: DumpInspector) -> Option<Box<Summary>> {
    match inspector.into_contents() {
        Some(DumpContents::Read(summary)) => Some(summary),
        _ => None,
    }
}

/// Drops what is to be replaced, in a transaction of its own.
fn make_room(room: &[u8], encoding: &str, client: &Client) -> Result<()> {
    let mut psql = client.script()?;
    let begin = format!(
        "\\encoding {encoding}\nBEGIN;\nSET LOCAL client_min_messages = warning;\n\
         SELECT pg_catalog.set_config('search_path', '', true);\n"
    );
    psql.write_all(begin.as_bytes())?;
    psql.write_all(room)?;
    psql.write_all(b"COMMIT;\n")?;
    psql.finish()
}
