//! `backup` of a cluster: all of its files as the server sends them, stored whole or not at all, on one storage or on several.
//!
//! ```text
//! the WAL connection   a temporary slot, then WAL from the start of the backup to its end   <timestamp>.wal.tar
//! the base connection  one tar a tablespace, the data directory, backup_manifest            their objects
//! ```
//!
//! Both run at the same time, so that no WAL is gone before it is read. Nothing appears before both have ended, every file was
//! compared with backup_manifest, and the manifest of ours is written.

use super::backup::{BackupTime, StoredBackup};
use crate::cancel::Cancel;
use crate::error::{Error, Kind, Result};
use crate::files::random;
use crate::format::codec::{self, CodecOptions};
use crate::format::encoding::{ArchiveEncoding, Cipher};
use crate::format::inspect::NoInspection;
use crate::format::seal::Keys;
use crate::format::write_pipeline::{self, Stages, WrittenArchive};
use crate::postgres::client::{APPLICATION, Client, application_name};
use crate::postgres::replication::{
    BaseBackupEnd, BaseBackupOptions, BaseBackupStart, BaseBackupStream, CheckpointSpeed, Lsn,
    ObjectKind, ReplicationConnection,
};
use crate::postgres::session::Session;
use crate::postgres::tools::Tools;
use crate::progress::{Meter, Progress};
use crate::repository::copies::{Archives, CommittedCopies, Copies};
use crate::repository::manifest::{
    ClusterFacts, Manifest, ObjectsPart, SCHEMA, Source, SourcePart, StoredObject,
};
use crate::repository::names::{BackupId, ObjectName, Part, Timestamp};
use crate::repository::places::{Place, Places};
use crate::repository::run_mark::RunMark;
use crate::repository::source_kind::SourceKind;
use crate::repository::{Expected, checksum_line, manifest_details};
use crate::source::physical::base_inspector::{BaseFacts, BaseInspector, BasePart};
use crate::source::physical::basis::{self, Basis, BasisRequest};
use crate::source::physical::details::{
    ClusterDetails, DamagedPage, DatabaseFacts, TablespaceFacts,
};
use crate::source::physical::server_facts::ServerFacts;
use crate::source::physical::wal_tar::{WalEnd, WalTar};
use crate::text::human::human_bytes;
use chrono::{DateTime, Utc};
use std::cell::Cell;
use std::fmt;
use std::io::{self, Read};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

/// What is made of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BaseType {
    /// All of it.
    Full,
    /// What changed since the backup before.
    Incremental,
}

impl fmt::Display for BaseType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BaseType::Full => "full",
            BaseType::Incremental => "incr",
        })
    }
}

/// One cluster to back up, with everything resolved.
pub struct BaseJob<'a> {
    /// The cluster's `name`.
    pub cluster: String,
    /// How to reach it, as a role with REPLICATION.
    pub session: Session,
    pub codec: CodecOptions,
    /// The keys to seal with; `None` stores in the clear.
    pub keys: Option<Keys>,
    /// The keys that open earlier backups.
    pub reading: &'a dyn Fn() -> Result<Keys>,
    pub base: BaseType,
    /// So many incremental ones may follow a full one; `None` is no limit.
    pub max_chain: Option<u32>,
    pub checkpoint: CheckpointSpeed,
    /// Bytes a second.
    pub max_rate: Option<u64>,
    /// How long to wait for another run of this name.
    pub lock_wait: Duration,
}

impl BaseJob<'_> {
    fn encoding(&self) -> ArchiveEncoding {
        let cipher = match self.keys {
            Some(_) => Cipher::Container,
            None => Cipher::None,
        };
        ArchiveEncoding::new(self.codec.codec(), cipher)
    }
}

/// Backs one cluster up to all of `places`.
pub fn run(
    job: &BaseJob,
    places: Vec<Place>,
    expected: Expected,
    tools: &Tools,
    time: BackupTime,
    cancel: &Cancel,
) -> Result<StoredBackup> {
    let BackupTime { claim, begins, now } = time;
    let copies = Copies::hold(places, &job.cluster, claim, job.lock_wait, now(), cancel)?;
    begins();
    if let Some(keys) = &job.keys {
        keys.derive_ahead();
    }
    let client = Client::new(tools, job.session.clone(), APPLICATION, cancel)?.in_english()?;
    let server = ServerFacts::ask(&client.required()?)?;
    let mut connection =
        ReplicationConnection::connect(&job.session, &application_name("backup"), cancel)?;
    let system = connection.identify_system()?;
    let started = now();
    let request = BasisRequest {
        name: &job.cluster,
        expected,
        server: &server,
        system_identifier: system.system_identifier,
        timeline: system.timeline,
        flushed: system.flushed,
        max_chain: job.max_chain,
        reading: job.reading,
        now: started,
    };
    let earlier = Places::new(copies.left());
    let basis = match job.base {
        BaseType::Full => Basis::full(None),
        BaseType::Incremental => basis::choose(&request, &earlier, cancel)?,
    };
    let begun = Begun {
        id: BackupId {
            database: job.cluster.clone(),
            timestamp: Timestamp::new(started),
        },
        server,
        system_identifier: system.system_identifier,
        started,
    };
    begin(job, connection, basis, begun, copies, now, cancel)
}

/// What is known of a backup as it begins.
struct Begun {
    id: BackupId,
    server: ServerFacts,
    system_identifier: u64,
    started: DateTime<Utc>,
}

/// Both connections up to the moment at which the server sends, and what it says it will send.
fn begin(
    job: &BaseJob,
    mut connection: ReplicationConnection,
    mut basis: Basis,
    begun: Begun,
    mut copies: Copies,
    now: &dyn Fn() -> DateTime<Utc>,
    cancel: &Cancel,
) -> Result<StoredBackup> {
    let mut wal = ReplicationConnection::connect(&job.session, &application_name("wal"), cancel)?;
    let slot = format!("backupkit_{}", random::token()?);
    wal.create_temporary_slot(&slot)?;

    let progress = Progress::start(&format!("backing up {}", job.cluster));
    let options = |incremental| BaseBackupOptions {
        label: format!("backupkit {}", begun.id),
        checkpoint: job.checkpoint,
        incremental,
        max_rate: job.max_rate,
    };
    progress.now(&format!("waiting for a checkpoint of {}", job.cluster));
    let start = match basis.ask(&mut connection, &options(true))? {
        Some(start) => start,
        None => connection.begin_base_backup(&options(false))?,
    };
    let about = start.expected_bytes().map(human_bytes);
    let about = about.map_or(String::new(), |about| format!(", about {about}"));
    progress.now(&format!("backing up {}{about}", job.cluster));

    let kind = match basis.parent() {
        Some(_) => SourceKind::IncrementalCluster,
        None => SourceKind::FullCluster,
    };
    copies.mark(&begun.id, &RunMark::of(kind), cancel)?;
    let wal_archives = copies.start(&key(job, &begun.id, ObjectName::Wal), cancel)?;
    let end = WalEnd::default();
    let first = Lsn(start.start_lsn.0 - start.start_lsn.0 % begun.server.wal_segment_size);
    let wal = wal.start_replication(&slot, first, start.timeline)?;
    let wal = WalTar::new(
        wal,
        start.timeline,
        begun.server.wal_segment_size,
        first,
        &end,
        cancel,
    );
    let meter = progress.meter();
    let is_gone = Cell::new(false);
    let streamed = std::thread::scope(|scope| {
        // whatever happens here, the other thread comes to its end
        let _abandon = Abandon(&end);
        let (keys, codec, id) = (job.keys.clone(), job.codec, begun.id.clone());
        let meter = &meter;
        let receiving = scope.spawn(move || {
            let mut wal = wal;
            let label = ObjectName::Wal.label(&id);
            let plan = Stages {
                codec,
                // it is little beside the files
                threads: 1,
                seal: keys.as_ref().map(|keys| (keys, label.as_str())),
            };
            write_pipeline::write(&mut wal, wal_archives, &plan, &mut NoInspection, meter)
        });
        let files = receive_files(
            job,
            &begun,
            connection,
            &start,
            kind,
            &mut copies,
            &receiving,
            &is_gone,
            meter,
            cancel,
        );
        match &files {
            Ok(files) => end.set(files.end.stop_lsn),
            Err(_) => end.abandon(),
        }
        let wal = receiving
            .join()
            .unwrap_or_else(|_| Err(Error::failed("the thread that reads WAL has panicked")));
        match (files, wal) {
            (Ok(files), Ok(wal)) => Ok((files, wal)),
            // without its WAL a base backup is none
            (Ok(_), Err(error)) => Err(error.doing("the WAL of the backup is not complete")),
            // the files ended only since the WAL did
            (Err(_), Err(wal)) if is_gone.get() => {
                Err(wal.doing("the WAL of the backup is not complete"))
            }
            (Err(error), _) => Err(error),
        }
    });
    let (mut files, (wal_archives, wal)) = streamed?;
    copies.finish(wal_archives)?;
    files
        .objects
        .push(stored_object(key(job, &begun.id, ObjectName::Wal), wal));
    drop(progress);
    store(job, begun, start, basis, files, kind, copies, now, cancel)
}

/// Ends the other thread on every way out.
struct Abandon<'a>(&'a WalEnd);

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// What came of the base connection.
struct ReceivedFiles {
    objects: Vec<StoredObject>,
    facts: BaseFacts,
    end: BaseBackupEnd,
}

type Receiving<'scope> = ScopedJoinHandle<'scope, Result<(Archives, WrittenArchive)>>;

#[expect(clippy::too_many_arguments, reason = "one step of `begin`")]
fn receive_files(
    job: &BaseJob,
    begun: &Begun,
    connection: ReplicationConnection,
    start: &BaseBackupStart,
    kind: SourceKind,
    copies: &mut Copies,
    receiving: &Receiving,
    is_gone: &Cell<bool>,
    meter: &Meter,
    cancel: &Cancel,
) -> Result<ReceivedFiles> {
    let mut stream = connection.receive(start);
    let mut facts = BaseFacts::new(begun.server.checksums, start.start_lsn.0);
    let mut objects = Vec::new();
    while let Some(sent) = stream.next_object()? {
        let (name, place) = match sent {
            ObjectKind::Tablespace(oid) => (ObjectName::Tablespace(oid), BasePart::Tablespace(oid)),
            ObjectKind::Base => {
                let name = kind.object().unwrap_or(ObjectName::FullCluster);
                (name, BasePart::Base)
            }
            ObjectKind::Manifest => (ObjectName::BackupManifest, BasePart::Manifest),
        };
        let key = key(job, &begun.id, name);
        let label = name.label(&begun.id);
        let plan = Stages {
            codec: job.codec,
            threads: codec::threads(),
            seal: job.keys.as_ref().map(|keys| (keys, label.as_str())),
        };
        let mut inspector = BaseInspector::of(&mut facts, place);
        let archives = copies.start(&key, cancel)?;
        let mut reader = WithWal {
            stream: &mut stream,
            receiving,
            is_gone,
        };
        let (archives, written) =
            write_pipeline::write(&mut reader, archives, &plan, &mut inspector, meter)?;
        copies.finish(archives)?;
        objects.push(stored_object(key, written));
    }
    let end = stream.finish()?;
    facts.compare()?;
    Ok(ReceivedFiles {
        objects,
        facts,
        end,
    })
}

/// The files, as long as their WAL is being read.
struct WithWal<'a, 'scope> {
    stream: &'a mut BaseBackupStream,
    receiving: &'a Receiving<'scope>,
    /// Told where it ended first.
    is_gone: &'a Cell<bool>,
}

impl Read for WithWal<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.receiving.is_finished() {
            self.is_gone.set(true);
            return Err(
                Error::new(Kind::Unavailable, "the WAL of the backup is read no more").into(),
            );
        }
        self.stream.read(buffer)
    }
}

fn key(job: &BaseJob, id: &BackupId, name: ObjectName) -> String {
    id.key(Part::Object(name, job.encoding()))
}

fn stored_object(key: String, written: WrittenArchive) -> StoredObject {
    StoredObject {
        key,
        bytes: written.stored_bytes,
        sha256: written.sha256,
        plain_bytes: written.plain_bytes,
    }
}

/// Commits what was received. Pages that were damaged on the server already make the run fail, and what is there of the cluster
/// is kept all the same.
#[expect(clippy::too_many_arguments, reason = "the last step of `begin`")]
fn store(
    job: &BaseJob,
    begun: Begun,
    start: BaseBackupStart,
    basis: Basis,
    files: ReceivedFiles,
    kind: SourceKind,
    copies: Copies,
    now: &dyn Fn() -> DateTime<Utc>,
    cancel: &Cancel,
) -> Result<StoredBackup> {
    let ReceivedFiles {
        objects,
        facts,
        end,
    } = files;
    let encoding = job.encoding();
    let id = &begun.id;
    let damage = source_damage(&end, &facts);
    let details = details(&begun, &start, &basis, &facts, &damage);
    let mut part = ObjectsPart {
        kind,
        objects,
        parent: basis.parent().map(|parent| parent.to_string()),
        cluster: Some(ClusterFacts {
            system_identifier: begun.system_identifier.to_string(),
            server_version: begun.server.version.clone(),
            timeline: start.timeline,
            start_lsn: start.start_lsn.to_string(),
            stop_lsn: end.stop_lsn.to_string(),
            start_time: begun.started,
            stop_time: now(),
            wal_segment_size: begun.server.wal_segment_size,
            checksums: begun.server.checksums,
            damaged_pages: match end.has_damaged_pages {
                true => facts.page_failure_count().max(1),
                false => 0,
            },
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
    let mut sidecars: Vec<(String, Vec<u8>)> = Vec::new();
    for object in &part.objects {
        let line = checksum_line::line(&object.sha256, &object.key);
        sidecars.push((format!("{}.sha256", object.key), line.into_bytes()));
    }
    let manifest = Manifest {
        schema: SCHEMA,
        tool: format!("backupkit {}", env!("CARGO_PKG_VERSION")),
        database: job.cluster.clone(),
        started_at: id.timestamp.moment(),
        finished_at: now(),
        source: Some(Source {
            system_identifier: Some(begun.system_identifier.to_string()),
            host: job.session.host().to_string(),
            port: job.session.port().to_string(),
            database: String::new(),
        }),
        part: SourcePart::Objects(Box::new(part)),
    };
    sidecars.push((id.manifest_key(), manifest.to_json()?));
    let archive = id.key(kind.archive(encoding));
    let CommittedCopies { copies, holds } = copies.commit(&archive, &sidecars, cancel)?;
    let failure = (!damage.is_empty()).then(|| damaged(id, &damage));
    let reason = basis.full_because();
    let reason =
        reason.map(|why| format!("a full backup was made instead of an incremental one: {why}"));
    // pages that the server says nothing of are as good as it says
    Ok(StoredBackup {
        manifest,
        copies,
        warnings: reason.into_iter().collect(),
        failure,
        holds,
    })
}

/// The pages that the server found damaged, as we saw them. What we alone saw may be torn: the server looks twice.
fn source_damage(end: &BaseBackupEnd, facts: &BaseFacts) -> Vec<DamagedPage> {
    if !end.has_damaged_pages {
        return Vec::new();
    }
    let seen = facts.page_failures().iter().map(|page| DamagedPage {
        file: page.file.clone(),
        block: page.block,
    });
    let mut seen: Vec<DamagedPage> = seen.collect();
    if seen.is_empty() {
        seen.push(DamagedPage {
            file: "see the log of the server".into(),
            block: 0,
        });
    }
    seen
}

fn details(
    begun: &Begun,
    start: &BaseBackupStart,
    basis: &Basis,
    facts: &BaseFacts,
    damage: &[DamagedPage],
) -> ClusterDetails {
    let databases = begun
        .server
        .databases
        .iter()
        .map(|(oid, name)| DatabaseFacts {
            oid: *oid,
            name: name.clone(),
            bytes: facts.database_bytes(*oid),
        });
    let tablespaces = start.tablespaces.iter().filter_map(|tablespace| {
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
        configuration: begun.server.configuration.clone(),
        source_damage: damage.iter().take(LISTED).cloned().collect(),
        full_because: basis.full_because().map(str::to_string),
    }
}

/// So many damaged pages are written down.
const LISTED: usize = 100;

fn damaged(id: &BackupId, damage: &[DamagedPage]) -> Error {
    let first: Vec<String> = damage
        .iter()
        .take(3)
        .map(|page| format!("{} block {}", page.file, page.block))
        .collect();
    let more = match damage.len().saturating_sub(first.len()) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    Error::failed(format!(
        "the server found damaged pages in its own files: {}{more}",
        first.join(", ")
    ))
    .hint(format!(
        "what there is was stored as {id} and never counts as good; see the runbook (man 7 backupkit-runbook) about a damaged page"
    ))
}
