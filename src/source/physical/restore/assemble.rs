//! A base backup and all that it needs, read from their storages and made into one data directory.

use super::combine;
use super::settings::{self, Becomes};
use super::target_directory::{CONTROL, RESTORING};
use super::unpack::{
    self, CONTROL_UNNAMED, ExpectedFiles, ManifestSink, RestorePlaces, Unpacker, WalUnpacker,
};
use crate::at_a_time::{GiveUp, at_a_time, locked};
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Result};
use crate::format::inspect::NoInspection;
use crate::format::seal::Keys;
use crate::postgres::tools::{Program, Tool, Tools};
use crate::progress::{Meter, Progress};
use crate::repository::chain::ChainLink;
use crate::repository::manifest::{ClusterFacts, SourcePart};
use crate::repository::manifest_details;
use crate::repository::names::{BackupId, ObjectName};
use crate::repository::objects::{ManifestObject, ObjectOpener, objects_of};
use crate::source::physical::backup_label;
use crate::source::physical::backup_manifest::require_range;
use crate::source::physical::details::ClusterDetails;
use crate::source::physical::wal_check::WalCheck;
use crate::source::physical::wal_records::MadeTablespace;
use crate::storage::Storage;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// One backup of a chain and the storage that it is read from.
pub struct StoredLink {
    pub storage: Arc<dyn Storage>,
    pub link: ChainLink,
}

/// What is read, and with what.
#[derive(Clone, Copy)]
pub struct Assembly<'a> {
    /// All that is needed, the full backup first and the one that is wanted last; one at least.
    pub chain: &'a [StoredLink],
    pub keys: &'a (dyn Fn() -> Result<Keys> + Sync),
    /// Only what is encrypted is read.
    pub sealed_only: bool,
    /// So many objects are read at a time, one at least.
    pub jobs: usize,
}

impl Assembly<'_> {
    fn last(&self) -> Result<&StoredLink> {
        let last = self.chain.last();
        last.ok_or_else(|| Error::failed("there is no backup to restore"))
    }

    /// The backup that is wanted.
    pub fn id(&self) -> Result<BackupId> {
        Ok(self.last()?.link.copy.entry.id.clone())
    }

    /// What its manifest says of the cluster.
    pub fn last_cluster(&self) -> Result<(ClusterFacts, ClusterDetails)> {
        let link = &self.last()?.link;
        let id = &link.copy.entry.id;
        let damaged = |what: &str| Error::damaged(format!("the manifest of {id} {what}"));
        let SourcePart::Objects(part) = &link.manifest.part else {
            return Err(damaged("says that it is a dump"));
        };
        let facts = part.cluster.clone();
        let facts = facts.ok_or_else(|| damaged("does not say which cluster it is of"))?;
        let details = manifest_details::open_details(part, self.keys, id)?;
        let details = details.ok_or_else(|| damaged("has no details"))?;
        let details = serde_json::from_value(details)
            .map_err(|error| damaged("has details that cannot be read").because(error))?;
        Ok((facts, details))
    }

    /// pg_combinebackup of the version that it takes, where there is something to combine.
    pub fn combiner(&self, tools: &Tools, cancel: &Cancel) -> Result<Option<Tool>> {
        match self.chain.len() {
            0 | 1 => Ok(None),
            _ => {
                let what = "combines incremental backups";
                let program = Program::PgCombinebackup;
                tools
                    .need_of_server(program, self.major()?, what, cancel)
                    .map(Some)
            }
        }
    }

    /// The major version of the server that it is of.
    pub fn major(&self) -> Result<u32> {
        let (facts, _) = self.last_cluster()?;
        let major = facts.server_version.split('.').next();
        let major = major.and_then(|text| text.parse().ok());
        major.ok_or_else(|| Error::damaged("the manifest tells no version of the server"))
    }

    /// Writes all of it to `places`, whose directories are there and empty but for `scratch`, an own directory in them. Its
    /// pg_control is not named so, and its tablespaces are not linked yet. Refused is what would not keep to these places.
    pub fn assemble(
        &self,
        places: &RestorePlaces,
        scratch: &Path,
        combiner: Option<&Tool>,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<()> {
        let made = match (self.chain, combiner) {
            ([only], _) => {
                let meter = progress.meter();
                unpack_one(
                    self,
                    self.jobs,
                    only,
                    places,
                    &meter,
                    &GiveUp::default(),
                    cancel,
                )?
            }
            (_, Some(combiner)) => combine_all(self, combiner, scratch, places, progress, cancel)?,
            _ => return Err(Error::failed("there is nothing to restore")),
        };
        match made {
            None => Ok(()),
            Some(made) => Err(Error::refused(made.as_obstacle())
                .hint("restore another backup, made before or after")),
        }
    }
}

/// One backup where it is to be, `jobs` of its objects at a time. Returns a tablespace that its WAL makes.
fn unpack_one(
    job: &Assembly,
    jobs: usize,
    stored: &StoredLink,
    places: &RestorePlaces,
    meter: &Arc<Meter>,
    give_up: &GiveUp,
    cancel: &Cancel,
) -> Result<Option<MadeTablespace>> {
    let id = &stored.link.copy.entry.id;
    let doing = || format!("cannot restore {id}");
    let objects = objects_of(&stored.link.copy.entry, &stored.link.manifest)?;
    let open = |object: &ManifestObject| {
        let opener = ObjectOpener {
            storage: stored.storage.as_ref(),
            copy: &stored.link.copy,
            keys: job.keys,
            sealed_only: job.sealed_only,
        };
        opener.open(object, Arc::clone(meter), cancel)
    };
    let find = |name: ObjectName| objects.iter().find(|object| object.name == name);
    let missing = |what: &str| Error::damaged(format!("{id} has no {what}"));
    let mut expected = ExpectedFiles::default();
    let manifest = find(ObjectName::BackupManifest).ok_or_else(|| missing("backup_manifest"))?;
    let mut file = unpack::create_file(&places.data.join("backup_manifest"))?;
    let mut sink = ManifestSink::new(&mut expected);
    let mut opened = open(manifest)?;
    opened.copy_to(&mut file, &mut sink, meter).doing(doing)?;
    let facts = stored.link.manifest.cluster();
    let facts = facts.ok_or_else(|| missing("word of the cluster that it is of"))?;
    let (mut check, stop) = WalCheck::of(facts)?;
    require_range(&sink.reader.wal_ranges, check.start(), stop).doing(doing)?;

    let tars = objects.iter().filter_map(|object| match object.name {
        ObjectName::Tablespace(oid) => Some((object, Some(oid))),
        ObjectName::FullCluster | ObjectName::IncrementalCluster => Some((object, None)),
        _ => None,
    });
    let tars: Vec<(&ManifestObject, Option<u32>)> = tars.collect();
    let expected = Mutex::new(expected);
    at_a_time(jobs, &tars, |(object, tablespace), stop| {
        let mut unpacker = Unpacker::new(places, *tablespace, &expected, [give_up, stop]);
        let mut opened = open(object)?;
        opened
            .copy_to(&mut unpacker, &mut NoInspection, meter)
            .doing(doing)?;
        unpacker.finish().doing(doing)
    })?;
    locked(&expected).require_none_left().doing(doing)?;
    let wal = find(ObjectName::Wal).ok_or_else(|| missing("WAL"))?;
    let mut unpacker = WalUnpacker::new(places.data.join("pg_wal"));
    let mut opened = open(wal)?;
    opened
        .copy_to(&mut unpacker, &mut check, meter)
        .doing(doing)?;
    unpacker.finish().doing(doing)?;
    Ok(check.up_to(stop).doing(doing)?.cloned())
}

/// Unpacks each backup of the chain aside, as many at a time as objects may be read, and has pg_combinebackup make one of them. Returns a tablespace that the WAL of the
/// last one makes, which is all that is replayed.
fn combine_all(
    job: &Assembly,
    combiner: &Tool,
    scratch: &Path,
    places: &RestorePlaces,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<Option<MadeTablespace>> {
    let (mut inputs, mut newest) = (Vec::new(), BTreeMap::new());
    for (number, stored) in job.chain.iter().enumerate() {
        let data = scratch.join(format!("{number}"));
        unpack::make_directory(&data)?;
        newest.clear();
        for object in objects_of(&stored.link.copy.entry, &stored.link.manifest)? {
            if let ObjectName::Tablespace(oid) = object.name {
                let path = scratch.join(format!("{number}.{oid}"));
                unpack::make_directory(&path)?;
                newest.insert(oid, path);
            }
        }
        let input = RestorePlaces {
            data,
            tablespaces: newest.clone(),
            is_scratch: true,
        };
        inputs.push((number, stored, input));
    }
    let (meter, major) = (progress.meter(), job.major()?);
    let mut made = at_a_time(job.jobs, &inputs, |(number, stored, input), stop| {
        stop.check()?;
        let made = unpack_one(job, 1, stored, input, &meter, stop, cancel)?;
        require_label(stored, &job.chain[..*number], &input.data)?;
        unpack::link_tablespaces(input)?;
        // should somebody start it, it reaches nobody
        settings::keep_to_itself(&input.data, major, Becomes::Primary)?;
        Ok(made)
    })?;
    let made = made.pop().flatten();
    let inputs: Vec<PathBuf> = inputs.into_iter().map(|(_, _, input)| input.data).collect();
    for data in &inputs {
        fs::rename(data.join(CONTROL_UNNAMED), data.join(CONTROL))
            .doing(|| "cannot name pg_control")?;
    }
    progress.now(&format!("combining {} backups", inputs.len()));
    let output = scratch.join("combined");
    // pg_combinebackup wants new directories, and each of ours holds its mark
    let combined = |path: &Path| path.join(RESTORING).join("combined");
    let mapped = newest.iter().filter_map(|(oid, path)| {
        let target = places.tablespaces.get(oid)?;
        Some((path.clone(), combined(target)))
    });
    let mapped: Vec<(PathBuf, PathBuf)> = mapped.collect();
    combine::combine(combiner, &inputs, &output, &mapped, cancel)?;
    // the WAL of the last one came with its files
    let doing = || format!("cannot move the result into {}", places.data.display());
    for data in &inputs {
        fs::remove_file(data.join(CONTROL)).doing(doing)?;
    }
    fs::rename(output.join(CONTROL), output.join(CONTROL_UNNAMED)).doing(doing)?;
    // the links are made anew, to the same places
    let links = output.join("pg_tblspc");
    for entry in fs::read_dir(&links).doing(doing)? {
        fs::remove_file(entry.doing(doing)?.path()).doing(doing)?;
    }
    move_all(&output, &places.data)?;
    for target in places.tablespaces.values() {
        move_all(&combined(target), target)?;
    }
    Ok(made)
}

/// Fails unless the backup that was unpacked into `data` adds to the last of those before it.
fn require_label(stored: &StoredLink, before: &[StoredLink], data: &Path) -> Result<()> {
    let id = &stored.link.copy.entry.id;
    let doing = || format!("cannot restore {id}");
    let label = fs::read(data.join("backup_label")).doing(doing)?;
    backup_label::require_parent(&label, before.last().map(|parent| &parent.link.manifest))
        .doing(doing)
}

/// Moves what lies in `from`, and removes that.
fn move_all(from: &Path, to: &Path) -> Result<()> {
    let doing = || format!("cannot move the result into {}", to.display());
    for entry in fs::read_dir(from).doing(doing)? {
        let entry = entry.doing(doing)?;
        fs::rename(entry.path(), to.join(entry.file_name())).doing(doing)?;
    }
    fs::remove_dir(from).doing(doing)
}
