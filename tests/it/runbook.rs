//! The blocks of backupkit-runbook(7) are commands that work: they are run as they stand, in their order, in one shell.

use crate::support::entry::Entry;
use crate::support::postgres::Server;
use crate::support::repository;
use crate::support::sandbox::{Sandbox, Shape};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// The literal blocks of the page, as a reader sees them.
fn blocks() -> Vec<String> {
    let page = repository().join("man/backupkit-runbook.7");
    let page = fs::read_to_string(page).expect("the page is there");
    let blocks = page.split("\n.Bd -literal").skip(1);
    blocks
        .map(|block| {
            let (_, rest) = block.split_once('\n').expect("a line");
            let (block, _) = rest.split_once("\n.Ed").expect("the end of a block");
            block
                .replace("\\e", "\\")
                .replace("\\-", "-")
                .replace("\\&", "")
        })
        .collect()
}

#[test]
fn the_runbook_does_what_it_says() {
    let server = Server::start(18, &[]);
    let sandbox = Sandbox::new(18)
        .with("PGHOST", server.directory.to_str().expect("UTF-8"))
        .with("PGPORT", &server.port.to_string())
        .with("PGUSER", "postgres")
        .with("BACKUPKIT_CONFIG", "etc/config.yaml");
    server
        .maintenance()
        .sql("CREATE ROLE appuser SUPERUSER LOGIN PASSWORD 'the first one'");
    let database = server.create_database_named("app");
    database.load("shop.sql", &["scale=0.005"]);
    let before = database.fingerprint();

    // the places that the page names, in the sandbox
    for place in ["etc", "backups"] {
        fs::create_dir_all(sandbox.path(place)).expect("make a directory");
    }
    // what a reader makes of the configuration on the first day
    let connection = format!(
        "host: 127.0.0.1, port: {}, database: app, user: appuser, password_file: db_password",
        server.port
    );
    let entry = Entry::new("app_db", connection)
        .shape(Shape::new(true, true))
        .encryption(
            "enabled: true, password_file: encryption_password, \
             previous_passwords: ['${BACKUPKIT_OLD_ENC_PASSWORD}']",
        )
        .backup("globals: true")
        .backup("schedule: '0 2 * * *'")
        .retention("keep_last: 30");
    sandbox.configure_in(
        &sandbox.path("backups"),
        "drill: { user: nobody }",
        &[entry],
    );
    let edited = sandbox.path("edited.yaml");
    fs::rename(sandbox.path("config.yaml"), &edited).expect("it is ours");
    // a drill's server is another user's where we are root
    for place in ["", "tmp"] {
        let way = fs::Permissions::from_mode(0o711);
        fs::set_permissions(sandbox.path(place), way).expect("it is ours");
    }

    let blocks = blocks();
    assert!(blocks.len() > 12, "these are not all: {blocks:#?}");
    let mut script = "set -eu\nunset BACKUPKIT_ENC_PASSWORD\n".to_string();
    for (number, block) in blocks.iter().enumerate() {
        if block.contains("backupkit diff") {
            script += "backupkit backup --db app_db # the night has passed\n";
        }
        script += &format!("echo '== block {number}' >&2\n{block}\n");
        if block.contains("backupkit init") {
            script += &format!(
                "test -s etc/encryption_password\ncp {} etc/config.yaml\necho 'the first one' >etc/db_password\n",
                edited.display()
            );
        }
    }
    let etc = sandbox.path("etc").display().to_string();
    let backups = sandbox.path("backups").display().to_string();
    let script = script
        .replace("/etc/backupkit", &etc)
        .replace("/var/backups/backupkit", &backups);
    let output = sandbox.shell(&script).exits(0);
    assert_eq!(database.fingerprint(), before);
    let opened = output.text().matches(" opens\n").count();
    assert!(opened > 4, "{}", output.text());
}

#[test]
fn every_command_that_the_runbook_names_exists() {
    let page = repository().join("man/backupkit-runbook.7");
    let page = fs::read_to_string(page).expect("the page is there");
    let sandbox = Sandbox::new(18);
    let lines = page.lines().map(|line| line.trim_start_matches(".Dl "));
    let commands = lines.filter_map(|line| line.strip_prefix("backupkit "));
    for command in commands {
        let name = command.split_whitespace().next().expect("a command");
        let help = sandbox.run(&[name, "--help"]).exits(0).text();
        let known: Vec<&str> = help.split([' ', ',', '\n', '[', ']']).collect();
        let options = command.split_whitespace();
        for option in options.filter(|word| word.starts_with("--")) {
            assert!(known.contains(&option), "backupkit {command}: {option}");
        }
    }
}
