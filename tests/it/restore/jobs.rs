//! `--jobs`: from a temporary file, over several connections; and the comparison after every restore.

use super::{House, PLAIN, SEALED, says};
use crate::support::clients;
use crate::support::disk::Disk;
use crate::support::entry::Entry;
use crate::support::postgres::{bin, large, postgres};
use crate::support::processes;
use crate::support::sandbox::{SHAPES, Sandbox};
use crate::support::wait;
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::MetadataExt;

#[test]
fn every_kind_of_archive_comes_back_over_several_connections() {
    for (major, shape) in [
        (14, SHAPES[0]),
        (16, SHAPES[1]),
        (17, SHAPES[2]),
        (18, SHAPES[3]),
        (15, SHAPES[4]),
        (18, SHAPES[5]),
    ] {
        let server = postgres(major);
        let (source, target) = (server.shop(), server.create_database("target"));
        let sandbox = Sandbox::new(major);
        let entry = |database, name| Entry::of(database).named(name).shape(shape);
        sandbox.configure_with("", &[entry(&source, "source"), entry(&target, "target")]);
        sandbox.back_up("source");
        let arguments = [
            "restore", "--from", "source", "--db", "target", "--force", "--jobs", "4", "--json",
        ];
        let output = sandbox.run(&arguments).exits(0);
        says(&output, &["not one transaction"]);
        target.holds_the_same_as(&source);
        let summary: Value = serde_json::from_str(&output.text()).expect("JSON");
        assert!(
            summary["compared_tables"]
                .as_u64()
                .is_some_and(|count| count > 5),
            "{summary}"
        );
        assert_eq!(sandbox.files("tmp"), [""; 0]);
    }
}

#[test]
fn a_damaged_archive_never_reaches_a_database_over_several_connections_either() {
    let house = House::new(SEALED);
    let archive = house.sandbox.back_up("source");
    let mut bytes = archive.bytes();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&archive.path, &bytes).expect("write it");
    house.refuses("source", &["--force", "--jobs", "2"], 13, &[]);
}

#[test]
fn the_file_is_private_has_no_name_and_is_gone_after_a_kill() {
    let sandbox = Sandbox::new(18);
    let target = postgres(18).create_database("target");
    let entries = [
        Entry::of(large()).named("source"),
        Entry::of(&target).named("target"),
    ];
    sandbox.configure_with("", &entries);
    sandbox.back_up("source");
    let arguments = [
        "restore", "--from", "source", "--db", "target", "--force", "--jobs", "2",
    ];
    let run = sandbox.start(&arguments);
    let pg_restore = wait::until("pg_restore works on the file", || {
        let mut children = processes::of(&sandbox.path(""));
        children.retain(|child| child.name == "pg_restore");
        let child = children.pop()?;
        let file = fs::metadata(format!("/proc/{}/fd/0", child.pid)).ok()?;
        // one that only reads the list of contents has soon ended
        let is_large = file.is_file() && file.len() > 1 << 20;
        is_large
            .then(|| child.freeze_if_there())
            .flatten()
            .map(|frozen| (frozen, file))
    });
    let (child, file) = pg_restore;
    assert_eq!(file.mode() & 0o777, 0o600);
    assert_eq!(file.nlink(), 0);
    assert_eq!(sandbox.files("tmp"), [""; 0]);
    run.signal(Signal::KILL);
    drop(child);
    wait::until("nothing runs any more", || {
        processes::of(&sandbox.path("")).is_empty().then_some(())
    });
    assert_eq!(sandbox.files("tmp"), [""; 0]);
}

#[test]
fn a_disk_without_room_is_noticed_before_anything_changes() {
    let sandbox = Sandbox::new(18);
    let target = postgres(18).create_database("target");
    let disk = Disk::new(8 * 1024);
    let sandbox = sandbox.with("TMPDIR", disk.path.to_str().expect("UTF-8"));
    let entries = [
        Entry::of(large()).named("source"),
        Entry::of(&target).named("target"),
    ];
    sandbox.configure_with("", &entries);
    let archive = sandbox.back_up("source");
    let arguments = [
        "restore", "--from", "source", "--db", "target", "--force", "--jobs", "2",
    ];
    let failed = sandbox.run(&arguments).exits(1);
    says(&failed, &["no room in", "TMPDIR", "which takes"]);
    // where nobody knows how large it is, it is found out
    fs::remove_file(archive.manifest_path()).expect("there is one");
    let gzip = crate::support::archive::gzip(&archive.bytes());
    let small = sandbox.store("source/20990101_000000.000000000Z.dump.gz", &gzip);
    disk_takes(&disk, small.bytes().len());
    let failed = sandbox
        .run(&[&["restore", "--from", &small.key()], &arguments[3..]].concat())
        .exits(1);
    says(&failed, &["no room in", "TMPDIR"]);
    let count = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    assert_eq!(target.sql(count), "0");
    assert_eq!(fs::read_dir(&disk.path).expect("read it").count(), 0);
}

/// The archive itself would fit, so that only its content does not.
fn disk_takes(disk: &Disk, bytes: usize) {
    let room = rustix::fs::statvfs(&disk.path).expect("it is mounted");
    if room.f_bavail * room.f_frsize < bytes as u64 {
        // hardly compressible: then the check before is what notices, which is as good
        assert!(bytes > 1 << 20);
    }
}

#[test]
fn a_restore_into_an_older_server_says_why_it_takes_one_connection() {
    let server = postgres(14);
    let (source, target) = (
        server.create_database("source"),
        server.create_database("target"),
    );
    source.sql("CREATE TABLE a AS SELECT 1 AS one");
    let sandbox = Sandbox::new(18);
    let entries = [
        Entry::of(&source).named("source"),
        Entry::of(&target).named("target"),
    ];
    sandbox.configure_with(&format!("bin_dir: '{}'", bin(18).display()), &entries);
    sandbox.back_up("source");
    let arguments = [
        "restore", "--from", "source", "--db", "target", "--force", "--jobs", "2",
    ];
    says(&sandbox.run(&arguments).exits(15), &["without --jobs"]);
    sandbox.run(&arguments[..6]).exits(0);
    target.holds_the_same_as(&source);
}

#[test]
fn a_restore_that_brought_back_something_else_is_told_table_by_table() {
    let house = House::new(PLAIN);
    // rows that are not what was dumped, as if something had changed them on their way in
    house.source.sql(
        "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF NEW.id = 500 THEN RETURN NULL; END IF; RETURN NEW; END $$",
    );
    house.sandbox.back_up("source");
    house
        .restore("source", &["--force", "--schema-only"])
        .exits(0);
    house
        .target
        .sql("CREATE TRIGGER spoil BEFORE INSERT ON word FOR EACH ROW EXECUTE FUNCTION spoil()");
    house
        .restore("source", &["--force", "--data-only"])
        .exits(0);
    assert_eq!(house.target.sql("SELECT count(*) FROM word"), "999");
    // an event trigger does it to a whole restore, where it belongs to someone else
    let role = postgres(18).create_role("restorer");
    let spoiled = postgres(18).create_database_of(&role, "spoiled");
    house.sandbox.configure_with(
        "",
        &[
            Entry::of(&house.source).named("source"),
            Entry::of(&house.target)
                .login(&house.target, &role, &role)
                .named("target"),
        ],
    );
    spoiled.sql(
        "CREATE FUNCTION public.spoil_all() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
            IF tg_tag = 'ALTER TABLE' AND to_regclass('public.word') IS NOT NULL THEN DELETE FROM public.word WHERE id = 500; END IF;
         END $$;
         CREATE EVENT TRIGGER spoil_all ON ddl_command_end EXECUTE FUNCTION public.spoil_all()",
    );
    let to = [
        "restore",
        "--from",
        "source",
        "--db",
        "target",
        "--to",
        &spoiled.name,
        "--force",
        "--no-owner",
    ];
    let failed = house.sandbox.run(&to).exits(13);
    says(
        &failed,
        &[
            "public.word",
            "999 rows",
            "instead of 1000",
            "event triggers",
        ],
    );
    // the backup is good, and an older one would not come back any better
    assert!(!failed.stderr.contains("older"), "{}", failed.stderr);
    spoiled.sql("DROP TABLE word, nothing; DROP FUNCTION spoil()");
    let unchecked = [&to[..], &["--no-check", "--json"]].concat();
    let output = house.sandbox.run(&unchecked).exits(0);
    let summary: Value = serde_json::from_str(&output.text()).expect("JSON");
    assert_eq!(summary["compared_tables"], Value::Null);
}

#[test]
fn without_pg_dump_the_restore_stands_and_says_that_it_was_not_compared() {
    let house = House::new(PLAIN);
    house.sandbox.back_up("source");
    let some = clients(&house.sandbox, 18, &["pg_restore", "psql"]);
    house.configure(
        PLAIN,
        &format!("bin_dir: '{}'", some.display()),
        "lock_timeout: 10m",
    );
    let output = house.restore("source", &["--force"]).exits(0);
    says(&output, &["cannot be compared", "pg_dump not found"]);
    house.target.holds_the_same_as(&house.source);
}

const CIRCLE: &str = "
    CREATE SCHEMA s; CREATE TYPE s.mood AS ENUM ('good'); CREATE TABLE s.t (id int PRIMARY KEY, m s.mood DEFAULT 'good', x int);
    INSERT INTO s.t SELECT n, 'good', n FROM generate_series(1, 100) n;
    CREATE VIEW s.by_key AS SELECT id, m, sum(x) FROM s.t GROUP BY id;
    CREATE VIEW a1 AS SELECT 1 AS one; CREATE VIEW a2 AS SELECT * FROM a1;
    CREATE OR REPLACE VIEW a1 AS SELECT one FROM (SELECT 1 AS one) q WHERE EXISTS (SELECT FROM a2)";

#[test]
fn views_that_need_each_other_are_replaced_over_several_connections_where_they_are_all_there_or_none()
 {
    let house = House::new(PLAIN);
    house.source.sql(CIRCLE);
    house.sandbox.back_up("source");
    let clean = ["--force", "--clean", "--jobs", "2"];
    // nothing is there, then everything
    for _ in 0..2 {
        house.restore("source", &clean).exits(0);
        house.target.holds_the_same_as(&house.source);
    }
    house.target.sql("DROP VIEW s.by_key");
    let before = house.target.fingerprint();
    let refused = house.restore("source", &clean).exits(15);
    says(&refused, &["s.by_key", "without --jobs"]);
    assert_eq!(house.target.fingerprint(), before);
    house.restore("source", &clean[..2]).exits(0);
    house.target.holds_the_same_as(&house.source);
}

#[test]
fn rows_of_an_extension_come_back_in_the_order_that_their_keys_want() {
    let server = postgres(18);
    let extensions = server.directory.join("extensions_of_jobs");
    let directory = extensions.join("extension");
    fs::create_dir_all(&directory).expect("make a directory");
    fs::write(
        directory.join("pairs.control"),
        "default_version = '1'\nrelocatable = false\nschema = public\n",
    )
    .expect("write it");
    fs::write(
        directory.join("pairs--1.sql"),
        "CREATE TABLE whole (id int PRIMARY KEY);
         CREATE TABLE part (id int PRIMARY KEY, whole int REFERENCES whole, of int REFERENCES part);
         SELECT pg_extension_config_dump('whole', ''); SELECT pg_extension_config_dump('part', '');",
    )
    .expect("write it");
    let path = format!("$system:{}", extensions.display());
    let (source, target) = (
        server.create_database("source"),
        server.create_database("target"),
    );
    for database in [&source, &target] {
        database.sql(&format!(
            "ALTER DATABASE {} SET extension_control_path = '{path}'",
            database.name
        ));
    }
    // the larger a table is, the earlier pg_restore begins with it, and the first keeps one connection busy
    source.sql(
        "CREATE EXTENSION pairs; INSERT INTO whole VALUES (1);
         INSERT INTO part SELECT n, 1, n FROM generate_series(1, 2000) n;
         CREATE TABLE mine AS SELECT generate_series(1, 300000) AS n",
    );
    let sandbox = Sandbox::new(18);
    let entries = [
        Entry::of(&source).named("source"),
        Entry::of(&target).named("target"),
    ];
    sandbox.configure_with("", &entries);
    sandbox.back_up("source");
    let arguments = [
        "restore", "--from", "source", "--db", "target", "--force", "--jobs", "2",
    ];
    sandbox.run(&arguments).exits(0);
    target.holds_the_same_as(&source);
}

/// Several such statements at a time wait for each other: each locks two tables and two indexes.
#[test]
fn indexes_of_partitions_are_attached_one_at_a_time() {
    let server = postgres(18);
    let (source, target) = (
        server.create_database("source"),
        server.create_database("target"),
    );
    source.sql(
        "CREATE TABLE p (id int PRIMARY KEY, a int, b int) PARTITION BY LIST (id);
         DO $$ BEGIN FOR n IN 1..20 LOOP EXECUTE format('CREATE TABLE p%s PARTITION OF p FOR VALUES IN (%s)', n, n); END LOOP; END $$;
         CREATE INDEX ON p (a); CREATE UNIQUE INDEX ON p (id, b);
         INSERT INTO p SELECT n, n, n FROM generate_series(1, 20) n; CREATE TABLE f (p int REFERENCES p); INSERT INTO f VALUES (7)",
    );
    // who attaches, by process, as far as anybody is told
    target.sql(
        "CREATE SCHEMA watch; CREATE TABLE watch.attached (pid int);
         CREATE FUNCTION watch.note() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
           INSERT INTO watch.attached VALUES (pg_backend_pid()); END $$;
         CREATE EVENT TRIGGER note ON ddl_command_end WHEN TAG IN ('ALTER INDEX') EXECUTE FUNCTION watch.note()",
    );
    let role = server.create_role("restorer");
    target.sql(&format!(
        "GRANT ALL ON SCHEMA public, watch TO {role}; GRANT ALL ON watch.attached TO {role}"
    ));
    let sandbox = Sandbox::new(18);
    let entries = [
        Entry::of(&source).named("source"),
        Entry::of(&target)
            .login(&target, &role, &role)
            .named("target"),
    ];
    sandbox.configure_with("", &entries);
    sandbox.back_up("source");
    let arguments = [
        "restore",
        "--from",
        "source",
        "--db",
        "target",
        "--force",
        "--jobs",
        "4",
        "--no-owner",
        "--schema",
        "public",
    ];
    sandbox.run(&arguments).exits(0);
    assert_eq!(
        target.sql("SELECT count(*), count(DISTINCT pid) FROM watch.attached"),
        "60|1"
    );
    assert_eq!(
        target.sql("SELECT count(*) FROM pg_index WHERE NOT indisvalid"),
        "0"
    );
}

#[test]
fn more_connections_than_the_login_may_have_are_refused_before_anything_runs() {
    let house = House::new(PLAIN);
    let server = house.target.server;
    house.sandbox.back_up("source");
    let (role, name) = (server.create_role("limited"), &house.target.name);
    house.target.sql(&format!(
        "ALTER DATABASE {name} OWNER TO {role}; GRANT ALL ON SCHEMA public TO {role}; ALTER ROLE {role} CONNECTION LIMIT 3"
    ));
    let source = Entry::of(&house.source).named("source");
    let target = Entry::of(&house.target).login(&house.target, &role, &role);
    house
        .sandbox
        .configure_with("", &[source, target.named("target")]);
    let with = |more: &[&'static str]| [&["--force", "--no-owner", "--jobs"], more].concat();
    let hint = format!(
        "restore with --jobs 2, or let an administrator ALTER ROLE \"{role}\" CONNECTION LIMIT 4"
    );
    for more in [&["3"][..], &["3", "--dry-run"]] {
        let refused = house.restore("source", &with(more)).exits(1);
        let told = "--jobs 3 takes 4 connections at a time, and the role";
        says(&refused, &[told, "lets the login have 3", &hint]);
        house.target_is_empty();
    }
    house.restore("source", &with(&["2", "--dry-run"])).exits(0);
    house.restore("source", &with(&["2"])).exits(0);
    house.target.holds_the_same_as(&house.source);

    house.target.sql(&format!(
        "DROP TABLE word, nothing; ALTER ROLE {role} CONNECTION LIMIT -1; ALTER DATABASE {name} CONNECTION LIMIT 3"
    ));
    // a session that has just ended may count for a moment still, and so the limit is not the least there is
    let refused = house.restore("source", &with(&["3", "--dry-run"])).exits(1);
    let hint = format!(
        "restore with --jobs 2, or let an administrator ALTER DATABASE \"{name}\" CONNECTION LIMIT 4"
    );
    says(&refused, &["the database", "lets the login have 3", &hint]);
    house.restore("source", &["--force", "--no-owner"]).exits(0);
    // none of that is for a superuser
    house.target.sql("DROP TABLE word, nothing");
    let entries = [
        Entry::of(&house.source).named("source"),
        Entry::of(&house.target).named("target"),
    ];
    house.sandbox.configure_with("", &entries);
    house
        .restore("source", &["--force", "--jobs", "4"])
        .exits(0);
}
