//! All that is known before a restore begins: what the archive says of itself, what the target is, what will be
//! restored. Whatever is refused is refused here, while nothing has been changed.

use super::RestoreRequest;
use super::created_database;
use super::preflight::{not_empty, together};
use super::selection;
use super::selection::{TocSelection, choose};
use super::target_state::TargetState;
use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::format::read_pipeline::Inbound;
use crate::format::seal::Keys;
use crate::format::sniff::Content;
use crate::postgres::client::{APPLICATION, Client};
use crate::postgres::databases;
use crate::postgres::session::Session;
use crate::postgres::tools::{Tool, Tools};
use crate::progress::{Meter, Progress};
use crate::repository::located::Located;
use crate::repository::manifest::TableName;
use crate::repository::open;
use crate::repository::open::{Bytes, Rules};
use crate::repository::sidecars::read_manifest;
use crate::source::logical::archive::{DumpVersion, Toc, TocProgress, TocReader};
use crate::source::logical::drop_existing;
use crate::text::escape::printable;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What the first member of a dump in pg_dump's tar format is called.
const TAR: &[u8] = b"toc.dat\0";

/// A backup, opened, and the target that it goes to.
pub struct Plan<'a> {
    pub(super) selected: &'a Located,
    pub(super) keys: &'a dyn Fn() -> Result<Keys>,
    pub(super) rules: &'a Rules<'a>,
    pub(super) job: &'a RestoreRequest,
    pub(super) inbound: Inbound<Bytes>,
    /// Shown until the restore is over.
    pub(super) progress: Option<Progress>,
    pub(super) meter: Arc<Meter>,
    /// What stands before the data; none for SQL and for archives of an unknown version.
    pub(super) catalog: Option<Box<Toc>>,
    pub(super) choice: TocSelection,
    /// At the target; without psql, where that is not installed.
    pub(super) client: Client,
    /// The major version of the server.
    pub(super) server: Option<u32>,
    /// Another database of the server, where the target is not there and is to be made.
    pub(super) maintenance: Option<Client>,
    /// The client to restore with, with the settings that the backup was dumped with.
    pub(super) as_dumped: Client,
    /// What the target holds, where someone could be asked.
    pub(super) holds: Option<TargetState>,
    /// What the comment on the target says, where that is what a restore left behind that did not finish.
    pub(super) leftover: Option<String>,
    /// What making room would mean, where that is to be done.
    pub(super) outlook: Option<drop_existing::DropEffects>,
    /// Why it would be refused.
    pub(super) refusal: Option<Error>,
}

impl<'a> Plan<'a> {
    /// Opens `selected` and looks at the target of `job`.
    pub fn make(
        selected: &'a Located,
        keys: &'a dyn Fn() -> Result<Keys>,
        rules: &'a Rules,
        job: &'a RestoreRequest,
        tools: &Tools,
        cancel: &Cancel,
    ) -> Result<Plan<'a>> {
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
        let client = Client::new(tools, job.session.clone(), APPLICATION, cancel)?;
        let client = match content == Content::Sql || job.create || job.globals {
            true => client.required()?,
            false => client,
        };
        let (maintenance, leftover) = match client.is_available() {
            true => target(&client, job)?,
            false => (None, None),
        };
        let reachable = maintenance.as_ref().unwrap_or(&client);
        let server = reachable.major_if_known()?;
        let as_dumped = as_dumped(selected, reachable)?.to_database(client.database());
        let encoding = catalog
            .as_ref()
            .and_then(|catalog| catalog.encoding.as_deref());
        let holds = match &maintenance {
            Some(other) => Some(TargetState::ask_beside(other, encoding)?),
            None if client.is_available() => Some(TargetState::ask(&client)?),
            None => None,
        };
        let choice = match &catalog {
            Some(catalog) => {
                let clean = job.options.clean;
                choose(catalog, &job.subset, clean, job.create, holds.as_ref())?
            }
            None => TocSelection::default(),
        };
        let mut plan = Plan {
            selected,
            keys,
            rules,
            job,
            inbound,
            progress: Some(progress),
            meter,
            catalog,
            choice,
            client,
            server,
            maintenance,
            as_dumped,
            holds,
            leftover,
            outlook: None,
            refusal: None,
        };
        plan.refusal = together(plan.object(tools, cancel)?);
        Ok(plan)
    }

    /// What the plain stream holds.
    pub fn content(&self) -> Content {
        self.inbound.facts().content
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
        tools.pg_restore(needed, self.server, cancel)
    }

    /// The client at the target, or at another database of its server while there is no target.
    pub fn reachable(&self) -> &Client {
        self.maintenance.as_ref().unwrap_or(&self.client)
    }

    /// The tables that get their rows restored.
    pub fn tables_with_rows(&self) -> BTreeSet<TableName> {
        let catalog = self.catalog.as_deref();
        catalog.map_or_else(BTreeSet::new, |catalog| {
            selection::tables_with_rows(catalog, &self.choice)
        })
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
fn catalog(inbound: &mut Inbound<Bytes>) -> Result<Option<Box<Toc>>> {
    let mut reader = TocReader::default();
    let mut catalog = None;
    inbound.look_ahead(&mut |bytes| match reader.feed(bytes)? {
        TocProgress::More => Ok(false),
        TocProgress::Unknown => Ok(true),
        TocProgress::Whole(whole) => {
            catalog = Some(whole);
            Ok(true)
        }
    })?;
    Ok(catalog)
}

/// Refuses what is no dump, and SQL that nobody allowed.
fn permit(
    inbound: &Inbound<Bytes>,
    selected: &Located,
    job: &RestoreRequest,
    tools: &Tools,
    cancel: &Cancel,
) -> Result<()> {
    const ANOTHER: &str = "restore another backup; see them with: backupkit list";
    let shown = selected.shown();
    let for_archives = [
        (job.options.clean, "--clean"),
        (job.jobs.is_some(), "--jobs"),
        (!job.subset.is_whole(), "choosing a part"),
    ];
    match inbound.facts().content {
        Content::Archive => Ok(()),
        Content::Empty => Err(Error::damaged(format!("{shown} is empty")).hint(ANOTHER)),
        Content::Unknown if inbound.head().starts_with(TAR) => Err(Error::damaged(format!(
            "{shown} is a dump in pg_dump's tar format, and BackupKit restores the custom format and SQL"
        ))
        .hint(format!(
            "restore it by hand: pg_restore --format=tar --single-transaction --dbname={} FILE",
            job.session.database()
        ))),
        Content::Unknown => Err(Error::damaged(format!(
            "{shown} is neither an archive of pg_dump nor SQL"
        ))
        .hint(ANOTHER)),
        Content::Sql if !job.sql_allowed => Err(refuse_sql(&shown, job, tools, cancel)?),
        Content::Sql => match for_archives.into_iter().find(|(wanted, _)| *wanted) {
            Some((_, what)) => Err(Error::refused(format!("{what} does not work with SQL text"))
                .hint("restore all of it into an empty database instead: --to NAME --create")),
            None => Ok(()),
        },
    }
}

/// Tells at once all that stands in the way of SQL text.
fn refuse_sql(shown: &str, job: &RestoreRequest, tools: &Tools, cancel: &Cancel) -> Result<Error> {
    let mut hint =
        "run it with psql by --allow-sql-fallback if you trust where it comes from".to_string();
    let client = Client::new(tools, job.session.clone(), APPLICATION, cancel)?;
    let found = match not_empty(&client) {
        Err(error) if error.ends_the_run() => return Err(error),
        other => other.ok().flatten(),
    };
    if let Some(what) = found {
        hint += &format!(
            "\nand into an empty database, such as by --to NAME --create: {} has {what}",
            job.session.shown()
        );
    }
    Ok(Error::refused(format!("{shown} holds SQL text, which can do anything")).hint(hint))
}
