//! The program against real servers. One binary for all of these tests, so that each server starts once a run.
//!
//! The servers come from `make test-parts`; `support` starts them, and they end with this process however it ends.

mod backup;
mod frozen;
mod harness;
mod matrix;
mod prune;
mod restore;
mod support;
