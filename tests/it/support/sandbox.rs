//! A place of its own for the program: a home, a temporary directory, a storage, a configuration, and an environment
//! that holds nothing else.

use super::entry::Entry;
use super::postgres::{Database, bin};
use super::program::{self, Output, Running};
use backupkit::format::encoding::Codec;
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The password that archives are sealed with here.
pub const ENCRYPTION_PASSWORD: &str = "correct horse";

/// How archives are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    pub codec: Codec,
    pub encrypted: bool,
}

/// Each shape that an archive can have.
pub const SHAPES: [Shape; 6] = [
    Shape::new(false, false),
    Shape::new(true, false),
    Shape::new(false, true),
    Shape::new(true, true),
    Shape::zstd(false),
    Shape::zstd(true),
];

impl Shape {
    /// By gzip or not, encrypted or not.
    pub const fn new(compressed: bool, encrypted: bool) -> Shape {
        let codec = match compressed {
            true => Codec::Gzip,
            false => Codec::None,
        };
        Shape { codec, encrypted }
    }

    /// By zstd, encrypted or not.
    pub const fn zstd(encrypted: bool) -> Shape {
        let codec = Codec::Zstd;
        Shape { codec, encrypted }
    }

    /// What stands under `compression`; gzip as people have always written it.
    pub fn compression(self) -> &'static str {
        match self.codec {
            Codec::None => "false",
            Codec::Gzip => "true",
            Codec::Zstd => "zstd",
        }
    }

    /// What the name of such an archive ends in.
    pub fn suffix(self) -> &'static str {
        match (self.codec, self.encrypted) {
            (Codec::None, false) => ".dump",
            (Codec::Gzip, false) => ".dump.gz",
            (Codec::Zstd, false) => ".dump.zst",
            (Codec::None, true) => ".dump.enc",
            (Codec::Gzip, true) => ".dump.gz.enc",
            (Codec::Zstd, true) => ".dump.zst.enc",
        }
    }
}

/// Removed, with everything in it, when it is dropped.
pub struct Sandbox {
    directory: TempDir,
    environment: BTreeMap<String, String>,
}

impl Sandbox {
    /// An empty one, with the client programs of this major version first in its `PATH`.
    pub fn new(client: u32) -> Sandbox {
        let directory = tempfile::Builder::new()
            .prefix("backupkit-test.")
            .tempdir()
            .expect("make a temporary directory");
        let path = |name: &str| {
            let path = directory.path().join(name);
            path.to_str().expect("a path in UTF-8").to_string()
        };
        let programs = format!("{}:/usr/bin:/bin", bin(client).display());
        let environment = [
            ("PATH", programs),
            ("HOME", path("home")),
            ("TMPDIR", path("tmp")),
            ("BACKUPKIT_RUNTIME_DIR", path("run")),
            ("BACKUPKIT_CONFIG", path("config.yaml")),
            ("BACKUPKIT_ENC_PASSWORD", ENCRYPTION_PASSWORD.to_string()),
            ("LC_ALL", "C.UTF-8".to_string()),
        ]
        .map(|(name, value)| (name.to_string(), value));
        for name in ["home", "tmp", "run"] {
            fs::create_dir(path(name)).expect("make a directory");
        }
        Sandbox {
            directory,
            environment: environment.into(),
        }
    }

    /// The same sandbox with this environment variable set.
    pub fn with(mut self, name: &str, value: &str) -> Sandbox {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes the configuration.
    pub fn configure(&self, yaml: &str) {
        let path = self.path("config.yaml");
        fs::write(&path, yaml).expect("write the configuration");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("it is ours");
    }

    /// A configuration with these databases, each under its own name, kept in the directory `storage`.
    pub fn configure_for(&self, databases: &[&Database<'_>], shape: Shape) {
        let named: Vec<_> = databases
            .iter()
            .map(|database| (&*database.name, *database))
            .collect();
        self.configure_as(&named, shape);
    }

    /// The same with names for the databases that need not be their own.
    pub fn configure_as(&self, databases: &[(&str, &Database<'_>)], shape: Shape) {
        let entries: Vec<Entry> = databases
            .iter()
            .map(|(name, database)| Entry::of(database).named(name).shape(shape))
            .collect();
        self.configure_with("", &entries);
    }

    /// A configuration of these entries, kept in the directory `storage`; `top` holds further top-level lines.
    pub fn configure_with(&self, top: &str, entries: &[Entry]) {
        self.configure_in(&self.path("storage"), top, entries);
    }

    /// The same, kept in that directory.
    pub fn configure_in(&self, storage: &Path, top: &str, entries: &[Entry]) {
        let mut yaml = format!(
            "version: 1\n{top}\nstorage:\n  - {{ name: local, type: local, local: {{ path: '{}' }} }}\ndatabases:\n",
            storage.display()
        );
        yaml.extend(entries.iter().map(Entry::to_yaml));
        self.configure(&yaml);
    }

    /// The program with these arguments, ready to start.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_backupkit"));
        command.args(arguments);
        self.inside(command)
    }

    /// The same as another user, by a link to the program that everybody reaches: the clone may lie in a closed home.
    pub fn command_as(&self, user: u32, arguments: &[&str]) -> Command {
        let (program, link) = (env!("CARGO_BIN_EXE_backupkit"), self.path("program"));
        if !link.exists() && fs::hard_link(program, &link).is_err() {
            fs::copy(program, &link).expect("copy the program");
        }
        let mut command = Command::new(link);
        command.args(arguments).uid(user).gid(user);
        self.inside(command)
    }

    /// `command` with the environment and the directory that the program has.
    pub fn inside(&self, mut command: Command) -> Command {
        command
            .env_clear()
            .envs(&self.environment)
            .current_dir(self.directory.path());
        command
    }

    /// Starts the program.
    pub fn start(&self, arguments: &[&str]) -> Running {
        program::start(self.command(arguments), "")
    }

    /// Runs the program to its end.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.start(arguments).wait()
    }

    /// The files below the directory `name`, as sorted paths relative to it, but for what hosts
    /// leave for each other.
    pub fn files(&self, name: &str) -> Vec<String> {
        fn walk(directory: &Path, root: &Path, found: &mut Vec<String>) {
            for entry in fs::read_dir(directory).expect("read a directory") {
                let path = entry.expect("read a directory").path();
                if path.is_dir() {
                    walk(&path, root, found);
                } else {
                    let relative = path.strip_prefix(root).expect("below the root");
                    let relative = relative.display().to_string();
                    if !is_of_hosts(&relative) {
                        found.push(relative);
                    }
                }
            }
        }
        let mut found = Vec::new();
        let root = self.path(name);
        if root.exists() {
            walk(&root, &root, &mut found);
        }
        found.sort();
        found
    }
}

/// True for the path or key of what hosts leave for each other: a lease stays in the directory of each database.
pub fn is_of_hosts(path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.starts_with("lease.") || file.starts_with("deleting.")
}
