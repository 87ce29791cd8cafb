//! `diff`: what two manifests say about the tables of two backups.

use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::format::seal::Keys;
use crate::repository::located::Located;
use crate::repository::manifest::Detail;
use crate::repository::manifest_details;
use crate::repository::names::BackupId;
use crate::repository::sidecars::read_manifest;

/// One of the two backups.
#[derive(Debug)]
pub struct Side {
    pub id: BackupId,
    /// What it holds.
    pub detail: Detail,
}

/// Reads the manifest of `selected`; an error where it has none that tells of its tables.
pub fn side(selected: &Located, keys: &dyn Fn() -> Result<Keys>, cancel: &Cancel) -> Result<Side> {
    let Located::Stored { storage, entry } = selected else {
        let shown = selected.shown();
        return Err(
            Error::usage(format!("{shown} is a file, which has no manifest"))
                .hint("name a backup as list prints it"),
        );
    };
    let id = entry.id.clone();
    let detail = match read_manifest(storage.as_ref(), entry, cancel)? {
        Some(manifest) => manifest_details::detail(manifest, &id, keys)?,
        None => None,
    };
    match detail {
        Some(detail) => Ok(Side { id, detail }),
        None => Err(Error::failed(format!(
            "{id} has no manifest that says what its tables hold"
        ))
        .hint("its archive can still be checked: backupkit verify")),
    }
}
