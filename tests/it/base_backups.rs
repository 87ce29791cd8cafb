//! Base backups of whole clusters: streamed, checked, combined, restored into a directory from which a real server starts.

use crate::support::cluster_scene::{ClusterScene, id};
use crate::support::postgres::{MAJORS, postgres};
use crate::support::program;
use crate::support::sandbox::Sandbox;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

#[test]
fn a_cluster_with_tablespaces_comes_back_whole_on_every_server() {
    for major in MAJORS {
        let scene = ClusterScene::new(major, &[]);
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
        let scene = ClusterScene::new(major, &["summarize_wal=on"]);
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
    let scene = ClusterScene::new(17, &["summarize_wal=on"]);
    scene.back_up("full");
    scene
        .server
        .maintenance()
        .sql("UPDATE orders SET what = 'x' WHERE id < 100");
    scene.back_up("incr");
    let drill = |status, what: &str| {
        scene.configure(&format!("    drill: {{ {what} }}"));
        let drilled = scene
            .sandbox
            .run(&["verify", "--latest", "--level", "restore", "--json"]);
        drilled.exits(status).text()
    };
    let wrong = drill(13, "assert: SELECT count(*) = 7 FROM orders");
    assert!(wrong.contains("returned false"), "{wrong}");
    let wrong = drill(13, "database: missing, run: 'true'");
    assert!(wrong.contains("has no database missing"), "{wrong}");
    let asks = "assert: SELECT count(*) = 20000 FROM orders, run: 'test -n \"$DATABASE_URL\"'";
    let document: Value = serde_json::from_str(&drill(0, asks)).expect("JSON");
    let copy = &document["checks"][0];
    assert_eq!(copy["result"], "good", "{document}");
    assert_eq!(copy["tables"], 3, "{document}");
    let rows = "SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM fast_ones) + (SELECT count(*) FROM slow_ones)";
    let rows = scene.server.maintenance().sql(rows);
    assert_eq!(copy["rows"].to_string(), rows, "{document}");
    let report = scene
        .sandbox
        .run(&["verify", "--report", "--json"])
        .exits(0);
    assert!(
        report.text().contains(&format!("\"rows\":{rows}")),
        "{}",
        report.text()
    );
}

#[test]
fn large_segments_of_wal_a_login_trigger_and_hasty_roles_disturb_no_drill() {
    let scene = ClusterScene::new(18, &[]);
    scene.server.with_large_segments();
    scene.server.maintenance().sql(
        "ALTER ROLE postgres IN DATABASE postgres SET statement_timeout = '1ms';
         CREATE ROLE nobody_much; CREATE DATABASE app; ALTER DATABASE app SET role = 'nobody_much';
         CREATE FUNCTION go() RETURNS event_trigger LANGUAGE plpgsql AS
             $$BEGIN IF inet_client_addr() IS NULL THEN RAISE 'go away'; END IF; END$$;
         CREATE EVENT TRIGGER at_login ON login EXECUTE FUNCTION go();
         ALTER EVENT TRIGGER at_login ENABLE ALWAYS",
    );
    scene.back_up("full");
    let drilled = scene
        .sandbox
        .run(&["verify", "--latest", "--level", "restore", "--verbose"]);
    let output = drilled.exits(0);
    assert!(
        !output.stderr.contains("not looked into"),
        "{}",
        output.stderr
    );
}

#[test]
fn a_server_without_incremental_backups_gets_full_ones_and_is_told_why() {
    let scene = ClusterScene::new(16, &[]);
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
    let scene = ClusterScene::new(18, &[]);
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
    let scene = ClusterScene::new(17, &["summarize_wal=on"]);
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
    // what needs a bad one is bad, whatever it is asked
    let good = fs::read(&next).expect("the full one");
    fs::write(&next, &good[..good.len() - 1]).expect("cut it");
    scene.sandbox.run(&["verify", &id(&next)]).exits(13);
    for level in ["exists", "full", "restore"] {
        let arguments = ["verify", &id(&lost), "--level", level];
        let output = scene.sandbox.run(&arguments).exits(13);
        assert!(output.stderr.contains("is not good"), "{}", output.stderr);
        assert!(
            !output.stderr.contains("the next older"),
            "{}",
            output.stderr
        );
    }
    fs::remove_file(&next).expect("remove the full one");
    scene.restore("main", "restored").exits(13);
    scene.restore(&id(&lost), "restored").exits(13);
    assert!(!scene.sandbox.path("restored").exists());
}

#[test]
fn two_incremental_backups_in_each_others_place_are_bad() {
    for sealed in [false, true] {
        let scene = ClusterScene::new(18, &["summarize_wal=on"]);
        if !sealed {
            scene.configure("      compression: false");
            let file = scene.sandbox.path("config.yaml");
            let text = fs::read_to_string(&file).expect("the configuration");
            fs::write(&file, text.replace("enabled: true", "enabled: false")).expect("write it");
        }
        let full = scene.back_up("full");
        let first = scene.back_up("incr");
        let another = scene.back_up("full");
        let second = scene.back_up("incr");
        let swap = || {
            let read = |path: &Path| fs::read(path).expect("an object");
            let (one, other) = (read(&first), read(&second));
            fs::write(&first, other).expect("write it");
            fs::write(&second, one).expect("write it");
        };
        let is_bad = |path: &Path, levels: &[&str]| {
            for level in levels {
                let verified = scene.sandbox.run(&["verify", &id(path), "--level", level]);
                verified.exits(13);
            }
            scene.restore(&id(path), "restored").exits(13);
            assert!(!scene.sandbox.path("restored").exists());
        };
        swap();
        is_bad(&first, &["checksum", "full", "restore"]);
        is_bad(&second, &["checksum", "full", "restore"]);
        swap();
        // nor does the parent of one fit the other
        let name = |path: &Path| id(path).replace("main/", "");
        let manifest = second.with_file_name(format!("{}.json", name(&second)));
        let good = fs::read_to_string(&manifest).expect("a manifest");
        let forged = good.replace(&name(&another), &name(&full));
        assert_ne!(good, forged);
        fs::write(&manifest, forged).expect("forge it");
        is_bad(&second, &["full", "restore"]);
        // nor does it need less WAL than PostgreSQL says
        let (before, rest) = good.split_once("\"stop_lsn\": \"").expect("its end");
        let (_, after) = rest.split_once('"').expect("the end of a text");
        let forged = format!("{before}\"stop_lsn\": \"0/0\"{after}");
        fs::write(&manifest, forged).expect("forge it");
        is_bad(&second, &["full", "restore"]);
        fs::write(&manifest, good).expect("write it back");
        scene.sandbox.run(&["verify", &id(&second)]).exits(0);
        scene.restore(&id(&second), "restored").exits(0);
    }
}

#[test]
fn an_incremental_backup_whose_parent_goes_meanwhile_is_none() {
    let scene = ClusterScene::new(18, &["summarize_wal=on"]);
    scene.configure("      max_rate: 1MiB");
    let full = scene.back_up("full");
    let sql = "CREATE TABLE more AS SELECT md5(n::text) FROM generate_series(1, 60000) AS n";
    scene.server.maintenance().sql(sql);
    let arguments = ["backup", "--name", "main", "--type", "incr"];
    let mut running = scene.sandbox.start(&arguments);
    let known = full.file_name().expect("a name").to_str().expect("UTF-8");
    let known = &known[..26];
    program::until("the incremental one is being written", || {
        let mut files = scene.files().into_iter();
        files.any(|name| name.ends_with(".run") && !name.contains(known))
    });
    // as another host would, which took the run for dead
    for name in scene.files().iter().filter(|name| name.contains(known)) {
        fs::remove_file(scene.sandbox.path("storage").join(name)).expect("delete the full one");
    }
    let output = running.ends().exits(1);
    assert!(
        output.stderr.contains("which the backup adds to"),
        "{}",
        output.stderr
    );
    assert!(scene.listed().is_empty());
    assert!(
        scene.files().iter().all(|name| !name.contains(".incr.")),
        "{:?}",
        scene.files()
    );
}

#[test]
fn a_page_that_the_server_finds_damaged_is_marked_and_never_counts_as_good() {
    let scene = ClusterScene::new(18, &[]);
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
fn a_backup_during_which_a_tablespace_is_made_is_none() {
    let scene = ClusterScene::new(17, &[]);
    scene.configure("      max_rate: 2MiB");
    let maintenance = scene.server.maintenance();
    let directory = scene.server.directory.join("made");
    let directory = directory.display();
    maintenance.sql(&format!(
        "CREATE TABLE more AS SELECT md5(n::text) FROM generate_series(1, 60000) AS n;
         COPY (SELECT 1 WHERE false) TO PROGRAM 'mkdir {directory}'"
    ));
    let mut running = scene.sandbox.start(&["backup", "--name", "main"]);
    program::until("files are being sent", || {
        let sent = "SELECT count(*) FROM pg_stat_progress_basebackup WHERE phase = 'streaming database files'";
        maintenance.sql(sent) == "1"
    });
    // it is gone again when the backup ends, and in its WAL all the same
    maintenance.sql(&format!(
        "CREATE TABLESPACE made LOCATION '{directory}'; DROP TABLESPACE made"
    ));
    let output = running.ends().exits(1);
    let made = format!("would make it where it lay: {directory}");
    assert!(output.stderr.contains(&made), "{}", output.stderr);
    assert!(scene.listed().is_empty());
    scene.configure("");
    scene.back_up("full");
}

#[test]
fn the_files_of_a_cluster_can_be_piped_elsewhere() {
    let scene = ClusterScene::new(17, &[]);
    for compression in ["false", "zstd"] {
        scene.configure(&format!("      compression: {compression}"));
        scene.back_up("full");
        let tar = scene.sandbox.run(&["cat", "main/latest"]).exits(0).stdout;
        assert!(tar.starts_with(b"backup_label\0"));
        assert!(tar.ends_with(&[0; 1024]));
    }
    let output = scene
        .sandbox
        .run(&["cat", "main/latest", "--globals"])
        .exits(2);
    assert!(
        output.stderr.contains("are in its files"),
        "{}",
        output.stderr
    );
}

#[test]
fn nothing_that_lies_in_a_directory_is_overwritten() {
    let scene = ClusterScene::new(18, &[]);
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
