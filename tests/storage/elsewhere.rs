//! The same promises on other servers: `BACKUPKIT_TEST_S3` names a file with one a line,
//! `name http://host:port bucket region access_key secret_key`. Every test writes under a prefix of its own.

use super::contract;
use super::proxy::{Fault, Proxy};
use super::{MIB, PART, assert_same, bytes, cancel, read};
use backupkit::secret::Secret;
use backupkit::storage::Storage;
use backupkit::storage::s3::{S3, Settings};
use std::io::Write;
use std::time::Duration;

const KEY: &str = "app/20261120_020000.000000001Z.dump";

/// Runs `test` for each server.
fn each(name: &str, test: impl Fn(&str, Settings)) {
    let path = std::env::var("BACKUPKIT_TEST_S3").expect("BACKUPKIT_TEST_S3 names a file");
    let servers = std::fs::read_to_string(path).unwrap();
    for line in servers.lines().filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [server, endpoint, bucket, region, access_key, secret_key] = words[..] else {
            panic!("not a server: {line}");
        };
        println!("{name} on {server}");
        let settings = Settings {
            prefix: format!("test {}/{name}", std::process::id()),
            endpoint: Some(endpoint.into()),
            access_key: Some(Secret::new(access_key)),
            secret_key: Some(Secret::new(secret_key)),
            part_size: Some(PART as u64),
            ..Settings::new(server, bucket, region)
        };
        test(server, settings);
    }
}

/// The same server behind a proxy.
fn proxied(settings: &Settings) -> (Proxy, Settings) {
    let endpoint = settings.endpoint.clone().unwrap();
    let proxy = Proxy::before(endpoint.strip_prefix("http://").unwrap());
    let through = Settings {
        endpoint: Some(format!("http://{}", proxy.address)),
        ..settings.clone()
    };
    (proxy, through)
}

#[test]
#[ignore = "needs servers of its own: make test-s3"]
fn the_contract_holds() {
    each("contract", |_, settings| {
        contract::holds(&S3::new(settings).unwrap());
    });
}

#[test]
#[ignore = "needs servers of its own: make test-s3"]
fn a_part_that_changed_on_its_way_is_refused_by_the_server() {
    each("corrupt", |server, settings| {
        let (proxy, mut through) = proxied(&settings);
        proxy.once("PUT", "partNumber=1&", Fault::Corrupt(MIB));
        through.patience = Duration::ZERO;
        let storage = S3::new(through).unwrap();
        let mut upload = storage.create(KEY, &cancel()).unwrap();
        let error = upload.write_all(&bytes(4 * PART)).err();
        let report = match error {
            Some(error) => backupkit::error::Error::from(error).report(),
            None => upload.commit().unwrap_err().report(),
        };
        assert!(report.contains("part 1 of"), "{server}: {report}");
        assert!(report.contains("Digest"), "{server}: {report}");
    });
}

#[test]
#[ignore = "needs servers of its own: make test-s3"]
fn an_upload_that_started_unheard_is_aborted() {
    each("unheard", |server, settings| {
        let (proxy, through) = proxied(&settings);
        proxy.once("POST", "uploads", Fault::LoseAnswer);
        let storage = S3::new(through).unwrap();
        let bytes = bytes(2 * PART);
        let mut upload = storage.create(KEY, &cancel()).unwrap();
        upload.write_all(&bytes).unwrap();
        upload.commit().unwrap();
        assert_same(&read(&storage, KEY), &bytes);
        assert_eq!(proxy.count("DELETE", "uploadId"), 1, "{server}");
    });
}

#[test]
#[ignore = "needs servers of its own: make test-s3"]
fn wrong_settings_are_named() {
    each("wrong", |server, settings| {
        let report = |settings: Settings| {
            let storage = S3::new(settings).unwrap();
            let report = storage.list(None, &cancel()).unwrap_err().report();
            println!("{report}");
            report
        };
        let mut wrong = settings.clone();
        wrong.secret_key = Some(Secret::new("canary"));
        let said = report(wrong);
        assert!(said.contains("check secret_key"), "{server}: {said}");
        let mut wrong = settings.clone();
        wrong.access_key = Some(Secret::new("GKcanary"));
        let said = report(wrong);
        assert!(said.contains("check access_key"), "{server}: {said}");
        let mut wrong = settings.clone();
        wrong.bucket = "no-such-bucket-here".into();
        let said = report(wrong);
        assert!(said.contains("there is no bucket"), "{server}: {said}");
        let mut wrong = settings.clone();
        wrong.region = "elsewhere-1".into();
        // radosgw takes any region
        let storage = S3::new(wrong).unwrap();
        if let Err(error) = storage.list(None, &cancel()) {
            let said = error.report();
            println!("{said}");
            let hint = format!("set region: {} for", settings.region);
            assert!(said.contains(&hint), "{server}: {said}");
        }
        let mut wrong = settings.clone();
        wrong.now = || chrono::Utc::now() - chrono::TimeDelta::hours(2);
        let said = report(wrong);
        assert!(said.contains("timedatectl"), "{server}: {said}");
    });
}
