//! The promises on Ceph, which is as strict as Amazon's S3: `make test-s3`. It wants a gigabyte of memory, and packages
//! that not every machine has.

#[allow(dead_code, reason = "garage is tested with the storage")]
#[path = "support/cluster.rs"]
mod cluster;
#[allow(dead_code, reason = "the tests of the storage use the rest")]
#[path = "storage/common.rs"]
mod common;
#[path = "storage/contract.rs"]
mod contract;
#[path = "storage/promises.rs"]
mod promises;
#[allow(dead_code, reason = "the tests of the storage use the rest")]
#[path = "support/proxy.rs"]
mod proxy;
#[allow(dead_code, reason = "the tests of the storage use it")]
#[path = "support/s3s.rs"]
mod s3s;

use cluster::Cluster;
use std::sync::OnceLock;

/// Started when first asked for, and shared by these tests.
fn ceph() -> &'static Cluster {
    static CEPH: OnceLock<Cluster> = OnceLock::new();
    CEPH.get_or_init(Cluster::ceph)
}

#[test]
fn the_contract_holds() {
    promises::the_contract_holds(ceph());
}

#[test]
fn what_hosts_leave_for_each_other_is_kept() {
    promises::claims_are_kept(ceph());
}

#[test]
fn a_part_that_changed_on_its_way_is_refused() {
    promises::a_part_that_changed_on_its_way_is_refused(ceph());
}

#[test]
fn a_write_costs_a_look_and_two_short_reads() {
    promises::a_write_costs_a_look_and_two_short_reads(ceph());
}

#[test]
fn directories_with_one_beginning_are_listed() {
    promises::directories_with_one_beginning_are_listed(ceph());
}

#[test]
fn an_upload_that_started_unheard_is_aborted() {
    promises::an_upload_that_started_unheard_is_aborted(ceph());
}

#[test]
fn a_sweep_leaves_an_upload_that_is_under_way() {
    promises::a_sweep_leaves_an_upload_that_is_under_way(ceph());
}

#[test]
fn a_key_that_may_only_read_lists_and_reads() {
    promises::a_key_that_may_only_read_lists_and_reads(ceph(), "");
}

#[test]
fn what_is_refused_is_explained() {
    promises::what_is_refused_is_explained(
        ceph(),
        [
            "403 SignatureDoesNotMatch",
            "403 InvalidAccessKeyId",
            "404 NoSuchBucket",
            "",
            "403 AccessDenied",
        ],
    );
}
