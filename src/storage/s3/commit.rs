//! The one request that makes an object visible, and what became of it: the object itself is asked.
//!
//! It carries a token of its upload in its metadata. Where the answer was lost, its presence with that token is a commit;
//! and after each commit, whatever was answered, it has to be there as it was sent ([`super::kept`]). What is not is taken
//! back, unless it carries another token.

use super::client::{S3Client, SETTLING};
use super::deletion;
use super::kept::{FoundObject, ObjectPlace, SentObject, TOKEN};
use super::request::{Answer, S3Request};
use crate::cancel::Cancel;
use crate::error::{Error, Kind, Result};
use crate::storage::CLEAN_UP;
use crate::storage::retry::RetryPolicy;
use rusty_s3::Method;
use std::sync::Arc;

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

    /// Looks at what lies under the key.
    pub fn find(&self, retry: RetryPolicy, cancel: &Cancel) -> Result<Option<FoundObject>> {
        let request = Arc::new(self.request(Method::Head, "s3:GetObject", "look at"));
        let answer = self.client.call(cancel, retry, &request)?;
        if answer.status == 404 {
            return Ok(None);
        }
        let answer = self.client.good(&request, answer)?;
        Ok(Some(FoundObject::of(&answer)))
    }

    /// True for what this upload made, whatever became of its bytes.
    pub fn is_ours(&self, found: &FoundObject) -> bool {
        found.token.as_ref() == Some(&self.token)
    }

    /// Fails where the key is taken. Keys that may not look are told so once something is written; until then the
    /// condition on the write itself has to do.
    fn require_free(&self, cancel: &Cancel) -> Result<()> {
        match self.find(self.client.patient(), cancel) {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err(self.taken()),
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

    /// Sends the one request that makes the object visible, until it is known to have done so, and to keep what was
    /// sent, or to have failed.
    pub fn make_visible(
        &self,
        sent: &SentObject,
        request: S3Request,
        cancel: &Cancel,
    ) -> Result<(), Invisible> {
        self.require_free(cancel)?;
        let etag = self.make(request, cancel)?;
        self.require_kept(sent, etag.as_deref(), cancel)
            .map_err(Invisible::Sure)
    }

    /// Sends the request until an object of this upload is there. The result is the ETag of the answer, if that came.
    fn make(&self, request: S3Request, cancel: &Cancel) -> Result<Option<String>, Invisible> {
        let client = &self.client;
        let request = Arc::new(request.only_new());
        let mut backoff = client.patient().start();
        // an answer was lost, so what an earlier try did is not known
        let mut unsure = false;
        loop {
            let error = match client.once(cancel, &request) {
                Ok(answer) if answer.is_good() => return Ok(answer.etag()),
                Ok(answer) if client.is_conditional() && is_unknown_condition(&answer) => {
                    client.forget_conditional();
                    continue;
                }
                // 412: there is an object, perhaps of an earlier try of ours
                Ok(answer) if unsure || answer.status == 412 => {
                    let refused = client.explain(&request, &answer);
                    match self.find(self.client.patient(), cancel) {
                        Ok(Some(found)) if self.is_ours(&found) => return Ok(None),
                        Ok(Some(_)) => return Err(self.taken().into()),
                        Ok(None) => return Err(refused.into()),
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
            if let Ok(Some(found)) = self.find(RetryPolicy::NONE, cancel)
                && self.is_ours(&found)
            {
                return Ok(None);
            }
            backoff.pause(error, cancel).map_err(Invisible::Unsure)?;
        }
    }

    /// What is true of an object after [`Invisible::Unsure`], asked under the deadline of what is done
    /// [`afterwards`].
    pub fn settle(&self, sent: &SentObject, error: Error, cancel: &Cancel) -> Result<()> {
        match self.find(self.client.brief(), cancel) {
            Ok(Some(found)) if self.is_ours(&found) => self.require_kept(sent, None, cancel),
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

    /// Writes the object in the place of the one under its key.
    pub fn replace(&self, bytes: &[u8], cancel: &Cancel) -> Result<()> {
        let before = self.find(self.client.brief(), cancel)?;
        let put = self.making(Method::Put, "write").body(bytes.to_vec());
        let sent = SentObject::whole(&put.body, put.digest());
        let answer = self.client.ask(cancel, self.client.patient(), put)?;
        let old = before.as_ref().and_then(|found| found.token.as_ref());
        let rival = |found: &FoundObject| found.token.is_some() && found.token.as_ref() != old;
        self.compared(&sent, answer.etag().as_deref(), &rival, cancel)
    }

    /// Fails where the object that this upload made is not there as it was sent.
    fn require_kept(&self, sent: &SentObject, etag: Option<&str>, cancel: &Cancel) -> Result<()> {
        self.compared(sent, etag, &|_| false, cancel)
    }

    /// The same, where the object of a `rival` that was quicker is as good.
    fn compared(
        &self,
        sent: &SentObject,
        etag: Option<&str>,
        rival: &dyn Fn(&FoundObject) -> bool,
        cancel: &Cancel,
    ) -> Result<()> {
        let place = ObjectPlace {
            client: &self.client,
            key: &self.key,
            shown: &self.shown,
        };
        let compared = match self.settled(&place, rival, cancel) {
            Ok(Some(found)) => place.require(sent, &found, etag, cancel),
            Ok(None) => return Ok(()),
            Err(error) => Err(error),
        };
        compared.inspect_err(|_| self.take_back())
    }

    /// The object of this upload, once it shows; `None` where a `rival` has replaced it since.
    fn settled(
        &self,
        place: &ObjectPlace<'_>,
        rival: &dyn Fn(&FoundObject) -> bool,
        cancel: &Cancel,
    ) -> Result<Option<FoundObject>> {
        let mut backoff = SETTLING.start();
        loop {
            let how = match self.find(self.client.patient(), cancel)? {
                Some(found) if self.is_ours(&found) => return Ok(Some(found)),
                Some(found) if rival(&found) => return Ok(None),
                Some(found) if found.token.is_some() => "the object there is another one",
                Some(_) => "the object there has not the metadata that was sent",
                None => "it is not there",
            };
            // only now and then a server needs a moment, so this is told when it was not that
            let late = place.differs(how).with_kind(Kind::Unavailable);
            if let Err(error) = backoff.pause(late, cancel) {
                return Err(match error.kind() {
                    Kind::Unavailable => error.with_kind(Kind::Failed),
                    _ => error,
                });
            }
        }
    }

    /// Removes what this upload made and is not to stand.
    fn take_back(&self) {
        let removed =
            afterwards().and_then(|cancel| match self.find(self.client.brief(), &cancel)? {
                Some(found) if self.is_ours(&found) => {
                    deletion::delete(&self.client, std::slice::from_ref(&self.key), None, &cancel)
                }
                _ => Ok(()),
            });
        if let Err(error) = removed {
            let shown = &self.shown;
            log::warn!(
                "{shown} may stand there, and is not to be trusted: {}",
                error.report()
            );
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
pub(super) fn is_unknown_condition(answer: &Answer) -> bool {
    answer.status == 501 || answer.code == "NotImplemented"
}
