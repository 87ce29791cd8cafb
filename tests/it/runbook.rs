//! The blocks of backupkit-runbook(7) are commands that work: they are run as they stand, in their order, in one shell.

use crate::support::entry::Entry;
use crate::support::postgres::{SUPERUSER, Server, free_port, pg_ctl};
use crate::support::program;
use crate::support::repository;
use crate::support::sandbox::{Sandbox, Shape};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileExt, PermissionsExt};

/// The sections about whole clusters.
const OF_CLUSTERS: [&str; 2] = ["THE SERVER OR ITS DISK IS LOST", "A DAMAGED PAGE"];

/// The literal blocks of those sections of the page whose heading `is_wanted`, as a reader sees them.
fn blocks(is_wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let page = repository().join("man/backupkit-runbook.7");
    let page = fs::read_to_string(page).expect("the page is there");
    let sections = page.split("\n.Sh ").skip(1);
    let sections = sections.filter(|section| is_wanted(section.lines().next().unwrap_or_default()));
    let blocks = sections.flat_map(|section| section.split("\n.Bd -literal").skip(1));
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

    let blocks = blocks(|heading| !OF_CLUSTERS.contains(&heading));
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
fn a_lost_server_and_a_damaged_page_are_got_over_as_it_says() {
    let server = Server::start(18, &[]);
    let sandbox = Sandbox::new(18)
        .with("PGHOST", "127.0.0.1")
        .with("PGPORT", &server.port.to_string())
        .with("PGUSER", SUPERUSER)
        .with("PGDATABASE", "postgres")
        .with("PGPASSWORD", &server.password);
    let app = server.create_database_named("app");
    app.sql("CREATE TABLE orders AS SELECT n AS id FROM generate_series(1, 5000) AS n");
    let way = fs::Permissions::from_mode(0o711);
    fs::set_permissions(sandbox.path(""), way).expect("it is ours");
    let storage = sandbox.path("storage");
    sandbox.configure(&format!(
        "version: 1\nstorage:\n  - {{ name: local, type: local, local: {{ path: '{}' }} }}\nclusters:\n  - {{ name: main, connection: {{ {} }}, backup: {{ storage: local, encryption: {{ enabled: false }} }} }}\n",
        storage.display(),
        app.connection(SUPERUSER, &server.password)
    ));
    // it is told its port as it is started, and who takes its place is not
    let own = server.directory.join("data/postgresql.conf");
    let mut own = fs::OpenOptions::new()
        .append(true)
        .open(own)
        .expect("its configuration");
    writeln!(own, "port = {}", server.port).expect("write it");
    sandbox.run(&["backup"]).exits(0);
    let node = app.sql("CHECKPOINT; SELECT pg_relation_filenode('orders')");
    let base = app.sql("SELECT oid FROM pg_database WHERE datname = 'app'");
    let port = free_port();
    let run = |section: &str| {
        let script = blocks(|heading| heading == section).join("\n");
        assert!(script.contains("backupkit restore"), "{script}");
        let script = script
            .replace("/srv/", &format!("{}/", sandbox.path("").display()))
            .replace("--owner postgres", "--owner nobody")
            .replace("24587", &node)
            .replace("16384", &base)
            .replace("5433", &port);
        sandbox.shell(&format!("set -eu\n{script}"))
    };

    // the disk has lost half a page, with what says when it was written, so that the server itself does not look at it
    let data = server.directory.join("data");
    let path = data.join(format!("base/{base}/{node}"));
    let file = fs::OpenOptions::new().write(true).open(path);
    let file = file.expect("the table's file");
    file.write_at(&[7; 4096], 8192).expect("damage a page");
    let failed = sandbox.run(&["backup"]).exits(1);
    let named = format!("base/{base}/{node}");
    assert!(failed.stderr.contains(&named), "{}", failed.stderr);
    let output = run(OF_CLUSTERS[1]);
    let stop = |name: &str| {
        let mut command = pg_ctl(18);
        command.current_dir("/").args(["stop", "-s", "-w", "-D"]);
        command.arg(sandbox.path(name));
        program::run(command, "")
    };
    stop("good").exits(0);
    let text = output.exits(0).text();
    let said: Vec<&str> = text.lines().take(2).collect();
    assert_eq!(said, ["app", "orders"], "{text}");
    let rows = fs::read_to_string(sandbox.path("orders.txt")).expect("the rows");
    assert_eq!(rows.lines().count(), 5000);

    // and then the server goes: another one takes its place, and is backed up in its stead
    let mut command = pg_ctl(18);
    command
        .current_dir("/")
        .args(["stop", "-s", "-w", "-D"])
        .arg(&data);
    program::run(command, "").exits(0);
    let output = run(OF_CLUSTERS[0]);
    stop("new").exits(0);
    let output = output.exits(0);
    let last = output.text().lines().last().unwrap_or_default().to_string();
    assert!(
        last.starts_with("main\tok") || last.starts_with("main\tsuccess"),
        "{last}"
    );
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
