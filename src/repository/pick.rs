//! Which backups to check, where nobody names one.

use super::Repository;
use super::held::HeldBackup;
use super::standing::Purpose;
use crate::cancel::Cancel;
use crate::error::Result;

/// Which backups of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// All that are finished.
    All,
    /// The newest so many that count for a check.
    Last(usize),
    /// So many of those, chosen at random, never the newest.
    Random(usize),
}

impl Repository<'_> {
    /// The backups that `pick` picks. `below` gives a random number below the one it gets, which is never 0.
    pub fn pick(
        &self,
        pick: Pick,
        below: &mut dyn FnMut(usize) -> usize,
        cancel: &Cancel,
    ) -> Result<Vec<HeldBackup>> {
        let mut finished = self.backups();
        finished.retain(|backup| backup.copies.iter().any(|copy| !copy.entry.is_unfinished()));
        let (most, order) = match pick {
            Pick::All => return Ok(finished),
            Pick::Last(count) => (count, finished),
            Pick::Random(count) => (
                count,
                shuffled(self.without_newest(finished, cancel)?, below),
            ),
        };
        let mut picked = Vec::new();
        for backup in order {
            if picked.len() == most {
                break;
            }
            if self.may_be_checked(&backup, cancel)? {
                picked.push(backup);
            }
        }
        Ok(picked)
    }

    /// All but the newest that counts, and what is newer than that.
    fn without_newest(
        &self,
        newest_first: Vec<HeldBackup>,
        cancel: &Cancel,
    ) -> Result<Vec<HeldBackup>> {
        let mut rest = newest_first.into_iter();
        for backup in rest.by_ref() {
            if self.may_be_checked(&backup, cancel)? {
                break;
            }
        }
        Ok(rest.collect())
    }

    fn may_be_checked(&self, backup: &HeldBackup, cancel: &Cancel) -> Result<bool> {
        let standings = self.standings(backup, cancel)?;
        let mut standings = standings.iter();
        Ok(standings.any(|standing| self.counts(standing, Purpose::Verify)))
    }
}

/// `items` in an order that is as likely as any other.
fn shuffled<T>(mut items: Vec<T>, below: &mut dyn FnMut(usize) -> usize) -> Vec<T> {
    let mut order = Vec::new();
    while !items.is_empty() {
        order.push(items.swap_remove(below(items.len())));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_order_is_possible() {
        let mut seen = BTreeSet::new();
        for choice in 0..24 {
            let mut digits = choice;
            let mut below = |limit: usize| {
                let digit = digits % limit;
                digits /= limit;
                digit
            };
            seen.insert(shuffled(vec![9, 8, 7, 6], &mut below));
        }
        assert_eq!(seen.len(), 24);
        let mut never = |_: usize| panic!("nothing to choose");
        assert_eq!(shuffled(Vec::<u8>::new(), &mut never), [0; 0]);
    }
}
