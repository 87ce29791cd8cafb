//! Sends requests to S3: signed, limited, answers read, and tried again where that makes sense.
//!
//! Every request is presigned by rusty-s3, which leaves the payload out of the signature; a body is
//! protected by its signed `Content-MD5`, which every provider verifies (`x-amz-checksum-*` is refused by
//! some and ignored by others).

use super::credentials::Credentials;
use super::error::{Refusal, explain, is_expired, is_of_every_request, may_pass};
use super::request::{Answer, MD5, Pace, S3Request, header};
use crate::background;
use crate::cancel::Cancel;
use crate::error::{Error, Kind, Result};
use crate::http::{self, Address, Limits};
use crate::process::boot_clock::since_boot;
use crate::storage::DELETION_HOLDS;
use crate::storage::retry::RetryPolicy;
use chrono::{DateTime, TimeDelta, Utc};
use rusty_s3::{Bucket, Method, signing};
use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use ureq::http::Response;
use ureq::tls::RootCerts;
use ureq::{Agent, Body};

/// A presigned request is accepted this long after our clock signed it.
const EXPIRY: Duration = Duration::from_secs(3600);
/// An answer that took longer tells the server's clock not well enough.
const PROMPT: Duration = Duration::from_secs(5);
/// No answer of S3 but an object is larger than this.
const LARGEST_ANSWER: u64 = 16 << 20;
/// A reader that takes longer than this takes the connection up again.
const STREAM: Duration = Duration::from_secs(6 * 3600);
/// Larger bodies wait for the server's word that it wants them.
const WORTH_ASKING: usize = 1 << 20;

/// How long what was written or deleted may take to show: most servers need no time for it, some a moment.
pub(super) const SETTLING: RetryPolicy = RetryPolicy {
    first: Duration::from_millis(250),
    most: Duration::from_secs(1),
    budget: Duration::from_secs(3),
};

/// What is the same for all requests of a storage.
pub(super) struct BucketAccess {
    /// The storage's name in the configuration.
    pub storage: String,
    pub bucket: Bucket,
    pub address: Address,
    /// Empty, or with its final slash.
    pub prefix: String,
    pub credentials: Credentials,
    pub limits: Limits,
    pub roots: Option<RootCerts>,
    /// Time to try again in.
    pub patience: Duration,
    /// The clock that signs.
    pub now: fn() -> DateTime<Utc>,
    /// By how many seconds our clock is ahead of the server's, as its last prompt answer showed; zero at first.
    pub ahead: AtomicI64,
    /// Cleared once the server said that it does not know conditional writes.
    pub conditional: AtomicBool,
    /// Whether a part's ETag is its MD5 there; not known at first.
    pub etags_are_md5: OnceLock<bool>,
}

/// Sends requests. Clones share their connections.
#[derive(Clone)]
pub(super) struct S3Client {
    agent: Agent,
    pub shared: Arc<BucketAccess>,
}

impl S3Client {
    /// A client with connections of its own.
    pub fn new(shared: Arc<BucketAccess>) -> S3Client {
        S3Client {
            agent: http::agent(shared.limits, shared.roots.clone(), &shared.address),
            shared,
        }
    }

    /// Ends all requests of this client and its clones at once; it can make no more.
    pub fn shut_down(&self) {
        self.agent.clone().shutdown();
    }

    /// Sends `request` until it is answered for good; the answer may be a refusal.
    pub fn call(
        &self,
        cancel: &Cancel,
        retry: RetryPolicy,
        request: &Arc<S3Request>,
    ) -> Result<Answer> {
        retry.run(cancel, || self.once(cancel, request))
    }

    /// Like [`call`](S3Client::call), and a refusal is an error.
    pub fn ask(&self, cancel: &Cancel, retry: RetryPolicy, request: S3Request) -> Result<Answer> {
        let request = Arc::new(request);
        let answer = self.call(cancel, retry, &request)?;
        self.good(&request, answer)
    }

    /// Sends `request` once on another thread.
    pub fn once(&self, cancel: &Cancel, request: &Arc<S3Request>) -> Result<Answer> {
        let (client, request) = (self.clone(), Arc::clone(request));
        background::run(cancel, "s3 request", move || client.attempt(&request))?
    }

    /// The answer if it is a good one, else what the refusal means.
    pub fn good(&self, request: &S3Request, answer: Answer) -> Result<Answer> {
        if answer.is_good() {
            Ok(answer)
        } else {
            Err(self.explain(request, &answer))
        }
    }

    /// Sends `request` once on this thread. A fault that may pass is an error, anything else an answer.
    pub fn attempt(&self, request: &S3Request) -> Result<Answer> {
        self.read(request, self.send(request)?)
    }

    /// Sends `request` once on this thread, and leaves the body of a good answer to be read.
    pub fn open(&self, request: &S3Request) -> Result<Result<Response<Body>, Answer>> {
        let response = self.send(request)?;
        if response.status().is_success() {
            return Ok(Ok(response));
        }
        self.read(request, response).map(Err)
    }

    fn send(&self, request: &S3Request) -> Result<Response<Body>> {
        let doing = |error: Error| error.doing(&request.doing);
        let url = self.sign(request).map_err(doing)?;
        // looked at after the signing, from which the server counts
        if request.until.is_some_and(|until| since_boot() > until) {
            return Err(doing(Error::failed("it is too late for it by now")));
        }
        let began = Instant::now();
        let mut builder = ureq::http::Request::builder()
            .method(request.method.to_str())
            .uri(url.as_str());
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        if request.only_new && self.is_conditional() {
            builder = builder.header("if-none-match", "*");
        }
        let has_body = matches!(request.method, Method::Put | Method::Post);
        if has_body && request.body.len() >= WORTH_ASKING {
            builder = builder.header("expect", "100-continue");
        }
        let limits = self.shared.limits;
        let total = limits.total_for(request.body.len() as u64);
        let (idle, total) = match request.pace {
            Pace::Prompt => (limits.idle, total),
            Pace::Silent => (total, total),
            Pace::Stream => (limits.idle, STREAM),
        };
        let outcome = if has_body {
            builder
                .body(request.body.as_slice())
                .map_err(ureq::Error::from)
                .and_then(|request| self.run(request, idle, total))
        } else {
            builder
                .body(())
                .map_err(ureq::Error::from)
                .and_then(|request| self.run(request, idle, total))
        };
        let response = outcome.map_err(|error| doing(http::explain(error, self.host())))?;
        if began.elapsed() < PROMPT {
            self.see_clock(&response);
        }
        Ok(response)
    }

    /// Notes how far our clock is ahead of the server's.
    fn see_clock(&self, response: &Response<Body>) {
        let date = header(response.headers(), "date");
        if let Some(Ok(date)) = date.map(DateTime::parse_from_rfc2822) {
            let ahead = (self.shared.now)() - date.to_utc();
            self.shared
                .ahead
                .store(ahead.num_seconds(), Ordering::Relaxed);
        }
    }

    fn run(
        &self,
        request: ureq::http::Request<impl ureq::AsSendBody>,
        idle: Duration,
        total: Duration,
    ) -> Result<Response<Body>, ureq::Error> {
        let request = self
            .agent
            .configure_request(request)
            .timeout_per_read(Some(idle))
            .timeout_global(Some(total))
            .build();
        self.agent.run(request)
    }

    /// The presigned address. `x-amz-*` and the checksum are signed, as S3 wants it.
    fn sign(&self, request: &S3Request) -> Result<url::Url> {
        let BucketAccess {
            bucket,
            credentials,
            now,
            ..
        } = &*self.shared;
        let now = now();
        let keys = credentials.get(now)?;
        // what has to expire soon does so by the server's clock
        let (now, expiry) = match request.until {
            Some(_) => {
                let ahead = TimeDelta::seconds(self.shared.ahead.load(Ordering::Relaxed));
                (now.checked_sub_signed(ahead).unwrap_or(now), DELETION_HOLDS)
            }
            None => (now, EXPIRY),
        };
        let date = jiff::Timestamp::new(now.timestamp(), 0)
            .map_err(|error| Error::failed("this machine's clock is off").because(error))?;
        let url = match request.key.as_str() {
            "" => bucket.base_url().clone(),
            key => bucket.object_url(key),
        };
        let mut query: Vec<(&str, &str)> = request
            .query
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        query.sort_unstable();
        let mut signed: Vec<(&str, &str)> = request
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .filter(|(name, _)| name.starts_with("x-amz-") || *name == MD5)
            .collect();
        signed.sort_unstable();
        Ok(signing::sign(
            &date,
            request.method,
            url,
            keys.access_key.expose(),
            keys.secret_key.expose(),
            keys.session_token.as_ref().map(|token| token.expose()),
            bucket.region(),
            expiry.as_secs(),
            query.into_iter(),
            signed.into_iter(),
        ))
    }

    fn read(&self, request: &S3Request, response: Response<Body>) -> Result<Answer> {
        let status = response.status().as_u16();
        let (parts, body) = response.into_parts();
        let mut bytes = Vec::new();
        body.into_reader()
            .take(LARGEST_ANSWER + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| {
                let fault = http::explain(ureq::Error::from(error), self.host());
                fault.doing(&request.doing)
            })?;
        if bytes.len() as u64 > LARGEST_ANSWER {
            let most = LARGEST_ANSWER >> 20;
            let why = format!("{} answers with more than {most} MiB", self.host());
            let error = Error::failed(why).doing(&request.doing);
            return Err(error.hint("is the endpoint an S3 server? None of its answers is so large"));
        }
        let answer = Answer::new(status, parts.headers, bytes);
        // what the keys' renewal may change is sent again with the new ones
        if is_expired(&answer.code) && self.shared.credentials.forget() {
            return Err(self.explain(request, &answer).with_kind(Kind::Unavailable));
        }
        if may_pass(answer.status, &answer.code) {
            return Err(self.explain(request, &answer));
        }
        Ok(answer)
    }

    /// What a refusal means.
    pub fn explain(&self, request: &S3Request, answer: &Answer) -> Error {
        self.judged(request, answer, explain)
    }

    /// True where any other request would be refused like this one.
    pub fn is_of_every_request(&self, request: &S3Request, answer: &Answer) -> bool {
        self.judged(request, answer, is_of_every_request)
    }

    fn judged<T>(
        &self,
        request: &S3Request,
        answer: &Answer,
        judge: impl FnOnce(&Refusal<'_>) -> T,
    ) -> T {
        let BucketAccess {
            storage,
            bucket,
            prefix,
            now,
            ..
        } = &*self.shared;
        let date = answer
            .header("date")
            .and_then(|date| DateTime::parse_from_rfc2822(date).ok());
        let region = answer
            .region
            .as_deref()
            .or_else(|| answer.header("x-amz-bucket-region"));
        judge(&Refusal {
            doing: &request.doing,
            permission: request.permission,
            storage,
            bucket: bucket.name(),
            resource: match request.permission {
                "s3:ListBucket" | "s3:ListBucketMultipartUploads" => bucket.name().to_string(),
                _ => format!("{}/{prefix}*", bucket.name()),
            },
            region: bucket.region(),
            host: self.host(),
            status: answer.status,
            code: &answer.code,
            message: &answer.message,
            right_region: region.filter(|region| !region.is_empty()),
            ahead: date.map(|date| now() - date.to_utc()),
            request_id: answer.header("x-amz-request-id"),
        })
    }

    /// For what has hours of work behind it.
    pub fn patient(&self) -> RetryPolicy {
        RetryPolicy::within(self.shared.patience)
    }

    /// For a question that someone waits for.
    pub fn brief(&self) -> RetryPolicy {
        RetryPolicy::within(self.shared.patience / 10)
    }

    /// The server as an error names it.
    pub fn host(&self) -> &str {
        self.shared.address.shown()
    }

    /// True while the server is believed to know conditional writes.
    pub fn is_conditional(&self) -> bool {
        self.shared.conditional.load(Ordering::Relaxed)
    }

    /// Notes that the server does not know them.
    pub fn forget_conditional(&self) {
        self.shared.conditional.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::s3::role_server::{document, environment, serve};
    use rusty_s3::UrlStyle;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn keys_of_a_role_that_a_server_calls_expired_are_renewed_and_the_request_sent_again() {
        let asked = AtomicU32::new(0);
        let role = serve(move |_| {
            let number = asked.fetch_add(1, Ordering::SeqCst);
            document(&format!("key{number}"), "2999-01-01T00:00:00Z")
        });
        let s3 = serve(|head| {
            // S3's code arrives with a 200 here, which must make no difference
            if head.contains("Credential=key0%2F") && head.contains("Security-Token=t&") {
                "<Error><Code>ExpiredToken</Code></Error>".into()
            } else {
                "<Good/>".into()
            }
        });
        let name = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
        let shared = BucketAccess {
            storage: "s3main".into(),
            address: Address::direct(),
            bucket: Bucket::new(s3.parse().unwrap(), UrlStyle::Path, "b", "r").unwrap(),
            prefix: String::new(),
            credentials: Credentials::new(None, environment(&[(name, role)])),
            limits: Limits::default(),
            roots: None,
            patience: Duration::from_secs(60),
            now: Utc::now,
            ahead: AtomicI64::new(0),
            conditional: AtomicBool::new(true),
            etags_are_md5: OnceLock::new(),
        };
        let client = S3Client::new(Arc::new(shared));
        let cancel = Cancel::new().unwrap();
        let request = S3Request::new(Method::Get, "k", "s3:GetObject", "cannot read k");
        let answer = client.ask(&cancel, client.patient(), request).unwrap();
        assert_eq!(answer.body, b"<Good/>");
    }
}
