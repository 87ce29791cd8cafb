//! PostgreSQL's own regression database, from the files of a source tree and the pg_regress of the tests' parts.

use crate::support::part;
use crate::support::postgres::{SUPERUSER, Server, bin};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

/// Its name.
pub const DATABASE: &str = "regression";

/// A server on which the tests in `directory/MAJOR`, or in `directory` where that is not there, have left their database
/// behind. How they end is none of our business: what there is then is backed up.
pub fn make(major: u32, directory: &str) -> Server {
    let of_major = Path::new(directory).join(major.to_string());
    let tree = match of_major.is_dir() {
        true => of_major,
        false => directory.into(),
    };
    let inputs = tree.join("src/test/regress");
    assert!(
        inputs.join("parallel_schedule").is_file(),
        "no tests of PostgreSQL in {}",
        inputs.display()
    );
    let server = Server::start(major, &["max_prepared_transactions=10"]);
    // the server reads the files of the tests and is another user
    let place = tempfile::tempdir().expect("make a directory");
    fs::set_permissions(place.path(), Permissions::from_mode(0o777)).expect("it is ours");
    let copy = place.path().join("regress");
    let copied = Command::new("cp")
        .arg("-r")
        .arg(&inputs)
        .arg(&copy)
        .output();
    ended_well(copied.expect("cp runs"));
    ended_well(compile(major, &copy));
    let program = part(&format!("postgres/{major}")).join("lib/pgxs/src/test/regress/pg_regress");
    let mut tests = Command::new(program);
    tests
        .current_dir(&copy)
        .env("PGPASSWORD", &server.password)
        .arg("--schedule=parallel_schedule")
        .arg("--inputdir=.")
        .arg("--dlpath=.")
        .arg(format!("--outputdir={}", copy.display()))
        .arg(format!("--bindir={}", bin(major).display()))
        .arg(format!("--host={}", server.directory.display()))
        .arg(format!("--port={}", server.port))
        .arg(format!("--user={SUPERUSER}"))
        .arg(format!("--dbname={DATABASE}"));
    let tested = tests.output().expect("pg_regress runs");
    let said = String::from_utf8_lossy(&tested.stdout).into_owned();
    let last: Vec<&str> = said
        .lines()
        .filter(|line| line.contains(" tests "))
        .collect();
    println!("  its tests: {}", last.join(" "));
    server
}

/// The library that the tests load, for the headers of this version.
fn compile(major: u32, copy: &Path) -> Output {
    let headers = Command::new(bin(major).join("pg_config"))
        .arg("--includedir-server")
        .output()
        .expect("pg_config runs");
    let headers = String::from_utf8_lossy(&headers.stdout)
        .trim_end()
        .to_string();
    Command::new("cc")
        .args([
            "-shared",
            "-fPIC",
            "-O1",
            "-w",
            "-o",
            "regress.so",
            "regress.c",
        ])
        .arg(format!("-I{headers}"))
        .current_dir(copy)
        .output()
        .expect("a C compiler runs")
}

fn ended_well(output: Output) {
    assert!(output.status.success(), "{output:?}");
}
