//! Every command on a database that has everything at once: `make test-real`.

#[path = "mod.rs"]
mod real;
#[path = "../it/support/mod.rs"]
#[allow(dead_code, reason = "the tests of the program use the rest")]
mod support;

use real::Extent;
use std::time::{SystemTime, UNIX_EPOCH};
use support::postgres::MAJORS;

#[test]
fn what_every_command_says_and_does_is_what_postgres_finds() {
    let seed =
        variable("BACKUPKIT_REAL_SEED").map_or_else(now, |seed| seed.parse().expect("a number"));
    let majors = match variable("BACKUPKIT_REAL_MAJORS") {
        Some(text) => text
            .split_whitespace()
            .map(|word| word.parse().expect("a major version"))
            .collect(),
        None => MAJORS.to_vec(),
    };
    let extent = match variable("BACKUPKIT_REAL_SHORT") {
        Some(_) => Extent::Short,
        None => Extent::Long,
    };
    let mut complaints = Vec::new();
    for major in majors {
        complaints.extend(real::try_schemas(major, seed, extent));
        if let Some(directory) = variable("BACKUPKIT_REAL_REGRESS") {
            complaints.extend(real::try_regression(major, &directory, seed));
        }
    }
    assert!(
        complaints.is_empty(),
        "seed {seed}: {} did not hold:\n{}",
        complaints.len(),
        complaints.join("\n")
    );
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("after 1970").as_secs()
}
