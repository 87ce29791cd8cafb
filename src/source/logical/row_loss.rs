//! Which tables lost most of their rows since the backup before.

use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::format::seal::Keys;
use crate::repository::manifest::Table;
use crate::repository::manifest_details;
use crate::repository::names::Part;
use crate::repository::reference::{listing_of, manifest_of};
use crate::storage::Storage;
use std::time::Duration;

/// Looking at the backup before must not hold the next one up.
const LOOKING: Duration = Duration::from_secs(30);
/// Of so many backups one should be full.
const MOST: usize = 5;

/// The tables of the newest full backup of `database`, where that can be told. Costs a listing and a manifest; whatever
/// goes wrong only costs the comparison.
pub fn previous_tables(
    storage: &dyn Storage,
    database: &str,
    keys: Option<&Keys>,
    cancel: &Cancel,
) -> Option<Vec<Table>> {
    let cancel = cancel.with_deadline(LOOKING);
    match look(storage, database, keys, &cancel) {
        Ok(tables) => tables,
        Err(error) => {
            log::debug!("the backup before is not compared: {}", error.chain());
            None
        }
    }
}

fn look(
    storage: &dyn Storage,
    database: &str,
    keys: Option<&Keys>,
    cancel: &Cancel,
) -> Result<Option<Vec<Table>>> {
    let listing = listing_of(storage, Some(database), cancel)?;
    let newest_first = listing.backups.iter().rev();
    let newest_first = newest_first.filter(|backup| backup.has(Part::Manifest));
    for backup in newest_first.take(MOST) {
        let manifest = manifest_of(storage, &backup.id, cancel)?;
        if manifest.dump.partial {
            continue;
        }
        let keys = || {
            let missing = || Error::failed("it is encrypted, and encryption is not configured");
            keys.cloned().ok_or_else(missing)
        };
        let detail = manifest_details::detail(manifest, &backup.id, &keys)?;
        return Ok(detail.map(|detail| detail.tables));
    }
    Ok(None)
}
