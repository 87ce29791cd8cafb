//! What becomes of a cluster that is restored: started, a standby, its WAL and its configuration elsewhere, and all that is left alone.

use crate::support::cluster_scene::{ClusterScene, id};
use crate::support::postgres::{SUPERUSER, free_port, pg_ctl};
use crate::support::program::{self, Output};
use crate::support::started::Started;
use crate::support::wait::until;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The cluster of `scene`, backed up, restored as `restored` and started.
#[track_caller]
fn restored(scene: &ClusterScene) -> Started<'_> {
    scene.back_up("full");
    open_sandbox(scene);
    let port = free_port();
    let options = ["--start", "--port", &port];
    scene.restore_with("main", "restored", &options).exits(0);
    started(scene, "restored", &port)
}

/// The server that was started from the restored directory `name`.
fn started<'a>(scene: &'a ClusterScene, name: &str, port: &str) -> Started<'a> {
    Started::at(&scene.server, scene.sandbox.path(name), port)
}

fn open_sandbox(scene: &ClusterScene) {
    // the server's user has to come through
    let mut open = Command::new("/bin/chmod");
    open.args(["755", "."]);
    program::run(scene.sandbox.inside(open), "").exits(0);
}

fn json(output: &Output) -> Value {
    serde_json::from_str(output.text().trim_end()).expect("JSON")
}

fn count(directory: &Path) -> usize {
    fs::read_dir(directory).expect("a directory").count()
}

#[test]
fn a_restored_cluster_is_started_and_waited_for() {
    let scene = ClusterScene::new(18, &["summarize_wal=on"]);
    scene.back_up("full");
    scene
        .server
        .maintenance()
        .sql("UPDATE orders SET what = 'later' WHERE id % 10 = 0");
    scene.back_up("incr");
    open_sandbox(&scene);
    let wal = scene.sandbox.path("wal");
    let wal = wal.to_str().expect("UTF-8");
    let port = free_port();
    let options = [
        "--start", "--port", &port, "--waldir", wal, "--jobs", "3", "--json",
    ];
    let output = scene.restore_with("main", "restored", &options).exits(0);
    let server = started(&scene, "restored", &port);
    let told = json(&output);
    assert_eq!(told["started"], true, "{told}");
    assert_eq!(told["wal_directory"], wal, "{told}");
    assert_eq!(
        server.ask(ClusterScene::ROWS),
        scene.server.maintenance().sql(ClusterScene::ROWS)
    );
    server.ask("INSERT INTO orders VALUES (-1, 'written')");
    until("the server has forgotten the recovery", || {
        server.ask("SHOW restore_command").is_empty().then_some(())
    });
    assert_eq!(
        server.ask("SHOW archive_mode; SELECT timeline_id FROM pg_control_checkpoint()"),
        "off\n2"
    );
    assert_eq!(
        fs::read_link(scene.sandbox.path("restored/pg_wal")).expect("a link"),
        Path::new(wal)
    );
    let auto =
        fs::read_to_string(scene.sandbox.path("restored/postgresql.auto.conf")).expect("a file");
    assert!(
        !auto.contains("restore_command") && !auto.contains("recovery_target"),
        "{auto}"
    );
    for left in [
        "restored/backupkit.restoring",
        "restored/recovery.signal",
        "wal/backupkit.restoring",
    ] {
        assert!(!scene.sandbox.path(left).exists(), "{left}");
    }

    // a directory in which a server runs is refused, and so is its WAL
    let refused = scene.restore("main", "restored").exits(15);
    assert!(
        refused.stderr.contains("a server runs in"),
        "{}",
        refused.stderr
    );
    scene
        .restore_with("main", "other", &["--waldir", wal])
        .exits(15);
    assert!(!scene.sandbox.path("other").exists());
    assert_eq!(server.ask("SELECT count(*) FROM orders WHERE id = -1"), "1");

    // what cannot start says why, leaves no server, and stays as it was restored
    let failed = scene
        .restore_with("main", "second", &["--start", "--port", &port])
        .exits(1);
    assert!(
        failed.stderr.contains("does not start"),
        "{}",
        failed.stderr
    );
    assert!(
        failed.stderr.contains("already in use"),
        "{}",
        failed.stderr
    );
    assert!(!scene.sandbox.path("second/postmaster.pid").exists());
    scene.holds_the_same("second");
}

#[test]
fn a_standby_follows_and_begins_no_history_of_its_own() {
    let scene = ClusterScene::new(17, &["summarize_wal=on", "full_page_writes=on"]);
    scene.back_up("full");
    open_sandbox(&scene);
    let port = free_port();
    let options = ["--standby", "--start", "--port", &port, "--jobs", "2"];
    let output = scene.restore_with("main", "restored", &options).exits(0);
    let server = started(&scene, "restored", &port);
    assert!(
        output.text().contains("primary_conninfo"),
        "{}",
        output.text()
    );
    assert_eq!(server.ask("SELECT pg_is_in_recovery()"), "t");
    assert_eq!(
        server.ask(ClusterScene::ROWS),
        scene.server.maintenance().sql(ClusterScene::ROWS)
    );
    // told whom to follow, it catches up
    let primary = format!(
        "host=127.0.0.1 port={} user={SUPERUSER} password={}",
        scene.server.port, scene.server.password
    );
    let auto = scene.sandbox.path("restored/postgresql.auto.conf");
    let mut text = fs::read_to_string(&auto).expect("a file");
    text.push_str(&format!("primary_conninfo = '{primary}'\n"));
    fs::write(&auto, text).expect("write it");
    server.ask("SELECT pg_reload_conf()");
    scene
        .server
        .maintenance()
        .sql("INSERT INTO orders VALUES (-1, 'later')");
    until("the standby has the row", || {
        (server.ask("SELECT count(*) FROM orders WHERE id = -1") == "1").then_some(())
    });

    // it can be backed up like its primary, which then does not carry the load
    scene.configure(&format!(
        "  - name: standby\n    connection: {{ host: 127.0.0.1, port: {port}, user: {SUPERUSER}, password: '{}' }}\n    backup: {{ storage: local, encryption: {{ enabled: false }} }}",
        scene.server.password
    ));
    scene.back_up_of("standby", "full");
    scene.server.maintenance().sql(
        "UPDATE orders SET what = 'of the primary' WHERE id % 7 = 0; CHECKPOINT; SELECT pg_switch_wal()",
    );
    until("the standby has the rows", || {
        (server.ask(ClusterScene::ROWS) == scene.server.maintenance().sql(ClusterScene::ROWS))
            .then_some(())
    });
    server.ask("CHECKPOINT");
    let path = scene.back_up_of("standby", "incr");
    assert!(path.to_str().expect("UTF-8").contains(".incr."), "{path:?}");
    scene.restore("standby", "of-the-standby").exits(0);
    scene.holds_the_same("of-the-standby");
}

#[test]
fn what_its_origin_was_told_once_does_not_lead_a_copy_astray() {
    // a moment that it was restored to long ago, and a log of its own
    let settings = [
        "recovery_target_time=2020-01-01 00:00:00+00",
        "logging_collector=on",
        "log_directory=elsewhere",
        "synchronous_standby_names=*",
    ];
    let scene = ClusterScene::new(18, &settings);
    let server = restored(&scene);
    assert_eq!(
        server.ask(ClusterScene::ROWS),
        scene.server.maintenance().sql(ClusterScene::ROWS)
    );
    assert!(count(&scene.sandbox.path("restored/log")) > 0);
    assert_eq!(server.ask("SHOW log_directory"), "log");
    // nobody is there to be waited for
    assert_eq!(server.ask("SHOW synchronous_standby_names"), "");

    // what the server says when it cannot start stands in that log
    let options = ["--start", "--port", &server.port];
    let failed = scene.restore_with("main", "second", &options).exits(1);
    assert!(
        failed.stderr.contains("already in use"),
        "{}",
        failed.stderr
    );
}

#[test]
fn a_configuration_that_lay_elsewhere_comes_along_and_leads_back_to_nowhere() {
    let scene = ClusterScene::new(18, &["max_connections=130", "max_prepared_transactions=5"]);
    scene.server.move_configuration();
    scene.back_up("full");
    open_sandbox(&scene);
    let living = || {
        let files = [
            "etc/postgresql.conf",
            "etc/pg_hba.conf",
            "etc/more/work.conf",
            "main.pid",
        ];
        files.map(|name| fs::read(scene.server.directory.join(name)).expect("a file"))
    };
    let before = living();
    let port = free_port();
    let options = ["--start", "--port", &port, "--json"];
    let output = scene.restore_with("main", "restored", &options).exits(0);
    let server = started(&scene, "restored", &port);
    let told = json(&output);
    assert_eq!(
        told["configuration"].as_array().expect("a list").len(),
        4,
        "{told}"
    );
    let data = scene.sandbox.path("restored");
    assert_eq!(
        server.ask("SHOW data_directory"),
        data.display().to_string()
    );
    assert_eq!(server.ask("SHOW work_mem"), "7MB");
    let hba = data.join("backupkit.configuration/pg_hba.conf");
    assert_eq!(server.ask("SHOW hba_file"), hba.display().to_string());
    assert_eq!(
        server.ask(ClusterScene::ROWS),
        scene.server.maintenance().sql(ClusterScene::ROWS)
    );
    drop(server);
    assert!(
        living() == before,
        "files of the living server were touched"
    );

    // a role that may not read them says so
    scene
        .server
        .maintenance()
        .sql("CREATE ROLE reader LOGIN REPLICATION PASSWORD 'reader' IN ROLE pg_read_all_settings");
    let connection = scene.server.maintenance().connection("reader", "reader");
    let storage = scene.sandbox.path("storage");
    scene.sandbox.configure(&format!(
        "version: 1\nstorage:\n  - {{ name: local, type: local, local: {{ path: '{}' }} }}\nclusters:\n  - {{ name: other, connection: {{ {connection} }}, backup: {{ storage: local, encryption: {{ enabled: false }} }} }}\n",
        storage.display()
    ));
    let output = scene.sandbox.run(&["backup", "--name", "other"]).exits(0);
    assert!(
        output.stderr.contains("is not in the backup"),
        "{}",
        output.stderr
    );
    // what the recovery insists on is known all the same, also where it changes for the next start
    let port = free_port();
    let options = ["--start", "--port", &port];
    scene.restore_with("other", "unread", &options).exits(0);
    let server = started(&scene, "unread", &port);
    let data = scene.sandbox.path("unread");
    let own = fs::read_to_string(data.join("postgresql.conf")).expect("a file");
    for line in ["max_connections = 130", "max_prepared_transactions = 5"] {
        assert!(own.lines().any(|one| one == line), "{own}");
    }
    drop(server);
}

#[test]
fn a_setting_that_has_not_come_into_force_keeps_no_copy_from_starting() {
    let scene = ClusterScene::new(18, &["max_connections=130"]);
    scene
        .server
        .maintenance()
        .sql("ALTER SYSTEM SET max_connections = 20");
    let server = restored(&scene);
    assert_eq!(server.ask("SHOW max_connections"), "130");
    // nor is it lost when the server starts again
    let mut restart = pg_ctl(18);
    restart.current_dir("/").args(["restart", "-s", "-w", "-D"]);
    restart.arg(scene.sandbox.path("restored"));
    restart.args(["-l", "/dev/null"]);
    program::run(restart, "").exits(0);
    assert_eq!(server.ask("SHOW max_connections"), "130");
}

#[test]
fn what_was_restored_is_backed_up_and_restored_again_wherever_its_configuration_lies() {
    for is_split in [false, true] {
        let scene = ClusterScene::new(17, &[]);
        if is_split {
            scene.server.move_configuration();
        }
        scene.back_up("full");
        open_sandbox(&scene);
        let mut last = ("main".to_string(), "restored".to_string());
        // each begins a timeline of its own
        for round in 2..=3 {
            let port = free_port();
            let (from, name) = &last;
            scene
                .restore_with(from, name, &["--start", "--port", &port])
                .exits(0);
            let server = started(&scene, name, &port);
            let timeline = "SELECT timeline_id FROM pg_control_checkpoint()";
            until("the timeline is a new one", || {
                (server.ask(timeline) == round.to_string()).then_some(())
            });
            for setting in ["hba_file", "ident_file", "config_file"] {
                let path = server.ask(&format!("SHOW {setting}"));
                let data = scene.sandbox.path(name).display().to_string();
                assert!(path.starts_with(&format!("{data}/")), "{setting}: {path}");
            }
            if is_split {
                assert_eq!(server.ask("SHOW work_mem"), "7MB");
            }
            let next = format!("next{round}");
            scene.configure(&format!(
                "  - name: {next}\n    connection: {{ host: 127.0.0.1, port: {port}, user: {SUPERUSER}, password: '{}' }}\n    backup: {{ storage: local, encryption: {{ enabled: false }} }}",
                scene.server.password
            ));
            scene.back_up_of(&next, "full");
            let drilled = scene
                .sandbox
                .run(&["verify", "--db", &next, "--level", "restore"]);
            drilled.exits(0);
            drop(server);
            // nothing of it is there to lead back to
            fs::remove_dir_all(scene.sandbox.path(name)).expect("remove it");
            for oid in scene.tablespaces() {
                let place = scene.sandbox.path(&format!("{name}-{oid}"));
                fs::remove_dir_all(place).expect("remove it");
            }
            last = (next, format!("again{round}"));
        }
        scene.restore(&last.0, &last.1).exits(0);
        scene.holds_the_same(&last.1);
    }
}

#[test]
fn what_a_killed_restore_left_is_taken_up_and_what_is_whole_never() {
    let scene = ClusterScene::new(18, &[]);
    let path = scene.back_up("full");
    let dry = scene
        .restore_with("main", "restored", &["--dry-run", "--json"])
        .exits(0);
    let room = &json(&dry)["rooms"][0];
    assert!(room["needed_bytes"].as_u64() > Some(20_000_000), "{room}");
    assert!(
        room["free_bytes"].as_u64() > room["needed_bytes"].as_u64(),
        "{room}"
    );
    assert!(!scene.sandbox.path("restored").exists());
    // WAL on another file system wants room there
    let elsewhere = "/dev/shm/backupkit-test-wal-that-never-is";
    let dry = scene
        .restore_with(
            "main",
            "restored",
            &["--dry-run", "--json", "--waldir", elsewhere],
        )
        .exits(0);
    let rooms = json(&dry)["rooms"].as_array().expect("a list").clone();
    let memory = rooms.iter().find(|room| room["directory"] == "/dev/shm");
    let needed = memory.and_then(|room| room["needed_bytes"].as_u64());
    assert!(needed >= Some(16 << 20), "{rooms:?}");

    // as if it had been killed: marks and files in the data directory and in those of tablespaces
    let oids = scene
        .server
        .maintenance()
        .sql("SELECT oid FROM pg_tablespace WHERE oid > 10000");
    let mut places: Vec<PathBuf> = oids
        .lines()
        .map(|oid| scene.sandbox.path(&format!("restored-{oid}")))
        .collect();
    places.push(scene.sandbox.path("restored"));
    for place in &places {
        fs::create_dir_all(place.join("backupkit.restoring")).expect("make it");
        fs::write(place.join("left"), "x").expect("write it");
    }
    scene
        .restore_with("main", "restored", &["--dry-run"])
        .exits(0);
    assert!(places.iter().all(|place| place.join("left").exists()));
    scene.restore("main", "restored").exits(0);
    for place in &places {
        assert!(!place.join("left").exists() && !place.join("backupkit.restoring").exists());
    }
    scene.holds_the_same("restored");

    // damage leaves nothing, in none of the directories
    let object = fs::read_dir(path.parent().expect("a directory")).expect("the storage");
    let object = object.map(|entry| entry.expect("an entry").path());
    let mut objects = object.filter(|path| {
        path.to_str()
            .is_some_and(|name| name.ends_with("wal.tar.zst.enc"))
    });
    let object = objects.next().expect("the WAL");
    let good = fs::read(&object).expect("an object");
    fs::write(&object, &good[..good.len() - 1]).expect("cut it");
    let wal = scene.sandbox.path("wal");
    fs::create_dir(&wal).expect("make it");
    let waldir = wal.to_str().expect("UTF-8");
    scene
        .restore_with(&id(&path), "again", &["--waldir", waldir])
        .exits(13);
    assert_eq!(count(&wal), 0);
    for name in fs::read_dir(scene.sandbox.path(".")).expect("the sandbox") {
        let name = name.expect("an entry").file_name();
        assert!(
            !name.to_str().expect("UTF-8").starts_with("again"),
            "{name:?}"
        );
    }
}
