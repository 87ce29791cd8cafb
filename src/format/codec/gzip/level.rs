//! How hard to compress, and the adaptive level: each stretch of the stream is made small where that is worth its time.
//!
//! What follows in a dump is mostly like what went just before, so the last blocks at each of a few levels tell what the
//! next would become and take. The level with the least of `time + worth * size`, both relative to the fastest level,
//! is used: a percent of size saved may cost `worth` percent more processor time. How much that is follows from a
//! budget: a little less than all blocks would come to at the middle level, which on mixed data is the size of `gzip -6`.
//! Dumps of the benchmark's mix come out at 0.996 of that size; the one fixed level that is as small, 4, takes a seventh
//! more processor time. Now and then a block goes another way to keep the comparison fresh, and where a block is unlike
//! those before it, all levels are tried again.

use super::member::BLOCK;
use crate::format::codec::block::Block;
use std::ops::RangeInclusive;

/// The levels of libdeflate, from fast to small.
pub const LEVELS: RangeInclusive<u8> = 1..=12;

/// How hard to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Chosen block by block.
    Adaptive,
    /// libdeflate's level, 1 (fast) to 12 (small).
    Fixed(u8),
}

/// Chooses a level for each block from what became of those before.
#[derive(Default)]
pub(super) struct Balance {
    /// What is known of each level, since the data last changed.
    known: [LevelTrial; CHOICES.len()],
    /// Blocks chosen for so far.
    chosen: usize,
    /// What the blocks came to, as a sum of packed bytes for each plain one.
    spent: f64,
    /// And what they would have come to at the middle level.
    middle: f64,
}

#[derive(Clone, Copy, Default)]
enum LevelTrial {
    #[default]
    Nothing,
    /// A block is under way.
    Asked,
    Done(PackedCost),
}

/// What compressing at one level came to lately, for each plain byte.
#[derive(Clone, Copy)]
struct PackedCost {
    size: f64,
    time: f64,
}

/// Fast, middle, small. Those between them are rarely the best of all for any data.
const CHOICES: [u8; 3] = [1, 3, 5];
const MIDDLE: usize = 1;
/// Of what the middle level makes.
const BUDGET: f64 = 0.993;
/// Percent of time for a percent of size within the budget, and beyond it.
const WORTH: [f64; 2] = [11.0, 17.0];
/// How often a block goes another way.
const PROBE: usize = 32;
/// A size that is this much off is that of other data.
const UNLIKE: f64 = 0.1;

impl Balance {
    /// The level for the next block.
    pub(super) fn choose(&mut self) -> u8 {
        self.chosen += 1;
        let best = self.best();
        let choice = match self
            .known
            .iter()
            .position(|known| matches!(known, LevelTrial::Nothing))
        {
            Some(unknown) => unknown,
            None if self.chosen.is_multiple_of(PROBE) => {
                let another = 1 + self.chosen / PROBE % (CHOICES.len() - 1);
                (best + another) % CHOICES.len()
            }
            None => best,
        };
        if let LevelTrial::Nothing = self.known[choice] {
            self.known[choice] = LevelTrial::Asked;
        }
        CHOICES[choice]
    }

    /// The level that is worth most by what is known; the middle one where that is little.
    fn best(&self) -> usize {
        let worth = WORTH[usize::from(self.spent > BUDGET * self.middle)];
        let costs = || {
            let known = self.known.iter().enumerate();
            known.filter_map(|(level, known)| known.cost().map(|cost| (level, cost)))
        };
        let Some((_, base)) = costs().next() else {
            return MIDDLE;
        };
        let total = |cost: PackedCost| cost.time / base.time + worth * cost.size / base.size;
        let best = costs().min_by(|(_, one), (_, other)| total(*one).total_cmp(&total(*other)));
        best.map_or(MIDDLE, |(level, _)| level)
    }

    /// Takes note of what a block came to.
    pub(super) fn learn(&mut self, block: &Block) {
        let Some(level) = CHOICES.iter().position(|level| *level == block.level) else {
            return;
        };
        if block.plain.len() < BLOCK {
            return; // the last one, perhaps too short to tell
        }
        let plain = BLOCK as f64;
        let size = block.packed.len() as f64 / plain;
        let time = block.took.as_nanos().max(1) as f64 / plain;
        let mut before = self.known[level].cost();
        if before.is_some_and(|before| (size - before.size).abs() > UNLIKE * before.size) {
            self.known = Default::default();
            before = None;
        }
        let before = before.unwrap_or(PackedCost { size, time });
        self.known[level] = LevelTrial::Done(PackedCost {
            size: before.size + (size - before.size) / 4.0,
            time: before.time + (time - before.time) / 4.0,
        });
        self.spent += size;
        self.middle += self.known[MIDDLE].cost().map_or(size, |cost| cost.size);
    }
}

impl LevelTrial {
    fn cost(&self) -> Option<PackedCost> {
        match self {
            LevelTrial::Done(cost) => Some(*cost),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// What a block becomes at each level: its bytes, and the time it takes.
    type Data = [(usize, u64); CHOICES.len()];

    /// Sends `count` blocks of `data` through, and tells how many went at each level.
    fn send(balance: &mut Balance, count: usize, data: Data) -> [usize; CHOICES.len()] {
        let mut sent = [0; CHOICES.len()];
        for _ in 0..count {
            let level = balance.choose();
            let at = CHOICES.iter().position(|known| *known == level).unwrap();
            let (size, time) = data[at];
            balance.learn(&Block {
                plain: vec![0; BLOCK],
                packed: vec![0; size],
                took: Duration::from_nanos(time),
                level,
                ..Block::default()
            });
            sent[at] += 1;
        }
        sent
    }

    fn sent(data: Data) -> [usize; CHOICES.len()] {
        send(&mut Balance::default(), 960, data)
    }

    #[test]
    fn blocks_are_made_small_where_it_saves_enough_and_the_other_levels_are_still_tried() {
        let cases = [
            (
                "a tenth smaller for twice the time",
                [(200_000, 100), (195_000, 180), (180_000, 200)],
                2,
            ),
            (
                "a tenth smaller for three times the time",
                [(200_000, 100), (199_000, 290), (180_000, 300)],
                0,
            ),
            (
                "nothing is smaller",
                [(200_000, 100), (200_000, 101), (201_000, 102)],
                0,
            ),
            (
                "most is saved in the middle",
                [(200_000, 100), (180_000, 110), (179_000, 300)],
                1,
            ),
        ];
        for (what, data, best) in cases {
            let sent = sent(data);
            assert!(
                sent[best] > 925 && sent.iter().all(|count| *count > 10),
                "{what}: {sent:?}"
            );
        }
    }

    /// At 13 percent of time for a percent of size either level would do.
    #[test]
    fn the_budget_decides_what_may_be_spent() {
        let even = [(200_000, 100), (188_500, 175), (180_000, 230)];
        let saved = [(200_000, 100), (195_000, 180), (100_000, 120)];
        let mut balance = Balance::default();
        send(&mut balance, 320, saved);
        let [fast, ..] = send(&mut balance, 64, even);
        assert!(fast > 55, "far below the budget, {fast} of 64 are fast");
        let [fast, _, small] = send(&mut balance, 20_000, even);
        assert!(fast > 1000 && small > 1000, "{fast} fast, {small} small");
        assert!((balance.spent / balance.middle - BUDGET).abs() < 0.002);
    }

    #[test]
    fn a_change_in_the_data_is_noticed_at_once() {
        let mut balance = Balance::default();
        let not_worth = [(200_000, 100), (200_000, 101), (200_000, 102)];
        let worth = [(100_000, 100), (90_000, 160), (80_000, 200)];
        send(&mut balance, 100, not_worth);
        assert_eq!(balance.choose(), CHOICES[0]);
        send(&mut balance, 8, worth);
        let [_, _, small] = send(&mut balance, 24, worth);
        assert!(small >= 23, "{small}");
        send(&mut balance, 8, not_worth);
        let [fast, ..] = send(&mut balance, 24, not_worth);
        assert!(fast >= 23, "{fast}");
    }
}
