//! What the codecs promise beside each other, and what is read that others compressed.

use crate::support::archive::{Archive, zstd};
use crate::support::entry::Entry;
use crate::support::postgres::{Database, postgres};
use crate::support::sandbox::{Sandbox, Shape};
use serde_json::Value;
use std::fs;

fn database() -> Database<'static> {
    let database = postgres(18).create_database("app");
    database.sql(
        "CREATE TABLE word (id int PRIMARY KEY, word text);
         INSERT INTO word SELECT n, sha512(n::text::bytea)::text FROM generate_series(1, 20000) AS n",
    );
    database
}

fn configure(sandbox: &Sandbox, database: &Database<'_>, shape: Shape) {
    let entry = Entry::of(database).named("app").shape(shape);
    let entry = entry.retention("keep_last: 4").key("max_age: 26h");
    sandbox.configure_with("", &[entry]);
}

#[test]
fn a_repository_changes_its_codec_and_all_that_is_in_it_goes_on() {
    let (sandbox, database) = (Sandbox::new(18), database());
    let mut ids = Vec::new();
    for shape in [
        Shape::new(true, false),
        Shape::new(true, false),
        Shape::zstd(false),
        Shape::new(false, false),
        Shape::zstd(false),
    ] {
        configure(&sandbox, &database, shape);
        let output = sandbox.run(&["backup"]).exits(0);
        let warned = output.stderr.contains("warning");
        assert!(!warned, "{shape:?}: {}", output.stderr);
        let path = output
            .text()
            .split('\t')
            .nth(3)
            .expect("where it is")
            .into();
        ids.push(Archive { path }.id());
        let status = sandbox.run(&["status", "--json"]);
        let status: Value = serde_json::from_slice(&status.stdout).expect("JSON");
        assert_eq!(status["databases"][0]["state"], "ok", "{status}");
    }
    // the oldest one went, and no other
    let listed = sandbox.run(&["list", "--json"]).exits(0);
    let listed: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    let codecs: Vec<&str> = listed["backups"]
        .as_array()
        .expect("backups")
        .iter()
        .map(|backup| backup["compression"].as_str().expect("a word"))
        .collect();
    assert_eq!(codecs, ["zstd", "none", "zstd", "gzip"]);
    let table = sandbox.run(&["list"]).exits(0).text();
    assert!(table.contains("zst") && table.contains("gz"), "{table}");
    sandbox.run(&["verify", "--all"]).exits(0);
    sandbox.run(&["diff", &ids[1], &ids[4]]).exits(0);
}

#[test]
fn what_zstd_itself_compressed_is_read_in_every_form() {
    let (sandbox, database) = (Sandbox::new(18), database());
    configure(&sandbox, &database, Shape::new(false, false));
    let plain = sandbox.back_up("app").bytes();
    fs::write(sandbox.path("plain"), &plain).expect("write it");
    for command in [
        "zstd -q -c plain",
        "zstd -q -19 --no-check -c plain",
        "zstd -q --ultra -22 --long=27 -c < plain",
        "zstd -q -T2 -B512K -c plain",
        "pzstd -q -p 3 -c plain",
        "(head -c 1000 plain | zstd -q; tail -c +1001 plain | zstd -q)",
    ] {
        sandbox.shell(&format!("{command} > packed")).exits(0);
        let read = sandbox.run(&["cat", "./packed"]).exits(0);
        assert!(read.stdout == plain, "{command}");
        sandbox.run(&["verify", "./packed"]).exits(0);
    }
}

#[test]
fn bad_zstd_is_named_with_the_byte() {
    let (sandbox, database) = (Sandbox::new(18), database());
    configure(&sandbox, &database, Shape::new(false, false));
    let plain = sandbox.back_up("app").bytes();
    fs::write(sandbox.path("plain"), &plain).expect("write it");
    let packed = zstd(&plain);
    let end = packed.len();
    let claims = b"\x28\xb5\x2f\xfd\xe0\0\0\0\0\0\x01\0\0\x01\0\0";
    let dictionary = b"\x28\xb5\x2f\xfd\x03\x58\x39\x30\0\0\x01\0\0";
    sandbox
        .shell("zstd -q --long=31 -c < plain > wide")
        .exits(0);
    let wide = fs::read(sandbox.path("wide")).expect("read it");
    let mut flipped = packed.clone();
    flipped[end / 2] ^= 1;
    for (what, bytes, status, told) in [
        (
            "a cut",
            packed[..end - 1].to_vec(),
            13,
            "ends inside the frame that begins at byte 0",
        ),
        (
            "a flip",
            flipped,
            13,
            "the zstd frame that begins at byte 0 is damaged",
        ),
        (
            "a tail",
            [&packed[..], b"tail"].concat(),
            13,
            &format!("the bytes from {end} on are no zstd frame"),
        ),
        (
            "1 TiB",
            claims.to_vec(),
            13,
            "byte 0 wants 1048576 MiB of memory",
        ),
        ("2 GiB", wide, 13, "byte 0 wants 2048 MiB of memory"),
        (
            "a dictionary",
            dictionary.to_vec(),
            1,
            "the dictionary 12345",
        ),
    ] {
        fs::write(sandbox.path("bad"), bytes).expect("write it");
        let read = sandbox.run(&["cat", "./bad"]).exits(status);
        assert!(read.stderr.contains(told), "{what}: {}", read.stderr);
    }
}
