//! A few of the lies that an S3 server can tell; `make test-lying-s3` tells all of them.

#[path = "../lying_s3/campaign/mod.rs"]
mod campaign;

use campaign::{Mode, deletes, listings, parts, reads, survives, writes};

#[track_caller]
fn holds(modes: &[Mode], name: &str) {
    let mode = modes.iter().find(|mode| mode.name == name);
    let complaints = survives(mode.expect(name));
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn a_server_that_keeps_less_than_was_sent_costs_no_backup() {
    holds(writes::MODES, "keeps a thousand bytes fewer");
    holds(writes::MODES, "flips a bit, and says so by its ETag");
}

#[test]
fn a_server_that_completes_without_a_part_costs_no_backup() {
    holds(parts::MODES, "completes without the last part");
}

#[test]
fn a_server_whose_listing_goes_round_in_circles_costs_no_backup() {
    holds(listings::MODES, "lists the same page again and again");
}

#[test]
fn a_server_that_serves_something_else_fools_no_restore() {
    holds(reads::MODES, "serves another backup");
}

#[test]
fn a_server_that_deletes_nothing_is_told_of() {
    holds(deletes::MODES, "deletes nothing, and answers that it did");
}
