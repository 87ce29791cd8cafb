//! What lies beside an archive, held against its name and its size. Reads two small objects at most.

use crate::cancel::Cancel;
use crate::error::{Doing, Kind, Result};
use crate::format::encoding::{Cipher, Codec};
use crate::repository::evidence::Evidence;
use crate::repository::foreign_file;
use crate::repository::listing::Entry;
use crate::repository::located::{Located, read_checksum};
use crate::repository::manifest::{DumpPart, Manifest};
use crate::repository::sidecars::read_manifest;

/// What is claimed about an archive by what lies beside it.
#[derive(Debug, Default)]
pub struct Claims {
    /// Its manifest, where it has one that speaks of this archive.
    pub manifest: Option<Manifest>,
    /// The SHA-256 of its stored bytes, by its `.sha256`, else by the manifest.
    pub sha256: Option<String>,
}

/// Reads the sidecars of `selected`, and compares them with it and with each other.
pub(super) fn look(selected: &Located, cancel: &Cancel) -> Result<(Claims, Evidence)> {
    let mut evidence = Evidence::default();
    let mut claims = Claims {
        sha256: damage_is_a_fault(read_checksum(selected, cancel), &mut evidence)?.flatten(),
        manifest: None,
    };
    let (storage, entry) = match selected {
        Located::Stored { storage, entry } => (storage, entry),
        Located::File(path) => {
            let metadata = foreign_file::open(path)?.metadata();
            if metadata
                .doing(|| format!("cannot look at {}", path.display()))?
                .len()
                == 0
            {
                evidence.fault("the archive is empty");
            }
            evidence.note("a file has no manifest to compare it with");
            return Ok((claims, evidence));
        }
    };
    if entry.bytes == 0 {
        evidence.fault("the archive is empty");
    }
    if !entry.has_checksum {
        evidence.note("its .sha256 is missing");
    }
    if !entry.has_manifest {
        evidence.note("it has no manifest, so what it should hold is not known");
        return Ok((claims, evidence));
    }
    let manifest = read_manifest(storage.as_ref(), entry, cancel);
    let Some(manifest) = damage_is_a_fault(manifest, &mut evidence)?.flatten() else {
        return Ok((claims, evidence));
    };
    let Some(part) = own_part(&manifest, entry) else {
        evidence.fault(foreign(&manifest));
        return Ok((claims, evidence));
    };
    for fault in manifest_faults(part, entry, claims.sha256.as_deref()) {
        evidence.fault(fault);
    }
    let sha256 = part.archive.sha256.clone();
    claims.sha256.get_or_insert(sha256);
    claims.manifest = Some(manifest);
    Ok((claims, evidence))
}

/// Damage becomes a fault and leaves nothing; any other failure stays one.
fn damage_is_a_fault<T>(read: Result<T>, evidence: &mut Evidence) -> Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.kind() == Kind::Damaged => {
            evidence.fault(error.chain());
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// What the manifest says of the dump of this archive; nothing where it is the manifest of another backup.
fn own_part<'a>(manifest: &'a Manifest, entry: &Entry) -> Option<&'a DumpPart> {
    let part = manifest.dump()?;
    let is_own = part.archive.key == entry.archive_key()
        && manifest.database == entry.id.database
        && manifest.started_at == entry.id.timestamp.moment();
    is_own.then_some(part)
}

fn foreign(manifest: &Manifest) -> String {
    let objects = manifest.objects();
    format!(
        "the manifest is of another run: it describes {} of {}, begun {}",
        objects.first().map_or("nothing", |object| &object.key),
        manifest.database,
        manifest.started_at.to_rfc3339()
    )
}

fn manifest_faults(part: &DumpPart, entry: &Entry, sha256: Option<&str>) -> Vec<String> {
    let mut faults = Vec::new();
    if part.archive.bytes != entry.bytes {
        faults.push(format!(
            "the archive has {} bytes, the manifest says {}",
            entry.bytes, part.archive.bytes
        ));
    }
    if let Some(sha256) = sha256
        && !sha256.eq_ignore_ascii_case(&part.archive.sha256)
    {
        faults.push(format!(
            "its .sha256 says {sha256}, the manifest says {}",
            part.archive.sha256
        ));
    }
    let stages = &part.pipeline;
    if Codec::of_word(&stages.compression) != Some(entry.encoding.codec)
        || Cipher::of_word(&stages.encryption) != entry.encoding.cipher
    {
        faults.push(format!(
            "the manifest says compression {} and encryption {}, the name says otherwise",
            stages.compression, stages.encryption
        ));
    }
    faults
}
