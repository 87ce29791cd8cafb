//! What earlier checks found, summed up. Pure, but for the reading of the records.

use crate::cancel::Cancel;
use crate::error::Result;
use crate::repository::Repository;
use crate::repository::check_records::{Check, CheckLevel, CheckOutcome};
use crate::repository::names::BackupId;
use chrono::{DateTime, Utc};

/// A check, and what was checked.
#[derive(Debug, Clone)]
pub struct Past {
    /// The backup.
    pub id: BackupId,
    /// The storage that its copy is on.
    pub storage: String,
    /// The record.
    pub check: Check,
}

/// The checks of one level, of one database on one storage.
#[derive(Debug)]
pub struct Row<'a> {
    /// The database's `name`.
    pub database: &'a str,
    /// The storage's name.
    pub storage: &'a str,
    pub level: CheckLevel,
    /// The checks, oldest first.
    pub checks: Vec<&'a Check>,
}

/// The records of all checks since then, oldest first. A record that cannot be read is a warning.
pub fn past(repository: &Repository, since: DateTime<Utc>, cancel: &Cancel) -> Result<Vec<Past>> {
    let mut past = Vec::new();
    for backup in repository.backups() {
        for copy in &backup.copies {
            let Some(records) = repository.records(copy, cancel)? else {
                continue;
            };
            let checks = records.checks.iter();
            let recent = checks.filter(|check| check.at >= since);
            past.extend(recent.map(|check| Past {
                id: backup.id.clone(),
                storage: copy.storage.clone(),
                check: check.clone(),
            }));
        }
    }
    past.sort_by_key(|past| past.check.at);
    Ok(past)
}

/// One row for each database, storage and level that has a check.
pub fn rows(past: &[Past]) -> Vec<Row<'_>> {
    let mut rows: Vec<Row> = Vec::new();
    for one in past {
        let (database, storage, level) = (&*one.id.database, &*one.storage, one.check.level);
        let key = (database, storage, level);
        match rows
            .iter_mut()
            .find(|row| (row.database, row.storage, row.level) == key)
        {
            Some(row) => row.checks.push(&one.check),
            None => rows.push(Row {
                database,
                storage,
                level,
                checks: vec![&one.check],
            }),
        }
    }
    rows.sort_by_key(|row| (row.database, row.storage, row.level));
    rows
}

impl Row<'_> {
    /// How many ended so.
    pub fn count(&self, outcome: CheckOutcome) -> usize {
        let checks = self.checks.iter();
        checks.filter(|check| check.result == outcome).count()
    }

    /// The part of the checks that came to a result and found the backup good.
    pub fn success(&self) -> Option<f64> {
        let (good, bad) = (
            self.count(CheckOutcome::Good),
            self.count(CheckOutcome::Bad),
        );
        (good + bad > 0).then(|| good as f64 / (good + bad) as f64)
    }

    /// The median duration of the good ones, in seconds.
    pub fn median(&self) -> Option<f64> {
        median(&self.durations())
    }

    /// By how much the later half of the good ones takes longer than the earlier half: 0.1 is a tenth. Needs four.
    pub fn trend(&self) -> Option<f64> {
        let durations = self.durations();
        if durations.len() < 4 {
            return None;
        }
        let (earlier, later) = durations.split_at(durations.len() / 2);
        let (earlier, later) = (median(earlier)?, median(later)?);
        (earlier > 0.0).then(|| later / earlier - 1.0)
    }

    /// The median duration of the restores of the good ones, in seconds.
    pub fn restore_median(&self) -> Option<f64> {
        let good = self.checks.iter();
        let times: Vec<f64> = good
            .filter(|check| check.result == CheckOutcome::Good)
            .filter_map(|check| check.restore_seconds)
            .collect();
        median(&times)
    }

    fn durations(&self) -> Vec<f64> {
        let checks = self.checks.iter();
        checks
            .filter(|check| check.result == CheckOutcome::Good)
            .map(|check| check.duration_seconds)
            .collect()
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(seconds: i64, storage: &str, result: CheckOutcome, took: f64) -> Past {
        let at = DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(seconds);
        Past {
            id: BackupId::parse("app/20261120_020000.123456789Z").unwrap(),
            storage: storage.into(),
            check: Check {
                at,
                tool: "t".into(),
                level: CheckLevel::Full,
                result,
                key: "k".into(),
                bytes: 1,
                sha256: None,
                duration_seconds: took,
                restore_seconds: None,
                tables: None,
                rows: None,
                faults: 0,
                only_assertions: false,
                kind: None,
                details: None,
                details_sealed: None,
            },
        }
    }

    #[test]
    fn success_counts_results_and_the_trend_compares_the_halves() {
        use CheckOutcome::{Bad, Good, Undecided};
        let all = [
            past(1, "a", Good, 1.0),
            past(2, "a", Good, 3.0),
            past(3, "b", Good, 9.0),
            past(4, "a", Bad, 100.0),
            past(5, "a", Undecided, 100.0),
            past(6, "a", Good, 3.0),
            past(7, "a", Good, 5.0),
        ];
        let rows = rows(&all);
        assert_eq!(rows.len(), 2);
        let row = &rows[0];
        assert_eq!(row.success(), Some(0.8));
        assert_eq!(row.median(), Some(3.0));
        assert_eq!(row.trend(), Some(1.0));
        assert_eq!(rows[1].trend(), None);
        assert_eq!(rows[1].restore_median(), None);
    }
}
