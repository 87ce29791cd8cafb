//! A real S3 server for tests: s3s-fs, strict about signatures, clocks and part sizes. A bucket is a directory.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

pub const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
pub const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
pub const BUCKET: &str = "backups";

/// A running server with one bucket; gone with its files when dropped.
pub struct Server {
    child: Child,
    directory: TempDir,
    pub address: String,
}

impl Server {
    pub fn start() -> Server {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join(BUCKET)).unwrap();
        // it ends with us even where nothing is dropped any more
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(program())
            .args(["--host", "127.0.0.1", "--port", "0"])
            .args(["--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY])
            .arg(directory.path())
            .env("RUST_LOG", "s3s_fs=info")
            .env("NO_COLOR", "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert_ne!(output.read_line(&mut line).unwrap(), 0, "s3s-fs ended");
            if let Some((_, address)) = line.split_once("server is running at http://") {
                break address.trim().to_string();
            }
        };
        // a full pipe would stop the server
        std::thread::spawn(move || std::io::copy(&mut output.take(u64::MAX), &mut std::io::sink()));
        Server {
            child,
            directory,
            address,
        }
    }

    /// The file that holds an object.
    pub fn file(&self, key: &str) -> PathBuf {
        self.directory.path().join(BUCKET).join(key)
    }

    /// What unfinished uploads left, their parts and their records.
    pub fn unfinished(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.contains("upload"))
            .collect();
        names.sort();
        names
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> PathBuf {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parts/where");
    let parts = Command::new(place)
        .output()
        .expect("tests/parts/where runs");
    let parts = PathBuf::from(String::from_utf8_lossy(&parts.stdout).trim_end());
    let program = parts.join("s3s-fs/bin/s3s-fs");
    assert!(
        program.is_file(),
        "{} is not there: run make test-parts",
        program.display()
    );
    program
}
