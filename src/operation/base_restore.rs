//! `restore` of a cluster: a base backup and all that it needs, into a directory that a server starts from.

use crate::cancel::Cancel;
use crate::error::{Doing, Error, Result};
use crate::files::{directory, entries};
use crate::postgres::tools::{Tool, Tools};
use crate::progress::Progress;
use crate::repository::names::BackupId;
use crate::source::physical::details::ClusterDetails;
use crate::source::physical::restore::assemble::Assembly;
use crate::source::physical::restore::new_tablespaces::{self, WalToReplay};
use crate::source::physical::restore::settings;
use crate::source::physical::restore::target_directory::{self, CONTROL, TargetDirectory, sync};
use crate::source::physical::restore::unpack::{self, CONTROL_UNNAMED, RestorePlaces};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A restore with everything resolved.
pub struct BaseRestore<'a> {
    pub source: Assembly<'a>,
    pub directory: &'a Path,
    /// Where tablespaces go, by their OID; the others go to where they were.
    pub tablespaces: &'a BTreeMap<u32, PathBuf>,
    /// Whom the files belong to, where that is somebody else.
    pub owner: Option<(u32, u32)>,
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
    /// The size of its files.
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
    /// From where to where it is replayed.
    wal: WalToReplay,
}

/// What [`run`] would do, as far as that can be told without writing.
pub fn preview(job: &BaseRestore, tools: &Tools, cancel: &Cancel) -> Result<RestoredBase> {
    let prepared = prepare(job, tools, cancel)?;
    Ok(RestoredBase {
        id: prepared.id,
        chain: job.source.chain.len(),
        directory: job.directory.to_path_buf(),
        tablespaces: prepared.tablespaces,
        bytes: prepared.bytes,
        server_version: prepared.server_version,
        configuration: Vec::new(),
        damaged_pages: prepared.damaged_pages,
    })
}

/// Restores. What fails leaves nothing behind that a server could be started from.
pub fn run(job: &BaseRestore, tools: &Tools, cancel: &Cancel) -> Result<RestoredBase> {
    let prepared = prepare(job, tools, cancel)?;
    let target = TargetDirectory::take(job.directory, job.owner)?;
    require_room(target.path(), &prepared)?;
    let mut taken = TakenTablespaces::default();
    for path in prepared.tablespaces.values() {
        target_directory::take_tablespace(path)?;
        taken.0.push(path.clone());
    }
    let places = RestorePlaces {
        data: target.path().to_path_buf(),
        tablespaces: prepared.tablespaces.clone(),
        is_scratch: false,
    };
    let progress = Progress::start(&format!("restoring {}", prepared.id));
    let combiner = prepared.combiner.as_ref();
    let bytes = job
        .source
        .assemble(&places, &target.scratch(), combiner, &progress, cancel)?;
    drop(progress);
    unpack::link_tablespaces(&places)?;
    settings::keep_to_itself(&places.data)?;
    settings::recover_to_own_timeline(&places.data, prepared.timeline)?;
    let configuration = settings::restore_configuration(&places.data, &prepared.details)?;
    settings::make_configuration(&places.data)?;
    new_tablespaces::refuse(&places.data, &prepared.wal, tools, cancel)?;
    target.clear_scratch()?;
    target.give_away()?;
    if let Some(owner) = target.owner() {
        for path in places.tablespaces.values() {
            entries::give_to(path, owner)
                .doing(|| format!("cannot give {} to its owner", path.display()))?;
        }
    }
    for path in [&places.data]
        .into_iter()
        .chain(places.tablespaces.values())
    {
        sync(path)?;
    }
    cancel.check()?;
    let (unnamed, control) = (places.data.join(CONTROL_UNNAMED), places.data.join(CONTROL));
    fs::rename(&unnamed, &control).doing(|| format!("cannot name {}", control.display()))?;
    let directory = target.path().to_path_buf();
    target.finish()?;
    taken.0.clear();
    Ok(RestoredBase {
        id: prepared.id,
        chain: job.source.chain.len(),
        directory,
        tablespaces: prepared.tablespaces,
        bytes,
        server_version: prepared.server_version,
        configuration,
        damaged_pages: prepared.damaged_pages,
    })
}

/// The directories of tablespaces; dropped, all that was written into them is removed again.
#[derive(Default)]
struct TakenTablespaces(Vec<PathBuf>);

impl Drop for TakenTablespaces {
    fn drop(&mut self) {
        for path in &self.0 {
            let emptied = fs::read_dir(path).and_then(|found| {
                for entry in found {
                    let entry = entry?;
                    match entry.file_type()?.is_dir() {
                        true => entries::remove_tree(&entry.path())?,
                        false => fs::remove_file(entry.path())?,
                    }
                }
                Ok(())
            });
            if let Err(error) = emptied {
                log::warn!("cannot empty {}: {error}", path.display());
            }
        }
    }
}

fn prepare(job: &BaseRestore, tools: &Tools, cancel: &Cancel) -> Result<Prepared> {
    let id = job.source.id()?;
    let (facts, details) = job.source.last_cluster()?;
    let known: Vec<u32> = details.tablespaces.iter().map(|one| one.oid).collect();
    if let Some(unknown) = job.tablespaces.keys().find(|oid| !known.contains(oid)) {
        let known: Vec<String> = known.iter().map(u32::to_string).collect();
        return Err(
            Error::usage(format!("the backup has no tablespace {unknown}"))
                .hint(format!("its tablespaces are: {}", known.join(", "))),
        );
    }
    let tablespaces = details.tablespaces.iter().map(|one| {
        let mapped = job.tablespaces.get(&one.oid).cloned();
        (one.oid, mapped.unwrap_or_else(|| PathBuf::from(&one.path)))
    });
    let tablespaces: BTreeMap<u32, PathBuf> = tablespaces.collect();
    require_apart(job.directory, &tablespaces)?;
    let combiner = job.source.combiner(tools, cancel)?;
    let objects = job
        .source
        .chain
        .iter()
        .flat_map(|link| link.link.manifest.objects());
    Ok(Prepared {
        id,
        details,
        tablespaces,
        combiner,
        server_version: facts.server_version.clone(),
        damaged_pages: facts.damaged_pages,
        timeline: facts.timeline,
        wal: WalToReplay::of(&facts),
        bytes: objects.map(|object| object.plain_bytes).sum(),
    })
}

/// No tablespace lies in the data directory, nor in another one.
fn require_apart(directory: &Path, tablespaces: &BTreeMap<u32, PathBuf>) -> Result<()> {
    let directory = std::path::absolute(directory).doing(|| "cannot find the directory")?;
    let mut taken = vec![directory];
    for (oid, path) in tablespaces {
        if !path.is_absolute() {
            return Err(Error::damaged(format!(
                "the tablespace {oid} lay in {}, which is no absolute path",
                path.display()
            )));
        }
        let other = taken
            .iter()
            .find(|one| one.starts_with(path) || path.starts_with(one));
        if let Some(other) = other {
            return Err(Error::refused(format!(
                "the tablespace {oid} would lie in {}, which is or holds {}",
                path.display(),
                other.display()
            ))
            .hint("give each tablespace a directory of its own with --tablespace-map OID=DIR"));
        }
        taken.push(path.clone());
    }
    Ok(())
}

/// The chain and the result lie beside each other for a while.
fn require_room(path: &Path, prepared: &Prepared) -> Result<()> {
    let needed = match prepared.combiner {
        None => prepared.bytes,
        Some(_) => prepared.bytes.saturating_mul(2),
    };
    directory::require_room(path, needed)
}
