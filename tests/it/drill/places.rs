//! Where a drill can be held, and what it says where it cannot.

use super::{DRILL, backed_up, drill, nothing_is_left, place, unprivileged};
use crate::support::disk::Disk;
use crate::support::entry::Entry;
use crate::support::postgres::{bin, postgres};
use crate::support::program;
use crate::support::{clients, sandbox::Sandbox};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

fn sandbox(top: &str) -> Sandbox {
    let database = postgres(18).create_database("placed");
    database.sql("CREATE TABLE t AS SELECT 1 AS one");
    let sandbox = place(18);
    sandbox.configure_with(top, &[Entry::of(&database)]);
    sandbox.back_up(&database.name);
    sandbox
}

#[test]
fn where_only_clients_are_installed_the_package_is_named() {
    let database = postgres(16).create_database("clients");
    let sandbox = place(16);
    let directory = clients(&sandbox, 16, &["pg_dump", "pg_restore", "psql"]);
    let top = format!("{DRILL}\nbin_dir: '{}'", directory.display());
    sandbox.configure_with(&top, &[Entry::of(&database)]);
    sandbox.back_up(&database.name);
    let output = drill(&sandbox).exits(1);
    assert!(
        output.stderr.contains("PostgreSQL 16 server"),
        "{}",
        output.stderr
    );
    assert!(
        output.stderr.contains("apt-get install postgresql-16"),
        "{}",
        output.stderr
    );
}

#[test]
fn another_major_version_is_told_and_not_taken() {
    let database = postgres(14).create_database("old");
    // clients of a newer version, and its server
    let sandbox = place(17);
    let top = format!("{DRILL}\nbin_dir: '{}'", bin(17).display());
    sandbox.configure_with(&top, &[Entry::of(&database)]);
    sandbox.back_up(&database.name);
    let output = drill(&sandbox).exits(1);
    assert!(
        output.stderr.contains("PostgreSQL 14 server"),
        "{}",
        output.stderr
    );
    assert!(output.stderr.contains("only of 17"), "{}", output.stderr);
}

#[test]
fn space_is_looked_for_before_anything_is_made() {
    let disk = Disk::new(50 << 10);
    let sandbox = sandbox(&format!(
        "drill: {{ user: nobody, directory: '{}' }}",
        disk.path.display()
    ));
    let output = drill(&sandbox).exits(1);
    assert!(output.stderr.contains("MiB free"), "{}", output.stderr);
    assert!(
        output.stderr.contains("drill.directory"),
        "{}",
        output.stderr
    );
    assert_eq!(fs::read_dir(&disk.path).unwrap().count(), 0);
}

#[test]
fn a_directory_that_the_server_cannot_reach_or_name_is_told() {
    if rustix::process::geteuid().is_root() {
        let sandbox = sandbox("drill: { user: nobody, directory: closed }");
        let closed = Permissions::from_mode(0o700);
        fs::create_dir(sandbox.path("closed")).unwrap();
        fs::set_permissions(sandbox.path("closed"), closed).unwrap();
        let output = drill(&sandbox).exits(1);
        assert!(
            output.stderr.contains("drill.directory"),
            "{}",
            output.stderr
        );
        assert_eq!(fs::read_dir(sandbox.path("closed")).unwrap().count(), 0);
    }
    let deep = "x".repeat(60);
    let sandbox = sandbox(&format!("drill: {{ user: nobody, directory: {deep} }}"));
    fs::create_dir(sandbox.path(&deep)).unwrap();
    let output = drill(&sandbox).exits(1);
    assert!(output.stderr.contains("shorter path"), "{}", output.stderr);
    assert_eq!(fs::read_dir(sandbox.path(&deep)).unwrap().count(), 0);
}

#[test]
fn a_user_that_is_not_there_is_told_where_one_is_needed() {
    let sandbox = sandbox("drill: { user: there-is-no-such-user }");
    let output = drill(&sandbox);
    match rustix::process::geteuid().is_root() {
        true => {
            let output = output.exits(1);
            assert!(output.stderr.contains("drill.user"), "{}", output.stderr);
        }
        // somebody else runs the server as themselves
        false => drop(output.exits(0)),
    }
    nothing_is_left(&sandbox);
}

#[test]
fn a_drill_needs_no_root() {
    let database = postgres(18).create_database("unprivileged");
    database.sql("CREATE TABLE t AS SELECT n FROM generate_series(1, 100) AS n");
    let sandbox = backed_up(&database);
    program::run(unprivileged(&sandbox), "").exits(0);
    nothing_is_left(&sandbox);
}
