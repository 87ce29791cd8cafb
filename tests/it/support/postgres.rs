//! PostgreSQL servers of every major version, started when first asked for and shared by the whole run.
//!
//! Each belongs to a `tests/parts/throwaway-postgres`, which holds a pipe to this process: when the pipe closes, for
//! whatever reason, the server and its directory go.

use super::program::{self, Output};
use super::{part, repository};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The major versions that the program works with.
pub const MAJORS: [u32; 5] = [14, 15, 16, 17, 18];

/// The server's superuser.
pub const SUPERUSER: &str = "postgres";

/// The shared server of this major version.
pub fn postgres(major: u32) -> &'static Server {
    static SERVERS: [OnceLock<Server>; MAJORS.len()] = [const { OnceLock::new() }; MAJORS.len()];
    let index = MAJORS.iter().position(|known| *known == major);
    SERVERS[index.expect("a major version of MAJORS")].get_or_init(|| Server::start(major, &[]))
}

/// A large database that is only read from.
pub fn large() -> &'static Database<'static> {
    static LARGE: OnceLock<Database<'static>> = OnceLock::new();
    LARGE.get_or_init(|| postgres(18).large())
}

/// The directory with the client and server programs of this major version.
pub fn bin(major: u32) -> PathBuf {
    part(&format!("postgres/{major}")).join("bin")
}

/// A running server. Dropped, it is stopped at once and its directory removed.
pub struct Server {
    pub major: u32,
    /// Its socket directory. There the superuser needs no password.
    pub directory: PathBuf,
    /// Its port, in that directory and on 127.0.0.1.
    pub port: u16,
    /// The superuser's password.
    pub password: String,
    guard: Child,
    names: AtomicU32,
    filled: OnceLock<()>,
}

impl Server {
    /// A server of one's own, for tests that stop or reconfigure it. `settings` are `name=value`.
    pub fn start(major: u32, settings: &[&str]) -> Server {
        let mut guard = Command::new(repository().join("tests/parts/throwaway-postgres"))
            .arg(bin(major))
            .args(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tests/parts/throwaway-postgres runs");
        let mut line = String::new();
        BufReader::new(guard.stdout.take().expect("stdout is a pipe"))
            .read_line(&mut line)
            .expect("read where the server is");
        let words: Vec<&str> = line.split_whitespace().collect();
        let [directory, port, password] = words[..] else {
            panic!("PostgreSQL {major} does not start; the reason is on stderr");
        };
        Server {
            major,
            directory: directory.into(),
            port: port.parse().expect("a port number"),
            password: password.to_string(),
            guard,
            names: AtomicU32::new(0),
            filled: OnceLock::new(),
        }
    }

    /// An empty database, its name made unique from `name`.
    pub fn create_database(&self, name: &str) -> Database<'_> {
        self.create(name, "template0")
    }

    /// A database of its own with the contents of `tests/data`: the shop at a small scale, and the oddities.
    pub fn shop(&self) -> Database<'_> {
        self.filled.get_or_init(|| {
            self.maintenance().sql("CREATE DATABASE filled");
            let database = Database {
                server: self,
                name: "filled".to_string(),
            };
            database.load("shop.sql", &["scale=0.005"]);
            database.load("oddities.sql", &[]);
        });
        self.create("shop", "filled")
    }

    /// A database with 24 MB that hardly compress, so that a dump of it is not over soon.
    pub fn large(&self) -> Database<'_> {
        let database = self.create_database("large");
        database.sql(
            "CREATE TABLE ballast AS SELECT n, string_agg(md5(n || ' ' || i), '') AS text
             FROM generate_series(1, 750) AS n, generate_series(1, 1000) AS i GROUP BY n",
        );
        database
    }

    /// A role that may log in, with its name as its password; the name is made unique from `name`.
    pub fn create_role(&self, name: &str) -> String {
        let role = self.unique(name);
        self.maintenance()
            .sql(&format!("CREATE ROLE {role} LOGIN PASSWORD '{role}'"));
        role
    }

    /// The database `postgres`, for commands that belong to no other.
    pub fn maintenance(&self) -> Database<'_> {
        Database {
            server: self,
            name: "postgres".to_string(),
        }
    }

    /// One of this server's own client programs, which connects as the superuser.
    pub fn client(&self, program: &str) -> Command {
        let mut command = Command::new(bin(self.major).join(program));
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("PGHOST", &self.directory)
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", SUPERUSER);
        command
    }

    fn create(&self, name: &str, template: &str) -> Database<'_> {
        let name = self.unique(name);
        self.maintenance()
            .sql(&format!("CREATE DATABASE {name} TEMPLATE {template}"));
        Database { server: self, name }
    }

    fn unique(&self, name: &str) -> String {
        format!("{name}_{}", self.names.fetch_add(1, Ordering::Relaxed))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

/// A database on a running server. It goes with the server.
pub struct Database<'server> {
    pub server: &'server Server,
    pub name: String,
}

impl Database<'_> {
    /// Runs `text` as the superuser; rows come back as lines, their columns separated by `|`.
    #[track_caller]
    pub fn sql(&self, text: &str) -> String {
        self.psql(&[], text).exits(0).text().trim_end().to_string()
    }

    /// Runs a file of `tests/data`. `variables` are `name=value`.
    #[track_caller]
    pub fn load(&self, file: &str, variables: &[&str]) -> Output {
        let path = data().join(file);
        let mut arguments = vec!["-f", path.to_str().expect("a path in UTF-8")];
        for variable in variables {
            arguments.extend(["-v", variable]);
        }
        self.psql(&arguments, "").exits(0)
    }

    /// What the database holds, line by line: see `tests/data/fingerprint.sql`.
    #[track_caller]
    pub fn fingerprint(&self) -> Vec<String> {
        let lines = self.load("fingerprint.sql", &[]).text();
        lines.lines().map(str::to_string).collect()
    }

    /// Fails the test, showing where they differ, unless both databases hold the same.
    #[track_caller]
    pub fn holds_the_same_as(&self, other: &Database<'_>) {
        let (ours, theirs) = (self.fingerprint(), other.fingerprint());
        let not_in = |lines: &[String], others: &[String]| -> Vec<String> {
            let missing = lines.iter().filter(|line| !others.contains(line));
            missing.cloned().collect()
        };
        assert!(
            ours == theirs,
            "only in {}: {:#?}\nonly in {}: {:#?}",
            self.name,
            not_in(&ours, &theirs),
            other.name,
            not_in(&theirs, &ours)
        );
    }

    /// What a configuration says under `connection` to reach it as this user.
    pub fn connection(&self, user: &str, password: &str) -> String {
        let (port, name) = (self.server.port, &self.name);
        format!(
            "{{ host: 127.0.0.1, port: {port}, database: {name}, user: {user}, password: '{password}' }}"
        )
    }

    fn psql(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.server.client("psql");
        command
            .args(["-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-d", &self.name])
            .args(arguments);
        program::run(command, input)
    }
}

fn data() -> &'static Path {
    static DATA: OnceLock<PathBuf> = OnceLock::new();
    DATA.get_or_init(|| repository().join("tests/data"))
}
