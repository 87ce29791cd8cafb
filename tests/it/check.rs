//! What `test` promises: it finds before the night what would go wrong in it, and changes nothing that stays.

use crate::support::clients;
use crate::support::entry::Entry;
use crate::support::postgres::{Database, SUPERUSER, postgres};
use crate::support::processes;
use crate::support::program::Output;
use crate::support::proxy::{Proxy, refusal};
use crate::support::receiver::{Answer, Receiver};
use crate::support::repository;
use crate::support::s3s::{ACCESS_KEY, BUCKET, SECRET_KEY, Server};
use crate::support::sandbox::{Sandbox, Shape};
use crate::support::wait;
use rustix::process::Signal;
use serde_json::Value;
use std::fs;

const GZIP_SEALED: Shape = Shape::new(true, true);

fn house(name: &str) -> (Sandbox, Database<'static>) {
    let (sandbox, database) = (Sandbox::new(18), postgres(18).create_database(name));
    database.sql("CREATE TABLE t AS SELECT 1 AS one");
    (sandbox, database)
}

fn app(database: &Database<'_>) -> Entry {
    Entry::of(database).named("app").shape(GZIP_SEALED)
}

/// The lines of a kind, each with its fix.
fn lines(output: &Output, word: &str) -> Vec<String> {
    let text = output.text().replace("\n      fix: ", " fix: ");
    let lines = text.lines().filter(|line| line.starts_with(word));
    lines.map(str::to_string).collect()
}

/// The one failure, with its fix.
#[track_caller]
fn failure(sandbox: &Sandbox) -> String {
    let output = sandbox.run(&["test"]).exits(1);
    let mut failures = lines(&output, "FAIL");
    assert_eq!(failures.len(), 1, "{}", output.text());
    let failure = failures.remove(0);
    assert!(failure.contains(" fix: "), "{failure}");
    failure
}

#[test]
fn a_house_in_order_passes_and_nothing_of_it_is_changed() {
    let (sandbox, database) = house("order");
    sandbox.configure_with("", &[app(&database).backup("schedule: '0 2 * * *'")]);
    for backed_up in [false, true] {
        if backed_up {
            sandbox.back_up("app");
        }
        let before = sandbox.files("");
        let output = sandbox.run(&["test"]).exits(0);
        assert_eq!(lines(&output, "FAIL"), [""; 0], "{}", output.text());
        for expected in [
            "ok    configuration: ",
            "ok    database app: PostgreSQL 18.",
            "ok    database app: dumps with pg_dump 18.",
            "ok    database app: restores with pg_restore 18.",
            "ok    database app: every table can be read",
            "ok    schedule of app: next runs ",
            "warn  daemon: none runs on this machine for this configuration, so nothing obeys the schedules",
            "      fix: start it with: backupkit daemon",
            "ok    encryption of app: sealed and opened again in ",
            "ok    storage local: wrote, read, listed and deleted a probe in ",
            "warn  notifications: nobody is told",
        ] {
            assert!(
                output.text().contains(expected),
                "{expected}: {}",
                output.text()
            );
        }
        assert!(!output.stderr.contains("mounted"), "{}", output.stderr);
        let opened = output.text().contains("the password opens ");
        assert_eq!(opened, backed_up, "{}", output.text());
        assert_eq!(sandbox.files(""), before);
        assert_eq!(sandbox.path("storage").exists(), backed_up);
        assert!(processes::of(&sandbox.path("")).is_empty());
    }
}

#[test]
fn a_password_that_can_be_guessed_is_a_warning() {
    let (sandbox, database) = house("guessed");
    for (password, warned) in [
        ("x", "is one character"),
        ("seven77", "is 7 characters"),
        ("éight888", ""),
    ] {
        let keys = format!("enabled: true, password: '{password}'");
        sandbox.configure_with("", &[app(&database).encryption(&keys)]);
        let output = sandbox.run(&["test"]).exits(0);
        let expected = format!("warn  encryption of app: the password {warned}");
        assert_eq!(
            output.text().contains(&expected),
            !warned.is_empty(),
            "{}",
            output.text()
        );
    }
}

#[test]
fn all_failures_are_listed_and_json_is_one_document_of_them() {
    let (sandbox, database) = house("both");
    let lost = Entry::new(
        "lost",
        "host: 127.0.0.1, port: 1, database: d, user: u".into(),
    );
    sandbox.configure_with("", &[app(&database), lost]);
    fs::write(sandbox.path("storage"), "a file").expect("write it");
    let output = sandbox.run(&["test", "--json"]).exits(1);
    let document: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    let checks = document["checks"].as_array().expect("checks");
    let failed: Vec<&str> = checks
        .iter()
        .filter(|check| check["status"] == "fail")
        .map(|check| check["subject"].as_str().expect("text"))
        .collect();
    // the directory of each of them is tried, and why it cannot be is said once
    assert_eq!(failed, ["database lost", "storage local"], "{document}");
    assert_eq!(document["failed"], 2);
    let last = checks.iter().rfind(|check| check["status"] == "fail");
    let what = last.expect("a failure")["what"].as_str().expect("text");
    assert!(what.ends_with("; the same for lost"), "{what}");
    let helpless = |check: &&Value| check["status"] == "fail" && check["fix"].is_null();
    assert_eq!(checks.iter().filter(helpless).count(), 0, "{document}");
    sandbox.run(&["test", "--db", "lost"]).exits(1);
    assert_eq!(
        sandbox
            .run(&["test", "--db", "nobody", "--json"])
            .exits(10)
            .text()
            .lines()
            .count(),
        1
    );
}

/// A session that logs in as one role and acts as another may what the other one may.
#[test]
fn a_role_that_a_setting_takes_on_is_the_one_that_lacks_rights() {
    let (sandbox, database) = house("takes_on");
    let role = database.server.create_role("acted");
    database.sql(&format!(
        "CREATE TABLE secret (n int); ALTER DATABASE {} SET role = {role}",
        database.name
    ));
    sandbox.configure_with("", &[app(&database)]);
    let name = &database.name;
    let way_back = format!(
        "a setting of the database or of the login makes the sessions of \"postgres\" act as \"{role}\": take it back by \
         ALTER DATABASE \"{name}\" RESET role, or ALTER ROLE \"postgres\" RESET role"
    );
    let failure = failure(&sandbox);
    assert!(
        failure.contains(&format!(
            "{way_back}; or GRANT pg_read_all_data TO \"{role}\"; or back up"
        )),
        "{failure}"
    );
    let told = sandbox.run(&["test"]).exits(1).text();
    assert!(told.contains(&format!("which acts as {role}")), "{told}");
    let lacks = format!("restore of app: {role} may not create databases");
    assert!(told.contains(&lacks), "{told}");
    assert_eq!(told.matches(&way_back).count(), 2, "{told}");
    let refused = sandbox.run(&["backup"]).exits(1).stderr;
    for told in [&way_back, &format!("GRANT pg_read_all_data TO \"{role}\"")] {
        assert!(refused.contains(told), "{refused}");
    }
    // and so does a restore into a database of its own
    let reset = |setting: &str| {
        let server = database.server.maintenance();
        server.sql(&format!("ALTER DATABASE {name} {setting}"));
    };
    reset("RESET role");
    sandbox.run(&["backup"]).exits(0);
    reset(&format!("SET role = {role}"));
    let restore = [
        "restore",
        "--from",
        "app",
        "--to",
        "takes_on_again",
        "--create",
    ];
    let refused = sandbox.run(&restore).exits(1).stderr;
    let lacks = format!("{role} may not create databases, such as takes_on_again");
    assert!(refused.contains(&lacks), "{refused}");
    assert_eq!(refused.matches(&way_back).count(), 1, "{refused}");
    assert!(!refused.contains("--user"), "{refused}");
}

#[test]
fn what_the_role_may_not_read_is_named() {
    let (sandbox, database) = house("rights");
    let role = database.server.create_role("reader");
    database.sql(&format!(
        "GRANT USAGE ON SCHEMA public TO {role}; GRANT SELECT ON t TO {role};
         CREATE TABLE secret (n int); CREATE SEQUENCE numbers;
         CREATE SCHEMA shut; CREATE TABLE shut.open (n int); GRANT SELECT ON shut.open TO {role};
         CREATE TABLE guarded (n int); ALTER TABLE guarded ENABLE ROW LEVEL SECURITY; GRANT SELECT ON guarded TO {role};
         CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE far (n int) SERVER s;
         CREATE VIEW v AS SELECT * FROM secret; SELECT lo_create(4711);"
    ));
    let entry = || app(&database).login(&database, &role, &role);
    sandbox.configure_with("", &[entry()]);
    let failure = failure(&sandbox);
    let names = "cannot read large object 4711, sequence public.numbers, table public.guarded, table public.secret, \
                 table shut.open fix: ";
    assert!(failure.contains(names), "{failure}");
    let way_out = format!(
        "GRANT pg_read_all_data TO \"{role}\"; ALTER ROLE \"{role}\" BYPASSRLS; ALTER ROLE \"{role}\" SET \
         lo_compat_privileges = on, by a superuser; or back up as the owner"
    );
    assert!(failure.contains(&way_out), "{failure}");
    // and that is so
    let refused = sandbox.run(&["backup"]).exits(1);
    assert!(
        refused.stderr.contains("permission denied"),
        "{}",
        refused.stderr
    );

    database.sql(&format!("GRANT pg_read_all_data TO {role}; ALTER ROLE {role} BYPASSRLS; GRANT SELECT ON LARGE OBJECT 4711 TO {role}"));
    let output = sandbox.run(&["test"]).exits(0);
    assert!(
        output.text().contains("every table can be read"),
        "{}",
        output.text()
    );
    sandbox.run(&["backup"]).exits(0);
    database.sql(&format!("REVOKE pg_read_all_data FROM {role}"));
    let only = self::failure(&sandbox);
    assert!(
        only.contains(&format!("GRANT pg_read_all_data TO \"{role}\"; or back up")),
        "{only}"
    );
    // with a part left out, what may not be read need not be in the way
    sandbox.configure_with("", &[entry().backup("options: ['--schema=nothing']")]);
    let output = sandbox.run(&["test"]).exits(0);
    assert!(
        lines(&output, "warn")
            .iter()
            .any(|line| line.contains("cannot read")),
        "{}",
        output.text()
    );
}

#[test]
fn a_server_or_a_login_that_does_not_work_is_told_with_what_to_do() {
    let (sandbox, database) = house("login");
    sandbox.configure_with("", &[app(&database).login(&database, SUPERUSER, "canary")]);
    let text = failure(&sandbox);
    assert!(
        text.contains("password authentication failed") && !text.contains("canary"),
        "{text}"
    );
    sandbox.configure_with(
        "",
        &[app(&database).connection("host: 127.0.0.1, port: 1, database: d, user: u")],
    );
    assert!(failure(&sandbox).contains("cannot connect to 127.0.0.1:1/d"));
    sandbox.configure_with(
        "",
        &[app(&database).login(&database, SUPERUSER, "${NOT_SET}")],
    );
    assert!(failure(&sandbox).contains("needs the variable NOT_SET"));
}

#[test]
fn tools_that_are_missing_or_too_old_are_told() {
    let (sandbox, database) = house("tools");
    let old = clients(&sandbox, 15, &["pg_dump", "pg_restore", "psql"]);
    sandbox.configure_with(&format!("bin_dir: '{}'", old.display()), &[app(&database)]);
    assert!(
        failure(&sandbox).contains("the server is PostgreSQL 18, the newest pg_dump here is 15")
    );
    fs::remove_file(old.join("pg_dump")).expect("it is there");
    assert!(failure(&sandbox).contains("pg_dump not found in bin_dir"));
}

#[test]
fn a_password_that_no_longer_opens_the_newest_archive_is_a_failure_and_a_kept_one_is_none() {
    let (sandbox, database) = house("rotated");
    let configure = |keys: &str| sandbox.configure_with("", &[app(&database).encryption(keys)]);
    configure("enabled: true, password: first");
    sandbox.back_up("app");
    configure("enabled: true, password: second");
    let text = failure(&sandbox);
    assert!(
        text.contains("no configured password opens") && text.contains("previous_passwords"),
        "{text}"
    );
    configure("enabled: true, password: second, previous_passwords: [first]");
    sandbox.run(&["test"]).exits(0);
    configure("enabled: true, password: '${NOT_SET}'");
    assert!(failure(&sandbox).contains("NOT_SET"));
    fs::write(sandbox.path("secret"), "first\n").expect("write it");
    configure(&format!(
        "enabled: true, password_file: '{}'",
        sandbox.path("secret").display()
    ));
    sandbox.run(&["test"]).exits(0);
}

#[test]
fn a_password_that_opens_archives_of_the_old_kind_is_warned_of() {
    let (sandbox, database) = house("old");
    let go = repository().join("tests/archives/0.1.0/go_db/20240229_020000.123456789Z.dump.gz.enc");
    let bytes = fs::read(go).expect("read a frozen archive");
    sandbox.store("app/20240229_020000.123456789Z.dump.gz.enc", &bytes);
    sandbox.configure_with("", &[app(&database)]);
    sandbox.back_up("app");
    let warned = |output: &Output| {
        lines(output, "warn")
            .iter()
            .any(|line| line.contains("BKENC001"))
    };
    let output = sandbox.run(&["test"]).exits(0);
    assert!(warned(&output), "{}", output.text());
    let keys = "enabled: true, password: other, previous_passwords: ['${BACKUPKIT_ENC_PASSWORD}']";
    sandbox.configure_with("", &[app(&database).encryption(keys)]);
    let output = sandbox.run(&["test"]).exits(0);
    assert!(!warned(&output), "{}", output.text());
}

#[test]
fn a_route_without_its_variable_is_a_warning() {
    let (sandbox, database) = house("routes");
    let routes = "notifications:\n  - { type: webhook, on: failure, config: { url: '${HOOK}' } }\n  \
                  - { type: email, on: failure, config: { smtp_host: h, smtp_port: 25, from: a@b, to: a@b } }";
    sandbox.configure_with(routes, &[app(&database)]);
    let output = sandbox.run(&["test"]).exits(0);
    let text = output.text();
    assert!(
        text.contains(
            "warn  notification 1 (webhook): notifications[0].config.url needs the variable HOOK"
        ),
        "{text}"
    );
    assert!(text.contains("ok    notification 2 (email): "), "{text}");
}

#[test]
fn a_route_that_cannot_work_is_a_warning() {
    let (sandbox, database) = house("unusable");
    let routes = "notifications:\n  - { type: webhook, on: failure, config: { url: 'https://h/', ca_file: /nowhere } }\n  \
                  - { type: email, on: failure, config: { smtp_host: h, smtp_port: 25, from: a@b, to: a@b, ca_file: /nowhere } }";
    sandbox.configure_with(routes, &[app(&database)]);
    let output = sandbox.run(&["test"]).exits(0);
    for route in ["1 (webhook)", "2 (email)"] {
        let expected =
            format!("warn  notification {route}: cannot read the certificates in /nowhere");
        assert!(output.text().contains(&expected), "{}", output.text());
    }
}

#[test]
fn whether_anybody_obeys_the_schedules_is_told_where_there_are_some() {
    let (sandbox, database) = house("obeyed");
    let said = |status: &str| {
        let output = sandbox.run(&["test", "--json"]).exits(0);
        let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let checks = document["checks"].as_array().expect("checks").iter();
        let mut found = checks.filter(|check| check["subject"] == "daemon");
        let check = found.next()?;
        assert_eq!(check["status"], status, "{document}");
        Some(check["what"].as_str().expect("text").to_string())
    };
    // who calls backupkit backup from cron has none
    sandbox.configure_with("", &[app(&database)]);
    assert_eq!(said("none"), None);
    sandbox.configure_with("", &[app(&database).backup("schedule: '@yearly'")]);
    assert!(said("warn").expect("a check").starts_with("none runs on "));
    let daemon = sandbox.start(&["daemon"]);
    let pid = daemon.pid().as_raw_nonzero();
    wait::until("the daemon shows that it lives", || {
        (!sandbox.files("run").is_empty()).then_some(())
    });
    let expected = format!("process {pid} obeys the schedules");
    assert_eq!(said("ok"), Some(expected));
    daemon.signal(Signal::KILL);
    daemon.wait();
    assert!(said("warn").expect("a check").starts_with("it was killed"));
}

#[test]
fn a_bucket_that_cannot_be_reached_is_told_of_once() {
    let (sandbox, database) = house("down");
    let other = Entry::of(&database).named("other").storage("s3");
    let entries = app(&database).storage("s3").to_yaml() + &other.to_yaml();
    sandbox.configure(&format!(
        "version: 1\nstorage:\n  - {{ name: s3, type: s3, s3: {{ bucket: b, region: r, endpoint: 'http://127.0.0.1:1', \
         access_key: k, secret_key: s }} }}\ndatabases:\n{entries}"
    ));
    let text = failure(&sandbox);
    assert!(text.contains("; the same for other"), "{text}");
}

#[test]
fn every_database_of_a_storage_is_tried() {
    let (sandbox, database) = house("each");
    let other = Entry::of(&database).named("other").shape(GZIP_SEALED);
    sandbox.configure_with("", &[app(&database), other]);
    fs::create_dir(sandbox.path("storage")).expect("make a directory");
    fs::write(sandbox.path("storage/other"), "a file").expect("write it");
    let text = failure(&sandbox);
    assert!(
        text.contains("storage local") && text.contains("other"),
        "{text}"
    );
}

#[test]
fn a_limit_on_the_age_that_the_schedule_cannot_keep_is_warned_of() {
    let (sandbox, database) = house("ages");
    let entry = app(&database)
        .backup("schedule: '@weekly'")
        .retention("keep_last: 1 }\n    max_age: 26h #");
    sandbox.configure_with("", &[entry]);
    let output = sandbox.run(&["test"]).exits(0);
    assert!(
        lines(&output, "warn")
            .iter()
            .any(|line| line.contains("max_age")),
        "{}",
        output.text()
    );
}

#[test]
fn a_bucket_is_written_to_read_listed_and_deleted_from_and_keeps_nothing() {
    let database = postgres(18).create_database("bucket");
    let server = Server::start();
    let proxy = Proxy::before(&server.address);
    let sandbox = Sandbox::new(18);
    let configure = |secret: &str, retention: &str| {
        let keys = format!(
            "bucket: {BUCKET}, region: us-east-1, endpoint: 'http://{}', access_key: {ACCESS_KEY}, secret_key: '{secret}'",
            proxy.address
        );
        let entry = app(&database)
            .storage("s3main")
            .retention(retention)
            .to_yaml();
        sandbox.configure(&format!(
            "version: 1\nstorage:\n  - {{ name: s3main, type: s3, s3: {{ {keys} }} }}\ndatabases:\n{entry}"
        ));
    };
    configure(SECRET_KEY, "keep_last: 3");
    let output = sandbox.run(&["test"]).exits(0);
    assert!(
        output
            .text()
            .contains("deleted a probe in s3://backups/app"),
        "{}",
        output.text()
    );
    let left = || fs::read_dir(server.file("app")).map_or(0, |files| files.count());
    assert_eq!(left(), 0);

    configure("wrong", "keep_last: 3");
    let text = failure(&sandbox);
    assert!(
        text.contains("storage s3main") && !text.contains("wrong "),
        "{text}"
    );

    // who may not delete can back up, and cannot prune
    for (retention, status, word) in [("keep_last: 3", 1, "FAIL"), ("keep_last: 0", 0, "warn")] {
        configure(SECRET_KEY, retention);
        for method in ["POST", "DELETE"] {
            proxy.once(method, "app", refusal(403, "AccessDenied"));
            proxy.once(method, "delete", refusal(403, "AccessDenied"));
        }
        let output = sandbox.run(&["test"]).exits(status);
        let told = lines(&output, word);
        assert!(
            told.iter().any(|line| line.contains("cannot delete")),
            "{}",
            output.text()
        );
    }
}

#[test]
fn send_really_sends_and_what_is_not_taken_is_a_failure() {
    let (sandbox, database) = house("send");
    let (good, bad) = (Receiver::good(), Receiver::start(&[Answer::status(404)]));
    let route = |receiver: &Receiver| {
        let url = &receiver.url;
        format!("\n  - {{ type: webhook, on: failure, config: {{ url: '{url}' }} }}")
    };
    let routes = format!("notifications:{}", route(&good));
    sandbox.configure_with(&routes, &[app(&database)]);
    sandbox.run(&["test"]).exits(0);
    assert!(good.rest().is_empty(), "nothing is sent unasked");
    let output = sandbox.run(&["test", "--send"]).exits(0);
    assert!(
        output
            .text()
            .contains("ok    notification 1 (webhook): sent"),
        "{}",
        output.text()
    );
    let told = good.request().json();
    assert_eq!((&told["kind"], &told["db"]), (&"test".into(), &"-".into()));
    // an address for each database is no address of none
    let each = format!(
        "notifications:\n  - {{ type: webhook, on: failure, config: {{ template: healthchecks, url: '{}/KEY/{{db}}' }} }}",
        good.url
    );
    sandbox.configure_with(&each, &[app(&database), app(&database).named("other")]);
    let output = sandbox.run(&["test", "--send"]).exits(0);
    assert!(output.text().contains("sent for "), "{}", output.text());
    let paths: Vec<String> = good
        .rest()
        .into_iter()
        .map(|request| request.path)
        .collect();
    assert_eq!(paths.len(), 2);
    assert!(paths[1].ends_with("/KEY/other/log"), "{paths:?}");
    let routes = format!("notifications:{}", route(&bad));
    sandbox.configure_with(&routes, &[app(&database)]);
    let output = sandbox.run(&["test", "--send"]).exits(1);
    assert!(
        lines(&output, "FAIL")[0].contains("404"),
        "{}",
        output.text()
    );
}

#[test]
fn whether_a_drill_can_be_held_is_known_before_it_is_due() {
    let (sandbox, database) = house("drillable");
    let test = |drill: &str, level: &str| {
        let entry = app(&database)
            .backup("globals: true")
            .verify(&format!("schedule: '@weekly', level: {level}"));
        sandbox.configure_with(&format!("drill: {{ {drill} }}"), &[entry]);
        sandbox.run(&["test"]).exits(0)
    };
    let root = sandbox.path("").display().to_string();
    let lent = database.connection(SUPERUSER, &database.server.password);
    for (drill, expected) in [
        (
            format!("user: nobody, directory: '{root}'"),
            format!("ok    drill of app: can be held in {root} with postgres 18."),
        ),
        (
            format!("connection: {{ {lent} }}"),
            "ok    drill of app: can be held on ".to_string(),
        ),
    ] {
        let text = test(&drill, "restore").text();
        assert!(text.contains(&expected), "{expected}: {text}");
        let expected = "ok    database app: dumps roles and tablespaces with pg_dumpall 18.";
        assert!(text.contains(expected), "{text}");
    }
    let unreachable = "connection: { host: 127.0.0.1, port: 1, database: d, user: u }".to_string();
    let missing = format!("user: nobody, directory: '{root}/missing'");
    for (drill, what, fix) in [
        (&unreachable, "for a drill", "are host and port right?"),
        (&missing, "missing is not a directory", "drill.directory"),
    ] {
        let warnings = lines(&test(drill, "restore"), "warn  drill of app: ");
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        let (found, way_out) = warnings[0].split_once(" fix: ").expect("a fix");
        assert!(
            found.contains(what) && way_out.contains(fix),
            "{warnings:?}"
        );
        // nobody asks for it
        let text = test(drill, "full").text();
        assert!(!text.contains("drill of app"), "{text}");
    }
}
