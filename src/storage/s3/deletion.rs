//! Deleting objects in batches. That a server says it deleted something is not enough: it has to be gone.

use super::client::{S3Client, SETTLING};
use super::listing::{self, Listed, document};
use super::request::{Answer, S3Request};
use super::xml;
use crate::cancel::Cancel;
use crate::error::{Error, Kind, Result};
use crate::storage::Until;
use rusty_s3::Method;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// S3 takes this many keys in one request.
const BATCH: usize = 1000;
/// So many are looked at one by one, when they are to be gone.
const FEW: usize = 8;

/// Deletes these whole keys as long as `until` allows it, which are gone then; what is not there is no error.
pub(super) fn delete(
    client: &S3Client,
    keys: &[String],
    until: Option<Until<'_>>,
    cancel: &Cancel,
) -> Result<()> {
    if let [key] = keys {
        delete_one(client, key, until, cancel)?;
        return require_gone(client, keys, cancel);
    }
    for batch in keys.chunks(BATCH) {
        if !delete_batch(client, batch, until, cancel)? {
            for key in batch {
                delete_one(client, key, until, cancel)?;
            }
        }
    }
    require_gone(client, keys, cancel)
}

/// Fails where an object that the server said it deleted is still there.
fn require_gone(client: &S3Client, keys: &[String], cancel: &Cancel) -> Result<()> {
    let mut backoff = SETTLING.start();
    loop {
        let left = still_there(client, keys, cancel)?;
        if left.is_empty() {
            return Ok(());
        }
        let stays = stays(client, &left).with_kind(Kind::Unavailable);
        backoff
            .pause(stays, cancel)
            .map_err(|error| match error.kind() {
                Kind::Unavailable => error.with_kind(Kind::Failed),
                _ => error,
            })?;
    }
}

/// Which of these are there: a few are looked at one by one, of many their directories are listed.
fn still_there<'a>(
    client: &S3Client,
    keys: &'a [String],
    cancel: &Cancel,
) -> Result<Vec<&'a String>> {
    if keys.len() <= FEW
        && let Some(left) = seen(client, keys, cancel)?
    {
        return Ok(left);
    }
    let directory = |key: &'a String| key.rfind('/').map_or("", |slash| &key[..=slash]);
    let directories: BTreeSet<&str> = keys.iter().map(directory).collect();
    let mut wanted: BTreeMap<&str, &String> = BTreeMap::new();
    wanted.extend(keys.iter().map(|key| (key.as_str(), key)));
    let mut left = Vec::new();
    for directory in directories {
        listing::visit(client, directory, cancel, &mut |listed| {
            if let Listed::Object(object) = listed {
                left.extend(wanted.get(object.key.as_str()));
            }
            Ok(())
        })?;
    }
    Ok(left)
}

/// Those that a look at each finds; `None` where this key may not look, or not at what is gone.
fn seen<'a>(
    client: &S3Client,
    keys: &'a [String],
    cancel: &Cancel,
) -> Result<Option<Vec<&'a String>>> {
    let mut left = Vec::new();
    for key in keys {
        let doing = format!("cannot look at s3://{}/{key}", client.shared.bucket.name());
        let head = Arc::new(S3Request::new(Method::Head, key, "s3:GetObject", doing));
        match client.call(cancel, client.brief(), &head)? {
            answer if answer.is_good() => left.push(key),
            answer if answer.status == 404 => {}
            answer => {
                log::debug!("{}", client.explain(&head, &answer).chain());
                return Ok(None);
            }
        }
    }
    Ok(Some(left))
}

fn stays(client: &S3Client, left: &[&String]) -> Error {
    const SHOWN: usize = 5;
    let bucket = client.shared.bucket.name();
    let shown = left.iter().take(SHOWN);
    let mut shown: Vec<String> = shown.map(|key| format!("s3://{bucket}/{key}")).collect();
    if left.len() > SHOWN {
        shown.push(format!("and {} more", left.len() - SHOWN));
    }
    Error::failed(format!(
        "{} answered that it deleted what is still there: {}",
        client.host(),
        shown.join(", ")
    ))
    .hint("see whether a lock on the bucket keeps these objects, or a cache before the server shows them")
}

/// Sends what `request` makes until it is answered for good, each try with the end that `until` gives it.
fn send(
    client: &S3Client,
    until: Option<Until<'_>>,
    cancel: &Cancel,
    request: impl Fn() -> S3Request,
) -> Result<Answer> {
    client.brief().run(cancel, || {
        let until = until.map(|until| until()).transpose()?;
        client.once(cancel, &Arc::new(request().until(until)))
    })
}

fn delete_one(
    client: &S3Client,
    key: &str,
    until: Option<Until<'_>>,
    cancel: &Cancel,
) -> Result<()> {
    let doing = format!("cannot delete s3://{}/{key}", client.shared.bucket.name());
    let request = || S3Request::new(Method::Delete, key, "s3:DeleteObject", &doing);
    let answer = send(client, until, cancel, request)?;
    match answer.code.as_str() {
        "NoSuchKey" => Ok(()),
        _ => client.good(&request(), answer).map(|_| ()),
    }
}

/// False where the server does not know how to delete several.
fn delete_batch(
    client: &S3Client,
    keys: &[String],
    until: Option<Until<'_>>,
    cancel: &Cancel,
) -> Result<bool> {
    let mut body = String::from(
        r#"<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet>"#,
    );
    for key in keys {
        body.push_str(&format!("<Object><Key>{}</Key></Object>", xml::escape(key)));
    }
    body.push_str("</Delete>");
    let bucket = client.shared.bucket.name();
    let doing = format!("cannot delete {} objects of s3://{bucket}", keys.len());
    let request = || {
        S3Request::new(Method::Post, "", "s3:DeleteObject", &doing)
            .query("delete", "")
            .header("content-type", "application/xml")
            .body(body.clone().into_bytes())
    };
    let answer = send(client, until, cancel, request)?;
    // 403 and 404 are about rights and buckets, and single requests would fare no better
    if matches!(answer.status, 400 | 405 | 501) || answer.code == "NotImplemented" {
        log::debug!("{}", client.explain(&request(), &answer).chain());
        return Ok(false);
    }
    let answer = client.good(&request(), answer)?;
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
