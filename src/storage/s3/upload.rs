//! Writing an object: what fits into one part goes up by one PUT at the commit, anything larger as a
//! multipart upload with parts that are sent while the next ones are filled.
//!
//! An object becomes visible by one request only, the PUT or CompleteMultipartUpload. Where its answer is
//! lost the object itself is asked: it carries a token of this upload in its metadata, so its presence
//! with that token and the right size is a commit, whatever became of the answer.

use super::client::S3Client;
use super::multipart::Multipart;
use super::parts::PartPlan;
use super::request::{Answer, S3Request};
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Result};
use crate::storage::retry::RetryPolicy;
use crate::storage::{CLEAN_UP, Upload};
use rusty_s3::Method;
use std::io::{self, Write};
use std::sync::Arc;

/// The metadata that holds the token.
const TOKEN: &str = "x-amz-meta-backupkit-upload";

/// The object that is written, and what is asked about it.
#[derive(Clone)]
pub(super) struct UploadTarget {
    pub client: S3Client,
    /// Its whole key.
    pub key: String,
    /// Its address, for people.
    pub shown: String,
    /// Sent when the object is made: storage class, encryption.
    pub headers: Vec<(&'static str, String)>,
    /// Differs for every upload.
    pub token: String,
}

/// What lies under the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyState {
    Nothing,
    /// What this upload wrote, whole.
    Ours,
    Other,
}

impl UploadTarget {
    /// A request about this object.
    pub fn request(&self, method: Method, permission: &'static str, verb: &str) -> S3Request {
        let doing = format!("cannot {verb} {}", self.shown);
        S3Request::new(method, &self.key, permission, doing)
    }

    /// A request that makes this object, now or when its parts are complete.
    pub fn making(&self, method: Method, verb: &str) -> S3Request {
        let mut request = self.request(method, "s3:PutObject", verb);
        request.headers.clone_from(&self.headers);
        request.header(TOKEN, &self.token)
    }

    /// Looks at what lies under the key; `bytes` is the size of what this upload wrote.
    pub fn find(&self, bytes: u64, retry: RetryPolicy, cancel: &Cancel) -> Result<KeyState> {
        let request = Arc::new(self.request(Method::Head, "s3:GetObject", "look at"));
        let answer = self.client.call(cancel, retry, &request)?;
        if answer.status == 404 {
            return Ok(KeyState::Nothing);
        }
        let answer = self.client.good(&request, answer)?;
        let size = answer
            .header("content-length")
            .and_then(|text| text.parse().ok());
        let ours = answer.header(TOKEN) == Some(&self.token) && size == Some(bytes);
        Ok(if ours {
            KeyState::Ours
        } else {
            KeyState::Other
        })
    }

    /// Fails where the key is taken. Keys that may only write cannot look; for them the condition on the
    /// write itself has to do.
    fn require_free(&self, bytes: u64, cancel: &Cancel) -> Result<()> {
        match self.find(bytes, self.client.patient(), cancel) {
            Ok(KeyState::Nothing) => Ok(()),
            Ok(_) => Err(self.taken()),
            Err(error) if error.kind().may_pass() => Err(error),
            Err(error) => {
                cancel.check()?;
                log::debug!("{}", error.chain());
                Ok(())
            }
        }
    }

    fn taken(&self) -> Error {
        Error::failed(format!(
            "cannot write {}: there is such an object already, and it stays",
            self.shown
        ))
    }

    /// Sends the one request that makes the object visible, until it is known to have done so or to have failed.
    pub fn make_visible(
        &self,
        bytes: u64,
        request: S3Request,
        cancel: &Cancel,
    ) -> Result<(), Invisible> {
        self.require_free(bytes, cancel)?;
        let client = &self.client;
        let request = Arc::new(request.only_new());
        let mut backoff = client.patient().start();
        // an answer was lost, so what an earlier try did is not known
        let mut unsure = false;
        loop {
            let error = match client.once(cancel, &request) {
                Ok(answer) if answer.is_good() => return Ok(()),
                Ok(answer) if client.is_conditional() && is_unknown_condition(&answer) => {
                    client.forget_conditional();
                    continue;
                }
                // 412: there is an object, perhaps of an earlier try of ours
                Ok(answer) if unsure || answer.status == 412 => {
                    let refused = client.explain(&request, &answer);
                    match self.find(bytes, self.client.patient(), cancel) {
                        Ok(KeyState::Ours) => return Ok(()),
                        Ok(KeyState::Other) => return Err(self.taken().into()),
                        Ok(KeyState::Nothing) => return Err(refused.into()),
                        Err(error) => return Err(Invisible::Unsure(error)),
                    }
                }
                Ok(answer) => return Err(client.explain(&request, &answer).into()),
                // nothing was sent
                Err(error) if !unsure && !error.kind().may_pass() && cancel.check().is_ok() => {
                    return Err(error.into());
                }
                Err(error) => error,
            };
            unsure = true;
            if let Ok(KeyState::Ours) = self.find(bytes, RetryPolicy::NONE, cancel) {
                return Ok(());
            }
            backoff.pause(error, cancel).map_err(Invisible::Unsure)?;
        }
    }

    /// What is true of an object after [`Invisible::Unsure`], asked under the deadline of what is done
    /// [`afterwards`].
    pub fn settle(&self, bytes: u64, error: Error, cancel: &Cancel) -> Result<()> {
        match self.find(bytes, self.client.brief(), cancel) {
            Ok(KeyState::Ours) => Ok(()),
            Ok(_) => Err(error),
            Err(unknown) => {
                log::warn!(
                    "whether {} was written is not known: {}",
                    self.shown,
                    unknown.chain()
                );
                Err(error)
            }
        }
    }
}

/// Time to clean up and to ask for the truth, whatever ended the run.
pub(super) fn afterwards() -> Result<Cancel> {
    Ok(Cancel::new()?.with_deadline(CLEAN_UP))
}

/// Why an object is not known to be visible.
pub(super) enum Invisible {
    /// It is not.
    Sure(Error),
    /// An answer was lost, and nobody could be asked.
    Unsure(Error),
}

impl From<Error> for Invisible {
    fn from(error: Error) -> Invisible {
        Invisible::Sure(error)
    }
}

/// Some servers do not know conditional writes and say so; others ignore them.
fn is_unknown_condition(answer: &Answer) -> bool {
    answer.status == 501 || answer.code == "NotImplemented"
}

/// An object that is being written.
pub(super) struct S3Upload {
    target: UploadTarget,
    plan: PartPlan,
    cancel: Cancel,
    buffer: Vec<u8>,
    bytes: u64,
    multipart: Option<Multipart>,
    /// Bytes were lost, so there is nothing left to commit.
    failed: bool,
}

impl S3Upload {
    pub fn new(target: UploadTarget, plan: PartPlan, cancel: &Cancel) -> S3Upload {
        S3Upload {
            target,
            plan,
            cancel: cancel.clone(),
            buffer: Vec::new(),
            bytes: 0,
            multipart: None,
            failed: false,
        }
    }

    fn fill(&mut self, bytes: &[u8]) -> Result<usize> {
        self.cancel.check()?;
        if self.buffer.len() == self.part_size()? {
            self.send_part()?;
        }
        let room = self.part_size()? - self.buffer.len();
        let count = room.min(bytes.len());
        self.buffer.extend_from_slice(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    /// The size of the part that is being filled.
    fn part_size(&self) -> Result<usize> {
        let number = self.multipart.as_ref().map_or(1, Multipart::next_number);
        self.plan
            .size(number)
            .map(|size| size as usize)
            .ok_or_else(|| {
                Error::failed(format!(
                    "cannot write {}: it is larger than the {} GiB that its parts can hold",
                    self.target.shown,
                    self.plan.limit() >> 30
                ))
                .hint("raise part_size and memory_ceiling of the storage, or leave tables out of the backup")
            })
    }

    /// Hands the full buffer to a thread that sends it, and takes an empty one.
    fn send_part(&mut self) -> Result<()> {
        if self.multipart.is_none() {
            self.multipart = Some(Multipart::start(&self.target, &self.cancel)?);
        }
        if let Some(multipart) = &mut self.multipart {
            let part = std::mem::take(&mut self.buffer);
            multipart.send(part)?;
        }
        // the next part may be larger, and the buffers of both have to fit the ceiling
        let size = self.part_size()?;
        if let Some(multipart) = &mut self.multipart {
            let in_flight = self.plan.in_flight(size as u64);
            multipart.wait_until(in_flight, &self.cancel)?;
            self.buffer = multipart.empty_buffer(size);
        }
        Ok(())
    }
}

impl S3Upload {
    /// Writes what fits into one request.
    fn put(&mut self) -> Result<()> {
        let mut target = self.target.clone();
        // of its own, so that a request that was given up can be kept from arriving later
        target.client = S3Client::new(Arc::clone(&target.client.shared));
        let body = std::mem::take(&mut self.buffer);
        let put = target.making(Method::Put, "write").body(body);
        match target.make_visible(self.bytes, put, &self.cancel) {
            Ok(()) => Ok(()),
            Err(Invisible::Sure(error)) => Err(error),
            Err(Invisible::Unsure(error)) => {
                target.client.shut_down();
                self.target.settle(self.bytes, error, &afterwards()?)
            }
        }
    }
}

impl Write for S3Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let filled = self.fill(bytes);
        self.failed |= filled.is_err();
        Ok(filled?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for S3Upload {
    fn commit(mut self: Box<Self>) -> Result<()> {
        if self.failed {
            return Err(Error::failed(format!(
                "cannot write {}: a part of it was lost",
                self.target.shown
            )));
        }
        let Some(mut multipart) = self.multipart.take() else {
            return self.put();
        };
        // dropped on failure, it aborts
        if !self.buffer.is_empty() {
            multipart.send(std::mem::take(&mut self.buffer))?;
        }
        multipart.wait_until(0, &self.cancel)?;
        multipart.complete(self.bytes, &self.cancel)
    }
}

/// A token that no other upload has.
pub(super) fn token() -> Result<String> {
    let mut bytes = [0u8; 16];
    rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty())
        .doing(|| "cannot get random bytes")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
