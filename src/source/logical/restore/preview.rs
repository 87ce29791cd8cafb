//! What a restore would do, found out without doing it.

use super::created_properties::CreatedProperties;
use super::facts::RestoreFacts;
use super::object_kinds::shown;
use super::prepare::PreparedRestore;
use super::request::cannot;
use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::files::directory::for_large_temporaries;
use crate::format::sniff::Content;
use crate::postgres::tools::Tools;
use crate::repository::located::Located;
use crate::repository::sidecars::read_manifest;
use crate::source::logical::archive::TocEntry;
use crate::source::logical::set_aside::FiringTrigger;
use chrono::{DateTime, Utc};

/// What would happen to which server, from which backup.
#[derive(Debug)]
pub struct RestorePreview {
    /// The backup.
    pub from: String,
    /// When it began; unknown of a file.
    pub started_at: Option<DateTime<Utc>>,
    /// Bytes on storage, where they are known.
    pub stored_bytes: Option<u64>,
    /// Bytes of the dump, where its manifest says so.
    pub plain_bytes: Option<u64>,
    /// Archive or SQL.
    pub content: Content,
    /// The server and database.
    pub target: String,
    /// Who would log in there.
    pub login: String,
    /// The target is not there and would be made.
    pub creates: bool,
    /// What is there of the target is what a restore left behind that did not finish: it would be dropped first.
    pub leftover: Option<String>,
    /// Whom a database that would be made would belong to.
    pub owner: Option<String>,
    /// What the backup holds would be dropped first.
    pub cleans: bool,
    /// The tables, views and sequences that would be dropped with `cleans`, as `table public.orders`; none where no one
    /// could be asked.
    pub drops: Option<Vec<String>>,
    /// Those of the views and foreign keys that someone did not name and would be made again.
    pub taken_along: Vec<String>,
    /// A failure would leave a part behind.
    pub atomic: bool,
    /// The server's major version.
    pub server: Option<u32>,
    /// The server that was dumped, as it called itself.
    pub dumped_server: Option<String>,
    /// The pg_dump that was used.
    pub dumped_by: Option<String>,
    /// The pg_restore that would be used, with its place.
    pub pg_restore: Option<String>,
    /// The tables, views and sequences that would be restored, as `public.orders`.
    pub relations: Option<Vec<String>>,
    /// Roles that the backup refers to and the server lacks.
    pub missing_roles: Vec<String>,
    /// Extensions that are neither in the target nor installed on its server.
    pub missing_extensions: Vec<String>,
    /// What the role may not do and would be left out.
    pub left_out: Vec<String>,
    /// What only a superuser could make elsewhere, and a provider's administrator may or may not; and more locks than a server
    /// promises to have room for; and rows that are added to those of a table.
    pub doubts: Vec<String>,
    /// What may fail by rights that nobody looked at: who owns it, and not who restores, has to have them.
    pub not_looked_at: Vec<String>,
    /// Event triggers and default privileges of the target that are switched off meanwhile.
    pub set_aside: Vec<String>,
    /// Settings of an application that the backup's database has and the target lacks, made for the restore alone.
    pub lent_settings: Vec<String>,
    /// Event triggers of the target that would fire at what is restored, since they belong to someone else.
    pub firing: Vec<FiringTrigger>,
    /// Where the decoded dump would be kept meanwhile.
    pub spool: Option<String>,
    /// Why the restore would be refused.
    pub refusal: Option<Error>,
}

/// What may be refused on the way, and may not.
fn doubts(facts: &RestoreFacts) -> Vec<String> {
    let mut doubts = facts.doubts();
    doubts.extend(facts.locks_in_doubt());
    doubts.extend(facts.rows_beside_rows());
    doubts
}

/// Finds out.
pub(super) fn run(
    prepared: &mut PreparedRestore,
    tools: &Tools,
    cancel: &Cancel,
) -> Result<RestorePreview> {
    let refusal = prepared.refusal.take();
    let refusal =
        refusal.map(|refusal| refusal.doing(cannot(prepared.selected, prepared.facts.request)));
    let (job, catalog) = (prepared.facts.request, prepared.facts.toc.as_deref());
    let (started_at, stored_bytes, plain_bytes) = match prepared.selected {
        Located::Stored { storage, entry } => {
            let manifest = read_manifest(storage.as_ref(), entry, cancel)?;
            let plain = manifest.and_then(|manifest| Some(manifest.dump()?.dump.bytes));
            (Some(entry.id.timestamp.moment()), Some(entry.bytes), plain)
        }
        Located::File(path) => {
            let bytes = std::fs::metadata(path).ok().map(|found| found.len());
            (None, bytes, None)
        }
    };
    let pg_restore = match prepared.content() {
        // without one the restore is refused
        Content::Archive => prepared.pg_restore(tools, cancel).ok(),
        _ => None,
    };
    let mut preview = RestorePreview {
        from: prepared.selected.shown(),
        started_at,
        stored_bytes,
        plain_bytes,
        content: prepared.content(),
        target: job.session.shown().to_string(),
        login: job.session.user().to_string(),
        creates: prepared.maintenance.is_some(),
        leftover: prepared.facts.leftover.clone(),
        owner: prepared
            .maintenance
            .as_ref()
            .and_then(|_| prepared.facts.owner(&[])),
        cleans: job.options.clean,
        drops: prepared
            .facts
            .drop_effects
            .as_ref()
            .map(|outlook| outlook.dropped.clone()),
        taken_along: prepared.facts.selection.taken_along.clone(),
        atomic: prepared.facts.is_atomic(),
        server: prepared.facts.server,
        dumped_server: catalog.map(|catalog| catalog.server_version.clone()),
        dumped_by: catalog.map(|catalog| catalog.pg_dump_version.clone()),
        pg_restore: pg_restore.map(|tool| tool.to_string()),
        relations: catalog.map(|catalog| {
            let relations = prepared.facts.selection.relations(catalog);
            relations.map(shown).collect()
        }),
        missing_roles: Vec::new(),
        missing_extensions: Vec::new(),
        left_out: prepared.facts.selection.left_out.clone(),
        doubts: doubts(&prepared.facts),
        not_looked_at: prepared.facts.computed_as_others(),
        set_aside: prepared.facts.set_aside.names.clone(),
        lent_settings: prepared.facts.lent_settings.clone(),
        firing: prepared.facts.set_aside.firing.clone(),
        spool: job
            .jobs
            .map(|_| for_large_temporaries().display().to_string()),
        refusal,
    };
    if let Some(server) = &prepared.maintenance {
        let properties = CreatedProperties::of(&prepared.facts);
        match properties.foreseen(&prepared.facts, server) {
            Ok(foreseen) => preview.left_out.extend(foreseen),
            // such as of a standby, which is refused for what it is
            Err(error) => {
                cancel.check()?;
                log::debug!("what would be left out is not known: {}", error.chain());
            }
        }
    }
    if let Some(catalog) = catalog {
        let chosen = catalog.entries.iter();
        let chosen: Vec<&TocEntry> = chosen
            .filter(|entry| prepared.facts.selection.holds(entry.id))
            .collect();
        preview.missing_roles = prepared
            .facts
            .missing_roles(catalog, &chosen)
            .into_iter()
            .collect();
        preview.missing_extensions = prepared.facts.missing_extensions(&chosen);
    }
    Ok(preview)
}
