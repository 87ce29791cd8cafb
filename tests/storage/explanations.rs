//! Refusals of a real server, as people read them.

use super::common::{cancel, settings};
use super::proxy::{Proxy, refusal};
use super::s3s::Server;
use backupkit::secret::Secret;
use backupkit::storage::Storage;
use backupkit::storage::s3::{S3, S3Settings};
use chrono::{TimeDelta, Utc};

const KEY: &str = "app/20261120_020000.000000001Z.dump";

fn list(settings: S3Settings) -> String {
    let storage = S3::new(settings).unwrap();
    storage.list(Some("app"), &cancel()).unwrap_err().report()
}

#[test]
fn a_wrong_secret() {
    let server = Server::start();
    let mut settings = settings(&server.address);
    settings.secret_key = Some(Secret::new("canary"));
    assert_eq!(
        list(settings),
        "cannot list s3://backups/team a/pg/app/: the secret key does not belong to the access key (403 SignatureDoesNotMatch)\n  hint: check secret_key of the storage s3main, or AWS_SECRET_ACCESS_KEY"
    );
}

#[test]
fn a_wrong_access_key() {
    let server = Server::start();
    let mut settings = settings(&server.address);
    settings.access_key = Some(Secret::new("canary"));
    let host = &server.address;
    assert_eq!(
        list(settings),
        format!(
            "cannot list s3://backups/team a/pg/app/: {host} does not know the access key (403 NotSignedUp)\n  hint: check access_key and endpoint of the storage s3main, or AWS_ACCESS_KEY_ID"
        )
    );
}

#[test]
fn a_missing_bucket() {
    let server = Server::start();
    let mut settings = settings(&server.address);
    settings.bucket = "nowhere".into();
    let host = &server.address;
    assert_eq!(
        list(settings),
        format!(
            "cannot list s3://nowhere/team a/pg/app/: there is no bucket nowhere at {host} (404 NoSuchBucket)\n  hint: create it, or correct bucket, region or endpoint of the storage s3main"
        )
    );
    // asked for an object, s3s-fs does not tell the two apart; others do, in answers with a body
    let proxy = Proxy::before(&server.address);
    let storage = S3::new(self::settings(&proxy.address)).unwrap();
    for _ in 0..2 {
        proxy.once("GET", "app/", refusal(404, "NoSuchBucket"));
    }
    for error in [
        storage.stat(KEY, &cancel()).unwrap_err(),
        storage.open(KEY, &cancel()).err().unwrap(),
    ] {
        assert!(error.report().contains("there is no bucket backups at"));
    }
}

#[test]
fn a_clock_that_is_off() {
    let server = Server::start();
    let host = &server.address;
    let hint = "\n  hint: set this machine's clock, for example with: timedatectl set-ntp true";
    let mut settings = settings(&server.address);
    // half a minute more, so that the seconds the test takes round nothing down
    settings.now = || Utc::now() + TimeDelta::seconds(2 * 3600 + 30);
    assert_eq!(
        list(settings.clone()),
        format!(
            "cannot list s3://backups/team a/pg/app/: this machine's clock is 2 h 0 min ahead of that of {host} (403 RequestTimeTooSkewed){hint}"
        )
    );
    settings.now = || Utc::now() - TimeDelta::seconds(3 * 3600 + 30);
    assert_eq!(
        list(settings),
        format!(
            "cannot list s3://backups/team a/pg/app/: this machine's clock is 3 h 0 min behind that of {host} (403 AccessDenied){hint}"
        )
    );
}

#[test]
fn a_missing_permission() {
    let server = Server::start();
    let proxy = Proxy::before(&server.address);
    let host = proxy.address.clone();
    let storage = S3::new(settings(&proxy.address)).unwrap();
    proxy.once("PUT", "app/", refusal(403, "AccessDenied"));
    assert_eq!(
        storage.put(KEY, b"x", &cancel()).unwrap_err().report(),
        format!(
            "cannot write s3://backups/team a/pg/{KEY}: {host} does not allow it: scripted (403 AccessDenied)\n  hint: give the key of the storage s3main the permission s3:PutObject on arn:aws:s3:::backups/team a/pg/*"
        )
    );
    proxy.once("DELETE", "app/", refusal(403, "AccessDenied"));
    let error = storage.delete(&[KEY.into()], &cancel()).unwrap_err();
    assert!(error.report().contains("s3:DeleteObject on"), "{error:?}");
}

#[test]
fn an_expired_token() {
    let server = Server::start();
    let proxy = Proxy::before(&server.address);
    let storage = S3::new(settings(&proxy.address)).unwrap();
    proxy.once("GET", "list-type", refusal(400, "ExpiredToken"));
    let error = storage.list(None, &cancel()).unwrap_err();
    assert_eq!(
        error.report(),
        "cannot list s3://backups/team a/pg/: the session token has expired or is not valid (400 ExpiredToken)\n  hint: get new temporary keys for the storage s3main, or leave its keys out where the machine has a role: those are renewed"
    );
    assert_eq!(proxy.seen().len(), 1, "it is not tried again");
}

#[test]
fn nobody_listens() {
    let mut settings = settings("127.0.0.1:1");
    settings.patience = std::time::Duration::ZERO;
    let report = list(settings);
    assert_eq!(
        report,
        "cannot list s3://backups/team a/pg/app/: 127.0.0.1:1 refuses the connection\n  hint: is the server running, and are host and \
         port of its address right?"
    );
}

#[test]
fn settings_that_cannot_work() {
    let refused = |change: fn(&mut S3Settings)| {
        let mut settings = settings("127.0.0.1:1");
        change(&mut settings);
        S3::new(settings).err().unwrap().report()
    };
    assert!(refused(|s| s.secret_key = None).contains("belong together"));
    assert!(refused(|s| s.endpoint = Some("minio:9000".into())).contains("https://host"));
    assert!(refused(|s| s.prefix = "a/../b".into()).contains("is not a storage key"));
    assert!(refused(|s| s.ca_file = Some("/dev/null".into())).contains("no certificate"));
    assert!(refused(|s| s.memory_ceiling = 1 << 20).contains("too small"));
}
