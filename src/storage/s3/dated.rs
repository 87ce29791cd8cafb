//! Small objects that hosts leave for each other: claimed by one request, read with their age.

use super::client::S3Client;
use super::commit::{UploadTarget, is_unknown_condition};
use super::request::S3Request;
use crate::cancel::Cancel;
use crate::error::Result;
use crate::storage::{Dated, dated};
use chrono::{DateTime, Utc};
use rusty_s3::Method;
use std::sync::Arc;
use std::time::Duration;

/// Writes `bytes` where nothing is; false where something was. A server that does not know conditional writes lets it take
/// the place of what is there.
pub(super) fn claim(target: &UploadTarget, bytes: &[u8], cancel: &Cancel) -> Result<bool> {
    let client = &target.client;
    let put = target.making(Method::Put, "write").body(bytes.to_vec());
    let put = Arc::new(put.only_new());
    let mut backoff = client.brief().start();
    // an answer was lost, so what an earlier try did is not known
    let mut unsure = false;
    loop {
        let error = match client.once(cancel, &put) {
            Ok(answer) if answer.is_good() => return Ok(true),
            Ok(answer) if client.is_conditional() && is_unknown_condition(&answer) => {
                client.forget_conditional();
                continue;
            }
            Ok(answer) if answer.status == 412 => {
                return match unsure {
                    true => is_ours(target, cancel),
                    false => Ok(false),
                };
            }
            Ok(answer) => return Err(client.explain(&put, &answer)),
            Err(error) => error,
        };
        unsure = true;
        backoff.pause(error, cancel)?;
    }
}

fn is_ours(target: &UploadTarget, cancel: &Cancel) -> Result<bool> {
    let found = target.find(target.client.brief(), cancel)?;
    Ok(found.is_some_and(|found| target.is_ours(&found)))
}

/// What `request` gets of an object that is no larger than `largest`; `None` where there is none.
pub(super) fn read(
    client: &S3Client,
    request: S3Request,
    largest: u64,
    cancel: &Cancel,
) -> Result<Option<Dated>> {
    let request = Arc::new(request);
    let answer = client.call(cancel, client.brief(), &request)?;
    if answer.code == "NoSuchKey" {
        return Ok(None);
    }
    let answer = client.good(&request, answer)?;
    let moment = |name| -> Option<DateTime<Utc>> {
        let text = answer.header(name)?;
        Some(DateTime::parse_from_rfc2822(text).ok()?.to_utc())
    };
    let (now, written) = (moment("date"), moment("last-modified"));
    let age = now.zip(written).and_then(|(now, written)| {
        let ahead = (written - now).abs().to_std().unwrap_or(Duration::MAX);
        dated((now - written).to_std().map_err(|_| ahead))
    });
    let mut bytes = answer.body;
    bytes.truncate(usize::try_from(largest).unwrap_or(usize::MAX));
    Ok(Some(Dated { bytes, age }))
}
