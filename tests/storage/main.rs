//! What every storage promises, and what S3 storage does when the world misbehaves.

#[allow(dead_code, reason = "Ceph has a test of its own")]
#[path = "../support/cluster.rs"]
mod cluster;
#[path = "../support/liar.rs"]
#[allow(dead_code, reason = "the campaign of lies uses the rest")]
mod liar;
#[allow(dead_code, reason = "the tests of the program use the rest")]
#[path = "../support/proxy.rs"]
mod proxy;
#[path = "../support/s3s.rs"]
mod s3s;

mod common;
mod contract;
mod copies;
mod explanations;
mod faults;
mod foreign;
mod garage;
mod keepers;
mod kept;
mod listing;
mod promises;
