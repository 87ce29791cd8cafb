//! The program against real servers. One binary for all of these tests, so that each server starts once a run.
//!
//! The servers come from `make test-parts`; `support` starts them, and they end with this process however it ends.

mod absent;
mod backup;
mod base_backups;
mod base_histories;
mod base_operation;
mod base_restores;
#[path = "../campaign/mod.rs"]
mod campaign;
mod cancel;
mod cat;
mod check;
mod codecs;
mod completion;
mod configured;
mod copies;
mod daemon;
mod damage;
mod diff;
mod drill;
mod everything;
mod faults;
mod foreign;
mod foreign_files;
mod frozen;
mod harness;
mod hosts;
mod init;
mod list;
mod lying_s3;
mod manual;
mod matrix;
mod memory;
mod names;
mod notify;
mod offsite;
mod old_archives;
mod pooler;
mod proxy;
mod prune;
mod restore;
mod runbook;
mod s3;
mod secrets;
mod status;
mod support;
mod two_hosts;
mod usage;
mod verify;
mod wal_archive;
mod words;

/// The first of all by its name. In a run of everything, what waits for minutes of the real clock begins with it, and has ended
/// when its turn comes: two that wait would keep both cores from working.
#[test]
fn a_run_of_everything_begins_with_what_waits() {
    let is_of_everything = std::env::args().len() == 1;
    if is_of_everything {
        daemon::minutes::begin();
    }
}
