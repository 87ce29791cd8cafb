//! Tablespaces: those of the backup, others, or none; what the target lacks is told before anything is done.

use super::{PLAIN, says};
use crate::support::entry::Entry;
use crate::support::postgres::{Database, Server};
use crate::support::program::Output;
use crate::support::sandbox::Sandbox;

/// Where everything lies that lies in no tablespace of the database, one line each.
const PLACES: &str =
    "SELECT string_agg(relname || '=' || spcname, ' ' ORDER BY relname) FROM pg_class c
     JOIN pg_tablespace t ON t.oid = reltablespace WHERE c.relnamespace = 'public'::regnamespace";

/// A server with these tablespaces.
fn server(tablespaces: &[&str]) -> Server {
    let server = Server::start(16, &["allow_in_place_tablespaces=on"]);
    for name in tablespaces {
        let sql = format!("CREATE TABLESPACE \"{name}\" LOCATION ''");
        server.maintenance().sql(&sql);
    }
    server
}

/// A database in a tablespace of its own, with each kind of object that can lie in another one.
fn spread(server: &Server) -> Database<'_> {
    let database = server.create_database("spread");
    let name = &database.name;
    server
        .maintenance()
        .sql(&format!("ALTER DATABASE {name} SET TABLESPACE own"));
    database.sql(
        "CREATE TABLE plain (id int); CREATE TABLE t (id int, CONSTRAINT t_key PRIMARY KEY (id) USING INDEX TABLESPACE \"größe =x\")
           TABLESPACE fast;
         INSERT INTO t SELECT generate_series(1, 1000); INSERT INTO plain VALUES (1);
         CREATE INDEX t_index ON t (id) TABLESPACE pg_default;
         CREATE MATERIALIZED VIEW m TABLESPACE fast AS SELECT * FROM t;
         CREATE TABLE p (id int) PARTITION BY RANGE (id) TABLESPACE fast;
         CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9) TABLESPACE \"größe =x\";
         INSERT INTO p VALUES (3)",
    );
    database
}

/// Restores the newest backup of `source` into the database `to`, which is made.
fn restore(sandbox: &Sandbox, to: &str, more: &[&str]) -> Output {
    let arguments = [
        "restore", "--from", "source", "--db", "target", "--force", "--create", "--to", to,
    ];
    sandbox.run(&[&arguments[..], more].concat())
}

#[test]
fn what_lay_in_tablespaces_comes_back_into_the_same_into_others_or_into_none() {
    let (from, into) = (server(&["own", "fast", "größe =x"]), server(&["other"]));
    let source = spread(&from);
    let target = into.create_database("target");
    let sandbox = Sandbox::new(16);
    let entry = |database, name| Entry::of(database).named(name).shape(PLAIN);
    sandbox.configure_with("", &[entry(&source, "source"), entry(&target, "target")]);
    sandbox.back_up("source");

    // nothing is made before it is known where
    for dry_run in [&["--dry-run"][..], &[]] {
        let refused = restore(&sandbox, "missing", dry_run).exits(1);
        let words = [
            "no tablespace fast, größe =x, own",
            "--no-tablespaces",
            "--tablespace fast=pg_default",
        ];
        says(&refused, &words);
    }
    let made = "SELECT count(*) FROM pg_database WHERE datname = 'missing'";
    assert_eq!(into.maintenance().sql(made), "0");
    let unknown = ["--tablespace", "nowhere=other", "--no-check"];
    says(
        &restore(&sandbox, "missing", &unknown).exits(2),
        &["nowhere", "it names fast"],
    );
    let both = ["--tablespace", "fast=other", "--no-tablespaces"];
    says(
        &restore(&sandbox, "missing", &both).exits(2),
        &["do not go together"],
    );

    let database = |name: &str| Database {
        server: &into,
        name: name.to_string(),
    };
    let of_database = |name: &str| {
        into.maintenance().sql(&format!(
            "SELECT spcname FROM pg_database d JOIN pg_tablespace t ON t.oid = dattablespace WHERE datname = '{name}'"
        ))
    };
    for (name, jobs) in [("one", &[][..]), ("several", &["--jobs", "3"])] {
        let none = format!("none_{name}");
        restore(&sandbox, &none, &[&["--no-tablespaces"], jobs].concat()).exits(0);
        assert_eq!(database(&none).sql(PLACES), "");
        database(&none).holds_the_same_as(&source);

        let others = format!("others_{name}");
        let renamed = [
            "--tablespace",
            "fast=other",
            "--tablespace",
            "größe =x=pg_default",
            "--tablespace",
            "own=other",
        ];
        // the name goes up to the first =
        let wrong = restore(&sandbox, &others, &[&renamed, jobs].concat()).exits(2);
        says(
            &wrong,
            &["nothing that is restored is in the tablespace größe "],
        );
        into.maintenance()
            .sql("CREATE TABLESPACE \"größe =x\" LOCATION ''");
        let renamed = ["--tablespace", "fast=other", "--tablespace", "own=other"];
        restore(&sandbox, &others, &[&renamed, jobs].concat()).exits(0);
        assert_eq!(of_database(&others), "other");
        assert_eq!(
            database(&others).sql(PLACES),
            "p1=größe =x t_index=pg_default t_key=größe =x"
        );
        database(&others).holds_the_same_as(&source);
        into.maintenance().sql(&format!("DROP DATABASE {others}"));
        into.maintenance().sql("DROP TABLESPACE \"größe =x\"");
    }

    // a role that may make nothing there
    into.maintenance()
        .sql("CREATE ROLE plain LOGIN CREATEDB PASSWORD 'plain'");
    for name in ["own", "fast", "größe =x"] {
        into.maintenance()
            .sql(&format!("CREATE TABLESPACE \"{name}\" LOCATION ''"));
    }
    let connection = target.connection("plain", "plain");
    let login = Entry::new("target", connection).shape(PLAIN);
    sandbox.configure_with("", &[entry(&source, "source"), login]);
    let closed = restore(&sandbox, "closed", &["--no-owner", "--dry-run"]).exits(1);
    says(
        &closed,
        &[
            "plain may make nothing in the tablespace fast",
            "GRANT CREATE ON TABLESPACE \"fast\"",
        ],
    );
    restore(&sandbox, "closed", &["--no-owner", "--no-tablespaces"]).exits(0);
    let rows = database("closed").sql("SELECT count(*) FROM t");
    assert_eq!(rows, "1000");
}
