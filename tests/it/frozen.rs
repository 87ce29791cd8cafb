//! The archives that earlier versions left (`tests/archives/README.md`): each is read, restored and accepted by others.

use crate::support::archive::{Archive, decode, sha256};
use crate::support::entry::Entry;
use crate::support::postgres::{Database, postgres};
use crate::support::repository;
use crate::support::sandbox::{ENCRYPTION_PASSWORD, Sandbox, Shape};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What a frozen directory says of its archives: by path below it, the SHA-256 of the plain bytes.
fn expected(directory: &Path) -> BTreeMap<String, String> {
    let json = fs::read(directory.join("plain.json")).expect("read what is expected");
    let expected: BTreeMap<String, String> = serde_json::from_slice(&json).expect("it is JSON");
    assert!(expected.len() >= 7, "{expected:?}");
    expected
}

fn directories() -> Vec<PathBuf> {
    ["0.1.0", "0.1.0-zstd"]
        .map(|version| repository().join("tests/archives").join(version))
        .into()
}

/// A sandbox whose storage holds the backups of `directory`, with the database that they are restored into.
fn with_storage(directory: &Path, target: &Database<'_>) -> Sandbox {
    let sandbox = Sandbox::new(18);
    let entry = |name| Entry::of(target).named(name).shape(Shape::new(true, true));
    sandbox.configure_with("", &[entry("app_db"), entry("go_db")]);
    for name in ["app_db", "go_db"] {
        let to = sandbox.path("storage").join(name);
        fs::create_dir_all(&to).expect("make a directory");
        for file in fs::read_dir(directory.join(name)).expect("read a frozen directory") {
            let file = file.expect("read a frozen directory");
            fs::copy(file.path(), to.join(file.file_name())).expect("copy a file");
        }
    }
    sandbox
}

#[test]
fn every_frozen_archive_still_decodes_to_the_same_bytes() {
    for directory in directories() {
        let target = postgres(18).maintenance();
        let sandbox = with_storage(&directory, &target);
        for (path, hash) in expected(&directory) {
            // by its key where it has one, and as a file
            let file = directory.join(&path);
            let file = file.to_str().expect("a path in UTF-8");
            let mut forms = vec![file];
            if !path.starts_with("sql/") {
                forms.push(&path);
            }
            for form in forms {
                let plain = sandbox.run(&["cat", form]).exits(0).stdout;
                assert_eq!(sha256(&plain), hash, "{form}");
            }
        }
    }
}

#[test]
fn every_frozen_backup_verifies_against_its_manifest_where_it_has_one() {
    for directory in directories() {
        let target = postgres(18).maintenance();
        let sandbox = with_storage(&directory, &target);
        let told = sandbox.run(&["verify", "--all", "--json"]).exits(0);
        let document: Value = serde_json::from_slice(&told.stdout).expect("JSON");
        let checks = document["checks"].as_array().expect("checks");
        assert!(checks.len() >= 5, "{document}");
        for check in checks {
            let id = check["backup"].as_str().expect("a backup");
            let described = sandbox.path("storage").join(format!("{id}.json")).exists();
            assert_eq!(check["tables"].is_null(), !described, "{check}");
        }
    }
}

#[test]
fn the_decoder_in_another_language_agrees_about_the_frozen_archives() {
    for directory in directories() {
        for (path, hash) in expected(&directory) {
            // the manual tells others how to read the new kind only
            if path.starts_with("go_db/") {
                continue;
            }
            let plain = decode(&directory.join(&path), ENCRYPTION_PASSWORD).exits(0);
            assert_eq!(sha256(&plain.stdout), hash, "{path}");
        }
    }
}

#[test]
fn every_frozen_archive_still_restores() {
    for directory in directories() {
        let says = fs::read_to_string(directory.join("says.txt")).expect("read what it says");
        let ask = fs::read_to_string(repository().join("tests/archives/tiny_says.sql"));
        let ask = ask.expect("read what to ask");
        for (path, _) in expected(&directory) {
            let target = postgres(18).create_database("frozen");
            let sandbox = with_storage(&directory, &target);
            let file = directory.join(&path);
            let restored = match path.starts_with("sql/") {
                true => sandbox.run(&[
                    "restore",
                    "--allow-sql-fallback",
                    "--from",
                    file.to_str().expect("a path in UTF-8"),
                ]),
                false => sandbox.run(&["restore", "--from", &path]),
            };
            let said = restored.exits(0).stderr;
            assert_eq!(target.sql(&ask), says.trim_end(), "{path}");
            assert_eq!(
                said.contains("BKENC001"),
                path.starts_with("go_db/"),
                "{said}"
            );
        }
    }
}

#[test]
fn sidecars_of_the_frozen_archives_still_hold() {
    for directory in directories() {
        let sandbox = with_storage(&directory, &postgres(18).maintenance());
        let listed = sandbox.run(&["list", "--json"]).exits(0);
        let listed: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
        let listed = listed["backups"].as_array().expect("backups");
        let frozen = expected(&directory);
        let of_names = |path: &&String| path.starts_with("app_db/") || path.starts_with("go_db/");
        assert_eq!(listed.len(), frozen.keys().filter(of_names).count());
        for backup in listed {
            let key = backup["key"].as_str().expect("a key");
            assert_eq!(backup["manifest"], key.starts_with("app_db/"), "{key}");
        }
        sandbox
            .shell("cd storage/app_db && sha256sum -c --strict *.sha256")
            .exits(0);
        for (path, hash) in expected(&directory) {
            if path.starts_with("app_db/") {
                let archive = Archive {
                    path: directory.join(&path),
                };
                let manifest = archive.manifest();
                assert_eq!(
                    manifest["archive"]["sha256"],
                    sha256(&archive.bytes()),
                    "{path}"
                );
                let plain = sandbox.run(&["cat", &path]).exits(0).stdout;
                assert_eq!(manifest["dump"]["bytes"], plain.len());
                assert_eq!(sha256(&plain), hash);
            }
        }
    }
}
