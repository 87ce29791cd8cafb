//! Retention of chains for real: whatever a history at random leaves, each backup that is kept restores to the rows of its moment.

use crate::support::cluster_scene::{ClusterScene, id};
use crate::support::numbers::Numbers;
use std::collections::BTreeMap;

/// So many backups are made in a history.
const BACKUPS: usize = 10;
/// The rules of which one holds in a history.
const RULES: [&str; 6] = [
    "keep_last: 1",
    "keep_last: 3",
    "keep_full: 1",
    "keep_full: 2, keep_last: 1",
    "full: 6s, incremental: 3s",
    "keep_daily: 1, incremental: 2s",
];

/// Lives through the history of this seed, and returns how many backups retention has deleted.
fn live_through(seed: u64) -> usize {
    let mut numbers = Numbers(seed);
    let major = [17, 18][numbers.below(2) as usize];
    let scene = ClusterScene::new(major, &["summarize_wal=on"]);
    let rules = RULES[numbers.below(RULES.len() as u64) as usize];
    scene.configure(&format!("    retention: {{ {rules} }}"));
    let maintenance = scene.server.maintenance();
    let mut rows_then = BTreeMap::new();
    for round in 0..BACKUPS {
        let (part, table) = (numbers.below(50), ["fast_ones", "slow_ones"]);
        let table = table[numbers.below(2) as usize];
        maintenance.sql(&format!(
            "UPDATE orders SET what = 'round {round}' WHERE id % 50 = {part};
             INSERT INTO {table} VALUES ({round}, 'new')"
        ));
        let kind = if numbers.below(4) == 0 {
            "full"
        } else {
            "incr"
        };
        let path = scene.back_up(kind);
        rows_then.insert(id(&path), maintenance.sql(ClusterScene::ROWS));
        if numbers.below(5) == 0 {
            scene.sandbox.run(&["prune"]).exits(0);
        }
    }
    let listed = scene.listed();
    let (newest, _) = rows_then.last_key_value().expect("a backup");
    assert_eq!(listed[0]["id"], newest.as_str(), "seed {seed}, {rules}");
    for (number, backup) in listed.iter().enumerate() {
        let id = backup["id"].as_str().expect("a name");
        let name = format!("restored-{number}");
        scene.restore(id, &name).exits(0);
        let restored = scene.ask_restored(&name, ClusterScene::ROWS);
        assert_eq!(restored, rows_then[id], "seed {seed}, {rules}, {id}");
    }
    BACKUPS - listed.len()
}

#[test]
fn what_retention_keeps_of_chains_restores() {
    assert!(live_through(SHORT) > 0, "nothing was deleted");
}

/// A history whose rules delete some of its chains.
const SHORT: u64 = 1;

#[test]
#[ignore = "make test-histories: 30 of them, minutes"]
fn what_retention_keeps_of_thirty_histories_restores() {
    let deleted: usize = (100..130).map(live_through).sum();
    assert!(deleted > 30, "{deleted} were deleted");
}
