//! Names in databases of other encodings than UTF-8: a good backup is found good, and its parts are found by name.

use super::{DRILL, drill, nothing_is_left, place, stand_in};
use crate::support::entry::Entry;
use crate::support::postgres::{Database, Server};
use crate::support::program::Output;
use crate::support::sandbox::Sandbox;

/// The bytes of `name` in this encoding as SQL that any client can send.
fn bytes(name: &[u8]) -> String {
    let hex: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("convert_from('\\x{hex}', getdatabaseencoding())")
}

/// A database of this encoding whose schema, table, column, sequence and roles have `name` in their names.
fn named<'server>(server: &'server Server, encoding: &str, name: &[u8]) -> Database<'server> {
    let database = empty(server, encoding, "names");
    let name = bytes(name);
    // text of the server's own encoding, whatever the client speaks
    database.sql(&format!(
        "SET client_encoding = '{encoding}';
         DO $$ DECLARE n text := {name}; BEGIN
           IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = n || ' owner') THEN
             EXECUTE format('CREATE ROLE %I', n || ' owner');
             EXECUTE format('CREATE ROLE %I', n || ' reader');
           END IF;
           EXECUTE format('CREATE SCHEMA %I', n);
           EXECUTE format('CREATE TABLE %I.%I (%I serial PRIMARY KEY, t text)', n, n, n || ' id');
           EXECUTE format('INSERT INTO %I.%I (t) SELECT %L || i FROM generate_series(1, 100) i', n, n, n);
           EXECUTE format('CREATE TABLE parent (a int)');
           EXECUTE format('CREATE TABLE %I (x text) INHERITS (parent)', n || ' child');
           EXECUTE format('ALTER TABLE parent ADD COLUMN %I text', n);
           EXECUTE format('INSERT INTO %I SELECT i, %L, %L FROM generate_series(1, 10) i', n || ' child', n, 'x');
           EXECUTE format('CREATE VIEW %I AS SELECT %I FROM %I.%I', n || ' view', n || ' id', n, n);
           EXECUTE format('ALTER TABLE %I.%I OWNER TO %I', n, n, n || ' owner');
           EXECUTE format('GRANT SELECT ON %I.%I TO %I', n, n, n || ' reader');
           EXECUTE format('COMMENT ON TABLE %I.%I IS %L', n, n, n);
         END $$"
    ));
    database
}

fn empty<'server>(server: &'server Server, encoding: &str, name: &str) -> Database<'server> {
    let name = format!("{name} {encoding}");
    server.maintenance().sql(&format!(
        "CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"
    ));
    Database { server, name }
}

fn backed_up(database: &Database<'_>, top: &str) -> Sandbox {
    let sandbox = place(database.server.major);
    sandbox.configure_with(top, &[Entry::of(database).named("encoded")]);
    sandbox.back_up("encoded");
    sandbox
}

const LATIN1: (&str, &[u8], &str) = ("LATIN1", b"gr\xf6\xdfe", "größe");
const EUC_JP: (&str, &[u8], &str) = ("EUC_JP", b"\xc6\xfc\xcb\xdc", "日本");
const SQL_ASCII: (&str, &[u8], &str) = ("SQL_ASCII", b"gr\xf6\xdf\\xe", "gr\\xf6\\xdf\\xe");
const WIN1252: (&str, &[u8], &str) = ("WIN1252", b"\x80\xfc", "€ü");

#[test]
fn names_of_every_encoding_come_back() {
    let server = Server::start(17, &[]);
    for (encoding, name, text) in [LATIN1, EUC_JP, SQL_ASCII, WIN1252] {
        let database = named(&server, encoding, name);
        let sandbox = backed_up(&database, DRILL);
        let output = drill(&sandbox).exits(0);
        assert!(!output.stderr.contains("not compared"), "{}", output.stderr);
        nothing_is_left(&sandbox);
        let manifest = sandbox.back_up("encoded").manifest();
        let tables = manifest["tables"].as_array().expect("a list");
        let mut names = tables
            .iter()
            .map(|table| (&table["schema"], &table["name"]));
        assert!(
            names.any(|name| name == (&text.into(), &text.into())),
            "{tables:?}"
        );
        let mut roles = [
            format!("{text} owner"),
            format!("{text} reader"),
            "postgres".into(),
        ];
        roles.sort();
        assert_eq!(manifest["contents"]["roles"], serde_json::json!(roles));
    }
}

#[test]
fn a_lent_server_loses_the_roles_again_whatever_bytes_their_names_are() {
    let (server, lent) = (Server::start(17, &[]), Server::start(17, &[]));
    let roles = "SELECT count(*) FROM pg_roles";
    let before = lent.maintenance().sql(roles);
    for (encoding, name, _) in [LATIN1, EUC_JP, SQL_ASCII] {
        let database = named(&server, encoding, name);
        let connection = lent.maintenance().connection("postgres", &lent.password);
        let sandbox = backed_up(
            &database,
            &format!("drill: {{ connection: {{ {connection} }} }}"),
        );
        drill(&sandbox).exits(0);
        assert_eq!(lent.maintenance().sql(roles), before, "{encoding}");
    }
}

#[test]
fn a_restore_finds_tables_by_their_names_replaces_them_and_compares_them() {
    let server = Server::start(17, &[]);
    for (encoding, name, text) in [LATIN1, EUC_JP, SQL_ASCII] {
        let database = named(&server, encoding, name);
        let sandbox = backed_up(&database, DRILL);
        let n = bytes(name);
        let sql = |format: &str| {
            database.sql(&format!(
                r"SELECT format('{format}', {n} || '', {n} || '') \gexec"
            ))
        };
        let spoiled_and_restored = |arguments: &[&str]| {
            sql("DELETE FROM %I.%I");
            let output = restore(&sandbox, arguments).exits(0);
            let told = &output.stderr;
            assert!(told.contains("compared with the backup"), "{told}");
            assert_eq!(sql("SELECT count(*) FROM %I.%I"), "100", "{encoding}");
        };
        spoiled_and_restored(&["--clean", "--yes"]);
        spoiled_and_restored(&["--clean", "--yes", "--jobs", "2"]);

        let table = format!("{text}.{text}");
        let refused = restore(&sandbox, &["--table", &table]).exits(15);
        let told = &refused.stderr;
        assert!(
            told.contains(&format!("the target holds {table}")),
            "{told}"
        );
        // its view comes back with it, and another one would not
        spoiled_and_restored(&["--table", &table, "--clean", "--yes"]);
        sql("CREATE VIEW \"%s mine\" AS SELECT * FROM %1$I.%1$I");
        let refused = restore(&sandbox, &["--table", &table, "--clean", "--yes"]).exits(15);
        let (told, mine) = (&refused.stderr, format!("{text} mine"));
        assert!(
            told.contains("the target holds what the backup does not") && told.contains(&mine),
            "{told}"
        );
    }
}

fn restore(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    let from = ["restore", "--from", "encoded", "--db", "encoded"];
    sandbox.run(&[&from[..], arguments].concat())
}

/// A sandbox with a backup of `database` and its roles, that now points to an empty server, and to a database there.
fn moved<'server>(database: &Database<'_>, other: &'server Server) -> (Sandbox, Database<'server>) {
    let name = database.name.clone();
    let there = Database {
        server: other,
        name,
    };
    let sandbox = place(17);
    let entry = |database| Entry::of(database).named("encoded").backup("globals: true");
    sandbox.configure_with(DRILL, &[entry(database)]);
    sandbox.back_up("encoded");
    sandbox.configure_with(DRILL, &[entry(&there)]);
    (sandbox, there)
}

#[test]
fn roles_beside_a_backup_are_made_by_the_bytes_that_the_restore_names() {
    for (encoding, name, _) in [LATIN1, EUC_JP, SQL_ASCII] {
        let server = Server::start(17, &[]);
        let database = named(&server, encoding, name);
        let other = Server::start(17, &[]);
        let (sandbox, there) = moved(&database, &other);
        restore(&sandbox, &["--create", "--globals"]).exits(0);
        let owned = format!(
            "SELECT count(*) FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
             WHERE c.relkind = 'r' AND r.rolname = {} || ' owner'",
            bytes(name)
        );
        assert_eq!(there.sql(&owned), "1", "{encoding}");
        // all of them are there now
        restore(&sandbox, &["--clean", "--yes", "--globals"]).exits(0);
        assert_eq!(there.sql(&owned), "1", "{encoding}");
    }
}

#[test]
fn roles_that_were_made_go_again_whatever_bytes_their_names_are() {
    for (encoding, name, _) in [LATIN1, EUC_JP, SQL_ASCII] {
        let server = Server::start(17, &[]);
        let database = named(&server, encoding, name);
        let other = Server::start(17, &[]);
        let there = empty(&other, encoding, "names");
        let roles = || there.sql("SELECT count(*) FROM pg_roles");
        let before = roles();
        let (sandbox, _) = moved(&database, &other);
        let script = "cat >/dev/null\necho 'pg_restore: error: in the way' >&2\nexit 1";
        let sandbox = stand_in(sandbox, 17, "pg_restore", script);
        let failed = restore(&sandbox, &["--clean", "--yes", "--globals"]).exits(1);
        let told = &failed.stderr;
        assert!(
            told.contains("in the way") && told.contains("dropped the roles"),
            "{told}"
        );
        assert_eq!(roles(), before, "{encoding}");
    }
}
