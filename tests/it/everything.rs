//! Every command on a database that has everything at once: the short form of `make test-real`.

#[path = "../real/mod.rs"]
#[allow(dead_code, reason = "make test-real uses the rest")]
mod real;

use real::Extent;

#[test]
fn what_every_command_says_and_does_is_what_postgres_finds() {
    let complaints = real::try_schemas(18, 1, Extent::Short);
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
