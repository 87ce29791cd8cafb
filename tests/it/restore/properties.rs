//! What belongs to a database itself comes back with a database that is made.

use super::{House, PLAIN, says};
use crate::support::entry::Entry;
use crate::support::postgres::{Database, Server, postgres};
use crate::support::sandbox::Sandbox;

/// All of it, as values, in an order.
fn properties(server: &Server, name: &str) -> String {
    let d = format!("(SELECT oid FROM pg_database WHERE datname = '{name}')");
    server.maintenance().sql(&format!(
        "SELECT datistemplate, datconnlimit, datallowconn, shobj_description(oid, 'pg_database') FROM pg_database WHERE oid = {d};
         SELECT setrole::regrole, setconfig FROM pg_db_role_setting WHERE setdatabase = {d} ORDER BY 1;
         SELECT grantee::regrole, privilege_type, is_grantable FROM pg_database d,
           aclexplode(coalesce(datacl, acldefault('d', datdba))) WHERE d.oid = {d} ORDER BY 1, 2"
    ))
}

/// A database with everything that may belong to it, of `owner`, for a `reader`; it is closed, read-only and in a hurry, and
/// its rows depend on its settings.
fn closed(server: &'static Server, owner: &str, reader: &str) -> Database<'static> {
    let database = server.create_database("closed");
    let name = &database.name;
    database.sql(&format!(
        "ALTER DATABASE {name} OWNER TO {owner};
         ALTER DATABASE {name} SET app.tenant = 'a\\b''c %1$I';
         ALTER DATABASE {name} SET search_path = \"A b\", public, '';
         ALTER DATABASE {name} SET timezone = 'Europe/Berlin';
         ALTER DATABASE {name} SET datestyle = 'SQL, DMY';
         ALTER DATABASE {name} SET log_statement = 'ddl';
         ALTER DATABASE {name} SET array_nulls = off;
         ALTER DATABASE {name} SET lock_timeout = '10ms';
         ALTER ROLE {reader} IN DATABASE {name} SET search_path = \"x y\", pg_catalog;
         ALTER ROLE {reader} IN DATABASE {name} SET work_mem = '5MB';
         REVOKE ALL ON DATABASE {name} FROM PUBLIC, {owner};
         GRANT CREATE, CONNECT ON DATABASE {name} TO {owner};
         GRANT CONNECT ON DATABASE {name} TO {reader};
         GRANT TEMPORARY ON DATABASE {name} TO {reader} WITH GRANT OPTION;
         ALTER DATABASE {name} CONNECTION LIMIT 0;
         ALTER DATABASE {name} IS_TEMPLATE true;
         COMMENT ON DATABASE {name} IS E'the \\\\ shop''s %1$I\n;';"
    ));
    database.sql(
        "RESET timezone; RESET datestyle;
         CREATE TABLE kept (tenant text CHECK (tenant = current_setting('app.tenant')),
           at timestamptz CHECK (extract(hour FROM at) < 9), texts text[] CHECK (texts[1] IS NULL));
         SET timezone = 'Europe/Berlin';
         SET array_nulls = on;
         INSERT INTO kept VALUES ('a\\b''c %1$I', '2026-01-10 00:30', '{NULL}')",
    );
    server.maintenance().sql(&format!(
        "ALTER DATABASE {name} SET default_transaction_read_only = on;
         ALTER DATABASE {name} SET statement_timeout = '50ms'"
    ));
    database
}

fn all_comes_back_on(major: u32) {
    let server = postgres(major);
    let (owner, reader) = (server.create_role("owner"), server.create_role("reader"));
    let source = closed(server, &owner, &reader);
    let sandbox = Sandbox::new(major);
    sandbox.configure_as(&[("app", &source)], PLAIN);
    sandbox.back_up("app");
    let name = format!("{}_again", source.name);
    let words = ["restore", "--from", "app", "--to", &name, "--create"];
    let dry = sandbox.run(&[&words[..], &["--dry-run"]].concat()).exits(0);
    assert!(!dry.text().contains("left out"), "{}", dry.text());
    let restored = sandbox.run(&words).exits(0);
    says(&restored, &["is the same"]);
    assert!(!restored.stderr.contains("left out"), "{}", restored.stderr);
    assert_eq!(properties(server, &name), properties(server, &source.name));
    // as a template it could not be dropped
    for name in [&name, &source.name] {
        let sql = format!("ALTER DATABASE {name} IS_TEMPLATE false");
        server.maintenance().sql(&sql);
    }
}

#[test]
fn all_that_belongs_to_a_database_comes_back_under_any_name_on_14() {
    all_comes_back_on(14);
}

#[test]
fn all_that_belongs_to_a_database_comes_back_under_any_name_on_18() {
    all_comes_back_on(18);
}

#[test]
fn a_comment_on_the_database_is_left_out_with_all_other_comments() {
    let server = postgres(18);
    let source = server.create_database("spoken_of");
    let name = &source.name;
    source.sql(&format!(
        "COMMENT ON DATABASE {name} IS 'the shop'; ALTER DATABASE {name} CONNECTION LIMIT 7"
    ));
    let sandbox = Sandbox::new(18);
    sandbox.configure_as(&[("app", &source)], PLAIN);
    sandbox.back_up("app");
    let again = format!("{name}_again");
    let words = ["restore", "--from", "app", "--to", &again, "--create"];
    let restored = sandbox.run(&[&words[..], &["--no-comments"]].concat());
    says(&restored.exits(0), &["restored into"]);
    assert_eq!(
        properties(server, &again),
        properties(server, name).replace("the shop", "")
    );
}

#[test]
fn what_a_role_may_not_set_is_told_and_its_rows_come_back_all_the_same() {
    let server = postgres(18);
    let (owner, reader) = (server.create_role("owner"), server.create_role("reader"));
    let maker = server.create_role("maker");
    server
        .maintenance()
        .sql(&format!("ALTER ROLE {maker} CREATEDB"));
    let source = closed(server, &owner, &reader);
    let sandbox = Sandbox::new(18);
    let entries = [
        Entry::of(&source).named("app"),
        Entry::of(&server.maintenance()).named("target").login(
            &server.maintenance(),
            &maker,
            &maker,
        ),
    ];
    sandbox.configure_with("", &entries);
    sandbox.back_up("app");
    let name = format!("{}_mine", source.name);
    let words = [
        "restore",
        "--from",
        "app",
        "--db",
        "target",
        "--force",
        "--to",
        &name,
        "--create",
        "--no-owner",
        "--no-privileges",
    ];
    let left_out = [
        "the setting app.tenant of the database: permission denied",
        "the setting log_statement of the database: permission denied",
        &format!("the setting work_mem of the role {reader} in the database: permission denied"),
    ];
    let dry = sandbox
        .run(&[&words[..], &["--dry-run", "--json"]].concat())
        .exits(0);
    for what in left_out {
        assert!(dry.text().contains(what), "{}", dry.text());
    }
    let restored = sandbox.run(&[&words[..], &["--json"]].concat()).exits(0);
    says(&restored, &left_out);
    assert!(restored.text().contains(left_out[1]), "{}", restored.text());
    let found = properties(server, &name);
    assert!(
        found.contains("default_transaction_read_only=on"),
        "{found}"
    );
    assert!(!found.contains("log_statement"), "{found}");
    // nobody asked for grants
    assert!(found.contains("-|CONNECT"), "{found}");
    let dropped = format!(
        "ALTER DATABASE {name} IS_TEMPLATE false; ALTER DATABASE {} IS_TEMPLATE false",
        source.name
    );
    dropped
        .split(';')
        .for_each(|sql| drop(server.maintenance().sql(sql)));
}

#[test]
fn a_database_that_is_there_keeps_what_it_has() {
    let house = super::House::new(PLAIN);
    let server = house.source.server;
    let name = &house.source.name;
    server.maintenance().sql(&format!(
        "ALTER DATABASE {name} SET app.tenant = 'of the source'; COMMENT ON DATABASE {name} IS 'the source'"
    ));
    house.sandbox.back_up("source");
    let of_target = format!(
        "ALTER DATABASE {} SET app.tenant = 'its own'",
        house.target.name
    );
    server.maintenance().sql(&of_target);
    let before = properties(server, &house.target.name);
    for more in [&["--force"][..], &["--force", "--clean", "--create"]] {
        house.restore("source", more).exits(0);
        assert_eq!(properties(server, &house.target.name), before);
    }
}

#[test]
fn settings_of_an_application_are_lent_to_a_target_that_lacks_them() {
    let house = House::new(PLAIN);
    house.source.sql(&format!(
        "ALTER DATABASE {} SET app.tenant = 'it''s \\ 1'; ALTER DATABASE {0} SET app.other = 'x';
         SET app.tenant = 'it''s \\ 1'; CREATE TABLE of_tenant (tenant text CHECK (tenant = current_setting('app.tenant')));
         INSERT INTO of_tenant VALUES ('it''s \\ 1')",
        house.source.name
    ));
    house.target.sql(&format!(
        "ALTER DATABASE {} SET app.other = 'y'",
        house.target.name
    ));
    house.sandbox.back_up("source");
    let foretold = house
        .restore("source", &["--force", "--dry-run"])
        .exits(0)
        .text();
    assert!(
        foretold.contains("set meanwhile app.tenant\n"),
        "{foretold}"
    );
    for path in [&["--force"][..], &["--force", "--clean", "--jobs", "2"]] {
        let restored = house.restore("source", path).exits(0);
        says(&restored, &["made for this restore alone", ": app.tenant"]);
        assert_eq!(house.target.sql("SELECT * FROM of_tenant"), "it's \\ 1");
        house.target.sql("DELETE FROM of_tenant");
    }
    let own = "SELECT current_setting('app.tenant', true) IS NULL, current_setting('app.other')";
    assert_eq!(house.target.sql(own), "t|y");
}
