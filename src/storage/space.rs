//! The room on a storage that is a file system, and when it is too little.

use crate::text::amount::Amount;
use crate::text::human::human_bytes;

/// What to do where there is too little.
pub const MORE_ROOM: &str =
    "free some space, lower the retention, or say how much is enough by local.min_free";
/// Fewer more of the newest backups than this are too few: a week of daily ones.
const FEW: u64 = 7;
/// Fewer than this, and what goes wrong next is a backup.
const HARDLY_ANY: u64 = 2;
/// What is judged by where nothing is stored yet.
const FREE_PERCENT: Amount = Amount::Percent(10);

/// The room on a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that this user may still write.
    pub free: u64,
    /// Bytes of the whole.
    pub total: u64,
    /// What is to be free at the least, where the configuration says it.
    pub min_free: Option<Amount>,
}

/// Whether there is room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RoomLevel {
    Enough,
    Little,
    HardlyAny,
}

impl Space {
    /// The free part of the whole, in percent.
    pub fn percent_free(&self) -> f64 {
        self.free as f64 / self.total.max(1) as f64 * 100.0
    }

    /// How many more of the newest backups fit, which have `newest` bytes together; `None` where there are none.
    pub fn room_for(&self, newest: u64) -> Option<u64> {
        self.free.checked_div(newest)
    }

    /// How much is free, and what fits into it.
    pub fn words(&self, newest: u64) -> String {
        let (free, total) = (human_bytes(self.free), human_bytes(self.total));
        let percent = self.percent_free();
        let room = match self.room_for(newest) {
            Some(number) => format!(
                "; room for {number} more like the newest, {}",
                human_bytes(newest)
            ),
            None => String::new(),
        };
        format!("{free} of {total} are free, {percent:.0} %{room}")
    }

    /// Whether there is room: by what the configuration says, else for backups of the size of the newest, which have
    /// `newest` bytes together.
    pub fn level(&self, newest: u64) -> RoomLevel {
        let room_for = self.room_for(newest);
        let bound = match (self.min_free, room_for) {
            (Some(min_free), _) => min_free.of(self.total),
            (None, Some(_)) => newest.saturating_mul(FEW),
            (None, None) => FREE_PERCENT.of(self.total),
        };
        let lower = match (self.min_free, room_for) {
            (None, Some(_)) => newest.saturating_mul(HARDLY_ANY),
            _ => bound / 2,
        };
        // whatever is said, the next backups need their room
        if self.free < lower || room_for == Some(0) {
            RoomLevel::HardlyAny
        } else if self.free < bound {
            RoomLevel::Little
        } else {
            RoomLevel::Enough
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RoomLevel::{Enough, HardlyAny, Little};
    use super::*;

    fn level(free: u64, newest: u64, min_free: Option<Amount>) -> RoomLevel {
        let total = 1000;
        let space = Space {
            free,
            total,
            min_free,
        };
        space.level(newest)
    }

    #[test]
    fn room_is_judged_by_the_backups_to_come() {
        // 4 % of a disk, and room for forty
        assert_eq!(level(40, 1, None), Enough);
        assert_eq!(
            [69, 70, 19, 20].map(|free| level(free, 10, None)),
            [Little, Enough, HardlyAny, Little]
        );
        // nothing is stored yet
        assert_eq!(
            [100, 99, 49].map(|free| level(free, 0, None)),
            [Enough, Little, HardlyAny]
        );
    }

    #[test]
    fn what_the_configuration_says_comes_first_and_the_next_backup_has_to_fit() {
        let percent = Some(Amount::Percent(20));
        assert_eq!(
            [200, 199, 100, 99].map(|free| level(free, 1, percent)),
            [Enough, Little, Little, HardlyAny]
        );
        let bytes = Some(Amount::Bytes(50));
        assert_eq!(
            [50, 49, 24].map(|free| level(free, 1, bytes)),
            [Enough, Little, HardlyAny]
        );
        let none = Some(Amount::Bytes(0));
        assert_eq!([1, 0].map(|free| level(free, 1, none)), [Enough, HardlyAny]);
    }
}
