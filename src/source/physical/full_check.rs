//! One base backup read to its end: every layer of every object, the tars, their files against backup_manifest, their pages, and
//! the WAL that it needs.

use super::backup_label::require_parent;
use super::base_inspector::{BaseFacts, BaseInspector, BasePart};
use super::restore::assemble::{Assembly, StoredLink};
use super::wal_check::WalCheck;
use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::format::inspect::StreamInspector;
use crate::format::seal::Keys;
use crate::progress::Progress;
use crate::repository::evidence::Evidence;
use crate::repository::names::ObjectName;
use crate::repository::objects::{ManifestObject, ObjectOpener, objects_of};
use std::io;

/// Reads all of `stored`, and adds what is wrong with it to `evidence`.
pub fn run(
    stored: &StoredLink,
    parent: Option<&StoredLink>,
    keys: &(dyn Fn() -> Result<Keys> + Sync),
    sealed_only: bool,
    evidence: &mut Evidence,
    cancel: &Cancel,
) -> Result<()> {
    let (copy, manifest) = (&stored.link.copy, &stored.link.manifest);
    let id = &copy.entry.id;
    let facts = manifest.cluster().ok_or_else(|| {
        Error::damaged(format!(
            "the manifest of {id} does not say which cluster it is of"
        ))
    })?;
    let (mut wal, stop) = WalCheck::of(facts)?;
    // what is sealed of it has to open, or nothing can be restored
    let (_, details) = Assembly {
        chain: std::slice::from_ref(stored),
        keys,
        sealed_only,
        jobs: 1,
    }
    .last_cluster()?;
    let mut objects = objects_of(&copy.entry, manifest)?;
    // what they are held against comes last, as the server sends it
    objects.sort_by_key(|object| object.name == ObjectName::BackupManifest);
    let reader = ObjectOpener {
        storage: stored.storage.as_ref(),
        copy,
        keys,
        sealed_only,
    };
    let progress = Progress::start(&format!("verifying {id}"));
    let mut seen = BaseFacts::new(facts.checksums, wal.start().0);
    let mut plain_bytes = 0;
    for object in &objects {
        let part = match object.name {
            ObjectName::FullCluster | ObjectName::IncrementalCluster => BasePart::Base,
            ObjectName::Tablespace(oid) => BasePart::Tablespace(oid),
            ObjectName::BackupManifest => BasePart::Manifest,
            ObjectName::Wal => {
                plain_bytes += read(&reader, object, &mut wal, &progress, cancel)?;
                if let Some(made) = wal.up_to(stop)? {
                    evidence.fault(made.as_obstacle());
                }
                continue;
            }
            ObjectName::FullFiles | ObjectName::IncrementalFiles => {
                return Err(Error::damaged(format!("{id} holds a tree of files")));
            }
        };
        let mut inspector = BaseInspector::of(&mut seen, part);
        plain_bytes += read(&reader, object, &mut inspector, &progress, cancel)?;
    }
    seen.compare()?;
    seen.end_at(stop.0)?;
    if let Err(error) = require_parent(seen.label(), parent.map(|parent| &parent.link.manifest)) {
        evidence.fault(error.chain());
    }
    evidence.plain_bytes = Some(plain_bytes);
    for tablespace in &details.tablespaces {
        let name = ObjectName::Tablespace(tablespace.oid);
        if !objects.iter().any(|object| object.name == name) {
            evidence.fault(format!("the tablespace {} is not there", tablespace.oid));
        }
    }
    if !objects.iter().any(|object| object.name == ObjectName::Wal) {
        evidence.fault("the WAL that it needs is not there");
    }
    let unreplaced = seen.unreplaced_pages();
    if let (Some(first), 0) = (unreplaced.first(), facts.damaged_pages) {
        evidence.fault(format!(
            "{} pages do not fit their checksums, and no WAL of the backup replaces them; the first of them is {} block {}",
            unreplaced.len(),
            first.file,
            first.block
        ));
    }
    let failures = seen.page_failure_count();
    if failures > facts.damaged_pages {
        let first = seen.page_failures().first();
        let first = first.map_or(String::new(), |page| {
            format!(", the first of them {} block {}", page.file, page.block)
        });
        // the server looked at them as it sent them, so it is not the cluster
        evidence.note(format!(
            "{failures} pages do not fit their checksums{first}: they were being written, and the WAL replaces them"
        ));
    }
    if facts.damaged_pages > 0 {
        evidence.fault(format!(
            "{} of its pages were damaged on the server when it was made",
            facts.damaged_pages
        ));
    }
    Ok(())
}

fn read(
    reader: &ObjectOpener,
    object: &ManifestObject,
    inspector: &mut dyn StreamInspector,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<u64> {
    let mut opened = reader.open(object, progress.meter(), cancel)?;
    let bytes = opened.copy_to(&mut io::sink(), inspector, &progress.meter())?;
    match bytes == object.stored.plain_bytes {
        true => Ok(bytes),
        false => Err(Error::damaged(format!(
            "{} has {bytes} bytes inside, the manifest says {}",
            object.stored.key, object.stored.plain_bytes
        ))),
    }
}
