//! The backups that a storage holds, from the keys it lists alone.

use super::manifest::Manifest;
use super::mark_names::{HostMark, MarkKind};
use super::names::{self, Acceptance, BackupId, Name, ObjectName, Part, Timestamp};
use super::source_kind::{SourceClass, SourceKind};
use crate::format::encoding::ArchiveEncoding;
use std::collections::BTreeMap;

/// One archive as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which backup.
    pub id: BackupId,
    /// What it is of.
    pub kind: SourceKind,
    /// What its archive went through.
    pub encoding: ArchiveEncoding,
    /// Size of the archive on storage.
    pub bytes: u64,
    /// Its further objects, where it is of another source than a database.
    pub objects: Vec<ListedObject>,
    /// True where a manifest lies beside it.
    pub has_manifest: bool,
    /// True where a checksum lies beside it.
    pub has_checksum: bool,
    /// True where retention leaves it alone for good.
    pub pinned: bool,
    /// True where a run marks it as one that it is writing.
    pub has_run: bool,
    /// The checks of which a record lies beside it, the oldest first.
    pub checks: Vec<Timestamp>,
    /// True where records in the form of earlier versions lie beside it.
    pub has_old_checks: bool,
}

impl Entry {
    /// The key of the object that it is known by.
    pub fn archive_key(&self) -> String {
        self.id.key(self.kind.archive(self.encoding))
    }

    /// The key of the checksum of that object.
    pub fn checksum_key(&self) -> String {
        self.id.key(self.kind.checksum(self.encoding))
    }

    /// The size of all of its objects on storage.
    pub fn total_bytes(&self) -> u64 {
        let others: u64 = self.objects.iter().map(|object| object.bytes).sum();
        self.bytes + others
    }

    /// True where records of checks lie beside it.
    pub fn has_records(&self) -> bool {
        self.has_old_checks || !self.checks.is_empty()
    }

    /// True for what a run has not written to its end: the manifest comes last.
    pub fn is_unfinished(&self) -> bool {
        self.has_run && !self.has_manifest
    }

    /// True for an encrypted archive, by its name.
    pub fn is_sealed(&self) -> bool {
        self.encoding.cipher.is_encrypted()
    }

    /// True where an object has not the size that its manifest tells or is not there, so that this is not what was stored.
    pub fn differs_from(&self, manifest: Option<&Manifest>) -> bool {
        let objects = manifest.map(Manifest::objects).unwrap_or_default();
        // a manifest may be about an archive encoded in another way under the same name
        if !objects
            .iter()
            .any(|object| object.key == self.archive_key())
        {
            return false;
        }
        objects
            .iter()
            .any(|object| self.bytes_of(&object.key) != Some(object.bytes))
    }

    /// The size of the object under `key`, where it is one of this backup.
    pub fn bytes_of(&self, key: &str) -> Option<u64> {
        if key == self.archive_key() {
            return Some(self.bytes);
        }
        let mut objects = self.objects.iter();
        let found = objects.find(|object| object.key(&self.id) == key);
        found.map(|object| object.bytes)
    }
}

/// One object of a backup of another source than a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListedObject {
    pub name: ObjectName,
    pub encoding: ArchiveEncoding,
    /// Its size on storage.
    pub bytes: u64,
}

impl ListedObject {
    /// Its key in the backup `id`.
    pub fn key(&self, id: &BackupId) -> String {
        id.key(Part::Object(self.name, self.encoding))
    }
}

/// The object that a backup is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListedArchive {
    pub kind: SourceKind,
    pub encoding: ArchiveEncoding,
    /// Its size on storage.
    pub bytes: u64,
}

/// Everything that lies under one moment of one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Which backup.
    pub id: BackupId,
    /// Its archives. One, unless someone laid the same backup there encoded in another way.
    pub archives: Vec<ListedArchive>,
    /// The further objects of another source than a database.
    pub objects: Vec<ListedObject>,
    /// What lies beside them.
    pub sidecars: Vec<Part>,
}

impl Backup {
    /// True where this lies beside it.
    pub fn has(&self, part: Part) -> bool {
        self.sidecars.contains(&part)
    }

    /// True for what a run has not written to its end.
    pub fn is_unfinished(&self) -> bool {
        self.has(Part::Run) && !self.has(Part::Manifest)
    }

    /// Size of its archives and objects on storage.
    pub fn bytes(&self) -> u64 {
        let archives: u64 = self.archives.iter().map(|archive| archive.bytes).sum();
        let objects: u64 = self.objects.iter().map(|object| object.bytes).sum();
        archives + objects
    }

    /// What a name with this backup is configured as.
    pub fn class(&self) -> Option<SourceClass> {
        let first = self.archives.first();
        first.map(|archive| archive.kind.class())
    }

    /// The keys of its archives, by which it is known.
    pub fn archive_keys(&self) -> impl Iterator<Item = String> {
        let archives = self.archives.iter();
        archives.map(|archive| self.id.key(archive.kind.archive(archive.encoding)))
    }

    /// The checks of which a record lies beside it, the oldest first.
    fn checks(&self) -> Vec<Timestamp> {
        let recorded = self.sidecars.iter().filter_map(|part| match part {
            Part::Check(began) => Some(*began),
            _ => None,
        });
        let mut checks: Vec<Timestamp> = recorded.collect();
        checks.sort();
        checks
    }

    /// Its archives.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        self.archives.iter().map(|archive| Entry {
            id: self.id.clone(),
            kind: archive.kind,
            encoding: archive.encoding,
            bytes: archive.bytes,
            objects: self.objects.clone(),
            has_manifest: self.has(Part::Manifest),
            has_checksum: self.has(archive.kind.checksum(archive.encoding)),
            pinned: self.has(Part::Pin),
            has_run: self.has(Part::Run),
            checks: self.checks(),
            has_old_checks: self.has(Part::OldChecks),
        })
    }
}

/// A backup that a run has marked as its own, and that has no manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedRun {
    pub id: BackupId,
    /// The keys of all that is there of it, but for the mark.
    pub keys: Vec<String>,
    /// Something else lies beside it: a write in progress, or what only a newer version knows.
    pub is_spared: bool,
}

/// Objects of a backup that lacks the one that it would be known by, and a manifest: shown, and left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    pub id: BackupId,
    /// The size of its objects together.
    pub bytes: u64,
}

/// What lies under one moment of one database.
#[derive(Default)]
struct MomentFiles {
    archives: Vec<ListedArchive>,
    /// The further objects of another source.
    objects: Vec<ListedObject>,
    sidecars: Vec<Part>,
    /// Something lies there that may need what lies beside it: a write in progress, a name of a newer version.
    spared: bool,
}

/// What the keys of a storage, or of one directory of it, come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The backups, oldest first. Foreign names and writes in progress make none.
    pub backups: Vec<Backup>,
    /// What may be a part of a backup, oldest first.
    pub fragments: Vec<Fragment>,
    /// Keys of ours that have lost what they belonged to, sorted.
    pub orphans: Vec<String>,
    /// What runs have begun and not ended, whether anything of it is there yet or not, oldest first.
    pub unfinished: Vec<UnfinishedRun>,
    /// What was accepted of which database, and the backup that was the newest then.
    accepted: BTreeMap<(String, Acceptance), Timestamp>,
    /// What hosts left for each other, sorted.
    pub marks: Vec<HostMark>,
    /// The marks of readers, each with the backup that it is about, sorted.
    pub reading: Vec<(BackupId, String)>,
}

impl Listing {
    /// Sorts keys and sizes.
    pub fn new<'a>(objects: impl IntoIterator<Item = (&'a str, u64)>) -> Listing {
        let mut found: BTreeMap<BackupId, MomentFiles> = BTreeMap::new();
        let mut accepted: BTreeMap<(String, Acceptance), Vec<BackupId>> = BTreeMap::new();
        let (mut marks, mut reading) = (Vec::new(), Vec::new());
        for (key, bytes) in objects {
            let Some(name) = Name::parse(key) else {
                if let Some(id) = names::reading(key) {
                    reading.push((id, key.to_string()));
                } else if let Some(mark) = HostMark::parse(key) {
                    marks.push(mark);
                } else if let Some(id) = names::beside(key) {
                    found.entry(id).or_default().spared = true;
                }
                continue;
            };
            if let Part::Accepted(what) = name.part {
                if !name.temporary {
                    let of = (name.id.database.clone(), what);
                    accepted.entry(of).or_default().push(name.id);
                }
                continue;
            }
            let backup = found.entry(name.id).or_default();
            match name.part {
                _ if name.temporary => backup.spared = true,
                Part::Archive(encoding) => backup.archives.push(ListedArchive {
                    kind: SourceKind::Dump,
                    encoding,
                    bytes,
                }),
                Part::Object(object, encoding) => match SourceKind::known_by(object) {
                    Some(kind) => backup.archives.push(ListedArchive {
                        kind,
                        encoding,
                        bytes,
                    }),
                    None => backup.objects.push(ListedObject {
                        name: object,
                        encoding,
                        bytes,
                    }),
                },
                sidecar => backup.sidecars.push(sidecar),
            }
        }
        marks.sort();
        reading.sort();
        let mut listing = Listing {
            marks,
            reading,
            ..Listing::default()
        };
        for (id, moment) in found {
            listing.add(id, moment);
        }
        for ((database, what), mut ids) in accepted {
            ids.sort();
            if let Some(last) = ids.pop() {
                listing.accepted.insert((database, what), last.timestamp);
            }
            let outdated = ids.iter().map(|id| id.key(Part::Accepted(what)));
            listing.orphans.extend(outdated);
        }
        listing.orphans.sort();
        listing.orphans.dedup();
        listing.backups.sort_by(|a, b| {
            (a.id.timestamp, &a.id.database).cmp(&(b.id.timestamp, &b.id.database))
        });
        listing
    }

    /// The backup that was the newest of `database` when `what` was accepted last.
    pub fn accepted(&self, database: &str, what: Acceptance) -> Option<Timestamp> {
        let of = (database.to_string(), what);
        self.accepted.get(&of).copied()
    }

    /// Adds what lies under one moment of one database.
    fn add(&mut self, id: BackupId, moment: MomentFiles) {
        let MomentFiles {
            mut archives,
            mut objects,
            mut sidecars,
            spared,
        } = moment;
        // in one order, whatever order the storage lists in
        archives.sort();
        objects.sort();
        sidecars.sort_by_key(Part::to_string);
        let has = |part| sidecars.contains(&part);
        let is_unfinished = has(Part::Run) && !has(Part::Manifest);
        let archive_keys = archives.iter();
        let archive_keys = archive_keys.map(|one| id.key(one.kind.archive(one.encoding)));
        let object_keys = objects.iter().map(|object| object.key(&id));
        if is_unfinished {
            let others = sidecars.iter().filter(|part| **part != Part::Run);
            let others = others.map(|part| id.key(*part));
            self.unfinished.push(UnfinishedRun {
                keys: archive_keys.chain(object_keys).chain(others).collect(),
                id: id.clone(),
                is_spared: spared,
            });
        } else if has(Part::Run) {
            // its run was killed before it could take the mark away
            self.orphans.push(id.key(Part::Run));
        } else if archives.is_empty() && !objects.is_empty() && !has(Part::Manifest) {
            // no deletion leaves objects without the manifest, so someone may be copying them here
            let bytes = objects.iter().map(|object| object.bytes).sum();
            self.fragments.push(Fragment { id, bytes });
            return;
        } else if archives.is_empty() && !spared {
            self.orphans.extend(object_keys);
        }
        if !archives.is_empty() {
            self.backups.push(Backup {
                id,
                archives,
                objects,
                sidecars,
            });
        } else if !spared && !is_unfinished {
            let orphans = sidecars.iter().map(|part| id.key(*part));
            self.orphans.extend(orphans);
        }
    }

    /// The numbers of the marks of this kind of one database, rising.
    pub fn numbers(&self, database: &str, kind: MarkKind) -> Vec<u64> {
        let marks = self.marks.iter();
        let of_kind = marks.filter(|mark| mark.database == database && mark.kind == kind);
        of_kind.map(|mark| mark.number).collect()
    }

    /// The archives, oldest first.
    pub fn entries(&self) -> Vec<Entry> {
        self.backups.iter().flat_map(Backup::entries).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_of_a_cluster_has_all_of_its_objects_and_nothing_of_it_is_an_orphan() {
        let at = |suffix: &str| format!("main/20261125_010000.000000000Z{suffix}");
        let keys = [
            at(".full.tar.gz"),
            at(".full.tar.gz.sha256"),
            at(".tblspc-24583.tar.gz"),
            at(".backup_manifest"),
            at(".json"),
            at(".pin"),
        ];
        let listing = Listing::new(keys.iter().map(|key| (key.as_str(), 7)));
        assert!(listing.fragments.is_empty() && listing.orphans.is_empty());
        let backup = &listing.backups[0];
        assert_eq!(backup.class(), Some(SourceClass::Cluster));
        assert_eq!((backup.bytes(), backup.objects.len()), (21, 2));
        let entry = &listing.entries()[0];
        assert!(entry.has_checksum && entry.has_manifest && entry.pinned);
        assert_eq!(entry.archive_key(), keys[0]);
        assert_eq!(entry.bytes_of(&keys[2]), Some(7));
        assert_eq!(entry.bytes_of(&at(".wal.tar")), None);
        // what a deletion leaves has its manifest still; without one somebody may be copying the backup here
        let left = Listing::new([(&*keys[2], 7), (&*keys[3], 7), (&*keys[4], 7)]);
        assert_eq!(
            left.orphans,
            [keys[3].clone(), keys[4].clone(), keys[2].clone()]
        );
        let copied = Listing::new([(&*keys[2], 7), (&*keys[3], 7)]);
        assert!(copied.orphans.is_empty() && copied.backups.is_empty());
        assert_eq!(copied.fragments[0].bytes, 14);
        // what only a newer version knows keeps what lies beside it, too
        let keys = [at(".later.tar"), at(".json"), at(".sha256")];
        let listing = Listing::new(keys.iter().map(|key| (key.as_str(), 7)));
        assert_eq!(listing, Listing::default());
    }

    #[test]
    fn an_archive_without_a_manifest_is_a_backup_and_a_manifest_alone_is_none() {
        let listed = Listing::new([
            ("app/20261120_020000.000000001Z.dump.gz", 10),
            ("app/20261119_020000.000000001Z.json", 5),
            ("app/20261121_020000.000000001Z.dump.gz.tmp", 7),
            ("app/20261118_020000.000000001Z.dump", 3),
            ("app/20261118_020000.000000001Z.json", 3),
            ("app/20261118_020000.000000001Z.dump.sha256", 3),
            ("app/readme.txt", 1),
        ])
        .entries();
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

    #[test]
    fn a_backup_knows_its_sidecars_and_only_what_lost_its_archive_is_an_orphan() {
        let at = |day: u32, suffix: &str| format!("app/202611{day:02}_020000.000000001Z{suffix}");
        let keys = [
            at(18, ".dump.gz.enc"),
            at(18, ".dump.gz.enc.sha256"),
            at(18, ".json"),
            at(18, ".verified.json"),
            at(18, ".pin"),
            at(18, ".globals.sql.gz.enc"),
            at(18, ".globals.sql.gz.enc.sha256"),
            at(17, ".json"),
            at(17, ".pin"),
            at(16, ".probe"),
            // a live write waits for its archive
            at(19, ".json"),
            at(19, ".dump.tmp"),
            // the last acceptance outlives its archive, earlier ones are over
            at(10, ".accepted"),
            at(12, ".accepted"),
            at(13, ".accepted.tmp"),
            "app/last-failure.json".to_string(),
            // what hosts leave for each other makes no backup, and keeps none from being swept
            "app/lease.7.json".to_string(),
            at(18, ".reading-db1-1f"),
            at(17, ".reading-db1-1f"),
        ];
        let listing = Listing::new(keys.iter().map(|key| (key.as_str(), 7)));
        assert_eq!(listing.backups.len(), 1);
        let backup = &listing.backups[0];
        assert_eq!(backup.bytes(), 7);
        assert_eq!(backup.sidecars.len(), 6);
        assert!(backup.has(Part::Pin) && backup.has(Part::OldChecks));
        assert!(listing.entries()[0].pinned);
        assert_eq!(
            listing.orphans,
            [
                at(10, ".accepted"),
                at(16, ".probe"),
                at(17, ".json"),
                at(17, ".pin")
            ]
        );
        assert_eq!(listing.numbers("app", MarkKind::Lease), [7]);
        assert_eq!(listing.reading.len(), 2);
        let accepted = listing.accepted("app", Acceptance::Source).unwrap();
        assert_eq!(accepted.to_string(), "20261112_020000.000000001Z");
        assert_eq!(listing.accepted("app", Acceptance::Clock), None);
    }
}
