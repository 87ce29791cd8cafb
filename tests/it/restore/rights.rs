//! What a login may not do, what it finds in its target, and the options that lead out.

use super::{House, PLAIN, says};
use crate::support::entry::Entry;
use crate::support::postgres::{Server, postgres};
use crate::support::sandbox::Sandbox;

/// Objects that options leave out.
const KINDS: &str = "SET client_min_messages = error;
    CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
    CREATE EVENT TRIGGER watches ON sql_drop EXECUTE FUNCTION on_ddl(); COMMENT ON EVENT TRIGGER watches IS 'watches';
    CREATE PUBLICATION everything FOR ALL TABLES; CREATE PUBLICATION words FOR TABLE word;
    COMMENT ON PUBLICATION words IS 'words'; COMMENT ON TABLE word IS 'a word';
    CREATE SUBSCRIPTION follows CONNECTION 'host=127.0.0.1 port=1 dbname=x' PUBLICATION p
        WITH (connect = false, slot_name = NONE);";

/// How many event triggers, publications, published tables, subscriptions and comments there are.
const COUNTS: &str = "SELECT (SELECT count(*) FROM pg_event_trigger), (SELECT count(*) FROM pg_publication),
    (SELECT count(*) FROM pg_publication_rel), (SELECT count(*) FROM pg_subscription s JOIN pg_database d ON d.oid = subdbid
        WHERE datname = current_database()),
    (SELECT count(*) FROM pg_description WHERE description IN ('watches', 'words', 'a word'))";

#[test]
fn kinds_of_object_are_left_out_as_pg_restore_leaves_them_out() {
    let house = House::new(PLAIN);
    house.source.sql(KINDS);
    house.sandbox.back_up("source");
    let run = |more: &[&str]| {
        let output = house.restore("source", &[&["--force", "--clean", "--yes"], more].concat());
        output.exits(0);
        let counts = house.target.sql(COUNTS);
        house.target.sql(
            "SET client_min_messages = error; DROP EVENT TRIGGER IF EXISTS watches; DROP PUBLICATION IF EXISTS everything, words;
             DROP SUBSCRIPTION IF EXISTS follows",
        );
        counts
    };
    assert_eq!(run(&[]), "1|2|1|1|3");
    for jobs in [&[][..], &["--jobs", "2"]] {
        let counts = |options: &[&str]| run(&[options, jobs].concat());
        assert_eq!(counts(&["--no-publications"]), "1|0|0|1|2");
        assert_eq!(counts(&["--no-subscriptions"]), "1|2|1|0|3");
        assert_eq!(counts(&["--no-event-triggers"]), "0|2|1|1|2");
        assert_eq!(
            counts(&["--no-comments", "--no-security-labels"]),
            "1|2|1|1|0"
        );
        assert_eq!(
            counts(&["--no-publications", "--no-event-triggers", "--schema-only"]),
            "0|0|0|1|1"
        );
    }
}

/// A database `target` that belongs to a login without rights, under that login, and a `source` that the superuser backs up.
struct Restricted {
    house: House,
    role: String,
}

impl Restricted {
    fn new(source: &str) -> Restricted {
        let house = House::new(PLAIN);
        house.source.sql(source);
        let server: &Server = house.target.server;
        let role = server.create_role("restricted");
        let give = format!("ALTER DATABASE {} OWNER TO {role}", house.target.name);
        server.maintenance().sql(&give);
        house.sandbox.configure_with(
            "",
            &[
                Entry::of(&house.source).named("source"),
                Entry::of(&house.target)
                    .named("target")
                    .login(&house.target, &role, &role),
            ],
        );
        house.sandbox.back_up("source");
        Restricted { house, role }
    }

    fn restore(&self, more: &[&str]) -> crate::support::program::Output {
        let options = ["--force", "--no-owner", "--no-privileges"];
        self.house.restore("source", &[&options, more].concat())
    }
}

#[test]
fn what_is_only_a_superusers_is_refused_with_the_options_that_lead_out() {
    let restricted = Restricted::new(KINDS);
    let refused = restricted.restore(&["--dry-run"]).exits(1);
    says(
        &refused,
        &[
            "only a superuser may make",
            "event trigger watches",
            "publication everything",
            "--no-event-triggers --no-publications",
            "--no-subscriptions",
        ],
    );
    let options = [
        "--no-event-triggers",
        "--no-publications",
        "--no-subscriptions",
    ];
    restricted
        .restore(&[&options[..], &["--dry-run"]].concat())
        .exits(0);
    restricted.restore(&options).exits(0);
    assert_eq!(
        restricted.house.target.sql("SELECT count(*) FROM word"),
        "1000"
    );
}

#[test]
fn an_extension_that_a_superuser_made_beforehand_is_no_dead_end() {
    let restricted = Restricted::new(
        "CREATE SCHEMA inspection; CREATE EXTENSION pageinspect SCHEMA inspection; COMMENT ON EXTENSION pageinspect IS 'pages'",
    );
    let refused = restricted.restore(&["--dry-run"]).exits(1);
    let way = "CREATE SCHEMA IF NOT EXISTS \"inspection\"; CREATE EXTENSION \"pageinspect\" SCHEMA \"inspection\"";
    says(
        &refused,
        &["only a superuser may create the extension pageinspect", way],
    );
    // the hint, to its end
    restricted.house.target.sql(way);
    let dry = restricted.restore(&["--dry-run"]).exits(0);
    assert!(
        dry.text()
            .contains("the comment on the extension pageinspect"),
        "{}",
        dry.text()
    );
    restricted.restore(&[]).exits(0);
    restricted
        .restore(&["--clean", "--yes", "--dry-run"])
        .exits(0);
    restricted.restore(&["--clean", "--yes"]).exits(0);
    assert_eq!(
        restricted.house.target.sql("SELECT count(*) FROM word"),
        "1000"
    );
}

#[test]
fn a_security_label_whose_provider_is_not_loaded_is_seen_beforehand() {
    let house = House::new(PLAIN);
    // as if the source had it
    house.source.sql(
        "SET allow_system_table_mods = on; INSERT INTO pg_seclabel
         VALUES ('word'::regclass, 'pg_class'::regclass, 0, 'an \"odd\" one', 'secret')",
    );
    house.sandbox.back_up("source");
    for more in [&["--clean", "--yes"][..], &["--to", "labelled", "--create"]] {
        let more = [&["--force"], more].concat();
        let dry = house.restore("source", &[&more[..], &["--dry-run"]].concat());
        let real = house.restore("source", &more).exits(1);
        assert_eq!(dry.exits(1).stderr, real.stderr);
        says(
            &real,
            &[
                "has not loaded the provider an \"odd\" one",
                "--no-security-labels",
            ],
        );
        let without = [&more[..], &["--no-security-labels"]].concat();
        house.restore("source", &without).exits(0);
    }
    // an extension may bring it along
    house.source.sql("CREATE EXTENSION citext");
    house.sandbox.back_up("source");
    let doubtful = ["--force", "--clean", "--yes", "--dry-run"];
    let doubtful = house.restore("source", &doubtful).exits(0);
    assert!(
        doubtful.text().contains("may fail at"),
        "{}",
        doubtful.text()
    );
    house
        .source
        .server
        .maintenance()
        .sql("DROP DATABASE labelled");
}

#[test]
fn a_parameter_of_superusers_is_refused_and_granting_it_helps() {
    let restricted = Restricted::new(
        "CREATE FUNCTION quiet() RETURNS int LANGUAGE sql SET log_statement = 'none' AS 'SELECT 1'",
    );
    let refused = restricted.restore(&["--dry-run"]).exits(1);
    let way = format!(
        "GRANT SET ON PARAMETER \"log_statement\" TO \"{}\"",
        restricted.role
    );
    says(
        &refused,
        &[
            "may not set log_statement, as function public.quiet() does",
            &way,
        ],
    );
    restricted.house.target.sql(&way);
    restricted.restore(&["--dry-run"]).exits(0);
    restricted.restore(&[]).exits(0);
}

#[test]
fn functions_and_other_objects_that_are_there_are_told_beforehand() {
    let house = House::new(PLAIN);
    let made = "CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE COLLATION c (provider = libc, locale = 'C')";
    house.source.sql(made);
    house.sandbox.back_up("source");
    house.target.sql(made);
    let refused = house.restore("source", &["--force", "--dry-run"]).exits(15);
    says(
        &refused,
        &[
            "function public.f(integer)",
            "collation public.c",
            "--clean",
        ],
    );
    house
        .restore("source", &["--force", "--clean", "--yes"])
        .exits(0);
    assert_eq!(house.target.sql("SELECT count(*) FROM word"), "1000");
}

#[test]
fn a_database_that_is_read_only_by_its_settings_is_restored_into() {
    let house = House::new(PLAIN);
    house.sandbox.back_up("source");
    let read_only = format!(
        "ALTER DATABASE {} SET default_transaction_read_only = on",
        house.target.name
    );
    house.target.server.maintenance().sql(&read_only);
    for more in [&[][..], &["--clean", "--yes", "--jobs", "2"]] {
        let more = [&["--force"], more].concat();
        house
            .restore("source", &[&more[..], &["--dry-run"]].concat())
            .exits(0);
        let restored = house.restore("source", &more).exits(0);
        says(&restored, &["is read-only by its settings"]);
    }
    assert_eq!(house.target.sql("SELECT count(*) FROM word"), "1000");
}

#[test]
fn rows_are_read_as_meant_whatever_the_target_sets_for_its_sessions() {
    let house = House::new(PLAIN);
    house.source.sql(
        "CREATE TABLE list (id int, texts text[]); INSERT INTO list VALUES (1, ARRAY[NULL, 'NULL']);
         CREATE VIEW seen AS SELECT id FROM list; CREATE MATERIALIZED VIEW kept AS SELECT id FROM seen",
    );
    house.sandbox.back_up("source");
    let (server, name) = (house.target.server.maintenance(), &house.target.name);
    for setting in [
        "array_nulls = off",
        "restrict_nonsystem_relation_kind = 'view'",
    ] {
        server.sql(&format!("ALTER DATABASE {name} SET {setting}"));
    }
    for more in [
        &["--clean", "--yes"][..],
        &["--clean", "--yes", "--jobs", "2"],
    ] {
        house
            .restore("source", &[&["--force"], more].concat())
            .exits(0);
        assert_eq!(
            house
                .target
                .sql("SELECT texts, (texts)[1] IS NULL FROM list"),
            r#"{NULL,"NULL"}|t"#
        );
    }
    // nor does SQL text depend on them
    let text = house.sandbox.path("source.sql");
    std::fs::write(&text, super::sql_of(&house.source)).expect("write a file");
    house
        .target
        .sql("DROP MATERIALIZED VIEW kept; DROP VIEW seen; DROP TABLE list, word, nothing");
    let text = text.to_str().expect("a path in UTF-8");
    house
        .restore(text, &["--force", "--allow-sql-fallback"])
        .exits(0);
    assert_eq!(house.target.sql("SELECT texts[1] IS NULL FROM list"), "t");
}

#[test]
fn what_an_older_server_does_not_know_is_told_beforehand() {
    let (newer, older) = (postgres(18), postgres(14));
    let source = newer.create_database("newer");
    source.sql("CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a * 2) VIRTUAL, UNIQUE NULLS NOT DISTINCT (a))");
    let target = older.create_database("older");
    let sandbox = Sandbox::new(18);
    sandbox.configure_with(
        "",
        &[
            Entry::of(&source).named("source"),
            Entry::of(&target).named("target"),
        ],
    );
    sandbox.back_up("source");
    let arguments = [
        "restore",
        "--from",
        "source",
        "--db",
        "target",
        "--force",
        "--dry-run",
    ];
    let refused = sandbox.run(&arguments).exits(1);
    says(
        &refused,
        &[
            "PostgreSQL 14 does not know columns that are computed when read: table public.t",
            "NULLS NOT DISTINCT",
            "PostgreSQL 18 or newer",
        ],
    );
}
