//! The promises on garage, a distributed store: it ignores conditional writes and has refusals of its own.

use super::cluster::Cluster;
use super::promises;
use std::sync::OnceLock;

/// Started when first asked for, and shared by these tests.
fn garage() -> &'static Cluster {
    static GARAGE: OnceLock<Cluster> = OnceLock::new();
    GARAGE.get_or_init(Cluster::garage)
}

#[test]
fn the_contract_holds_on_garage() {
    promises::the_contract_holds(garage());
}

#[test]
fn garage_keeps_no_conditional_writes() {
    assert!(!promises::claims_are_kept(garage()));
}

#[test]
fn a_part_that_changed_on_its_way_is_refused_by_garage() {
    promises::a_part_that_changed_on_its_way_is_refused(garage());
}

#[test]
fn a_write_to_garage_costs_a_look_and_two_short_reads() {
    promises::a_write_costs_a_look_and_two_short_reads(garage());
}

#[test]
fn directories_with_one_beginning_are_listed_on_garage() {
    promises::directories_with_one_beginning_are_listed(garage());
}

#[test]
fn an_upload_to_garage_that_started_unheard_is_aborted() {
    promises::an_upload_that_started_unheard_is_aborted(garage());
}

#[test]
fn a_sweep_of_garage_leaves_an_upload_that_is_under_way() {
    promises::a_sweep_leaves_an_upload_that_is_under_way(garage());
}

#[test]
fn a_key_that_may_only_read_lists_and_reads_on_garage() {
    promises::a_key_that_may_only_read_lists_and_reads(
        garage(),
        ": Forbidden: Operation is not allowed for this key",
    );
}

#[test]
fn what_garage_refuses_is_explained() {
    promises::what_is_refused_is_explained(
        garage(),
        [
            "403 AccessDenied",
            "403 AccessDenied",
            "404 NoSuchBucket",
            "400 AuthorizationHeaderMalformed",
            "400 InvalidRequest",
        ],
    );
}
