//! A directory for backups that is not there: new, or on a disk that is not mounted.

use crate::support::entry::Entry;
use crate::support::postgres::{Database, postgres};
use crate::support::program::{self, Output};
use crate::support::sandbox::{Sandbox, Shape};
use std::fs;
use std::process::Command;

const GZIP: Shape = Shape::new(true, false);

/// The database `app`, kept in the directory `disk/backups` of the sandbox.
fn house() -> (Sandbox, Database<'static>) {
    let database = postgres(18).create_database("absent");
    database.sql("CREATE TABLE t AS SELECT 42 AS answer");
    let sandbox = Sandbox::new(18);
    let entry = Entry::of(&database).named("app").shape(GZIP);
    let storage = sandbox.path("disk/backups");
    sandbox.configure_in(&storage, "", &[entry.retention("keep_last: 1")]);
    (sandbox, database)
}

const COMMANDS: [(&[&str], i32); 5] = [
    (&["list"], 0),
    (&["prune"], 0),
    (&["restore", "--from", "app/latest", "--clean"], 10),
    (&["cat", "app/latest"], 10),
    (&["pin", "app/latest"], 10),
];

#[test]
fn only_a_backup_creates_the_directory_and_every_command_says_that_it_is_missing() {
    let (sandbox, _database) = house();
    let missing = format!("{} does not exist", sandbox.path("disk/backups").display());
    for (arguments, status) in COMMANDS {
        let output = sandbox.run(arguments).exits(status);
        let (stderr, asked) = (output.stderr, "is its disk mounted?");
        assert!(stderr.contains(&missing), "{arguments:?}: {stderr}");
        assert!(stderr.contains(asked), "{arguments:?}: {stderr}");
        assert!(!sandbox.path("disk").exists(), "{arguments:?}");
    }
    let first = sandbox.run(&["backup", "--verbose"]).exits(0);
    let created = format!(
        "{} does not exist and is created",
        sandbox.path("disk").display()
    );
    assert!(first.stderr.contains(&created), "{}", first.stderr);
    let second = sandbox.run(&["backup", "--verbose"]).exits(0);
    assert!(!second.stderr.contains("created"), "{}", second.stderr);
}

#[test]
fn a_disk_that_is_not_mounted_is_neither_read_nor_written() {
    let (sandbox, _database) = house();
    let point = sandbox.path("disk");
    fs::create_dir_all(point.join("backups")).expect("make a directory");
    let fstab = sandbox.path("fstab");
    fs::write(
        &fstab,
        format!("none {} tmpfs defaults 0 0\n", point.display()),
    )
    .expect("write");
    // a machine with this fstab, on which `mount` is run before the program
    let run = |mount: &str, arguments: &[&str]| -> Output {
        let program = sandbox.command(arguments);
        let mut machine = Command::new("unshare");
        machine
            .args(["--user", "--map-root-user", "--mount", "sh", "-ec"])
            .arg(format!(
                "mount --bind '{}' /etc/fstab; {mount} exec \"$@\"",
                fstab.display()
            ))
            .arg("sh")
            .arg(program.get_program())
            .args(arguments);
        program::run(sandbox.inside(machine), "")
    };
    let said = format!(
        "{} is not mounted, though /etc/fstab names it",
        point.display()
    );
    let commands = COMMANDS.map(|(arguments, _)| arguments);
    for arguments in commands.into_iter().chain([&["backup"][..], &["status"]]) {
        let stderr = run("", arguments).exits(1).stderr;
        assert!(stderr.contains(&said), "{arguments:?}: {stderr}");
        assert!(stderr.contains("hint: mount "), "{arguments:?}: {stderr}");
    }
    let tested = run("", &["test"]).exits(1).text();
    assert!(
        tested.contains(&said) && tested.contains("fix: mount "),
        "{tested}"
    );
    assert_eq!(sandbox.files("disk"), [""; 0]);
    let mount = format!("mount -t tmpfs none '{}';", point.display());
    run(&mount, &["backup"]).exits(0);
    assert_eq!(sandbox.files("disk"), [""; 0], "it went to the disk");
}
