//! The roles of a backup, of whose rights an archive tells nothing: in a drill they are no superusers where they need not be.

use super::{DRILL, backed_up, drill, nothing_is_left};
use crate::support::entry::Entry;
use crate::support::postgres::postgres;

#[test]
fn a_role_that_owns_plain_things_is_no_superuser() {
    for major in [14, 18] {
        let server = postgres(major);
        let role = server.create_role("plain");
        let database = server.create_database_of(&role, "owned");
        database.sql_as(
            &role,
            "CREATE FUNCTION public.mine(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
             BEGIN
               IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user AND rolname <> 'postgres') THEN
                 RAISE 'a superuser';
               END IF;
               RETURN n;
             END $$;
             CREATE TABLE t AS SELECT n FROM generate_series(1, 10) AS n;
             CREATE INDEX ON t (public.mine(n));
             CREATE MATERIALIZED VIEW seen AS SELECT public.mine(n) FROM t",
        );
        let sandbox = backed_up(&database);
        let output = drill(&sandbox).exits(0);
        assert!(!output.stderr.contains("once more"), "{}", output.stderr);
        nothing_is_left(&sandbox);
    }
}

#[test]
fn rows_that_a_role_reads_by_a_membership_are_there_for_its_view() {
    let server = postgres(17);
    let (reader, owner) = (server.create_role("reader"), server.create_role("owner"));
    let database = server.create_database("membership");
    database.sql(&format!(
        "GRANT {owner} TO {reader};
         CREATE TABLE t AS SELECT n FROM generate_series(1, 10) AS n; ALTER TABLE t OWNER TO {owner};
         ALTER TABLE t ENABLE ROW LEVEL SECURITY;
         CREATE MATERIALIZED VIEW seen AS SELECT * FROM t; ALTER MATERIALIZED VIEW seen OWNER TO {reader}"
    ));
    let sandbox = backed_up(&database);
    let output = drill(&sandbox).exits(0);
    assert!(!output.stderr.contains("once more"), "{}", output.stderr);
    nothing_is_left(&sandbox);
}

#[test]
fn rights_that_an_archive_does_not_tell_of_do_not_make_it_bad() {
    let server = postgres(16);
    let (caller, owner) = (server.create_role("caller"), server.create_role("owner"));
    let database = server.create_database("rights");
    database.sql(&format!(
        "GRANT {owner} TO {caller};
         CREATE FUNCTION public.theirs(n int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN n; END';
         ALTER FUNCTION public.theirs OWNER TO {owner}; REVOKE EXECUTE ON FUNCTION public.theirs FROM PUBLIC;
         CREATE MATERIALIZED VIEW seen AS SELECT public.theirs(n) FROM generate_series(1, 10) AS n;
         ALTER MATERIALIZED VIEW seen OWNER TO {caller}"
    ));
    // what the archive does not tell, the server does
    let sandbox = backed_up(&database);
    let output = drill(&sandbox).exits(0);
    assert!(!output.stderr.contains("once more"), "{}", output.stderr);
    nothing_is_left(&sandbox);
    // where it does not answer, superusers show that the backup is whole, and the drill says what it does not know
    let elsewhere = Entry::new(
        &database.name,
        "host: 127.0.0.1, port: 1, database: x, user: x".into(),
    );
    sandbox.configure_with(DRILL, &[elsewhere]);
    let output = drill(&sandbox).exits(0);
    assert!(output.stderr.contains("once more"), "{}", output.stderr);
    let told = "whether they may is not known here";
    assert!(output.stderr.contains(told), "{}", output.stderr);
    nothing_is_left(&sandbox);
    // and where they may not, no restore works, and no drill calls the backup good
    database.sql(&format!("REVOKE {owner} FROM {caller}"));
    sandbox.configure_with(DRILL, &[Entry::of(&database)]);
    let output = drill(&sandbox).exits(1);
    let denied = "permission denied for function theirs";
    for told in [
        "may do more than they may on their server",
        denied,
        "--no-owner",
    ] {
        assert!(output.stderr.contains(told), "{told}: {}", output.stderr);
    }
    let restore = |more: &[&str]| {
        let words = [
            "restore",
            "--from",
            &database.name,
            "--to",
            "rights_again",
            "--create",
        ];
        sandbox.run(&[&words, more].concat())
    };
    let refused = restore(&[]).exits(1);
    for told in [denied, "computed as its owner", "--no-owner"] {
        assert!(refused.stderr.contains(told), "{told}: {}", refused.stderr);
    }
    restore(&["--no-owner"]).exits(0);
    server.maintenance().sql("DROP DATABASE rights_again");
}

#[test]
fn tables_in_a_schema_that_is_closed_to_their_owner_are_as_good_in_a_drill_as_in_a_restore() {
    let server = postgres(15);
    let (landlord, tenant) = (server.create_role("landlord"), server.create_role("tenant"));
    let database = server.create_database("closed");
    database.sql(&format!(
        "CREATE SCHEMA s AUTHORIZATION {landlord};
         CREATE TABLE s.parent (id int PRIMARY KEY); CREATE TABLE s.child (id int PRIMARY KEY, p int REFERENCES s.parent);
         INSERT INTO s.parent SELECT generate_series(1, 10); INSERT INTO s.child SELECT n, n FROM generate_series(1, 10) n;
         ALTER TABLE s.parent OWNER TO {tenant}; ALTER TABLE s.child OWNER TO {tenant}"
    ));
    let sandbox = backed_up(&database);
    let restore = |more: &[&str]| {
        let words = [
            "restore",
            "--from",
            &database.name,
            "--to",
            "closed_again",
            "--create",
        ];
        sandbox.run(&[&words, more].concat())
    };
    let drop = || server.maintenance().sql("DROP DATABASE closed_again");
    // who restores makes the key, and may look
    drill(&sandbox).exits(0);
    restore(&[]).exits(0);
    drop();
    // a view that has to look for itself may not, here as there
    database.sql(&format!(
        "CREATE FUNCTION s.known(int) RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM s.parent WHERE id <= $1';
         CREATE MATERIALIZED VIEW s.seen AS SELECT id, s.known(id) FROM s.child;
         ALTER FUNCTION s.known OWNER TO {tenant}; ALTER MATERIALIZED VIEW s.seen OWNER TO {tenant}"
    ));
    sandbox.back_up(&database.name);
    let denied = "permission denied for schema s";
    assert!(drill(&sandbox).exits(1).stderr.contains(denied));
    assert!(
        restore(&["--globals"])
            .exits(10)
            .stderr
            .contains("backup.globals")
    );
    assert!(restore(&[]).exits(1).stderr.contains(denied));
    restore(&["--no-owner"]).exits(0);
    drop();
    // the hint, to its end
    database.sql(&format!("GRANT USAGE ON SCHEMA s TO {tenant}"));
    sandbox.back_up(&database.name);
    drill(&sandbox).exits(0);
    restore(&[]).exits(0);
    drop();
}

#[test]
fn what_only_superusers_own_comes_back_with_its_owner() {
    let server = postgres(17);
    let role = server.create_role("grand");
    let maintenance = server.maintenance();
    maintenance.sql(&format!("ALTER ROLE {role} SUPERUSER"));
    let database = server.create_database("grand");
    database.sql_as(
        &role,
        "CREATE TABLE t AS SELECT 1 AS n; CREATE FOREIGN DATA WRAPPER w; CREATE PUBLICATION p FOR ALL TABLES;
         CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
         CREATE EVENT TRIGGER notes ON ddl_command_end EXECUTE FUNCTION note()",
    );
    let sandbox = backed_up(&database);
    let output = drill(&sandbox).exits(0);
    assert!(!output.stderr.contains("once more"), "{}", output.stderr);
    nothing_is_left(&sandbox);
}
