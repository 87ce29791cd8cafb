//! The one request that makes an object visible, and what became of it where its answer was lost: the object itself is
//! asked. It carries a token of its upload in its metadata, so its presence with that token and the right size is a
//! commit, whatever became of the answer.

use super::client::S3Client;
use super::request::{Answer, S3Request};
use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::storage::CLEAN_UP;
use crate::storage::retry::RetryPolicy;
use rusty_s3::Method;
use std::sync::Arc;

/// The metadata that holds the token.
const TOKEN: &str = "x-amz-meta-backupkit-upload";

/// The object that is written, and what is asked about it.
#[derive(Clone)]
pub(super) struct UploadTarget {
    pub client: S3Client,
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
