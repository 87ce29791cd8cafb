//! What the configuration names outside of itself: variables, paths and files, and what is said where they are not what
//! is meant.

use crate::support::entry::Entry;
use crate::support::postgres::{Database, postgres};
use crate::support::program::{self, Output};
use crate::support::sandbox::{Sandbox, Shape};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn small(name: &str) -> Database<'static> {
    let database = postgres(18).create_database(name);
    database.sql("CREATE TABLE t AS SELECT 1 AS one");
    database
}

/// Runs the program in this directory of the sandbox.
fn run_in(sandbox: &Sandbox, directory: &str, arguments: &[&str]) -> Output {
    let mut command = sandbox.command(arguments);
    command.current_dir(sandbox.path(directory));
    program::start(command, "").wait()
}

#[test]
fn an_earlier_password_that_is_not_known_is_named_and_every_run_tells_what_it_leaves_closed() {
    let database = small("rotated");
    let sandbox = Sandbox::new(18);
    let configure = |keys: &str| {
        let entry = Entry::of(&database).named("app");
        let entry = entry.shape(Shape::new(true, true));
        sandbox.configure_with("", &[entry.encryption(keys)]);
    };
    configure("enabled: true, password: first");
    sandbox.run(&["backup"]).exits(0);
    let list = sandbox.run(&["list"]).exits(0).text();
    let old = list
        .split_whitespace()
        .find(|word| word.starts_with("app/"));
    let old = old.expect("the first backup").to_string();

    configure("enabled: true, password: second, previous_passwords: ['${OLDER}']");
    let unset = "previous_passwords[0] needs the variable OLDER, which is not set";
    for command in [&["list"][..], &["status"], &["prune", "--dry-run"]] {
        let told = sandbox.run(command).exits(0).stderr;
        assert_eq!(told.matches(unset).count(), 1, "{told}");
    }
    // the second run finds the newest one opened, and the older one still closed
    for _ in 0..2 {
        let told = sandbox.run(&["backup"]).exits(0).stderr;
        assert!(
            told.contains("no configured password opens")
                && told.contains(&old.replace("app/", "")),
            "{told}"
        );
        assert!(told.contains("give it its value"), "{told}");
    }
    for reader in ["cat", "verify"] {
        let told = sandbox.run(&[reader, &old]).exits(12).stderr;
        assert!(
            told.contains("wrong password") && told.matches(unset).count() == 2,
            "{told}"
        );
        assert!(told.contains("hint: give it its value"), "{told}");
    }
    let tried = sandbox.run(&["test"]).exits(0).text();
    let warnings: Vec<&str> = tried
        .lines()
        .filter(|line| line.starts_with("warn"))
        .collect();
    assert!(warnings.iter().any(|line| line.contains(unset)), "{tried}");
    assert!(
        warnings
            .iter()
            .any(|line| line.contains("no configured password opens")),
        "{tried}"
    );

    // whoever has no password at all only looks on
    configure("enabled: true, password: '${NONE}', previous_passwords: ['${OLDER}']");
    assert_eq!(sandbox.run(&["list"]).exits(0).stderr, "");

    let sandbox = sandbox.with("OLDER", "first");
    let entry = Entry::of(&database)
        .named("app")
        .shape(Shape::new(true, true));
    let keys = "enabled: true, password: second, previous_passwords: ['${OLDER}']";
    sandbox.configure_with("", &[entry.encryption(keys)]);
    assert_eq!(sandbox.run(&["backup"]).exits(0).stderr, "");
    sandbox.run(&["verify", &old]).exits(0);
}

#[test]
fn a_relative_path_is_the_same_from_every_directory() {
    let database = small("relative");
    let sandbox = Sandbox::new(18);
    for directory in ["elsewhere", "etc"] {
        fs::create_dir(sandbox.path(directory)).expect("make a directory");
    }
    let server = database.server;
    fs::write(sandbox.path("etc/login"), &server.password).expect("write the password");
    fs::set_permissions(sandbox.path("etc/login"), Permissions::from_mode(0o600)).expect("ours");
    let connection = format!(
        "host: 127.0.0.1, port: {}, database: {}, user: postgres, password_file: login",
        server.port, database.name
    );
    let entry = Entry::new("app", connection);
    let name = "etc/config.yaml";
    sandbox.configure_in(Path::new("backups"), "", &[entry]);
    fs::rename(sandbox.path("config.yaml"), sandbox.path(name)).expect("move the file");

    run_in(
        &sandbox,
        "elsewhere",
        &["backup", "-c", "../etc/config.yaml"],
    )
    .exits(0);
    run_in(&sandbox, "etc", &["backup", "-c", "config.yaml"]).exits(0);
    assert_eq!(
        sandbox
            .files("etc/backups")
            .iter()
            .filter(|file| file.ends_with(".dump"))
            .count(),
        2
    );
    assert!(sandbox.files("elsewhere").is_empty());

    // where only the directory of old has anything, that is not passed over
    fs::rename(
        sandbox.path("etc/backups"),
        sandbox.path("elsewhere/backups"),
    )
    .expect("move");
    let told = run_in(&sandbox, "elsewhere", &["list", "-c", "../etc/config.yaml"])
        .exits(2)
        .stderr;
    let whole = |path: &str| {
        let directory = sandbox.path("").canonicalize().expect("it is there");
        directory.join(path).display().to_string()
    };
    assert!(
        told.contains(&format!(
            "there is no {}; there is {}",
            whole("etc/backups"),
            whole("elsewhere/backups")
        )),
        "{told}"
    );
    fs::create_dir(sandbox.path("etc/backups")).expect("make a directory");
    let told = run_in(&sandbox, "elsewhere", &["list", "-c", "../etc/config.yaml"])
        .exits(0)
        .stderr;
    assert!(
        told.contains("is used, and") && told.contains(&whole("elsewhere/backups")),
        "{told}"
    );
}

#[test]
fn files_of_libpq_that_all_users_may_read_are_told_with_the_command_that_closes_them() {
    let database = small("open");
    let server = database.server;
    let role = server.create_role("opener");
    database.sql(&format!("GRANT pg_read_all_data TO {role}"));
    let sandbox = Sandbox::new(18);
    let mode = |path: &Path, mode: u32| {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours")
    };
    mode(&sandbox.path(""), 0o755);
    let passfile = sandbox.path("passfile");
    fs::write(&passfile, format!("*:*:*:*:{role}\n")).expect("write a file");
    let url = format!(
        "url: 'postgresql://{role}@127.0.0.1:{}/{}?passfile=passfile'",
        server.port, database.name
    );
    sandbox.configure_with("", &[Entry::new("app", url)]);
    mode(&passfile, 0o644);
    let shown = passfile
        .canonicalize()
        .expect("it is there")
        .display()
        .to_string();
    let told = sandbox.run(&["list"]).exits(0).stderr;
    assert_eq!(
        told.matches(&format!("chmod o= {shown}")).count(),
        1,
        "{told}"
    );
    let told = sandbox.run(&["backup"]).exits(1).stderr;
    assert!(told.contains("no password supplied"), "{told}");
    assert!(
        told.contains(&format!(
            "hint: no password file is read that others may read: chmod 600 \"{shown}\""
        )),
        "{told}"
    );
    mode(&passfile, 0o600);
    assert_eq!(sandbox.run(&["backup"]).exits(0).stderr, "");
}

#[test]
fn a_configuration_may_begin_with_a_byte_order_mark_and_a_missing_space_is_told() {
    let sandbox = Sandbox::new(18);
    let connection = |keys: &str| {
        let yaml = format!(
            "version: 1\nstorage: [{{ name: s, type: local, local: {{ path: storage }} }}]\ndatabases:\n  - name: app\n    \
             type: postgres\n    connection:\n      host: h\n      port: 1\n      database: d\n      user: u\n      {keys}\n    \
             backup: {{ storage: s }}\n"
        );
        sandbox.configure(&format!("\u{feff}{yaml}"));
        sandbox.run(&["list"])
    };
    connection("password: y").exits(0);
    let told = connection("password:y").exits(2).stderr;
    assert!(told.contains("a colon and a space, KEY: VALUE"), "{told}");
    // where something is wrong is found behind the mark as well
    let told = connection("passwort: y").exits(2).stderr;
    assert!(told.contains("did you mean password"), "{told}");
}

#[test]
fn what_is_to_be_free_is_said_as_a_size_or_a_part_and_judged_by_the_backups_to_come_else() {
    let database = small("room");
    let sandbox = Sandbox::new(18);
    let configure = |min_free: &str| {
        let entry = Entry::of(&database).named("app").to_yaml();
        sandbox.configure(&format!(
            "version: 1\nstorage: [{{ name: local, type: local, local: {{ path: storage{min_free} }} }}]\ndatabases:\n{entry}"
        ));
    };
    let state = || -> String {
        let status = sandbox.run(&["status", "--json"]).exits(0);
        let status: serde_json::Value = serde_json::from_slice(&status.stdout).expect("JSON");
        assert!(
            status["storages"][0]["room_for"].as_u64() > Some(7),
            "{status}"
        );
        status["storages"][0]["state"]
            .as_str()
            .expect("a state")
            .to_string()
    };
    configure("");
    sandbox.run(&["backup"]).exits(0);
    // whatever part of this machine's disk is free, thousands of these fit
    assert_eq!(state(), "ok");
    for (min_free, expected) in [
        ("1KiB", "ok"),
        ("0%", "ok"),
        ("100%", "warning"),
        ("900TiB", "critical"),
    ] {
        configure(&format!(", min_free: {min_free}"));
        let found = state();
        assert!(
            found == expected || (expected == "warning" && found == "critical"),
            "{min_free}: {found}"
        );
        let tried = sandbox.run(&["test"]).exits(0).text();
        let warned = tried
            .lines()
            .any(|line| line.starts_with("warn  storage local"));
        assert_eq!(warned, expected != "ok", "{tried}");
        assert_eq!(tried.contains("by local.min_free"), warned, "{tried}");
    }
    for wrong in ["101%", "-1", "many"] {
        configure(&format!(", min_free: '{wrong}'"));
        let told = sandbox.run(&["list"]).exits(2).stderr;
        assert!(
            told.contains("storage[0].local.min_free") && told.contains("write 20GiB or 10%"),
            "{told}"
        );
    }
}

#[test]
fn an_earlier_password_that_several_databases_lack_is_warned_of_once() {
    let database = postgres(18).create_database("older");
    let sandbox = Sandbox::new(18);
    let keys = "enabled: true, password: second, previous_passwords: ['${OLDER}']";
    let entries = ["a", "b", "c"].map(|name| {
        let entry = Entry::of(&database).named(name);
        entry.shape(Shape::new(true, true)).encryption(keys)
    });
    sandbox.configure_with("", &entries);
    let told = sandbox.run(&["list"]).exits(0).stderr;
    assert_eq!(
        told.matches("needs the variable OLDER").count(),
        1,
        "{told}"
    );
}
