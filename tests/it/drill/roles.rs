//! The roles of a backup, of whose rights an archive tells nothing: in a drill they are no superusers where they need not be.

use super::{backed_up, drill, nothing_is_left};
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
    let sandbox = backed_up(&database);
    let output = drill(&sandbox).exits(0);
    assert!(output.stderr.contains("once more"), "{}", output.stderr);
    nothing_is_left(&sandbox);
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
