//! What a server's refusal means and what to do about it.
//!
//! Providers give one fault many codes, and a HEAD answer has none at all, so the clock of the server's answer,
//! the status and the code are looked at in this order.

use crate::error::{Error, Kind};
use crate::text::escape::one_line;
use chrono::TimeDelta;

/// S3 refuses requests that are 15 minutes off; from here on a refusal is blamed on the clock.
const SKEW: TimeDelta = TimeDelta::minutes(5);

/// A refusal and all that helps to explain it.
#[derive(Debug, Clone)]
pub(super) struct Refusal<'a> {
    /// What was being done, as an error says it.
    pub doing: &'a str,
    /// The permission that this takes.
    pub permission: &'static str,
    /// The storage's name in the configuration.
    pub storage: &'a str,
    pub bucket: &'a str,
    /// What a policy would name: `bucket` or `bucket/prefix/*`.
    pub resource: String,
    pub region: &'a str,
    pub host: &'a str,
    pub status: u16,
    /// S3's code, empty where the answer has none.
    pub code: &'a str,
    /// S3's own words.
    pub message: &'a str,
    /// The bucket's region, where the server says it.
    pub right_region: Option<&'a str>,
    /// Our clock minus the server's.
    pub ahead: Option<TimeDelta>,
    /// By which the provider's support finds the request.
    pub request_id: Option<&'a str>,
}

/// True for what a later try may find otherwise.
pub(super) fn may_pass(status: u16, code: &str) -> bool {
    match code {
        // damaged or cut on its way, or two writers at one moment
        "RequestTimeout"
        | "SlowDown"
        | "InternalError"
        | "ServiceUnavailable"
        | "BadDigest"
        | "IncompleteBody"
        | "OperationAborted"
        | "ConditionalRequestConflict"
        | "Busy"
        | "TooManyRequests"
        | "RequestThrottled" => true,
        _ => matches!(status, 408 | 429 | 500 | 502 | 503 | 504),
    }
}

/// True where other keys of the same role could help.
pub(super) fn is_expired(code: &str) -> bool {
    matches!(
        code,
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" | "InvalidToken"
    )
}

/// True for what any other request would meet as well: wrong keys, a wrong place, a wrong clock, a busy server.
pub(super) fn is_of_every_request(refusal: &Refusal<'_>) -> bool {
    let code = code_of(refusal);
    may_pass(refusal.status, refusal.code)
        || is_expired(code)
        || clock(refusal).is_some()
        || other_region(refusal).is_some()
        || matches!(
            code,
            "NoSuchBucket"
                | "SignatureDoesNotMatch"
                | "InvalidAccessKeyId"
                | "InvalidAccessKey"
                | "NotSignedUp"
        )
}

/// Turns a refusal into an error.
pub(super) fn explain(refusal: &Refusal<'_>) -> Error {
    let (kind, why, hint) = reason(refusal);
    let mut said = format!("{} {}", refusal.status, refusal.code);
    if refusal.code.is_empty() {
        said.truncate(3);
    }
    if let Some(id) = refusal.request_id {
        said.push_str(&format!(", request {id}"));
    }
    let mut cause = Error::new(kind, format!("{why} ({said})"));
    if let Some(hint) = hint {
        cause = cause.hint(hint);
    }
    cause.doing(refusal.doing)
}

fn reason(refusal: &Refusal<'_>) -> (Kind, String, Option<String>) {
    let Refusal {
        storage,
        bucket,
        region,
        host,
        ..
    } = *refusal;
    if may_pass(refusal.status, refusal.code) {
        return (Kind::Unavailable, words(refusal), None);
    }
    if let Some(why) = clock(refusal) {
        let hint = "set this machine's clock, for example with: timedatectl set-ntp true";
        return (Kind::Failed, why, Some(hint.into()));
    }
    if let Some(why) = other_region(refusal) {
        let hint = match refusal.right_region {
            Some(right) => format!("set region: {right} for the storage {storage}"),
            None => format!("set the region of the storage {storage} to the bucket's"),
        };
        return (Kind::Failed, why, Some(hint));
    }
    let failed = |why: String, hint: String| (Kind::Failed, why, Some(hint));
    match code_of(refusal) {
        "NoSuchBucket" => failed(
            format!("there is no bucket {bucket} at {host}"),
            format!("create it, or correct bucket, region or endpoint of the storage {storage}"),
        ),
        "NoSuchUpload" => failed(
            "somebody else ended the upload".into(),
            "a lifecycle rule that aborts uploads has to allow a backup its time: a day or more"
                .into(),
        ),
        "NoSuchKey" => (Kind::NotFound, "there is no such object".into(), None),
        "SignatureDoesNotMatch" => failed(
            "the secret key does not belong to the access key".into(),
            format!("check secret_key of the storage {storage}, or AWS_SECRET_ACCESS_KEY"),
        ),
        "InvalidAccessKeyId" | "InvalidAccessKey" | "NotSignedUp" => failed(
            format!("{host} does not know the access key"),
            format!("check access_key and endpoint of the storage {storage}, or AWS_ACCESS_KEY_ID"),
        ),
        code if is_expired(code) => failed(
            "the session token has expired or is not valid".into(),
            format!(
                "get new temporary keys for the storage {storage}, or leave its keys out where the machine has a role: those are renewed"
            ),
        ),
        "PreconditionFailed" => (
            Kind::Failed,
            "the object is not as it was expected to be".into(),
            None,
        ),
        "InvalidObjectState" => failed(
            "the object is in an archive class and cannot be read as it is".into(),
            "restore it in the provider's console first, then try again".into(),
        ),
        "InvalidStorageClass" => failed(
            words(refusal),
            format!("correct storage_class of the storage {storage}"),
        ),
        "QuotaExceeded" | "QuotaExceededException" | "XMinioStorageFull" | "StorageFull" => failed(
            format!("the storage is full: {}", words(refusal)),
            "free some space there, raise the quota, or lower the retention".into(),
        ),
        _ => match refusal.status {
            507 => failed(
                "the storage is full".into(),
                "free some space there, or lower the retention".into(),
            ),
            404 => (Kind::NotFound, "there is no such object".into(), None),
            401 | 403 if refusal.message.contains("kms:") => failed(
                words(refusal),
                "allow kms:GenerateDataKey and kms:Decrypt on that key".into(),
            ),
            401 | 403 => failed(
                match refusal.message {
                    "" => format!("{host} does not allow it"),
                    _ => format!("{host} does not allow it: {}", words(refusal)),
                },
                allow(refusal),
            ),
            405 | 501 => failed(
                format!("{host} does not know this request: {}", words(refusal)),
                format!("is {host} the S3 endpoint, and not a console?"),
            ),
            301 | 302 | 307 | 308 => failed(
                format!("{host} answers with a redirect"),
                format!("correct endpoint and region ({region}) of the storage {storage}"),
            ),
            _ => (Kind::Failed, words(refusal), None),
        },
    }
}

/// The code as Amazon would give it. Garage calls all of these a missing permission, and tells them apart by words.
fn code_of<'a>(refusal: &Refusal<'a>) -> &'a str {
    match refusal.message {
        _ if refusal.code != "AccessDenied" => refusal.code,
        said if said.contains("Invalid signature") => "SignatureDoesNotMatch",
        said if said.contains("No such key") => "InvalidAccessKeyId",
        _ => refusal.code,
    }
}

fn allow(refusal: &Refusal<'_>) -> String {
    let Refusal {
        storage,
        permission,
        bucket,
        ..
    } = *refusal;
    let resource = &refusal.resource;
    let mut hint = format!(
        "give the key of the storage {storage} the permission {permission} on arn:aws:s3:::{resource}"
    );
    if permission == "s3:GetObject" {
        hint.push_str(&format!(
            ", and s3:ListBucket on arn:aws:s3:::{bucket}: without that, objects that do not exist are refused too"
        ));
    }
    hint
}

/// The server's own words, kept short.
fn words(refusal: &Refusal<'_>) -> String {
    let words: String = one_line(refusal.message).chars().take(400).collect();
    match words.trim() {
        "" => format!("{} refused", refusal.host),
        words => words.trim_end_matches('.').to_string(),
    }
}

fn clock(refusal: &Refusal<'_>) -> Option<String> {
    if !matches!(refusal.status, 400 | 401 | 403) {
        return None;
    }
    let off = refusal.ahead.filter(|ahead| ahead.abs() > SKEW);
    let by_code = refusal.code == "RequestTimeTooSkewed"
        || refusal.message.contains("Request has expired")
        || refusal.message.contains("not valid yet");
    match off {
        Some(ahead) => {
            let side = if ahead > TimeDelta::zero() {
                "ahead of"
            } else {
                "behind"
            };
            Some(format!(
                "this machine's clock is {} {side} that of {}",
                minutes(ahead.abs()),
                refusal.host
            ))
        }
        None => by_code.then(|| {
            format!(
                "the clocks of this machine and of {} differ by more than S3 allows",
                refusal.host
            )
        }),
    }
}

fn minutes(time: TimeDelta) -> String {
    let (hours, minutes) = (time.num_hours(), time.num_minutes() % 60);
    match hours {
        0 => format!("{minutes} min"),
        _ => format!("{hours} h {minutes} min"),
    }
}

fn other_region(refusal: &Refusal<'_>) -> Option<String> {
    let by_code = matches!(
        refusal.code,
        "PermanentRedirect"
            | "TemporaryRedirect"
            | "AuthorizationHeaderMalformed"
            | "AuthorizationQueryParametersError"
            | "IllegalLocationConstraintException"
            | "InvalidRegion"
    );
    let Refusal { bucket, region, .. } = *refusal;
    let by_status = matches!(refusal.status, 301 | 307 | 400 | 403);
    match refusal.right_region {
        Some(right) if right != region && (by_code || by_status) => Some(format!(
            "the bucket {bucket} is in the region {right}, not in {region}"
        )),
        None if by_code => Some(format!(
            "the bucket {bucket} is not in the region {region}: {}",
            words(refusal)
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, code: &'static str, message: &'static str) -> Refusal<'static> {
        Refusal {
            doing: "cannot list s3://backups/pg/",
            permission: "s3:ListBucket",
            storage: "s3main",
            bucket: "backups",
            resource: "backups".into(),
            region: "us-east-1",
            host: "s3.example.com",
            status,
            code,
            message,
            right_region: None,
            ahead: Some(TimeDelta::seconds(2)),
            request_id: None,
        }
    }

    #[track_caller]
    fn says(refusal: &Refusal<'_>, report: &str) {
        assert_eq!(explain(refusal).report(), report);
    }

    #[test]
    fn a_wrong_secret_is_named() {
        says(
            &refusal(
                403,
                "SignatureDoesNotMatch",
                "The request signature we calculated …",
            ),
            "cannot list s3://backups/pg/: the secret key does not belong to the access key (403 SignatureDoesNotMatch)\n  hint: check secret_key of the storage s3main, or AWS_SECRET_ACCESS_KEY",
        );
    }

    #[test]
    fn a_wrong_access_key_is_named() {
        says(
            &refusal(403, "InvalidAccessKeyId", "…"),
            "cannot list s3://backups/pg/: s3.example.com does not know the access key (403 InvalidAccessKeyId)\n  hint: check access_key and endpoint of the storage s3main, or AWS_ACCESS_KEY_ID",
        );
    }

    #[test]
    fn garage_says_it_in_words() {
        let wrong_secret = refusal(403, "AccessDenied", "Forbidden: Invalid signature");
        let report = explain(&wrong_secret).report();
        assert!(report.contains("check secret_key"), "{report}");
        let wrong_key = refusal(403, "AccessDenied", "Forbidden: No such key: GKcanary");
        let report = explain(&wrong_key).report();
        assert!(report.contains("check access_key"), "{report}");
        assert!(!report.contains("GKcanary"), "{report}");
    }

    #[test]
    fn a_wrong_region_is_named_with_the_right_one() {
        let mut refusal = refusal(
            400,
            "AuthorizationQueryParametersError",
            "Error parsing the X-Amz-Credential parameter; the region 'us-east-1' is wrong; expecting 'eu-west-1'",
        );
        refusal.right_region = Some("eu-west-1");
        says(
            &refusal,
            "cannot list s3://backups/pg/: the bucket backups is in the region eu-west-1, not in us-east-1 (400 AuthorizationQueryParametersError)\n  hint: set region: eu-west-1 for the storage s3main",
        );
        refusal.right_region = None;
        assert_eq!(
            explain(&refusal).first_hint(),
            Some("set the region of the storage s3main to the bucket's")
        );
    }

    #[test]
    fn a_missing_bucket_is_named() {
        says(
            &refusal(404, "NoSuchBucket", "The specified bucket does not exist"),
            "cannot list s3://backups/pg/: there is no bucket backups at s3.example.com (404 NoSuchBucket)\n  hint: create it, or correct bucket, region or endpoint of the storage s3main",
        );
    }

    #[test]
    fn a_wrong_clock_is_named_whatever_the_code() {
        let clock = "cannot list s3://backups/pg/: this machine's clock is 2 h 5 min ahead of that of s3.example.com";
        let hint = "\n  hint: set this machine's clock, for example with: timedatectl set-ntp true";
        for (status, code) in [
            (403, "RequestTimeTooSkewed"),
            (403, "AccessDenied"),
            (400, "InvalidRequest"),
        ] {
            let mut refusal = refusal(status, code, "Request is not valid yet");
            refusal.ahead = Some(TimeDelta::minutes(125));
            says(&refusal, &format!("{clock} ({status} {code}){hint}"));
        }
        let mut behind = refusal(403, "AccessDenied", "Request has expired");
        behind.ahead = Some(TimeDelta::minutes(-16));
        assert!(explain(&behind).chain().contains("16 min behind that of"));
        behind.ahead = None;
        assert!(explain(&behind).chain().contains("differ by more"));
    }

    #[test]
    fn a_missing_permission_is_named() {
        let mut refusal = refusal(403, "AccessDenied", "Access Denied.");
        refusal.request_id = Some("4442587FB7D0A2F9");
        says(
            &refusal,
            "cannot list s3://backups/pg/: s3.example.com does not allow it: Access Denied (403 AccessDenied, request 4442587FB7D0A2F9)\n  hint: give the key of the storage s3main the permission s3:ListBucket on arn:aws:s3:::backups",
        );
    }

    #[test]
    fn a_refused_read_may_be_one_of_what_is_not_there() {
        let mut refusal = refusal(403, "", "");
        refusal.doing = "cannot read s3://backups/pg/x";
        refusal.permission = "s3:GetObject";
        refusal.resource = "backups/pg/*".into();
        says(
            &refusal,
            "cannot read s3://backups/pg/x: s3.example.com does not allow it (403)\n  hint: give the key of the storage s3main the permission s3:GetObject on arn:aws:s3:::backups/pg/*, and s3:ListBucket on arn:aws:s3:::backups: without that, objects that do not exist are refused too",
        );
    }

    #[test]
    fn an_expired_token_is_named() {
        let error = explain(&refusal(
            400,
            "ExpiredToken",
            "The provided token has expired.",
        ));
        assert!(error.chain().contains("the session token has expired"));
        assert!(!error.kind().may_pass());
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for (status, code) in [
            (500, "InternalError"),
            (502, ""),
            (503, "SlowDown"),
            (504, ""),
            (429, "TooManyRequests"),
            (400, "RequestTimeout"),
            (400, "BadDigest"),
            (409, "ConditionalRequestConflict"),
            (200, "InternalError"),
        ] {
            assert!(
                explain(&refusal(status, code, "")).kind().may_pass(),
                "{code}"
            );
        }
        for (status, code) in [
            (400, "InvalidArgument"),
            (403, "AccessDenied"),
            (404, "NoSuchKey"),
            (409, "BucketNotEmpty"),
            (412, "PreconditionFailed"),
            (501, "NotImplemented"),
        ] {
            assert!(
                !explain(&refusal(status, code, "")).kind().may_pass(),
                "{code}"
            );
        }
    }
}
