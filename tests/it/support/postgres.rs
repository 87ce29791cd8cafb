//! PostgreSQL servers of every major version, started when first asked for and shared by the whole run.
//!
//! Each belongs to a `tests/parts/throwaway-postgres`, which holds a pipe to this process: when the pipe closes, for
//! whatever reason, the server and its directory go.

use super::program::{self, Output, Running};
use super::{part, repository};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
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
    has_everything: OnceLock<()>,
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
            has_everything: OnceLock::new(),
        }
    }

    /// An empty database, its name made unique from `name`.
    pub fn create_database(&self, name: &str) -> Database<'_> {
        self.create(name, "template0")
    }

    /// An empty database with exactly this name, for those that need care.
    pub fn create_database_named(&self, name: &str) -> Database<'_> {
        let quoted = name.replace('"', "\"\"");
        self.maintenance()
            .sql(&format!("CREATE DATABASE \"{quoted}\" TEMPLATE template0"));
        let name = name.to_string();
        Database { server: self, name }
    }

    /// An empty database that belongs to `role`.
    pub fn create_database_of(&self, role: &str, name: &str) -> Database<'_> {
        let database = self.create_database(name);
        self.maintenance()
            .sql(&format!("ALTER DATABASE {} OWNER TO {role}", database.name));
        database
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

    /// The same with all that there is in PostgreSQL: `tests/data/everything.sql`.
    pub fn everything(&self) -> Database<'_> {
        self.has_everything.get_or_init(|| {
            self.maintenance().sql("CREATE DATABASE has_everything");
            let database = Database {
                server: self,
                name: "has_everything".to_string(),
            };
            database.load("shop.sql", &["scale=0.005"]);
            database.load("oddities.sql", &[]);
            database.load("everything.sql", &[]);
        });
        self.create("everything", "has_everything")
    }

    /// A database with 24 MB that hardly compress, so that a dump of it is not over soon.
    pub fn large(&self) -> Database<'_> {
        let database = self.create_database("large");
        database.sql(
            "CREATE TABLE ballast AS SELECT n, string_agg(md5(n || ' ' || i), '') AS text
             FROM generate_series(1, 2500) AS n, generate_series(1, 1000) AS i GROUP BY n",
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

    /// Starts it anew as a server that follows another one, which it never finds.
    pub fn follow(&self) {
        let data = self.maintenance().sql("SHOW data_directory");
        let signal = format!("COPY (SELECT 1) TO '{data}/standby.signal'");
        self.maintenance().sql(&signal);
        self.restart(&[]);
    }

    /// Starts it anew with its configuration in a directory of its own, `etc` beside the data directory, as Debian has it.
    pub fn move_configuration(&self) {
        let directory = self.directory.display();
        self.maintenance().sql(&format!(
            "COPY (SELECT 1 WHERE false) TO PROGRAM 'cd {directory} && mkdir -p etc/conf.d etc/more && mv data/*.conf etc/ && mv etc/postgresql.auto.conf data/';
             COPY (VALUES ($$data_directory = '{directory}/data'$$), ($$hba_file = '{directory}/etc/pg_hba.conf'$$),
                 ($$ident_file = '{directory}/etc/pg_ident.conf'$$), ($$external_pid_file = '{directory}/main.pid'$$),
                 ($$include_dir = 'conf.d'$$), ($$include_dir = 'more'$$)) TO PROGRAM 'cat >>{directory}/etc/postgresql.conf';
             COPY (SELECT 'work_mem = 7MB') TO '{directory}/etc/more/work.conf'"
        ));
        let (file, port) = (format!("{directory}/etc/postgresql.conf"), self.port);
        self.restart(&[format!("--options=-c config_file={file} -p {port}")]);
    }

    /// Starts it anew with WAL in segments of 64 MB.
    pub fn with_large_segments(&self) {
        let data = self.directory.join("data");
        let sized = "COPY (SELECT 'min_wal_size = 128MB') TO PROGRAM";
        self.maintenance().sql(&format!(
            "{sized} 'cat >>{}/postgresql.conf'",
            data.display()
        ));
        let run = |mut command: Command| {
            command.current_dir("/").arg("-D").arg(&data);
            program::run(command, "").exits(0);
        };
        let mut stop = pg_ctl(self.major);
        stop.args(["stop", "--silent", "--wait"]);
        run(stop);
        let mut resize = as_owner(self.major, "pg_resetwal");
        resize.arg("--wal-segsize=64");
        run(resize);
        self.restart(&[]);
    }

    fn restart(&self, options: &[String]) {
        let data = self.directory.join("data");
        let mut command = pg_ctl(self.major);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .current_dir("/")
            .args(["restart", "--silent", "--wait", "--mode=fast"])
            .arg(format!("--pgdata={}", data.display()))
            .arg(format!(
                "--log={}",
                self.directory.join("server.log").display()
            ))
            .args(options);
        program::run(command, "").exits(0);
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

/// A port for a server that is to be started.
pub fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    port.to_string()
}

/// pg_ctl of this major version, run by whom tests/parts/throwaway-postgres runs its servers.
pub fn pg_ctl(major: u32) -> Command {
    as_owner(major, "pg_ctl")
}

fn as_owner(major: u32, program: &str) -> Command {
    let program = bin(major).join(program);
    match rustix::process::geteuid().is_root() {
        true => {
            let mut command = Command::new("setpriv");
            let nobody = ["--reuid", "nobody", "--regid", "nogroup", "--clear-groups"];
            command.args(nobody).arg(program);
            command
        }
        false => Command::new(program),
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

    /// What `text` prints, to the byte.
    #[track_caller]
    pub fn sql_bytes(&self, text: &str) -> Vec<u8> {
        self.psql(&[], text).exits(0).stdout
    }

    /// Runs `text` as `role`, which then owns what is made.
    #[track_caller]
    pub fn sql_as(&self, role: &str, text: &str) -> String {
        self.sql(&format!("SET ROLE {role};\n{text}"))
    }

    /// Runs a file of `tests/data` as `role`.
    #[track_caller]
    pub fn load_as(&self, role: &str, file: &str, variables: &[&str]) {
        let script = fs::read_to_string(data().join(file)).expect("a file of tests/data");
        let variables: String = variables
            .iter()
            .filter_map(|variable| variable.split_once('='))
            .map(|(name, value)| format!("\\set {name} {value}\n"))
            .collect();
        self.sql_as(role, &(variables + &script));
    }

    /// A session that holds `table` against everyone until it is dropped.
    #[track_caller]
    pub fn hold(&self, table: &str) -> Running {
        let mut command = self.server.client("psql");
        command
            .env("PGDATABASE", &self.name)
            .env("PGAPPNAME", "the one in the way")
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1"]);
        let held = program::start(
            command,
            format!("BEGIN;\nLOCK TABLE {table} IN ACCESS EXCLUSIVE MODE;\n\\! sleep 1000\n"),
        );
        let granted = format!(
            "SELECT count(*) FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock' AND relation = '{table}'::regclass"
        );
        program::until("the table is held", || self.sql(&granted) == "1");
        held
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

    /// What a configuration says in `connection: { … }` to reach it as this user.
    pub fn connection(&self, user: &str, password: &str) -> String {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
        format!(
            "host: 127.0.0.1, port: {}, database: {}, user: {user}, password: {}",
            self.server.port,
            quoted(&self.name),
            quoted(password)
        )
    }

    fn psql(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.server.client("psql");
        command
            .env("PGDATABASE", &self.name)
            .args(["-X", "-q", "-At", "-v", "ON_ERROR_STOP=1"])
            .args(arguments);
        program::run(command, input)
    }
}

fn data() -> &'static Path {
    static DATA: OnceLock<PathBuf> = OnceLock::new();
    DATA.get_or_init(|| repository().join("tests/data"))
}
