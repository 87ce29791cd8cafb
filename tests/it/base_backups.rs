//! Base backups of whole clusters: streamed, checked, combined, restored into a directory from which a real server starts.

use crate::support::postgres::{MAJORS, SUPERUSER, Server, bin, postgres};
use crate::support::program::{self, Output};
use crate::support::sandbox::Sandbox;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A cluster with two further tablespaces and its configuration.
struct Scene {
    sandbox: Sandbox,
    server: Server,
}

impl Scene {
    /// A server of its own of this major version, backed up as `main`.
    fn new(major: u32, settings: &[&str]) -> Scene {
        let scene = Scene {
            sandbox: Sandbox::new(major),
            server: Server::start(major, settings),
        };
        for name in ["fast", "slow"] {
            let path = scene.server.directory.join(name);
            let directory = path.display();
            // the server's own user has to own it
            scene.server.maintenance().sql(&format!(
                "COPY (SELECT 1) TO PROGRAM 'mkdir {directory}';\nCREATE TABLESPACE {name} LOCATION '{directory}'"
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
    fn configure(&self, more: &str) {
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
    fn back_up(&self, kind: &str) -> PathBuf {
        let output = self
            .sandbox
            .run(&["backup", "--name", "main", "--type", kind]);
        let line = output.exits(0).text();
        line.split('\t').nth(3).expect("the destination").into()
    }

    /// Restores `backup` into the new directory `name`, with the tablespaces beside it.
    fn restore(&self, backup: &str, name: &str) -> Output {
        let directory = self.sandbox.path(name).display().to_string();
        let sql =
            "SELECT string_agg(oid::text, ',' ORDER BY oid) FROM pg_tablespace WHERE oid > 10000";
        let oids = self.server.maintenance().sql(sql);
        let maps: Vec<String> = oids
            .split(',')
            .map(|oid| format!("--tablespace-map={oid}={directory}-{oid}"))
            .collect();
        let mut arguments = vec!["restore", "--from", backup, "--to-dir", &directory];
        arguments.extend(["--owner", "nobody"]);
        arguments.extend(maps.iter().map(String::as_str));
        self.sandbox.run(&arguments)
    }

    /// What a server that is started in the restored directory `name` says to `sql`.
    #[track_caller]
    fn ask_restored(&self, name: &str, sql: &str) -> String {
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
    const ROWS: &str =
        "SELECT count(*), sum(id), md5(string_agg(what, '' ORDER BY id)) FROM orders;
        SELECT count(*), sum(id) FROM fast_ones; SELECT count(*), sum(id) FROM slow_ones;";

    #[track_caller]
    fn holds_the_same(&self, name: &str) {
        let living = self.server.maintenance().sql(Scene::ROWS);
        assert_eq!(self.ask_restored(name, Scene::ROWS), living);
    }

    fn listed(&self) -> Vec<Value> {
        let output = self.sandbox.run(&["list", "--json"]).exits(0);
        let document: Value = serde_json::from_str(&output.text()).expect("JSON");
        document["backups"].as_array().expect("a list").clone()
    }

    fn files(&self) -> Vec<String> {
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
fn id(path: &Path) -> String {
    let name = path.file_name().expect("a name").to_str().expect("UTF-8");
    format!("main/{}", &name[..26])
}

#[test]
fn a_cluster_with_tablespaces_comes_back_whole_on_every_server() {
    for major in MAJORS {
        let scene = Scene::new(major, &[]);
        let path = scene.back_up("full");
        let entry = &scene.listed()[0];
        assert_eq!(entry["kind"], "full", "{major}");
        let checked = scene
            .sandbox
            .run(&["verify", "--latest", "--level", "full"]);
        checked.exits(0);
        scene.restore(&id(&path), "restored").exits(0);
        scene.holds_the_same("restored");
        // nothing that reaches others is switched on
        assert_eq!(scene.ask_restored("restored", "SHOW archive_mode"), "off");
        let slots = "SELECT count(*) FROM pg_replication_slots";
        assert_eq!(scene.server.maintenance().sql(slots), "0");
    }
}

#[test]
fn a_chain_of_incremental_backups_is_combined() {
    for major in [17, 18] {
        let scene = Scene::new(major, &["summarize_wal=on"]);
        scene.back_up("full");
        for round in 1..=3 {
            scene.server.maintenance().sql(&format!(
                "UPDATE orders SET what = 'round {round}' WHERE id % 100 = {round};
                 INSERT INTO fast_ones VALUES (-{round}, 'new')"
            ));
            let path = scene.back_up("incr");
            assert!(path.to_str().expect("UTF-8").contains(".incr.tar"));
        }
        scene.restore("main", "restored").exits(0);
        scene.holds_the_same("restored");
        scene
            .sandbox
            .run(&["verify", "--all", "--level", "full"])
            .exits(0);
        // so many follow a full one, and then the next is one
        let output = scene
            .sandbox
            .run(&["backup", "--name", "main", "--type", "incr"])
            .exits(0);
        assert!(output.stderr.contains("max_chain"), "{}", output.stderr);
        assert_eq!(scene.listed()[0]["kind"], "full");
    }
}

#[test]
fn a_drill_starts_a_server_from_the_chain_and_reads_every_row() {
    let scene = Scene::new(17, &["summarize_wal=on"]);
    scene.back_up("full");
    scene
        .server
        .maintenance()
        .sql("UPDATE orders SET what = 'x' WHERE id < 100");
    scene.back_up("incr");
    let drilled = scene
        .sandbox
        .run(&["verify", "--latest", "--level", "restore", "--json"]);
    let document: Value = serde_json::from_str(&drilled.exits(0).text()).expect("JSON");
    let copy = &document["checks"][0];
    assert_eq!(copy["result"], "good", "{document}");
    assert_eq!(copy["tables"], 3, "{document}");
}

#[test]
fn a_server_without_incremental_backups_gets_full_ones_and_is_told_why() {
    let scene = Scene::new(16, &[]);
    scene.back_up("full");
    let output = scene
        .sandbox
        .run(&["backup", "--name", "main", "--type", "incr"])
        .exits(0);
    assert!(output.stderr.contains("PostgreSQL 16"), "{}", output.stderr);
    assert_eq!(scene.listed()[0]["kind"], "full");
    let checked = scene.sandbox.run(&["test"]);
    assert!(
        checked.text().contains("makes no incremental backups"),
        "{}",
        checked.text()
    );
}

#[test]
fn damage_to_any_object_is_found_and_restores_to_nothing() {
    let scene = Scene::new(18, &[]);
    let path = scene.back_up("full");
    let id = id(&path);
    let directory = path.parent().expect("a directory");
    let objects: Vec<PathBuf> = fs::read_dir(directory)
        .expect("the storage")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.to_str().is_some_and(|name| name.ends_with(".enc")))
        .collect();
    assert_eq!(objects.len(), 5);
    for object in objects {
        let good = fs::read(&object).expect("an object");
        let mut flipped = good.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        for bad in [&flipped[..], &good[..good.len() - 1], &[]] {
            fs::write(&object, bad).expect("write an object");
            scene
                .sandbox
                .run(&["verify", &id, "--level", "full"])
                .exits(13);
            scene.restore(&id, "restored").exits(13);
            assert!(
                !scene.sandbox.path("restored").exists(),
                "{}",
                object.display()
            );
        }
        fs::write(&object, good).expect("write an object");
    }
    scene
        .sandbox
        .run(&["verify", &id, "--level", "checksum"])
        .exits(0);
}

#[test]
fn what_a_chain_needs_is_kept_and_without_it_nothing_is_chosen() {
    let scene = Scene::new(17, &["summarize_wal=on"]);
    scene.configure("    retention: { keep_last: 1 }");
    let full = scene.back_up("full");
    scene.back_up("incr");
    let newest = scene.back_up("incr");
    // each needs the one before
    assert_eq!(scene.listed().len(), 3);
    scene.sandbox.run(&["prune"]).exits(0);
    assert_eq!(scene.listed().len(), 3);
    // the next full one needs none of them
    let next = scene.back_up("full");
    let left: Vec<String> = scene
        .listed()
        .iter()
        .map(|one| one["id"].to_string())
        .collect();
    assert_eq!(left, [format!("\"{}\"", id(&next))]);
    assert!(!full.exists() && !newest.exists());
    assert!(scene.files().iter().all(|name| name.contains(&id(&next))));

    let lost = scene.back_up("incr");
    fs::remove_file(&next).expect("remove the full one");
    scene.restore("main", "restored").exits(13);
    scene.restore(&id(&lost), "restored").exits(13);
    assert!(!scene.sandbox.path("restored").exists());
}

#[test]
fn a_page_that_the_server_finds_damaged_is_marked_and_never_counts_as_good() {
    let scene = Scene::new(18, &[]);
    let good = scene.back_up("full");
    let maintenance = scene.server.maintenance();
    let file = maintenance.sql("CHECKPOINT; SELECT current_setting('data_directory') || '/' || pg_relation_filepath('orders')");
    let relation = maintenance.sql("SELECT pg_relation_filepath('orders')");
    let pages = fs::OpenOptions::new()
        .write(true)
        .open(&file)
        .expect("the table's file");
    pages
        .write_at(b"damage", 5 * 8192 + 4000)
        .expect("damage a page");
    let output = scene.sandbox.run(&["backup", "--name", "main"]).exits(1);
    let said = output.stderr;
    assert!(said.contains(&format!("{relation} block 5")), "{said}");
    let newest = &scene.listed()[0];
    assert_eq!(newest["damaged_pages"], 1);
    // latest is the one before
    scene.restore("main", "restored").exits(0);
    let label = fs::read_to_string(scene.sandbox.path("restored/backup_label")).expect("a label");
    assert!(label.contains(&id(&good)), "{label}");
    scene.sandbox.run(&["status"]).exits(13);
}

#[test]
fn nothing_that_lies_in_a_directory_is_overwritten() {
    let scene = Scene::new(18, &[]);
    scene.back_up("full");
    let directory = scene.sandbox.path("restored");
    fs::create_dir(&directory).expect("make a directory");
    fs::write(directory.join("precious"), "stays").expect("write a file");
    scene.restore("main", "restored").exits(15);
    assert_eq!(
        fs::read(directory.join("precious")).expect("it stays"),
        b"stays"
    );
    fs::remove_file(directory.join("precious")).expect("remove it");
    // where the tablespaces of the living server are
    let arguments = [
        "restore",
        "--from",
        "main",
        "--to-dir",
        directory.to_str().expect("UTF-8"),
    ];
    scene.sandbox.run(&arguments).exits(15);
    assert_eq!(fs::read_dir(&directory).expect("it is there").count(), 0);
}

#[test]
fn a_role_that_may_not_replicate_is_told_what_it_lacks() {
    let (sandbox, server) = (Sandbox::new(18), postgres(18));
    let role = server.create_role("plain");
    let connection = server.maintenance().connection(&role, &role);
    let storage = sandbox.path("storage");
    sandbox.configure(&format!(
        "version: 1\nstorage:\n  - {{ name: local, type: local, local: {{ path: '{}' }} }}\nclusters:\n  - {{ name: main, connection: {{ {connection} }}, backup: {{ storage: local }} }}\n",
        storage.display()
    ));
    for arguments in [&["backup"][..], &["test"]] {
        let output = sandbox.run(arguments).exits(1);
        let said = format!("{}{}", output.text(), output.stderr);
        assert!(said.contains("REPLICATION"), "{said}");
    }
    assert!(
        sandbox
            .files("storage")
            .iter()
            .all(|name| name.ends_with("last-failure.json") || name.ends_with(".lock"))
    );
}
