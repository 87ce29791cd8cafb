//! What holds on every cluster, with the server's own refusals as people read them. Each writes under a prefix of its own.

use super::cluster::Cluster;
use super::common::{MIB, PART, assert_same, bytes, cancel, ours, read};
use super::contract;
use super::proxy::{Fault, Proxy};
use backupkit::error::Error;
use backupkit::secret::Secret;
use backupkit::storage::Storage;
use backupkit::storage::s3::{S3, S3Settings};
use chrono::{TimeDelta, Utc};
use std::io::Write;
use std::time::Duration;

const KEY: &str = "app/20261120_020000.000000001Z.dump";

/// Settings with small parts.
fn settings(cluster: &Cluster, prefix: &str) -> S3Settings {
    S3Settings {
        part_size: Some(PART as u64),
        ..cluster.settings(prefix)
    }
}

/// The same behind a proxy.
fn proxied(cluster: &Cluster, prefix: &str) -> (Proxy, S3Settings) {
    let proxy = Proxy::before(&cluster.address);
    let through = S3Settings {
        endpoint: Some(format!("http://{}", proxy.address)),
        ..settings(cluster, prefix)
    };
    (proxy, through)
}

pub fn the_contract_holds(cluster: &Cluster) {
    contract::holds(&S3::new(settings(cluster, "contract")).unwrap());
}

/// Whether the server keeps conditional writes.
pub fn claims_are_kept(cluster: &Cluster) -> bool {
    contract::claims_are_kept(&S3::new(settings(cluster, "claims")).unwrap())
}

pub fn a_part_that_changed_on_its_way_is_refused(cluster: &Cluster) {
    let (proxy, mut through) = proxied(cluster, "corrupt");
    proxy.once("PUT", "partNumber=1&", Fault::Corrupt(MIB));
    through.patience = Duration::ZERO;
    let storage = S3::new(through).unwrap();
    let mut upload = storage.create(KEY, &cancel()).unwrap();
    let error = match upload.write_all(&bytes(4 * PART)) {
        Err(error) => Error::from(error),
        Ok(()) => upload.commit().unwrap_err(),
    };
    let report = error.report();
    assert!(report.contains("part 1 of"), "{report}");
    assert!(report.contains("Digest"), "{report}");
}

/// The ETag of a whole is compared, and found to be that of what was sent: else all of it would be read back.
pub fn a_write_costs_a_look_and_two_short_reads(cluster: &Cluster) {
    let (proxy, through) = proxied(cluster, "looked at");
    let storage = S3::new(through).unwrap();
    storage.put(KEY, &bytes(2 * PART + 1), &cancel()).unwrap();
    let seen = proxy.seen();
    let reads: Vec<&String> = seen.iter().filter(|line| line.starts_with("GET")).collect();
    assert_eq!(reads.len(), 2, "{seen:?}");
    assert!(reads[1].contains("range: bytes="), "{seen:?}");
}

/// A slash sorts after a dash, and their order in a listing is the server's.
pub fn directories_with_one_beginning_are_listed(cluster: &Cluster) {
    let storage = S3::new(settings(cluster, "neighbours")).unwrap();
    let mut keys = ["app-old/a", "app.new/a", "app/a", "app/b", "app0/a"];
    for key in keys {
        storage.put(key, b"x", &cancel()).unwrap();
    }
    let listed = storage.list(None, &cancel()).unwrap();
    let mut listed: Vec<String> = listed.into_iter().map(|object| object.key).collect();
    listed.sort();
    keys.sort();
    assert_eq!(listed, keys);
}

pub fn an_upload_that_started_unheard_is_aborted(cluster: &Cluster) {
    let (proxy, through) = proxied(cluster, "unheard");
    proxy.once("POST", "uploads", Fault::LoseAnswer);
    let storage = S3::new(through).unwrap();
    let bytes = bytes(2 * PART);
    let mut upload = storage.create(KEY, &cancel()).unwrap();
    upload.write_all(&bytes).unwrap();
    upload.commit().unwrap();
    assert_same(&read(&storage, KEY), &bytes);
    assert_eq!(proxy.count("DELETE", "uploadId"), 1);
}

pub fn a_sweep_leaves_an_upload_that_is_under_way(cluster: &Cluster) {
    let storage = S3::new(settings(cluster, "sweep")).unwrap();
    let bytes = bytes(3 * PART);
    let mut upload = storage.create(KEY, &cancel()).unwrap();
    upload.write_all(&bytes).unwrap();
    assert_eq!(storage.sweep("app", &ours, &cancel()).unwrap(), [""; 0]);
    upload.commit().unwrap();
    assert_same(&read(&storage, KEY), &bytes);
}

/// `words` are what the server says to a write.
pub fn a_key_that_may_only_read_lists_and_reads(cluster: &Cluster, words: &str) {
    let storage = S3::new(settings(cluster, "reading")).unwrap();
    storage.put(KEY, b"hello", &cancel()).unwrap();
    let (access_key, secret_key) = &cluster.reader;
    let storage = S3::new(S3Settings {
        access_key: Some(Secret::new(access_key)),
        secret_key: Some(Secret::new(secret_key)),
        ..settings(cluster, "reading")
    })
    .unwrap();
    assert_eq!(read(&storage, KEY), b"hello");
    assert_eq!(storage.list(Some("app"), &cancel()).unwrap().len(), 1);
    assert!(storage.stat(KEY, &cancel()).unwrap().is_some());

    let host = &cluster.address;
    let expected = |verb: &str, key: &str, permission: &str| {
        format!(
            "cannot {verb} s3://backups/reading/{key}: {host} does not allow it{words} (403 AccessDenied)\n  hint: give the key of the storage s3main the permission {permission} on arn:aws:s3:::backups/reading/*"
        )
    };
    let new = "app/20261120_020000.000000002Z.dump";
    let error = storage.put(new, b"x", &cancel()).unwrap_err();
    assert_eq!(report(&error), expected("write", new, "s3:PutObject"));
    let error = storage.delete(&[KEY.into()], &cancel()).unwrap_err();
    assert_eq!(report(&error), expected("delete", KEY, "s3:DeleteObject"));
    assert_eq!(read(&storage, KEY), b"hello");
}

/// `codes` are those of the server's refusals of a wrong secret key, access key, bucket and region, and of a clock that
/// is two hours behind; none where it does not mind.
pub fn what_is_refused_is_explained(cluster: &Cluster, codes: [&str; 5]) {
    type Mistake = (fn(&mut S3Settings), &'static str, &'static str);
    let wrong: [Mistake; 5] = [
        (
            |settings| settings.secret_key = Some(Secret::new("canary")),
            "backups/wrong/: the secret key does not belong to the access key",
            "check secret_key of the storage s3main, or AWS_SECRET_ACCESS_KEY",
        ),
        (
            |settings| settings.access_key = Some(Secret::new("GKcanary")),
            "backups/wrong/: HOST does not know the access key",
            "check access_key and endpoint of the storage s3main, or AWS_ACCESS_KEY_ID",
        ),
        (
            |settings| settings.bucket = "nowhere".into(),
            "nowhere/wrong/: there is no bucket nowhere at HOST",
            "create it, or correct bucket, region or endpoint of the storage s3main",
        ),
        (
            |settings| settings.region = "elsewhere-1".into(),
            "backups/wrong/: the bucket backups is in the region garage, not in elsewhere-1",
            "set region: garage for the storage s3main",
        ),
        (
            // half a minute more, so that the seconds the test takes round nothing down
            |settings| settings.now = || Utc::now() - TimeDelta::seconds(2 * 3600 + 30),
            "backups/wrong/: this machine's clock is 2 h 0 min behind that of HOST",
            "set this machine's clock, for example with: timedatectl set-ntp true",
        ),
    ];
    for ((change, why, hint), code) in wrong.into_iter().zip(codes) {
        let mut settings = settings(cluster, "wrong");
        change(&mut settings);
        let listed = S3::new(settings).unwrap().list(None, &cancel());
        let said = listed
            .err()
            .map(|error| report(&error).replace(&cluster.address, "HOST"));
        let expected = format!("cannot list s3://{why} ({code})\n  hint: {hint}");
        assert_eq!(said, (!code.is_empty()).then_some(expected));
    }
}

/// The report but for the number that the server gave the request.
fn report(error: &Error) -> String {
    let report = error.report();
    match report.split_once(", request ") {
        Some((before, after)) => {
            let (_, after) = after.split_once(')').unwrap();
            format!("{before}){after}")
        }
        None => report,
    }
}
