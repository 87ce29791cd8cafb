//! Listings of many pages, deletion in batches, and the sweep of what dead runs left.

use super::common::{PREFIX, cancel, ours, storage};
use super::proxy::{Fault, Proxy, refusal};
use super::s3s::Server;
use backupkit::storage::Storage;
use chrono::{DateTime, TimeDelta, Utc};

/// Writes `count` objects into the server's directory and returns their keys.
fn fill(server: &Server, count: usize) -> Vec<String> {
    let directory = server.file(&format!("{PREFIX}/app"));
    std::fs::create_dir_all(&directory).unwrap();
    (0..count)
        .map(|number| {
            let name = format!("20261120_020000.{number:09}Z.dump");
            std::fs::write(directory.join(&name), "x").unwrap();
            format!("app/{name}")
        })
        .collect()
}

fn listed(storage: &dyn Storage, directory: Option<&str>) -> Vec<String> {
    let objects = storage.list(directory, &cancel()).unwrap();
    let mut keys: Vec<String> = objects.into_iter().map(|object| object.key).collect();
    keys.sort();
    keys
}

#[test]
fn more_than_ten_thousand_objects_are_listed_and_deleted() {
    let server = Server::start();
    let keys = fill(&server, 10_100);
    let proxy = Proxy::before(&server.address);
    let storage = storage(&proxy.address);
    assert_eq!(listed(&storage, Some("app")), keys);
    assert_eq!(listed(&storage, None), keys);
    // of all directories: which there are, then each by itself
    assert_eq!(proxy.count("GET", "list-type"), 11 + 1 + 11);
    storage.delete(&keys[1..], &cancel()).unwrap();
    assert_eq!(proxy.count("POST", "delete"), 11);
    assert_eq!(listed(&storage, None), keys[..1]);
}

#[test]
fn a_page_that_meets_a_fault_is_asked_for_again() {
    let server = Server::start();
    let keys = fill(&server, 1_100);
    for fault in [
        refusal(500, "InternalError"),
        refusal(503, "SlowDown"),
        refusal(429, "TooManyRequests"),
        refusal(200, "InternalError"),
        Fault::LoseAnswer,
        Fault::Truncate(1000),
    ] {
        let proxy = Proxy::before(&server.address);
        proxy.once("GET", "continuation-token", fault);
        assert_eq!(listed(&storage(&proxy.address), Some("app")), keys);
        assert!(proxy.is_through());
        assert_eq!(proxy.count("GET", "continuation-token"), 2);
    }
}

#[test]
fn a_server_that_cannot_delete_several_is_asked_one_by_one() {
    let server = Server::start();
    let keys = fill(&server, 5);
    let proxy = Proxy::before(&server.address);
    let storage = storage(&proxy.address);
    proxy.once("POST", "delete", refusal(501, "NotImplemented"));
    storage.delete(&keys[..4], &cancel()).unwrap();
    assert_eq!(proxy.count("DELETE", "app/"), 4);
    assert_eq!(listed(&storage, None), keys[4..]);
}

#[test]
fn an_object_that_cannot_be_deleted_is_named() {
    let server = Server::start();
    let keys = fill(&server, 2);
    let proxy = Proxy::before(&server.address);
    let storage = storage(&proxy.address);
    let partly = format!(
        "<DeleteResult><Error><Key>{PREFIX}/{}</Key><Code>AccessDenied</Code><Message>locked</Message></Error></DeleteResult>",
        keys[1]
    );
    proxy.once("POST", "delete", Fault::Answer(200, partly));
    proxy.once("DELETE", &keys[1], refusal(403, "AccessDenied"));
    let report = storage.delete(&keys, &cancel()).unwrap_err().report();
    assert!(report.contains(&keys[1]), "{report}");
    assert!(report.contains("s3:DeleteObject"), "{report}");
}

#[test]
fn a_listing_is_complete_or_an_error() {
    let server = Server::start();
    let proxy = Proxy::before(&server.address);
    let storage = storage(&proxy.address);
    let answers = [
        "<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>",
        "<html>log in</html>",
        "<ListBucketResult><Contents>",
        "",
    ];
    for answer in answers {
        proxy.once("GET", "list-type", Fault::Answer(200, answer.into()));
        let report = storage.list(None, &cancel()).unwrap_err().report();
        assert!(report.contains("not what S3 answers"), "{answer}: {report}");
    }
    let entry = |key: &str| format!("<Contents><Key>{PREFIX}/{key}</Key><Size>1</Size></Contents>");
    let [a, b, deep] = ["app/a", "app/b", "app/deep/a"].map(entry);
    let end = "<IsTruncated>false</IsTruncated>";
    let more = |token: &str| {
        format!(
            "<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>"
        )
    };
    let pages = [
        (vec![a.clone()], "does not say whether there is more"),
        (
            vec!["<IsTruncated>true</IsTruncated>".to_string()],
            "there is more, and it does not say where",
        ),
        (vec![format!("{a}{a}{end}")], "out of order, or there twice"),
        (vec![format!("{b}{a}{end}")], "out of order, or there twice"),
        (
            vec![format!("{b}{}", more("x")), format!("{a}{end}")],
            "out of order, or there twice",
        ),
        (
            vec![format!("{a}{}", more("x")), format!("{b}{}", more("x"))],
            "leads back",
        ),
        (vec![more("x"), more("y"), more("x")], "leads back"),
        (vec![format!("{deep}{end}")], "does not stop at the slash"),
        (
            vec![format!(
                "<Contents><Key>other/a</Key><Size>1</Size></Contents>{end}"
            )],
            "what was not asked for",
        ),
        (
            vec![format!(
                "<CommonPrefixes><Prefix>other/</Prefix></CommonPrefixes>{end}"
            )],
            "what was not asked for",
        ),
        (
            vec![format!("<KeyCount>2</KeyCount>{a}{end}")],
            "fewer keys than it says",
        ),
    ];
    for (pages, why) in pages {
        for page in pages {
            let page = format!("<ListBucketResult>{page}</ListBucketResult>");
            proxy.once("GET", "list-type", Fault::Answer(200, page));
        }
        let report = storage.list(Some("app"), &cancel()).unwrap_err().report();
        assert!(
            report.contains("is not complete: ") && report.contains(why),
            "{report}"
        );
        assert!(proxy.is_through(), "{why}");
    }
    // a page that never comes ends the listing, whatever came before it
    fill(&server, 1_001);
    proxy.once("GET", "continuation-token", refusal(403, "AccessDenied"));
    storage.list(None, &cancel()).unwrap_err();
    assert_eq!(listed(&storage, None).len(), 1_001);
}

#[test]
fn what_lies_elsewhere_is_not_listed() {
    let server = Server::start();
    let keys = fill(&server, 1);
    for strange in [
        "other/app/20261120_020000.000000001Z.dump",
        "team a/pg2/app/20261120_020000.000000001Z.dump",
        "team a/pg/top.txt",
        "team a/pg/app/deep/20261120_020000.000000001Z.dump",
        "team a/pg/.hidden/20261120_020000.000000001Z.dump",
    ] {
        let path = server.file(strange);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x").unwrap();
    }
    let storage = storage(&server.address);
    assert_eq!(listed(&storage, None), keys);
    assert_eq!(listed(&storage, Some("app")), keys);
}

fn ago(hours: i64) -> String {
    let moment: DateTime<Utc> = Utc::now() - TimeDelta::hours(hours);
    moment.format("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

#[test]
fn only_orphans_of_ours_older_than_a_day_are_swept() {
    let server = Server::start();
    let proxy = Proxy::before(&server.address);
    let storage = storage(&proxy.address);
    let name = |number: u32| format!("app/20261120_020000.{number:09}Z.dump");
    let upload = |key: &str, id: &str, hours: i64| {
        format!(
            "<Upload><Key>{key}</Key><UploadId>{id}</UploadId><Initiated>{}</Initiated></Upload>",
            ago(hours)
        )
    };
    let page = |uploads: String, rest: &str| {
        Fault::Answer(
            200,
            format!("<ListMultipartUploadsResult>{uploads}{rest}</ListMultipartUploadsResult>"),
        )
    };
    let first = [
        upload(&format!("{PREFIX}/{}", name(1)), "dead", 30),
        upload(&format!("{PREFIX}/{}", name(2)), "young", 23),
        upload(&format!("{PREFIX}/app/notes.txt"), "foreign", 30),
    ];
    let more = "<IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker><NextUploadIdMarker>u</NextUploadIdMarker>";
    proxy.once(
        "GET",
        "key-marker=k",
        page(upload(&format!("{PREFIX}/{}", name(3)), "slow", 90), ""),
    );
    proxy.once("GET", "uploads", page(first.concat(), more));
    let parts = |hours: i64| {
        let part = format!("<Part><LastModified>{}</LastModified></Part>", ago(hours));
        Fault::Answer(200, format!("<ListPartsResult>{part}</ListPartsResult>"))
    };
    proxy.once("GET", "uploadId=dead", parts(29));
    proxy.once("GET", "uploadId=slow", parts(1));
    proxy.once("DELETE", "uploadId=dead", Fault::Answer(204, String::new()));
    assert_eq!(storage.sweep("app", &ours, &cancel()).unwrap(), [name(1)]);
    assert!(proxy.is_through(), "{:?}", proxy.seen());
    assert_eq!(proxy.count("DELETE", ""), 1);
    let asked = proxy.seen();
    assert!(
        asked[0].contains("prefix=team%20a%2Fpg%2Fapp%2F"),
        "{asked:?}"
    );
}

#[test]
fn a_key_that_may_not_sweep_can_still_back_up() {
    let server = Server::start();
    let proxy = Proxy::before(&server.address);
    let storage = storage(&proxy.address);
    proxy.once("GET", "uploads", refusal(403, "AccessDenied"));
    assert_eq!(storage.sweep("app", &ours, &cancel()).unwrap(), [""; 0]);
}
