//! `restore` of a cluster: a base backup and all that it needs, into a directory that a server starts from.

mod job;
mod prepare;
mod reached;
pub mod recovery;

pub use job::BaseRestore;
pub use reached::Reached;

use crate::cancel::Cancel;
use crate::error::{Doing, Error, Result};
use crate::postgres::lasting_server::{Awaited, LastingServer};
use crate::postgres::tools::{Tool, Tools};
use crate::process::account::Account;
use crate::progress::Progress;
use crate::repository::names::BackupId;
use crate::source::physical::restore::room::{self, Room};
use crate::source::physical::restore::settings::{self, Becomes};
use crate::source::physical::restore::target_directory::{CONTROL, TargetDirectory, sync};
use crate::source::physical::restore::unpack::{self, CONTROL_UNNAMED, RestorePlaces};
use crate::source::physical::restore::{configuration, wal_directory};
use prepare::{Prepared, absolute, prepare, require_starter};
use recovery::Recovery;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

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
    /// How it goes on, or went on, from the backup by archived WAL.
    pub recovery: Option<Recovery>,
    /// Where that ended.
    pub reached: Option<Reached>,
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
    let (started, reached) = match &prepared.pg_ctl {
        Some(pg_ctl) => {
            let (log, reached) = start(job, pg_ctl, &data, owner, &written.recovery, cancel)?;
            (Some(log), reached)
        }
        None => (None, None),
    };
    Ok(RestoredBase {
        directory: data,
        configuration: written.configuration,
        started,
        reached,
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
    settings::raise(data, &prepared.details.settings)?;
    let beyond = job.recovery.map(Recovery::settings);
    let recovery = settings::recover(data, job.becomes, beyond.as_ref())?;
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
) -> Result<(PathBuf, Option<Reached>)> {
    let account = owner.map(|(uid, gid)| Account::numbered(uid, gid));
    let server = LastingServer {
        pg_ctl,
        data,
        owner: account.as_ref(),
    };
    log::info!("waiting until the server has recovered");
    let mut reached = None;
    match job.becomes {
        Becomes::Primary => {
            server.start(Awaited::Recovered, cancel)?;
            if let Some(recovery) = job.recovery {
                let came = Reached::read(data)?;
                if let Err(error) = came.require(recovery) {
                    server.stop();
                    return Err(error);
                }
                reached = Some(came);
            }
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
    Ok((server.log(), reached))
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
        recovery: job.recovery.cloned(),
        reached: None,
    }
}
