//! Memory stays under 128 MiB whatever the size of the database, of a row or of a large object.

use crate::support::cloud::Cloud;
use crate::support::entry::Entry;
use crate::support::postgres::{Database, large, postgres};
use crate::support::processes::process;
use crate::support::program::{self, Output};
use crate::support::sandbox::{Sandbox, Shape};
use std::process::Command;
use std::thread;
use std::time::Duration;

const LIMIT_KIB: u64 = 128 * 1024;
/// What Argon2 takes, for a moment.
const DERIVATION_KIB: u64 = 64 * 1024;

/// About 300 MB of text, a third of it in one row and a third in one large object.
fn huge() -> Database<'static> {
    let database = postgres(18).create_database("huge");
    database.sql(
        "CREATE TABLE rows AS SELECT n, repeat(md5(n::text), 1000) AS text FROM generate_series(1, 3200) AS n;
         CREATE TABLE row AS SELECT repeat(md5('row'), 3200000) AS text;
         SELECT lo_from_bytea(4711, convert_to(repeat(md5('object'), 3200000), 'UTF8'))",
    );
    database
}

/// Runs `command` and returns, with what it printed, the largest resident set that it ever had, in KiB.
fn measured(command: Command) -> (Output, u64) {
    let run = program::start(command, "");
    let observed = process(run.pid());
    let mut peak = 0;
    // the kernel keeps the maximum, until the process ends
    while let Some(seen) = observed.status("VmHWM") {
        let kib = seen.strip_suffix(" kB").expect("it is in KiB");
        peak = kib.parse().expect("it is a number");
        thread::sleep(Duration::from_millis(1));
    }
    (run.wait(), peak)
}

fn memory_stays_small(shape: Shape) {
    let (source, target) = (huge(), postgres(18).create_database("target"));
    let sandbox = Sandbox::new(18);
    let run = |database: &Database<'_>, command: Command| {
        sandbox.configure_as(&[("app", database)], shape);
        let name = format!("{command:?}");
        let (output, peak) = measured(command);
        output.exits(0);
        assert!(peak < LIMIT_KIB, "{peak} KiB: {name}");
        assert!(
            !shape.encrypted || peak > DERIVATION_KIB,
            "measured too early: {peak} KiB"
        );
    };
    run(&source, sandbox.command(&["backup"]));
    run(&target, sandbox.command(&["restore", "--from", "latest"]));
    target.holds_the_same_as(&source);

    let cat = sandbox.command(&["cat", "latest"]);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "exec \"$@\" >/dev/null", "sh"])
        .arg(cat.get_program())
        .args(cat.get_args())
        .env_clear()
        .envs(
            cat.get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    run(&source, shell);
}

#[test]
fn memory_stays_small_with_compressed_and_encrypted_backups() {
    memory_stays_small(Shape::new(true, true));
}

#[test]
fn memory_stays_small_with_zstd_and_encrypted_backups() {
    memory_stays_small(Shape::zstd(true));
}

/// Parts of 5 MiB, two of them at a time.
#[test]
fn memory_stays_small_on_the_way_to_a_bucket() {
    let cloud = Cloud::new(Entry::of(large()).shape(Shape::new(true, false)));
    let (output, peak) = measured(cloud.sandbox.command(&["backup"]));
    output.exits(0);
    assert!(cloud.proxy.count("PUT", "partNumber=4&") >= 1);
    assert!(peak <= (64 + 2 * 5) * 1024, "{peak} KiB");
}

#[test]
fn memory_stays_small_where_pg_dump_compresses() {
    memory_stays_small(Shape::new(false, false));
}
