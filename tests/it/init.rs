//! What `init` promises: a configuration that works at once, and nothing lost that was there before.

use crate::support::disk::Disk;
use crate::support::postgres::{Database, SUPERUSER, postgres};
use crate::support::program::{self, Output};
use crate::support::repository;
use crate::support::s3s::{ACCESS_KEY, BUCKET, SECRET_KEY, Server};
use crate::support::sandbox::Sandbox;
use crate::support::terminal::on_a_terminal;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

/// The answers of somebody without a terminal: the socket, where the superuser needs no password.
fn options(database: &Database<'_>, more: &[&str]) -> Vec<String> {
    let socket = database.server.directory.display().to_string();
    let port = database.server.port.to_string();
    let words = [
        "init",
        "--non-interactive",
        "--host",
        &socket,
        "--port",
        &port,
    ];
    let words = [
        &words,
        &[
            "--user",
            SUPERUSER,
            "--database",
            &database.name,
            "--to",
            "storage",
        ][..],
        more,
    ]
    .concat();
    words.into_iter().map(str::to_string).collect()
}

#[track_caller]
fn init(sandbox: &Sandbox, database: &Database<'_>, more: &[&str]) -> Output {
    let words = options(database, more);
    sandbox.run(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

fn mode(path: &Path) -> u32 {
    let metadata = fs::metadata(path).expect("it is there");
    metadata.permissions().mode() & 0o777
}

#[test]
fn a_newcomer_on_a_terminal_gets_from_init_by_test_to_a_backup() {
    let (sandbox, server) = (Sandbox::new(18), postgres(18));
    let database = server.create_database("newcomer");
    database.sql("CREATE TABLE t AS SELECT generate_series(1, 1000) AS n");
    let (port, password) = (server.port.to_string(), server.password.as_str());
    let storage = sandbox.path("storage").display().to_string();
    let shown = on_a_terminal(
        &sandbox,
        &["init"],
        &[
            ("Server", "127.0.0.1"),
            ("Port", "many"),
            ("Port", &port),
            ("User", SUPERUSER),
            ("Password", "wrong"),
            ("Try other answers?", ""),
            // what was right is not typed again
            (
                "Server, by name, address or socket directory [127.0.0.1]",
                "",
            ),
            (&format!("Port [{port}]"), ""),
            (&format!("User who backs up [{SUPERUSER}]"), ""),
            ("(empty: as before)", password),
            ("Which to back up?", "nothing_of_this_name"),
            ("Which to back up?", &database.name),
            ("This user may replicate", ""),
            ("Where to?", &storage),
            ("Encrypt", "perhaps"),
            ("Encrypt", ""),
        ],
    )
    .exits(0)
    .text();
    assert!(
        shown.contains(&database.name),
        "the databases are offered: {shown}"
    );
    assert!(shown.contains("from 1 to 65535"), "{shown}");
    assert!(shown.contains("keep a copy"), "{shown}");
    // cron finds neither the program nor the variable
    let (program, config) = (env!("CARGO_BIN_EXE_backupkit"), sandbox.path("config.yaml"));
    let cron = format!(
        "cron this line: 0 2 * * * {program} backup -c {} >/dev/null",
        config.display()
    );
    for next in [
        "with: backupkit test",
        "with: backupkit backup",
        "all the time: backupkit daemon",
        &cron,
    ] {
        assert!(shown.contains(next), "{next}: {shown}");
    }
    assert!(
        !shown.contains(password),
        "a password is not shown: {shown}"
    );
    let secret = fs::read_to_string(sandbox.path("encryption_password")).expect("a password");
    assert!(secret.trim_end().len() >= 32 && !shown.contains(secret.trim_end()));
    for file in ["encryption_password", "db_password"] {
        assert_eq!(mode(&sandbox.path(file)), 0o600, "{file}");
    }

    let tested = sandbox.run(&["test"]).exits(0).text();
    assert!(!tested.contains("FAIL"), "{tested}");
    assert!(!sandbox.path("storage").exists(), "test leaves nothing");
    let line = sandbox.run(&["backup"]).exits(0).text();
    assert!(
        line.contains("\tok\t") && line.contains(".dump.zst.enc"),
        "{line}"
    );
    sandbox.run(&["cat", "latest"]).exits(0);
}

#[test]
fn answers_for_a_bucket_are_checked_when_they_are_given_and_make_a_backup() {
    let (sandbox, bucket) = (Sandbox::new(18), Server::start());
    let database = postgres(18).create_database("bucket");
    let (port, password) = (database.server.port.to_string(), &database.server.password);
    let (place, server) = (
        format!("s3://{BUCKET}/host1"),
        format!("http://{}", bucket.address),
    );
    let shown = on_a_terminal(
        &sandbox,
        &["init"],
        &[
            ("Server, by name", "127.0.0.1:5432"),
            ("Server, by name", "127.\u{1b}[D0.0.1"),
            ("Server, by name", "127.0.0.1"),
            ("Port", &port),
            ("User", SUPERUSER),
            ("Password", password),
            ("Which to back up?", &database.name),
            ("This user may replicate", ""),
            ("Where to?", "s3://"),
            ("Where to?", &bucket.address),
            ("Where to?", "/etc/passwd"),
            ("Where to?", &place),
            ("Region", ""),
            ("Its server", &bucket.address),
            ("Its server", &server),
            ("Access key, not shown", ACCESS_KEY),
            ("Secret key, not shown", "wrong"),
            ("Try other answers?", ""),
            // what was right is not typed again
            (
                &format!("Where to? A directory, or s3://BUCKET/PREFIX [{place}]"),
                "",
            ),
            ("Region", ""),
            (&format!("[{server}]"), ""),
            ("Access key, not shown (empty: as before)", ACCESS_KEY),
            ("Secret key, not shown", SECRET_KEY),
            ("Encrypt", ""),
        ],
    )
    .exits(0)
    .text();
    for told in [
        "contains a colon",
        "a control character",
        "names no bucket",
        "is an address, and no directory",
        "/etc/passwd is not a directory",
        "Cannot use that bucket",
    ] {
        assert!(shown.contains(told), "{told}: {shown}");
    }
    assert!(
        !shown.contains(SECRET_KEY) && !shown.contains(ACCESS_KEY),
        "{shown}"
    );
    assert_eq!(mode(&sandbox.path("config.yaml")), 0o600);
    let line = sandbox.run(&["backup"]).exits(0).text();
    assert!(line.contains(&format!("{place}/")), "{line}");
}

#[test]
fn without_a_terminal_options_are_enough_and_no_variable_is_needed_afterwards() {
    let (sandbox, database) = (Sandbox::new(18), postgres(18).create_database("options"));
    let asked = sandbox.run(&["init"]).exits(2);
    assert!(
        asked.stderr.contains("--non-interactive"),
        "{}",
        asked.stderr
    );
    let nameless = sandbox.run(&["init", "--non-interactive"]).exits(2);
    assert!(
        nameless.stderr.contains("--database"),
        "{}",
        nameless.stderr
    );

    let output = init(&sandbox, &database, &[]).exits(0);
    let written: Vec<String> = output.text().lines().map(str::to_string).collect();
    let expected = ["config.yaml", "encryption_password"];
    assert_eq!(
        written,
        expected.map(|name| sandbox.path(name).display().to_string())
    );
    assert!(output.stderr.contains("keep a copy"), "{}", output.stderr);
    sandbox.run(&["backup"]).exits(0);
    let elsewhere = sandbox.path("storage").display().to_string();
    let yaml = fs::read_to_string(sandbox.path("config.yaml")).expect("a configuration");
    let secret = fs::read_to_string(sandbox.path("encryption_password")).expect("a password");
    assert!(yaml.contains("# ") && !yaml.contains(secret.trim_end()));
    assert!(
        yaml.contains(&elsewhere),
        "not where whoever runs it next is: {yaml}"
    );
    assert_eq!(mode(&sandbox.path("config.yaml")) & 0o007, 0);
}

#[test]
fn what_follows_names_the_configuration_that_the_variable_does_not() {
    let (sandbox, database) = (Sandbox::new(18), postgres(18).create_database("beside"));
    let own = sandbox.path("config.yaml").display().to_string();
    let other = sandbox.path("it's other.yaml").display().to_string();
    let shown = init(&sandbox, &database, &["-c", &other]).exits(0).stderr;
    let option = format!(" -c '{}'", other.replace('\'', r"'\''"));
    for command in ["test", "backup", "daemon"] {
        let line = format!(": backupkit {command}{option}\n");
        assert!(shown.contains(&line), "{line}: {shown}");
    }
    // the one that is found without being named is not named
    fs::remove_file(sandbox.path("encryption_password")).expect("it is there");
    let shown = init(&sandbox, &database, &["-c", &own]).exits(0).stderr;
    assert!(shown.contains(": backupkit backup\n"), "{shown}");
}

#[test]
fn nothing_is_replaced_without_force_and_with_it_nothing_is_lost() {
    let (sandbox, database) = (Sandbox::new(18), postgres(18).create_database("force"));
    database.sql("CREATE TABLE t AS SELECT 1 AS one");
    init(&sandbox, &database, &[]).exits(0);
    let archive = sandbox.back_up(&database.name);
    let read = |name: &str| fs::read(sandbox.path(name)).expect("it is there");
    let (config, secret) = (read("config.yaml"), read("encryption_password"));

    for gone in ["", "config.yaml"] {
        if !gone.is_empty() {
            fs::remove_file(sandbox.path(gone)).expect("it is there");
        }
        let refused = init(&sandbox, &database, &[]).exits(15);
        assert!(refused.stderr.contains("--force"), "{}", refused.stderr);
        assert_eq!(read("encryption_password"), secret);
    }
    fs::write(sandbox.path("config.yaml"), &config).expect("write it");
    let before = sandbox.files("");
    let output = init(&sandbox, &database, &["--force"]).exits(0);
    assert!(output.stderr.contains("is now"), "{}", output.stderr);
    assert_eq!(
        read("encryption_password"),
        secret,
        "archives are sealed with it"
    );
    let after = sandbox.files("");
    let kept: Vec<&String> = after.iter().filter(|name| !before.contains(name)).collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(kept[0].starts_with("config.yaml."), "{kept:?}");
    assert_eq!(read(kept[0]), config);
    sandbox.run(&["cat", &archive.id()]).exits(0);
}

#[test]
fn a_configuration_that_says_nothing_yet_is_written_over_and_kept() {
    let (sandbox, database) = (Sandbox::new(18), postgres(18).create_database("packaged"));
    let packaged = repository().join("packaging/config.yaml");
    let config = sandbox.path("config.yaml");
    fs::copy(&packaged, &config).expect("what packages bring along");
    // the service's group, which need not be that of any process
    chown(&config, None, Some(4711)).expect("we are root");
    init(&sandbox, &database, &[]).exits(0);
    let written = fs::metadata(&config).expect("it is there");
    assert_eq!((written.gid(), mode(&config)), (4711, 0o640));
    let files = sandbox.files("");
    let kept: Vec<&String> = files
        .iter()
        .filter(|name| name.starts_with("config.yaml."))
        .collect();
    assert_eq!(kept.len(), 1, "{files:?}");
    assert_eq!(
        fs::read(sandbox.path(kept[0])).expect("the one before"),
        fs::read(&packaged).expect("it is there")
    );
    sandbox.run(&["backup"]).exits(0);

    // with anything in it that counts it is somebody's
    let sandbox = Sandbox::new(18);
    let text = fs::read_to_string(packaged).expect("it is there") + "version: 1\n";
    sandbox.configure(&text);
    init(&sandbox, &database, &[]).exits(15);
    assert_eq!(
        fs::read_to_string(sandbox.path("config.yaml")).expect("it is there"),
        text
    );
}

#[test]
fn what_was_there_stays_where_it_is_if_the_new_one_cannot_be_written() {
    let (sandbox, database) = (Sandbox::new(18), postgres(18).create_database("full"));
    let disk = Disk::new(16);
    let config = disk.path.join("c.yaml");
    fs::write(&config, "# the one there was\n").expect("write it");
    let full = fs::write(disk.path.join("filler"), vec![b'x'; 64 * 1024]);
    assert!(full.is_err(), "the disk is full");
    let named = config.display().to_string();
    let failed = init(&sandbox, &database, &["--force", "-c", &named]).exits(1);
    assert!(failed.stderr.contains("No space left"), "{}", failed.stderr);
    let text = fs::read_to_string(&config).expect("the old one");
    assert_eq!(text, "# the one there was\n");
}

#[test]
fn an_empty_password_file_is_no_password_and_is_kept_all_the_same() {
    let (sandbox, database) = (Sandbox::new(18), postgres(18).create_database("empty"));
    fs::write(sandbox.path("encryption_password"), "\n").expect("write it");
    init(&sandbox, &database, &["--force"]).exits(0);
    let secret = fs::read_to_string(sandbox.path("encryption_password")).expect("a password");
    assert!(secret.len() > 32, "{secret:?}");
    let files = sandbox.files("");
    let kept = files
        .iter()
        .filter(|name| name.starts_with("encryption_password."));
    assert_eq!(kept.count(), 1, "{files:?}");
}

#[test]
fn what_is_no_place_for_backups_is_refused_and_nothing_written() {
    let sandbox = Sandbox::new(18);
    let database = postgres(18).create_database("no_place");
    let init = |to: &str, more: &[&str]| {
        let words = options(&database, more);
        let words = words.iter().map(|word| match word.as_str() {
            "storage" => to,
            word => word,
        });
        sandbox.run(&words.collect::<Vec<_>>())
    };
    let refused = |to: &str, more: &[&str], told: &str| {
        let output = init(to, more).exits(2);
        assert!(output.stderr.contains(told), "{told}: {}", output.stderr);
        assert!(
            output.stderr.contains("s3://BUCKET/PREFIX"),
            "{}",
            output.stderr
        );
        assert!(!sandbox.path("config.yaml").exists());
    };
    for address in [
        "http://127.0.0.1:9000/bkt",
        "s3:/bkt",
        "S3://bkt/x",
        "127.0.0.1:9000",
        "me@host:/backups",
    ] {
        refused(address, &[], "is an address, and no directory");
        refused(address, &[], "--endpoint");
    }
    refused("/etc/passwd", &[], "/etc/passwd is not a directory");
    refused(
        "/etc/passwd/x",
        &[],
        "cannot create the directory /etc/passwd/x",
    );
    refused(
        "/proc/nope/x",
        &[],
        "cannot create the directory /proc/nope",
    );
    refused(
        "here",
        &["--region", "eu-central-1"],
        "--region is for a bucket",
    );
    refused(
        "here",
        &["--endpoint", "http://h:9"],
        "--endpoint is for a bucket",
    );
    // a colon may be in the name of a directory, which is not made here, and a database named twice is one
    init("./a:1/b", &["--database", &database.name]).exits(0);
    assert!(!sandbox.path("a:1").exists());
    let text = fs::read_to_string(sandbox.path("config.yaml")).expect("it was written");
    assert!(text.contains("a:1/b"), "{text}");
    assert_eq!(
        text.matches(&format!("- name: '{}'", database.name))
            .count(),
        1,
        "{text}"
    );
}

#[test]
fn what_cannot_be_written_leaves_nothing_behind() {
    let (sandbox, database) = (Sandbox::new(18), postgres(18).create_database("nowhere"));
    let bad = init(&sandbox, &database, &["--host", "a b"]).exits(2);
    assert!(bad.stderr.contains("host"), "{}", bad.stderr);
    assert_eq!(sandbox.files(""), [""; 0]);
    fs::write(sandbox.path("file"), "").expect("write it");
    init(&sandbox, &database, &["-c", "file/config.yaml"]).exits(1);
    assert_eq!(sandbox.files(""), ["file"]);
}

#[test]
fn an_ordinary_user_learns_before_any_question_where_nothing_can_be_written() {
    let sandbox = Sandbox::new(18);
    let open = |name: &str, mode: u32| {
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(sandbox.path(name), permissions).expect("it is ours");
    };
    open("", 0o755);
    open("home", 0o777);
    let as_nobody = |arguments: &[&str]| program::run(sandbox.command_as(65534, arguments), "");
    let refused = as_nobody(&["init", "-c", "etc/backupkit/config.yaml"]).exits(1);
    for part in [
        "cannot write into",
        "Permission denied",
        "backupkit init -c ",
    ] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    let words = "init --non-interactive --host h --database app -c home/etc/config.yaml";
    as_nobody(&words.split(' ').collect::<Vec<_>>()).exits(0);
    let yaml = fs::read_to_string(sandbox.path("home/etc/config.yaml")).expect("it is there");
    let own = sandbox.path("home/.local/share/backupkit");
    assert!(yaml.contains(&own.display().to_string()), "{yaml}");
    // and what is closed to them says so, with a way out
    let closed = |arguments: &[&str], what: &str| {
        let stderr = as_nobody(arguments).stderr;
        let told = stderr.contains("Permission denied") && stderr.contains("hint: ");
        assert!(told && stderr.contains(what), "{arguments:?}: {stderr}");
    };
    sandbox.configure(&yaml.replace(&own.display().to_string(), "/closed/backups"));
    let config = sandbox.path("config.yaml");
    closed(&["list"], "cannot read the configuration");
    chown(&config, Some(65534), None).expect("we are root");
    closed(&["backup"], "cannot create the directory");
    let password = sandbox.path("home/etc/encryption_password");
    chown(&password, Some(0), None).expect("we are root");
    closed(&["backup"], "password_file: cannot read the file");
}

#[test]
fn where_a_directory_hands_its_files_to_a_group_that_group_reads_what_init_writes() {
    let (sandbox, database) = (Sandbox::new(18), postgres(18).create_database("grouped"));
    let words = options(&database, &["-c", "etc/config.yaml"]).join(" ");
    for (bits, expected) in [
        (0o2750, 0o640),
        (0o750, 0o600),
        (0o2755, 0o600),
        (0o2770, 0o600),
    ] {
        let etc = sandbox.path("etc");
        fs::create_dir(&etc).expect("make a directory");
        fs::set_permissions(&etc, fs::Permissions::from_mode(bits)).expect("it is ours");
        sandbox
            .shell(&format!("umask 077; backupkit {words}"))
            .exits(0);
        assert_eq!(mode(&etc.join("encryption_password")), expected, "{bits:o}");
        assert_eq!(mode(&etc.join("config.yaml")), 0o640, "{bits:o}");
        fs::remove_dir_all(&etc).expect("it is ours");
    }
}

#[test]
fn a_signal_during_a_question_gives_the_terminal_back_and_writes_nothing() {
    let sandbox = Sandbox::new(18);
    // the byte that a terminal turns into SIGINT
    let interrupted = on_a_terminal(
        &sandbox,
        &["init", "--host", "h", "--port", "1", "--user", "u"],
        &[("Password", "\u{3}")],
    );
    let output = interrupted.exits(130);
    assert!(
        output.text().contains("stopped by SIGINT"),
        "{}",
        output.text()
    );
    assert_eq!(sandbox.files(""), [""; 0]);
}

#[test]
fn a_whole_server_alone_is_enough() {
    let (sandbox, server) = (Sandbox::new(18), postgres(18));
    let (port, storage) = (server.port.to_string(), sandbox.path("storage"));
    let password = sandbox.path("password");
    fs::write(&password, &server.password).expect("write a password");
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).expect("close it");
    let [storage, password] = [&storage, &password].map(|path| path.to_str().expect("UTF-8"));
    let options = [
        "init",
        "--non-interactive",
        "--cluster",
        "main",
        "--to",
        storage,
    ];
    let login = ["--host", "127.0.0.1", "--port", &port, "--user", SUPERUSER];
    let arguments = [&options[..], &login, &["--db-password-file", password]].concat();
    sandbox.run(&arguments).exits(0);
    let checked = sandbox.run(&["test"]).text();
    assert!(checked.contains("replication is allowed"), "{checked}");
    sandbox.run(&["backup"]).exits(0);
    let listed = sandbox.run(&["list"]).exits(0).text();
    assert!(listed.contains("full zst+enc"), "{listed}");
    sandbox
        .run(&["verify", "--latest", "--level", "full"])
        .exits(0);
    sandbox.run(&["prune"]).exits(0);
    sandbox.run(&["status"]).exits(0);
    let next = sandbox.run(&["daemon", "--dry-run"]).text();
    assert!(next.contains("incremental"), "{next}");
}
