//! Who logs in to restore: the role that backs up may only read, and another one may be named, once or each time.

use super::says;
use crate::support::entry::Entry;
use crate::support::postgres::{Database, Server, postgres};
use crate::support::program::{self, Output};
use crate::support::sandbox::Sandbox;
use crate::support::terminal::on_a_terminal;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

/// A database `app` of an owner, and the two roles that the manual has people make.
struct Estate {
    sandbox: Sandbox,
    server: &'static Server,
    database: Database<'static>,
    owner: String,
    backs_up: String,
    restores: String,
}

impl Estate {
    /// What stands under `restore` in the configuration comes from the roles.
    fn new(restore: impl Fn(&Estate) -> String) -> Estate {
        let server = postgres(18);
        let (owner, backs_up, restores) = (
            server.create_role("owner"),
            server.create_role("reader"),
            server.create_role("restorer"),
        );
        let database = server.create_database_of(&owner, "estate");
        database.sql_as(
            &owner,
            "CREATE SCHEMA shop; CREATE TABLE shop.item AS SELECT n AS id FROM generate_series(1, 100) n",
        );
        server.maintenance().sql(&format!(
            "GRANT pg_read_all_data TO {backs_up}; ALTER ROLE {restores} CREATEDB; GRANT {owner} TO {restores}"
        ));
        let estate = Estate {
            sandbox: Sandbox::new(18),
            server,
            database,
            owner,
            backs_up,
            restores,
        };
        let keys = restore(&estate);
        estate.configure(&keys);
        estate.sandbox.back_up("app");
        estate
    }

    /// A configuration in which that stands under `restore`.
    fn configure(&self, restore: &str) {
        let entry = Entry::of(&self.database).named("app").login(
            &self.database,
            &self.backs_up,
            &self.backs_up,
        );
        let entry = match restore {
            "" => entry,
            keys => entry.key(&format!("restore: {{ {keys} }}")),
        };
        self.sandbox.configure_with("", &[entry]);
    }

    /// The name of a database that is not there.
    fn new_name(&self) -> String {
        format!("{}_again", self.database.name)
    }

    /// Restores into a database that is made.
    fn restore(&self, more: &[&str]) -> Output {
        let to = self.new_name();
        let words = ["restore", "--from", "app", "--to", &to, "--create"];
        self.sandbox.run(&[&words[..], more].concat())
    }

    /// The file of a password.
    fn password_file(&self, password: &str) -> String {
        let path = self.sandbox.path("db_password");
        fs::write(&path, format!("{password}\n")).expect("write a password");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("it is ours");
        path.to_str().expect("a path in UTF-8").to_string()
    }

    /// What was restored is there and belongs to its owner; it is dropped again.
    #[track_caller]
    fn came_back(&self) {
        let name = self.new_name();
        let again = Database {
            server: self.server,
            name: name.clone(),
        };
        assert_eq!(again.sql("SELECT count(*) FROM shop.item"), "100");
        let owner = "SELECT relowner::regrole FROM pg_class WHERE relname = 'item'";
        assert_eq!(again.sql(owner), self.owner);
        self.drop_it();
    }

    fn drop_it(&self) {
        let drop = format!("DROP DATABASE {}", self.new_name());
        self.server.maintenance().sql(&drop);
    }

    /// Nobody made that database.
    #[track_caller]
    fn did_not_come_back(&self) {
        let name = self.new_name();
        let count = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
        assert_eq!(self.server.maintenance().sql(&count), "0");
    }
}

#[test]
fn who_may_only_read_cannot_restore_and_each_way_out_that_is_told_is_one() {
    let estate = Estate::new(|_| String::new());
    let (role, name) = (&estate.backs_up, estate.new_name());
    let refused = estate.restore(&[]).exits(1);
    says(
        &refused,
        &[
            &format!("{role} may not create databases, such as {name}"),
            "--user ROLE",
            "restore.connection",
        ],
    );
    let dry = estate.restore(&["--dry-run"]).exits(1);
    assert_eq!(refused.stderr, dry.stderr);
    assert!(dry.text().contains(&format!("logs in as    {role}\n")));
    estate.did_not_come_back();

    // another login
    let file = estate.password_file(&estate.restores);
    let login = ["--user", &estate.restores, "--db-password-file", &file];
    let dry = estate.restore(&[&login[..], &["--dry-run"]].concat());
    let logs_in = format!("logs in as    {}\n", estate.restores);
    assert!(dry.exits(0).text().contains(&logs_in));
    let verbose = estate.restore(&[&login[..], &["--verbose"]].concat());
    let verbose = verbose.exits(0);
    assert!(!verbose.stderr.contains("password="), "{}", verbose.stderr);
    estate.came_back();

    // a database that an administrator makes, by the command as it stands there
    let command = refused.stderr.split("createdb ").nth(1);
    let command = command.and_then(|rest| rest.lines().next());
    let command = format!("createdb {}", command.expect("a command"));
    let mut shell = std::process::Command::new("/bin/sh");
    shell.args(["-c", &command]);
    let mut shell = estate.sandbox.inside(shell);
    shell
        .env("PGUSER", "postgres")
        .env("PGPASSWORD", &estate.server.password);
    program::run(shell, "").exits(0);
    let into = ["restore", "--from", "app", "--to", &name];
    let refused = estate.sandbox.run(&into).exits(1);
    says(
        &refused,
        &[&format!("no member of {}", estate.owner), "--no-owner"],
    );
    estate
        .sandbox
        .run(&[&into[..], &["--no-owner"]].concat())
        .exits(0);
    estate.drop_it();

    // the rights that the messages name
    let maintenance = estate.server.maintenance();
    maintenance.sql(&format!("ALTER ROLE \"{role}\" CREATEDB"));
    let refused = estate.restore(&[]).exits(1);
    let grant = format!("GRANT \"{}\" TO \"{role}\"", estate.owner);
    says(&refused, &[&grant]);
    maintenance.sql(&grant);
    estate.restore(&[]).exits(0);
    estate.came_back();
}

#[test]
fn restores_have_a_login_of_their_own_that_nothing_else_uses() {
    let estate = Estate::new(|estate| {
        let role = &estate.restores;
        format!("connection: {{ user: {role}, password: {role} }}")
    });
    estate.restore(&[]).exits(0);
    estate.came_back();
    // it comes before that of the backups also in a dry run, and the dump that is compared afterwards is its own
    let made = estate.restore(&["--no-owner"]);
    made.exits(0);
    let owner = format!(
        "SELECT datdba::regrole FROM pg_database WHERE datname = '{}'",
        estate.new_name()
    );
    assert_eq!(estate.server.maintenance().sql(&owner), estate.restores);
    estate.drop_it();

    // with one that cannot log in all else goes on
    let role = &estate.restores;
    estate.configure(&format!("connection: {{ user: {role}, password: wrong }}"));
    estate.sandbox.back_up("app");
    estate.sandbox.run(&["diff", "app/latest"]);
    says(
        &estate.restore(&[]).exits(1),
        &["password authentication failed", role],
    );
    estate.did_not_come_back();
    let checked = estate.sandbox.run(&["test"]).exits(0);
    let told = format!(
        "warn  restore of app: cannot connect to 127.0.0.1:{}",
        estate.server.port
    );
    assert!(checked.text().contains(&told), "{}", checked.text());
    // and a login of the command line comes before it
    let file = estate.password_file(&estate.server.password);
    estate
        .restore(&["--user", "postgres", "--db-password-file", &file])
        .exits(0);
    estate.came_back();
}

#[test]
fn a_login_for_restores_takes_over_what_it_does_not_say() {
    let estate = Estate::new(|_| String::new());
    let (role, reader) = (&estate.restores, &estate.backs_up);
    let (name, port) = (&estate.database.name, estate.server.port);
    let url = |user: &str| {
        format!("url: 'postgresql://{user}:{user}@127.0.0.1:{port}/{name}?sslmode=disable'")
    };
    let elsewhere =
        format!("host: 127.0.0.1, port: 1, database: nowhere, user: {reader}, password: {reader}");
    for (connection, restore) in [
        (url(reader), format!("user: {role}, password: {role}")),
        (elsewhere.clone(), url(role)),
        (
            elsewhere,
            format!("port: {port}, database: {name}, user: {role}, password: {role}"),
        ),
        (
            format!(
                "host: nowhere.invalid, port: {port}, database: {name}, user: {role}, password: {role}"
            ),
            "host: 127.0.0.1".to_string(),
        ),
    ] {
        let entry = Entry::new("app", connection.clone());
        let entry = entry.key(&format!("restore: {{ connection: {{ {restore} }} }}"));
        estate.sandbox.configure_with("", &[entry]);
        let to = estate.new_name();
        let output = estate
            .sandbox
            .run(&["restore", "--from", "app", "--to", &to, "--create"]);
        assert!(
            output.status.success(),
            "{connection}; {restore}: {}",
            output.stderr
        );
        estate.came_back();
    }
    // what is backed up first is what is replaced
    let refused = estate.sandbox.run(&[
        "restore",
        "--from",
        "app",
        "--clean",
        "--backup-first",
        "--yes",
    ]);
    says(
        &refused.exits(15),
        &[
            "--backup-first backs up nowhere.invalid",
            "goes to 127.0.0.1",
        ],
    );
}

#[test]
fn a_password_goes_along_with_its_role_alone() {
    let estate = Estate::new(|_| String::new());
    let (role, reader) = (&estate.restores, &estate.backs_up);
    // so the password of the one would let the other in
    let same = format!("ALTER ROLE {role} PASSWORD '{reader}'");
    estate.server.maintenance().sql(&same);
    for restore in ["".to_string(), format!("connection: {{ user: {role} }}")] {
        estate.configure(&restore);
        let refused = estate.restore(&["--user", role]).exits(1);
        says(&refused, &["no password supplied", "--db-password-file"]);
        estate.did_not_come_back();
    }
    // who is named as what they are keeps theirs
    estate.configure(&format!(
        "connection: {{ user: {role}, password: {reader} }}"
    ));
    estate.restore(&["--user", role]).exits(0);
    estate.came_back();
    says(
        &estate.restore(&["--user", reader]).exits(1),
        &["may not create databases"],
    );
    estate.configure("");

    // libpq's own ways
    let home = estate.sandbox.path("home").join(".pgpass");
    let port = estate.server.port;
    fs::write(&home, format!("127.0.0.1:{port}:*:{role}:{reader}\n")).expect("write a passfile");
    fs::set_permissions(&home, Permissions::from_mode(0o600)).expect("it is ours");
    estate.restore(&["--user", role]).exits(0);
    estate.came_back();
    fs::remove_file(&home).expect("it was there");
    let to = estate.new_name();
    let words = [
        "restore", "--from", "app", "--to", &to, "--create", "--user", role,
    ];
    let mut command = estate.sandbox.command(&words);
    command
        .env("PGPASSWORD", reader)
        .env("PGUSER", "nobody_at_all");
    program::run(command, "").exits(0);
    estate.came_back();

    // and a person
    let question = format!("Password of {role}, not shown");
    let asked = on_a_terminal(&estate.sandbox, &words, &[(&question, reader)]).exits(0);
    assert!(
        !asked.text().contains(&format!(": {reader}")),
        "{}",
        asked.text()
    );
    estate.came_back();

    for (options, why) in [
        (["--host", "a,b"], "names several hosts"),
        (["--port", "0"], "is not a port number"),
        (["--user", ""], "is not a name"),
        (["--db-password-file", "nowhere/x"], "nowhere/x"),
    ] {
        says(&estate.restore(&options).exits(2), &[why]);
    }
    let empty = estate.password_file("");
    says(
        &estate.restore(&["--db-password-file", &empty]).exits(2),
        &["is empty"],
    );
}

#[test]
fn a_restore_goes_to_the_server_that_is_named() {
    let estate = Estate::new(|_| String::new());
    let other = postgres(17);
    // where nothing is of what was backed up
    let file = estate.password_file(&other.password);
    let port = other.port.to_string();
    let there = [
        "--host",
        "127.0.0.1",
        "--port",
        &port,
        "--user",
        "postgres",
        "--db-password-file",
        &file,
    ];
    let dry = estate
        .restore(&[&there[..], &["--dry-run"]].concat())
        .exits(1);
    says(&dry, &[&format!("the server has no role {}", estate.owner)]);
    let output = estate.restore(&[&there[..], &["--no-owner", "--no-privileges"]].concat());
    assert!(
        output
            .exits(0)
            .stderr
            .contains(&format!("127.0.0.1:{port}/"))
    );
    let told = estate.restore(&["--host", "localhost", "--dry-run"]);
    assert!(
        told.stderr.contains(" is sent to localhost"),
        "{}",
        told.stderr
    );
    estate.did_not_come_back();
    let again = Database {
        server: other,
        name: estate.new_name(),
    };
    assert_eq!(again.sql("SELECT count(*) FROM shop.item"), "100");
    other
        .maintenance()
        .sql(&format!("DROP DATABASE {}", again.name));
}

#[test]
fn test_says_whether_the_login_for_restores_would_do() {
    let estate = Estate::new(|_| String::new());
    let (role, reader, owner) = (&estate.restores, &estate.backs_up, &estate.owner);
    let says = |restore: &str, words: &[&str]| {
        estate.configure(restore);
        let output = estate.sandbox.run(&["test"]).exits(0);
        for word in words {
            assert!(output.text().contains(word), "{word}: {}", output.text());
        }
    };
    says(
        "",
        &[
            &format!(
                "warn  restore of app: {reader} may not create databases, and is no member of {owner}, to whom"
            ),
            "restore.connection",
            "--user",
            "backupkit.yaml(5)",
        ],
    );
    let own = format!("connection: {{ user: {role}, password: {role} }}");
    says(
        &own,
        &[&format!(
            "ok    restore of app: logs in as {role}, who may create databases and act for all owners"
        )],
    );
    // a trusted extension, and what it brings along, asks for nothing
    estate.database.sql("CREATE EXTENSION pg_trgm");
    says(&own, &["ok    restore of app: logs in as"]);
    estate.database.sql("CREATE EXTENSION pageinspect");
    says(
        &own,
        &[
            "warn  restore of app: ",
            "may not create the extension pageinspect",
            "have that made beforehand",
        ],
    );
    estate.database.sql("DROP EXTENSION pageinspect; CREATE TABLE mine (i int); CREATE PUBLICATION everything FOR ALL TABLES");
    says(
        &own,
        &[
            "is no member of postgres",
            "may not make publication everything",
            "give what belongs to postgres to another role",
        ],
    );
    // who is a member of a superuser may do anything
    let advice = estate.sandbox.run(&["test"]).exits(0).text();
    assert!(!advice.contains("GRANT \"postgres\""), "{advice}");
    let password = &estate.server.password;
    says(
        &format!("connection: {{ user: postgres, password: '{password}' }}"),
        &["ok    restore of app: logs in as postgres, a superuser"],
    );
    // one that asks is none that fails
    says(
        &format!("connection: {{ user: {role} }}"),
        &[
            "warn  restore of app: cannot connect",
            "asks for the password on a terminal",
        ],
    );
    let other = postgres(17);
    let elsewhere = format!(
        "connection: {{ port: {}, user: postgres, password: '{}' }}",
        other.port, other.password
    );
    says(
        &elsewhere,
        &[
            &format!("postgres finds no role {owner} on its server"),
            "--globals",
        ],
    );
}
