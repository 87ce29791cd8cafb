//! Archives on the local storage of a sandbox, and readers of them that are not ours.

use super::program::{self, Output};
use super::sandbox::Sandbox;
use super::{part, repository};
use backupkit::format::seal::{Derivations, Keys, seal_bytes};
use backupkit::secret::Secret;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One backup, at the path that `backup` printed.
#[derive(Debug, Clone)]
pub struct Archive {
    pub path: PathBuf,
}

impl Archive {
    /// `app_db/20261120_020000.123456789Z`.
    pub fn id(&self) -> String {
        let key = self.key();
        let (id, _) = key.split_once(".dump").expect("an archive's name");
        id.to_string()
    }

    /// `app_db/20261120_020000.123456789Z.dump.gz`.
    pub fn key(&self) -> String {
        let components: Vec<_> = self.path.iter().rev().take(2).collect();
        format!("{}/{}", components[1].display(), components[0].display())
    }

    /// The stored bytes.
    pub fn bytes(&self) -> Vec<u8> {
        fs::read(&self.path).expect("read an archive")
    }

    /// The path of the `.sha256`.
    pub fn checksum_path(&self) -> PathBuf {
        PathBuf::from(format!("{}.sha256", self.path.display()))
    }

    /// The path of the manifest.
    pub fn manifest_path(&self) -> PathBuf {
        let path = self.path.to_str().expect("a path in UTF-8");
        let (stem, _) = path.split_once(".dump").expect("an archive's name");
        PathBuf::from(format!("{stem}.json"))
    }

    /// The records of checks that lie beside it, the oldest first.
    pub fn record_paths(&self) -> Vec<PathBuf> {
        let manifest = self.manifest_path();
        let stem = manifest.file_stem().and_then(|stem| stem.to_str());
        let directory = manifest.parent().expect("it lies in a directory");
        let mut paths: Vec<PathBuf> = fs::read_dir(directory)
            .expect("list the storage")
            .map(|file| file.expect("list the storage").path())
            .filter(|path| {
                let name = path.file_name().and_then(|name| name.to_str());
                let of_this = name
                    .zip(stem)
                    .is_some_and(|(name, stem)| name.starts_with(stem));
                of_this && name.is_some_and(|name| name.ends_with(".verified.json"))
            })
            .collect();
        paths.sort();
        paths
    }

    /// The manifest.
    pub fn manifest(&self) -> Value {
        let bytes = fs::read(self.manifest_path()).expect("read a manifest");
        serde_json::from_slice(&bytes).expect("a manifest is JSON")
    }
}

impl Sandbox {
    /// Backs up the database of this name.
    #[track_caller]
    pub fn back_up(&self, database: &str) -> Archive {
        let output = self.run(&["backup", "--db", database]).exits(0);
        let line = output.text();
        let path = line.split('\t').nth(3).expect("the destination");
        Archive { path: path.into() }
    }

    /// Puts `bytes` where the storage keeps an archive of this key, with nothing beside it.
    pub fn store(&self, key: &str, bytes: &[u8]) -> Archive {
        let path = self.path("storage").join(key);
        fs::create_dir_all(path.parent().expect("a key has a directory"))
            .expect("make a directory");
        fs::write(&path, bytes).expect("write an archive");
        Archive { path }
    }

    /// Runs a script of bash in the sandbox, where `backupkit` is the program; a pipeline fails with any part of it.
    #[track_caller]
    pub fn shell(&self, script: &str) -> Output {
        let program = Path::new(env!("CARGO_BIN_EXE_backupkit"));
        let directory = program.parent().expect("a program lies in a directory");
        let script = format!(
            "set -o pipefail; PATH={}:$PATH; {script}",
            directory.display()
        );
        let mut bash = Command::new("/bin/bash");
        bash.args(["-c", &script]);
        program::run(self.inside(bash), "")
    }
}

/// The SHA-256 of `bytes` as 64 hex digits.
pub fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `plain` as one gzip member.
pub fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// `plain` as one frame of zstd, as `zstd` makes it of a pipe: without its length.
pub fn zstd(plain: &[u8]) -> Vec<u8> {
    let mut zstd = Command::new("zstd");
    zstd.args(["-q", "-c"]);
    program::run(zstd, plain).exits(0).stdout
}

/// `plain` sealed under `password` with this label.
pub fn seal(plain: &[u8], password: &str, label: &str) -> Vec<u8> {
    let keys = Keys::new(vec![Secret::new(password)], Derivations::new()).expect("keys");
    seal_bytes(plain, &keys, label).expect("memory takes it")
}

/// Runs a Python script, for what has to be told by another implementation than ours.
#[track_caller]
pub fn python(script: &Path, arguments: &[&str], input: impl Into<Vec<u8>>) -> Output {
    let mut command = Command::new(part("python").join("bin/python3"));
    command.arg("-I").arg(script).args(arguments);
    program::run(command, input)
}

/// What `tests/decoder/decode.py` makes of an archive.
#[track_caller]
pub fn decode(archive: &Path, password: &str) -> Output {
    let path = archive.to_str().expect("a path in UTF-8");
    python(
        &repository().join("tests/decoder/decode.py"),
        &[path],
        format!("{password}\n"),
    )
}
