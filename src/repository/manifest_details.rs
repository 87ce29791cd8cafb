//! What the manifest beside a backup claims: read, held against the backup's name, and opened where it is sealed.

use crate::error::{Error, Kind, Result};
use crate::format::seal;
use crate::format::seal::{Expect, Keys};
use crate::repository::manifest::{Detail, Manifest, SealedTables, SourcePart};
use crate::repository::names::BackupId;
use base64ct::{Base64, Encoding};

/// What follows the label of a backup in that of its sealed list of tables.
const TABLES_LABEL: &str = "#tables";

/// Seals `tables`, as what the manifest of `id` says of the inside of the dump.
pub fn seal_tables(tables: &SealedTables, keys: &Keys, id: &BackupId) -> Result<String> {
    let plain = serde_json::to_vec(tables)
        .map_err(|error| Error::failed("cannot write the list of tables").because(error))?;
    let sealed = seal::seal_bytes(&plain, keys, &format!("{id}{TABLES_LABEL}"))?;
    Ok(Base64::encode_string(&sealed))
}

/// What `manifest` says of the inside of the dump of `id`, where it says anything. `keys` is asked for only if that is
/// sealed; what was sealed has to describe the same archive as the plain fields do.
pub fn detail(
    manifest: Manifest,
    id: &BackupId,
    keys: &dyn Fn() -> Result<Keys>,
) -> Result<Option<Detail>> {
    let SourcePart::Dump(part) = manifest.part else {
        return Ok(None);
    };
    let Some(sealed) = &part.tables_sealed else {
        let contents = part.contents;
        return Ok(part.tables.map(|tables| Detail { tables, contents }));
    };
    let damaged = |what: &str| Error::damaged(format!("the manifest of {id} {what}"));
    let container =
        Base64::decode_vec(sealed).map_err(|_| damaged("has sealed details that are no base64"))?;
    let label = format!("{id}{TABLES_LABEL}");
    let plain = seal::open_bytes(&container, &keys()?, Expect::Label(&label)).map_err(|error| {
        // sealed for another backup: nobody means that here
        let kind = match error.kind() {
            Kind::Refused => Kind::Damaged,
            kind => kind,
        };
        error.with_kind(kind).doing(format!(
            "cannot open the sealed details of the manifest of {id}"
        ))
    })?;
    let sealed: SealedTables = serde_json::from_slice(&plain)
        .map_err(|error| damaged("has sealed details that cannot be read").because(error))?;
    if sealed.archive != part.archive {
        return Err(damaged(
            "says something else about the archive than what is sealed in it",
        ));
    }
    Ok(Some(Detail {
        tables: sealed.tables,
        contents: sealed.contents,
    }))
}
