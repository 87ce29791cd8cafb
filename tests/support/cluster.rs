//! Real S3 clusters for tests: garage and Ceph, each started by its script of `tests/parts` and gone with this process,
//! however it ends. They have one bucket, `backups`, a key that may do everything with it and one that may only read.

use backupkit::secret::Secret;
use backupkit::storage::s3::S3Settings;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

/// A running cluster of one node.
pub struct Cluster {
    /// `host:port` of its S3 service.
    pub address: String,
    /// Where the bucket is.
    pub region: &'static str,
    /// The access key and the secret key that may do everything.
    pub writer: (String, String),
    /// Those that may list and read and nothing else.
    pub reader: (String, String),
    /// The script ends with its standard input.
    _script: (Child, ChildStdin),
}

impl Cluster {
    /// One node of garage.
    pub fn garage() -> Cluster {
        let mut command = script("throwaway-garage");
        command.arg(part("garage/bin/garage")).arg("1");
        Cluster::start("garage", "garage", command)
    }

    /// A monitor, a manager, an OSD and a radosgw of Ceph.
    pub fn ceph() -> Cluster {
        Cluster::start("ceph", "us-east-1", script("throwaway-ceph"))
    }

    fn start(name: &'static str, region: &'static str, mut command: Command) -> Cluster {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the script runs");
        let hold = child.stdin.take().expect("stdin is a pipe");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("stdout is a pipe"))
            .read_line(&mut line)
            .expect("read where the server is");
        let words: Vec<&str> = line.split_whitespace().collect();
        let [directory, access_key, secret_key, port] = words[..] else {
            panic!("{name} does not start; the reason is on stderr");
        };
        let reader = std::fs::read_to_string(Path::new(directory).join("reader")).expect("a key");
        let (reader_access, reader_secret) = reader.trim().split_once(' ').expect("two words");
        Cluster {
            address: format!("127.0.0.1:{port}"),
            region,
            writer: (access_key.into(), secret_key.into()),
            reader: (reader_access.into(), reader_secret.into()),
            _script: (child, hold),
        }
    }

    /// Settings that reach it, for a prefix of the test's own.
    pub fn settings(&self, prefix: &str) -> S3Settings {
        S3Settings {
            prefix: prefix.into(),
            endpoint: Some(format!("http://{}", self.address)),
            access_key: Some(Secret::new(&self.writer.0)),
            secret_key: Some(Secret::new(&self.writer.1)),
            ..S3Settings::new("s3main", "backups", self.region)
        }
    }
}

fn script(name: &str) -> Command {
    Command::new(parts().join(name))
}

fn parts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parts")
}

fn part(name: &str) -> PathBuf {
    let output = Command::new(parts().join("where"))
        .output()
        .expect("tests/parts/where runs");
    let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim_end()).join(name);
    assert!(
        path.is_file(),
        "{} is not there: run make test-parts",
        path.display()
    );
    path
}
