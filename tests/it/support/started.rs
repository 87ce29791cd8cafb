//! A server that a restore has started.

use super::postgres::{SUPERUSER, Server, bin, pg_ctl};
use super::program;
use std::path::PathBuf;
use std::process::Command;

/// It is stopped when this goes.
pub struct Started<'a> {
    /// The one that it is a copy of.
    origin: &'a Server,
    data: PathBuf,
    pub port: String,
}

impl<'a> Started<'a> {
    /// The server in the data directory `data`, a copy of `origin`.
    pub fn at(origin: &'a Server, data: PathBuf, port: &str) -> Started<'a> {
        let port = port.to_string();
        Started { origin, data, port }
    }

    /// What it says to `sql`.
    #[track_caller]
    pub fn ask(&self, sql: &str) -> String {
        let mut psql = Command::new(bin(self.origin.major).join("psql"));
        psql.env_clear()
            .env("PGHOST", "127.0.0.1")
            .env("PGPASSWORD", &self.origin.password)
            .args(["-X", "-q", "-At", "-v", "ON_ERROR_STOP=1"])
            .args(["-U", SUPERUSER, "-d", "postgres", "-p"])
            .arg(&self.port);
        let output = program::run(psql, sql).exits(0);
        output.text().trim_end().to_string()
    }
}

impl Drop for Started<'_> {
    fn drop(&mut self) {
        let mut command = pg_ctl(self.origin.major);
        command
            .current_dir("/")
            .args(["stop", "-s", "-w", "-m", "immediate", "-D"])
            .arg(&self.data);
        let _ = command.status();
    }
}
