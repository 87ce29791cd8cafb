//! Archives of pg_dump 8.3 to 10, as people still keep them: they are read, restored and drilled.

use crate::support::entry::Entry;
use crate::support::old_archive::of_release;
use crate::support::postgres::{Database, postgres};
use crate::support::program;
use crate::support::sandbox::Sandbox;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

/// One for each version of the archive format.
const RELEASES: [&str; 3] = ["8.3.23", "8.4.22", "9.6.24"];

/// What a database of that time may hold.
const SHAPE: &str = "CREATE TABLE t (id int PRIMARY KEY, word text);
    INSERT INTO t SELECT n, 'word ' || n FROM generate_series(1, 700) n;
    CREATE FUNCTION half(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN $1 / 2; END';
    CREATE VIEW halves AS SELECT half(id) FROM t;
    SELECT lo_from_bytea(0, 'a large one')";

/// `dump` of the database, of pg_dump 14.
fn dump(database: &Database<'_>) -> Vec<u8> {
    let mut command = database.server.client("pg_dump");
    command.args(["--format=custom", "--compress=0", &database.name]);
    program::run(command, "").exits(0).stdout
}

/// A database that a restore made.
fn existing(major: u32, name: &str) -> Database<'static> {
    Database {
        server: postgres(major),
        name: name.into(),
    }
}

struct Scene {
    sandbox: Sandbox,
    source: Database<'static>,
    archive: Vec<u8>,
}

impl Scene {
    fn new() -> Scene {
        let source = postgres(14).create_database("of_old");
        source.sql(SHAPE);
        let sandbox = Sandbox::new(14);
        for name in ["", "tmp"] {
            let way = Permissions::from_mode(0o711);
            fs::set_permissions(sandbox.path(name), way).expect("it is ours");
        }
        sandbox.configure_with("drill: { user: nobody }", &[Entry::of(&source)]);
        Scene {
            archive: dump(&source),
            sandbox,
            source,
        }
    }

    fn keep(&self, release: &str) {
        let old = of_release(&self.archive, release);
        fs::write(self.sandbox.path("old"), old).expect("write it");
    }
}

#[test]
fn an_archive_of_each_old_version_restores_into_a_new_database_and_over_one_and_is_compared() {
    let scene = Scene::new();
    for release in RELEASES {
        scene.keep(release);
        let name = format!("{}_{}", scene.source.name, release.replace('.', "_"));
        let restore = ["restore", "--from", "./old", "--to", &name];
        for further in [
            &["--create", "--dry-run"][..],
            &["--create"],
            &["--clean", "--yes"],
        ] {
            let arguments = [&restore[..], further].concat();
            let output = scene.sandbox.run(&arguments).exits(0);
            let compared = output
                .stderr
                .contains("compared with the backup and is the same");
            assert!(
                compared != further.contains(&"--dry-run"),
                "{release}: {}",
                output.stderr
            );
        }
        let one = [
            "restore", "--from", "./old", "--to", &name, "--table", "t", "--clean", "--yes",
        ];
        scene.sandbox.run(&one).exits(0);
        let restored = existing(14, &name);
        assert_eq!(
            restored.sql("SELECT sum(half) FROM halves"),
            "122500",
            "{release}"
        );
        let object = "SELECT lo_get(oid) FROM pg_largeobject_metadata";
        assert_eq!(restored.sql(object), scene.source.sql(object), "{release}");
    }
}

#[test]
fn an_archive_of_each_old_version_is_checked_and_drilled_on_a_server_of_today() {
    let scene = Scene::new();
    for release in RELEASES {
        scene.keep(release);
        scene.sandbox.run(&["verify", "./old"]).exits(0);
        let drilled = scene
            .sandbox
            .run(&["verify", "--level", "restore", "./old"])
            .exits(0);
        let told = format!("it is of PostgreSQL {release}, and was restored into 14");
        assert!(drilled.stderr.contains(&told), "{}", drilled.stderr);
        // and damage is seen as in any
        let mut cut = of_release(&scene.archive, release);
        cut.truncate(cut.len() - 20);
        fs::write(scene.sandbox.path("cut"), cut).expect("write it");
        scene.sandbox.run(&["verify", "./cut"]).exits(13);
    }
}

#[test]
fn a_version_before_all_that_are_read_is_called_old_and_not_new() {
    let scene = Scene::new();
    scene.keep("8.3.23");
    let mut bytes = fs::read(scene.sandbox.path("old")).expect("read it");
    bytes[6] = 9;
    fs::write(scene.sandbox.path("old"), bytes).expect("write it");
    let output = scene.sandbox.run(&["verify", "./old"]).exits(1);
    assert!(
        output.stderr.contains("1.9, which is older than all"),
        "{}",
        output.stderr
    );
}

#[test]
fn numbers_in_the_words_of_an_old_server_make_no_backup_bad() {
    let scene = Scene::new();
    scene
        .source
        .sql("CREATE TABLE f AS SELECT 0.25::float8 AS x");
    let archive = dump(&scene.source);
    // as servers before 12 wrote it: the same number in more digits
    let at = archive.windows(5).position(|bytes| bytes == b"0.25\n");
    let mut archive = archive;
    archive[at.expect("the row")..][..4].copy_from_slice(b"+.25");
    let old = of_release(&archive, "9.6.24");
    fs::write(scene.sandbox.path("old"), old).expect("write it");
    let name = format!("{}_floats", scene.source.name);
    let restore = ["restore", "--from", "./old", "--to", &name, "--create"];
    let restored = scene.sandbox.run(&restore).exits(0);
    let doubt = "what the table public.f holds cannot be compared";
    assert!(restored.stderr.contains(doubt), "{}", restored.stderr);
    let drilled = scene
        .sandbox
        .run(&["verify", "--level", "restore", "./old"])
        .exits(1);
    assert!(drilled.stderr.contains(doubt), "{}", drilled.stderr);
}

#[test]
fn the_schema_public_that_was_asked_for_by_name_is_there_in_a_new_database() {
    for major in [14, 18] {
        let source = postgres(major).create_database("by_name");
        source.sql("CREATE TABLE t AS SELECT 7 AS one");
        let sandbox = Sandbox::new(major);
        let options = Entry::of(&source).backup("options: [--schema=public]");
        sandbox.configure_with("", &[options]);
        let archive = sandbox.back_up(&source.name);
        let name = format!("{}_again", source.name);
        let restore = ["restore", "--from", &archive.key(), "--to", &name];
        sandbox
            .run(&[&restore[..], &["--create"]].concat())
            .exits(0);
        sandbox
            .run(&[&restore[..], &["--clean", "--yes"]].concat())
            .exits(0);
        assert_eq!(existing(major, &name).sql("SELECT one FROM t"), "7");
        // where someone dropped it, it is made
        let without = postgres(major).create_database("without");
        without.sql("DROP SCHEMA public");
        let restore = ["restore", "--from", &archive.key(), "--to", &without.name];
        sandbox.run(&restore).exits(0);
        assert_eq!(without.sql("SELECT one FROM public.t"), "7");
    }
}
