//! Listing objects and unfinished uploads page by page.

use super::client::S3Client;
use super::pages::{Ascending, AscendingDirectories, Pages};
use super::request::{Answer, S3Request};
use super::xml::Element;
use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::storage::Object;
use chrono::{DateTime, Utc};
use rusty_s3::Method;
use std::sync::Arc;

/// What a page of a listing holds.
pub(super) enum Listed {
    /// An object, with its whole key.
    Object(Object),
    /// Something deeper: the whole key as far as the next slash, and with it.
    Directory(String),
}

/// Hands on, page by page, the objects with a whole key that is `prefix` and a name without a slash, and the names that are
/// followed by one; both in the order of S3, each once.
pub(super) fn visit(
    client: &S3Client,
    prefix: &str,
    cancel: &Cancel,
    each: &mut dyn FnMut(Listed) -> Result<()>,
) -> Result<()> {
    let bucket = client.shared.bucket.name();
    let doing = format!("cannot list s3://{bucket}/{prefix}");
    let mut pages = Pages::new(client, &doing);
    let (mut keys, mut directories) = (Ascending::default(), AscendingDirectories::default());
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
        let mut entries = 0;
        for entry in page.all("Contents") {
            let object = object(entry).ok_or_else(|| garbled(&doing))?;
            match object.key.strip_prefix(prefix) {
                None => return Err(pages.wrong("it holds what was not asked for")),
                // then nothing was said of directories
                Some(name) if name.contains('/') => {
                    return Err(pages.wrong("it does not stop at the slash"));
                }
                Some(_) if !keys.take_in(&object.key) => {
                    return Err(pages.wrong("its keys are out of order, or there twice"));
                }
                Some(_) => entries += 1,
            }
            each(Listed::Object(object))?;
        }
        for entry in page.all("CommonPrefixes") {
            let directory = entry.text("Prefix").ok_or_else(|| garbled(&doing))?;
            if !directory.starts_with(prefix) {
                return Err(pages.wrong("it holds what was not asked for"));
            }
            if !directories.take_in(directory) {
                return Err(pages.wrong("its directories are out of order, or there twice"));
            }
            entries += 1;
            each(Listed::Directory(directory.to_string()))?;
        }
        // some servers do not count directories, so only fewer entries than were counted are a loss
        let counted = page.text("KeyCount").map(str::parse::<usize>);
        if counted.is_some_and(|counted| counted.is_ok_and(|counted| counted > entries)) {
            return Err(pages.wrong("it has fewer keys than it says"));
        }
        match page.text("IsTruncated") {
            Some("false") => return Ok(()),
            Some("true") => {}
            _ => return Err(pages.wrong("it does not say whether there is more")),
        }
        let next = page.text("NextContinuationToken").unwrap_or_default();
        if next.is_empty() {
            return Err(pages.wrong("there is more, and it does not say where"));
        }
        pages.go_on(next, entries)?;
        token = Some(next.to_string());
    }
}

fn object(entry: &Element) -> Option<Object> {
    Some(Object {
        key: entry.text("Key")?.to_string(),
        bytes: entry.text("Size")?.parse().ok()?,
    })
}

/// The document in an answer, which has to be a `root`.
pub(super) fn document(answer: &Answer, root: &str, doing: &str) -> Result<Element> {
    answer.document(root).ok_or_else(|| garbled(doing))
}

fn garbled(doing: &str) -> Error {
    Error::failed(format!("{doing}: the answer is not what S3 answers"))
        .hint("is the endpoint an S3 server, and not a console or a proxy's page?")
}

/// A multipart upload that was neither completed nor aborted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unfinished {
    pub key: String,
    pub id: String,
    pub started: Option<DateTime<Utc>>,
}

/// All unfinished uploads with a whole key that begins with `prefix`; none where the server cannot or may not tell.
/// What such a listing leaves out is swept another time.
pub(super) fn uploads(client: &S3Client, prefix: &str, cancel: &Cancel) -> Result<Vec<Unfinished>> {
    let bucket = client.shared.bucket.name();
    let doing = format!("cannot list the unfinished uploads to s3://{bucket}/{prefix}");
    let mut uploads = Vec::new();
    let mut pages = Pages::new(client, &doing);
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
        let before = uploads.len();
        for entry in page.all("Upload") {
            let upload = unfinished(entry).ok_or_else(|| garbled(&doing))?;
            // a server that does not look at the prefix tells of those of others as well
            if upload.key.starts_with(prefix) {
                uploads.push(upload);
            }
        }
        if page.text("IsTruncated") != Some("true") {
            return Ok(uploads);
        }
        let text = |name| page.text(name).unwrap_or_default().to_string();
        let next = (text("NextKeyMarker"), text("NextUploadIdMarker"));
        if next.0.is_empty() {
            return Err(pages.wrong("there is more, and it does not say where"));
        }
        pages.go_on(&next, uploads.len() - before)?;
        marker = Some(next);
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
    let mut pages = Pages::new(client, &doing);
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
        if next.is_empty() {
            return Err(pages.wrong("there is more, and it does not say where"));
        }
        pages.go_on(next, page.all("Part").count())?;
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
