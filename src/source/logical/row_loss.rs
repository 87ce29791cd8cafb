//! Which tables lost most of their rows since the backup before.

use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::format::seal::Keys;
use crate::repository::manifest::Table;
use crate::repository::standing::Purpose;
use crate::repository::{Repository, manifest_details};

/// The tables of the newest backup that a new one can be compared with, where that can be told. Costs its manifest, and
/// those of newer ones that do not count; whatever goes wrong only costs the comparison.
pub fn previous_tables(
    repository: &Repository,
    keys: Option<&Keys>,
    cancel: &Cancel,
) -> Option<Vec<Table>> {
    match look(repository, keys, cancel) {
        Ok(tables) => tables,
        Err(error) => {
            log::debug!("the backup before is not compared: {}", error.chain());
            None
        }
    }
}

fn look(
    repository: &Repository,
    keys: Option<&Keys>,
    cancel: &Cancel,
) -> Result<Option<Vec<Table>>> {
    let newest = repository.newest(Purpose::Compare, |_| true, &mut Vec::new(), cancel)?;
    let Some(newest) = newest else {
        return Ok(None);
    };
    let manifest = repository.manifest(&newest.backup, cancel)?;
    let Some(manifest) = manifest.read() else {
        return Ok(None);
    };
    let keys = || {
        let missing = || Error::failed("it is encrypted, and encryption is not configured");
        keys.cloned().ok_or_else(missing)
    };
    let detail = manifest_details::detail(manifest.clone(), &newest.backup.id, &keys)?;
    Ok(detail.map(|detail| detail.tables))
}
