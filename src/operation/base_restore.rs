//! `restore` of a cluster: a base backup and all that it needs, into a directory that a server starts from.

use crate::cancel::Cancel;
use crate::error::{Doing, Error, Result};
use crate::postgres::lasting_server::{Awaited, LastingServer};
use crate::postgres::tools::{Program, Tool, Tools};
use crate::process::account::{self, Account};
use crate::progress::Progress;
use crate::repository::manifest::Manifest;
use crate::repository::names::BackupId;
use crate::source::physical::details::ClusterDetails;
use crate::source::physical::restore::assemble::Assembly;
use crate::source::physical::restore::room::{self, Room};
use crate::source::physical::restore::settings::{self, Becomes};
use crate::source::physical::restore::target_directory::{CONTROL, TargetDirectory, sync};
use crate::source::physical::restore::unpack::{self, CONTROL_UNNAMED, RestorePlaces};
use crate::source::physical::restore::{configuration, wal_directory};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A restore with everything resolved.
pub struct BaseRestore<'a> {
    pub source: Assembly<'a>,
    pub directory: &'a Path,
    /// Where tablespaces go, by their OID; the others go to where they were.
    pub tablespaces: &'a BTreeMap<u32, PathBuf>,
    /// Where its WAL goes, if not into the data directory.
    pub wal: Option<&'a Path>,
    /// Whom the files belong to, where that is somebody else.
    pub owner: Option<(u32, u32)>,
    pub becomes: Becomes,
    /// It is started, and waited for.
    pub starts: bool,
    /// The port that it listens at, where not at the one of its origin.
    pub port: Option<u16>,
}

/// What was restored, or would be.
#[derive(Debug)]
pub struct RestoredBase {
    pub id: BackupId,
    /// How many backups it was made from.
    pub chain: usize,
    pub directory: PathBuf,
    /// Where each tablespace is now.
    pub tablespaces: BTreeMap<u32, PathBuf>,
    /// Where its WAL is, if not in the data directory.
    pub wal: Option<PathBuf>,
    pub becomes: Becomes,
    /// The log of the server that was started.
    pub started: Option<PathBuf>,
    /// What it wants of each file system.
    pub rooms: Vec<Room>,
    /// The size of what it is made from.
    pub bytes: u64,
    /// The version of the server that it is of, such as `17.11`.
    pub server_version: String,
    /// Configuration files that lay elsewhere, and where they lay.
    pub configuration: Vec<(PathBuf, String)>,
    /// Pages that were damaged on the server already.
    pub damaged_pages: u64,
}

/// What is known before anything is written.
struct Prepared {
    id: BackupId,
    details: ClusterDetails,
    tablespaces: BTreeMap<u32, PathBuf>,
    /// pg_combinebackup, where there is something to combine.
    combiner: Option<Tool>,
    server_version: String,
    damaged_pages: u64,
    /// The plain size of all objects.
    bytes: u64,
    timeline: u32,
    /// Of its WAL, in bytes.
    segment_size: u64,
    rooms: Vec<Room>,
    /// What starts it.
    pg_ctl: Option<Tool>,
    major: u32,
}

/// What [`run`] would do, as far as that can be told without writing.
pub fn preview(job: &BaseRestore, tools: &Tools, cancel: &Cancel) -> Result<RestoredBase> {
    let prepared = prepare(job, tools, cancel)?;
    TargetDirectory::require_free(job.directory)?;
    for path in others(job, &prepared) {
        TargetDirectory::require_free(path).map_err(place_elsewhere)?;
    }
    room::require(&prepared.rooms)?;
    Ok(restored(job, prepared))
}

/// Restores. What fails leaves nothing behind that a server could be started from.
pub fn run(job: &BaseRestore, tools: &Tools, cancel: &Cancel) -> Result<RestoredBase> {
    let prepared = prepare(job, tools, cancel)?;
    let target = TargetDirectory::take(job.directory, job.owner)?;
    if job.starts {
        require_starter(target.owner())?;
    }
    room::require(&prepared.rooms)?;
    let mut elsewhere = Vec::new();
    for path in others(job, &prepared) {
        let taken = TargetDirectory::take(path, target.owner());
        elsewhere.push(taken.map_err(place_elsewhere)?);
    }
    let data = target.path().to_path_buf();
    let written = write(job, &prepared, &target, cancel)?;
    for place in elsewhere.iter().chain([&target]) {
        place.give_away()?;
        sync(place.path())?;
    }
    cancel.check()?;
    for place in elsewhere.iter().chain([&target]) {
        place.require_same()?;
    }
    // without their marks they are never taken for what a restore that died has left, once there is a pg_control
    for place in &elsewhere {
        place.unmark()?;
    }
    let (unnamed, control) = (data.join(CONTROL_UNNAMED), data.join(CONTROL));
    fs::rename(&unnamed, &control).doing(|| format!("cannot name {}", control.display()))?;
    target.unmark()?;
    let owner = target.owner();
    target.keep();
    elsewhere.into_iter().for_each(TargetDirectory::keep);
    let started = match &prepared.pg_ctl {
        Some(pg_ctl) => Some(start(job, pg_ctl, &data, owner, &written.recovery, cancel)?),
        None => None,
    };
    Ok(RestoredBase {
        directory: data,
        configuration: written.configuration,
        started,
        ..restored(job, prepared)
    })
}

/// What was written beside the files of the backup.
struct WrittenBeside {
    /// Where each copy of a configuration file is, and where the file lay.
    configuration: Vec<(PathBuf, String)>,
    /// Settings for the recovery alone.
    recovery: String,
}

/// Writes all of it, durable or not, with a pg_control that is not named so.
fn write(
    job: &BaseRestore,
    prepared: &Prepared,
    target: &TargetDirectory,
    cancel: &Cancel,
) -> Result<WrittenBeside> {
    let places = RestorePlaces {
        data: target.path().to_path_buf(),
        tablespaces: prepared.tablespaces.clone(),
        is_scratch: false,
    };
    let data = &places.data;
    let progress = Progress::start(&format!("restoring {}", prepared.id));
    let (scratch, combiner) = (target.scratch(), prepared.combiner.as_ref());
    job.source
        .assemble(&places, &scratch, combiner, &progress, cancel)?;
    drop(progress);
    unpack::link_tablespaces(&places)?;
    settings::keep_to_itself(data, prepared.major, job.becomes)?;
    let configuration = configuration::restore(data, &prepared.details, prepared.segment_size)?;
    if let Some(port) = job.port {
        settings::listen_at(data, port)?;
    }
    settings::load_nothing_that_reaches_out(data)?;
    let insists = &prepared.details.settings;
    let recovery = settings::recover(data, prepared.timeline, job.becomes, insists)?;
    if let Some(wal) = job.wal {
        wal_directory::move_to(data, &absolute(wal)?)?;
    }
    target.clear_scratch()?;
    Ok(WrittenBeside {
        configuration,
        recovery,
    })
}

/// Starts the server, and waits until it is what it is to be.
fn start(
    job: &BaseRestore,
    pg_ctl: &Tool,
    data: &Path,
    owner: Option<(u32, u32)>,
    recovery: &str,
    cancel: &Cancel,
) -> Result<PathBuf> {
    let account = owner.map(|(uid, gid)| Account::numbered(uid, gid));
    let server = LastingServer {
        pg_ctl,
        data,
        owner: account.as_ref(),
    };
    log::info!("waiting until the server has recovered");
    match job.becomes {
        Becomes::Primary => {
            server.start(Awaited::Recovered, cancel)?;
            let told =
                settings::forget_recovery(data, recovery).and_then(|()| server.reload(cancel));
            if let Err(error) = told {
                // it runs, and what it was told for the recovery changes nothing any more
                let error = error.doing("the settings of the recovery stay in its configuration");
                log::warn!("{}", error.chain());
            }
        }
        Becomes::Standby => server.start(Awaited::Standby, cancel)?,
    }
    Ok(server.log())
}

/// A server refuses to run as root.
fn require_starter(owner: Option<(u32, u32)>) -> Result<()> {
    let is_root = match owner {
        Some((uid, _)) => uid == 0,
        None => account::is_root(),
    };
    match is_root {
        false => Ok(()),
        true => Err(
            Error::usage("PostgreSQL does not run as root, and the files would be root's")
                .hint("name the user that it runs as: --owner postgres"),
        ),
    }
}

/// Nobody but root gives files away.
fn require_giver(owner: Option<(u32, u32)>) -> Result<()> {
    match owner {
        Some((uid, _)) if !account::is_root() && uid != account::own() => {
            Err(Error::usage("only root can give files to another user")
                .hint("restore as root, or as the user that --owner names"))
        }
        _ => Ok(()),
    }
}

/// The directories that are written to beside the data directory.
fn others<'a>(job: &BaseRestore<'a>, prepared: &'a Prepared) -> impl Iterator<Item = &'a Path> {
    prepared
        .tablespaces
        .values()
        .map(PathBuf::as_path)
        .chain(job.wal)
}

fn place_elsewhere(error: Error) -> Error {
    error.also_hint(
        "put a tablespace elsewhere with --tablespace-map OID=DIR, WAL with --waldir DIR",
    )
}

fn restored(job: &BaseRestore, prepared: Prepared) -> RestoredBase {
    RestoredBase {
        id: prepared.id,
        chain: job.source.chain.len(),
        directory: job.directory.to_path_buf(),
        tablespaces: prepared.tablespaces,
        wal: job.wal.map(Path::to_path_buf),
        becomes: job.becomes,
        started: None,
        rooms: prepared.rooms,
        bytes: prepared.bytes,
        server_version: prepared.server_version,
        configuration: Vec::new(),
        damaged_pages: prepared.damaged_pages,
    }
}

fn prepare(job: &BaseRestore, tools: &Tools, cancel: &Cancel) -> Result<Prepared> {
    require_giver(job.owner)?;
    let id = job.source.id()?;
    let (facts, details) = job.source.last_cluster()?;
    let known: Vec<u32> = details.tablespaces.iter().map(|one| one.oid).collect();
    if let Some(unknown) = job.tablespaces.keys().find(|oid| !known.contains(oid)) {
        let known: Vec<String> = known.iter().map(u32::to_string).collect();
        let error = Error::usage(format!("the backup has no tablespace {unknown}"));
        return Err(match known.is_empty() {
            true => error.hint("it has none at all; leave --tablespace-map out"),
            false => error.hint(format!("its tablespaces are: {}", known.join(", "))),
        });
    }
    let tablespaces = details.tablespaces.iter().map(|one| {
        let mapped = job.tablespaces.get(&one.oid).cloned();
        (one.oid, mapped.unwrap_or_else(|| PathBuf::from(&one.path)))
    });
    let tablespaces: BTreeMap<u32, PathBuf> = tablespaces.collect();
    require_apart(job, &tablespaces)?;
    let combiner = job.source.combiner(tools, cancel)?;
    let major = job.source.major()?;
    let pg_ctl = match job.starts {
        true => {
            let what = "starts the server";
            Some(tools.need_of_server(Program::PgCtl, major, what, cancel)?)
        }
        false => None,
    };
    let chain = job.source.chain.iter();
    let chain: Vec<&Manifest> = chain.map(|link| &link.link.manifest).collect();
    let directory = absolute(job.directory)?;
    let wal = job.wal.map(absolute).transpose()?;
    let rooms = room::wanted(&chain, &directory, &tablespaces, wal.as_deref())?;
    let objects = chain.iter().flat_map(|manifest| manifest.objects());
    let bytes = objects.map(|object| object.plain_bytes).sum();
    Ok(Prepared {
        id,
        details,
        tablespaces,
        combiner,
        server_version: facts.server_version.clone(),
        damaged_pages: facts.damaged_pages,
        timeline: facts.timeline,
        segment_size: facts.wal_segment_size,
        rooms,
        pg_ctl,
        major,
        bytes,
    })
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).doing(|| format!("cannot find {}", path.display()))
}

/// No tablespace lies in the data directory, nor in another one; and neither does the WAL.
fn require_apart(job: &BaseRestore, tablespaces: &BTreeMap<u32, PathBuf>) -> Result<()> {
    let mut taken = vec![absolute(job.directory)?];
    let mut require = |what: &str, path: &Path, hint: &str| {
        let other = taken
            .iter()
            .find(|one| one.starts_with(path) || path.starts_with(one));
        if let Some(other) = other {
            return Err(Error::refused(format!(
                "{what} would lie in {}, which is or holds {}",
                path.display(),
                other.display()
            ))
            .hint(hint));
        }
        taken.push(path.to_path_buf());
        Ok(())
    };
    for (oid, path) in tablespaces {
        if !path.is_absolute() {
            // as allow_in_place_tablespaces has them
            return Err(Error::refused(format!(
                "the tablespace {oid} lay in the data directory itself, in {}",
                path.display()
            ))
            .hint(format!(
                "give it a directory of its own with --tablespace-map {oid}=DIR"
            )));
        }
        let hint = "give each tablespace a directory of its own with --tablespace-map OID=DIR";
        require(&format!("the tablespace {oid}"), path, hint)?;
    }
    match job.wal {
        Some(wal) => require("WAL", &absolute(wal)?, "give it a directory of its own"),
        None => Ok(()),
    }
}
