//! What the target has to be, and what is left of it where a restore fails.

use super::{House, PLAIN, SEALED, says};
use crate::support::entry::Entry;
use crate::support::postgres::{Database, Server, bin, postgres};
use crate::support::sandbox::Sandbox;

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
fn a_failing_statement_leaves_nothing_behind() {
    for (client, server) in [(18, 18), (18, 14)] {
        let server = postgres(server);
        let (source, target) = (
            server.create_database("source"),
            server.create_database("target"),
        );
        source
            .sql("CREATE TABLE a AS SELECT 1 AS one; CREATE CAST (money AS int8) WITHOUT FUNCTION");
        // it holds no relation, so it counts as empty, but the cast is in the way, which no one looks for
        target.sql("CREATE CAST (money AS int8) WITHOUT FUNCTION");
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

fn what_only_an_extensions_owner_may_do_is_left_out_and_named_on(major: u32) {
    let server = postgres(major);
    let role = server.create_role("tenant");
    let source = server.create_database_of(&role, "source");
    let target = server.create_database_of(&role, "target");
    // as a managed server does: the extensions are there, and not the tenant's
    for database in [&source, &target] {
        database.sql("CREATE EXTENSION citext; CREATE EXTENSION pg_trgm");
    }
    source.sql_as(&role, "CREATE TABLE a AS SELECT 'x'::citext AS x");
    let sandbox = Sandbox::new(major);
    let entry = |database: &Database<'_>, name: &str| {
        Entry::of(database)
            .named(name)
            .login(database, &role, &role)
    };
    sandbox.configure_with("", &[entry(&source, "source"), entry(&target, "target")]);
    sandbox.back_up("source");
    let arguments = [
        "restore",
        "--from",
        "source/latest",
        "--db",
        "target",
        "--force",
    ];
    let comments = [
        "the comment on the extension citext",
        "the comment on the extension pg_trgm",
    ];
    let restored = sandbox.run(&arguments).exits(0);
    says(&restored, &comments);
    target.holds_the_same_as(&source);
    // their drops as well
    target.sql_as(&role, "INSERT INTO a VALUES ('y')");
    let cleaned = sandbox
        .run(&[&arguments[..], &["--clean"]].concat())
        .exits(0);
    says(&cleaned, &comments);
    says(&cleaned, &["dropping and creating the extension citext"]);
    target.holds_the_same_as(&source);
    // whoever may do it does it
    let owner = server.create_database("target");
    owner.sql("CREATE EXTENSION citext");
    let own = Entry::of(&owner).named("target");
    sandbox.configure_with("", &[entry(&source, "source"), own]);
    let restored = sandbox.run(&arguments).exits(0);
    assert!(!restored.stderr.contains("left out"), "{}", restored.stderr);
    owner.holds_the_same_as(&source);
}

#[test]
fn what_only_an_extensions_owner_may_do_is_left_out_and_named_on_14() {
    what_only_an_extensions_owner_may_do_is_left_out_and_named_on(14);
}

#[test]
fn what_only_an_extensions_owner_may_do_is_left_out_and_named_on_18() {
    what_only_an_extensions_owner_may_do_is_left_out_and_named_on(18);
}

#[test]
fn a_target_that_does_not_exist_is_explained() {
    let house = House::new(PLAIN);
    house.sandbox.back_up("source");
    house
        .source
        .server
        .maintenance()
        .sql(&format!("DROP DATABASE {}", house.target.name));
    let failed = house.restore("source/latest", &["--force"]).exits(10);
    says(&failed, &[&house.target.name, "does not exist", "--create"]);
    assert_eq!(failed.stderr.matches("hint: ").count(), 1);
}

#[test]
fn a_server_that_follows_another_one_is_no_target_and_a_dry_run_says_so() {
    let house = House::new(PLAIN);
    house.sandbox.back_up("source");
    let follower = Server::start(18, &[]);
    follower.follow();
    let entries = [
        Entry::of(&house.source).named("source"),
        Entry::of(&follower.maintenance()).named("target"),
    ];
    house.sandbox.configure_with("", &entries);
    for more in [&["--clean", "--yes"][..], &["--to", "made", "--create"]] {
        let more = [&["--force"], more].concat();
        let dry = house.restore("source", &[&more[..], &["--dry-run"]].concat());
        let real = house.restore("source", &more).exits(15);
        says(&dry.exits(15), &["follows another one"]);
        says(&real, &["follows another one"]);
    }
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
    let server = Server::start(18, &["max_locks_per_transaction=36"]);
    let source = server.create_database("source");
    source.sql(
        "DO $$ BEGIN FOR n IN 1..3000 LOOP
            EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY)', n);
            EXECUTE format('INSERT INTO t%s VALUES (%s)', n, n);
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

/// What a row says is no diagnosis, and neither is the name of a table.
#[test]
fn the_words_of_a_row_that_the_target_refuses_decide_no_exit_status() {
    let house = House::new(PLAIN);
    let rows = [
        "unexpected end of file",
        "Connection refused",
        "pg_restore: error: unexpected end of file",
        "psql:<stdin>:1: ERROR:  canceling statement due to lock timeout",
    ];
    let rows: Vec<String> = rows.map(|row| format!("('{row}'), (E'a\\n{row}')")).into();
    house.source.sql(&format!(
        "CREATE TABLE \"ERROR:  No space left\" (t text); INSERT INTO \"ERROR:  No space left\" VALUES {}",
        rows.join(", ")
    ));
    house.sandbox.back_up("source");
    house.target.sql(
        "CREATE TABLE word (id int PRIMARY KEY, word text); CREATE TABLE nothing (id int); \
         CREATE TABLE \"ERROR:  No space left\" (t text CHECK (t NOT LIKE '%o%'))",
    );
    let output = house
        .restore("source/latest", &["--data-only", "--force"])
        .exits(1);
    assert!(!output.stderr.contains("hint: "), "{}", output.stderr);
}
