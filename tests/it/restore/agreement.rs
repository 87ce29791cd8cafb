//! A dry run that has nothing against a restore is followed by one that works, and one that refuses is right: by every
//! kind of object, for logins of different rights, into every kind of target.

use crate::support::entry::Entry;
use crate::support::objects::{ObjectKind, PROOF, ROLES, kinds_of};
use crate::support::postgres::{Database, SUPERUSER, Server, postgres};
use crate::support::program::{self, Output};
use crate::support::sandbox::Sandbox;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;

/// Who restores, and into what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Login {
    /// A superuser, into an empty database.
    Superuser,
    /// The owner of the empty database.
    Owner,
    /// A role that may create in its schema public alone.
    Guest,
    /// A role that may make databases, into one that is made.
    Maker,
}

const PLAIN: &[&str] = &[];
const OURS: &[&str] = &["--no-owner", "--no-privileges"];
const GRANTED: &[&str] = &["--no-owner"];

/// Archives of one object each, and the roles that restore them.
struct Archives {
    sandbox: Sandbox,
    server: &'static Server,
    roles: [String; 3],
    kinds: Vec<&'static ObjectKind>,
}

impl Archives {
    fn of(major: u32) -> Archives {
        let server = postgres(major);
        let maintenance = server.maintenance();
        maintenance.sql(ROLES);
        let roles = ["owner", "guest", "maker"].map(|name| server.create_role(name));
        maintenance.sql(&format!("ALTER ROLE {} CREATEDB", roles[2]));
        let archives = Archives {
            sandbox: Sandbox::new(major),
            server,
            roles,
            kinds: kinds_of(server).collect(),
        };
        let maintenance = |login: Login| {
            let (user, password) = archives.credentials(login);
            let known = server.maintenance();
            Entry::of(&known)
                .named(&format!("{login:?}").to_lowercase())
                .login(&known, &user, &password)
        };
        let entries = [Login::Superuser, Login::Owner, Login::Guest, Login::Maker].map(maintenance);
        archives.sandbox.configure_with("", &entries);
        archives.each(archives.kinds.clone(), |kind| {
            archives.dump(kind.name, &[kind])
        });
        archives
    }

    fn credentials(&self, login: Login) -> (String, String) {
        let role = match login {
            Login::Superuser => return (SUPERUSER.into(), self.server.password.clone()),
            Login::Owner => &self.roles[0],
            Login::Guest => &self.roles[1],
            Login::Maker => &self.roles[2],
        };
        (role.clone(), role.clone())
    }

    /// Does it for all of these, two at a time.
    fn each<T: Send>(&self, all: Vec<T>, act: impl Fn(T) + Sync) {
        let left = Mutex::new(all);
        let next = || left.lock().expect("no one panics with it").pop();
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while let Some(one) = next() {
                        act(one);
                    }
                });
            }
        });
    }

    fn path(&self, name: &str) -> PathBuf {
        self.sandbox.path(&format!("{name}.dump"))
    }

    /// Dumps a database with these objects.
    fn dump(&self, name: &str, kinds: &[&ObjectKind]) {
        let database = self.server.create_database("kinds");
        database.sql(PROOF);
        for kind in kinds {
            database.sql(&format!("-- {}\n{}", kind.name, kind.sql));
        }
        let mut pg_dump = self.server.client("pg_dump");
        pg_dump
            .env("PGDATABASE", &database.name)
            .arg("-Fc")
            .arg("-f")
            .arg(self.path(name));
        program::run(pg_dump, "").exits(0);
    }

    /// An empty database for this login; of a role that makes databases the name of one that is not there.
    fn target(&self, login: Login) -> Database<'_> {
        match login {
            Login::Superuser => self.server.create_database("into"),
            Login::Owner => self.server.create_database_of(&self.roles[0], "into"),
            Login::Guest => {
                let database = self.server.create_database("into");
                database.sql(&format!(
                    "GRANT USAGE, CREATE ON SCHEMA public TO {}",
                    self.roles[1]
                ));
                database
            }
            Login::Maker => {
                let database = self.server.create_database("into");
                self.server
                    .maintenance()
                    .sql(&format!("DROP DATABASE {}", database.name));
                database
            }
        }
    }

    fn restore(&self, login: Login, name: &str, target: &str, options: &[&str]) -> Output {
        let archive = self.path(name);
        let db = format!("{login:?}").to_lowercase();
        let mut arguments = vec![
            "restore",
            "--from",
            archive.to_str().expect("UTF-8"),
            "--db",
            &db,
            "--to",
            target,
        ];
        if login == Login::Maker {
            arguments.push("--create");
        }
        arguments.extend(options);
        self.sandbox.run(&arguments)
    }

    fn allows(&self, login: Login, name: &str, target: &str, options: &[&str]) -> bool {
        let dry = self.restore(login, name, target, &[options, &["--dry-run"]].concat());
        dry.status.success()
    }

    /// Whether pg_restore restores it, for the same login and with the same options.
    fn reference(&self, login: Login, name: &str, options: &[&str]) -> bool {
        let target = self.target(login);
        let (user, password) = self.credentials(login);
        if login == Login::Maker {
            self.server.maintenance().sql(&format!(
                "CREATE DATABASE {} TEMPLATE template0 OWNER {user}",
                target.name
            ));
        }
        let mut command = self.server.client("pg_restore");
        command
            .env("PGHOST", "127.0.0.1")
            .env("PGUSER", user)
            .env("PGPASSWORD", password)
            .args(["--single-transaction", "--dbname", &target.name])
            .args(options)
            .arg(self.path(name));
        program::run(command, "").status.success()
    }

    /// Holds the dry run against the restore for each of `kinds`, and returns how many of them were allowed.
    fn agree(&self, login: Login, options: &[&str], kinds: &[&'static ObjectKind]) -> usize {
        let target = self.target(login);
        let (allowed, wrong) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
        self.each(kinds.to_vec(), |kind| {
            if self.allows(login, kind.name, &target.name, options) {
                allowed.lock().expect("no panic").push(kind);
            } else if self.reference(login, kind.name, options) {
                wrong.lock().expect("no panic").push(kind.name);
            }
        });
        let wrong = wrong.into_inner().expect("no panic");
        assert!(
            wrong.is_empty(),
            "{login:?} {options:?} on {}: refused, and pg_restore restores {wrong:?}",
            self.server.major
        );
        let mut allowed = allowed.into_inner().expect("no panic");
        // some can only be made before others
        allowed.sort_by_key(|kind| self.kinds.iter().position(|known| known.name == kind.name));
        self.restores_together(login, options, &allowed);
        allowed.len()
    }

    /// Restores all of them at once, and one by one only to tell which of them fails.
    fn restores_together(&self, login: Login, options: &[&str], allowed: &[&'static ObjectKind]) {
        let together = format!("together {login:?} {}", options.len());
        self.dump(&together, allowed);
        let target = self.target(login);
        let restored = self.restore(login, &together, &target.name, options);
        if restored.status.success() {
            return assert_eq!(target.sql("SELECT count(*) FROM proof"), "1");
        }
        let failed = Mutex::new(Vec::new());
        self.each(allowed.to_vec(), |kind| {
            let target = self.target(login);
            let alone = self.restore(login, kind.name, &target.name, options);
            if !alone.status.success() {
                let told = format!("{}: {}", kind.name, alone.stderr);
                failed.lock().expect("no panic").push(told);
            }
        });
        panic!(
            "{login:?} {options:?} on {}: allowed, and not restored: {}\n{}",
            self.server.major,
            restored.stderr,
            failed.into_inner().expect("no panic").join("\n")
        );
    }
}

/// Holds them against each other on a server of this version.
fn dry_run_and_restore_agree(major: u32) {
    let archives = Archives::of(major);
    let all = &archives.kinds;
    archives.restores_together(Login::Superuser, PLAIN, all);
    for login in [Login::Owner, Login::Guest, Login::Maker] {
        let allowed = archives.agree(login, OURS, all);
        let most = all.len() / 2..all.len();
        assert!(most.contains(&allowed), "{login:?}: {allowed}");
    }
    let granted =
        |kind: &&ObjectKind| kind.name.contains("grant") || kind.name.contains("privileges");
    let granted: Vec<_> = all.iter().copied().filter(granted).collect();
    archives.agree(Login::Owner, GRANTED, &granted);
}

#[test]
fn what_a_dry_run_allows_works_and_what_it_refuses_does_not() {
    dry_run_and_restore_agree(18);
}

#[test]
#[ignore = "make test-kinds: the same on every server, minutes each"]
fn what_a_dry_run_allows_works_on_every_server() {
    for major in [14, 15, 16, 17] {
        dry_run_and_restore_agree(major);
    }
}
