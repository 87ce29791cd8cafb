//! How the size of a backup compares with those before it: one that is unusually small has lost its data somewhere.

use super::Repository;
use super::held::Copy;
use super::manifest::Manifest;
use super::source_kind::SourceClass;
use super::standing::Purpose;
use crate::cancel::Cancel;
use crate::error::Result;
use crate::text::human::human_bytes;
use std::fmt;

/// How many backups before it a backup is compared with.
pub const COMPARED: usize = 10;

/// How unusual a size is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SizeLevel {
    /// Within what databases do, or nothing to compare it with.
    Usual,
    /// 20 to 50 % above the median.
    Noted,
    /// More than 50 % above or 20 % below.
    Warning,
    /// More than 100 % above, 50 % below, or nothing at all.
    Critical,
}

impl SizeLevel {
    /// The word for it in `--json`.
    pub fn name(self) -> &'static str {
        match self {
            SizeLevel::Usual => "ok",
            SizeLevel::Noted => "noted",
            SizeLevel::Warning => "warning",
            SizeLevel::Critical => "critical",
        }
    }
}

/// A size beside the median of those before it. Prints as a sentence about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeChange {
    /// The size.
    pub bytes: u64,
    /// The median of the sizes it was compared with, where there was one that says something.
    pub median: Option<u64>,
    /// How many they were.
    pub compared: usize,
    /// How unusual it is.
    pub level: SizeLevel,
}

impl SizeChange {
    /// Compares `bytes` with the sizes of backups before it, at most [`COMPARED`] of them, in any order.
    pub fn new(bytes: u64, earlier: &[u64]) -> SizeChange {
        // nothing can be compared with an empty one
        let mut earlier: Vec<u64> = earlier.iter().copied().filter(|size| *size > 0).collect();
        earlier.sort_unstable();
        let median = match (earlier.len(), earlier.len() / 2) {
            (0, _) => None,
            (odd, half) if odd % 2 == 1 => Some(earlier[half]),
            (_, half) => Some(earlier[half - 1].midpoint(earlier[half])),
        };
        SizeChange {
            bytes,
            median,
            compared: earlier.len(),
            level: level(bytes, median),
        }
    }

    /// By how many percent of the median it is larger, or with a minus smaller.
    pub fn percent(&self) -> Option<f64> {
        let median = self.median? as f64;
        Some((self.bytes as f64 - median) / median * 100.0)
    }
}

fn level(bytes: u64, median: Option<u64>) -> SizeLevel {
    // of the median, in percent: 120 is 20 % more
    let is_above = |percent: u128, median: u64| bytes as u128 * 100 > median as u128 * percent;
    let is_below = |percent: u128, median: u64| (bytes as u128 * 100) < median as u128 * percent;
    match median {
        _ if bytes == 0 => SizeLevel::Critical,
        None => SizeLevel::Usual,
        Some(median) if is_above(200, median) || is_below(50, median) => SizeLevel::Critical,
        Some(median) if is_above(150, median) || is_below(80, median) => SizeLevel::Warning,
        Some(median) if !is_below(120, median) => SizeLevel::Noted,
        Some(_) => SizeLevel::Usual,
    }
}

impl fmt::Display for SizeChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bytes, percent) = (human_bytes(self.bytes), self.percent());
        let (Some(median), Some(percent)) = (self.median, percent) else {
            return write!(f, "the newest backup has {bytes}");
        };
        let side = if percent < 0.0 { "less" } else { "more" };
        let before = match self.compared {
            1 => "the backup before it".to_string(),
            count => format!("the median of the {count} before it"),
        };
        write!(
            f,
            "the newest backup has {bytes}, {:.0} % {side} than {before} ({})",
            percent.abs(),
            human_bytes(median)
        )
    }
}

/// How many manifests are read at most to find backups to compare with.
const LOOKED_AT: usize = 2 * COMPARED;

impl Repository<'_> {
    /// The size of `newest`, which is partial or not, beside those of the backups before it on the same storage that it
    /// can be compared with: made in the same way, and partial only if it is. Of a cluster it is the size of the cluster, whatever is
    /// in the backup: an incremental one holds what changed, which says nothing of it.
    pub fn size_change(&self, newest: &Copy, partial: bool, cancel: &Cancel) -> Result<SizeChange> {
        let mut sizes = Vec::new();
        let backups = self.backups();
        let is_cluster = newest.entry.kind.class() == SourceClass::Cluster;
        let mut own = newest.entry.total_bytes();
        if is_cluster && let Some(backup) = backups.iter().find(|one| one.id == newest.entry.id) {
            let manifest = self.manifest(backup, cancel)?;
            own = manifest.read().and_then(cluster_bytes).unwrap_or(own);
        }
        let earlier = backups.iter().filter(|backup| {
            let is_alike = backup.encoding == newest.entry.encoding || is_cluster;
            let is_of_its_kind = backup.copies[0].entry.kind.class() == newest.entry.kind.class();
            backup.id < newest.entry.id && is_alike && is_of_its_kind
        });
        let here = earlier.filter_map(|backup| {
            let mut copies = backup.copies.iter();
            let at = copies.position(|copy| copy.storage == newest.storage)?;
            Some((backup, at))
        });
        for (backup, at) in here.take(LOOKED_AT) {
            let manifest = self.manifest(backup, cancel)?;
            let is_partial = manifest
                .read()
                .is_some_and(|manifest| manifest.is_partial());
            let standings = self.standings(backup, cancel)?;
            if is_partial == partial && standings[at].counts(Purpose::Compare, partial) {
                let size = match is_cluster {
                    true => manifest.read().and_then(cluster_bytes),
                    false => Some(backup.copies[at].entry.total_bytes()),
                };
                sizes.extend(size);
            }
            if sizes.len() == COMPARED {
                break;
            }
        }
        Ok(SizeChange::new(own, &sizes))
    }
}

fn cluster_bytes(manifest: &Manifest) -> Option<u64> {
    manifest.cluster()?.bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_lies_where_it_is_said_to_lie() {
        for (bytes, level) in [
            (0, SizeLevel::Critical),
            (499, SizeLevel::Critical),
            (500, SizeLevel::Warning),
            (799, SizeLevel::Warning),
            (800, SizeLevel::Usual),
            (1000, SizeLevel::Usual),
            (1199, SizeLevel::Usual),
            (1200, SizeLevel::Noted),
            (1500, SizeLevel::Noted),
            (1501, SizeLevel::Warning),
            (2000, SizeLevel::Warning),
            (2001, SizeLevel::Critical),
            (u64::MAX, SizeLevel::Critical),
        ] {
            assert_eq!(SizeChange::new(bytes, &[1000]).level, level, "{bytes}");
        }
    }

    #[test]
    fn the_median_forgives_a_single_odd_one_and_empty_ones_say_nothing() {
        let change = SizeChange::new(100, &[100, 90, 1, 110, 100_000]);
        assert_eq!((change.median, change.level), (Some(100), SizeLevel::Usual));
        assert_eq!(SizeChange::new(1, &[10, 20]).median, Some(15));
        assert_eq!(SizeChange::new(10, &[0, 0, 10]).level, SizeLevel::Usual);
        assert_eq!(SizeChange::new(10, &[]).level, SizeLevel::Usual);
        assert_eq!(SizeChange::new(10, &[0]).median, None);
        assert_eq!(SizeChange::new(0, &[]).level, SizeLevel::Critical);
    }

    #[test]
    fn it_is_told_in_words() {
        let said = SizeChange::new(100, &[1000, 1000]).to_string();
        let expected =
            "the newest backup has 100 B, 90 % less than the median of the 2 before it (1000 B)";
        assert_eq!(said, expected);
    }
}
