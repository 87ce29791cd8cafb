//! One thing goes wrong at a time: the run succeeds or fails as it should, nothing is half visible, and no
//! unfinished upload is left behind.

use super::common::{
    MIB, PART, PREFIX, assert_nothing_left, assert_same, bytes, cancel, hasty, read, settings,
    storage,
};
use super::proxy::{Fault, Proxy, refusal};
use super::s3s::Server;
use backupkit::cancel::{Cancel, Cause};
use backupkit::error::{Kind, Result};
use backupkit::storage::Storage;
use backupkit::storage::local::Local;
use backupkit::storage::s3::S3;
use backupkit::storage::tee::{STALLED, Tee};
use std::io::{Read, Write};
use std::time::{Duration, Instant};

const KEY: &str = "app/20261120_020000.000000001Z.dump.gz.enc";
/// Three parts.
const SIZE: usize = 12 * MIB;

fn upload(storage: &dyn Storage, bytes: &[u8], cancel: &Cancel) -> Result<()> {
    let mut upload = storage.create(KEY, cancel)?;
    upload.write_all(bytes)?;
    upload.commit()
}

/// Uploads `size` bytes while `script` is played, and expects them on the server, once and whole.
fn survives(name: &str, size: usize, script: impl Fn(&Proxy)) -> Proxy {
    let server = Server::start();
    let proxy = Proxy::before(&server.address);
    script(&proxy);
    let bytes = bytes(size);
    if let Err(error) = upload(&storage(&proxy.address), &bytes, &cancel()) {
        panic!("{name}: {error:?}");
    }
    assert!(proxy.is_through(), "{name}: {:?}", proxy.seen());
    assert_same(&read(&storage(&server.address), KEY), &bytes);
    assert_eq!(server.unfinished(), [""; 0], "{name}");
    proxy
}

#[test]
fn a_part_that_meets_a_fault_is_sent_again_with_identical_bytes() {
    let faults = [
        ("500", refusal(500, "InternalError")),
        ("502", Fault::Answer(502, "<html>bad gateway</html>".into())),
        ("503", refusal(503, "SlowDown")),
        ("429", refusal(429, "TooManyRequests")),
        ("429 without a word", Fault::Answer(429, String::new())),
        ("timeout", refusal(400, "RequestTimeout")),
        ("200 that is none", refusal(200, "InternalError")),
        ("reset at once", Fault::Reset(0)),
        ("reset in mid-part", Fault::Reset(PART / 2)),
        ("request lost", Fault::LoseRequest),
        ("answer lost", Fault::LoseAnswer),
    ];
    for (name, fault) in faults {
        let proxy = survives(name, SIZE, |proxy| {
            proxy.once("PUT", "partNumber=2&", fault.clone())
        });
        assert_eq!(proxy.count("PUT", "partNumber=2&"), 2, "{name}");
        assert_eq!(proxy.count("PUT", "partNumber=1&"), 1, "{name}");
    }
}

#[test]
fn a_small_object_that_meets_a_fault_is_sent_again() {
    let faults = [
        ("500", refusal(500, "InternalError")),
        ("503", refusal(503, "SlowDown")),
        ("429", refusal(429, "TooManyRequests")),
        ("200 that is none", refusal(200, "InternalError")),
        ("reset in its middle", Fault::Reset(50)),
    ];
    for (name, fault) in faults {
        let proxy = survives(name, 100, |proxy| proxy.once("PUT", "app/", fault.clone()));
        assert_eq!(proxy.count("PUT", "app/"), 2, "{name}");
    }
}

#[test]
fn a_server_that_says_nothing_is_asked_again() {
    let server = Server::start();
    let proxy = Proxy::before(&server.address);
    for (method, target) in [
        ("POST", "uploads"),
        ("PUT", "partNumber=2&"),
        ("HEAD", "app/"),
        ("GET", "app/"),
    ] {
        proxy.once(method, target, Fault::Stall);
    }
    let (storage, bytes) = (hasty(&proxy.address), bytes(SIZE));
    upload(&storage, &bytes, &cancel()).unwrap();
    assert_same(&read(&storage, KEY), &bytes);
    assert!(proxy.is_through(), "{:?}", proxy.seen());
    assert_eq!(server.unfinished(), [""; 0]);
}

#[test]
fn bytes_that_change_on_their_way_are_refused_and_sent_again() {
    // a part: s3s-fs stores it, and its ETag tells on it
    for part in ["partNumber=1&", "partNumber=3&"] {
        let proxy = survives(part, SIZE, |proxy| {
            proxy.once("PUT", part, Fault::Corrupt(MIB));
        });
        assert_eq!(proxy.count("PUT", part), 2);
    }
    // a small object: the server refuses it by its Content-MD5
    let server = Server::start();
    let proxy = Proxy::before(&server.address);
    proxy.once("PUT", "app/", Fault::Corrupt(3));
    let mut settings = settings(&proxy.address);
    settings.patience = Duration::ZERO;
    let error = S3::new(settings).unwrap().put(KEY, b"hello", &cancel());
    let report = error.unwrap_err().report();
    assert!(report.contains("400 BadDigest"), "{report}");
}

#[test]
fn an_upload_starts_though_its_first_request_is_lost() {
    for fault in [refusal(503, "SlowDown"), Fault::LoseRequest] {
        survives("start", SIZE, |proxy| {
            proxy.once("POST", "uploads", fault.clone());
        });
    }
}

#[test]
fn a_lost_answer_to_the_completion_is_settled_by_asking() {
    let faults = [
        ("done, answer lost", Fault::LoseAnswer, 1),
        ("not done", Fault::LoseRequest, 2),
        ("not done, 500", refusal(500, "InternalError"), 2),
        (
            "not done, 200 with an error",
            refusal(200, "InternalError"),
            2,
        ),
        ("answer cut", Fault::Truncate(0), 1),
    ];
    for (name, fault, completions) in faults {
        let proxy = survives(name, SIZE, |proxy| {
            proxy.once("POST", "uploadId", fault.clone());
        });
        assert_eq!(proxy.count("POST", "uploadId"), completions, "{name}");
    }
    // and where the question is lost too, the second completion finds the upload gone and asks again
    survives("done, answer and question lost", SIZE, |proxy| {
        proxy.once("HEAD", "app/", refusal(404, ""));
        proxy.once("POST", "uploadId", Fault::LoseAnswer);
        proxy.once("HEAD", "app/", Fault::LoseRequest);
    });
}

#[test]
fn a_lost_answer_to_a_small_object_is_settled_by_asking() {
    let proxy = survives("done", 100, |proxy| {
        proxy.once("PUT", "app/", Fault::LoseAnswer)
    });
    assert_eq!(proxy.count("PUT", "app/"), 1);
    survives("not done", 100, |proxy| {
        proxy.once("PUT", "app/", Fault::LoseRequest)
    });
    // the second PUT meets the object of the first: 412, and the token says whose it is
    let proxy = survives("done, question lost", 100, |proxy| {
        proxy.once("HEAD", "app/", refusal(404, ""));
        proxy.once("PUT", "app/", Fault::LoseAnswer);
        proxy.once("HEAD", "app/", Fault::LoseRequest);
    });
    assert_eq!(proxy.count("PUT", "app/"), 2);
}

#[test]
fn an_object_that_appears_meanwhile_stays() {
    for size in [100, SIZE] {
        let server = Server::start();
        // of the same size, so that only the token tells them apart
        let first = vec![7; size];
        upload(&storage(&server.address), &first, &cancel()).unwrap();
        let proxy = Proxy::before(&server.address);
        // as if it came between the question and the write
        proxy.once("HEAD", "app/", refusal(404, ""));
        let error = upload(&storage(&proxy.address), &bytes(size), &cancel()).unwrap_err();
        assert_eq!(
            error.report(),
            format!(
                "cannot write s3://backups/{PREFIX}/{KEY}: there is such an object already, and it stays"
            )
        );
        assert_same(&read(&storage(&server.address), KEY), &first);
        assert_eq!(server.unfinished(), [""; 0]);
    }
}

#[test]
fn a_server_without_conditional_writes_is_written_to_without_them() {
    for (method, size) in [("PUT", 100), ("POST", SIZE)] {
        survives("501", size, |proxy| {
            // the POST that starts an upload has no condition
            let target = if method == "PUT" { "app/" } else { "uploadId" };
            proxy.once(method, target, refusal(501, "NotImplemented"));
        });
    }
}

#[test]
fn a_refused_part_fails_the_upload_and_leaves_nothing() {
    let server = Server::start();
    let proxy = Proxy::before(&server.address);
    proxy.once("PUT", "partNumber=2&", refusal(403, "AccessDenied"));
    let error = upload(&storage(&proxy.address), &bytes(SIZE), &cancel()).unwrap_err();
    let report = error.report();
    assert!(
        report.starts_with("cannot send part 2 of s3://"),
        "{report}"
    );
    assert!(report.contains("s3:PutObject"), "{report}");
    assert_eq!(
        proxy.count("PUT", "partNumber=2&"),
        1,
        "it is not tried again"
    );
    assert_nothing_left(&server, KEY);
}

#[test]
fn keys_that_expire_in_mid_upload_fail_it_and_leave_nothing() {
    let server = Server::start();
    let proxy = Proxy::before(&server.address);
    proxy.once("PUT", "partNumber=2&", refusal(400, "ExpiredToken"));
    let error = upload(&storage(&proxy.address), &bytes(SIZE), &cancel()).unwrap_err();
    assert_eq!(
        error.report(),
        format!(
            "cannot send part 2 of s3://backups/{PREFIX}/{KEY}: the session token has expired or is not valid (400 ExpiredToken)\n  hint: get new temporary keys for the storage s3main, or leave its keys out where the machine has a role: those are renewed"
        )
    );
    assert_eq!(proxy.count("PUT", "partNumber=2&"), 1, "not tried again");
    assert_nothing_left(&server, KEY);
}

#[test]
fn a_server_that_dies_in_mid_upload_costs_its_copy_and_no_other() {
    let server = Server::start();
    let proxy = Proxy::before(&server.address);
    let mut settings = settings(&proxy.address);
    settings.patience = Duration::from_secs(1);
    let directory = tempfile::tempdir().unwrap();
    let local = Local::new("local", directory.path()).unwrap();
    let (bucket, bytes, cancel) = (S3::new(settings).unwrap(), bytes(SIZE), cancel());
    let storages: [&dyn Storage; 2] = [&local, &bucket];
    let uploads = storages.map(|storage| storage.create(KEY, &cancel).unwrap());
    let mut fan = Tee::new(uploads.into(), STALLED, &cancel).unwrap();
    let (before, after) = bytes.split_at(PART + MIB);
    fan.write_all(before).unwrap();
    proxy.wait_for("PUT", "partNumber=1&");
    drop(server);
    fan.write_all(after).unwrap();
    let mut ended = fan.finish().unwrap().into_iter();
    ended.next().unwrap().unwrap().commit().unwrap();
    // its parts on their way are waited for at the end
    let error = match ended.next().unwrap() {
        Ok(upload) => upload.commit().unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(error.kind(), Kind::Unavailable, "{error:?}");
    assert_same(&read(&local, KEY), &bytes);
}

#[test]
fn a_server_that_stays_down_fails_the_upload_and_leaves_nothing() {
    let targets = [("PUT", "partNumber=2&"), ("POST", "uploadId")];
    for (method, target) in targets {
        let server = Server::start();
        let proxy = Proxy::before(&server.address);
        proxy.times(1000, method, target, refusal(503, "SlowDown"));
        let mut settings = settings(&proxy.address);
        settings.patience = Duration::from_secs(1);
        let storage = S3::new(settings).unwrap();
        let error = upload(&storage, &bytes(SIZE), &cancel()).unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable, "{error:?}");
        assert!(proxy.count(method, target) > 1);
        assert_nothing_left(&server, KEY);
    }
}

#[test]
fn a_refusal_inside_a_good_status_is_a_refusal() {
    let server = Server::start();
    let proxy = Proxy::before(&server.address);
    proxy.once("POST", "uploadId", refusal(200, "InvalidPart"));
    let error = upload(&storage(&proxy.address), &bytes(SIZE), &cancel()).unwrap_err();
    assert!(error.report().contains("200 InvalidPart"), "{error:?}");
    assert_nothing_left(&server, KEY);
}

#[test]
fn after_a_lost_part_there_is_nothing_to_commit() {
    let server = Server::start();
    let proxy = Proxy::before(&server.address);
    proxy.once("POST", "uploads", refusal(403, "AccessDenied"));
    let storage = storage(&proxy.address);
    let mut upload = storage.create(KEY, &cancel()).unwrap();
    upload.write_all(&bytes(SIZE)).unwrap_err();
    let error = upload.commit().unwrap_err();
    assert!(error.to_string().ends_with("a part of it was lost"));
    assert_nothing_left(&server, KEY);
}

#[test]
fn a_cancel_ends_every_wait_at_once_and_leaves_nothing() {
    for (method, target, size) in [
        ("HEAD", "app/", SIZE),
        ("POST", "uploads", SIZE),
        ("PUT", "partNumber=2&", SIZE),
        ("POST", "uploadId", SIZE),
        ("PUT", "app/", 100),
    ] {
        let server = Server::start();
        let proxy = Proxy::before(&server.address);
        proxy.once(method, target, Fault::Stall);
        let mut settings = settings(&proxy.address);
        // only the cancel can end it
        settings.limits.idle = Duration::from_secs(3600);
        settings.limits.total = Duration::from_secs(3600);
        let storage = S3::new(settings).unwrap();
        let token = cancel();
        std::thread::scope(|scope| {
            let running = scope.spawn(|| upload(&storage, &bytes(size), &token));
            proxy.wait_for(method, target);
            token.cancel(Cause::Signal(15));
            let error = running.join().unwrap().unwrap_err();
            assert_eq!(error.kind(), Kind::Signal(15), "{method} {target}");
        });
        if method == "PUT" {
            proxy.stalled_are_closed();
        }
        assert_nothing_left(&server, KEY);
    }
}

#[test]
fn a_dropped_upload_leaves_nothing() {
    let server = Server::start();
    let storage = storage(&server.address);
    let mut upload = storage.create(KEY, &cancel()).unwrap();
    upload.write_all(&bytes(SIZE)).unwrap();
    drop(upload);
    assert_nothing_left(&server, KEY);
}

#[test]
fn a_read_is_taken_up_where_the_connection_broke() {
    let server = Server::start();
    let bytes = bytes(SIZE);
    upload(&storage(&server.address), &bytes, &cancel()).unwrap();
    let faults = [
        ("answer cut", Fault::Truncate(7_000_001)),
        ("answer lost", Fault::LoseAnswer),
        ("503", refusal(503, "SlowDown")),
    ];
    for (name, fault) in faults {
        let proxy = Proxy::before(&server.address);
        proxy.once("GET", "app/", fault);
        proxy.once("GET", "bytes=7000001-", Fault::Truncate(1));
        assert_same(&read(&storage(&proxy.address), KEY), &bytes);
        let ranged = proxy.count("GET", "bytes=");
        assert_eq!(ranged, if name == "answer cut" { 2 } else { 0 }, "{name}");
    }
}

#[test]
fn a_read_does_not_go_on_in_another_object() {
    let server = Server::start();
    upload(&storage(&server.address), &bytes(SIZE), &cancel()).unwrap();
    let proxy = Proxy::before(&server.address);
    proxy.once("GET", "app/", Fault::Truncate(1000));
    proxy.once("GET", "bytes=1000-", refusal(412, "PreconditionFailed"));
    let storage = storage(&proxy.address);
    let mut reader = storage.open(KEY, &cancel()).unwrap();
    let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("was replaced while it was read")
    );
    assert_eq!(proxy.count("GET", "bytes=1000- if-match: \""), 1);
}

#[test]
fn a_cancel_ends_a_read_that_waits() {
    let server = Server::start();
    upload(&storage(&server.address), &bytes(SIZE), &cancel()).unwrap();
    let proxy = Proxy::before(&server.address);
    proxy.once("GET", "app/", Fault::Truncate(1000));
    proxy.once("GET", "bytes=1000-", Fault::Stall);
    let mut settings = settings(&proxy.address);
    settings.limits.idle = Duration::from_secs(3600);
    let storage = S3::new(settings).unwrap();
    let token = cancel();
    let mut reader = storage.open(KEY, &token).unwrap();
    let started = Instant::now();
    std::thread::scope(|scope| {
        let reading = scope.spawn(move || reader.read_to_end(&mut Vec::new()));
        proxy.wait_for("GET", "bytes=1000-");
        token.cancel(Cause::Signal(2));
        let error = backupkit::error::Error::from(reading.join().unwrap().unwrap_err());
        assert_eq!(error.kind(), Kind::Signal(2));
    });
    assert!(started.elapsed() < Duration::from_secs(3600));
}
