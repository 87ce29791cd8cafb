//! A multipart upload: parts on threads, their buffers coming back, and an end that leaves nothing behind.

use super::client::S3Client;
use super::commit::{Invisible, UploadTarget, afterwards};
use super::kept::{Ends, SentObject, SentPart, hex};
use super::request::{Answer, Pace, S3Request};
use super::{listing, xml};
use crate::background::{self, Receiver, Sender};
use crate::cancel::{Cancel, Cause};
use crate::error::{Error, Kind, Result};
use rusty_s3::Method;
use std::sync::Arc;
use std::time::Duration;

/// How long parts in flight may take to arrive once the upload is given up.
const ENDING: Duration = Duration::from_secs(3);
/// How long an aborted upload waits for its parts' threads; their sockets are closed by then.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// An upload in progress. Dropping it aborts it.
pub(super) struct Multipart {
    target: UploadTarget,
    id: String,
    /// Has connections of its own, so that they can all be closed at once.
    client: S3Client,
    /// Cancelled when the parts are no longer wanted.
    unwanted: Cancel,
    sender: Sender<Sent>,
    receiver: Receiver<Sent>,
    in_flight: usize,
    /// By part number, from 1; with those that have arrived.
    parts: Vec<Option<StoredPart>>,
    ends: Ends,
    spare: Vec<Vec<u8>>,
    /// Completed or aborted.
    ended: bool,
}

/// A part that the server has.
struct StoredPart {
    etag: String,
    sent: SentPart,
}

/// What a part's thread reports.
struct Sent {
    number: usize,
    buffer: Vec<u8>,
    stored: Result<StoredPart>,
}

impl Multipart {
    /// Starts an upload of `target`.
    pub fn start(target: &UploadTarget, cancel: &Cancel) -> Result<Multipart> {
        let request = target
            .making(Method::Post, "start writing")
            .query("uploads", "");
        let request = Arc::new(request);
        let mut tries = 0;
        let answer = target.client.patient().run(cancel, || {
            tries += 1;
            target.client.once(cancel, &request)
        })?;
        let answer = target.client.good(&request, answer)?;
        let id = answer
            .document("InitiateMultipartUploadResult")
            .and_then(|root| root.text("UploadId").map(str::to_string))
            .filter(|id| !id.is_empty())
            .ok_or_else(|| garbled(target, "the answer names no upload"))?;
        let (sender, receiver) = background::mailbox()?;
        let upload = Multipart {
            client: S3Client::new(Arc::clone(&target.client.shared)),
            target: target.clone(),
            id,
            unwanted: Cancel::new()?,
            sender,
            receiver,
            in_flight: 0,
            parts: Vec::new(),
            ends: Ends::default(),
            spare: Vec::new(),
            ended: false,
        };
        if tries > 1 {
            upload.abort_strays(cancel);
        }
        Ok(upload)
    }

    /// A lost answer may have started an upload that nobody knows; only this run writes under this key.
    fn abort_strays(&self, cancel: &Cancel) {
        let others = listing::uploads(&self.target.client, &self.target.key, cancel);
        for other in others.unwrap_or_default() {
            if other.key == self.target.key && other.id != self.id {
                // what stays is swept in a day
                let _ = listing::abort(&self.target.client, &other, cancel);
            }
        }
    }

    /// The number of the part to come.
    pub fn next_number(&self) -> u64 {
        self.parts.len() as u64 + 1
    }

    /// Sends a part on a thread of its own.
    pub fn send(&mut self, bytes: Vec<u8>) -> Result<()> {
        self.ends.take_in(&bytes);
        self.parts.push(None);
        let number = self.parts.len();
        let doing = format!("send part {number} of");
        let request = self
            .target
            .request(Method::Put, "s3:PutObject", &doing)
            .query("partNumber", number.to_string())
            .query("uploadId", &self.id);
        let (client, unwanted) = (self.client.clone(), self.unwanted.clone());
        let sender = self.sender.clone();
        background::spawn("s3 part", move || {
            let request = request.body(bytes);
            let stored = send(&client, &request, &unwanted);
            sender.send(Sent {
                number,
                buffer: request.body,
                stored,
            });
        })?;
        self.in_flight += 1;
        Ok(())
    }

    /// Waits until at most `limit` parts are in flight. Fails with the first part that failed.
    pub fn wait_until(&mut self, limit: usize, cancel: &Cancel) -> Result<()> {
        while self.in_flight > limit {
            let sent = self.receiver.receive(cancel)?;
            self.in_flight -= 1;
            self.parts[sent.number - 1] = Some(sent.stored?);
            self.spare.push(sent.buffer);
        }
        Ok(())
    }

    /// A buffer for a part of `size` bytes, a used one where it fits.
    pub fn empty_buffer(&mut self, size: usize) -> Vec<u8> {
        // parts only grow, so one that is too small is of no more use
        self.spare.retain(|buffer| buffer.capacity() >= size);
        match self.spare.pop() {
            Some(mut buffer) => {
                buffer.clear();
                buffer
            }
            None => Vec::with_capacity(size),
        }
    }

    /// Makes the object visible. All parts have arrived.
    pub fn complete(mut self, cancel: &Cancel) -> Result<()> {
        let (document, parts) = self.listed_parts()?;
        let sent = SentObject::of_parts(parts, std::mem::take(&mut self.ends));
        self.spare.clear();
        let mut request = self
            .target
            .request(Method::Post, "s3:PutObject", "complete")
            .query("uploadId", &self.id)
            .header("content-type", "application/xml");
        // without a checksum: not every server takes one here, and a damaged list of parts is refused anyway
        request.body = document.into_bytes();
        request.pace = Pace::Silent;
        match self.target.make_visible(&sent, request, cancel) {
            Ok(()) => {
                self.ended = true;
                Ok(())
            }
            Err(Invisible::Sure(error)) => Err(error),
            Err(Invisible::Unsure(error)) => {
                let afterwards = afterwards()?;
                match self.abort(&afterwards) {
                    // there was something to abort, so it was not completed and never will be
                    Ok(true) => Err(error),
                    _ => self.target.settle(&sent, error, &afterwards),
                }
            }
        }
    }

    /// The list of parts as CompleteMultipartUpload takes it, and what was sent of each.
    fn listed_parts(&mut self) -> Result<(String, Vec<SentPart>)> {
        let mut sent = Vec::new();
        let mut document = String::from(
            r#"<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">"#,
        );
        for (index, part) in self.parts.iter_mut().enumerate() {
            let Some(StoredPart { etag, sent: part }) = part.take() else {
                return Err(garbled(&self.target, "a part is missing"));
            };
            sent.push(part);
            document.push_str(&format!(
                "<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>",
                index + 1,
                xml::escape(&etag)
            ));
        }
        document.push_str("</CompleteMultipartUpload>");
        Ok((document, sent))
    }

    /// Waits for the parts in flight, whatever becomes of them.
    fn collect(&mut self, cancel: &Cancel) {
        while self.in_flight > 0 && self.receiver.receive(cancel).is_ok() {
            self.in_flight -= 1;
        }
    }

    /// Gives the upload up, under the deadline of what is done [`afterwards`]: what ended the run must not end
    /// its cleaning up. True where there was something to abort.
    fn abort(&mut self, cancel: &Cancel) -> Result<bool> {
        self.ended = true;
        self.unwanted
            .cancel(Cause::Stalled("the upload was given up".into()));
        // a part that the server is still taking when the abort comes may stay behind: let them end by themselves
        // first, and those that do not by closing their connections
        self.collect(&cancel.with_deadline(ENDING));
        self.client.shut_down();
        self.collect(&cancel.with_deadline(LAST_WORDS));
        let upload = listing::Unfinished {
            key: self.target.key.clone(),
            id: self.id.clone(),
            started: None,
        };
        listing::abort(&self.target.client, &upload, cancel)
    }
}

impl Drop for Multipart {
    fn drop(&mut self) {
        if !self.ended
            && let Err(error) = afterwards().and_then(|cancel| self.abort(&cancel))
        {
            log::warn!(
                "the unfinished upload of {} stays on {}, until a backup sweeps it after a day: {}",
                self.target.shown,
                self.target.client.host(),
                error.chain()
            );
        }
    }
}

fn garbled(target: &UploadTarget, what: &str) -> Error {
    Error::failed(format!("cannot write {}: {what}", target.shown))
}

/// Sends a part until it is stored as it was sent.
fn send(client: &S3Client, request: &S3Request, unwanted: &Cancel) -> Result<StoredPart> {
    let mut doubted = false;
    client.patient().run(unwanted, || {
        let answer = client.good(request, client.attempt(request)?)?;
        let etag = answer.header("etag").unwrap_or("").to_string();
        if etag.is_empty() {
            return Err(Error::failed("the answer has no ETag").doing(&request.doing));
        }
        if is_as_sent(client, request, &answer, &etag, doubted) {
            let sent = SentPart {
                bytes: request.body.len() as u64,
                md5: request.digest(),
            };
            return Ok(StoredPart { etag, sent });
        }
        doubted = true;
        let changed = format!("{} stored other bytes than were sent", client.host());
        Err(Error::new(Kind::Unavailable, changed).doing(&request.doing))
    })
}

/// Servers verify a part's Content-MD5, and nearly all return it as the ETag, unless a key of theirs
/// encrypts the part. An ETag that differs is doubted, and the part sent again; where it differs again on
/// a server that never returned an MD5, ETags there are something else.
fn is_as_sent(
    client: &S3Client,
    request: &S3Request,
    answer: &Answer,
    etag: &str,
    doubted: bool,
) -> bool {
    let md5 = hex(&request.digest());
    let known = &client.shared.etags_are_md5;
    if etag.trim_matches('"').eq_ignore_ascii_case(&md5) {
        let _ = known.set(true);
        return true;
    }
    if known.get().is_none() && doubted && !answer.is_encrypted() {
        let _ = known.set(false);
    }
    answer.is_encrypted() || known.get() == Some(&false)
}
