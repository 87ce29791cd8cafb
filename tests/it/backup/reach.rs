//! How a backup reaches the server: credentials, tools, and what it says where they do not do.

use super::manifest::{tables_in, tables_of};
use super::{SEALED, small};
use crate::support::clients;
use crate::support::entry::Entry;
use crate::support::postgres::bin;
use crate::support::sandbox::Sandbox;
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_missing_permission_is_explained() {
    let (sandbox, database) = (Sandbox::new(18), small(18));
    let role = database.server.create_role("reader");
    sandbox.configure_with("", &[Entry::of(&database).login(&database, &role, &role)]);
    let failed = sandbox.run(&["backup"]).exits(1);
    assert!(
        failed.stderr.contains("permission denied for table")
            && failed
                .stderr
                .contains(&format!("GRANT pg_read_all_data TO \"{role}\" (")),
        "{}",
        failed.stderr
    );
}

#[test]
fn rows_that_a_policy_hides_fail_the_backup_and_are_explained() {
    let (sandbox, database) = (Sandbox::new(18), small(18));
    let role = database.server.create_role("reader");
    database.sql(&format!(
        "GRANT pg_read_all_data TO {role}; ALTER TABLE word ENABLE ROW LEVEL SECURITY"
    ));
    sandbox.configure_with("", &[Entry::of(&database).login(&database, &role, &role)]);
    let failed = sandbox.run(&["backup"]).exits(1);
    assert!(
        failed.stderr.contains("row-level security") && failed.stderr.contains("BYPASSRLS"),
        "{}",
        failed.stderr
    );
    database.sql(&format!("ALTER ROLE {role} BYPASSRLS"));
    sandbox.back_up(&database.name);
}

#[test]
fn wrong_credentials_are_explained_by_the_key_that_holds_them() {
    let (sandbox, database) = (Sandbox::new(18), small(18));
    sandbox.configure_with(
        "",
        &[Entry::of(&database).login(&database, "postgres", "not it")],
    );
    let failed = sandbox.run(&["backup"]).exits(1);
    assert!(
        failed.stderr.contains("password authentication failed")
            && failed.stderr.contains("connection.password"),
        "{}",
        failed.stderr
    );
}

#[test]
fn a_socket_directory_a_url_and_a_passfile_lead_to_the_server() {
    let database = small(18);
    let (port, directory) = (database.server.port, database.server.directory.display());
    let (name, password) = (&database.name, &database.server.password);
    for connection in [
        format!("host: '{directory}', port: {port}, database: {name}, user: postgres"),
        format!("host: 127.0.0.1, port: {port}, database: {name}, user: postgres"),
        "url: '${DATABASE_URL}'".to_string(),
    ] {
        let url =
            format!("postgresql://postgres:{password}@127.0.0.1:{port}/{name}?connect_timeout=9");
        let sandbox = Sandbox::new(18).with("DATABASE_URL", &url);
        let passfile = sandbox.path("home/.pgpass");
        fs::write(
            &passfile,
            format!("127.0.0.1:{port}:*:postgres:{password}\n"),
        )
        .expect("write");
        fs::set_permissions(&passfile, fs::Permissions::from_mode(0o600)).expect("it is ours");
        if connection.starts_with("url") {
            fs::remove_file(&passfile).expect("it was there");
        }
        sandbox.configure_with("", &[Entry::of(&database).connection(&connection)]);
        let archive = sandbox.back_up(name);
        assert_eq!(
            tables_in(&archive.manifest()["tables"]),
            tables_of(&database),
            "{connection}"
        );
    }
}

#[test]
fn a_pg_dump_that_is_too_old_is_explained() {
    let (sandbox, database) = (Sandbox::new(18), small(18));
    let bin_dir = format!("bin_dir: '{}'", bin(15).display());
    sandbox.configure_with(&bin_dir, &[Entry::of(&database)]);
    let failed = sandbox.run(&["backup"]).exits(1);
    assert!(
        failed.stderr.contains("server version mismatch")
            && failed.stderr.contains("postgresql-client-18"),
        "{}",
        failed.stderr
    );

    // and where there is no psql to ask the server with, pg_dump's own words are
    let bin_dir = format!(
        "bin_dir: '{}'",
        clients(&sandbox, 15, &["pg_dump"]).display()
    );
    sandbox.configure_with(&bin_dir, &[Entry::of(&database)]);
    let failed = sandbox.run(&["backup"]).exits(1);
    assert!(
        failed.stderr.contains("server version mismatch")
            && failed.stderr.contains("as new as the server"),
        "{}",
        failed.stderr
    );
}

#[test]
fn a_missing_pg_dump_is_said_and_how_to_get_it() {
    let (sandbox, database) = (Sandbox::new(18), small(18));
    let empty = clients(&sandbox, 18, &[]);
    sandbox.configure_with(
        &format!("bin_dir: '{}'", empty.display()),
        &[Entry::of(&database)],
    );
    let failed = sandbox.run(&["backup"]).exits(1);
    assert!(
        failed
            .stderr
            .contains(&format!("pg_dump not found in bin_dir {}", empty.display()))
            && failed.stderr.contains("postgresql-client"),
        "{}",
        failed.stderr
    );
}

#[test]
fn a_missing_psql_is_noted_and_does_without() {
    let (sandbox, database) = (Sandbox::new(18), small(18));
    let some = clients(&sandbox, 18, &["pg_dump"]);
    sandbox.configure_with(
        &format!("bin_dir: '{}'", some.display()),
        &[Entry::of(&database)],
    );
    let output = sandbox.run(&["backup"]).exits(0);
    assert!(
        output.stderr.contains("psql is not installed"),
        "{}",
        output.stderr
    );
}

#[test]
fn an_unset_variable_is_named_with_the_field_that_needs_it() {
    let (sandbox, database) = (Sandbox::new(18), small(18));
    let other = Entry::of(&database).named("other");
    let entry = Entry::of(&database)
        .shape(SEALED)
        .encryption("enabled: true, password: '${NOT_SET_HERE}'");
    sandbox.configure_with("", &[entry, other]);
    let failed = sandbox.run(&["backup", "--db", &database.name]).exits(2);
    assert!(
        failed.stderr.contains("NOT_SET_HERE") && failed.stderr.contains("encryption.password"),
        "{}",
        failed.stderr
    );
    // who does not need it is not bothered
    sandbox.back_up("other");
}
