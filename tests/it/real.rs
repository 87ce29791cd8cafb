//! A database that has everything at once, under every command: the short form of `make test-real`.

#[path = "../real/mod.rs"]
mod schemas;

use schemas::{Extent, try_schemas};

#[test]
fn all_that_there_is_in_14_is_what_postgres_finds_after_every_command() {
    assert_eq!(try_schemas(14, 1, Extent::Short), [""; 0]);
}

#[test]
fn all_that_there_is_in_18_is_what_postgres_finds_after_every_command() {
    assert_eq!(try_schemas(18, 2, Extent::Short), [""; 0]);
}
