//! `diff`: what two manifests say about the tables of two dumps, or the databases of two backups of a cluster.

use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::format::seal::Keys;
use crate::repository::located::Located;
use crate::repository::manifest::{Detail, Manifest, SourcePart};
use crate::repository::manifest_details;
use crate::repository::names::BackupId;
use crate::repository::sidecars::read_manifest;
use crate::source::logical::table_comparison::Change;
use crate::source::physical::details::{ClusterDetails, DatabaseFacts};
use crate::text::ours;
use std::collections::BTreeMap;

/// A backup, and what asks for the keys that open it.
pub type Keyed<'a> = (&'a Located, &'a dyn Fn() -> Result<Keys>);

/// One of the two backups.
#[derive(Debug)]
pub struct Side<T> {
    pub id: BackupId,
    /// What it holds.
    pub detail: T,
}

/// Two backups of the same kind, the earlier one first as it was named.
#[derive(Debug)]
pub enum Compared {
    Dumps(Side<Detail>, Side<Detail>),
    Clusters(Side<ClusterDetails>, Side<ClusterDetails>),
}

/// A database of a cluster that is not the same in both.
#[derive(Debug, PartialEq, Eq)]
pub struct DatabaseDifference<'a> {
    pub change: Change,
    pub before: Option<&'a DatabaseFacts>,
    pub after: Option<&'a DatabaseFacts>,
}

/// Reads the manifests of both; an error where one has none that tells what it holds.
pub fn compare(before: Keyed, after: Keyed, cancel: &Cancel) -> Result<Compared> {
    match (side(before, cancel)?, side(after, cancel)?) {
        (Held::Dump(before), Held::Dump(after)) => Ok(Compared::Dumps(before, after)),
        (Held::Cluster(before), Held::Cluster(after)) => Ok(Compared::Clusters(before, after)),
        _ => Err(Error::usage(
            "one of the backups is of a database and the other of a whole cluster",
        )
        .hint("name two of a kind, as list prints them")),
    }
}

/// Which databases of the clusters differ, by their names.
pub fn database_differences<'a>(
    before: &'a ClusterDetails,
    after: &'a ClusterDetails,
) -> Vec<DatabaseDifference<'a>> {
    let mut pairs: BTreeMap<u32, (Option<&DatabaseFacts>, Option<&DatabaseFacts>)> =
        BTreeMap::new();
    for database in &before.databases {
        pairs.entry(database.oid).or_default().0 = Some(database);
    }
    for database in &after.databases {
        pairs.entry(database.oid).or_default().1 = Some(database);
    }
    let differences = pairs.into_values().filter_map(|(before, after)| {
        let change = match (before, after) {
            (None, _) => Change::Appeared,
            (_, None) => Change::Vanished,
            (Some(before), Some(after)) if after.bytes > before.bytes => Change::Grew,
            (Some(before), Some(after)) if after.bytes < before.bytes => Change::Shrank,
            (Some(before), Some(after)) if after.name != before.name => Change::Changed,
            _ => return None,
        };
        Some(DatabaseDifference {
            change,
            before,
            after,
        })
    });
    let mut differences: Vec<DatabaseDifference> = differences.collect();
    differences.sort_by_key(|found| found.after.or(found.before).map(|one| one.name.clone()));
    differences
}

enum Held {
    Dump(Side<Detail>),
    Cluster(Side<ClusterDetails>),
}

fn side((selected, keys): Keyed, cancel: &Cancel) -> Result<Held> {
    let Located::Stored { storage, entry } = selected else {
        let shown = selected.shown();
        return Err(
            Error::usage(format!("{shown} is a file, which has no manifest"))
                .hint("name a backup as list prints it"),
        );
    };
    let id = entry.id.clone();
    let held = match read_manifest(storage.as_ref(), entry, cancel)? {
        Some(manifest) => held(manifest, id.clone(), keys)?,
        None => None,
    };
    held.ok_or_else(|| {
        Error::failed(format!("{id} has no manifest that says what it holds")).hint(format!(
            "it can still be checked: {}",
            ours::command(&format!("verify {id}"))
        ))
    })
}

fn held(manifest: Manifest, id: BackupId, keys: &dyn Fn() -> Result<Keys>) -> Result<Option<Held>> {
    let SourcePart::Objects(part) = &manifest.part else {
        let detail = manifest_details::detail(manifest, &id, keys)?;
        return Ok(detail.map(|detail| Held::Dump(Side { id, detail })));
    };
    let Some(details) = manifest_details::open_details(part, keys, &id)? else {
        return Ok(None);
    };
    let detail = serde_json::from_value(details).map_err(|error| {
        Error::damaged(format!(
            "the manifest of {id} has details that cannot be read"
        ))
        .because(error)
    })?;
    Ok(Some(Held::Cluster(Side { id, detail })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(databases: &[(u32, &str, u64)]) -> ClusterDetails {
        let databases = databases.iter().map(|(oid, name, bytes)| DatabaseFacts {
            oid: *oid,
            name: name.to_string(),
            bytes: *bytes,
        });
        ClusterDetails {
            databases: databases.collect(),
            ..ClusterDetails::default()
        }
    }

    #[test]
    fn databases_are_known_by_their_numbers() {
        let before = cluster(&[
            (1, "template1", 7),
            (5, "app", 100),
            (6, "old", 1),
            (7, "a", 5),
        ]);
        let after = cluster(&[
            (1, "template1", 7),
            (5, "app", 200),
            (8, "new", 1),
            (7, "b", 5),
        ]);
        let found = database_differences(&before, &after);
        let found: Vec<(Change, &str)> = found
            .iter()
            .map(|one| (one.change, &*one.after.or(one.before).unwrap().name))
            .collect();
        assert_eq!(
            found,
            [
                (Change::Grew, "app"),
                (Change::Changed, "b"),
                (Change::Appeared, "new"),
                (Change::Vanished, "old")
            ]
        );
    }
}
