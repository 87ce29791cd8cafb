//! `restore` of a cluster: a base backup and all that it needs, into a directory that a server starts from.

use crate::cancel::Cancel;
use crate::error::{Doing, Error, Result};
use crate::files::directory;
use crate::format::inspect::NoInspection;
use crate::format::seal::Keys;
use crate::postgres::tools::{Tool, Tools};
use crate::progress::Progress;
use crate::repository::chain::ChainLink;
use crate::repository::manifest_details;
use crate::repository::names::{BackupId, ObjectName};
use crate::repository::objects::{ManifestObject, ObjectReader, objects_of};
use crate::source::physical::details::ClusterDetails;
use crate::source::physical::restore::combine;
use crate::source::physical::restore::settings;
use crate::source::physical::restore::target_directory::{
    self, CONTROL, TargetDirectory, give_to, sync,
};
use crate::source::physical::restore::unpack::{
    self, CONTROL_UNNAMED, ExpectedFiles, ManifestSink, Places, Unpacker, WalUnpacker,
};
use crate::storage::Storage;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One backup of the chain and the storage that it is read from.
pub struct StoredLink {
    pub storage: Arc<dyn Storage>,
    pub link: ChainLink,
}

/// A restore with everything resolved.
pub struct BaseRestore<'a> {
    /// All that is needed, the full backup first and the one that is restored last; one at least.
    pub chain: &'a [StoredLink],
    pub keys: &'a dyn Fn() -> Result<Keys>,
    pub sealed_only: bool,
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
}

/// What [`run`] would do, as far as that can be told without writing.
pub fn preview(job: &BaseRestore, tools: &Tools, cancel: &Cancel) -> Result<RestoredBase> {
    let prepared = prepare(job, tools, cancel)?;
    Ok(RestoredBase {
        id: prepared.id,
        chain: job.chain.len(),
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
    let places = Places {
        data: target.path().to_path_buf(),
        tablespaces: prepared.tablespaces.clone(),
    };
    let progress = Progress::start(&format!("restoring {}", prepared.id));
    let bytes = match &prepared.combiner {
        None => unpack_one(job, &job.chain[0], &places, &progress, cancel)?,
        Some(combiner) => combine_all(job, combiner, &target, &places, &progress, cancel)?,
    };
    drop(progress);
    unpack::link_tablespaces(&places)?;
    settings::keep_to_itself(&places.data)?;
    let configuration = settings::restore_configuration(&places.data, &prepared.details)?;
    target.give_away()?;
    if let Some(owner) = job.owner {
        for path in places.tablespaces.values() {
            give_to(path, owner)?;
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
        chain: job.chain.len(),
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
            let emptied = fs::read_dir(path).and_then(|entries| {
                for entry in entries {
                    crate::files::entries::remove_tree(&entry?.path())?;
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
    let Some(last) = job.chain.last() else {
        return Err(Error::failed("there is no backup to restore"));
    };
    let id = last.link.copy.entry.id.clone();
    let part = match &last.link.manifest.part {
        crate::repository::manifest::SourcePart::Objects(part) => part,
        crate::repository::manifest::SourcePart::Dump(_) => {
            return Err(Error::damaged(format!(
                "{id} is listed as a base backup and says it is a dump"
            )));
        }
    };
    let details = manifest_details::open_details(part, job.keys, &id)?.unwrap_or_default();
    let details: ClusterDetails = serde_json::from_value(details).map_err(|error| {
        Error::damaged(format!(
            "the manifest of {id} has details that cannot be read"
        ))
        .because(error)
    })?;
    let facts = part.cluster.as_ref().ok_or_else(|| {
        Error::damaged(format!(
            "the manifest of {id} does not say which cluster it is of"
        ))
    })?;
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
    let major: Option<u32> = facts
        .server_version
        .split('.')
        .next()
        .and_then(|text| text.parse().ok());
    let combiner = match (job.chain.len(), major) {
        (1, _) => None,
        (_, Some(major)) => Some(tools.pg_combinebackup(major, cancel)?),
        (_, None) => {
            return Err(Error::damaged(format!(
                "the manifest of {id} tells no version of the server"
            )));
        }
    };
    let objects = job
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
        bytes: objects.map(|object| object.plain_bytes).sum(),
    })
}

/// The chain and the result lie beside each other for a while.
fn require_room(path: &Path, prepared: &Prepared) -> Result<()> {
    let needed = match prepared.combiner {
        None => prepared.bytes,
        Some(_) => prepared.bytes.saturating_mul(2),
    };
    directory::require_room(path, needed)
}

/// One full backup where it is to be. Returns the size of its files.
fn unpack_one(
    job: &BaseRestore,
    stored: &StoredLink,
    places: &Places,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<u64> {
    let id = &stored.link.copy.entry.id;
    let doing = || format!("cannot restore {id}");
    let objects = objects_of(&stored.link.copy.entry, &stored.link.manifest)?;
    let reader = ObjectReader {
        storage: stored.storage.as_ref(),
        copy: &stored.link.copy,
        keys: job.keys,
        sealed_only: job.sealed_only,
    };
    let meter = progress.meter();
    let find = |name: ObjectName| objects.iter().find(|object| object.name == name);
    let missing = |what: &str| Error::damaged(format!("{id} has no {what}"));
    let mut expected = ExpectedFiles::default();
    let manifest = find(ObjectName::BackupManifest).ok_or_else(|| missing("backup_manifest"))?;
    let mut file = unpack::create_file(&places.data.join("backup_manifest"))?;
    let mut sink = ManifestSink::new(&mut expected);
    let mut opened = reader.open(manifest, progress.meter(), cancel)?;
    opened.copy_to(&mut file, &mut sink, &meter).doing(doing)?;
    let bytes = expected.bytes();

    let tars = objects.iter().filter_map(|object| match object.name {
        ObjectName::Tablespace(oid) => Some((object, Some(oid))),
        ObjectName::FullCluster | ObjectName::IncrementalCluster => Some((object, None)),
        _ => None,
    });
    let tars: Vec<(&ManifestObject, Option<u32>)> = tars.collect();
    for (object, tablespace) in tars {
        let mut unpacker = Unpacker::new(places, tablespace, &mut expected);
        let mut opened = reader.open(object, progress.meter(), cancel)?;
        opened
            .copy_to(&mut unpacker, &mut NoInspection, &meter)
            .doing(doing)?;
        unpacker.finish().doing(doing)?;
    }
    expected.require_none_left().doing(doing)?;
    if let Some(wal) = find(ObjectName::Wal) {
        let mut unpacker = WalUnpacker::new(places.data.join("pg_wal"));
        let mut opened = reader.open(wal, progress.meter(), cancel)?;
        opened
            .copy_to(&mut unpacker, &mut NoInspection, &meter)
            .doing(doing)?;
        unpacker.finish().doing(doing)?;
    }
    Ok(bytes)
}

/// Unpacks each backup of the chain aside, and has pg_combinebackup make one of them. Returns the size of what was unpacked.
fn combine_all(
    job: &BaseRestore,
    combiner: &Tool,
    target: &TargetDirectory,
    places: &Places,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<u64> {
    let scratch = target.scratch();
    let (mut inputs, mut mapped, mut bytes) = (Vec::new(), Vec::new(), 0);
    for (number, stored) in job.chain.iter().enumerate() {
        let data = scratch.join(format!("{number}"));
        unpack::make_directory(&data)?;
        let mut tablespaces = BTreeMap::new();
        for object in objects_of(&stored.link.copy.entry, &stored.link.manifest)? {
            if let ObjectName::Tablespace(oid) = object.name {
                let path = scratch.join(format!("{number}.{oid}"));
                unpack::make_directory(&path)?;
                tablespaces.insert(oid, path);
            }
        }
        let input = Places {
            data: data.clone(),
            tablespaces,
        };
        bytes += unpack_one(job, stored, &input, progress, cancel)?;
        unpack::link_tablespaces(&input)?;
        fs::rename(data.join(CONTROL_UNNAMED), data.join(CONTROL))
            .doing(|| "cannot name pg_control")?;
        inputs.push(data);
        if number + 1 == job.chain.len() {
            let pairs = input.tablespaces.into_iter();
            let pairs =
                pairs.filter_map(|(oid, path)| Some((path, places.tablespaces.get(&oid)?.clone())));
            mapped.extend(pairs);
        }
    }
    progress.now(&format!("combining {} backups", inputs.len()));
    let output = scratch.join("combined");
    combine::combine(combiner, &inputs, &output, &mapped, cancel)?;
    // the WAL of the last one came with its files
    let doing = || format!("cannot move the result into {}", places.data.display());
    fs::rename(output.join(CONTROL), output.join(CONTROL_UNNAMED)).doing(doing)?;
    // the links are made anew, to the same places
    let links = output.join("pg_tblspc");
    for entry in fs::read_dir(&links).doing(doing)? {
        fs::remove_file(entry.doing(doing)?.path()).doing(doing)?;
    }
    for entry in fs::read_dir(&output).doing(doing)? {
        let entry = entry.doing(doing)?;
        fs::rename(entry.path(), places.data.join(entry.file_name())).doing(doing)?;
    }
    Ok(bytes)
}
