//! A whole cluster that is backed up and restored.

use super::postgres::{SUPERUSER, Server, bin};
use super::program::{self, Output};
use super::sandbox::Sandbox;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A cluster with two further tablespaces and its configuration.
pub struct ClusterScene {
    pub sandbox: Sandbox,
    pub server: Server,
}

impl ClusterScene {
    /// A server of its own of this major version, backed up as `main`.
    pub fn new(major: u32, settings: &[&str]) -> ClusterScene {
        let scene = ClusterScene {
            sandbox: Sandbox::new(major),
            server: Server::start(major, settings),
        };
        for name in ["fast", "slow"] {
            let path = scene.server.directory.join(name);
            let directory = path.display();
            // the server's own user has to own it
            scene.server.maintenance().sql(&format!(
                "COPY (SELECT 1 WHERE false) TO PROGRAM 'mkdir {directory}';\nCREATE TABLESPACE {name} LOCATION '{directory}'"
            ));
        }
        scene.server.maintenance().sql(
            "CREATE TABLE orders AS SELECT n AS id, md5(n::text) AS what FROM generate_series(1, 20000) AS n;
             CREATE INDEX ON orders (what);
             CREATE TABLE fast_ones TABLESPACE fast AS SELECT * FROM orders WHERE id % 2 = 0;
             CREATE TABLE slow_ones TABLESPACE slow AS SELECT * FROM orders WHERE id % 3 = 0",
        );
        scene.configure("");
        scene
    }

    /// Writes the configuration; `more` are further keys of the cluster.
    pub fn configure(&self, more: &str) {
        let connection = self.server.maintenance();
        let connection = connection.connection(SUPERUSER, &self.server.password);
        let storage = self.sandbox.path("storage");
        self.sandbox.configure(&format!(
            "version: 1
storage:
  - {{ name: local, type: local, local: {{ path: '{}' }} }}
clusters:
  - name: main
    connection: {{ {connection} }}
    backup:
      storage: local
      incremental: {{ max_chain: 3 }}
      encryption: {{ enabled: true, password: '${{BACKUPKIT_ENC_PASSWORD}}' }}
{more}
",
            storage.display()
        ));
    }

    /// Makes a backup, and returns the path of the object that it is known by.
    #[track_caller]
    pub fn back_up(&self, kind: &str) -> PathBuf {
        self.back_up_of("main", kind)
    }

    /// The same of another cluster of the configuration.
    #[track_caller]
    pub fn back_up_of(&self, name: &str, kind: &str) -> PathBuf {
        let output = self
            .sandbox
            .run(&["backup", "--name", name, "--type", kind]);
        let line = output.exits(0).text();
        line.split('\t').nth(3).expect("the destination").into()
    }

    /// The OIDs of its two further tablespaces.
    pub fn tablespaces(&self) -> Vec<String> {
        let sql = "SELECT oid FROM pg_tablespace WHERE oid > 10000 ORDER BY oid";
        let oids = self.server.maintenance().sql(sql);
        oids.lines().map(str::to_string).collect()
    }

    /// Restores `backup` into the new directory `name`, with the tablespaces beside it.
    pub fn restore(&self, backup: &str, name: &str) -> Output {
        self.restore_with(backup, name, &[])
    }

    /// The same, with further options.
    pub fn restore_with(&self, backup: &str, name: &str, options: &[&str]) -> Output {
        let directory = self.sandbox.path(name).display().to_string();
        let oids = self.tablespaces().into_iter();
        let maps: Vec<String> = oids
            .map(|oid| format!("--tablespace-map={oid}={directory}-{oid}"))
            .collect();
        let mut arguments = vec!["restore", "--from", backup, "--to-dir", &directory];
        arguments.extend(["--owner", "nobody"]);
        arguments.extend(maps.iter().map(String::as_str));
        arguments.extend(options);
        self.sandbox.run(&arguments)
    }

    /// What a server that is started in the restored directory `name` says to `sql`.
    #[track_caller]
    pub fn ask_restored(&self, name: &str, sql: &str) -> String {
        // its user has to come through
        let open = "chmod 755 .";
        program::run(self.sandbox.inside(shell(open)), "").exits(0);
        let data = self.sandbox.path(name);
        let programs = bin(self.server.major);
        let script = format!(
            "set -e; cd /; su=; [ $(id -u) != 0 ] || su='setpriv --reuid nobody --regid nogroup --clear-groups'
             $su {bin}/pg_ctl start -s -w -D {data} -o '-c listen_addresses= -c unix_socket_directories={data} -p 5432' >{data}/log 2>&1 \
               || {{ cat {data}/log >&2; exit 1; }}
             {bin}/psql -X -q -At -v ON_ERROR_STOP=1 -h {data} -U postgres -d postgres
             $su {bin}/pg_ctl stop -s -w -m immediate -D {data}",
            bin = programs.display(),
            data = data.display(),
        );
        let output = program::run(self.sandbox.inside(shell(&script)), sql).exits(0);
        output.text().trim_end().to_string()
    }

    /// The rows of each table, as the living server and a restored one tell them.
    pub const ROWS: &str =
        "SELECT count(*), sum(id), md5(string_agg(what, '' ORDER BY id)) FROM orders;
        SELECT count(*), sum(id) FROM fast_ones; SELECT count(*), sum(id) FROM slow_ones;";

    #[track_caller]
    pub fn holds_the_same(&self, name: &str) {
        let living = self.server.maintenance().sql(ClusterScene::ROWS);
        assert_eq!(self.ask_restored(name, ClusterScene::ROWS), living);
    }

    pub fn listed(&self) -> Vec<Value> {
        let output = self.sandbox.run(&["list", "--json"]).exits(0);
        let document: Value = serde_json::from_str(&output.text()).expect("JSON");
        document["backups"].as_array().expect("a list").clone()
    }

    pub fn files(&self) -> Vec<String> {
        let files = self.sandbox.files("storage").into_iter();
        files
            .filter(|name| !name.ends_with("last-failure.json") && !name.ends_with(".lock"))
            .collect()
    }
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    command
}

/// `main/TIMESTAMP` of the object at `path`.
pub fn id(path: &Path) -> String {
    let name = path.file_name().expect("a name").to_str().expect("UTF-8");
    format!("main/{}", &name[..26])
}
