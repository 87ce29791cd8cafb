//! The whole campaign against an S3 server that lies: every mode, with a backup, a list, a verify, a restore and a prune.
//!
//! Only `make test-lying-s3` runs it. `tests/it/lying_s3.rs` runs a few modes with every `make test`.

mod campaign;
#[allow(dead_code, reason = "the tests of the program use the rest")]
#[path = "../it/support/mod.rs"]
mod support;

use campaign::{Mode, deletes, listings, parts, reads, survives, writes};

#[track_caller]
fn all_hold(modes: &[Mode]) {
    let complaints: Vec<String> = modes.iter().flat_map(survives).collect();
    assert!(complaints.is_empty(), "{:#?}", complaints);
}

#[test]
fn no_lie_about_a_write_loses_a_backup() {
    all_hold(writes::MODES);
}

#[test]
fn no_lie_about_parts_loses_a_backup() {
    all_hold(parts::MODES);
}

#[test]
fn no_lie_in_a_listing_loses_a_backup() {
    all_hold(listings::MODES);
}

#[test]
fn no_lie_about_a_read_passes_for_a_restore() {
    all_hold(reads::MODES);
}

#[test]
fn no_lie_about_a_deletion_passes_for_one() {
    all_hold(deletes::MODES);
}
