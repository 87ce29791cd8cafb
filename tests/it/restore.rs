//! What `restore` promises: which backup goes where, what is refused, and that a target is as before where it fails.

use crate::support::archive::{Archive, gzip, seal};
use crate::support::clients;
use crate::support::entry::Entry;
use crate::support::postgres::{Database, Server, bin, postgres};
use crate::support::program::Output;
use crate::support::sandbox::{ENCRYPTION_PASSWORD, SHAPES, Sandbox, Shape};
use serde_json::Value;
use std::fs;

const PLAIN: Shape = Shape::new(false, false);
const SEALED: Shape = Shape::new(true, true);

/// A configured `source` of two tables and an empty `target`.
struct House {
    sandbox: Sandbox,
    source: Database<'static>,
    target: Database<'static>,
}

impl House {
    fn new(shape: Shape) -> House {
        House::with(shape, "", "lock_timeout: 10m")
    }

    fn with(shape: Shape, top: &str, backup: &str) -> House {
        let house = House {
            sandbox: Sandbox::new(18),
            source: postgres(18).create_database("source"),
            target: postgres(18).create_database("target"),
        };
        house.source.sql(
            "CREATE TABLE word (id int PRIMARY KEY, word text); CREATE TABLE nothing (id int);
             INSERT INTO word SELECT n, 'word ' || n FROM generate_series(1, 1000) AS n",
        );
        house.configure(shape, top, backup);
        house
    }

    fn configure(&self, shape: Shape, top: &str, backup: &str) {
        let entry = |database: &Database<'_>, name| {
            Entry::of(database).named(name).shape(shape).backup(backup)
        };
        self.sandbox.configure_with(
            top,
            &[entry(&self.source, "source"), entry(&self.target, "target")],
        );
    }

    /// Restores into the target.
    fn restore(&self, from: &str, more: &[&str]) -> Output {
        let arguments = ["restore", "--from", from, "--db", "target"];
        self.sandbox.run(&[&arguments[..], more].concat())
    }

    /// Fails with `status`, says all of `words`, and leaves the target empty.
    #[track_caller]
    fn refuses(&self, from: &str, more: &[&str], status: i32, words: &[&str]) {
        let output = self.restore(from, more).exits(status);
        says(&output, words);
        assert_eq!(output.text(), "");
        self.target_is_empty();
    }

    #[track_caller]
    fn target_is_empty(&self) {
        let count = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
        assert_eq!(self.target.sql(count), "0");
    }
}

#[track_caller]
fn says(output: &Output, words: &[&str]) {
    for word in words {
        assert!(
            output.stderr.contains(word),
            "no {word:?} in: {}",
            output.stderr
        );
    }
}

fn path(archive: &Archive) -> &str {
    archive.path.to_str().expect("a path in UTF-8")
}

/// What `pg_dump` prints of a database without any options.
fn sql_of(database: &Database<'_>) -> Vec<u8> {
    let mut command = database.server.client("pg_dump");
    command.env("PGDATABASE", &database.name);
    let script = crate::support::program::run(command, "").exits(0).stdout;
    assert!(script.windows(10).any(|window| window == b"\\restrict "));
    script
}

// Which backup, and where to.

#[test]
fn a_backup_is_named_by_database_and_time_by_latest_by_key_or_by_path() {
    let house = House::new(SEALED);
    let first = house.sandbox.back_up("source");
    house.source.sql("DELETE FROM word WHERE id > 10");
    house.sandbox.back_up("source");
    for (from, rows) in [
        (&first.id()[..], "1000"),
        (&first.key(), "1000"),
        (path(&first), "1000"),
        ("source/latest", "10"),
    ] {
        let output = house.restore(from, &["--force", "--clean"]).exits(0);
        let text = output.text();
        let fields: Vec<&str> = text.trim_end().split('\t').collect();
        assert_eq!((fields[0], fields[1]), ("target", "ok"), "{text}");
        assert!(fields[3].starts_with('/'), "{text}");
        assert_eq!(
            house.target.sql("SELECT count(*) FROM word"),
            rows,
            "{from}"
        );
    }
    house.target.holds_the_same_as(&house.source);
}

#[test]
fn json_ends_with_a_summary_or_with_the_error() {
    let house = House::new(PLAIN);
    let archive = house.sandbox.back_up("source");
    let last = |output: Output| -> Value {
        let text = output.text();
        serde_json::from_str(text.lines().last().expect("a line")).expect("JSON")
    };
    let done = last(
        house
            .restore("source/latest", &["--force", "--json"])
            .exits(0),
    );
    assert_eq!(
        (&done["type"], &done["database"]),
        (&"summary".into(), &"target".into())
    );
    assert_eq!(done["from"], path(&archive));
    assert_eq!(done["plain_bytes"], archive.bytes().len());
    let failed = last(
        house
            .restore("source/latest", &["--force", "--json"])
            .exits(15),
    );
    assert_eq!(
        (&failed["type"], &failed["exit_status"]),
        (&"error".into(), &15.into())
    );
    assert!(failed["hint"].as_str().expect("a hint").contains("--clean"));
}

#[test]
fn a_backup_that_names_its_database_goes_to_another_only_by_force() {
    let house = House::new(PLAIN);
    let archive = house.sandbox.back_up("source");
    for from in ["source/latest", &archive.id(), &archive.key()] {
        house.refuses(from, &[], 15, &["source", "target", "--force"]);
    }
    house.restore("source/latest", &["--force"]).exits(0);
    // without --db it goes where it came from, which is not empty
    let own = house
        .sandbox
        .run(&["restore", "--from", "source/latest"])
        .exits(15);
    says(&own, &["not empty", &house.source.name]);
}

#[test]
fn latest_alone_asks_which_database_unless_there_is_one() {
    let house = House::new(PLAIN);
    house.sandbox.back_up("source");
    let asked = house.sandbox.run(&["restore", "--from", "latest"]).exits(2);
    says(&asked, &["several databases", "source/latest"]);
    // --db picks it, for the backup and for the target
    let own = house
        .sandbox
        .run(&["restore", "--from", "latest", "--db", "source"])
        .exits(15);
    says(&own, &["not empty"]);
    house
        .sandbox
        .configure_with("", &[Entry::of(&house.source).named("source")]);
    house.source.sql("DROP TABLE word, nothing");
    house.sandbox.run(&["restore", "--from", "latest"]).exits(0);
    assert_eq!(house.source.sql("SELECT count(*) FROM word"), "1000");
}

#[test]
fn a_backup_that_is_not_there_exits_10() {
    let house = House::new(PLAIN);
    house.refuses("source/latest", &["--force"], 10, &["backupkit list"]);
    house.sandbox.back_up("source");
    for from in [
        "source/20240229_020000.123456789Z",
        "source/20240229_020000.123456789Z.dump.gz",
        "./no/such/file.dump",
        "target/latest",
    ] {
        house.refuses(from, &["--force"], 10, &[]);
    }
    let unknown = house
        .sandbox
        .run(&["restore", "--from", "sorce/latest"])
        .exits(10);
    says(&unknown, &["did you mean source?"]);
}

#[test]
fn a_bare_path_goes_to_the_first_database_unless_it_says_that_it_is_anothers() {
    let house = House::new(SEALED);
    house.sandbox.back_up("source");
    let other = house.sandbox.back_up("target");
    let copy = house.sandbox.path("some.file");
    fs::copy(&other.path, &copy).expect("copy an archive");
    house.source.sql("DROP TABLE word, nothing");

    let refused = house
        .sandbox
        .run(&["restore", "--from", "./some.file"])
        .exits(15);
    says(&refused, &["backup of target", "--db source"]);
    for meant in [["--db", "source"].as_slice(), &["--force"]] {
        let arguments = ["restore", "--from", "./some.file"];
        let restored = house
            .sandbox
            .run(&[&arguments[..], meant].concat())
            .exits(0);
        assert!(restored.text().starts_with("source\tok\t"));
    }

    // plain bytes say nothing, and go to the first
    house.configure(PLAIN, "", "lock_timeout: 10m");
    let plain = house.sandbox.back_up("target");
    let restored = house
        .sandbox
        .run(&["restore", "--from", path(&plain)])
        .exits(0);
    assert!(restored.text().starts_with("source\tok\t"));
}

#[test]
fn a_renamed_archive_is_refused_unless_forced() {
    let house = House::new(SEALED);
    let archive = house.sandbox.back_up("source");
    let renamed = "source/20990101_000000.000000000Z.dump.gz.enc";
    house.sandbox.store(renamed, &archive.bytes());
    for from in [
        "source/latest",
        "source/20990101_000000.000000000Z",
        renamed,
    ] {
        // --force for the other database would allow this as well
        let refused = house
            .sandbox
            .run(&["restore", "--clean", "--from", from])
            .exits(15);
        says(
            &refused,
            &[&archive.id(), "source/20990101_000000.000000000Z"],
        );
    }
    house.sandbox.run(&["cat", renamed]).exits(15);
    house.restore(renamed, &["--force"]).exits(0);
    house.target.holds_the_same_as(&house.source);
}

#[test]
fn a_partial_backup_is_never_the_latest() {
    let house = House::new(PLAIN);
    let full = house.sandbox.back_up("source");
    house.configure(PLAIN, "", "options: ['-t', 'nothing']");
    let partial = house.sandbox.back_up("source");
    assert_eq!(partial.manifest()["dump"]["partial"], true);
    house.restore("source/latest", &["--force"]).exits(0);
    house.target.holds_the_same_as(&house.source);
    // by its name it is as good as any
    house
        .restore(&partial.id(), &["--force", "--clean"])
        .exits(0);
    assert!(full.id() < partial.id());

    fs::remove_file(&full.path).expect("it is there");
    let none = house.restore("source/latest", &["--force"]).exits(10);
    says(&none, &["no full backup of source"]);
}

#[test]
fn with_encryption_on_an_unsealed_archive_is_never_the_latest_and_warns_by_name() {
    let house = House::new(PLAIN);
    let plain = house.sandbox.back_up("source");
    house.configure(SEALED, "", "lock_timeout: 10m");
    let none = house.restore("source/latest", &["--force"]).exits(10);
    says(&none, &["no encrypted full backup of source"]);

    house.source.sql("DELETE FROM word WHERE id > 10");
    let sealed = house.sandbox.back_up("source");
    let newer = "source/20990101_000000.000000000Z.dump";
    house.sandbox.store(newer, &plain.bytes());
    let passed = house.restore("source/latest", &["--force"]).exits(0);
    says(&passed, &["passing over", "not encrypted"]);
    assert!(passed.text().contains(path(&sealed)));

    let named = house.restore(newer, &["--force", "--clean"]).exits(0);
    says(
        &named,
        &[
            "warning:",
            "the configuration says gzip and encrypted, the bytes say plain",
        ],
    );
    assert_eq!(house.target.sql("SELECT count(*) FROM word"), "1000");
}

// What the bytes have to be.

#[test]
fn plain_bytes_under_an_encrypted_name_are_damage() {
    let house = House::new(PLAIN);
    let plain = house.sandbox.back_up("source").bytes();
    for (name, bytes) in [("dump.enc", plain.clone()), ("dump.gz.enc", gzip(&plain))] {
        let key = format!("source/20990101_000000.000000000Z.{name}");
        house.sandbox.store(&key, &bytes);
        house.refuses(&key, &["--force"], 13, &["header mismatch"]);
    }
}

#[test]
fn a_name_that_differs_from_the_bytes_warns_and_with_strict_sniff_fails() {
    let house = House::new(PLAIN);
    let plain = house.sandbox.back_up("source").bytes();
    for (name, bytes) in [("dump.gz", plain.clone()), ("dump", gzip(&plain))] {
        let key = format!("source/20990101_000000.000000000Z.{name}");
        let stored = house.sandbox.store(&key, &bytes);
        house.refuses(
            &key,
            &["--force", "--strict-sniff"],
            15,
            &["header mismatch: the name says"],
        );
        house
            .sandbox
            .run(&["cat", "--strict-sniff", &key])
            .exits(15);
        let restored = house.restore(&key, &["--force", "--clean"]).exits(0);
        says(
            &restored,
            &["warning: header mismatch", "going by the bytes"],
        );
        house.target.sql("DROP TABLE word, nothing");
        fs::remove_file(stored.path).expect("it is there");
    }
    // the right name in a configuration that writes another shape
    let archive = house.sandbox.back_up("source");
    house.configure(Shape::new(true, false), "", "lock_timeout: 10m");
    let strict = ["--force", "--strict-sniff"];
    house.refuses(
        &archive.id(),
        &strict,
        15,
        &["the configuration says gzip, the bytes say plain"],
    );
}

#[test]
fn empty_unknown_and_cut_input_is_damage_in_every_shape() {
    let house = House::new(PLAIN);
    let dump = house.sandbox.back_up("source").bytes();
    let cut = &dump[..dump.len() * 2 / 3];
    for (what, plain) in [
        ("empty", &b""[..]),
        ("unknown", b"<html>not found</html>"),
        ("cut", cut),
        ("only a magic", b"PGDMP"),
    ] {
        for (shape, bytes) in [
            ("plain", plain.to_vec()),
            ("gz", gzip(plain)),
            ("enc", seal(plain, ENCRYPTION_PASSWORD, "source/x")),
            (
                "gz.enc",
                seal(&gzip(plain), ENCRYPTION_PASSWORD, "source/x"),
            ),
        ] {
            let file = house.sandbox.path("broken");
            fs::write(&file, bytes).expect("write it");
            house.configure(SEALED, "", "lock_timeout: 10m");
            let output = house.restore("./broken", &[]);
            assert_eq!(
                output.status.code(),
                Some(13),
                "{what} {shape}: {}",
                output.stderr
            );
            house.target_is_empty();
        }
    }
}

#[test]
fn a_checksum_that_differs_is_damage_and_a_missing_one_is_not() {
    let house = House::new(PLAIN);
    let archive = house.sandbox.back_up("source");
    let checksum = fs::read_to_string(archive.checksum_path()).expect("read it");
    fs::write(
        archive.checksum_path(),
        checksum.replace(&checksum[..4], "0000"),
    )
    .expect("write it");
    house.refuses("source/latest", &["--force"], 13, &["checksum"]);
    fs::remove_file(archive.checksum_path()).expect("it is there");
    house.restore("source/latest", &["--force"]).exits(0);
}

#[test]
fn a_wrong_password_a_missing_one_and_a_previous_one_are_told_apart() {
    let house = House::new(SEALED);
    let archive = house.sandbox.back_up("source");
    let with = |keys: &str| {
        let entry = |database: &Database<'_>, name: &str| {
            let entry = Entry::of(database).named(name).shape(SEALED);
            entry.encryption(keys)
        };
        let entries = [
            entry(&house.source, "source"),
            entry(&house.target, "target"),
        ];
        house.sandbox.configure_with("", &entries);
    };
    with("enabled: true, password: 'another one'");
    house.refuses("source/latest", &["--force"], 12, &["wrong password"]);
    house.configure(PLAIN, "", "lock_timeout: 10m");
    house.refuses("source/latest", &["--force"], 2, &["encryption"]);
    house.refuses(path(&archive), &[], 2, &["encryption"]);

    with(&format!(
        "enabled: true, password: 'another one', previous_passwords: ['older', '{ENCRYPTION_PASSWORD}']"
    ));
    house.restore("source/latest", &["--force"]).exits(0);
    // what is written from now on needs the new password alone
    let new = house.sandbox.back_up("source");
    with("enabled: true, password: 'another one'");
    house.sandbox.run(&["cat", &new.id()]).exits(0);
    house.sandbox.run(&["cat", &archive.id()]).exits(12);
}

// What the target has to be.

#[test]
fn a_target_that_holds_something_is_refused_early_and_stays() {
    let house = House::new(PLAIN);
    house.sandbox.back_up("source");
    for thing in [
        "CREATE TABLE mine AS SELECT 1 AS one",
        "CREATE VIEW mine AS SELECT 1 AS one",
        "CREATE SEQUENCE mine",
        "CREATE MATERIALIZED VIEW mine AS SELECT 1 AS one",
    ] {
        house.target.sql(thing);
        let before = house.target.fingerprint();
        let refused = house.restore("source/latest", &["--force"]).exits(15);
        says(&refused, &["not empty", "public.mine", "--clean"]);
        assert_eq!(house.target.fingerprint(), before);
        let kind = thing.split_once(" mine").expect("it is called so").0;
        house
            .target
            .sql(&format!("{} mine", kind.replace("CREATE", "DROP")));
    }
    house.restore("source/latest", &["--force"]).exits(0);
}

#[test]
fn schemas_and_extensions_alone_leave_a_target_empty() {
    let house = House::new(PLAIN);
    house.sandbox.back_up("source");
    // an extension with views of its own
    house.target.sql(
        "CREATE EXTENSION pg_buffercache; CREATE SCHEMA app; CREATE EXTENSION citext SCHEMA app",
    );
    house.restore("source/latest", &["--force"]).exits(0);
    assert_eq!(house.target.sql("SELECT count(*) FROM word"), "1000");
}

#[test]
fn clean_replaces_what_the_backup_holds_and_nothing_else() {
    let house = House::new(SEALED);
    house.sandbox.back_up("source");
    house
        .target
        .sql("CREATE TABLE word (other text); CREATE TABLE mine AS SELECT 1 AS one");
    for _ in 0..2 {
        house
            .restore("source/latest", &["--force", "--clean"])
            .exits(0);
        assert_eq!(
            house.target.sql("SELECT count(*), max(word) FROM word"),
            "1000|word 999"
        );
        assert_eq!(house.target.sql("SELECT one FROM mine"), "1");
    }
    house.target.sql("DROP TABLE mine");
    house.target.holds_the_same_as(&house.source);
}

#[test]
fn what_clean_cannot_drop_leaves_the_target_as_it_was_and_is_explained() {
    let house = House::new(PLAIN);
    house.source.sql(
        "CREATE TABLE part (id int PRIMARY KEY) PARTITION BY RANGE (id);
         CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (1) TO (9); INSERT INTO part VALUES (3)",
    );
    house.sandbox.back_up("source");
    house.restore("source/latest", &["--force"]).exits(0);
    house.target.sql("INSERT INTO part VALUES (5)");
    let before = house.target.fingerprint();
    let failed = house
        .restore("source/latest", &["--force", "--clean"])
        .exits(1);
    says(
        &failed,
        &["cannot drop inherited constraint", "empty database"],
    );
    assert_eq!(house.target.fingerprint(), before);
}

#[test]
fn a_failing_statement_leaves_nothing_behind() {
    for (client, server) in [(18, 18), (18, 14)] {
        let server = postgres(server);
        let (source, target) = (
            server.create_database("source"),
            server.create_database("target"),
        );
        source.sql("CREATE TABLE a AS SELECT 1 AS one; CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'");
        // it holds no relation, so it counts as empty, but the function is in the way
        target.sql("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2'");
        let before = target.fingerprint();
        let sandbox = Sandbox::new(client);
        let top = format!("bin_dir: '{}'", bin(client).display());
        let entries = [
            Entry::of(&source).named("source"),
            Entry::of(&target).named("target"),
        ];
        sandbox.configure_with(&top, &entries);
        sandbox.back_up("source");
        let arguments = [
            "restore",
            "--from",
            "source/latest",
            "--db",
            "target",
            "--force",
        ];
        let failed = sandbox.run(&arguments).exits(1);
        says(&failed, &["already exists", "--clean"]);
        assert_eq!(target.fingerprint(), before);
        sandbox
            .run(&[&arguments[..], &["--clean"]].concat())
            .exits(0);
        target.holds_the_same_as(&source);
    }
}

#[test]
fn owners_and_grants_come_back_or_are_left_out() {
    let house = House::new(PLAIN);
    let role = house.source.server.create_role("owner");
    house.source.sql(&format!(
        "ALTER TABLE word OWNER TO {role}; GRANT SELECT ON nothing TO {role}"
    ));
    house.sandbox.back_up("source");
    let owner = "SELECT relowner::regrole FROM pg_class WHERE relname = 'word'";
    let grants = "SELECT count(*) FROM information_schema.table_privileges WHERE grantee <> grantor AND table_name = 'nothing'";
    house.restore("source/latest", &["--force"]).exits(0);
    assert_eq!(house.target.sql(owner), role);
    assert_eq!(house.target.sql(grants), "1");
    let without = ["--force", "--clean", "--no-owner", "--no-privileges"];
    house.restore("source/latest", &without).exits(0);
    assert_eq!(house.target.sql(owner), "postgres");
    assert_eq!(house.target.sql(grants), "0");
}

#[test]
fn a_role_that_does_not_exist_is_explained_and_leaves_nothing() {
    let house = House::new(PLAIN);
    let role = house.source.server.create_role("leaver");
    house
        .source
        .sql(&format!("ALTER TABLE word OWNER TO {role}"));
    house.sandbox.back_up("source");
    house.source.sql(&format!(
        "ALTER TABLE word OWNER TO postgres; DROP ROLE {role}"
    ));
    house.refuses("source/latest", &["--force"], 1, &[&role, "--no-owner"]);
    house
        .restore("source/latest", &["--force", "--no-owner"])
        .exits(0);
}

fn an_ordinary_owner_backs_up_and_restores_on(major: u32) {
    let server = postgres(major);
    let role = server.create_role("owner");
    let source = server.create_database_of(&role, "source");
    let target = server.create_database_of(&role, "target");
    source.load_as(&role, "shop.sql", &["scale=0.002"]);
    let sandbox = Sandbox::new(major);
    let entry = |database: &Database<'_>, name: &str| {
        let entry = Entry::of(database).named(name).shape(SEALED);
        entry.login(database, &role, &role)
    };
    sandbox.configure_with("", &[entry(&source, "source"), entry(&target, "target")]);
    sandbox.back_up("source");
    sandbox
        .run(&[
            "restore",
            "--from",
            "source/latest",
            "--db",
            "target",
            "--force",
        ])
        .exits(0);
    target.holds_the_same_as(&source);
    assert_eq!(
        target.sql("SELECT tableowner FROM pg_tables WHERE tablename = 'customer'"),
        role
    );
}

#[test]
fn an_owner_who_is_no_superuser_backs_up_and_restores_on_14() {
    an_ordinary_owner_backs_up_and_restores_on(14);
}

#[test]
fn an_owner_who_is_no_superuser_backs_up_and_restores_on_18() {
    an_ordinary_owner_backs_up_and_restores_on(18);
}

#[test]
fn a_database_without_any_table_comes_back() {
    let house = House::new(SEALED);
    house.source.sql("DROP TABLE word, nothing");
    house.sandbox.back_up("source");
    house.restore("source/latest", &["--force"]).exits(0);
    house.target.holds_the_same_as(&house.source);
}

#[test]
fn a_database_whose_name_needs_quotes_is_restored_into() {
    let sandbox = Sandbox::new(18);
    let source = postgres(18).create_database_named(r#"from a="b" it's \ ünï"#);
    let target = postgres(18).create_database_named(r#"to a="b" it's \ ünï"#);
    source.sql("CREATE TABLE t AS SELECT 7 AS seven");
    sandbox.configure_with(
        "",
        &[
            Entry::of(&source).named("from"),
            Entry::of(&target).named("to"),
        ],
    );
    sandbox.back_up("from");
    sandbox
        .run(&["restore", "--from", "from/latest", "--db", "to", "--force"])
        .exits(0);
    target.holds_the_same_as(&source);
}

#[test]
fn thousands_of_tables_come_back_and_a_full_lock_table_names_the_way_out() {
    // of its own: a lock table that is full is full for everybody
    let server = Server::start(18, &[]);
    let source = server.create_database("source");
    source.sql(
        "DO $$ BEGIN FOR n IN 1..3000 LOOP
            EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, t text)', n);
            EXECUTE format('INSERT INTO t%s VALUES (%s, %L)', n, n, n);
            IF n % 100 = 0 THEN COMMIT; END IF;
         END LOOP; END $$",
    );
    let target = server.create_database("target");
    let sandbox = Sandbox::new(18);
    let entries = [
        Entry::of(&source).named("source"),
        Entry::of(&target).named("target"),
    ];
    sandbox.configure_with("", &entries);
    sandbox.back_up("source");
    let arguments = [
        "restore",
        "--from",
        "source/latest",
        "--db",
        "target",
        "--force",
    ];
    let failed = sandbox.run(&arguments).exits(1);
    says(
        &failed,
        &["max_locks_per_transaction", "--no-single-transaction"],
    );
    let tables = "SELECT count(*) FROM pg_tables WHERE tablename ~ '^t[0-9]+$'";
    assert_eq!(target.sql(tables), "0");
    sandbox
        .run(&[&arguments[..], &["--no-single-transaction"]].concat())
        .exits(0);
    target.holds_the_same_as(&source);
    assert_eq!(target.sql(tables), "3000");
}

// SQL text.

#[test]
fn sql_is_refused_without_its_flag_and_restored_with_it_in_every_shape() {
    let house = House::new(PLAIN);
    let script = sql_of(&house.source);
    for (name, bytes) in [
        ("dump", script.clone()),
        ("dump.gz", gzip(&script)),
        (
            "dump.enc",
            seal(
                &script,
                ENCRYPTION_PASSWORD,
                "source/20990101_000000.000000000Z",
            ),
        ),
        (
            "dump.gz.enc",
            seal(
                &gzip(&script),
                ENCRYPTION_PASSWORD,
                "source/20990101_000000.000000000Z",
            ),
        ),
    ] {
        let shape = SHAPES
            .into_iter()
            .find(|shape| shape.suffix() == format!(".{name}"));
        house.configure(shape.expect("one of them"), "", "lock_timeout: 10m");
        let key = format!("source/20990101_000000.000000000Z.{name}");
        house.sandbox.store(&key, &bytes);
        house.refuses(&key, &["--force"], 15, &["SQL", "--allow-sql-fallback"]);
        let clean = ["--force", "--allow-sql-fallback", "--clean"];
        house.refuses(&key, &clean, 15, &["--clean", "SQL"]);
        house
            .restore(&key, &["--force", "--allow-sql-fallback"])
            .exits(0);
        house.target.holds_the_same_as(&house.source);
        house.target.sql("DROP TABLE word, nothing");
    }
}

#[test]
fn a_failing_statement_of_sql_leaves_nothing_behind() {
    let house = House::new(PLAIN);
    for script in [
        "CREATE TABLE a (i int);\nINSERT INTO a VALUES (1);\nSELECT 1/0;\n",
        "SELECT 1;\nCREATE TABLE a (i int);\nCREATE TABLE a (i int);\n",
        "CREATE TABLE a (i int);\nCOPY a FROM stdin;\nx\n\\.\nCREATE TABLE b (i int);\n",
    ] {
        fs::write(house.sandbox.path("script"), script).expect("write it");
        house.refuses("./script", &["--allow-sql-fallback"], 1, &["psql"]);
    }
}

#[test]
fn cut_sql_leaves_nothing_behind_wherever_it_is_cut() {
    let house = House::new(PLAIN);
    house
        .source
        .sql("CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$\nSELECT 'x';\n$$");
    let script = String::from_utf8(sql_of(&house.source)).expect("text");
    let unrestricted: String = script
        .split_inclusive('\n')
        .filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"))
        .collect();
    for script in [script, unrestricted] {
        let after = |text: &str| script.find(text).expect(text) + text.len();
        for cut in [
            after("SELECT 'x"),
            after("AS $"),
            after("CREATE TABLE public.word"),
            after("id integer NOT NULL,\n    word text\n);\n"),
            after("FROM stdin;\n"),
            after("500\tword 500\n"),
            after("500\tword 5"),
            after("1000\tword 1000\n\\."),
            after("1000\tword 1000\n\\.\n"),
            after("-- PostgreSQL database dump complete") - 5,
        ] {
            fs::write(house.sandbox.path("script"), &script[..cut]).expect("write it");
            let cut_at = &script[cut.saturating_sub(40)..cut];
            let output = house.restore("./script", &["--allow-sql-fallback"]);
            assert_eq!(
                output.status.code(),
                Some(13),
                "{cut_at:?}: {}",
                output.stderr
            );
            house.target_is_empty();
        }
        fs::write(house.sandbox.path("script"), &script).expect("write it");
        house
            .restore("./script", &["--allow-sql-fallback"])
            .exits(0);
        house
            .target
            .sql("DROP TABLE word, nothing; DROP FUNCTION f");
    }
}

#[test]
fn sql_that_nobody_dumped_is_restored_whole_or_not_at_all() {
    let house = House::new(PLAIN);
    fs::write(
        house.sandbox.path("script"),
        "CREATE TABLE a (t text);\nCOPY a FROM stdin;\nx\n",
    )
    .expect("write");
    // no footer tells that it is cut; that it ends within the rows does
    let output = house.restore("./script", &["--allow-sql-fallback"]);
    assert!(!output.status.success(), "{}", output.stderr);
    house.target_is_empty();
    fs::write(
        house.sandbox.path("script"),
        "CREATE TABLE a (t text);\nINSERT INTO a VALUES ('x')",
    )
    .expect("write");
    house
        .restore("./script", &["--allow-sql-fallback"])
        .exits(0);
    assert_eq!(house.target.sql("SELECT t FROM a"), "x");
}

// Tools and locks.

#[test]
fn only_the_tools_that_are_needed_have_to_be_there() {
    let house = House::new(PLAIN);
    house.sandbox.back_up("source");
    let script = sql_of(&house.source);
    fs::write(house.sandbox.path("script"), script).expect("write it");
    let no_tools = clients(&house.sandbox, 18, &[]);
    let top = format!("bin_dir: '{}'", no_tools.display());
    house.configure(PLAIN, &top, "lock_timeout: 10m");
    house.refuses(
        "source/latest",
        &["--force"],
        1,
        &["pg_restore not found", "postgresql-client"],
    );
    house.refuses(
        "./script",
        &["--allow-sql-fallback"],
        1,
        &["psql not found"],
    );

    clients(&house.sandbox, 18, &["pg_restore"]);
    let restored = house.restore("source/latest", &["--force"]).exits(0);
    says(&restored, &["psql is not installed"]);
    house.target.holds_the_same_as(&house.source);
    // without psql nobody looked whether the target is empty; pg_restore notices and undoes
    let before = house.target.fingerprint();
    let again = house.restore("source/latest", &["--force"]).exits(1);
    says(&again, &["already exists", "--clean"]);
    assert_eq!(house.target.fingerprint(), before);
}

#[test]
fn a_pg_restore_that_is_too_old_for_the_dump_is_explained() {
    let house = House::new(PLAIN);
    house.sandbox.back_up("source");
    let top = format!("bin_dir: '{}'", bin(15).display());
    house.configure(PLAIN, &top, "lock_timeout: 10m");
    house.refuses(
        "source/latest",
        &["--force"],
        1,
        &[
            "made by pg_dump 17 or newer",
            "newest pg_restore here is 15",
        ],
    );
}

fn a_held_table_stops_a_restore(client: u32, server: u32) {
    let server = postgres(server);
    let (source, target) = (
        server.create_database("source"),
        server.create_database("target"),
    );
    for database in [&source, &target] {
        database.sql("CREATE TABLE a AS SELECT 1 AS one");
    }
    target.sql("UPDATE a SET one = 2");
    let sandbox = Sandbox::new(client);
    let entry = |database: &Database<'_>, name: &str| {
        let entry = Entry::of(database).named(name);
        entry.backup("lock_timeout: 1s")
    };
    sandbox.configure_with(
        &format!("bin_dir: '{}'", bin(client).display()),
        &[entry(&source, "source"), entry(&target, "target")],
    );
    sandbox.back_up("source");
    let holder = target.hold("a");
    let arguments = [
        "restore",
        "--from",
        "source/latest",
        "--db",
        "target",
        "--force",
        "--clean",
    ];
    let failed = sandbox.run(&arguments).exits(1);
    says(&failed, &["lock", "the one in the way"]);
    drop(holder);
    assert_eq!(target.sql("SELECT one FROM a"), "2");
    sandbox.run(&arguments).exits(0);
    target.holds_the_same_as(&source);
}

#[test]
fn a_held_table_stops_a_restore_and_names_who_holds_it() {
    a_held_table_stops_a_restore(18, 18);
}

#[test]
fn a_held_table_stops_a_restore_into_an_older_server_as_well() {
    a_held_table_stops_a_restore(18, 16);
}
