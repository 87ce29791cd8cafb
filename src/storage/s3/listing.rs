//! Listing objects and unfinished uploads page by page, and deleting in batches.

use super::client::S3Client;
use super::request::{Answer, S3Request};
use super::xml::{self, Element};
use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::storage::Object;
use chrono::{DateTime, Utc};
use rusty_s3::Method;
use std::sync::Arc;

/// S3 takes this many keys in one request.
const BATCH: usize = 1000;

/// What a page of a listing holds.
pub(super) enum Listed {
    /// An object, with its whole key.
    Object(Object),
    /// Something deeper: the whole key as far as the next slash, and with it.
    Directory(String),
}

/// Hands on, page by page, the objects with a whole key that is `prefix` and a name without a slash, and the names that are
/// followed by one.
pub(super) fn visit(
    client: &S3Client,
    prefix: &str,
    cancel: &Cancel,
    each: &mut dyn FnMut(Listed) -> Result<()>,
) -> Result<()> {
    let bucket = client.shared.bucket.name();
    let doing = format!("cannot list s3://{bucket}/{prefix}");
    let mut token: Option<String> = None;
    loop {
        let mut request = S3Request::new(Method::Get, "", "s3:ListBucket", &doing)
            .query("list-type", "2")
            .query("prefix", prefix)
            .query("delimiter", "/");
        if let Some(token) = &token {
            request = request.query("continuation-token", token);
        }
        let answer = client.ask(cancel, client.brief(), request)?;
        let page = document(&answer, "ListBucketResult", &doing)?;
        for entry in page.all("Contents") {
            each(Listed::Object(
                object(entry).ok_or_else(|| garbled(&doing))?,
            ))?;
        }
        for entry in page.all("CommonPrefixes") {
            let directory = entry.text("Prefix").ok_or_else(|| garbled(&doing))?;
            each(Listed::Directory(directory.to_string()))?;
        }
        if page.text("IsTruncated") != Some("true") {
            return Ok(());
        }
        let next = page.text("NextContinuationToken").map(str::to_string);
        // without a new place to go on from, the listing would end short or never
        if next.is_none() || next == token {
            return Err(garbled(&doing));
        }
        token = next;
    }
}

fn object(entry: &Element) -> Option<Object> {
    Some(Object {
        key: entry.text("Key")?.to_string(),
        bytes: entry.text("Size")?.parse().ok()?,
    })
}

fn document(answer: &Answer, root: &str, doing: &str) -> Result<Element> {
    answer.document(root).ok_or_else(|| garbled(doing))
}

fn garbled(doing: &str) -> Error {
    Error::failed(format!("{doing}: the answer is not what S3 answers"))
        .hint("is the endpoint an S3 server, and not a console or a proxy's page?")
}

/// Deletes these whole keys; what is not there is no error.
pub(super) fn delete(client: &S3Client, keys: &[String], cancel: &Cancel) -> Result<()> {
    if let [key] = keys {
        return delete_one(client, key, cancel);
    }
    for batch in keys.chunks(BATCH) {
        if !delete_batch(client, batch, cancel)? {
            for key in batch {
                delete_one(client, key, cancel)?;
            }
        }
    }
    Ok(())
}

fn delete_one(client: &S3Client, key: &str, cancel: &Cancel) -> Result<()> {
    let doing = format!("cannot delete s3://{}/{key}", client.shared.bucket.name());
    let request = S3Request::new(Method::Delete, key, "s3:DeleteObject", doing);
    let request = Arc::new(request);
    let answer = client.call(cancel, client.brief(), &request)?;
    match answer.code.as_str() {
        "NoSuchKey" => Ok(()),
        _ => client.good(&request, answer).map(|_| ()),
    }
}

/// False where the server does not know how to delete several.
fn delete_batch(client: &S3Client, keys: &[String], cancel: &Cancel) -> Result<bool> {
    let mut body = String::from(
        r#"<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet>"#,
    );
    for key in keys {
        body.push_str(&format!("<Object><Key>{}</Key></Object>", xml::escape(key)));
    }
    body.push_str("</Delete>");
    let bucket = client.shared.bucket.name();
    let doing = format!("cannot delete {} objects of s3://{bucket}", keys.len());
    let request = S3Request::new(Method::Post, "", "s3:DeleteObject", &doing)
        .query("delete", "")
        .header("content-type", "application/xml")
        .body(body.into_bytes());
    let request = Arc::new(request);
    let answer = client.call(cancel, client.brief(), &request)?;
    // 403 and 404 are about rights and buckets, and single requests would fare no better
    if matches!(answer.status, 400 | 405 | 501) || answer.code == "NotImplemented" {
        log::debug!("{}", client.explain(&request, &answer).chain());
        return Ok(false);
    }
    let answer = client.good(&request, answer)?;
    let result = document(&answer, "DeleteResult", &doing)?;
    let failed = result
        .all("Error")
        .find(|error| error.text("Code") != Some("NoSuchKey"));
    match failed {
        None => Ok(true),
        // asked for by itself, the refusal explains itself as any other does
        Some(error) => {
            let key = error.text("Key").unwrap_or_default();
            log::debug!("{bucket}/{key}: {:?}", error.text("Message"));
            Ok(false)
        }
    }
}

/// A multipart upload that was neither completed nor aborted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unfinished {
    pub key: String,
    pub id: String,
    pub started: Option<DateTime<Utc>>,
}

/// All unfinished uploads with a whole key that begins with `prefix`; none where the server cannot or may not tell.
pub(super) fn uploads(client: &S3Client, prefix: &str, cancel: &Cancel) -> Result<Vec<Unfinished>> {
    let bucket = client.shared.bucket.name();
    let doing = format!("cannot list the unfinished uploads to s3://{bucket}/{prefix}");
    let mut uploads = Vec::new();
    let mut marker: Option<(String, String)> = None;
    loop {
        let mut request = S3Request::new(Method::Get, "", "s3:ListBucketMultipartUploads", &doing)
            .query("uploads", "")
            .query("prefix", prefix);
        if let Some((key, id)) = &marker {
            request = request
                .query("key-marker", key)
                .query("upload-id-marker", id);
        }
        let request = Arc::new(request);
        let answer = client.call(cancel, client.brief(), &request)?;
        if matches!(answer.status, 405 | 501) {
            return Ok(uploads);
        }
        if !answer.is_good() && !client.is_of_every_request(&request, &answer) {
            // a key without that right can still back up; the provider's lifecycle rules can sweep
            let why = client.explain(&request, &answer);
            log::warn!("unfinished uploads are not swept: {}", why.report());
            return Ok(uploads);
        }
        let answer = client.good(&request, answer)?;
        let page = document(&answer, "ListMultipartUploadsResult", &doing)?;
        for entry in page.all("Upload") {
            uploads.push(unfinished(entry).ok_or_else(|| garbled(&doing))?);
        }
        if page.text("IsTruncated") != Some("true") {
            return Ok(uploads);
        }
        let text = |name| page.text(name).unwrap_or_default().to_string();
        let next = Some((text("NextKeyMarker"), text("NextUploadIdMarker")));
        if next == marker {
            return Err(garbled(&doing));
        }
        marker = next;
    }
}

fn unfinished(entry: &Element) -> Option<Unfinished> {
    Some(Unfinished {
        key: entry.text("Key")?.to_string(),
        id: entry.text("UploadId")?.to_string(),
        started: moment(entry.text("Initiated")),
    })
}

fn moment(text: Option<&str>) -> Option<DateTime<Utc>> {
    let moment = DateTime::parse_from_rfc3339(text?).ok()?;
    Some(moment.to_utc())
}

/// When the newest part of an unfinished upload arrived.
pub(super) fn newest_part(
    client: &S3Client,
    upload: &Unfinished,
    cancel: &Cancel,
) -> Result<Option<DateTime<Utc>>> {
    let doing = format!(
        "cannot list the parts of an unfinished upload of {}",
        upload.key
    );
    let mut newest = None;
    let mut marker = String::new();
    loop {
        let mut request = S3Request::new(
            Method::Get,
            &upload.key,
            "s3:ListMultipartUploadParts",
            &doing,
        )
        .query("uploadId", &upload.id);
        if !marker.is_empty() {
            request = request.query("part-number-marker", &marker);
        }
        let answer = client.ask(cancel, client.brief(), request)?;
        let page = document(&answer, "ListPartsResult", &doing)?;
        for part in page.all("Part") {
            newest = newest.max(moment(part.text("LastModified")));
        }
        let next = page.text("NextPartNumberMarker").unwrap_or_default();
        if page.text("IsTruncated") != Some("true") {
            return Ok(newest);
        }
        if next.is_empty() || next == marker {
            return Err(garbled(&doing));
        }
        marker = next.to_string();
    }
}

/// Aborts an upload; false where there was none any more.
pub(super) fn abort(client: &S3Client, upload: &Unfinished, cancel: &Cancel) -> Result<bool> {
    let bucket = client.shared.bucket.name();
    let doing = format!("cannot abort the upload of s3://{bucket}/{}", upload.key);
    let request = S3Request::new(
        Method::Delete,
        &upload.key,
        "s3:AbortMultipartUpload",
        doing,
    )
    .query("uploadId", &upload.id);
    let request = Arc::new(request);
    let answer = client.call(cancel, client.brief(), &request)?;
    if answer.status == 404 && answer.code != "NoSuchBucket" {
        return Ok(false);
    }
    client.good(&request, answer).map(|_| true)
}
