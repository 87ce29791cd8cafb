//! What every storage promises, and what S3 storage does when the world misbehaves.

#[allow(dead_code, reason = "Ceph has a test of its own")]
#[path = "../support/cluster.rs"]
mod cluster;
#[path = "../support/proxy.rs"]
mod proxy;
#[path = "../support/s3s.rs"]
mod s3s;

mod common;
mod contract;
mod explanations;
mod faults;
mod foreign;
mod garage;
mod keepers;
mod listing;
mod promises;
