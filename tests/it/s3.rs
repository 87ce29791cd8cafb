//! The program and a real S3 server, driven as people drive it: what works on a directory works on a bucket.

use crate::support::archive::sha256;
use crate::support::cloud::{Cloud, PREFIX, STORAGE};
use crate::support::entry::Entry;
use crate::support::postgres::{Database, large, postgres};
use crate::support::processes;
use crate::support::proxy::{Fault, refusal};
use crate::support::s3s::{ACCESS_KEY, BUCKET, SECRET_KEY};
use crate::support::sandbox::Shape;
use crate::support::wait;
use rustix::process::Signal;
use serde_json::Value;
use std::net::TcpListener;
use std::path::Path;

const GZIP_SEALED: Shape = Shape::new(true, true);
const GZIP: Shape = Shape::new(true, false);

/// A database with one table, whose backup takes no time.
fn tiny(name: &str) -> Database<'static> {
    let database = postgres(18).create_database(name);
    database.sql("CREATE TABLE t AS SELECT 42 AS answer");
    database
}

/// The stem that an archive shares with its sidecars.
fn stem(key: &str) -> &str {
    key.split_once(".dump").expect("an archive's name").0
}

#[test]
fn a_backup_on_s3_is_listed_printed_and_restored() {
    let shop = postgres(18).shop();
    let cloud = Cloud::of(&shop);
    let output = cloud.run(&["backup", "--json"]).exits(0);
    let text = output.text();
    let event: Value = serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");

    let archives = cloud.archives();
    assert_eq!(archives.len(), 1, "{:?}", cloud.objects());
    let key = &archives[0];
    let stem = stem(key);
    let mut expected = [key.clone(), format!("{key}.sha256"), format!("{stem}.json")];
    expected.sort();
    assert_eq!(cloud.objects(), expected);
    assert_eq!(event["key"], *key.as_str());

    let bytes = cloud.object(key);
    let hash = sha256(&bytes);
    assert_eq!(event["sha256"], hash.as_str());
    let file = Path::new(key).file_name().expect("a file").display();
    assert_eq!(
        cloud.object(&format!("{key}.sha256")),
        format!("{hash}  {file}\n").into_bytes()
    );

    let listed = cloud.run(&["list", "--json"]).exits(0).text();
    let listed: Value = serde_json::from_str(&listed).expect("it is JSON");
    let backup = &listed["backups"][0];
    assert_eq!(backup["storage"], STORAGE);
    assert_eq!(backup["key"], key.as_str());
    assert_eq!(backup["bytes"], bytes.len());
    assert_eq!(
        backup["location"],
        format!("s3://{BUCKET}/{PREFIX}/{key}").as_str()
    );

    let dump = cloud.run(&["cat", "app/latest"]).exits(0).stdout;
    assert!(dump.starts_with(b"PGDMP"));

    let target = postgres(18).create_database("from_s3");
    cloud.configure(&cloud.keys(), Entry::of(&target).shape(GZIP_SEALED));
    cloud.run(&["restore", "--from", "app/latest"]).exits(0);
    target.holds_the_same_as(&shop);
}

#[test]
fn a_large_backup_goes_up_in_parts_and_is_what_was_dumped() {
    let cloud = Cloud::new(Entry::of(large()).shape(GZIP));
    cloud.run(&["backup"]).exits(0);
    assert!(cloud.proxy.count("PUT", "partNumber=3&") >= 1);
    assert_eq!(cloud.server.unfinished(), [""; 0]);
    let target = postgres(18).create_database("from_parts");
    cloud.configure(&cloud.keys(), Entry::of(&target).shape(GZIP));
    // the archive, and not the sidecar whose name begins the same
    for _ in 0..2 {
        cloud
            .proxy
            .once("GET", ".dump.gz?", Fault::Truncate(1 << 20));
    }
    cloud.run(&["restore", "--from", "app/latest"]).exits(0);
    assert!(cloud.proxy.is_through(), "no connection was dropped");
    let seen = cloud.proxy.seen();
    assert!(
        seen.iter()
            .any(|line| line.contains(".dump.gz?") && line.contains("range: bytes=")),
        "{seen:?}"
    );
    target.holds_the_same_as(large());
}

#[test]
fn retention_prune_and_pin_work_on_s3() {
    let database = tiny("pruned");
    let entry = |retention: &str| Entry::of(&database).shape(GZIP).retention(retention);
    let cloud = Cloud::new(entry("keep_last: 0"));
    for _ in 0..3 {
        cloud.run(&["backup"]).exits(0);
    }
    let first = cloud.archives();
    assert_eq!(first.len(), 3);
    assert_eq!(cloud.proxy.count("POST", "delete"), 0, "nothing to delete");
    let oldest = stem(&first[0]).to_string();
    cloud.run(&["pin", &oldest]).exits(0);

    cloud.configure(&cloud.keys(), entry("keep_last: 2"));
    let before = cloud.objects();
    let plan = cloud
        .run(&["prune", "--dry-run", "--explain"])
        .exits(0)
        .text();
    assert!(plan.contains("pinned"), "{plan}");
    assert_eq!(cloud.objects(), before, "a dry run deletes nothing");

    cloud.run(&["backup"]).exits(0);
    let left = cloud.archives();
    assert_eq!(left.len(), 3, "the pinned one and two: {left:?}");
    assert_eq!([&left[0], &left[1]], [&first[0], &first[2]]);
    let gone = stem(&first[1]);
    assert!(
        !cloud.objects().iter().any(|key| key.starts_with(gone)),
        "its sidecars go with it: {:?}",
        cloud.objects()
    );

    cloud.run(&["unpin", &oldest]).exits(0);
    cloud.run(&["prune"]).exits(0);
    assert_eq!(cloud.archives(), left[1..]);
    cloud.run(&["cat", "app/latest"]).exits(0);
}

#[test]
fn nothing_but_reading_is_needed_to_list_print_and_restore() {
    let database = tiny("read_only");
    let cloud = Cloud::of(&database);
    cloud.run(&["backup"]).exits(0);
    let writes = ["PUT", "POST", "DELETE"];
    let requests = || writes.map(|method| cloud.proxy.count(method, ""));
    let before = requests();
    for method in writes {
        cloud
            .proxy
            .times(usize::MAX, method, "", refusal(403, "AccessDenied"));
    }
    cloud.run(&["list"]).exits(0);
    cloud.run(&["cat", "app/latest"]).exits(0);
    cloud
        .run(&["restore", "--from", "app/latest", "--clean"])
        .exits(0);
    cloud.run(&["prune", "--dry-run"]).exits(0);
    // the readers try to say that they read, and the restore that it went well, and do without
    let [puts, others @ ..] = before;
    let [now, others_now @ ..] = requests();
    assert_eq!((now, others_now), (puts + 3, others));

    let refused = cloud.run(&["backup"]).exits(1);
    let resource = format!("arn:aws:s3:::{BUCKET}/{PREFIX}/*");
    assert!(
        refused
            .stderr
            .contains(&format!("the permission s3:PutObject on {resource}")),
        "{}",
        refused.stderr
    );
    assert_eq!(cloud.archives().len(), 1);
}

#[test]
fn a_check_on_s3_is_recorded_where_that_is_allowed_and_made_where_it_is_not() {
    let cloud = Cloud::of(&tiny("checked"));
    cloud.run(&["backup"]).exits(0);
    for _ in 0..2 {
        cloud.run(&["verify"]).exits(0);
    }
    let records = cloud.objects();
    let records = records.iter().filter(|key| key.ends_with(".verified.json"));
    assert_eq!(records.count(), 2);
    let good = || -> Value {
        let report = cloud.run(&["verify", "--report", "--json"]).exits(0);
        let report: Value = serde_json::from_slice(&report.stdout).expect("JSON");
        report["rows"][0]["good"].clone()
    };
    assert_eq!(good(), 2);
    for method in ["PUT", "POST", "DELETE"] {
        cloud
            .proxy
            .times(usize::MAX, method, "", refusal(403, "AccessDenied"));
    }
    let told = cloud.run(&["verify"]).exits(0).stderr;
    assert!(told.contains("is not recorded"), "{told}");
    assert_eq!(good(), 2);
}

#[test]
fn a_key_that_may_not_delete_backs_up_and_says_what_retention_lacks() {
    let database = tiny("append_only");
    let entry = || Entry::of(&database).shape(GZIP);
    let cloud = Cloud::new(entry());
    // several at once, and one alone
    for (method, target) in [("POST", "delete"), ("DELETE", "")] {
        cloud
            .proxy
            .times(usize::MAX, method, target, refusal(403, "AccessDenied"));
    }
    let quiet = cloud.run(&["backup"]).exits(0);
    assert!(!quiet.stderr.contains("AccessDenied"), "{}", quiet.stderr);
    cloud.configure(&cloud.keys(), entry().retention("keep_last: 1"));
    let warned = cloud.run(&["backup"]).exits(0);
    assert!(
        warned.stderr.contains("the permission s3:DeleteObject"),
        "{}",
        warned.stderr
    );
    assert_eq!(cloud.archives().len(), 2, "{:?}", cloud.objects());
}

#[test]
fn wrong_keys_and_a_wrong_bucket_are_explained_once() {
    let database = tiny("misled");
    let entry = || Entry::of(&database).shape(GZIP);
    let cloud = Cloud::new(entry());
    let good = cloud.keys();
    for (from, to, status, hint) in [
        (
            "${S3_SECRET_KEY}",
            "canary",
            1,
            "check secret_key of the storage s3main",
        ),
        (
            "${S3_ACCESS_KEY}",
            "AKIACANARY",
            1,
            "check access_key and endpoint of the storage s3main",
        ),
        (
            "bucket: backups",
            "bucket: no-such-bucket",
            1,
            "there is no bucket no-such-bucket at",
        ),
        ("${S3_SECRET_KEY}", "${NOWHERE}", 2, "set NOWHERE, or"),
    ] {
        let wrong = good.replace(from, to);
        assert_ne!(wrong, good);
        cloud.configure(&wrong, entry());
        for arguments in [&["backup"][..], &["list"]] {
            // s3s-fs makes a bucket that it is asked to write to
            if arguments == ["backup"] && to.starts_with("bucket") {
                continue;
            }
            let stderr = cloud.run(arguments).exits(status).stderr;
            let times = stderr.matches(hint).count();
            assert_eq!(times, 1, "{to}, said once: {stderr}");
            assert!(!stderr.contains("canary"), "{stderr}");
        }
    }
    assert_eq!(cloud.objects(), [""; 0]);
}

#[test]
fn a_server_that_does_not_answer_is_tried_again_and_then_named() {
    let database = tiny("alone");
    let entry = || Entry::of(&database).shape(GZIP);
    let cloud = Cloud::new(entry());
    // a port that nobody listens on
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("it has one").to_string()
    };
    cloud.configure(
        &cloud.keys().replace(&cloud.proxy.address, &nobody),
        entry(),
    );
    let stderr = cloud.run(&["backup"]).exits(1).stderr;
    assert!(stderr.contains("trying again in"), "{stderr}");
    let said = format!("{nobody} refuses the connection");
    let mut errors = stderr
        .lines()
        .filter(|line| line.contains(" error: cannot back up app: "));
    assert!(errors.any(|line| line.contains(&said)), "{stderr}");
}

#[test]
fn keys_come_from_the_environment_and_their_absence_is_explained() {
    let database = tiny("keyless");
    let mut cloud = Cloud::of(&database);
    let keys = cloud.keys();
    let (keyless, _) = keys.split_once(", access_key").expect("keys");
    cloud.sandbox = cloud.sandbox.with("AWS_EC2_METADATA_DISABLED", "true");
    cloud.configure(keyless, Entry::of(&database).shape(GZIP_SEALED));
    for arguments in [&["backup"][..], &["list"]] {
        let stderr = cloud.run(arguments).exits(2).stderr;
        let hint = "set access_key and secret_key of the storage";
        assert_eq!(stderr.matches(hint).count(), 1, "said once: {stderr}");
        assert!(stderr.contains("AWS_ACCESS_KEY_ID"), "{stderr}");
    }
    cloud.sandbox = cloud
        .sandbox
        .with("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .with("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    cloud.configure(keyless, Entry::of(&database).shape(GZIP_SEALED));
    cloud.run(&["backup"]).exits(0);
    assert_eq!(cloud.archives().len(), 1);
}

#[test]
fn a_signal_in_mid_upload_leaves_no_object_and_no_unfinished_upload() {
    for (signal, status) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let cloud = Cloud::new(Entry::of(large()).shape(GZIP));
        let run = cloud.in_mid_upload();
        assert_ne!(cloud.server.unfinished(), [""; 0], "it is under way");
        run.signal(signal);
        let output = run.wait().exits(status);
        assert!(
            output.stderr.contains("stopped by SIG"),
            "{}",
            output.stderr
        );
        assert_eq!(cloud.objects(), [""; 0]);
        assert_eq!(cloud.server.unfinished(), [""; 0]);
        cloud.run(&["backup"]).exits(0);
        assert_eq!(cloud.archives().len(), 1);
    }
}

#[test]
fn a_run_killed_in_mid_upload_shows_nothing_and_the_next_one_works() {
    let cloud = Cloud::new(Entry::of(large()).shape(GZIP));
    let run = cloud.in_mid_upload();
    run.signal(Signal::KILL);
    run.wait();
    assert!(is_only_a_mark(&cloud.objects()), "{:?}", cloud.objects());
    let listed = cloud.run(&["list", "--json"]).exits(0).text();
    let listed: Value = serde_json::from_str(&listed).expect("it is JSON");
    assert_eq!(listed["backups"], Value::Array(Vec::new()));
    cloud.run(&["backup"]).exits(0);
    assert_eq!(cloud.objects().len(), 3, "{:?}", cloud.objects());
    cloud.run(&["cat", "app/latest"]).exits(0);
}

/// What lies there from the beginning of a run until its archive appears.
fn is_only_a_mark(objects: &[String]) -> bool {
    matches!(objects, [only] if only.ends_with(".run"))
}

#[test]
fn two_runs_of_one_database_exclude_each_other() {
    let cloud = Cloud::new(Entry::of(large()).shape(GZIP));
    let first = cloud.in_mid_upload();
    let second = cloud.run(&["backup"]).exits(11);
    let pid = first.pid().to_string();
    assert!(second.stderr.contains(&pid), "{}", second.stderr);
    assert!(second.stderr.contains(&cloud.lock), "{}", second.stderr);
    assert!(is_only_a_mark(&cloud.objects()), "{:?}", cloud.objects());
    first.signal(Signal::TERM);
    first.wait().exits(143);
    cloud.run(&["backup"]).exits(0);
}

#[test]
fn the_secret_key_is_in_no_argument_no_other_program_and_nothing_printed_or_stored() {
    let database = tiny("secretive");
    let cloud = Cloud::of(&database);
    let held = database.hold("t");
    let run = cloud.sandbox.start(&["backup"]);
    let pg_dump = wait::until("pg_dump runs", || {
        let mut all = processes::of(&cloud.sandbox.path(""));
        all.retain(|process| process.name == "pg_dump");
        all.pop()
    });
    let sings = |bytes: &[u8]| processes::contains(bytes, SECRET_KEY.as_bytes());
    assert!(!sings(&pg_dump.arguments) && !sings(&pg_dump.environment));
    assert!(!sings(&processes::process(run.pid()).arguments));
    drop(held);
    let mut outputs = vec![run.wait().exits(0)];
    for arguments in [
        &["backup", "--verbose"][..],
        &["backup", "--json", "--verbose"],
        &["list", "--verbose"],
        &["list", "--json", "--verbose"],
        &["cat", "app/latest", "--verbose"],
    ] {
        outputs.push(cloud.run(arguments).exits(0));
    }
    let wrong = cloud.keys().replace("${S3_ACCESS_KEY}", "AKIANOBODY");
    cloud.configure(&wrong, Entry::of(&database).shape(GZIP));
    outputs.push(cloud.run(&["backup", "--verbose", "--json"]).exits(1));
    for output in outputs {
        let stderr = output.stderr;
        for secret in [SECRET_KEY, "X-Amz-Signature"] {
            assert!(!stderr.contains(secret), "{stderr}");
            assert!(!processes::contains(&output.stdout, secret.as_bytes()));
        }
    }
    for key in cloud.objects() {
        let bytes = cloud.object(&key);
        assert!(!sings(&bytes), "{key}");
    }
}
