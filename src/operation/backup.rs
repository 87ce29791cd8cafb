//! `backup`: one database, dumped once, stored whole or not at all, on one storage or on several.

use crate::cancel::Cancel;
use crate::cause::FailureCause;
use crate::error::{Error, Result};
use crate::format::codec;
use crate::format::codec::CodecOptions;
use crate::format::encoding::ArchiveEncoding;
use crate::format::write_pipeline;
use crate::format::write_pipeline::{Stages, WrittenArchive};
use crate::postgres::client::{APPLICATION, Client, application_name};
use crate::postgres::locks;
use crate::postgres::locks::Watch;
use crate::postgres::pooler;
use crate::postgres::session::Session;
use crate::postgres::tools::{Tool, Tools};
use crate::process::ChildOutput;
use crate::progress::Progress;
use crate::repository::copies::{CommittedCopies, Copies, StoredCopy};
use crate::repository::hold::Holds;
use crate::repository::lease_record::MinuteClaim;
use crate::repository::manifest;
use crate::repository::manifest::{
    Detail, DumpPart, Manifest, Pipeline, SCHEMA, SealedTables, Source, SourcePart, Table,
};
use crate::repository::names::{BackupId, Timestamp};
use crate::repository::places::{Place, Places};
use crate::repository::run_mark::RunMark;
use crate::repository::{Expected, Repository, checksum_line, manifest_details};
use crate::source::logical::archive::{DumpContents, Summary};
use crate::source::logical::dump::PgDump;
use crate::source::logical::dump_inspector::{DumpInspector, detail};
use crate::source::logical::dump_job::DumpJob;
use crate::source::logical::row_loss;
use crate::source::logical::stored_globals;
use crate::source::logical::table_comparison::{Shrunk, shrunk};
use chrono::{DateTime, Utc};
use std::ffi::OsString;
use std::io::{self, BufReader, Read};
use std::time::Duration;

/// How long asking about a failure may take.
const ASKING: Duration = Duration::from_secs(30);
/// How long looking at the backup before may take.
const LOOKING: Duration = Duration::from_secs(30);

/// A backup that is stored.
#[derive(Debug)]
pub struct StoredBackup {
    /// Its manifest, as it lies beside each copy.
    pub manifest: Manifest,
    /// One for each storage, in their order; one of them at least is there.
    pub copies: Vec<StoredCopy>,
    /// What should be looked at although the backup is good, a sentence each: tables that lost most of their rows.
    pub warnings: Vec<String>,
    /// Why the run failed although it is stored: the source itself is damaged.
    pub failure: Option<Error>,
    /// The storages that are still held for this run, so that its retention follows before any other run.
    pub holds: Holds,
}

/// When a backup is made.
#[derive(Clone, Copy)]
pub struct BackupTime<'a> {
    /// The minute that a scheduled run takes, so that no other host makes it as well.
    pub claim: Option<&'a MinuteClaim>,
    /// Called once the storages are held for it.
    pub begins: &'a dyn Fn(),
    /// Asked for the start and the end of the run.
    pub now: &'a dyn Fn() -> DateTime<Utc>,
}

impl StoredBackup {
    /// Which backup it is.
    pub fn id(&self) -> BackupId {
        BackupId {
            database: self.manifest.database.clone(),
            timestamp: Timestamp::new(self.manifest.started_at),
        }
    }

    /// Where people find the first copy: an absolute path, `s3://bucket/key`.
    pub fn destination(&self) -> &str {
        let found = self
            .copies
            .iter()
            .find_map(|copy| copy.result.as_ref().ok());
        found.map_or("-", String::as_str)
    }

    /// True where every storage has its copy.
    pub fn is_everywhere(&self) -> bool {
        self.copies.iter().all(|copy| copy.result.is_ok())
    }
}

/// Backs up one database to all of `places`.
pub fn run(
    job: &DumpJob,
    places: Vec<Place>,
    expected: Expected,
    tools: &Tools,
    time: BackupTime,
    cancel: &Cancel,
) -> Result<StoredBackup> {
    let BackupTime { claim, begins, now } = time;
    let name = &job.database;
    let copies = Copies::hold(places, name, claim, job.lock_wait, now(), cancel)?;
    begins();
    if let Some(keys) = &job.keys {
        keys.derive_ahead();
    }

    let client = Client::new(tools, job.session.clone(), APPLICATION, cancel)?.in_english()?;
    let identity = client.identity_if_known()?;
    let version = identity.as_ref().map(|identity| identity.number);
    let server = version.map(|version| version.major);
    pooler::require_own_session(&client)?;
    let pg_dump = tools.pg_dump(server, cancel)?;
    if let Some(behind) = version.and_then(|version| pg_dump.behind(version)) {
        log::warn!("{behind}");
    }
    log::debug!("using {pg_dump}");
    let source = source(&client)?;
    let acting = identity.as_ref().and_then(|known| known.acting.clone());
    let past = |error: Error| match &acting {
        Some(acting) => acting.beside(error),
        None => error,
    };
    let fixed = client.with_fixed_output()?;
    let dumped = match &fixed {
        Some(fixed) => fixed.in_encoding_of_database()?,
        None => client.clone(),
    };

    let started = now();
    let id = BackupId {
        database: job.database.clone(),
        timestamp: Timestamp::new(started),
    };
    let encoding = job.encoding();
    let globals = match job.globals {
        true => {
            let session = dumped.session();
            stored_globals::sidecars(job, session, &id, encoding, server, tools, cancel)
                .map_err(past)?
        }
        false => Vec::new(),
    };
    let dumping = Dumping {
        expected,
        fixed_output: fixed.is_some(),
        session: dumped.session().clone(),
        source,
        globals,
        acts_as: identity.map_or_else(|| client.session().user().to_string(), |known| known.role),
        client: client.clone(),
        pg_dump,
    };
    dump_to_storages(job, copies, &id, encoding, dumping, now, cancel)
        .map_err(|error| past(name_blockers(error, &client)))
}

/// What retention tells one source of backups from another by.
fn source(client: &Client) -> Result<Source> {
    let system_identifier = match client.system_identifier() {
        Ok(identifier) => Some(identifier),
        Err(error) => {
            client.cancel().check()?;
            log::debug!("the system identifier is not known: {}", error.chain());
            None
        }
    };
    let session = client.session();
    Ok(Source {
        system_identifier,
        host: session.host().to_string(),
        port: session.port().to_string(),
        database: session.database().to_string(),
    })
}

/// How a database is dumped, and what is known of it before.
struct Dumping {
    /// Which source the backups before it are of.
    expected: Expected,
    session: Session,
    /// The session is such that the text of rows depends on no setting of the server.
    fixed_output: bool,
    source: Source,
    /// The sidecars that hold roles.
    globals: Vec<(String, Vec<u8>)>,
    /// The role that reads.
    acts_as: String,
    client: Client,
    pg_dump: Tool,
}

/// What the backup before holds, on the first storage; looking at it must not hold the next one up.
fn previous_tables(
    job: &DumpJob,
    copies: &Copies,
    expected: Expected,
    now: DateTime<Utc>,
    cancel: &Cancel,
) -> Option<Vec<Table>> {
    let cancel = cancel.with_deadline(LOOKING);
    let places = Places::new(vec![copies.first()?]);
    let names: Vec<String> = places.names().map(str::to_string).collect();
    let opened = Repository::open(&job.database, &names, &places, expected, now, &cancel);
    let repository = opened.inspect_err(|error| log::debug!("{}", error.chain()));
    row_loss::previous_tables(&repository.ok()?, job.keys.as_ref(), &cancel)
}

fn dump_to_storages(
    job: &DumpJob,
    mut copies: Copies,
    id: &BackupId,
    encoding: ArchiveEncoding,
    mut dumping: Dumping,
    now: &dyn Fn() -> DateTime<Utc>,
    cancel: &Cancel,
) -> Result<StoredBackup> {
    let key = id.archive_key(encoding);
    let label = id.to_string();
    let plan = Stages {
        codec: job.codec,
        threads: codec::threads(),
        seal: job.keys.as_ref().map(|keys| (keys, label.as_str())),
    };
    let progress = Progress::start(&format!("backing up {}", job.database));
    let mark = RunMark::of_dump(job.partial, job.before_restore);
    copies.mark(id, &mark, cancel)?;
    let archives = copies.start(&key, cancel)?;
    // before pg_dump holds its locks, since a storage may be slow to answer
    let started = id.timestamp.moment();
    let previous = match job.partial {
        true => None,
        false => previous_tables(job, &copies, dumping.expected, started, cancel),
    };
    let mut dump = start_pg_dump(job, &dumping, cancel)?;
    let mut pieces = BufReader::with_capacity(write_pipeline::PIECE, &mut dump);
    let mut inspector = DumpInspector::new();
    let meter = progress.meter();
    let (archives, written) =
        write_pipeline::write(&mut pieces, archives, &plan, &mut inspector, &meter)?;
    copies.finish(archives)?;
    drop(progress);

    let globals = std::mem::take(&mut dumping.globals);
    let read = match inspector.into_contents() {
        Some(DumpContents::Read(summary)) => Some(summary),
        _ => None,
    };
    let warnings = match (previous, &read) {
        (Some(previous), Some(read)) => shrunk(&previous, &detail(read).tables),
        _ => Vec::new(),
    };
    let mut part = describe(
        job,
        id,
        dumping.fixed_output,
        encoding,
        written,
        read.as_deref(),
    )?;
    part.dump.lost_rows = !warnings.is_empty();
    let checksum = checksum_line::line(&part.archive.sha256, &part.archive.key);
    let manifest = Manifest {
        schema: SCHEMA,
        tool: format!("backupkit {}", env!("CARGO_PKG_VERSION")),
        database: job.database.clone(),
        started_at: id.timestamp.moment(),
        finished_at: now(),
        source: Some(dumping.source),
        part: SourcePart::Dump(Box::new(part)),
    };
    // what is committed after the archive, the manifest last
    let mut sidecars = globals;
    sidecars.push((id.checksum_key(encoding), checksum.into_bytes()));
    sidecars.push((id.manifest_key(), manifest.to_json()?));
    let CommittedCopies { copies, holds } = copies.commit(&key, &sidecars, &|_| Ok(()), cancel)?;
    Ok(StoredBackup {
        manifest,
        copies,
        warnings: warnings.iter().map(Shrunk::to_string).collect(),
        failure: None,
        holds,
    })
}

/// Starts pg_dump, and looks from outside whether it waits for a lock.
fn start_pg_dump(job: &DumpJob, dumping: &Dumping, cancel: &Cancel) -> Result<WatchedDump> {
    let application = application_name("backup");
    let options: Vec<OsString> = job.options.iter().map(OsString::from).collect();
    let dump = PgDump {
        role: &dumping.acts_as,
        session: &dumping.session,
        application: &application,
        options: &options,
        lock_timeout: job.lock_timeout,
        compressed_by_pg_dump: job.codec == CodecOptions::None,
    }
    .start(&dumping.pg_dump, cancel)?;
    // it has all of its locks before it says anything
    let client = dumping.client.named(&application);
    let watch = match client.is_available() {
        true => Watch::start(client, None).ok(),
        false => None,
    };
    Ok(WatchedDump { dump, watch })
}

/// What the manifest says of the dump, but for what was lost since the one before.
fn describe(
    job: &DumpJob,
    id: &BackupId,
    fixed_output: bool,
    encoding: ArchiveEncoding,
    written: WrittenArchive,
    read: Option<&Summary>,
) -> Result<DumpPart> {
    let archive = manifest::Archive {
        key: id.archive_key(encoding),
        bytes: written.stored_bytes,
        sha256: written.sha256,
    };
    let (tables, contents, tables_sealed) = match (read.map(detail), &job.keys) {
        (Some(Detail { tables, contents }), Some(keys)) => {
            let sealed = SealedTables {
                archive: archive.clone(),
                tables,
                contents,
            };
            (
                None,
                None,
                Some(manifest_details::seal_tables(&sealed, keys, id)?),
            )
        }
        (Some(Detail { tables, contents }), None) => (Some(tables), contents, None),
        (None, _) => (None, None, None),
    };
    Ok(DumpPart {
        archive,
        dump: manifest::Dump {
            bytes: written.plain_bytes,
            format: "custom".into(),
            server_version: read.as_ref().map(|read| read.server_version.clone()),
            pg_dump_version: read.as_ref().map(|read| read.pg_dump_version.clone()),
            fixed_output,
            partial: job.partial,
            lost_rows: false,
            before_restore: job.before_restore,
        },
        pipeline: Pipeline {
            compression: encoding.codec.word().into(),
            encryption: encoding.cipher.word().into(),
        },
        tables,
        contents,
        tables_sealed,
    })
}

/// pg_dump, watched until it begins to speak.
struct WatchedDump {
    dump: ChildOutput,
    watch: Option<Watch>,
}

impl Read for WatchedDump {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.dump.read(buffer);
        self.watch = None;
        read
    }
}

/// Adds who holds the lock to a dump that gave up waiting for one.
fn name_blockers(error: Error, client: &Client) -> Error {
    if !client.is_available() || error.cause() != Some(FailureCause::LockTimeout) {
        return error;
    }
    let fresh = Cancel::new().map(|fresh| fresh.with_deadline(ASKING));
    let asked = fresh.and_then(|fresh| locks::holders(&client.with_cancel(&fresh)));
    match asked {
        Ok(holders) if !holders.is_empty() => {
            let hint = error.first_hint().unwrap_or_default().to_string();
            error
                .hint(format!("held by {}", holders.join("; ")))
                .also_hint(hint)
        }
        Ok(_) => error,
        Err(failed) => {
            log::debug!("cannot ask who holds the lock: {}", failed.chain());
            error
        }
    }
}
