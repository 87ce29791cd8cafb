//! The drill of a base backup: a throwaway server started from its files, every page and row of it read.
//!
//! ```text
//! assemble       the chain from its storages, combined             what a restore does, into a private directory
//! start          WAL replayed, nothing of the origin's configuration read
//! pg_amcheck     every heap and B-tree of every database
//! pg_dump        every row of every table, through the reader of dumps
//! assertions     the configuration's own, and its commands, in one database
//! pg_checksums   every page once more, when it is stopped
//! ```
//!
//! What is wrong with the backup is a fault in the [`Evidence`]. A drill that could not be held is an error with the way out.

use super::restore::assemble::Assembly;
use super::restore::target_directory::CONTROL;
use super::restore::unpack::{self, CONTROL_UNNAMED, RestorePlaces};
use super::server_facts::{insisted, settings_of_segments};
use crate::cancel::Cancel;
use crate::cause::FailureCause;
use crate::error::{Doing, Kind, Result};
use crate::files::entries;
use crate::format::inspect::StreamInspector;
use crate::postgres::client::Client;
use crate::postgres::cluster::{Cluster, ClusterPlan, RestoredFiles, is_about_files};
use crate::postgres::session::{Session, plain_environment};
use crate::postgres::tools::{Program, Tool};
use crate::process::account::{self, Account};
use crate::process::{self, explain_plainly};
use crate::progress::Progress;
use crate::repository::evidence::Evidence;
use crate::source::logical::archive::DumpContents;
use crate::source::logical::drill::assertions;
use crate::source::logical::drill::options::DrillOptions;
use crate::source::logical::dump::PgDump;
use crate::source::logical::dump_inspector::DumpInspector;
use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// The database that is connected to where none is named.
const ANY_DATABASE: &str = "postgres";
/// How our sessions are called on the server.
const APPLICATION: &str = "backupkit drill";
/// What a server has to have room for beside the files and the chain.
const GROWTH: u64 = 2;
/// What pg_dump needs one of for each table.
const LOCKS: &str = "max_locks_per_transaction";
const MANY_LOCKS: u32 = 4096;
/// No more of anything: it is memory.
const MOST: u32 = 100_000;
/// Roles and databases of the backup bring settings of their own, for work of another kind, or that pass over damage.
const OWN_SETTINGS: &str = "-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0 -c default_transaction_read_only=off \
    -c zero_damaged_pages=off -c ignore_checksum_failure=off -c ignore_system_indexes=off -c role=none";
/// The first major version with event triggers that fire at a login, and a setting against all of them.
const LOGIN_TRIGGERS: u32 = 17;
/// How much is read of a dump at a time.
const PIECE: usize = 1024 * 1024;
/// How long pg_checksums may take.
const LIMIT: Duration = Duration::from_secs(12 * 3600);

/// Holds a drill of the backup that `source` is about, whose plain size was found before, and adds what it finds to `evidence`.
pub fn run(
    source: &Assembly,
    options: &DrillOptions,
    evidence: &mut Evidence,
    cancel: &Cancel,
) -> Result<()> {
    let (facts, details) = source.last_cluster()?;
    let major = source.major()?;
    options.tools.need_psql(cancel)?;
    let programs = options.tools.server(major, cancel)?;
    let owner = match account::is_root() {
        true => Some(Account::named(&options.user).map_err(|error| {
            error.hint("name a user of this machine as drill.user: a server does not run as root")
        })?),
        false => None,
    };
    let combiner = source.combiner(&options.tools, cancel)?;
    let objects = source
        .chain
        .iter()
        .flat_map(|link| link.link.manifest.objects());
    let bytes: u64 = objects.map(|object| object.plain_bytes).sum();
    let plan = ClusterPlan {
        programs: &programs,
        parent: &options.directory,
        owner: owner.as_ref(),
        expected_bytes: bytes.saturating_mul(GROWTH),
        preloaded: &[],
        database: ANY_DATABASE,
    };
    let insists = insisted(&details.settings).map(|(name, value)| {
        let least = if name == LOCKS { MANY_LOCKS } else { 0 };
        (name.to_string(), value.clamp(least, MOST).to_string())
    });
    let mut settings: Vec<(String, String)> = insists.collect();
    settings.extend(settings_of_segments(facts.wal_segment_size));
    let oids: Vec<u32> = details.tablespaces.iter().map(|one| one.oid).collect();
    log::info!(
        "starting a throwaway PostgreSQL {} from the backup, in {}",
        programs.postgres.version,
        options.directory.display()
    );
    let began = Instant::now();
    // damage is found while the files are written; what fails when they are there is the server's word
    let mut are_written = false;
    let mut write = |data: &Path, directory: &Path| -> Result<()> {
        assemble(
            source,
            data,
            directory,
            &oids,
            combiner.as_ref(),
            owner.as_ref(),
            cancel,
        )?;
        are_written = true;
        Ok(())
    };
    let files = RestoredFiles {
        write: &mut write,
        superuser: &details.superuser,
        settings: &settings,
    };
    let mut cluster = match Cluster::start_from(&plan, files, cancel) {
        Ok(cluster) => cluster,
        Err(error) if are_written && is_about_files(&error) => {
            evidence.fault(format!("no server starts from it: {}", error.chain()));
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    evidence.restore_seconds = Some(began.elapsed().as_secs_f64());
    let session = |database: &str| {
        let session = cluster.session(database).with_settings(OWN_SETTINGS);
        match major >= LOGIN_TRIGGERS {
            true => session.with_settings("-c event_triggers=off -c transaction_timeout=0"),
            false => session,
        }
    };
    let client = Client::new(&options.tools, session(ANY_DATABASE), APPLICATION, cancel)?;
    let client = client.required()?;
    let databases = client
        .query_names("SELECT datname FROM pg_database WHERE datallowconn ORDER BY datname")?;
    let databases: Vec<String> = databases.into_iter().flatten().collect();
    let limited = cancel.with_deadline(options.timeout);
    match options.tools.of_server(Program::PgAmcheck, major, cancel)? {
        Some(tool) => {
            let mut command = client.session().command(&tool.path, APPLICATION);
            command.args(["--all", "--heapallindexed"]);
            assertions::amcheck(command, evidence, &limited)?;
        }
        None => evidence.note(assertions::NO_AMCHECK),
    }
    let (mut tables, mut rows) = (0, 0);
    for database in &databases {
        match read_rows(&session(database), options, major, cancel) {
            Ok((found, read)) => {
                tables += found;
                rows += read;
            }
            Err(error) if error.cause() == Some(FailureCause::DataCorrupted) => {
                evidence.fault(format!(
                    "the rows of {database} cannot all be read: {}",
                    error.chain()
                ));
            }
            Err(error) => return Err(error),
        }
    }
    evidence.tables = Some(tables);
    evidence.rows = Some(rows);
    ask(&session, &databases, options, evidence, cancel)?;
    let data = cluster.stop(cancel)?;
    match options
        .tools
        .of_server(Program::PgChecksums, major, cancel)?
    {
        Some(tool) if facts.checksums => checksums(&tool, &data, owner.as_ref(), evidence, cancel)?,
        Some(_) => evidence.note("the cluster has no checksums of its pages"),
        None => evidence.note("pg_checksums is not installed, so pages are not read once more"),
    }
    Ok(())
}

/// Writes the files to `data`, with the tablespaces in `directory` as well.
fn assemble(
    source: &Assembly,
    data: &Path,
    directory: &Path,
    oids: &[u32],
    combiner: Option<&Tool>,
    owner: Option<&Account>,
    cancel: &Cancel,
) -> Result<()> {
    unpack::make_directory(data)?;
    let scratch = directory.join("chain");
    unpack::make_directory(&scratch)?;
    let mut tablespaces = BTreeMap::new();
    for oid in oids {
        let path = directory.join(format!("tablespace-{oid}"));
        unpack::make_directory(&path)?;
        tablespaces.insert(*oid, path);
    }
    let places = RestorePlaces {
        data: data.to_path_buf(),
        tablespaces,
        is_scratch: true,
    };
    let progress = Progress::start(&format!("restoring {} for a drill", source.id()?));
    source
        .assemble(&places, &scratch, combiner, &progress, cancel)
        .map_err(|error| match error.kind() {
            // nothing that was asked for is refused
            Kind::Refused => error.with_kind(Kind::Failed),
            _ => error,
        })?;
    entries::remove_tree(&scratch).doing(|| format!("cannot remove {}", scratch.display()))?;
    unpack::link_tablespaces(&places)?;
    if let Some(owner) = owner {
        for path in places.tablespaces.values() {
            entries::give_to(path, (owner.uid, owner.gid))
                .doing(|| "cannot give the files to the user that drills run as")?;
        }
    }
    fs::rename(data.join(CONTROL_UNNAMED), data.join(CONTROL)).doing(|| "cannot name pg_control")
}

/// Asks the configuration's own assertions of the database that it names for that.
fn ask(
    session: &dyn Fn(&str) -> Session,
    databases: &[String],
    options: &DrillOptions,
    evidence: &mut Evidence,
    cancel: &Cancel,
) -> Result<()> {
    if options.assertions.is_empty() && options.commands.is_empty() {
        return Ok(());
    }
    let name = options.database.as_deref().unwrap_or(ANY_DATABASE);
    if databases.iter().all(|database| database != name) {
        evidence.refuted(format!(
            "the cluster has no database {name}, which drill.database names"
        ));
        return Ok(());
    }
    let session = session(name);
    let client = Client::new(&options.tools, session.clone(), APPLICATION, cancel)?;
    assertions::ask_configured(options, &client.required()?, &session, evidence, cancel)
}

/// Reads every row of a database, and returns how many tables it has, and rows in them.
fn read_rows(
    session: &Session,
    options: &DrillOptions,
    major: u32,
    cancel: &Cancel,
) -> Result<(u64, u64)> {
    let pg_dump = options.tools.pg_dump(Some(major), cancel)?;
    let mut output = PgDump {
        session,
        role: session.user(),
        application: APPLICATION,
        options: &[],
        lock_timeout: Duration::ZERO,
        compressed_by_pg_dump: false,
    }
    .start(&pg_dump, cancel)?;
    let mut inspector = DumpInspector::new();
    let mut buffer = vec![0; PIECE];
    loop {
        match output.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => inspector.feed(&buffer[..count])?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    inspector.end()?;
    match inspector.into_contents() {
        Some(DumpContents::Read(summary)) => {
            let tables = summary.tables.iter();
            let rows = tables.map(|table| table.rows).sum();
            Ok((summary.tables.len() as u64, rows))
        }
        _ => Ok((0, 0)),
    }
}

/// Reads every page once more.
fn checksums(
    tool: &Tool,
    data: &Path,
    owner: Option<&Account>,
    evidence: &mut Evidence,
    cancel: &Cancel,
) -> Result<()> {
    let mut command = Command::new(&tool.path);
    plain_environment(&mut command);
    if let Some(owner) = owner {
        owner.becomes(&mut command);
    }
    command.current_dir(data).arg("--check").arg("-D").arg(data);
    match process::run("pg_checksums", command, cancel, LIMIT, explain_plainly) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == Kind::Failed => {
            evidence.fault(format!(
                "pg_checksums finds damaged pages: {}",
                error.chain()
            ));
            Ok(())
        }
        Err(error) => Err(error),
    }
}
