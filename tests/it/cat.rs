//! What `cat` promises: the plain dump on stdout, to the byte, for whoever reads it there.

use crate::support::archive::{decode, gzip};
use crate::support::entry::Entry;
use crate::support::postgres::{Database, postgres};
use crate::support::repository;
use crate::support::sandbox::{ENCRYPTION_PASSWORD, SHAPES, Sandbox, Shape};
use sha2::{Digest, Sha256};
use std::fs;

const SEALED: Shape = Shape::new(true, true);

fn house(shape: Shape) -> (Sandbox, Database<'static>) {
    let (sandbox, database) = (Sandbox::new(18), postgres(18).create_database("app"));
    database.sql(
        "CREATE TABLE word (id int PRIMARY KEY, word text);
         INSERT INTO word SELECT n, sha512(n::text::bytea)::text FROM generate_series(1, 9000) AS n",
    );
    sandbox.configure_with("", &[Entry::of(&database).named("app").shape(shape)]);
    (sandbox, database)
}

#[test]
fn the_plain_dump_comes_out_of_every_shape() {
    let (sandbox, database) = house(SEALED);
    for shape in SHAPES {
        sandbox.configure_with("", &[Entry::of(&database).named("app").shape(shape)]);
        let archive = sandbox.back_up("app");
        let path = archive.path.to_str().expect("a path in UTF-8");
        let expected = decode(&archive.path, ENCRYPTION_PASSWORD).exits(0).stdout;
        assert!(expected.starts_with(b"PGDMP"));
        for from in ["latest", "app/latest", &archive.id(), &archive.key(), path] {
            let output = sandbox.run(&["cat", from]).exits(0);
            assert!(output.stdout == expected, "{shape:?} {from}");
        }
    }
}

#[test]
fn a_pipe_into_pg_restore_restores() {
    let (sandbox, source) = house(SEALED);
    let target = postgres(18).create_database("target");
    sandbox.back_up("app");
    let list = sandbox
        .shell("backupkit cat app/latest | pg_restore --list")
        .exits(0);
    assert!(list.text().contains("TABLE DATA public word"));
    let (host, port) = (target.server.directory.display(), target.server.port);
    let dbname = format!(
        "host={host} port={port} user=postgres dbname={}",
        target.name
    );
    sandbox
        .shell(&format!(
            "backupkit cat app/latest | pg_restore --single-transaction --dbname '{dbname}'"
        ))
        .exits(0);
    target.holds_the_same_as(&source);
}

#[test]
fn a_reader_that_has_had_enough_ends_it_quietly() {
    let (sandbox, _database) = house(SEALED);
    sandbox.back_up("app");
    // far more than a pipe holds
    let output = sandbox
        .shell("backupkit cat app/latest | head -c 5")
        .exits(0);
    assert_eq!(
        (output.text().as_str(), output.stderr.as_str()),
        ("PGDMP", "")
    );
    for command in ["list", "list --json", "--help", "--version", "backup"] {
        let output = sandbox
            .shell(&format!("backupkit {command} | true"))
            .exits(0);
        assert_eq!(output.stderr, "", "{command}");
    }
}

#[test]
fn a_stdout_that_cannot_be_written_is_an_error() {
    let (sandbox, _database) = house(SEALED);
    sandbox.back_up("app");
    for command in [
        "cat app/latest",
        "list",
        "list --json",
        "--help",
        "--version",
        "backup",
    ] {
        let output = sandbox
            .shell(&format!("backupkit {command} > /dev/full"))
            .exits(1);
        assert!(
            output.stderr.contains("cannot write to stdout"),
            "{command}: {}",
            output.stderr
        );
    }
}

#[test]
fn a_stdout_that_cannot_be_written_costs_no_backup() {
    let (sandbox, database) = house(SEALED);
    let entry = |name| Entry::of(&database).named(name);
    sandbox.configure_with("", &[entry("one"), entry("two"), entry("three")]);
    sandbox.shell("backupkit backup > /dev/full").exits(1);
    let listed = sandbox.run(&["list"]).exits(0).text();
    let rows = listed.lines().take_while(|line| !line.is_empty());
    assert_eq!(rows.count(), 4, "{listed}");
}

#[test]
fn a_dump_is_nothing_for_a_terminal() {
    let (sandbox, _database) = house(SEALED);
    sandbox.back_up("app");
    let output = sandbox
        .shell("script --quiet --return --command 'backupkit cat app/latest' /dev/null < /dev/null")
        .exits(2);
    assert!(
        output.text().contains("nothing for a terminal"),
        "{}",
        output.text()
    );
    assert!(!output.text().contains("PGDMP"));
}

#[test]
fn statuses_tell_what_was_wrong() {
    let (sandbox, database) = house(SEALED);
    sandbox.run(&["cat", "app/latest"]).exits(10);
    let archive = sandbox.back_up("app");
    sandbox
        .run(&["cat", "app/20240229_020000.123456789Z"])
        .exits(10);
    sandbox.run(&["cat", "./no/such/file"]).exits(10);
    sandbox.run(&["cat", "."]).exits(2);
    let id = archive.id();
    let (second, _) = id.rsplit_once('.').expect("a timestamp");
    let later = format!("{second}.999999999Z.dump.gz.enc");
    sandbox.store(&later, &archive.bytes());
    let renamed = sandbox.run(&["cat", "app/latest"]).exits(15);
    assert_eq!(renamed.stdout, b"");
    sandbox.run(&["cat", "--force", "app/latest"]).exits(0);

    let wrong = Entry::of(&database).named("app").shape(SEALED);
    sandbox.configure_with("", &[wrong.encryption("enabled: true, password: 'not it'")]);
    assert_eq!(sandbox.run(&["cat", &archive.id()]).exits(12).stdout, b"");
    let none = Entry::of(&database).named("app");
    sandbox.configure_with("", &[none]);
    assert_eq!(sandbox.run(&["cat", &archive.id()]).exits(2).stdout, b"");
}

#[test]
fn the_end_of_a_cut_dump_never_comes_out() {
    let (sandbox, database) = house(SEALED);
    sandbox.configure_with("", &[Entry::of(&database).named("app")]);
    let dump = sandbox.back_up("app").bytes();
    let held_back = 64 * 1024;
    let cut = &dump[..dump.len() - 1];
    for (name, bytes) in [("cut", cut.to_vec()), ("cut.gz", gzip(cut))] {
        std::fs::write(sandbox.path(name), bytes).expect("write it");
        let output = sandbox.run(&["cat", &format!("./{name}")]).exits(13);
        assert!(output.stdout.len() <= cut.len() - held_back, "{name}");
        assert!(dump.starts_with(&output.stdout), "{name}");
    }
    // SQL that pg_dump wrote says where it ends
    let script = sandbox
        .shell("backupkit cat app/latest | pg_restore --file=-")
        .exits(0)
        .stdout;
    std::fs::write(sandbox.path("script"), &script).expect("write it");
    assert!(sandbox.run(&["cat", "./script"]).exits(0).stdout == script);
    std::fs::write(sandbox.path("script"), &script[..script.len() / 2]).expect("write it");
    sandbox.run(&["cat", "./script"]).exits(13);
}

#[test]
fn containers_of_an_independent_implementation_come_out_or_are_refused() {
    let (sandbox, _database) = house(SEALED);
    let vectors = repository().join("tests/archives/vectors");
    let table = fs::read_to_string(vectors.join("README.md")).expect("read the table");
    let rows = table.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix('|')?.split('|').map(str::trim).collect();
        cells[0].ends_with(".enc").then_some(cells)
    });
    let mut count = 0;
    for cells in rows {
        let [file, expect, bytes, sha256, ..] = cells[..] else {
            panic!("a row has four cells: {cells:?}");
        };
        let path = vectors.join(file);
        let output = sandbox.run(&["cat", path.to_str().expect("UTF-8")]);
        match expect {
            "ok" => {
                let plain = output.exits(0).stdout;
                assert_eq!(plain.len().to_string(), bytes, "{file}");
                let digest = Sha256::digest(&plain);
                let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(digest, sha256, "{file}");
            }
            "wrong password" => drop(output.exits(12)),
            _ => drop(output.exits(13)),
        }
        count += 1;
    }
    assert!(count > 40, "{count}");
}
