//! pgbouncer before a server of the tests. It ends with its guard.

use super::postgres::{Database, SUPERUSER, Server};
use super::program::{self, Running};
use super::wait;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// A running pooler, which lets the superuser in without a password.
pub struct Pgbouncer {
    pub port: u16,
    _running: Running,
}

impl Pgbouncer {
    /// `mode` is `transaction` or `session`; `settings` are further lines of its configuration. `directory` is its own.
    pub fn start(server: &Server, mode: &str, settings: &str, directory: &Path) -> Pgbouncer {
        fs::create_dir_all(directory).expect("make a directory");
        // it runs as another user than root
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).expect("open it");
        let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = taken.local_addr().expect("an address").port();
        drop(taken);
        let users = directory.join("users");
        fs::write(&users, format!("\"{SUPERUSER}\" \"{}\"\n", server.password)).expect("write it");
        let configuration = directory.join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\npool_mode = {mode}\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\n{settings}\n",
            server.port,
            users.display()
        );
        fs::write(&configuration, text).expect("write it");
        let mut command = Command::new("setpriv");
        if rustix::process::getuid().is_root() {
            command.args(["--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]);
        }
        command
            .args(["--", "/usr/sbin/pgbouncer", "-q"])
            .arg(&configuration);
        let running = program::start(command, "");
        wait::until("pgbouncer listens", || {
            TcpStream::connect(("127.0.0.1", port)).ok().map(drop)
        });
        Pgbouncer {
            port,
            _running: running,
        }
    }

    /// What a configuration says in `connection: { … }` to reach `database` through it.
    pub fn connection(&self, database: &Database<'_>) -> String {
        format!(
            "host: 127.0.0.1, port: {}, database: {}, user: {SUPERUSER}",
            self.port, database.name
        )
    }

    /// What an application gets that asks through it.
    pub fn ask(&self, database: &Database<'_>, sql: &str) -> String {
        let mut command = database.server.client("psql");
        command
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.port.to_string())
            .env("PGDATABASE", &database.name)
            .args(["-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-c", sql]);
        program::run(command, "")
            .exits(0)
            .text()
            .trim_end()
            .to_string()
    }
}
