//! The first minutes of a clone, on machines that are not like ours: stand-ins for their programs say what they are like.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// What the scripts of `tests/parts` find on any machine.
const USUAL: [&str; 14] = [
    "awk", "bash", "cat", "cut", "dirname", "env", "grep", "head", "mktemp", "rm", "sed", "sh",
    "sort", "tr",
];

/// A machine whose programs are the usual ones and these scripts.
struct Machine(TempDir);

impl Machine {
    fn with(programs: &[(&str, &str)]) -> Machine {
        let machine = Machine(tempfile::tempdir().expect("a directory"));
        for name in USUAL {
            let real = Path::new("/usr/bin").join(name);
            symlink(real, machine.0.path().join(name)).expect("link a program");
        }
        for (name, script) in programs {
            let path = machine.0.path().join(name);
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("write a script");
            fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("it is ours");
        }
        machine
    }

    /// Runs a script of `tests/parts` there, with an empty home.
    fn run(&self, script: &str, arguments: &[&str]) -> Output {
        let parts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parts");
        let mut command = Command::new(parts.join(script));
        command.args(arguments).env_clear();
        command.env("HOME", self.0.path());
        command.env("PATH", self.0.path());
        command.output().expect("it starts")
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What asks whether the tests may do what they have to, and is let.
const ALLOWING: [(&str, &str); 3] = [
    ("unshare", "exit 0"),
    ("setpriv", "exit 0"),
    ("strace", "exit 0"),
];

#[test]
fn a_machine_that_allows_too_little_is_told_so_in_the_first_line() {
    for (program, what) in [
        ("unshare", "to mount in a namespace"),
        ("strace", "to trace processes"),
    ] {
        let mut programs = ALLOWING;
        programs
            .iter_mut()
            .filter(|found| found.0 == program)
            .for_each(|found| found.1 = "exit 1");
        let output = Machine::with(&programs).run("machine", &[]);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        let first = text.lines().next().unwrap_or_default();
        assert!(first.contains(what), "{first}");
        assert!(text.contains("--privileged"), "{text}");
    }
    // and one that allows all of it says nothing
    let output = Machine::with(&ALLOWING).run("machine", &[]);
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
}

#[test]
fn a_library_that_a_newer_debian_calls_otherwise_is_not_missing() {
    let newer = "echo 'installed libssl3t64, libssl3 (= 3.5.4-1), libcrypto3-udeb'; echo 'config-files libidn12, '";
    let refuses = "echo apt-get was asked >&2; exit 1";
    let machine = Machine::with(&[
        ("dpkg-query", newer),
        ("apt-get", refuses),
        ("sudo", refuses),
    ]);
    let there = machine.run("debian", &["libssl3", "libssl3t64"]);
    assert!(there.status.success(), "{}", said(&there));
    let output = machine.run("debian", &["libssl3", "libidn12"]);
    let text = said(&output);
    assert!(
        text.contains("installing Debian packages: libidn12\n"),
        "{text}"
    );
}

#[test]
fn rustup_is_told_to_leave_the_profiles_of_shells_alone() {
    // what is downloaded tells what it was told
    let installer = "echo 'echo told \"$@\" >&2' >\"$last_file\"";
    let curl = format!(
        "while [ $# -gt 0 ]; do [ \"$1\" != -o ] || last_file=$2; shift; done\n{installer}"
    );
    let machine = Machine::with(&[("curl", &curl), ("rustc", "exit 1")]);
    let text = said(&machine.run("rust", &[]));
    let told = text.lines().find(|line| line.starts_with("told "));
    let told = told.unwrap_or_else(|| panic!("nothing was installed: {text}"));
    assert!(told.contains(" --no-modify-path "), "{told}");
}
