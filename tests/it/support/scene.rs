//! The scene of a backup that is going to fail: a storage with a good backup on it, which is to outlive what happens.

use super::entry::Entry;
use super::postgres::{Database, postgres};
use super::processes::{self, Frozen, Process, process};
use super::program::{Output, Running};
use super::sandbox::{Sandbox, Shape, is_of_hosts};
use super::wait;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

const GZIP: Shape = Shape::new(true, false);
/// The name of the database in the configuration, whichever it is.
pub const NAME: &str = "app";
/// So much of an archive that pg_dump is in the middle of the rows.
pub const MIDDLE: u64 = 1 << 20;

/// Stored files by their names.
pub type Files = BTreeMap<String, Vec<u8>>;

/// A storage with a good backup on it.
pub struct Scene {
    pub sandbox: Sandbox,
    pub storage: PathBuf,
    /// What the good backup is of.
    pub small: Database<'static>,
    /// What is stored and whole.
    pub before: Files,
}

impl Scene {
    /// One in a sandbox of its own.
    pub fn new() -> Scene {
        let sandbox = Sandbox::new(18);
        let storage = sandbox.path("storage");
        Scene::on(sandbox, storage)
    }

    /// One with this storage.
    pub fn on(sandbox: Sandbox, storage: PathBuf) -> Scene {
        let small = postgres(18).create_database("small");
        small.sql("CREATE TABLE t AS SELECT 1 AS one");
        let mut scene = Scene {
            sandbox,
            storage,
            small,
            before: Files::new(),
        };
        scene.configure(&scene.small, GZIP);
        scene.sandbox.run(&["backup"]).exits(0);
        scene.before = scene.files();
        assert_eq!(scene.before.len(), 3, "{:?}", scene.before.keys());
        scene
    }

    /// From now on the backups are of this database.
    pub fn configure(&self, database: &Database<'_>, shape: Shape) {
        self.connect(
            database.connection("postgres", &database.server.password),
            shape,
        );
    }

    /// The same with a connection.
    pub fn connect(&self, connection: String, shape: Shape) {
        let entry = Entry::new(NAME, connection).shape(shape);
        self.sandbox.configure_in(&self.storage, "", &[entry]);
    }

    /// What is stored, but for the lock, the lease and what is written down about a failure.
    pub fn files(&self) -> Files {
        let mut files = Files::new();
        let Ok(entries) = fs::read_dir(self.storage.join(NAME)) else {
            return files;
        };
        for entry in entries {
            let path = entry.expect("read a directory").path();
            let name = path.file_name().expect("a file").to_str().expect("UTF-8");
            // a write in progress may be over by now
            if !matches!(name, ".lock" | "last-failure.json")
                && !is_of_hosts(name)
                && let Ok(bytes) = fs::read(&path)
            {
                files.insert(name.to_string(), bytes);
            }
        }
        files
    }

    /// Starts a backup and returns, with pg_dump, once it is in the middle. Both stand still until told to go on.
    #[track_caller]
    pub fn in_the_middle(&self) -> (Running, Frozen, Frozen) {
        let run = self.sandbox.start(&["backup", "--verbose"]);
        self.wait_for_archive(MIDDLE);
        let backupkit = process(run.pid()).freeze();
        let pg_dump = self.child("pg_dump").freeze();
        (run, backupkit, pg_dump)
    }

    /// Waits until this much of an archive has been written.
    #[track_caller]
    pub fn wait_for_archive(&self, bytes: u64) {
        wait::until("an archive is being written", || {
            let entries = fs::read_dir(self.storage.join(NAME)).ok()?;
            let mut lengths = entries.filter_map(|entry| {
                let entry = entry.ok()?;
                let unfinished = entry.file_name().to_str()?.ends_with(".tmp");
                unfinished.then(|| entry.metadata().ok()).flatten()
            });
            lengths
                .any(|metadata| metadata.len() >= bytes)
                .then_some(())
        });
    }

    /// The program's child of this name.
    #[track_caller]
    pub fn child(&self, name: &str) -> Process {
        let mut children = processes::of(&self.sandbox.path(""));
        children.retain(|child| child.name == name);
        assert_eq!(children.len(), 1, "{children:?}");
        children.remove(0)
    }

    /// Nothing of the failed run is left, and nothing of the runs before it was touched.
    #[track_caller]
    pub fn is_as_before(&self) {
        assert_eq!(
            self.files().keys().collect::<Vec<_>>(),
            self.before.keys().collect::<Vec<_>>()
        );
        assert_eq!(self.files(), self.before);
        let left = processes::of(&self.sandbox.path(""));
        assert!(left.is_empty(), "still running: {left:?}");
        for directory in ["tmp", "run", "home"] {
            let mut left = self.sandbox.files(directory);
            // that it failed is written down here where it cannot be beside the backups
            left.retain(|name| directory != "run" || !name.starts_with("failed-"));
            assert_eq!(left, [""; 0], "left in {directory}");
        }
    }

    /// The next run works, and after it there is nothing but whole backups.
    #[track_caller]
    pub fn next_run_works(&mut self) -> Output {
        self.configure(&self.small, GZIP);
        let output = self.sandbox.run(&["backup"]).exits(0);
        let files = self.files();
        for (name, bytes) in &self.before {
            assert_eq!(files.get(name), Some(bytes), "{name} is not what it was");
        }
        assert_eq!(files.len(), self.before.len() + 3, "{:?}", files.keys());
        self.are_whole(&files);
        assert_eq!(self.sandbox.files("run"), [""; 0], "of a failure before");
        self.sandbox
            .run(&["cat", &format!("{NAME}/latest")])
            .exits(0);
        self.before = files;
        output
    }

    /// Every archive can be read to its end, and each has its sidecars.
    #[track_caller]
    pub fn are_whole(&self, files: &Files) {
        let of_backups = files
            .keys()
            .filter(|name| !name.ends_with(".verified.json"));
        for name in of_backups {
            let backup = name
                .split_once(".dump")
                .map_or(name.strip_suffix(".json"), |(stamp, _)| Some(stamp));
            let stamp = backup.unwrap_or_else(|| panic!("{name} is not of a backup"));
            let archive = format!("{stamp}.dump.gz");
            for sidecar in [
                format!("{archive}.sha256"),
                format!("{stamp}.json"),
                archive,
            ] {
                assert!(
                    files.contains_key(&sidecar),
                    "{sidecar} is missing: {:?}",
                    files.keys()
                );
            }
        }
    }
}
