//! How the size of a backup compares with those before it: a dump that is suddenly small has lost its data somewhere.

use crate::text::human::human_bytes;
use std::fmt;

/// How many backups before it a backup is compared with.
pub const COMPARED: usize = 10;

/// How unusual a size is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Within what databases do, or nothing to compare it with.
    Usual,
    /// 20 to 50 % above the median.
    Noted,
    /// More than 50 % above or 20 % below.
    Warning,
    /// More than 100 % above, 50 % below, or nothing at all.
    Critical,
}

impl Level {
    /// The word for it in `--json`.
    pub fn name(self) -> &'static str {
        match self {
            Level::Usual => "ok",
            Level::Noted => "noted",
            Level::Warning => "warning",
            Level::Critical => "critical",
        }
    }
}

/// A size beside the median of those before it. Prints as a sentence about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The size.
    pub bytes: u64,
    /// The median of the sizes it was compared with, where there was one that says something.
    pub median: Option<u64>,
    /// How many they were.
    pub compared: usize,
    /// How unusual it is.
    pub level: Level,
}

impl Change {
    /// Compares `bytes` with the sizes of backups before it, at most [`COMPARED`] of them, in any order.
    pub fn new(bytes: u64, earlier: &[u64]) -> Change {
        // nothing can be compared with an empty one
        let mut earlier: Vec<u64> = earlier.iter().copied().filter(|size| *size > 0).collect();
        earlier.sort_unstable();
        let median = match (earlier.len(), earlier.len() / 2) {
            (0, _) => None,
            (odd, half) if odd % 2 == 1 => Some(earlier[half]),
            (_, half) => Some(earlier[half - 1].midpoint(earlier[half])),
        };
        Change {
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

fn level(bytes: u64, median: Option<u64>) -> Level {
    // of the median, in percent: 120 is 20 % more
    let is_above = |percent: u128, median: u64| bytes as u128 * 100 > median as u128 * percent;
    let is_below = |percent: u128, median: u64| (bytes as u128 * 100) < median as u128 * percent;
    match median {
        _ if bytes == 0 => Level::Critical,
        None => Level::Usual,
        Some(median) if is_above(200, median) || is_below(50, median) => Level::Critical,
        Some(median) if is_above(150, median) || is_below(80, median) => Level::Warning,
        Some(median) if !is_below(120, median) => Level::Noted,
        Some(_) => Level::Usual,
    }
}

impl fmt::Display for Change {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_lies_where_it_is_said_to_lie() {
        for (bytes, level) in [
            (0, Level::Critical),
            (499, Level::Critical),
            (500, Level::Warning),
            (799, Level::Warning),
            (800, Level::Usual),
            (1000, Level::Usual),
            (1199, Level::Usual),
            (1200, Level::Noted),
            (1500, Level::Noted),
            (1501, Level::Warning),
            (2000, Level::Warning),
            (2001, Level::Critical),
            (u64::MAX, Level::Critical),
        ] {
            assert_eq!(Change::new(bytes, &[1000]).level, level, "{bytes}");
        }
    }

    #[test]
    fn the_median_forgives_a_single_odd_one_and_empty_ones_say_nothing() {
        let change = Change::new(100, &[100, 90, 1, 110, 100_000]);
        assert_eq!((change.median, change.level), (Some(100), Level::Usual));
        assert_eq!(Change::new(1, &[10, 20]).median, Some(15));
        assert_eq!(Change::new(10, &[0, 0, 10]).level, Level::Usual);
        assert_eq!(Change::new(10, &[]).level, Level::Usual);
        assert_eq!(Change::new(10, &[0]).median, None);
        assert_eq!(Change::new(0, &[]).level, Level::Critical);
    }

    #[test]
    fn it_is_told_in_words() {
        let said = Change::new(100, &[1000, 1000]).to_string();
        let expected =
            "the newest backup has 100 B, 90 % less than the median of the 2 before it (1000 B)";
        assert_eq!(said, expected);
    }
}
