//! A directory and a bucket for one database, and a bucket that goes away: what the one loses, the other has.

use crate::support::cloud::{Cloud, PREFIX, SECOND_PART, STORAGE};
use crate::support::entry::Entry;
use crate::support::postgres::{Database, large, postgres};
use crate::support::program::Output;
use crate::support::proxy::refusal;
use crate::support::s3s::{ACCESS_KEY, SECRET_KEY};
use crate::support::sandbox::Shape;
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

const GZIP: Shape = Shape::new(true, false);

/// Keeps this database in the directory `here` and on the bucket.
fn on_both(cloud: &Cloud, database: &Database<'_>) {
    let here = cloud.sandbox.path("here");
    let local = format!(
        "  - {{ name: here, type: local, local: {{ path: '{}' }} }}\n",
        here.display()
    );
    let entry = Entry::of(database)
        .shape(GZIP)
        .storage(&format!("[here, {STORAGE}]"));
    cloud.configure_with(&local, &cloud.keys(), entry);
}

fn last_line(output: &Output) -> Value {
    let text = output.text();
    serde_json::from_str(text.lines().next().expect("a line")).expect("JSON")
}

#[test]
fn a_backup_to_a_directory_and_a_bucket_is_restored_from_either() {
    let shop = postgres(18).shop();
    let cloud = Cloud::of(&shop);
    on_both(&cloud, &shop);
    let event = last_line(&cloud.run(&["backup", "--json"]).exits(0));
    assert_eq!(event["status"], "ok");
    let key = event["key"].as_str().expect("a key");
    let here = cloud.sandbox.path("here").join(key);
    assert!(fs::read(here).expect("a copy") == cloud.object(key));
    for storage in ["here", STORAGE] {
        let target = postgres(18).create_database("copy");
        on_both(&cloud, &target);
        let from = format!("{storage}:app/latest");
        cloud.run(&["restore", "--from", &from]).exits(0);
        target.holds_the_same_as(&shop);
    }
}

#[test]
fn a_bucket_that_fails_in_mid_upload_costs_its_copy_and_is_named() {
    let cloud = Cloud::new(Entry::of(large()).shape(GZIP));
    on_both(&cloud, large());
    cloud
        .proxy
        .times(usize::MAX, "PUT", SECOND_PART, refusal(403, "AccessDenied"));
    let output = cloud.run(&["backup", "--json"]).exits(3);
    let said = format!("the backup of app is not on the storage {STORAGE}: cannot send part 2 of");
    assert!(output.stderr.contains(&said), "{}", output.stderr);
    let event = last_line(&output);
    assert_eq!(event["status"], "degraded");
    let copies: Vec<(&Value, &Value)> = (0..2)
        .map(|index| &event["copies"][index])
        .map(|copy| (&copy["storage"], &copy["status"]))
        .collect();
    assert_eq!(
        copies,
        [
            (&"here".into(), &"ok".into()),
            (&STORAGE.into(), &"failed".into())
        ]
    );
    assert_eq!(cloud.objects(), [""; 0]);
    assert_eq!(cloud.server.unfinished(), [""; 0]);
    let target = postgres(18).create_database("left");
    on_both(&cloud, &target);
    cloud.run(&["restore", "--from", "app/latest"]).exits(0);
    target.holds_the_same_as(large());
}

#[test]
fn a_backup_is_pinned_where_it_is_though_a_storage_cannot_be_asked() {
    let database = postgres(18).create_database("pinned");
    let cloud = Cloud::of(&database);
    on_both(&cloud, &database);
    let event = last_line(&cloud.run(&["backup", "--json"]).exits(0));
    let key = event["key"].as_str().expect("a key");
    let id = key.split_once(".dump").expect("an archive").0;
    let pin = cloud.sandbox.path("here").join(format!("{id}.pin"));

    cloud
        .proxy
        .times(usize::MAX, "GET", "list-type", refusal(403, "AccessDenied"));
    let output = cloud.run(&["pin", id]).exits(0);
    assert_eq!(output.text(), format!("{id}\tpinned\there\n"));
    let said = format!("on the storage {STORAGE}, {id} is not pinned, if it is there: ");
    assert_eq!(output.stderr.matches(&said).count(), 1, "{}", output.stderr);
    assert!(pin.exists());
    let named = format!("{STORAGE}:{id}");
    let stderr = cloud.run(&["pin", &named]).exits(1).stderr;
    assert!(stderr.contains("s3:ListBucket"), "{stderr}");
    cloud.run(&["pin", "here:app/latest"]).exits(0);

    // nothing is left that could be asked and has it
    fs::remove_dir_all(cloud.sandbox.path("here/app")).expect("it is there");
    let stderr = cloud.run(&["pin", id]).exits(1).stderr;
    assert!(
        stderr.contains(&format!("cannot look for {id}: ")),
        "{stderr}"
    );
}

#[test]
fn a_signal_while_the_server_is_down_ends_the_run_soon_and_says_what_stays() {
    let cloud = Cloud::new(Entry::of(large()).shape(GZIP));
    cloud
        .proxy
        .times(usize::MAX, "DELETE", "uploadId", refusal(503, "SlowDown"));
    let run = cloud.in_mid_upload();
    run.signal(Signal::TERM);
    // ten seconds of cleaning up, and a busy machine
    let output = run
        .wait_at_most(Duration::from_secs(25))
        .expect("it ends")
        .exits(143);
    let stderr = &output.stderr;
    assert!(
        stderr.contains("the unfinished upload of s3://"),
        "{stderr}"
    );
    assert!(
        stderr.contains("until a backup sweeps it after a day"),
        "{stderr}"
    );
    assert_eq!(cloud.objects(), [""; 0]);
    cloud.run(&["backup"]).exits(0);
    assert_eq!(cloud.archives().len(), 1);
}

#[test]
fn keys_of_a_role_that_expire_in_mid_upload_are_renewed() {
    let asked = Arc::new(AtomicUsize::new(0));
    let role = role(Arc::clone(&asked));
    let mut cloud = Cloud::new(Entry::of(large()).shape(GZIP));
    let keys = cloud.keys();
    let (keyless, _) = keys.split_once(", access_key").expect("keys");
    cloud.sandbox = cloud
        .sandbox
        .with("AWS_CONTAINER_CREDENTIALS_FULL_URI", &role);
    cloud.configure(keyless, Entry::of(large()).shape(GZIP));
    cloud
        .proxy
        .once("PUT", SECOND_PART, refusal(400, "ExpiredToken"));
    cloud.run(&["backup"]).exits(0);
    assert!(cloud.proxy.is_through());
    // the third time is for the look at earlier backups afterwards, the fourth for a failure that may have ended
    assert_eq!(asked.load(Ordering::SeqCst), 4);
    assert_eq!(cloud.archives().len(), 1);
    assert_eq!(cloud.server.unfinished(), [""; 0]);
}

#[test]
fn an_identity_that_is_not_supported_is_not_replaced_by_the_role_of_the_node() {
    let database = postgres(18).create_database("web_identity");
    for (variable, value) in [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/secrets/token"),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/backup"),
        ("AWS_PROFILE", "backup"),
        ("AWS_ACCESS_KEY_ID", "alone"),
    ] {
        let asked = Arc::new(AtomicUsize::new(0));
        let node = role(Arc::clone(&asked));
        let mut cloud = Cloud::of(&database);
        let keys = cloud.keys();
        let (keyless, _) = keys.split_once(", access_key").expect("keys");
        cloud.sandbox = cloud
            .sandbox
            .with("AWS_EC2_METADATA_SERVICE_ENDPOINT", &node)
            .with(variable, value);
        cloud.configure(keyless, Entry::of(&database).shape(GZIP));
        let stderr = cloud.run(&["backup"]).exits(2).stderr;
        assert!(
            stderr.contains(&format!("{variable} is set: ")) && stderr.contains("Pod Identity"),
            "{stderr}"
        );
        let text = cloud.run(&["test"]).exits(1).text();
        assert!(text.contains(variable), "{text}");
        assert_eq!(asked.load(Ordering::SeqCst), 0, "the node was asked");
        assert_eq!(cloud.objects(), [""; 0]);
        // keys of one's own come before whatever else is named
        cloud.configure(&cloud.keys(), Entry::of(&database).shape(GZIP));
        cloud.run(&["backup"]).exits(0);
    }
}

/// The address of an endpoint that hands out the server's keys, as one in a container does, and counts how often.
fn role(asked: Arc<AtomicUsize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it has one");
    let body = format!(
        r#"{{"AccessKeyId":"{ACCESS_KEY}","SecretAccessKey":"{SECRET_KEY}","Token":"t","Expiration":"2999-01-01T00:00:00Z"}}"#
    );
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let head = BufReader::new(&stream).lines();
            let ended = head.map_while(Result::ok).any(|line| line.is_empty());
            assert!(ended, "a request");
            asked.fetch_add(1, Ordering::SeqCst);
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
            );
        }
    });
    format!("http://{address}/")
}

#[test]
fn ten_thousand_objects_are_listed_and_pruned_to_exactly_what_is_kept() {
    let database = postgres(18).create_database("many");
    let cloud = Cloud::new(Entry::of(&database).shape(GZIP));
    let directory = cloud.server.file(PREFIX).join("app");
    fs::create_dir_all(&directory).expect("make a directory");
    let write = |name: &str| fs::write(directory.join(name), "x").expect("write");
    let first: chrono::NaiveDate = "2011-01-01".parse().expect("a date");
    // 5,100 nights, each with an archive and its checksum
    let ids: Vec<String> = first
        .iter_days()
        .take(5_100)
        .map(|day| format!("{}_020000.000000000Z", day.format("%Y%m%d")))
        .collect();
    for id in &ids {
        write(&format!("{id}.dump.gz"));
        write(&format!("{id}.dump.gz.sha256"));
    }
    write("notes.txt");
    let entry = |retention| Entry::of(&database).shape(GZIP).retention(retention);
    cloud.configure(&cloud.keys(), entry("keep_last: 100, keep_yearly: 5"));

    let listed: Value =
        serde_json::from_slice(&cloud.run(&["list", "--all", "--json"]).exits(0).stdout)
            .expect("JSON");
    let keys: Vec<&str> = listed["backups"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|backup| backup["key"].as_str().expect("a key"))
        .collect();
    let expected: Vec<String> = ids
        .iter()
        .rev()
        .map(|id| format!("app/{id}.dump.gz"))
        .collect();
    assert!(keys == expected, "{} keys", keys.len());

    cloud.run(&["prune"]).exits(0);
    // the newest hundred, and the last night of each of the five newest years, the newest of which is among them
    let mut kept: BTreeSet<&String> = ids[5_000..].iter().collect();
    for year in ["2020", "2021", "2022", "2023"] {
        kept.extend(ids.iter().rfind(|id| id.starts_with(year)));
    }
    let mut left: Vec<String> = kept
        .iter()
        .flat_map(|id| {
            [
                format!("app/{id}.dump.gz"),
                format!("app/{id}.dump.gz.sha256"),
            ]
        })
        .collect();
    left.push("app/notes.txt".into());
    left.sort();
    assert_eq!(cloud.objects(), left);
}
