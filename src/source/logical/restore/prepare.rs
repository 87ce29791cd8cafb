//! Looks at the backup and at the target, changing nothing: gathers the facts of a restore and opens what it will need.
//! Whatever is refused is refused here.

use super::created_database;
use super::facts::{Origin, RestoreFacts, UnknownLocales, WantedRoom};
use super::lock_table::LockTable;
use super::permitted::permit;
use super::refusals::together;
use super::request::RestoreRequest;
use super::selection::{TocSelection, choose};
use super::spool;
use super::target_state::{TargetState, not_empty};
use super::writable::Writing;
use crate::cancel::Cancel;
use crate::cause::FailureCause;
use crate::error::{Doing, Error, Kind, Result};
use crate::format::read_pipeline::Inbound;
use crate::format::seal::Keys;
use crate::format::sniff::Content;
use crate::postgres::client::{APPLICATION, Client};
use crate::postgres::databases;
use crate::postgres::explain::NO_TARGET_HINT;
use crate::postgres::pooler;
use crate::postgres::session::{Session, session_setting};
use crate::postgres::text_settings;
use crate::postgres::tools::{Tool, Tools};
use crate::progress::{Meter, Progress};
use crate::repository::located::Located;
use crate::repository::open;
use crate::repository::open::Rules;
use crate::repository::sidecars::read_manifest;
use crate::source::logical::archive::{DumpVersion, Toc, TocProgress, TocReader};
use crate::source::logical::database_properties;
use crate::source::logical::drop_existing;
use crate::source::logical::dump_inspector::inspector_for;
use crate::source::logical::foreign_text::ForeignText;
use crate::source::logical::pg_restore;
use crate::source::logical::set_aside::SetAside;
use crate::source::logical::stored_globals;
use crate::text::escape::printable;
use std::io;
use std::sync::Arc;

/// A backup, opened, the way to its target, and what is known of both.
pub struct PreparedRestore<'a> {
    pub(super) facts: RestoreFacts<'a>,
    pub(super) selected: &'a Located,
    pub(super) keys: &'a dyn Fn() -> Result<Keys>,
    pub(super) rules: &'a Rules<'a>,
    pub(super) inbound: Inbound,
    /// Shown until the restore is over.
    pub(super) progress: Option<Progress>,
    pub(super) meter: Arc<Meter>,
    /// At the target; without psql, where that is not installed.
    pub(super) client: Client,
    /// Another database of the server, where the target is not there and is to be made.
    pub(super) maintenance: Option<Client>,
    /// The client to restore with, with the settings that the backup was dumped with.
    pub(super) as_dumped: Client,
    /// The server takes a backslash in the quotes of SQL text for an escape, unless the text says otherwise.
    pub(super) escapes: bool,
    /// Why it would be refused.
    pub(super) refusal: Option<Error>,
}

impl<'a> PreparedRestore<'a> {
    /// Opens `selected` and looks at the target of `job`.
    pub fn make(
        selected: &'a Located,
        keys: &'a dyn Fn() -> Result<Keys>,
        rules: &'a Rules,
        job: &'a RestoreRequest,
        tools: &Tools,
        cancel: &Cancel,
    ) -> Result<PreparedRestore<'a>> {
        refuse_templates(&job.session)?;
        let progress = Progress::start(&format!("looking at {}", job.session.database()));
        let meter = progress.meter();
        let mut inbound = open::open(selected, keys, rules, Arc::clone(&meter), cancel)?;
        let content = inbound.facts().content;
        permit(&inbound, selected, job, tools, cancel)?;
        let catalog = match content {
            Content::Archive => catalog(&mut inbound)?,
            _ => None,
        };
        if catalog.is_none() && !job.subset.is_whole() {
            return Err(Error::usage(
                "a part can be chosen only from an archive of pg_dump whose version is known",
            )
            .hint("restore all of it, into a database of its own: --to NAME --create"));
        }
        if catalog.is_none() && !job.tablespaces.is_empty() {
            return Err(Error::usage(
                "what lies in which tablespace is known only of an archive of pg_dump whose version is known",
            )
            .hint("restore it with --no-tablespaces, or make the tablespaces on the server"));
        }
        let client = Client::new(tools, job.session.clone(), APPLICATION, cancel)?.in_english()?;
        let client =
            match content == Content::Sql || job.create || job.globals || job.allow_broken_keys {
                true => client.required()?,
                false => client,
            };
        let (maintenance, leftover) = match client.is_available() {
            true => target(&client, job).map_err(|error| match error.cause() {
                Some(FailureCause::DatabaseUnavailable) => error.hint_instead(NO_TARGET_HINT),
                _ => error,
            })?,
            false => (None, None),
        };
        let (client, maintenance, writing) = set_to_restore(client, maintenance)?;
        let reachable = maintenance.as_ref().unwrap_or(&client);
        let server = reachable.major_if_known()?;
        pooler::require_own_session(reachable)?;
        let as_dumped = as_dumped(selected, reachable)?.to_database(client.database());
        let as_dumped = as_dumped.with_session(as_dumped.session().in_time_zone_of_database());
        let encoding = catalog
            .as_ref()
            .and_then(|catalog| catalog.encoding.as_deref());
        let holds = match &maintenance {
            Some(other) => Some(TargetState::ask_beside(other, server, encoding)?),
            None if client.is_available() => Some(TargetState::ask(&client, server)?),
            None => None,
        };
        let choice = match &catalog {
            Some(catalog) => choose(catalog, job, holds.as_ref())?,
            None => TocSelection::default(),
        };
        let origin = match selected {
            Located::Stored { .. } => Origin::Storage,
            Located::File(_) => Origin::File,
        };
        let mut facts = RestoreFacts {
            request: job,
            origin,
            content,
            toc: catalog,
            selection: choice,
            server,
            creates: maintenance.is_some(),
            target: holds,
            leftover,
            writing,
            relations_there: None,
            drop_effects: None,
            unknown_locales: UnknownLocales::default(),
            set_aside: SetAside::default(),
            lent_settings: Vec::new(),
            lock_table: None,
        };
        let objection = facts.selection.objection.take();
        let mut prepared = PreparedRestore {
            facts,
            selected,
            keys,
            rules,
            inbound,
            progress: Some(progress),
            meter,
            client,
            maintenance,
            as_dumped,
            escapes: false,
            refusal: None,
        };
        let mut found = Vec::new();
        found.extend(prepared.globals(cancel).err());
        if content == Content::Archive {
            // before anything is made for it
            found.extend(prepared.pg_restore(tools, cancel).err());
        }
        if job.jobs.is_some() {
            found.extend(prepared.not_in_parallel(tools, cancel).err());
            found.extend(prepared.too_few_connections()?);
        }
        cancel.check()?;
        found.extend(objection);
        if let Some(server) = &prepared.maintenance {
            prepared.facts.unknown_locales = prepared.facts.unknown_locales(server)?;
        }
        prepared.ask_the_target()?;
        found.extend(prepared.facts.refusals());
        if content == Content::Sql {
            found.extend(prepared.commands_for_psql(cancel)?);
        }
        prepared.refusal = together(found);
        Ok(prepared)
    }

    /// Has the sessions that restore make these settings, where whatever stands before the server lets them pass.
    pub(super) fn set_for_rows(&mut self, settings: &str) -> Result<bool> {
        let session = self.as_dumped.session().with_settings(settings);
        let client = self.as_dumped.with_session(session);
        match client.query("SELECT 1") {
            Ok(_) => {
                self.as_dumped = client;
                Ok(true)
            }
            Err(error) => {
                client.cancel().check()?;
                log::debug!("the server takes no settings: {}", error.chain());
                Ok(false)
            }
        }
    }

    /// Reads SQL text to its end, and refuses one that holds commands for psql before psql gets any of it.
    fn commands_for_psql(&mut self, cancel: &Cancel) -> Result<Option<Error>> {
        if let Err(refusal) = self.client.require_restriction() {
            return Ok(Some(refusal));
        }
        self.escapes = !self.reachable().takes_backslashes_as_they_are()?;
        let shown = self.selected.shown();
        log::info!("looking for commands of psql in {shown}");
        let may_connect = self.facts.request.create_in_dump_allowed;
        let mut text = ForeignText::begin(io::sink(), may_connect, self.escapes)?;
        let meter = Arc::clone(&self.meter);
        let mut inspector = inspector_for(Content::Sql, false);
        let read = self.inbound.copy_to(&mut text, inspector.as_mut(), &meter);
        let read = read.and_then(|_| text.end());
        if let Err(error) = read {
            return match error.kind() {
                Kind::Refused => Ok(Some(error)),
                _ => Err(error.doing(format!("cannot read {shown}"))),
            };
        }
        self.inbound = open::open(self.selected, self.keys, self.rules, meter, cancel)?;
        Ok(None)
    }

    /// Gathers what the target tells about room for what is restored.
    fn ask_the_target(&mut self) -> Result<()> {
        if !self.client.is_available() {
            log::info!("psql is not installed, so whether the target is empty is not checked");
            return Ok(());
        }
        let reachable = self.maintenance.as_ref().unwrap_or(&self.client);
        let facts = &mut self.facts;
        let providers = facts.label_providers();
        if let Some(target) = &mut facts.target {
            target.ask_for_providers(reachable, &providers)?;
        }
        if facts.wants_room() == WantedRoom::Everything {
            facts.relations_there = not_empty(&self.client)?;
        }
        if let (Some(toc), true) = (facts.toc.as_deref(), facts.drops_first()) {
            let look = |selection: &TocSelection| {
                let chosen = |id| selection.holds(id);
                drop_existing::outlook(toc, &chosen, &self.client).doing(|| {
                    let target = self.client.shown();
                    format!("cannot see what is to be dropped from {target}")
                })
            };
            let mut effects = look(&facts.selection)?;
            if let Some(target) = &facts.target {
                while facts.selection.take_along(toc, &effects.lost, target) {
                    effects = look(&facts.selection)?;
                }
            }
            facts.drop_effects = Some(effects);
        }
        if facts.toc.is_some() {
            let client = self.maintenance.as_ref().unwrap_or(&self.client);
            facts.lock_table = Some(LockTable::ask(client, facts.server)?);
        }
        if !facts.creates && facts.leftover.is_none() {
            let (toc, clean) = (facts.toc.as_deref(), facts.request.options.clean);
            let chosen = |id| facts.selection.holds(id);
            facts.set_aside = SetAside::ask(&self.client, toc, &chosen, clean).doing(|| {
                let target = self.client.shown();
                format!("cannot see which event triggers and default privileges {target} has")
            })?;
            self.lend_settings()?;
        }
        Ok(())
    }

    /// Has the sessions that restore make the settings of the application that their own database lacks.
    fn lend_settings(&mut self) -> Result<()> {
        let Some(toc) = &self.facts.toc else {
            return Ok(());
        };
        let known = &toc.properties.known;
        let lack = database_properties::application_settings_that_lack(&self.client, known)?;
        let settings = lack
            .iter()
            .map(|(name, value)| session_setting(name, value));
        let settings: Vec<String> = settings.collect();
        let names = lack.iter().map(|(name, _)| name.to_string()).collect();
        if !settings.is_empty() && self.set_for_rows(&settings.join(" "))? {
            self.facts.lent_settings = names;
        }
        Ok(())
    }

    /// Refuses what cannot be done over several connections.
    fn not_in_parallel(&self, tools: &Tools, cancel: &Cancel) -> Result<()> {
        let pg_restore = self.pg_restore(tools, cancel)?;
        if pg_restore::sets_too_much(&pg_restore, self.facts.server) {
            return Err(Error::refused(format!(
                "{pg_restore} cannot restore over several connections into a server as old as this one"
            ))
            .hint("restore without --jobs"));
        }
        if self.facts.request.options.clean && !self.facts.is_all_new() {
            self.facts.require_circular_views()?;
        }
        spool::require_room(self.expected_bytes(cancel)?)
    }

    /// The roles beside the backup, if they are wanted.
    pub(super) fn globals(&self, cancel: &Cancel) -> Result<Option<Vec<u8>>> {
        if !self.facts.request.globals {
            return Ok(None);
        }
        let Located::Stored { storage, entry } = self.selected else {
            return Err(Error::usage("--globals is for a backup on a storage").hint(
                "name it by its database and time stamp, or restore the roles by hand with psql",
            ));
        };
        let sealed_only = self.facts.request.sealed_only && !self.rules.force;
        stored_globals::read(storage.as_ref(), &entry.id, self.keys, sealed_only, cancel).map(Some)
    }

    /// About how large the plain dump is.
    pub(super) fn expected_bytes(&self, cancel: &Cancel) -> Result<u64> {
        match self.selected {
            Located::Stored { storage, entry } => {
                let manifest = read_manifest(storage.as_ref(), entry, cancel)?;
                Ok(manifest
                    .as_ref()
                    .and_then(|manifest| manifest.dump())
                    .map_or(entry.bytes, |part| part.dump.bytes))
            }
            Located::File(path) => Ok(std::fs::metadata(path).map_or(0, |metadata| metadata.len())),
        }
    }

    /// What the plain stream holds.
    pub fn content(&self) -> Content {
        self.facts.content
    }

    /// What the container says that it is.
    pub fn label(&self) -> Option<String> {
        self.inbound.facts().label.as_deref().map(printable)
    }

    /// The pg_restore for this archive and this server.
    pub fn pg_restore(&self, tools: &Tools, cancel: &Cancel) -> Result<Tool> {
        let needed = DumpVersion::of_head(self.inbound.head())
            .and_then(DumpVersion::oldest_pg_restore)
            .unwrap_or(0);
        tools.pg_restore(needed, self.facts.server, cancel)
    }

    /// The client at the target, or at another database of its server while there is no target.
    pub fn reachable(&self) -> &Client {
        self.maintenance.as_ref().unwrap_or(&self.client)
    }
}

/// Refuses the databases that every new one is copied from: whatever is in them is in that one, too.
fn refuse_templates(session: &Session) -> Result<()> {
    match session.database() {
        name @ ("template0" | "template1") => Err(Error::refused(format!(
            "{} is no target: every database that is made is a copy of {name}",
            session.shown()
        ))
        .hint("restore into a database of its own: --to NAME --create")),
        _ => Ok(()),
    }
}

/// Both clients with sessions that may write, as far as the server lets them, and that read the text of a dump as it is meant.
fn set_to_restore(
    client: Client,
    maintenance: Option<Client>,
) -> Result<(Client, Option<Client>, Writing)> {
    let reachable = maintenance.as_ref().unwrap_or(&client);
    if !reachable.is_available() {
        return Ok((client, maintenance, Writing::Allowed));
    }
    let asked = Writing::ask(reachable);
    let (writing, to_write) = asked.doing(|| format!("cannot connect to {}", reachable.shown()))?;
    let to_read = text_settings::lacking(reachable)?;
    let settings = [to_write, &to_read].join(" ");
    if settings.trim().is_empty() {
        return Ok((client, maintenance, writing));
    }
    let set = |client: Client| {
        let session = client.session().with_settings(settings.trim());
        client.with_session(session)
    };
    Ok((set(client), maintenance.map(set), writing))
}

/// The client, with the settings that the backup was dumped with: amounts of money are read as they were written.
fn as_dumped(selected: &Located, client: &Client) -> Result<Client> {
    let manifest = match selected {
        Located::Stored { storage, entry } => {
            read_manifest(storage.as_ref(), entry, client.cancel())
        }
        Located::File(_) => Ok(None),
    };
    match manifest {
        Ok(Some(manifest)) if manifest.dump().is_some_and(|part| part.dump.fixed_output) => {
            let fixed = client.with_fixed_output()?;
            Ok(fixed.unwrap_or_else(|| client.clone()))
        }
        Ok(_) => Ok(client.clone()),
        // whether the archive is whole does not depend on its manifest
        Err(error) => {
            client.cancel().check()?;
            log::debug!("the manifest is not known: {}", error.chain());
            Ok(client.clone())
        }
    }
}

/// Another database of the server, if the target is not there or is what a restore left behind, and may be made; and what
/// was left behind.
fn target(client: &Client, job: &RestoreRequest) -> Result<(Option<Client>, Option<String>)> {
    let name = client.database();
    if !job.create {
        return Ok((None, created_database::leftover(client, name)?));
    }
    let maintenance = databases::maintenance(client, &job.known)?;
    let leftover = created_database::leftover(&maintenance, name)?;
    let is_there = leftover.is_none() && databases::exists(&maintenance, name)?;
    Ok(((!is_there).then_some(maintenance), leftover))
}

/// Reads the archive up to its data; none for a version that we do not know.
fn catalog(inbound: &mut Inbound) -> Result<Option<Box<Toc>>> {
    let mut reader = TocReader::default();
    let mut catalog = None;
    inbound.look_ahead(&mut |bytes| match reader.feed(bytes)? {
        TocProgress::More => Ok(false),
        TocProgress::Unknown(_) => Ok(true),
        TocProgress::Whole(whole) => {
            catalog = Some(whole);
            Ok(true)
        }
    })?;
    Ok(catalog)
}
