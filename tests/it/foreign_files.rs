//! Files that others made of dumps: each is called what it is, by every command that is given it, and told how to go on.
//! None of them is called damaged, since no one has looked.

use crate::support::archive::{gzip, sha256, zstd};
use crate::support::entry::Entry;
use crate::support::postgres::{Database, postgres};
use crate::support::program;
use crate::support::sandbox::{Sandbox, Shape};
use serde_json::Value;
use std::fs;

struct Scene {
    sandbox: Sandbox,
    source: Database<'static>,
    target: Database<'static>,
}

impl Scene {
    fn new() -> Scene {
        let source = postgres(18).create_database("foreign_files");
        source.sql("CREATE TABLE t AS SELECT n FROM generate_series(1, 50) n");
        let sandbox = Sandbox::new(18);
        let scene = Scene {
            target: postgres(18).create_database("foreign_target"),
            source,
            sandbox,
        };
        let shape = Shape::new(false, false);
        let entry = Entry::of(&scene.target).named("app").shape(shape);
        scene.sandbox.configure_with("", &[entry]);
        scene
    }

    /// A dump of the source in this format, as the file or directory `name`.
    fn dump(&self, format: &str, name: &str) {
        let mut command = self.source.server.client("pg_dump");
        let file = self.sandbox.path(name);
        command
            .arg(format!("--format={format}"))
            .arg("--file")
            .arg(file);
        command.arg(&self.source.name);
        program::run(command, "").exits(0);
    }

    /// What restoring, checking and printing `name` say, which all call it `what` and tell how to go on by `hint`.
    #[track_caller]
    fn is_called(&self, name: &str, what: &str, hint: &str) {
        let from = format!("./{name}");
        let cat = ["cat", &from];
        let commands: [&[&str]; 4] = [
            &["restore", "--from", &from],
            &["restore", "--from", &from, "--dry-run"],
            &["verify", &from],
            &cat,
        ];
        for command in commands {
            // what was compressed once is printed as it was
            if command == cat && (hint.contains(" cat ") || name.ends_with(".gz")) {
                continue;
            }
            let output = self.sandbox.run(command).exits(1);
            let told = format!("{command:?}: {}", output.stderr);
            assert!(output.stderr.contains(what), "{told}");
            assert!(output.stderr.contains(hint), "{told}");
            assert!(!output.stderr.contains("damaged"), "{told}");
            assert!(!output.stderr.contains("configuration says"), "{told}");
        }
    }
}

#[test]
fn the_other_formats_of_pg_dump_are_named_with_a_command_that_restores_them() {
    let scene = Scene::new();
    scene.dump("tar", "a tar");
    scene.dump("directory", "directory");
    let tar = "pg_restore --format=tar --single-transaction --dbname=DATABASE './a tar'";
    scene.is_called("a tar", "a dump in pg_dump's tar format", tar);
    let whole = "pg_restore --format=directory --single-transaction --dbname=DATABASE ./directory";
    scene.is_called("directory", "a dump in pg_dump's directory format", whole);
    scene.is_called(
        "directory/toc.dat",
        "the table of contents of a dump",
        whole,
    );
    let files = scene.sandbox.files("directory");
    let rows = files.iter().find(|name| name.ends_with(".dat.gz"));
    let rows = format!("directory/{}", rows.expect("it has rows"));
    scene.is_called(
        &rows,
        "is one file of a dump in pg_dump's directory format",
        whole,
    );
    // the commands do
    for command in [tar, whole] {
        let target = scene.target.server.create_database("by_hand");
        let Database { server, name } = &target;
        let command = command.replace("DATABASE", name);
        let arguments = command
            .trim_start_matches("pg_restore ")
            .replace("'./a tar'", "./a_tar");
        let mut pg_restore = server.client("pg_restore");
        pg_restore.current_dir(scene.sandbox.path(""));
        let arguments = arguments
            .split(' ')
            .map(|word| word.replace("./a_tar", "./a tar"));
        pg_restore.args(arguments);
        program::run(pg_restore, "").exits(0);
        assert_eq!(target.sql("SELECT count(*) FROM t"), "50");
    }
    // one that lies alone names no directory
    fs::copy(
        scene.sandbox.path("directory/toc.dat"),
        scene.sandbox.path("toc"),
    )
    .expect("copy it");
    scene.is_called("toc", "without its rows", "name the dump that it is from");
}

#[test]
fn what_is_compressed_in_another_way_is_named_with_the_command_that_unpacks_it() {
    let scene = Scene::new();
    scene.dump("custom", "plain");
    let plain = fs::read(scene.sandbox.path("plain")).expect("read it");
    let write = |name: &str, bytes: &[u8]| {
        fs::write(scene.sandbox.path(name), bytes).expect("write it");
    };
    for (name, twice) in [("gzip", gzip(&gzip(&plain))), ("zstd", zstd(&zstd(&plain)))] {
        write("twice", &twice);
        let unpack = format!(" cat ./twice | {name} -dc > ./twice.unpacked");
        scene.is_called(
            "twice",
            &format!("is compressed by {name} more than once"),
            &unpack,
        );
        let configuration = scene.sandbox.path("config.yaml");
        let unpack = format!("backupkit -c {}{unpack}", configuration.display());
        scene.sandbox.shell(&unpack).exits(0);
        assert!(fs::read(scene.sandbox.path("twice.unpacked")).expect("it is there") == plain);
        // once is not too often
        write(
            "once",
            &if name == "gzip" {
                gzip(&plain)
            } else {
                zstd(&plain)
            },
        );
        scene.sandbox.run(&["verify", "./once"]).exits(0);
    }
    for (name, begin, what) in [
        ("lz4", &b"\x04\x22\x4d\x18"[..], "compressed by lz4"),
        ("xz", b"\xfd7zXZ\0", "compressed by xz"),
        ("bzip2", b"BZh91AY&SY", "compressed by bzip2"),
    ] {
        write(name, &[begin, &[7; 600]].concat());
        scene.is_called(
            name,
            what,
            &format!(": {name} -dc ./{name} > ./{name}.unpacked"),
        );
    }
    write("zip", &[&b"PK\x03\x04"[..], &[7; 600]].concat());
    scene.is_called("zip", "a zip file", "unzip -p ./zip > ./zip.unpacked");
    let letters = "-- PostgreSQL database dump\nSELECT 1;\n".encode_utf16();
    let wide: Vec<u8> = [0xfeff]
        .into_iter()
        .chain(letters)
        .flat_map(u16::to_le_bytes)
        .collect();
    write("wide", &wide);
    scene.is_called(
        "wide",
        "text in UTF-16",
        "iconv -f UTF-16 -t UTF-8 ./wide > ./wide.unpacked",
    );
}

/// The manifest beside it says that a dump was written there.
#[test]
fn a_stored_backup_that_is_such_a_file_now_is_bad() {
    let scene = Scene::new();
    let archive = scene.sandbox.back_up("app");
    fs::write(&archive.path, [&b"PK\x03\x04"[..], &[7; 600]].concat()).expect("write it");
    scene
        .sandbox
        .run(&["verify", "app", "--level", "full"])
        .exits(13);
}

#[test]
fn a_file_is_looked_at_without_a_word_of_storages() {
    let scene = Scene::new();
    scene.dump("custom", "plain");
    let text = fs::read_to_string(scene.sandbox.path("config.yaml")).expect("read it");
    let storage = scene.sandbox.path("storage").display().to_string();
    let text = text.replace(&storage, "${NOWHERE_SET}");
    assert!(text.contains("NOWHERE_SET"), "{text}");
    scene.sandbox.configure(&text);
    let output = scene.sandbox.run(&["verify", "./plain"]).exits(0);
    assert!(
        !output.stderr.contains("NOWHERE_SET") && !output.stderr.contains("storage"),
        "{}",
        output.stderr
    );
    scene
        .sandbox
        .run(&["restore", "--from", "./plain"])
        .exits(0);
}

#[test]
fn data_that_no_one_decoded_is_never_good_where_nothing_tells_what_its_bytes_were() {
    let scene = Scene::new();
    for compression in ["zstd", "lz4"] {
        let mut command = scene.source.server.client("pg_dump");
        command.arg(format!("--compress={compression}"));
        command.args(["--format=custom", &scene.source.name]);
        let archive = program::run(command, "").exits(0).stdout;
        fs::write(scene.sandbox.path("packed"), &archive).expect("write it");
        let output = scene.sandbox.run(&["verify", "./packed"]).exits(1);
        let told = format!("compressed by {compression}, was not read, and there is no checksum");
        assert!(output.stderr.contains(&told), "{}", output.stderr);
        assert!(output.text().contains("undecided"), "{}", output.text());
        let line = format!("{}  packed\n", sha256(&archive));
        fs::write(scene.sandbox.path("packed.sha256"), line).expect("write it");
        scene.sandbox.run(&["verify", "./packed"]).exits(0);
        fs::remove_file(scene.sandbox.path("packed.sha256")).expect("it is there");
    }
}

#[test]
fn no_configuration_is_about_a_file_and_an_empty_one_has_one_fault() {
    let scene = Scene::new();
    scene.dump("custom", "dumped");
    let entry = Entry::of(&scene.target).named("app");
    let entry = entry.shape(Shape::new(true, true));
    scene.sandbox.configure_with("", &[entry]);
    for arguments in [
        &["verify", "./dumped"][..],
        &["restore", "--from", "./dumped", "--strict-sniff"],
    ] {
        let output = scene.sandbox.run(arguments).exits(0);
        assert!(!output.stderr.contains("mismatch"), "{}", output.stderr);
        assert!(!output.stderr.contains("configured"), "{}", output.stderr);
    }
    fs::write(scene.sandbox.path("empty"), "").expect("write it");
    let output = scene
        .sandbox
        .run(&["verify", "./empty", "--json"])
        .exits(13);
    let document: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    let faults = document["checks"][0]["faults"].as_array().expect("faults");
    assert_eq!(faults.len(), 1, "{document}");
}

/// What a frame of lz4 begins with.
const LZ4_FRAME: &[u8] = b"\x04\x22\x4d\x18";

#[test]
fn what_cannot_be_unpacked_inside_an_archive_is_damage_for_a_restore_too() {
    let scene = Scene::new();
    scene
        .source
        .sql("CREATE TABLE long AS SELECT md5(n::text) FROM generate_series(1, 20000) n");
    for compression in ["zstd", "lz4", "gzip"] {
        let mut command = scene.source.server.client("pg_dump");
        command.arg(format!("--compress={compression}"));
        command.args(["--format=custom", &scene.source.name]);
        let mut archive = program::run(command, "").exits(0).stdout;
        // what lz4 makes of zeros in its midst is for the server to judge
        let (place, length) = match compression {
            "lz4" => {
                let mut places = archive.windows(LZ4_FRAME.len());
                let frame = places.position(|bytes| bytes == LZ4_FRAME);
                (frame.expect("a frame"), LZ4_FRAME.len())
            }
            _ => (archive.len() / 2, 200),
        };
        archive[place..place + length].fill(0);
        fs::write(scene.sandbox.path("packed"), &archive).expect("write it");
        let restore = ["restore", "--from", "./packed"];
        let output = scene.sandbox.run(&restore).exits(13);
        let hint = match compression {
            "zstd" | "lz4" => "\n  hint: the dump is damaged; restore an older backup\n",
            _ => "\n  hint: restore another backup; see them with: backupkit list\n",
        };
        assert!(output.stderr.contains(hint), "{}", output.stderr);
        assert_eq!(
            scene
                .target
                .sql("SELECT count(*) FROM pg_class WHERE relname IN ('long', 't')"),
            "0"
        );
    }
}

#[test]
fn rows_that_no_one_read_are_never_good_and_never_called_compared() {
    let scene = Scene::new();
    for (compression, reads) in [("none", 1), ("gzip", 0)] {
        let mut command = scene.source.server.client("pg_dump");
        command.arg(format!("--compress={compression}"));
        command.args(["--inserts", "--format=custom", &scene.source.name]);
        let archive = program::run(command, "").exits(0).stdout;
        fs::write(scene.sandbox.path("inserts"), &archive).expect("write it");
        // zlib has a checksum
        let output = scene.sandbox.run(&["verify", "./inserts"]).exits(reads);
        let is_unread = output
            .stderr
            .contains("wrote as INSERT commands, was not read");
        assert_eq!(is_unread, reads == 1, "{}", output.stderr);

        scene.target.sql("DROP TABLE IF EXISTS t");
        let restore = ["restore", "--from", "./inserts", "--json"];
        let restored = scene.sandbox.run(&restore).exits(0);
        let what = "what the table public.t holds, which pg_dump wrote as INSERT commands,";
        let told = format!("is restored, and {what} could not be compared with it");
        assert!(restored.stderr.contains(&told), "{}", restored.stderr);
        assert!(!restored.stderr.contains("no table"), "{}", restored.stderr);
        let document: Value = serde_json::from_slice(&restored.stdout).expect("one JSON document");
        assert_eq!(document["compared_tables"], Value::Null);
        assert_eq!(document["not_compared"], what);
        assert_eq!(scene.target.sql("SELECT count(*) FROM t"), "50");
    }
}
