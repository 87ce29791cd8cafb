//! What `backup` promises: its lines and statuses, what lies on the storage afterwards, and who else accepts it.

use crate::support::archive::{decode, python};
use crate::support::entry::Entry;
use crate::support::postgres::{Database, bin, postgres};
use crate::support::program;
use crate::support::sandbox::{ENCRYPTION_PASSWORD, SHAPES, Sandbox, Shape};
use crate::support::{clients, repository};
use base64ct::{Base64, Encoding};
use rustix::fs::{FlockOperation, flock};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const PLAIN: Shape = Shape::new(false, false);
const SEALED: Shape = Shape::new(true, true);

/// A database of two tables, one of them empty.
fn small(major: u32) -> Database<'static> {
    let database = postgres(major).create_database("small");
    database.sql(
        "CREATE TABLE word (id int, word text); CREATE TABLE nothing (id int);
         INSERT INTO word SELECT n, 'word ' || n FROM generate_series(1, 1000) AS n",
    );
    database
}

fn json_lines(text: &str) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).expect("each line is JSON");
    text.lines().map(parse).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_line_says_name_state_bytes_place_and_duration() {
    let (sandbox, database) = (Sandbox::new(18), small(18));
    sandbox.configure_for(&[&database], SEALED);
    let output = sandbox.run(&["backup"]).exits(0);
    let text = output.text();
    let fields: Vec<&str> = text.trim_end().split('\t').collect();
    let [name, state, bytes, place, took] = fields[..] else {
        panic!("{text:?}");
    };
    assert_eq!((name, state), (database.name.as_str(), "ok"));
    assert!(place.starts_with('/'), "{place}");
    let stored = fs::metadata(place).expect("it is there").len();
    assert_eq!(bytes, stored.to_string());
    assert!(took.starts_with(|first: char| first.is_ascii_digit()));
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn json_lines_tell_each_database_and_end_with_a_summary() {
    let (sandbox, database) = (Sandbox::new(18), small(18));
    let missing = Entry::of(&database).named("missing").connection(&format!(
        "host: '{}', port: {}, database: no_such_database, user: postgres",
        database.server.directory.display(),
        database.server.port
    ));
    sandbox.configure_with("", &[missing, Entry::of(&database).shape(SEALED)]);
    let lines = json_lines(&sandbox.run(&["backup", "--json"]).exits(3).text());
    let [failed, ok, summary] = &lines[..] else {
        panic!("{lines:#?}");
    };

    assert_eq!(failed["type"], "backup");
    assert_eq!(
        (&failed["database"], &failed["status"]),
        (&"missing".into(), &"failed".into())
    );
    let error = &failed["error"];
    assert!(
        error["message"]
            .as_str()
            .unwrap_or("")
            .contains("no_such_database"),
        "{failed}"
    );
    assert!(
        error["exit_status"].is_u64() && error["kind"].is_string(),
        "{failed}"
    );

    assert_eq!(
        (&ok["type"], &ok["status"]),
        (&"backup".into(), &"ok".into())
    );
    let place = ok["destination"].as_str().expect("a destination");
    let stored = fs::read(place).expect("it is there");
    assert_eq!(ok["bytes"], stored.len());
    assert_eq!(ok["sha256"], hex(&Sha256::digest(&stored)));
    assert!(place.ends_with(ok["key"].as_str().expect("a key")));
    for time in ["started_at", "finished_at"] {
        let time = ok[time].as_str().expect("a time");
        assert!(time.ends_with('Z') && time.contains('T'), "{time}");
    }

    assert_eq!(summary["type"], "summary");
    assert_eq!((&summary["ok"], &summary["failed"]), (&1.into(), &1.into()));
    assert_eq!(summary["bytes"], stored.len());
}

#[test]
fn one_failure_of_several_exits_3_and_stops_nothing_and_failing_all_exits_1() {
    let (sandbox, database) = (Sandbox::new(18), small(18));
    let gone = |name: &str, database: &str| {
        Entry::of(&small(18)).named(name).connection(&format!(
            "host: 127.0.0.1, port: 1, database: {database}, user: postgres, password: x"
        ))
    };
    let entries = [gone("first", "a"), Entry::of(&database), gone("last", "b")];
    sandbox.configure_with("", &entries);

    let output = sandbox.run(&["backup"]).exits(3);
    let states: Vec<Vec<String>> = output
        .text()
        .lines()
        .map(|line| line.split('\t').take(2).map(String::from).collect())
        .collect();
    assert_eq!(
        states,
        [
            ["first", "failed"],
            [&database.name, "ok"],
            ["last", "failed"]
        ]
    );
    assert_eq!(sandbox.files("storage/first"), [".lock"]);
    sandbox
        .run(&["backup", "--db", "first", "--db", "last"])
        .exits(1);
    sandbox.run(&["backup", "--db", "first"]).exits(1);
    sandbox.run(&["backup", "--db", "nobody"]).exits(10);
}

#[test]
fn a_name_given_twice_is_backed_up_once() {
    let (sandbox, database) = (Sandbox::new(18), small(18));
    sandbox.configure_for(&[&database], PLAIN);
    let name = &database.name;
    let output = sandbox
        .run(&["backup", "--db", name, "--db", name])
        .exits(0);
    assert_eq!(output.text().lines().count(), 1);
}

#[test]
fn nobody_else_can_read_what_is_stored() {
    let (sandbox, database) = (Sandbox::new(18), small(18));
    sandbox.configure_for(&[&database], PLAIN);
    let archive = sandbox.back_up(&database.name);
    let mode = |path: &Path| {
        let metadata = fs::metadata(path).expect("it is there");
        metadata.permissions().mode() & 0o7777
    };
    for file in [
        &archive.path,
        &archive.checksum_path(),
        &archive.manifest_path(),
    ] {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    assert_eq!(mode(&sandbox.path("storage")), 0o700);
    assert_eq!(mode(&sandbox.path("storage").join(&database.name)), 0o700);
    // and there is nothing else
    assert_eq!(
        sandbox.files("storage").len(),
        4,
        "{:?}",
        sandbox.files("storage")
    );
}

#[test]
fn the_usual_tools_accept_what_is_stored() {
    let (sandbox, database) = (Sandbox::new(18), small(18));
    for shape in SHAPES {
        sandbox.configure_for(&[&database], shape);
        let archive = sandbox.back_up(&database.name);
        let file = archive.path.display();
        let checked = sandbox
            .shell(&format!(
                "cd $(dirname {file}) && sha256sum -c --strict {file}.sha256"
            ))
            .exits(0);
        assert_eq!(checked.text().lines().count(), 1);
        let list = match (shape.compressed, shape.encrypted) {
            (false, false) => format!("pg_restore -l {file}"),
            (true, false) => format!("gzip -t {file} && gzip -dc {file} | pg_restore -l"),
            (_, true) => {
                let decoded = decode(&archive.path, ENCRYPTION_PASSWORD).exits(0);
                assert!(decoded.stderr.contains(&archive.id()), "{}", decoded.stderr);
                fs::write(sandbox.path("decoded"), decoded.stdout).expect("write it");
                "pg_restore -l decoded".to_string()
            }
        };
        let list = sandbox.shell(&list).exits(0).text();
        assert!(list.contains("TABLE DATA public word"), "{shape:?}: {list}");
    }
}

/// Schema, name, rows, bytes and digest of each table that holds rows of its own, told by the server and Python.
fn tables_of(database: &Database<'_>) -> BTreeMap<String, (u64, u64, String)> {
    let names = database.sql(
        "SELECT json_build_array(nspname, relname, format('%I.%I', nspname, relname))
         FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace
         WHERE relkind = 'r' AND nspname !~ '^pg_' AND nspname <> 'information_schema'",
    );
    let told = |line: &str| {
        let [schema, name, quoted]: [String; 3] = serde_json::from_str(line).expect("three names");
        // as pg_dump asks for them
        let rows = database.sql_bytes(&format!(
            "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres';
             SET extra_float_digits = 3; SET search_path = ''; COPY {quoted} TO STDOUT"
        ));
        let told = python(&repository().join("tests/data/rows.py"), &[], rows).exits(0);
        let text = told.text();
        let [rows, bytes, digest] = text.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("{text}");
        };
        let number = |text: &str| text.parse().expect("a number");
        (
            format!("{schema:?}.{name:?}"),
            (number(rows), number(bytes), digest.to_string()),
        )
    };
    names.lines().map(told).collect()
}

fn tables_in(list: &Value) -> BTreeMap<String, (u64, u64, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_string();
    let number = |value: &Value| value.as_u64().expect("a number");
    list.as_array()
        .expect("a list of tables")
        .iter()
        .map(|table| {
            (
                format!("{:?}.{:?}", text(&table["schema"]), text(&table["name"])),
                (
                    number(&table["rows"]),
                    number(&table["bytes"]),
                    text(&table["digest"]),
                ),
            )
        })
        .collect()
}

#[test]
fn the_manifest_says_what_the_archive_is() {
    let (sandbox, database) = (Sandbox::new(18), small(18));
    for shape in SHAPES {
        sandbox.configure_for(&[&database], shape);
        let archive = sandbox.back_up(&database.name);
        let (manifest, stored) = (archive.manifest(), archive.bytes());
        assert_eq!(manifest["schema"], 1);
        assert_eq!(manifest["database"], *database.name);
        assert_eq!(manifest["archive"]["key"], archive.key());
        assert_eq!(manifest["archive"]["bytes"], stored.len());
        assert_eq!(manifest["archive"]["sha256"], hex(&Sha256::digest(&stored)));
        assert_eq!(manifest["dump"]["format"], "custom");
        let plain = sandbox.run(&["cat", &archive.id()]).exits(0).stdout;
        assert_eq!(manifest["dump"]["bytes"], plain.len());
        let compression = if shape.compressed { "gzip" } else { "none" };
        let encryption = if shape.encrypted { "BKENC002" } else { "none" };
        assert_eq!(manifest["pipeline"]["compression"], compression);
        assert_eq!(manifest["pipeline"]["encryption"], encryption);
        // the name says when it began
        let began = manifest["started_at"].as_str().expect("a time");
        let digits: String = began.chars().filter(char::is_ascii_digit).collect();
        let name: String = archive.id().rsplit('/').next().expect("a timestamp").into();
        let stamp: String = name.chars().filter(char::is_ascii_digit).collect();
        assert!(stamp.starts_with(&digits), "{began} and {name}");
        assert_eq!(manifest["tables"].is_array(), !shape.encrypted);
        assert_eq!(manifest["tables_sealed"].is_string(), shape.encrypted);
    }
}

#[test]
fn the_manifest_lists_the_rows_that_the_server_has() {
    let (sandbox, database) = (Sandbox::new(18), postgres(18).shop());
    sandbox.configure_for(&[&database], PLAIN);
    let archive = sandbox.back_up(&database.name);
    assert_eq!(
        tables_in(&archive.manifest()["tables"]),
        tables_of(&database)
    );
}

#[test]
fn an_encrypted_backup_tells_the_tables_only_to_who_has_the_password() {
    let (sandbox, database) = (Sandbox::new(18), small(18));
    sandbox.configure_for(&[&database], SEALED);
    let archive = sandbox.back_up(&database.name);
    let text = fs::read_to_string(archive.manifest_path()).expect("read the manifest");
    assert!(!text.contains("nothing"), "{text}");

    let manifest = archive.manifest();
    let sealed = manifest["tables_sealed"].as_str().expect("a text");
    let sealed = Base64::decode_vec(sealed).expect("base64");
    let path = sandbox.path("tables");
    fs::write(&path, sealed).expect("write it");
    let opened = decode(&path, ENCRYPTION_PASSWORD).exits(0);
    assert!(
        opened.stderr.contains(&format!("{}#tables", archive.id())),
        "{}",
        opened.stderr
    );
    let opened: Value = serde_json::from_slice(&opened.stdout).expect("JSON");
    assert_eq!(opened["archive"], manifest["archive"]);
    assert_eq!(tables_in(&opened["tables"]), tables_of(&database));
    decode(&path, "another").exits(1);
}

#[test]
fn rows_read_the_same_whatever_the_servers_time_zone() {
    let (sandbox, database) = (Sandbox::new(18), postgres(18).shop());
    sandbox.configure_for(&[&database], PLAIN);
    let told = |zone: &str| {
        database.sql(&format!(
            "ALTER DATABASE {0} SET TimeZone = '{zone}'; ALTER DATABASE {0} SET DateStyle = 'SQL, DMY'",
            database.name
        ));
        assert_eq!(database.sql("SHOW TimeZone"), zone);
        tables_in(&sandbox.back_up(&database.name).manifest()["tables"])
    };
    assert_eq!(told("Asia/Kathmandu"), told("America/St_Johns"));
}

#[test]
fn a_database_without_any_table_is_backed_up() {
    let (sandbox, database) = (Sandbox::new(18), postgres(18).create_database("empty"));
    sandbox.configure_for(&[&database], PLAIN);
    let archive = sandbox.back_up(&database.name);
    assert_eq!(archive.manifest()["tables"], Value::Array(vec![]));
}

#[test]
fn a_database_whose_name_needs_quotes_is_backed_up() {
    let sandbox = Sandbox::new(18);
    let database = postgres(18).create_database_named(r#"it's a="b" \ datab%se ünï"#);
    database.sql("CREATE TABLE t AS SELECT 7 AS seven");
    sandbox.configure_with("", &[Entry::of(&database).named("odd")]);
    let archive = sandbox.back_up("odd");
    assert_eq!(
        tables_in(&archive.manifest()["tables"]),
        tables_of(&database)
    );
}

#[test]
fn two_runs_of_one_database_do_not_overlap() {
    let (sandbox, database) = (Sandbox::new(18), small(18));
    sandbox.configure_for(&[&database], PLAIN);
    let first = sandbox.back_up(&database.name);
    let lock_path = first.path.with_file_name(".lock");
    let lock = fs::File::open(&lock_path).expect("the lock is a file");
    flock(&lock, FlockOperation::LockExclusive).expect("nobody holds it");

    let refused = sandbox.run(&["backup"]).exits(11);
    assert!(refused.text().contains("\tfailed\t"));
    assert!(refused.stderr.contains("--lock-wait"), "{}", refused.stderr);
    sandbox.run(&["backup", "--lock-wait", "1s"]).exits(11);

    let waiting = sandbox.start(&["backup", "--lock-wait=2m"]);
    let descriptors = format!("/proc/{}/fd", waiting.pid().as_raw_nonzero());
    program::until("the lock is tried", || {
        let Ok(open) = fs::read_dir(&descriptors) else {
            return false;
        };
        let mut links = open
            .flatten()
            .filter_map(|fd| fs::read_link(fd.path()).ok());
        links.any(|link| link == lock_path)
    });
    drop(lock);
    waiting.wait().exits(0);
}

#[test]
fn a_table_that_is_held_fails_the_backup_and_names_who_holds_it() {
    let (sandbox, database) = (Sandbox::new(18), small(18));
    sandbox.configure_with("", &[Entry::of(&database).backup("lock_timeout: 1s")]);
    let holder = database.hold("word");
    let failed = sandbox.run(&["backup"]).exits(1);
    assert!(
        failed.stderr.contains("the one in the way") && failed.stderr.contains("lock_timeout"),
        "{}",
        failed.stderr
    );
    assert_eq!(
        sandbox.files("storage"),
        [format!("{}/.lock", database.name)]
    );
    drop(holder);
    sandbox.back_up(&database.name);
}

#[test]
fn a_missing_permission_is_explained() {
    let (sandbox, database) = (Sandbox::new(18), small(18));
    let role = database.server.create_role("reader");
    sandbox.configure_with("", &[Entry::of(&database).login(&database, &role, &role)]);
    let failed = sandbox.run(&["backup"]).exits(1);
    assert!(
        failed.stderr.contains("permission denied for table")
            && failed.stderr.contains("pg_read_all_data"),
        "{}",
        failed.stderr
    );
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
fn options_that_would_break_the_stream_are_refused_by_name() {
    let (sandbox, database) = (Sandbox::new(18), small(18));
    for (option, name) in [
        ("--format=plain", "--format"),
        ("-Fp", "--format"),
        ("--file=/tmp/x", "--file"),
        ("-j4", "--jobs"),
        ("-Z9", "--compress"),
        ("--create", "--create"),
        ("--inserts", "--inserts"),
        ("--dbname=postgres://u:canary@h/d", "--dbname"),
    ] {
        sandbox.configure_with(
            "",
            &[Entry::of(&database).backup(&format!("options: ['{option}']"))],
        );
        let refused = sandbox.run(&["backup"]).exits(2);
        assert!(refused.stderr.contains(name), "{}", refused.stderr);
        assert!(!refused.stderr.contains("canary"), "{}", refused.stderr);
        assert!(!sandbox.path("storage").exists());
    }
}

#[test]
fn options_reach_pg_dump() {
    let (sandbox, database) = (Sandbox::new(18), small(18));
    sandbox.configure_with(
        "",
        &[Entry::of(&database).backup("options: ['--exclude-table-data=wor*']")],
    );
    let archive = sandbox.back_up(&database.name);
    let names: Vec<String> = tables_in(&archive.manifest()["tables"])
        .into_keys()
        .collect();
    assert_eq!(names, [r#""public"."nothing""#]);
    // the definition is there, so it is no partial backup
    assert!(archive.manifest()["dump"]["partial"].is_null());
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

#[test]
fn backups_pile_up_and_never_replace_each_other() {
    let (sandbox, database) = (Sandbox::new(18), small(18));
    sandbox.configure_for(&[&database], PLAIN);
    let first = sandbox.back_up(&database.name);
    let before = first.bytes();
    let second = sandbox.back_up(&database.name);
    assert_ne!(first.path, second.path);
    assert_eq!(first.bytes(), before);
    assert!(
        !Command::new("cmp")
            .args([&first.path, &second.path])
            .output()
            .expect("cmp runs")
            .status
            .success()
    );
}
