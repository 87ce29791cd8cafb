//! Roles: stored beside the backup, sealed with it, and made where they are missing.

use super::{PLAIN, SEALED, says};
use crate::support::entry::Entry;
use crate::support::postgres::{Database, Server, postgres};
use crate::support::processes::contains;
use crate::support::sandbox::{Sandbox, Shape};
use std::fs;

struct Servers {
    sandbox: Sandbox,
    old: Server,
    new: Server,
}

const ROLES: &str = r#"CREATE ROLE app LOGIN PASSWORD 'the-canary'; CREATE ROLE "re ader"; GRANT "re ader" TO app;
    ALTER ROLE app SET work_mem = '7MB'; CREATE ROLE common LOGIN PASSWORD 'old';
    CREATE DATABASE source OWNER app"#;

impl Servers {
    fn new(shape: Shape) -> Servers {
        let servers = Servers {
            sandbox: Sandbox::new(18),
            old: Server::start(18, &[]),
            new: Server::start(18, &[]),
        };
        for statement in ROLES.split_inclusive(';') {
            servers.old.maintenance().sql(statement);
        }
        let source = servers.source();
        source.sql(r#"CREATE TABLE word AS SELECT 1 AS one; ALTER TABLE word OWNER TO app; GRANT SELECT ON word TO "re ader""#);
        servers
            .new
            .maintenance()
            .sql("CREATE ROLE common LOGIN PASSWORD 'new'");
        let new = servers.new.maintenance();
        let entries = [
            Entry::of(&source)
                .named("source")
                .shape(shape)
                .backup("globals: true"),
            Entry::of(&new).named("new").shape(shape),
        ];
        servers.sandbox.configure_with("", &entries);
        servers
    }

    fn source(&self) -> Database<'_> {
        Database {
            server: &self.old,
            name: "source".into(),
        }
    }

    fn count(&self, sql: &str) -> String {
        self.new
            .maintenance()
            .sql(&format!("SELECT count(*) FROM {sql}"))
    }
}

const RESTORE: [&str; 9] = [
    "restore",
    "--from",
    "source",
    "--db",
    "new",
    "--force",
    "--to",
    "came_back",
    "--create",
];

#[test]
fn missing_roles_come_back_with_their_passwords_and_others_stay_as_they_are() {
    let servers = Servers::new(SEALED);
    let archive = servers.sandbox.back_up("source");
    let globals = format!("{}.globals.sql.gz.enc", archive.id());
    let files = servers.sandbox.files("storage");
    for key in [globals.clone(), format!("{globals}.sha256")] {
        assert!(files.contains(&key), "no {key} in {files:?}");
    }
    let stored = fs::read(servers.sandbox.path("storage").join(&globals)).expect("it is there");
    assert!(stored.starts_with(b"BKENC002") && !contains(&stored, b"SCRAM"));
    servers
        .sandbox
        .shell("cd storage/source && sha256sum -c *.globals.sql.gz.enc.sha256")
        .exits(0);

    // without them the owner is missing, and nothing stays
    says(
        &servers.sandbox.run(&RESTORE).exits(1),
        &["no role app, re ader", "--globals"],
    );
    let before = servers.new.maintenance().sql("SELECT string_agg(rolname || coalesce(rolpassword, ''), ' ' ORDER BY rolname) FROM pg_authid WHERE rolname = 'common'");
    servers
        .sandbox
        .run(&[&RESTORE[..], &["--globals"]].concat())
        .exits(0);
    let came_back = Database {
        server: &servers.new,
        name: "came_back".into(),
    };
    assert_eq!(
        came_back.sql("SELECT relowner::regrole FROM pg_class WHERE relname = 'word'"),
        "app"
    );
    let password = "SELECT rolpassword FROM pg_authid WHERE rolname = 'app'";
    assert_eq!(came_back.sql(password), servers.source().sql(password));
    assert_eq!(
        servers.count(
            "pg_auth_members WHERE roleid = '\"re ader\"'::regrole AND member = 'app'::regrole"
        ),
        "1"
    );
    assert_eq!(
        servers.count("pg_db_role_setting WHERE setrole = 'app'::regrole"),
        "1"
    );
    let after = servers.new.maintenance().sql("SELECT string_agg(rolname || coalesce(rolpassword, ''), ' ' ORDER BY rolname) FROM pg_authid WHERE rolname = 'common'");
    assert_eq!(after, before);

    // for people: the text itself
    let text = servers
        .sandbox
        .run(&["cat", "--globals", "source"])
        .exits(0)
        .text();
    assert!(text.contains("CREATE ROLE app;"), "{text}");
}

#[test]
fn a_database_is_called_what_it_is_called_and_its_roles_are_those_of_its_server() {
    let servers = Servers::new(PLAIN);
    let elsewhere = servers.new.port;
    let names = [
        format!("host=127.0.0.1 port={elsewhere}"),
        format!("postgresql://127.0.0.1:{elsewhere}/postgres"),
        "test?pool=5 service=none".to_string(),
        r#"-l q'q\"x"#.to_string(),
        "ünï =x y".to_string(),
    ];
    let databases: Vec<Database<'_>> = names
        .iter()
        .map(|name| servers.old.create_database_named(name))
        .collect();
    let entries: Vec<Entry> = databases
        .iter()
        .zip(["d0", "d1", "d2", "d3", "d4"])
        .map(|(database, name)| {
            database.sql("CREATE TABLE t AS SELECT current_database()::text AS name");
            let entry = Entry::of(database).named(name).shape(PLAIN);
            entry.backup("globals: true")
        })
        .collect();
    servers.sandbox.configure_with("", &entries);
    servers.sandbox.run(&["backup"]).exits(0);
    for (index, database) in databases.iter().enumerate() {
        let backup = format!("d{index}/latest");
        let globals = servers.sandbox.run(&["cat", "--globals", &backup]).exits(0);
        let roles = globals.text();
        assert!(
            roles.contains("CREATE ROLE app;"),
            "{}: {roles}",
            database.name
        );
        database.sql("TRUNCATE t");
        let restore = ["restore", "--from", &backup, "--clean", "--force"];
        servers.sandbox.run(&restore).exits(0);
        assert_eq!(database.sql("SELECT name FROM t"), database.name);
    }
}

#[test]
fn a_role_that_is_there_joins_no_other_and_one_that_is_made_joins_those_it_was_in() {
    let servers = Servers::new(PLAIN);
    for statement in [
        "CREATE ROLE also_there NOLOGIN",
        "GRANT app TO common",
        "GRANT also_there TO app",
        "GRANT also_there TO common",
        "ALTER ROLE common CREATEDB CONNECTION LIMIT 3",
        "ALTER ROLE common SET work_mem = '9MB'",
        "COMMENT ON ROLE common IS 'old'",
    ] {
        servers.old.maintenance().sql(statement);
        if statement.starts_with("CREATE") {
            servers.new.maintenance().sql(statement);
        }
    }
    let common = || {
        servers.new.maintenance().sql(
            "SELECT a.*, s.setconfig, shobj_description(a.oid, 'pg_authid'),
               ARRAY(SELECT m.roleid::regrole FROM pg_auth_members m WHERE m.member = a.oid)
             FROM pg_authid a LEFT JOIN pg_db_role_setting s ON s.setrole = a.oid WHERE a.rolname = 'common'",
        )
    };
    let before = common();
    servers.sandbox.back_up("source");
    let restore = [&RESTORE[..], &["--globals"]].concat();
    let output = servers.sandbox.run(&restore).exits(0);
    says(
        &output,
        &["roles that are there stay", "grant: common in app"],
    );
    assert_eq!(common(), before);
    let member = "pg_auth_members WHERE roleid = 'also_there'::regrole AND member = 'app'::regrole";
    assert_eq!(servers.count(member), "1");
}

#[test]
fn roles_that_were_made_go_again_where_the_restore_fails() {
    let servers = Servers::new(PLAIN);
    servers
        .source()
        .sql("CREATE ROLE gone; CREATE TABLE late (i int); ALTER TABLE late OWNER TO gone");
    servers.sandbox.back_up("source");
    // what the text does not have cannot be made
    let file = servers
        .sandbox
        .files("storage")
        .into_iter()
        .find(|name| name.ends_with(".globals.sql"))
        .expect("one");
    let path = servers.sandbox.path("storage").join(&file);
    let text = fs::read_to_string(&path).expect("text");
    let text: String = text
        .split_inclusive('\n')
        .filter(|line| !line.contains("gone"))
        .collect();
    fs::write(&path, text).expect("write it");
    let globals = [&RESTORE[..], &["--globals"]].concat();
    // it is not what its checksum says
    says(&servers.sandbox.run(&globals).exits(13), &["checksum"]);
    fs::remove_file(
        servers
            .sandbox
            .path("storage")
            .join(format!("{file}.sha256")),
    )
    .expect("one");
    let failed = servers.sandbox.run(&globals).exits(1);
    says(&failed, &["gone", "dropped the roles"]);
    assert!(!failed.stderr.contains("SCRAM"), "{}", failed.stderr);
    assert_eq!(servers.count("pg_roles WHERE rolname = 'app'"), "0");
    assert_eq!(
        servers.count("pg_database WHERE datname = 'came_back'"),
        "0"
    );
}

#[test]
fn where_passwords_may_not_be_read_the_roles_are_stored_without() {
    let server = postgres(18);
    let role = server.create_role("ordinary");
    let database = server.create_database_of(&role, "ordinary");
    let sandbox = Sandbox::new(18);
    let entry = Entry::of(&database)
        .named("app")
        .login(&database, &role, &role);
    sandbox.configure_with("", &[entry.backup("globals: true")]);
    let output = sandbox.run(&["backup"]).exits(0);
    says(&output, &["passwords of roles are not in the backup"]);
    let text = sandbox.run(&["cat", "--globals", "app"]).exits(0).text();
    assert!(
        text.contains(&format!("CREATE ROLE {role};")) && !text.contains("PASSWORD"),
        "{text}"
    );
}

#[test]
fn the_roles_go_with_their_backup_and_a_backup_without_them_says_so() {
    let server = postgres(18);
    let database = server.create_database("app");
    let sandbox = Sandbox::new(18);
    let entry = || Entry::of(&database).named("app").retention("keep_last: 1");
    sandbox.configure_with("", &[entry().backup("globals: true")]);
    sandbox.back_up("app");
    sandbox.configure_with("", &[entry()]);
    sandbox.back_up("app");
    let mut files = sandbox.files("storage");
    files.retain(|name| !name.ends_with(".lock"));
    assert_eq!(files.len(), 3, "{files:?}");
    let none = sandbox.run(&["cat", "--globals", "app"]).exits(10);
    says(&none, &["no roles beside", "backup.globals: true"]);
    let none = sandbox
        .run(&[
            "restore",
            "--from",
            "app",
            "--to",
            "x",
            "--create",
            "--globals",
        ])
        .exits(10);
    says(&none, &["no roles beside"]);
}

#[test]
fn roles_that_were_tampered_with_run_no_command_and_no_other_sql() {
    let servers = Servers::new(PLAIN);
    servers.sandbox.back_up("source");
    let file = servers
        .sandbox
        .files("storage")
        .into_iter()
        .find(|name| name.ends_with(".globals.sql"))
        .expect("one");
    let path = servers.sandbox.path("storage").join(&file);
    let checksum = servers
        .sandbox
        .path("storage")
        .join(format!("{file}.sha256"));
    fs::remove_file(checksum).expect("one");
    let text = fs::read_to_string(&path).expect("text");
    let trace = servers.sandbox.path("trace");
    let shown = trace.display();
    for added in [
        format!("CREATE ROLE evil \\! touch {shown}\n;\n"),
        format!("CREATE ROLE evil;\nALTER ROLE evil SET work_mem TO '1MB' \\! touch {shown}\n;\n"),
        format!("SET x = 1 \\! touch {shown}\n;\n"),
        format!("CREATE ROLE evil PASSWORD '' E'\\''; COPY (SELECT 1) TO '{shown}'; --';\n"),
        format!("CREATE ROLE evil -- '\n; COPY (SELECT 1) TO '{shown}'; --';\n"),
        format!("CREATE ROLE evil /* ' */; COPY (SELECT 1) TO '{shown}'; --';\n"),
        format!("CREATE ROLE evil PASSWORD $$'$$; COPY (SELECT 1) TO '{shown}'; --';\n"),
    ] {
        fs::write(&path, format!("{text}\n{added}")).expect("write it");
        let output = servers
            .sandbox
            .run(&[&RESTORE[..], &["--globals"]].concat());
        assert!(!trace.exists(), "{added}: {}", output.stderr);
        if !added.starts_with("SET ") {
            says(&output.exits(13), &["roles", "pg_dumpall"]);
            assert_eq!(servers.count("pg_roles WHERE rolname = 'app'"), "0");
        } else {
            output.exits(0);
            servers.new.maintenance().sql("DROP DATABASE came_back");
            servers.new.maintenance().sql("DROP ROLE app, \"re ader\"");
        }
    }
}

#[test]
fn what_a_role_may_be_called_and_have_comes_back() {
    let servers = Servers::new(PLAIN);
    for statement in [
        r#"CREATE ROLE "it's \! id; $$ -- /* ""ünï""#,
        r#"COMMENT ON ROLE "it's \! id; $$ -- /* ""ünï" IS E'a \\\\! id\n\\! ''id'';\n$roles0$ :x'"#,
        r#"ALTER ROLE "it's \! id; $$ -- /* ""ünï" SET application_name TO 'back\slash'' and more'"#,
        r#"ALTER ROLE "it's \! id; $$ -- /* ""ünï" VALID UNTIL 'infinity' CONNECTION LIMIT 3"#,
    ] {
        servers.old.maintenance().sql(statement);
    }
    servers.sandbox.back_up("source");
    servers
        .sandbox
        .run(&[&RESTORE[..], &["--globals"]].concat())
        .exits(0);
    let sql = "SELECT r.rolname, shobj_description(r.oid, 'pg_authid'), r.rolconfig, r.rolvaliduntil, r.rolconnlimit \
        FROM pg_roles r WHERE r.rolname LIKE 'it%'";
    let old = servers.old.maintenance().sql(sql);
    assert!(old.contains("back"), "{old}");
    assert_eq!(servers.new.maintenance().sql(sql), old);
}
