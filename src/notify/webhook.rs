//! One POST, and what its answer means.
//!
//! Neither the URL's path nor any header is ever told: with many receivers they are all that keeps strangers out.

use super::template::Post;
use crate::error::{Error, Kind, Result};
use crate::http::{self, Address, Limits};
use crate::secret::Secret;
use std::path::PathBuf;
use std::time::Duration;
use ureq::http::{HeaderMap, StatusCode};
use ureq::tls::RootCerts;
use url::Url;

/// One try. Three of them and the pauses between fit into the time that notifications have.
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(5),
    idle: Duration::from_secs(8),
    total: Duration::from_secs(8),
};

/// A request that can be sent.
pub struct Request {
    post: Post,
    /// That of the post, as it can be sent.
    url: Url,
    /// Those of the configuration, which replace ours.
    headers: Vec<(String, Secret)>,
    roots: Option<RootCerts>,
    address: Address,
}

impl Request {
    pub fn new(
        post: Post,
        headers: Vec<(String, Secret)>,
        ca_file: Option<PathBuf>,
    ) -> Result<Request> {
        let url = Url::parse(&post.url).ok();
        let Some(url) = url.filter(Url::has_host) else {
            return Err(Error::usage("the URL is none").hint("write https://host/path"));
        };
        Ok(Request {
            address: Address::of(&url, &|name| std::env::var(name).ok())?,
            url,
            post,
            headers,
            roots: ca_file.as_deref().map(http::roots).transpose()?,
        })
    }

    /// Sends it once, within `left`.
    pub fn send(&self, left: Duration) -> Result<()> {
        let limits = Limits {
            total: LIMITS.total.min(left),
            ..LIMITS
        };
        let agent = http::agent(limits, self.roots.clone(), &self.address);
        let mut request = agent.post(self.url.as_str());
        let ours = self.post.headers.iter();
        for (name, value) in ours.filter(|(name, _)| !self.is_replaced(name)) {
            request = request.header(*name, value);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value.expose());
        }
        let response = request
            .send(self.post.body.as_str())
            .map_err(|error| self.explain(error))?;
        match response.status() {
            status if status.is_success() => Ok(()),
            status => Err(self.refusal(status, response.headers())),
        }
    }

    fn is_replaced(&self, name: &str) -> bool {
        let mut theirs = self.headers.iter();
        theirs.any(|(theirs, _)| theirs.eq_ignore_ascii_case(name))
    }

    fn explain(&self, error: ureq::Error) -> Error {
        match error {
            // its text may hold what could not be sent
            ureq::Error::Http(_) => Error::failed("the URL or a header holds what cannot be sent"),
            error => http::explain(error, self.address.shown()),
        }
    }

    fn refusal(&self, status: StatusCode, headers: &HeaderMap) -> Error {
        let host = self.address.shown();
        let answered = format!("{host} answered {status}");
        match status.as_u16() {
            300..=399 => {
                let to = headers
                    .get("location")
                    .and_then(|value| value.to_str().ok());
                let to = to.and_then(|to| self.url.join(to).ok());
                let to = to.as_ref().and_then(Url::host_str).unwrap_or("nowhere");
                Error::failed(format!(
                    "{answered} and points to {to}; redirects are not followed"
                ))
                .hint("set url to where the receiver is now, if you trust it")
            }
            401 | 403 => Error::failed(answered).hint("check the token in the URL or the headers"),
            404 | 410 => Error::failed(answered).hint("check the URL; was the webhook deleted?"),
            408 | 425 | 429 | 500..=599 => Error::new(Kind::Unavailable, answered),
            _ => Error::failed(answered).hint("check url and template"),
        }
    }
}
