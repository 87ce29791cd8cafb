//! A thousand faults, for `make test-faults`; `BACKUPKIT_FAULTS` is another number.

#[path = "mod.rs"]
mod campaign;
#[path = "../it/support/mod.rs"]
#[allow(dead_code, reason = "the tests of the program use the rest")]
mod support;

#[test]
fn whatever_call_fails_nothing_is_lost_and_the_next_run_works() {
    let number = std::env::var("BACKUPKIT_FAULTS").ok();
    let number = number.and_then(|number| number.parse().ok());
    campaign::run(number.unwrap_or(1000), 2);
}
