//! What others left in a storage, under names that are none of ours and under names that are, stops nothing, is not
//! followed, and leads to nothing that lies outside.

use crate::support::entry::Entry;
use crate::support::postgres::{Database, postgres};
use crate::support::sandbox::{Sandbox, Shape};
use rustix::fs::{CWD, Mode, mkfifoat};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// Something strange, made at a path; the other one is a file outside that nobody may touch.
type Lay = fn(&Path, &Path);

const KINDS: [(&str, Lay); 6] = [
    ("a link to a file outside", |at, precious| {
        symlink(precious, at).expect("make a link");
    }),
    ("a link that leads nowhere", |at, _| {
        symlink("nowhere", at).expect("make a link");
    }),
    ("a link to itself", |at, _| {
        symlink(at.file_name().expect("a name"), at).expect("make a link");
    }),
    ("a named pipe", |at, _| {
        mkfifoat(CWD, at, Mode::from_raw_mode(0o600)).expect("make a pipe");
    }),
    ("a socket", |at, _| {
        UnixListener::bind(at).expect("make a socket");
    }),
    ("a directory", |at, _| {
        fs::create_dir(at).expect("make a directory");
    }),
];

struct Scene {
    sandbox: Sandbox,
    precious: PathBuf,
    _small: Database<'static>,
}

impl Scene {
    fn new() -> Scene {
        let small = postgres(18).create_database("foreign");
        small.sql("CREATE TABLE t AS SELECT 1 AS one");
        let sandbox = Sandbox::new(18);
        let entry = Entry::of(&small)
            .named("app")
            .shape(Shape::new(true, false))
            .retention("keep_last: 50");
        sandbox.configure_with("", &[entry]);
        let precious = sandbox.path("precious");
        fs::write(&precious, "precious").expect("write a file");
        Scene {
            sandbox,
            precious,
            _small: small,
        }
    }

    /// The time stamp of a new backup.
    fn back_up(&self) -> String {
        self.sandbox.run(&["backup"]).exits(0);
        let files = self.sandbox.files("storage/app");
        let newest = files.iter().rfind(|name| name.ends_with("Z.json"));
        let newest = newest.expect("a backup has a manifest");
        newest.trim_end_matches(".json").to_string()
    }

    /// Each command ends, without a panic; those of which it is true in `succeeds` with 0.
    fn every_command_ends(&self, backup: &str, what: &str, succeeds: &dyn Fn(&str) -> bool) {
        let backup = format!("app/{backup}");
        let commands: [&[&str]; 8] = [
            &["list"],
            &["status"],
            &["verify", "--all"],
            &["prune", "--dry-run"],
            &["pin", &backup],
            &["unpin", &backup],
            &["backup"],
            &["prune"],
        ];
        for command in commands {
            let output = self.sandbox.run(command);
            let told = format!(
                "{command:?} beside {what}: {}\n{}",
                output.status, output.stderr
            );
            assert!(output.status.code().is_some(), "{told}");
            assert!(!output.stderr.contains("panicked"), "{told}");
            assert!(!succeeds(command[0]) || output.status.success(), "{told}");
        }
        let precious = fs::read(&self.precious).expect("it is there");
        assert_eq!(precious, b"precious", "beside {what}");
    }
}

#[test]
fn names_that_are_none_of_ours_stop_nothing_whatever_they_name() {
    let scene = Scene::new();
    let backup = scene.back_up();
    let long = "x".repeat(255);
    let names = [
        OsStr::new("notes"),
        OsStr::new("20261126.dump.gz"),
        OsStr::new("lost+found"),
        OsStr::new(&long),
        OsStr::from_bytes(b"\xff\xfe.dump.gz"),
        OsStr::from_bytes(b"a\nb\x1b[31m.json"),
    ];
    for directory in ["storage", "storage/app"] {
        for (kind, lay) in KINDS {
            for name in names {
                let at = scene.sandbox.path(directory).join(name);
                // a name of a socket is shorter
                if kind == "a socket" && at.as_os_str().len() > 100 {
                    continue;
                }
                lay(&at, &scene.precious);
            }
            scene.every_command_ends(&backup, &format!("{kind} in {directory}"), &|_| true);
            for name in names {
                let at = scene.sandbox.path(directory).join(name);
                let _ = fs::remove_file(&at).or_else(|_| fs::remove_dir(&at));
            }
        }
    }
}

#[test]
fn what_lies_in_the_place_of_a_file_of_ours_hangs_nothing_and_is_not_followed() {
    let places = [
        "X.dump.gz",
        "X.dump.gz.sha256",
        "X.json",
        "X.pin",
        "X.pin.tmp",
        "X.accepted",
        "X.accepted.tmp",
        "X.run",
        "X.globals.sql.gz",
        "X.verified.json",
        "X.verified.json.tmp",
        "X.20261126_020000.000000000Z.verified.json",
        "last-failure.json",
        "last-failure.json.tmp",
        ".lock",
        "20261126_020000.000000000Z.dump.gz",
        "20261126_020000.000000000Z.dump.gz.tmp",
        "20261126_020000.000000000Z.run",
    ];
    let scene = Scene::new();
    for place in places {
        for (kind, lay) in KINDS {
            let _ = fs::remove_dir_all(scene.sandbox.path("storage"));
            let backup = scene.back_up();
            let at = scene
                .sandbox
                .path("storage/app")
                .join(place.replace('X', &backup));
            let _ = fs::remove_file(&at);
            lay(&at, &scene.precious);
            let is_locked = place == ".lock";
            let succeeds = |command: &str| match command {
                // what cannot be locked is not written to
                "backup" | "list" => !is_locked || command == "list",
                _ => false,
            };
            scene.every_command_ends(&backup, &format!("{kind} as {place}"), &succeeds);
        }
    }
}

#[test]
fn a_storage_that_is_a_link_is_the_directory_that_it_leads_to() {
    let scene = Scene::new();
    let disk = scene.sandbox.path("disk");
    fs::create_dir(&disk).expect("make a directory");
    symlink(&disk, scene.sandbox.path("storage")).expect("make a link");
    let backup = scene.back_up();
    scene.every_command_ends(&backup, "a storage that is a link", &|_| true);
    assert!(disk.join("app").is_dir());
}
