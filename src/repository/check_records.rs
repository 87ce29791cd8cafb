//! What checks of a backup found: the records beside it.
//!
//! One object a check, so that two hosts lose none, and no more than [`MOST`] of them; earlier versions wrote several
//! checks into one. JSON, additive: readers ignore fields they do not know. A record is a claim like a manifest is. Of a sealed archive it tells a stranger when it was checked, how and
//! with what result; the names of tables and every message are sealed in [`Check::details_sealed`].

use super::evidence::Fault;
use crate::error::{Error, Result};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The schema this version writes and reads.
pub const SCHEMA: u32 = 1;
/// How many checks are kept.
pub const MOST: usize = 100;
/// No record is written that is larger than this many bytes.
pub const LARGEST: u64 = 1024 * 1024;
/// How many faults of one check are written down; all of them are counted.
const FAULTS: usize = 50;

/// How deep a check looks; each level does all that the ones before it do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckLevel {
    /// The archive, its size and its sidecars.
    Exists,
    /// The stored bytes.
    Checksum,
    /// The dump inside, compared with the manifest table by table.
    Full,
    /// A restore into a throwaway database, compared with the manifest table by table.
    Restore,
}

impl CheckLevel {
    /// Every level, the least first.
    pub const ALL: [CheckLevel; 4] = [
        CheckLevel::Exists,
        CheckLevel::Checksum,
        CheckLevel::Full,
        CheckLevel::Restore,
    ];

    /// `exists`, `checksum`, `full` or `restore`.
    pub fn name(self) -> &'static str {
        match self {
            CheckLevel::Exists => "exists",
            CheckLevel::Checksum => "checksum",
            CheckLevel::Full => "full",
            CheckLevel::Restore => "restore",
        }
    }
}

impl fmt::Display for CheckLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for CheckLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<CheckLevel, String> {
        let found = CheckLevel::ALL
            .into_iter()
            .find(|level| level.name() == text);
        found.ok_or_else(|| format!("{text:?} is not one of exists, checksum, full and restore"))
    }
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckOutcome {
    /// The backup is what it should be.
    Good,
    /// It is damaged, incomplete, or not what its manifest says.
    Bad,
    /// The check itself failed, which says nothing about the backup: no password, no server, no space.
    Undecided,
}

impl CheckOutcome {
    /// `good`, `bad` or `undecided`.
    pub fn name(self) -> &'static str {
        match self {
            CheckOutcome::Good => "good",
            CheckOutcome::Bad => "bad",
            CheckOutcome::Undecided => "undecided",
        }
    }
}

/// What only those who can open the archive may read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// Why the check failed, or why the archive cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What is wrong, the first so many of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
    /// What should be looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Details {
    /// True where there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        *self == Details::default()
    }

    /// No more than the first few faults and notes.
    pub fn bounded(mut self) -> Details {
        self.faults.truncate(FAULTS);
        self.notes.truncate(FAULTS);
        self
    }
}

/// The record of one check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// When it began.
    pub at: DateTime<Utc>,
    /// Who made it: `backupkit` and its version.
    pub tool: String,
    /// How deep it looked.
    pub level: CheckLevel,
    /// How it ended.
    pub result: CheckOutcome,
    /// The key of the archive.
    pub key: String,
    /// Its size on storage.
    pub bytes: u64,
    /// Its SHA-256, where all of it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// How long it took, in seconds.
    pub duration_seconds: f64,
    /// How long the restore alone took, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_seconds: Option<f64>,
    /// How many tables were compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tables: Option<u64>,
    /// How many rows a drill of a cluster read in them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// How many faults there are.
    #[serde(default)]
    pub faults: u64,
    /// True for a bad one that is whole: all that is wrong is that assertions failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_assertions: bool,
    /// The kind of failure, where it is not good: the word that `--json` has for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The words about it, where the archive is not sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Details>,
    /// Its details as a base64 container, where they are sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details_sealed: Option<String>,
}

/// All records about one backup on one storage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckRecords {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The checks, oldest first.
    pub checks: Vec<Check>,
}

impl Default for CheckRecords {
    fn default() -> CheckRecords {
        CheckRecords {
            schema: SCHEMA,
            checks: Vec::new(),
        }
    }
}

impl CheckRecords {
    /// Reads records; `key` is only for the message.
    pub fn from_json(bytes: &[u8], key: &str) -> Result<CheckRecords> {
        let proof: CheckRecords = serde_json::from_slice(bytes).map_err(|error| {
            Error::damaged(format!("the records of checks {key} cannot be read")).because(error)
        })?;
        if proof.schema > SCHEMA {
            return Err(Error::failed(format!(
                "the records of checks {key} have schema {}, this version reads {SCHEMA}",
                proof.schema
            ))
            .hint("use a newer backupkit"));
        }
        Ok(proof)
    }

    /// The bytes to store of the record of one check, [`LARGEST`] at most.
    pub fn to_json(mut check: Check) -> Result<Vec<u8>> {
        let bytes = |check: &Check| -> Result<Vec<u8>> {
            let records = CheckRecords {
                checks: vec![check.clone()],
                ..CheckRecords::default()
            };
            let mut bytes = serde_json::to_vec_pretty(&records)
                .map_err(|error| Error::failed("cannot write a record").because(error))?;
            bytes.push(b'\n');
            Ok(bytes)
        };
        let all = bytes(&check)?;
        if all.len() as u64 <= LARGEST {
            return Ok(all);
        }
        // what a reader would refuse for its size says less than the result alone
        check.details = None;
        check.details_sealed = None;
        bytes(&check)
    }

    /// The checks that are too many, the oldest first. The newest restore that ended well stays, and so does the newest
    /// check after it that found the backup bad: cheap checks every day must neither push out the proof of a drill every
    /// month, nor bring back one that has been disproved.
    pub fn too_many(&self) -> Vec<&Check> {
        let proves = |check: &Check| {
            check.level == CheckLevel::Restore && check.result == CheckOutcome::Good
        };
        let proof = self.checks.iter().rposition(proves);
        let disproof = proof.and_then(|proof| {
            let proven = &self.checks[proof];
            let bad = |check: &Check| {
                let of_this = check.key == proven.key && check.bytes == proven.bytes;
                of_this && check.result == CheckOutcome::Bad
            };
            let after = self.checks[proof + 1..].iter().rposition(bad);
            after.map(|after| proof + 1 + after)
        });
        let checks = self.checks.iter().enumerate();
        checks
            .filter(|(at, _)| Some(*at) != proof && Some(*at) != disproof)
            .map(|(_, check)| check)
            .take(self.checks.len().saturating_sub(MOST))
            .collect()
    }

    /// Those that began by then: a check from the future tells of a clock that was wrong, and must not outrank later ones.
    pub fn until(&self, moment: DateTime<Utc>) -> CheckRecords {
        let mut records = self.clone();
        records.checks.retain(|check| check.at <= moment);
        records
    }

    /// The newest check.
    pub fn last(&self) -> Option<&Check> {
        self.checks.last()
    }

    /// The check that tells most of the archive `key` of so many `bytes`: the one that found it bad, unless it was found good
    /// since; else the deepest that found it good; else the newest.
    pub fn telling(&self, key: &str, bytes: u64) -> Option<&Check> {
        let good = || CheckLevel::ALL.into_iter().rev();
        self.last_bad(key, bytes)
            .or_else(|| good().find_map(|level| self.last_good(level, key, bytes)))
            .or(self.last())
    }

    /// The newest check that found the archive `key` of so many `bytes` bad, unless a later one that looked as deep
    /// found it good.
    pub fn last_bad(&self, key: &str, bytes: u64) -> Option<&Check> {
        let of_this = |check: &&Check| check.key == key && check.bytes == bytes;
        // the deepest look that found it good since
        let mut redeemed: Option<CheckLevel> = None;
        for check in self.checks.iter().rev().filter(of_this) {
            match check.result {
                CheckOutcome::Good => redeemed = redeemed.max(Some(check.level)),
                CheckOutcome::Bad if redeemed < Some(check.level) => return Some(check),
                CheckOutcome::Bad | CheckOutcome::Undecided => {}
            }
        }
        None
    }

    /// The newest check of at least this level that found the archive `key` of so many `bytes` good, unless a later
    /// one found it bad.
    pub fn last_good(&self, at_least: CheckLevel, key: &str, bytes: u64) -> Option<&Check> {
        let of_this = |check: &&Check| check.key == key && check.bytes == bytes;
        let newest_first = self.checks.iter().rev().filter(of_this);
        newest_first
            .take_while(|check| check.result != CheckOutcome::Bad)
            .find(|check| check.result == CheckOutcome::Good && check.level >= at_least)
    }
}

/// When a backup was last proven good by a check of at least this level: "last proven restorable" with
/// [`CheckLevel::Restore`]. For each backup, its records with the key and the size of the archive they are about.
pub fn last_proven<'a>(
    proofs: impl IntoIterator<Item = (&'a CheckRecords, &'a str, u64)>,
    at_least: CheckLevel,
) -> Option<DateTime<Utc>> {
    let proofs = proofs.into_iter();
    let good = proofs.filter_map(|(proof, key, bytes)| proof.last_good(at_least, key, bytes));
    good.map(|check| check.at).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(level: CheckLevel, result: CheckOutcome) -> Check {
        Check {
            at: DateTime::UNIX_EPOCH,
            tool: "t".into(),
            level,
            result,
            key: "a/x.dump".into(),
            bytes: 7,
            sha256: None,
            duration_seconds: 1.0,
            restore_seconds: None,
            tables: None,
            rows: None,
            faults: 0,
            only_assertions: false,
            kind: None,
            details: None,
            details_sealed: None,
        }
    }

    fn proof(checks: &[(CheckLevel, CheckOutcome)]) -> CheckRecords {
        let mut proof = CheckRecords::default();
        for (level, result) in checks {
            proof.checks.push(check(*level, *result));
        }
        proof
    }

    #[test]
    fn what_was_found_bad_stays_so_until_a_check_as_deep_finds_it_good() {
        use CheckLevel::{Checksum, Exists, Full, Restore};
        use CheckOutcome::{Bad, Good, Undecided};
        let is_bad = |checks: &[_]| proof(checks).last_bad("a/x.dump", 7).is_some();
        assert!(!is_bad(&[]));
        assert!(!is_bad(&[(Full, Good), (Restore, Undecided)]));
        assert!(is_bad(&[(Restore, Good), (Full, Bad)]));
        assert!(is_bad(&[(Full, Bad), (Checksum, Good), (Exists, Good)]));
        assert!(is_bad(&[(Full, Bad), (Restore, Undecided)]));
        assert!(!is_bad(&[(Full, Bad), (Restore, Good)]));
        assert!(!is_bad(&[(Checksum, Bad), (Full, Good), (Exists, Good)]));
        // a shallow look after a shallow fault redeems no deeper one
        assert!(is_bad(&[(Restore, Bad), (Full, Bad), (Full, Good)]));
        // of another archive under this name it says nothing
        assert!(proof(&[(Full, Bad)]).last_bad("a/x.dump", 8).is_none());
    }

    #[test]
    fn what_a_later_check_found_bad_is_proven_no_more() {
        use CheckLevel::{Exists, Full, Restore};
        use CheckOutcome::{Bad, Good, Undecided};
        let proven = |checks: &[_]| {
            let proof = proof(checks);
            proof.last_good(Restore, "a/x.dump", 7).is_some()
        };
        assert!(!proven(&[]));
        assert!(!proven(&[(Full, Good)]));
        assert!(proven(&[(Restore, Good)]));
        assert!(proven(&[
            (Restore, Good),
            (Exists, Good),
            (Full, Undecided)
        ]));
        assert!(!proven(&[(Restore, Good), (Exists, Bad)]));
        assert!(proven(&[(Restore, Good), (Exists, Bad), (Restore, Good)]));
        assert!(!proven(&[(Restore, Bad)]));
    }

    #[test]
    fn another_archive_under_the_name_is_not_proven() {
        let proof = proof(&[(CheckLevel::Restore, CheckOutcome::Good)]);
        assert!(proof.last_good(CheckLevel::Full, "a/x.dump", 7).is_some());
        assert!(proof.last_good(CheckLevel::Full, "a/x.dump", 8).is_none());
        assert!(
            proof
                .last_good(CheckLevel::Full, "a/x.dump.gz", 7)
                .is_none()
        );
    }

    #[test]
    fn the_last_proof_of_a_database_is_that_of_any_backup() {
        let at = |seconds, level, result| {
            let mut proof = proof(&[(level, result)]);
            proof.checks[0].at += chrono::TimeDelta::seconds(seconds);
            proof
        };
        let proofs = [
            at(1, CheckLevel::Restore, CheckOutcome::Good),
            at(2, CheckLevel::Restore, CheckOutcome::Bad),
            at(3, CheckLevel::Full, CheckOutcome::Good),
        ];
        let last = |level| {
            let proofs = proofs.iter().map(|proof| (proof, "a/x.dump", 7));
            last_proven(proofs, level).map(|at| at.timestamp())
        };
        assert_eq!(last(CheckLevel::Restore), Some(1));
        assert_eq!(last(CheckLevel::Full), Some(3));
        assert_eq!(last_proven([], CheckLevel::Exists), None);
    }

    /// What stays of these checks, one written after the other.
    fn kept(checks: impl Iterator<Item = Check>) -> CheckRecords {
        let mut kept = CheckRecords::default();
        for (second, mut check) in checks.enumerate() {
            check.at += chrono::TimeDelta::seconds(second as i64);
            kept.checks.push(check);
            let too_many: Vec<_> = kept.too_many().iter().map(|check| check.at).collect();
            kept.checks.retain(|check| !too_many.contains(&check.at));
        }
        kept
    }

    #[test]
    fn a_drill_is_not_pushed_out_by_cheaper_checks() {
        let drill = check(CheckLevel::Restore, CheckOutcome::Good);
        let cheap = vec![check(CheckLevel::Exists, CheckOutcome::Good); MOST * 2];
        let all = || std::iter::once(drill.clone()).chain(cheap.clone());
        let records = kept(all());
        assert_eq!(records.checks.len(), MOST);
        assert!(
            records
                .last_good(CheckLevel::Restore, "a/x.dump", 7)
                .is_some()
        );
        let again = [drill.clone(), cheap[0].clone()];
        let records = kept(all().chain(again));
        assert_eq!(records.checks.len(), MOST);
        assert_ne!(records.checks[0].level, CheckLevel::Restore);
    }

    #[test]
    fn cheap_checks_never_bring_back_a_proof_that_was_disproved() {
        let disproved = [
            check(CheckLevel::Restore, CheckOutcome::Good),
            check(CheckLevel::Full, CheckOutcome::Bad),
        ];
        for cheap in 0..MOST * 2 {
            let cheap = vec![check(CheckLevel::Exists, CheckOutcome::Good); cheap];
            let records = kept(disproved.iter().cloned().chain(cheap));
            assert!(
                records
                    .last_good(CheckLevel::Restore, "a/x.dump", 7)
                    .is_none()
            );
            assert!(records.checks.len() <= MOST);
        }
    }

    #[test]
    fn a_record_of_any_size_can_be_read_back() {
        for (faults, length, is_whole) in [(1000, 900, true), (50, 100_000, false)] {
            let mut check = check(CheckLevel::Full, CheckOutcome::Bad);
            let fault = Fault::new("x".repeat(length));
            let details = Details {
                faults: vec![fault; faults],
                ..Details::default()
            };
            check.details = Some(details.bounded());
            let bytes = CheckRecords::to_json(check).unwrap();
            assert!(bytes.len() as u64 <= LARGEST);
            let read = CheckRecords::from_json(&bytes, "k").unwrap();
            assert_eq!(read.checks[0].result, CheckOutcome::Bad);
            assert_eq!(read.checks[0].details.is_some(), is_whole);
        }
    }
}
