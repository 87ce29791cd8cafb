//! The backups that a storage holds, from the keys it lists alone.

use super::name::{BackupId, Name, Part, Shape};
use std::collections::BTreeMap;

/// One backup as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which backup.
    pub id: BackupId,
    /// What its archive went through.
    pub shape: Shape,
    /// Size of the archive on storage.
    pub bytes: u64,
    /// True where a manifest lies beside it.
    pub has_manifest: bool,
    /// True where a checksum lies beside it.
    pub has_checksum: bool,
}

impl Entry {
    /// The key of its archive.
    pub fn archive_key(&self) -> String {
        self.id.archive_key(self.shape)
    }
}

/// Sorts keys and sizes into backups, oldest first. Foreign names, writes in progress and sidecars
/// without an archive make no entry.
pub fn entries<'a>(objects: impl IntoIterator<Item = (&'a str, u64)>) -> Vec<Entry> {
    #[derive(Default)]
    struct Found {
        archives: Vec<(Shape, u64)>,
        checksums: Vec<Shape>,
        manifest: bool,
    }
    let mut found: BTreeMap<BackupId, Found> = BTreeMap::new();
    for (key, bytes) in objects {
        let Some(name) = Name::parse(key) else {
            continue;
        };
        if name.temporary {
            continue;
        }
        let backup = found.entry(name.id).or_default();
        match name.part {
            Part::Archive(shape) => backup.archives.push((shape, bytes)),
            Part::Checksum(shape) => backup.checksums.push(shape),
            Part::Manifest => backup.manifest = true,
        }
    }
    let mut entries = Vec::new();
    for (id, backup) in found {
        for (shape, bytes) in backup.archives {
            entries.push(Entry {
                id: id.clone(),
                shape,
                bytes,
                has_manifest: backup.manifest,
                has_checksum: backup.checksums.contains(&shape),
            });
        }
    }
    entries.sort_by(|a, b| {
        let order = |entry: &Entry| (entry.id.timestamp, entry.shape);
        (order(a), &a.id.database).cmp(&(order(b), &b.id.database))
    });
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_without_a_manifest_is_a_backup_and_a_manifest_alone_is_none() {
        let listed = entries([
            ("app/20261120_020000.000000001Z.dump.gz", 10),
            ("app/20261119_020000.000000001Z.json", 5),
            ("app/20261121_020000.000000001Z.dump.gz.tmp", 7),
            ("app/20261118_020000.000000001Z.dump", 3),
            ("app/20261118_020000.000000001Z.json", 3),
            ("app/20261118_020000.000000001Z.dump.sha256", 3),
            ("app/readme.txt", 1),
        ]);
        let shown: Vec<_> = listed
            .iter()
            .map(|entry| (entry.archive_key(), entry.has_manifest, entry.has_checksum))
            .collect();
        assert_eq!(
            shown,
            [
                (
                    "app/20261118_020000.000000001Z.dump".to_string(),
                    true,
                    true
                ),
                (
                    "app/20261120_020000.000000001Z.dump.gz".to_string(),
                    false,
                    false
                ),
            ]
        );
    }
}
