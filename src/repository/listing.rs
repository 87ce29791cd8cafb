//! The backups that a storage holds, from the keys it lists alone.

use super::manifest::{Manifest, SourceKind};
use super::mark_names::{HostMark, MarkKind};
use super::names::{self, Acceptance, BackupId, Name, ObjectName, Part, Timestamp};
use crate::format::encoding::ArchiveEncoding;
use std::collections::BTreeMap;

/// One archive as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which backup.
    pub id: BackupId,
    /// What its archive went through.
    pub encoding: ArchiveEncoding,
    /// Size of the archive on storage.
    pub bytes: u64,
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
    pub fn archive_key(&self) -> String {
        self.id.archive_key(self.encoding)
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

    /// True where the archive has not the size that its manifest tells, and so is not what was stored.
    pub fn differs_from(&self, manifest: Option<&Manifest>) -> bool {
        // a manifest may be about an archive encoded in another way under the same name
        let key = self.archive_key();
        let objects = manifest.map(Manifest::objects).unwrap_or_default();
        objects
            .iter()
            .any(|object| object.key == key && object.bytes != self.bytes)
    }
}

/// Everything that lies under one moment of one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Which backup.
    pub id: BackupId,
    /// Its archives and their sizes. One, unless someone laid the same backup there encoded in another way.
    pub archives: Vec<(ArchiveEncoding, u64)>,
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

    /// Size of its archives on storage.
    pub fn bytes(&self) -> u64 {
        self.archives.iter().map(|(_, bytes)| bytes).sum()
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
        self.archives.iter().map(|&(encoding, bytes)| Entry {
            id: self.id.clone(),
            encoding,
            bytes,
            has_manifest: self.has(Part::Manifest),
            has_checksum: self.has(Part::Checksum(encoding)),
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

/// A backup of another source than a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherBackup {
    pub id: BackupId,
    /// What it is of; `None` where the object that tells is not there.
    pub kind: Option<SourceKind>,
    /// The size of its objects together.
    pub bytes: u64,
}

/// What lies under one moment of one database.
#[derive(Default)]
struct MomentFiles {
    archives: Vec<(ArchiveEncoding, u64)>,
    /// The objects of another source.
    objects: Vec<(ObjectName, u64)>,
    sidecars: Vec<Part>,
    /// Something lies there that may need what lies beside it: a write in progress, a name of a newer version.
    spared: bool,
}

/// What the keys of a storage, or of one directory of it, come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The backups, oldest first. Foreign names and writes in progress make none.
    pub backups: Vec<Backup>,
    /// Backups of other sources than a database, oldest first: shown, and left alone.
    pub others: Vec<OtherBackup>,
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
                Part::Archive(encoding) => backup.archives.push((encoding, bytes)),
                Part::Object(object, _) => backup.objects.push((object, bytes)),
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
            objects,
            mut sidecars,
            spared,
        } = moment;
        if !objects.is_empty() {
            self.others.push(OtherBackup {
                kind: objects.iter().find_map(|(object, _)| kind_by(*object)),
                bytes: objects.iter().map(|(_, bytes)| bytes).sum(),
                id,
            });
            return;
        }
        // in one order, whatever order the storage lists in
        archives.sort();
        sidecars.sort_by_key(Part::to_string);
        let has = |part| sidecars.contains(&part);
        let is_unfinished = has(Part::Run) && !has(Part::Manifest);
        if is_unfinished {
            let archives = archives
                .iter()
                .map(|(encoding, _)| id.archive_key(*encoding));
            let others = sidecars.iter().filter(|part| **part != Part::Run);
            self.unfinished.push(UnfinishedRun {
                id: id.clone(),
                keys: archives.chain(others.map(|part| id.key(*part))).collect(),
                is_spared: spared,
            });
        } else if has(Part::Run) {
            // its run was killed before it could take the mark away
            self.orphans.push(id.key(Part::Run));
        }
        if !archives.is_empty() {
            self.backups.push(Backup {
                id,
                archives,
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

/// What a backup with this object is of, where that object tells.
fn kind_by(object: ObjectName) -> Option<SourceKind> {
    match object {
        ObjectName::FullCluster => Some(SourceKind::FullCluster),
        ObjectName::IncrementalCluster => Some(SourceKind::IncrementalCluster),
        ObjectName::FullFiles => Some(SourceKind::FullFiles),
        ObjectName::IncrementalFiles => Some(SourceKind::IncrementalFiles),
        ObjectName::Tablespace(_) | ObjectName::BackupManifest | ObjectName::Wal => None,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_backup_of_another_source_is_shown_and_nothing_of_it_is_an_orphan() {
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
        assert!(listing.backups.is_empty() && listing.orphans.is_empty());
        let other = &listing.others[0];
        assert_eq!(
            (other.kind, other.bytes),
            (Some(SourceKind::FullCluster), 21)
        );
        // what only a newer version knows keeps what lies beside it, too
        let keys = [at(".later.tar"), at(".json"), at(".sha256")];
        let listing = Listing::new(keys.iter().map(|key| (key.as_str(), 7)));
        assert_eq!(listing, Listing::default());
    }

    use super::*;

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
