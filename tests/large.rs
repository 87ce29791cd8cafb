//! A table of more than 1 GiB, and a row of 96 MiB in it, there and back: `make test-large`. Too slow for every run.

#[allow(dead_code)] // one test needs little of it
#[path = "it/support/mod.rs"]
mod support;

use support::entry::Entry;
use support::postgres::Server;
use support::sandbox::{Sandbox, Shape};

#[test]
fn a_table_of_more_than_a_gibibyte_comes_back() {
    let server = Server::start(18, &["max_wal_size=8GB", "shared_buffers=256MB"]);
    let (source, target) = (
        server.create_database("source"),
        server.create_database("target"),
    );
    source.sql(
        "CREATE TABLE big (id int, text text, data bytea);
         INSERT INTO big SELECT n, repeat(md5(n::text), 9), sha512(n::text::bytea) || sha512((-n)::text::bytea)
         FROM generate_series(1, 2000000) AS n;
         INSERT INTO big VALUES (0, 'one large value', decode(repeat(md5('x'), 3 * 1024 * 1024), 'hex'));",
    );
    let sandbox = Sandbox::new(18);
    let entry = |database, name| {
        let entry = Entry::of(database).named(name);
        entry.shape(Shape::new(true, true))
    };
    sandbox.configure_with("", &[entry(&source, "source"), entry(&target, "target")]);
    let archive = sandbox.back_up("source");
    let bytes = archive.manifest()["dump"]["bytes"].as_u64();
    assert!(bytes.is_some_and(|bytes| bytes > 1 << 30), "{bytes:?}");
    sandbox
        .run(&[
            "restore",
            "--from",
            "source/latest",
            "--db",
            "target",
            "--force",
        ])
        .exits(0);
    target.holds_the_same_as(&source);
}
