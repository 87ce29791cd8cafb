//! What is told of backups of whole clusters: their sizes, and what differs between two of them.

use crate::support::cluster_scene::ClusterScene;

#[test]
fn the_size_of_a_cluster_is_known_whatever_its_backup_holds() {
    let scene = ClusterScene::new(18, &["summarize_wal=on"]);
    let full = scene.back_up("full");
    let database = scene.server.create_database("later");
    database.sql("CREATE TABLE rows AS SELECT md5(n::text) FROM generate_series(1, 5000) AS n");
    let sql = "INSERT INTO orders SELECT n, md5(n::text) FROM generate_series(30000, 60000) AS n";
    scene.server.maintenance().sql(sql);
    let output = scene
        .sandbox
        .run(&["backup", "--name", "main", "--type", "incr"])
        .exits(0);
    // it holds less by far, which says nothing
    assert!(!output.stderr.contains("% less"), "{}", output.stderr);
    let listed = scene.listed();
    let bytes = |at: usize, key: &str| listed[at][key].as_u64().expect("a number");
    assert!(bytes(0, "bytes") < bytes(1, "bytes"));
    assert!(
        bytes(0, "cluster_bytes") > bytes(1, "cluster_bytes") + 5_000_000,
        "{listed:?}"
    );
    // as the server itself says, but for what is of the whole cluster
    let sql = "SELECT sum(pg_database_size(oid)) FROM pg_database";
    let living: u64 = scene
        .server
        .maintenance()
        .sql(sql)
        .parse()
        .expect("a number");
    assert!(
        bytes(0, "cluster_bytes").abs_diff(living) < living / 5,
        "{living} {listed:?}"
    );

    let first = crate::support::cluster_scene::id(&full);
    let differs = scene
        .sandbox
        .run(&["diff", &first, "main/latest", "--json"])
        .exits(0);
    let document: serde_json::Value = serde_json::from_str(&differs.text()).expect("JSON");
    let found = document["databases"].as_array().expect("a list");
    let changes: Vec<(&str, &str)> = found
        .iter()
        .map(|one| {
            (
                one["name"].as_str().expect("a name"),
                one["change"].as_str().expect("a word"),
            )
        })
        .collect();
    assert_eq!(
        changes,
        [(&*database.name, "appeared"), ("postgres", "grew")],
        "{document}"
    );
    assert_eq!(document["same"], 2, "{document}");
    let text = scene
        .sandbox
        .run(&["diff", &first, "main/latest"])
        .exits(0)
        .text();
    assert!(text.contains("2 databases differ; 2 the same"), "{text}");
}
