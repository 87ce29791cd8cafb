//! One request to S3 and what is answered.

use super::xml;
use base64ct::{Base64, Encoding};
use md5::{Digest, Md5};
use rusty_s3::Method;
use std::time::Duration;
use ureq::http::HeaderMap;

/// The header that every provider verifies a body by.
pub(super) const MD5: &str = "content-md5";

/// One request, which can be sent any number of times.
pub(super) struct S3Request {
    pub method: Method,
    /// The whole key; empty for the bucket.
    pub key: String,
    pub query: Vec<(&'static str, String)>,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// What an error says was being done.
    pub doing: String,
    /// The permission this takes.
    pub permission: &'static str,
    pub pace: Pace,
    /// Refused where there is an object under the key, by servers that know conditional writes.
    pub only_new: bool,
    /// It is not sent after this moment since boot, and the server refuses it soon afterwards.
    pub until: Option<Duration>,
}

/// What sort of limits a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// The usual ones.
    Prompt,
    /// The server may work on it for long without a word.
    Silent,
    /// The answer is as long as an object, and read as fast as a restore goes.
    Stream,
}

impl S3Request {
    /// A request without a body.
    pub fn new(
        method: Method,
        key: impl Into<String>,
        permission: &'static str,
        doing: impl Into<String>,
    ) -> S3Request {
        S3Request {
            method,
            key: key.into(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Vec::new(),
            doing: doing.into(),
            permission,
            pace: Pace::Prompt,
            only_new: false,
            until: None,
        }
    }

    /// Adds `name=value` to the query.
    pub fn query(mut self, name: &'static str, value: impl Into<String>) -> S3Request {
        self.query.push((name, value.into()));
        self
    }

    /// Adds a header, its name in lower case.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> S3Request {
        self.headers.push((name, value.into()));
        self
    }

    /// Lets the server refuse it where there is such an object already.
    pub fn only_new(mut self) -> S3Request {
        self.only_new = true;
        self
    }

    /// Lets it have no effect long after this moment since boot.
    pub fn until(mut self, until: Option<Duration>) -> S3Request {
        self.until = until;
        self
    }

    /// Sets the body and the checksum that the server verifies it by.
    pub fn body(self, body: Vec<u8>) -> S3Request {
        let md5 = Base64::encode_string(&Md5::digest(&body));
        let mut request = self.header(MD5, md5);
        request.body = body;
        request
    }

    /// The MD5 of its body; empty where it has none.
    pub fn digest(&self) -> Vec<u8> {
        let header = self.headers.iter().find(|(name, _)| *name == MD5);
        header
            .and_then(|(_, md5)| Base64::decode_vec(md5).ok())
            .unwrap_or_default()
    }
}

/// A server's answer, whatever its status.
pub(super) struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// S3's code and words where it refused, a 200 that carries an error included.
    pub code: String,
    pub message: String,
    /// The region that the refusal names.
    pub region: Option<String>,
}

impl Answer {
    /// An answer, its error document read where it has one.
    pub fn new(status: u16, headers: HeaderMap, body: Vec<u8>) -> Answer {
        let mut answer = Answer {
            status,
            headers,
            body,
            code: String::new(),
            message: String::new(),
            region: None,
        };
        if let Some(error) = answer.document("Error") {
            let text = |name| error.text(name).unwrap_or("").to_string();
            answer.code = text("Code");
            answer.message = text("Message");
            answer.region = error.text("Region").map(str::to_string);
        }
        answer
    }

    /// True where S3 did what it was asked to.
    pub fn is_good(&self) -> bool {
        matches!(self.status, 200..=299) && self.code.is_empty()
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// The ETag of the object that it is about, which stands in the body where parts were completed.
    pub fn etag(&self) -> Option<String> {
        if let Some(etag) = self.header("etag") {
            return Some(etag.to_string());
        }
        let completed = self.document("CompleteMultipartUploadResult")?;
        completed.text("ETag").map(str::to_string)
    }

    /// True where a key encrypts the object, so that its ETag is no hash of what was sent.
    pub fn is_encrypted(&self) -> bool {
        let by_server = self.header("x-amz-server-side-encryption");
        let by_client = "x-amz-server-side-encryption-customer-algorithm";
        by_server.is_some_and(|how| how != "AES256") || self.header(by_client).is_some()
    }

    /// The document in the body, which has to be a `root`.
    pub fn document(&self, root: &str) -> Option<xml::Element> {
        xml::parse(&self.body).filter(|element| element.name == root)
    }
}

/// A header as text.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
