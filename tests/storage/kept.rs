//! A server that says "stored" or "deleted" is looked at, and what is not as it was sent does not stand.

use super::common::{PART, PREFIX, assert_same, bytes, cancel, read, storage};
use super::liar::{Answered, Asked, Liar, Lie, Truth};
use super::proxy::{Fault, Proxy, refusal};
use super::s3s::Server;
use backupkit::error::Kind;
use backupkit::storage::Storage;

const KEY: &str = "app/20261120_020000.000000001Z.dump.gz.enc";

fn lying(server: &Server, lie: Lie) -> Liar {
    let liar = Liar::before(&server.address, &server.file(""));
    liar.lies(lie);
    liar
}

fn is_there(server: &Server) -> bool {
    server.file(&format!("{PREFIX}/{KEY}")).exists()
}

/// Keeps only the first ten bytes.
fn cut(asked: &Asked, truth: &Truth<'_>) -> Answered {
    let answered = truth.answer(asked);
    if asked.makes_visible() {
        truth.change(&asked.key, |bytes| bytes.truncate(10));
    }
    answered
}

#[test]
fn what_is_not_as_it_was_sent_is_told_and_removed() {
    for size in [100, 2 * PART + 1] {
        let server = Server::start();
        let liar = lying(&server, cut);
        let error = storage(&liar.address)
            .put(KEY, &bytes(size), &cancel())
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Failed);
        assert_eq!(
            error.report(),
            format!(
                "cannot write s3://backups/{PREFIX}/{KEY}: {} answered that it was stored, but {size} bytes were sent, and 10 are there\n  hint: look into the disks and the logs of that server, and check what else it holds: backupkit verify --all",
                liar.address
            )
        );
        assert!(!is_there(&server));
        assert_eq!(server.unfinished(), [""; 0]);
    }
}

#[test]
fn an_object_of_another_upload_is_never_removed() {
    let server = Server::start();
    let liar = lying(&server, |asked, truth| {
        let answered = truth.answer(asked);
        match asked.method == "HEAD" && answered.status == 200 {
            true => answered.with("x-amz-meta-backupkit-upload", "0123456789abcdef"),
            false => answered,
        }
    });
    let storage = storage(&liar.address);
    let report = storage.put(KEY, b"ours", &cancel()).unwrap_err().report();
    assert!(
        report.contains("but the object there is another one"),
        "{report}"
    );
    assert!(is_there(&server));
    let report = storage.put(KEY, b"more", &cancel()).unwrap_err().report();
    assert!(report.contains("already, and it stays"), "{report}");
    assert!(is_there(&server));
}

#[test]
fn an_object_that_was_not_replaced_is_told_and_stays() {
    let server = Server::start();
    let honest = storage(&server.address);
    honest.replace(KEY, b"old", &cancel()).unwrap();
    honest.replace(KEY, b"older", &cancel()).unwrap();
    let liar = lying(&server, |asked, truth| match asked.method.as_str() {
        "PUT" => Answered::new(200, ""),
        _ => truth.answer(asked),
    });
    storage(&liar.address)
        .replace(KEY, b"new", &cancel())
        .unwrap_err();
    assert_same(&read(&honest, KEY), b"older");
}

#[test]
fn of_two_that_replace_an_object_at_once_neither_fails() {
    let server = Server::start();
    // the other one comes between the write and the look at it
    let liar = lying(&server, |asked, truth| {
        let answered = truth.answer(asked);
        match asked.method == "HEAD" && answered.status == 200 {
            true => answered.with("x-amz-meta-backupkit-upload", "0123456789abcdef"),
            false => answered,
        }
    });
    storage(&liar.address)
        .replace(KEY, b"new", &cancel())
        .unwrap();
    assert!(is_there(&server));
}

#[test]
fn what_shows_or_goes_a_moment_late_is_waited_for() {
    let server = Server::start();
    let proxy = Proxy::before(&server.address);
    let storage = storage(&proxy.address);
    // the first asks whether the key is free
    proxy.times(2, "HEAD", "app/", refusal(404, ""));
    storage.put(KEY, b"late", &cancel()).unwrap();
    assert_same(&read(&storage, KEY), b"late");
    proxy.once("HEAD", "app/", Fault::Answer(200, String::new()));
    storage.delete(&[KEY.to_string()], &cancel()).unwrap();
    assert!(proxy.is_through());
    assert!(!is_there(&server));
}

#[test]
fn a_write_costs_one_look_and_a_short_read() {
    let server = Server::start();
    let proxy = Proxy::before(&server.address);
    let storage = storage(&proxy.address);
    storage.put(KEY, &bytes(2 * PART + 1), &cancel()).unwrap();
    assert_eq!(proxy.count("HEAD", "app/"), 2, "one of them beforehand");
    assert_eq!(
        proxy.count("GET", "app/"),
        2,
        "both ends: {:?}",
        proxy.seen()
    );
    storage.put("app/small", b"small", &cancel()).unwrap();
    assert_eq!(proxy.count("GET", "app/small"), 1);
}

#[test]
fn what_is_still_there_after_it_was_deleted_is_named() {
    let server = Server::start();
    let honest = storage(&server.address);
    let keys: Vec<String> = (0..12).map(|number| format!("app/{number:02}")).collect();
    for key in &keys {
        honest.put(key, b"x", &cancel()).unwrap();
    }
    let liar = lying(&server, |asked, truth| match asked.method.as_str() {
        "DELETE" => Answered::new(204, ""),
        "POST" => Answered::new(
            200,
            "<DeleteResult><Deleted><Key>else</Key></Deleted></DeleteResult>",
        ),
        _ => truth.answer(asked),
    });
    let storage = storage(&liar.address);
    for (deleted, named) in [(1, "app/00"), (3, "app/02"), (12, ", and 7 more")] {
        let error = storage.delete(&keys[..deleted], &cancel()).unwrap_err();
        assert_eq!(error.kind(), Kind::Failed);
        let report = error.report();
        assert!(
            report.contains("answered that it deleted what is still there: s3://"),
            "{report}"
        );
        assert!(report.contains(named), "{report}");
    }
    honest.delete(&keys, &cancel()).unwrap();
    assert_eq!(honest.list(Some("app"), &cancel()).unwrap(), []);
}
