//! What the tests stand on: PostgreSQL servers, a sandbox to run the program in, and programs that cannot hang.

pub mod archive;
pub mod cloud;
#[allow(dead_code, reason = "the tests of the storage use the rest")]
#[path = "../../support/cluster.rs"]
pub mod cluster;
pub mod cluster_scene;
pub mod disk;
pub mod entry;
pub mod fast;
#[path = "../../support/liar.rs"]
pub mod liar;
pub mod mail;
#[path = "../../support/numbers.rs"]
pub mod numbers;
pub mod objects;
pub mod old_archive;
pub mod opened;
pub mod pgbouncer;
pub mod postgres;
pub mod processes;
pub mod program;
#[path = "../../support/proxy.rs"]
#[allow(dead_code, reason = "the tests of the storage use the rest")]
pub mod proxy;
pub mod receiver;
#[path = "../../support/s3s.rs"]
pub mod s3s;
pub mod sandbox;
pub mod scene;
pub mod started;
pub mod strace;
pub mod terminal;
pub mod wait;

use sandbox::Sandbox;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The directory of the installed part `name`, such as `postgres/18`. A test that needs it fails without it.
pub fn part(name: &str) -> PathBuf {
    static PARTS: OnceLock<PathBuf> = OnceLock::new();
    let parts = PARTS.get_or_init(|| {
        let output = Command::new(repository().join("tests/parts/where"))
            .output()
            .expect("tests/parts/where runs");
        assert!(output.status.success(), "tests/parts/where: {output:?}");
        PathBuf::from(String::from_utf8_lossy(&output.stdout).trim_end())
    });
    let path = parts.join(name);
    assert!(
        path.is_dir(),
        "{} is not there: run make test-parts",
        path.display()
    );
    path
}

/// A directory with these client programs of a major version and no others, for `bin_dir`.
pub fn clients(sandbox: &Sandbox, major: u32, programs: &[&str]) -> PathBuf {
    let directory = sandbox.path("clients");
    std::fs::create_dir_all(&directory).expect("make a directory");
    for program in programs {
        symlink(postgres::bin(major).join(program), directory.join(program))
            .expect("link a program");
    }
    directory
}

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
