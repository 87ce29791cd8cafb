//! More to drop and to make than one transaction has locks for: that is said beforehand, and each way out that is named works.

use super::says;
use crate::support::entry::Entry;
use crate::support::postgres::{Database, Server};
use crate::support::sandbox::Sandbox;

/// Room for some 1,400 locks.
const SMALL: [&str; 2] = ["max_locks_per_transaction=10", "max_connections=20"];

const TABLES: &str = "DO $$ BEGIN FOR n IN 1..250 LOOP
    EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, v text)', n);
    EXECUTE format('INSERT INTO t%s VALUES (%s)', n, n);
    IF n % 25 = 0 THEN COMMIT; END IF;
 END LOOP; END $$";
const PARTITIONS: &str = "CREATE TABLE p (id int PRIMARY KEY, v text) PARTITION BY LIST (id);
 CREATE VIEW seen AS SELECT * FROM p;
 DO $$ BEGIN FOR n IN 1..280 LOOP
    EXECUTE format('CREATE TABLE p%s PARTITION OF p FOR VALUES IN (%s)', n, n);
    IF n % 10 = 0 THEN COMMIT; END IF;
 END LOOP; END $$;
 INSERT INTO p SELECT n FROM generate_series(1, 280) n";

const LARGE_OBJECTS: &str = "DO $$ BEGIN FOR n IN 1..2000 LOOP
    PERFORM lo_create(0);
    IF n % 25 = 0 THEN COMMIT; END IF;
 END LOOP; END $$";

struct SmallHouse<'a> {
    sandbox: Sandbox,
    source: Database<'a>,
    target: Database<'a>,
}

impl<'a> SmallHouse<'a> {
    /// Two databases that hold the same, and a backup of the first.
    fn with(server: &'a Server, made_by: &str) -> SmallHouse<'a> {
        let (source, target) = (
            server.create_database("source"),
            server.create_database("target"),
        );
        for database in [&source, &target] {
            database.sql(made_by);
        }
        let sandbox = Sandbox::new(server.major);
        let entries = [
            Entry::of(&source).named("source"),
            Entry::of(&target).named("target"),
        ];
        sandbox.configure_with("", &entries);
        sandbox.back_up("source");
        SmallHouse {
            sandbox,
            source,
            target,
        }
    }

    fn arguments<'b>(&self, more: &[&'b str]) -> Vec<&'b str> {
        let clean = [
            "restore", "--from", "source", "--db", "target", "--force", "--clean",
        ];
        [&clean[..], more].concat()
    }
}

#[test]
fn what_cannot_fit_into_one_transaction_is_told_beforehand_and_every_way_out_works() {
    let server = Server::start(18, &SMALL);
    let house = SmallHouse::with(&server, TABLES);
    house.target.sql("DELETE FROM t7");
    let before = house.target.fingerprint();
    let mut named = String::new();
    for more in [&["--dry-run"][..], &[]] {
        let refused = house.sandbox.run(&house.arguments(more)).exits(1);
        says(
            &refused,
            &[
                "one transaction would hold",
                "--no-single-transaction",
                "--create",
            ],
        );
        let setting = refused.stderr.split("set max_locks_per_transaction = ");
        let setting = setting.last().and_then(|rest| rest.split(' ').next());
        named = format!("max_locks_per_transaction={}", setting.expect("a number"));
    }
    assert_eq!(house.target.fingerprint(), before);

    for way in [&["--no-single-transaction"][..], &["--jobs", "2"]] {
        house.target.sql("DELETE FROM t7");
        house.sandbox.run(&house.arguments(way)).exits(0);
        house.target.holds_the_same_as(&house.source);
    }
    let created = format!("{}_created", house.target.name);
    let anew = [
        "restore", "--from", "source", "--to", &created, "--create", "--json",
    ];
    house.sandbox.run(&anew).exits(0);

    // the setting that is named
    let larger = Server::start(18, &[&named, SMALL[1]]);
    let target = larger.create_database("target");
    target.sql(TABLES);
    let entries = [
        Entry::of(&house.source).named("source"),
        Entry::of(&target).named("target"),
    ];
    house.sandbox.configure_with("", &entries);
    let output = house.sandbox.run(&house.arguments(&[])).exits(0);
    assert!(!output.stderr.contains("may fail"), "{}", output.stderr);
    target.holds_the_same_as(&house.source);
}

/// Many of which are one entry of an archive.
#[test]
fn large_objects_take_as_many_locks_as_tables_do() {
    let server = Server::start(18, &SMALL);
    let house = SmallHouse::with(&server, LARGE_OBJECTS);
    let refused = house.sandbox.run(&house.arguments(&[])).exits(1);
    says(&refused, &["it may fail at 2000 locks"]);
    let created = format!("{}_created", house.target.name);
    let anew = ["restore", "--from", "source", "--to", &created, "--create"];
    house.sandbox.run(&anew).exits(0);
    // several of them are one transaction, which the disk waits for once
    let commits =
        format!("SELECT xact_commit < 1000 FROM pg_stat_database WHERE datname = '{created}'");
    assert_eq!(server.maintenance().sql(&commits), "t");
}

#[test]
fn a_table_with_hundreds_of_partitions_is_dropped_one_after_the_other() {
    let server = Server::start(14, &SMALL);
    let house = SmallHouse::with(&server, PARTITIONS);
    for way in [&["--no-single-transaction"][..], &["--jobs", "2"]] {
        house.target.sql("DELETE FROM p7");
        house.sandbox.run(&house.arguments(way)).exits(0);
        house.target.holds_the_same_as(&house.source);
    }
}

#[test]
fn what_was_set_aside_comes_back_where_dropping_fails_half_way() {
    let server = Server::start(18, &SMALL);
    let house = SmallHouse::with(&server, TABLES);
    let role = server.create_role("restorer");
    let target = server.create_database_of(&role, "guarded");
    let entries = [
        Entry::of(&house.source).named("source"),
        Entry::of(&target)
            .login(&target, &role, &role)
            .named("target"),
    ];
    house.sandbox.configure_with("", &entries);
    let fill = [
        "restore",
        "--from",
        "source",
        "--db",
        "target",
        "--force",
        "--no-owner",
        "--no-single-transaction",
    ];
    house.sandbox.run(&fill).exits(0);
    target.sql(&format!(
        "ALTER DEFAULT PRIVILEGES FOR ROLE {role} GRANT SELECT ON TABLES TO PUBLIC;
         CREATE FUNCTION guard() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
           IF (SELECT count(*) FROM pg_tables WHERE schemaname = 'public') < 100 THEN RAISE EXCEPTION 'no further'; END IF; END $$;
         CREATE EVENT TRIGGER guard ON sql_drop EXECUTE FUNCTION guard()"
    ));
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    let aside = "SELECT count(*), max(defaclacl::text) FROM pg_default_acl";
    let before = target.sql(aside);
    let way = ["--no-single-transaction", "--no-owner"];
    let failed = house.sandbox.run(&house.arguments(&way)).exits(1);
    says(
        &failed,
        &["no further", "a part of it may be in the target"],
    );
    assert_eq!(target.sql(aside), before);
    // as far as it was committed, and no further
    let left: u32 = target.sql(tables).parse().expect("a number");
    assert!((100..250).contains(&left), "{left}");
    target.sql("DROP EVENT TRIGGER guard; DROP FUNCTION guard()");
    house.sandbox.run(&house.arguments(&way)).exits(0);
    assert_eq!(target.sql(tables), "250");
    assert_eq!(target.sql(aside), before);
}
