//! The manifest of a base backup and the small files beside its objects, without which those are none.

use super::job::{BaseJob, BegunBackup};
use super::receive::ReceivedBackup;
use crate::error::{Error, Result};
use crate::repository::manifest::{
    ClusterFacts, Manifest, ObjectsPart, SCHEMA, Source, SourcePart,
};
use crate::repository::names::BackupId;
use crate::repository::{checksum_line, manifest_details};
use crate::source::physical::base_inspector::BaseFacts;
use crate::source::physical::basis::Basis;
use crate::source::physical::details::{
    ClusterDetails, DamagedPage, DatabaseFacts, TablespaceFacts,
};
use chrono::{DateTime, Utc};

/// So many damaged pages are written down.
const LISTED: usize = 100;
/// So many of them are told.
const TOLD: usize = 3;

/// What makes objects a backup.
pub(super) struct DescribedBackup {
    pub manifest: Manifest,
    /// The small files and what is in them, the manifest last.
    pub files: Vec<(String, Vec<u8>)>,
    /// Pages were damaged on the server already: it is stored, and the run fails.
    pub failure: Option<Error>,
}

/// The pages that were damaged on the server already.
struct SourceDamage {
    /// How many, as far as is known.
    count: u64,
    /// Those that we saw as well.
    seen: Vec<DamagedPage>,
}

/// Describes what was received, which ended at `now`.
pub(super) fn describe(
    job: &BaseJob,
    begun: &BegunBackup,
    basis: &Basis,
    received: ReceivedBackup,
    now: DateTime<Utc>,
) -> Result<DescribedBackup> {
    let id = &begun.id;
    let damage = source_damage(&received);
    let details = details(begun, basis, &received.facts, damage.as_ref());
    let mut part = ObjectsPart {
        kind: begun.kind,
        objects: received.objects,
        parent: basis.parent().map(|parent| parent.to_string()),
        cluster: Some(ClusterFacts {
            system_identifier: begun.system_identifier.to_string(),
            server_version: begun.server.version.clone(),
            timeline: begun.start.timeline,
            start_lsn: begun.start.start_lsn.to_string(),
            stop_lsn: received.end.stop_lsn.to_string(),
            start_time: id.timestamp.moment(),
            stop_time: now,
            wal_segment_size: begun.server.wal_segment_size,
            checksums: begun.server.checksums,
            damaged_pages: damage.as_ref().map_or(0, |damage| damage.count),
            bytes: Some(received.facts.bytes()),
        }),
        details: None,
        details_sealed: None,
    };
    let details = serde_json::to_value(&details)
        .map_err(|error| Error::failed("cannot write the details of a backup").because(error))?;
    match &job.keys {
        Some(keys) => manifest_details::seal_details(&mut part, details, keys, id)?,
        None => part.details = Some(details),
    }
    let checksums = part.objects.iter().map(|object| {
        let line = checksum_line::line(&object.sha256, &object.key);
        (format!("{}.sha256", object.key), line.into_bytes())
    });
    let mut files: Vec<(String, Vec<u8>)> = checksums.collect();
    let manifest = Manifest {
        schema: SCHEMA,
        tool: format!("backupkit {}", env!("CARGO_PKG_VERSION")),
        database: job.cluster.clone(),
        started_at: id.timestamp.moment(),
        finished_at: now,
        source: Some(Source {
            system_identifier: Some(begun.system_identifier.to_string()),
            host: job.session.host().to_string(),
            port: job.session.port().to_string(),
            database: String::new(),
        }),
        part: SourcePart::Objects(Box::new(part)),
    };
    files.push((id.manifest_key(), manifest.to_json()?));
    Ok(DescribedBackup {
        manifest,
        files,
        failure: damage.map(|damage| damaged(id, &damage)),
    })
}

/// What is damaged: by the server's word, since what we alone saw may be torn, and it looks twice; and what it looks at not at all.
fn source_damage(received: &ReceivedBackup) -> Option<SourceDamage> {
    let facts = &received.facts;
    let unreplaced = facts.unreplaced_pages();
    let (told, count) = match received.end.has_damaged_pages {
        true => (facts.page_failures(), facts.page_failure_count().max(1)),
        false => (&[][..], 0),
    };
    let seen = told.iter().chain(unreplaced).map(|page| DamagedPage {
        file: page.file.clone(),
        block: page.block,
    });
    let damage = SourceDamage {
        count: count + unreplaced.len() as u64,
        seen: seen.take(LISTED).collect(),
    };
    (damage.count > 0).then_some(damage)
}

fn details(
    begun: &BegunBackup,
    basis: &Basis,
    facts: &BaseFacts,
    damage: Option<&SourceDamage>,
) -> ClusterDetails {
    let databases = begun.server.databases.iter();
    let databases = databases.map(|(oid, name)| DatabaseFacts {
        oid: *oid,
        name: name.clone(),
        bytes: facts.database_bytes(*oid),
    });
    let tablespaces = begun.start.tablespaces.iter().filter_map(|tablespace| {
        Some(TablespaceFacts {
            oid: tablespace.oid?,
            path: tablespace.path.clone()?,
        })
    });
    ClusterDetails {
        databases: databases.collect(),
        tablespaces: tablespaces.collect(),
        superuser: begun.server.superuser.clone(),
        files: facts.file_count(),
        settings: begun.server.settings.clone(),
        configuration: begun.server.configuration.clone().unwrap_or_default(),
        source_damage: damage.map_or(Vec::new(), |damage| damage.seen.clone()),
        full_because: basis.full_because().map(str::to_string),
    }
}

fn damaged(id: &BackupId, damage: &SourceDamage) -> Error {
    let told = damage.seen.iter().take(TOLD);
    let mut told: Vec<String> = told
        .map(|page| format!("{} block {}", page.file, page.block))
        .collect();
    match damage.count.saturating_sub(told.len() as u64) {
        0 => {}
        _ if told.is_empty() => told.push("its log names them".into()),
        more => told.push(format!("and {more} more")),
    }
    Error::failed(format!(
        "the server has damaged pages in its own files: {}",
        told.join(", ")
    ))
    .hint(format!(
        "what there is was stored as {id} and never counts as good; see the runbook (man 7 backupkit-runbook) about a damaged page"
    ))
}
