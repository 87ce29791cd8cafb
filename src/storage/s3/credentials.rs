//! The keys that requests are signed with: those of the configuration, else the first of these that has some:
//!
//! 1. `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`;
//! 2. the container's endpoint (ECS tasks, EKS Pod Identity), named by
//!    `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` or `…_FULL_URI`;
//! 3. the EC2 instance's role, by IMDSv2.
//!
//! The last two expire; they are renewed a while before, and once more when a server calls them expired. Where the environment
//! names an identity that we do not take (web identity, a profile), none of the later ones is taken in its place.

use crate::error::{Doing, Error, Kind, Result};
use crate::http::{Address, Limits, agent};
use crate::secret::Secret;
use chrono::{DateTime, TimeDelta, Utc};
use std::io::Read;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use ureq::Agent;

/// Renewed when they have less than this to live.
const RENEW: TimeDelta = TimeDelta::minutes(5);
/// These endpoints are on the machine or beside it.
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(2),
    idle: Duration::from_secs(5),
    total: Duration::from_secs(10),
};
const CONTAINER: &str = "http://169.254.170.2";
const INSTANCE: &str = "http://169.254.169.254";
/// What the environment may name as the identity to use, and why it is not ours.
const NOT_TAKEN: [(&[&str], &str); 3] = [
    (
        &["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"],
        "keys by web identity (such as EKS' roles for service accounts) are not supported",
    ),
    (
        &[
            "AWS_PROFILE",
            "AWS_DEFAULT_PROFILE",
            "AWS_SHARED_CREDENTIALS_FILE",
        ],
        "profiles of the AWS command line are not read",
    ),
    (
        &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY belong together, and one of them is missing",
    ),
];
const OTHER_WAYS: &str = "set access_key and secret_key of the storage, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; or unset it and use \
     EKS Pod Identity, the role of an ECS task, or that of the EC2 instance";
const SERVICE: &str = "the EC2 metadata service";

/// One set of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SigningKeys {
    pub access_key: Secret,
    pub secret_key: Secret,
    pub session_token: Option<Secret>,
    /// When they expire, if they do.
    expires: Option<DateTime<Utc>>,
}

impl SigningKeys {
    /// Keys that stay.
    pub fn fixed(
        access_key: Secret,
        secret_key: Secret,
        session_token: Option<Secret>,
    ) -> SigningKeys {
        SigningKeys {
            access_key,
            secret_key,
            session_token: session_token.filter(|token| !token.is_empty()),
            expires: None,
        }
    }
}

/// Reads an environment variable.
pub(super) type Environment = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Where keys come from.
pub(super) struct Credentials {
    fixed: Option<SigningKeys>,
    environment: Environment,
    agent: Agent,
    found: Mutex<Option<SigningKeys>>,
}

impl Credentials {
    /// `fixed` are those of the configuration; without them they are looked for.
    pub fn new(fixed: Option<SigningKeys>, environment: Environment) -> Credentials {
        Credentials {
            fixed,
            environment,
            agent: agent(LIMITS, None, &Address::direct()),
            found: Mutex::new(None),
        }
    }

    /// The keys to sign with at `now`.
    pub fn get(&self, now: DateTime<Utc>) -> Result<SigningKeys> {
        if let Some(keys) = &self.fixed {
            return Ok(keys.clone());
        }
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let left = |keys: &SigningKeys| keys.expires.map(|at| at - now);
        if let Some(keys) = found.as_ref()
            && left(keys).is_none_or(|left| left > RENEW)
        {
            return Ok(keys.clone());
        }
        match (self.find(), found.as_ref()) {
            (Ok(keys), _) => {
                *found = Some(keys.clone());
                Ok(keys)
            }
            (Err(error), Some(old)) if left(old).is_some_and(|left| left > TimeDelta::zero()) => {
                log::warn!("cannot renew the S3 credentials: {}", error.chain());
                Ok(old.clone())
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Forgets keys that a server called expired. True where new ones can be had.
    pub fn forget(&self) -> bool {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let renewable = found.as_ref().is_some_and(|keys| keys.expires.is_some());
        if renewable {
            *found = None;
        }
        renewable
    }

    fn variable(&self, name: &str) -> Option<String> {
        (self.environment)(name).filter(|value| !value.is_empty())
    }

    fn find(&self) -> Result<SigningKeys> {
        if let (Some(access_key), Some(secret_key)) = (
            self.variable("AWS_ACCESS_KEY_ID"),
            self.variable("AWS_SECRET_ACCESS_KEY"),
        ) {
            let token = self.variable("AWS_SESSION_TOKEN").map(Secret::new);
            return Ok(SigningKeys::fixed(
                Secret::new(access_key),
                Secret::new(secret_key),
                token,
            ));
        }
        self.refuse_other_identity()?;
        if let Some(url) = self.container_url()? {
            return self
                .ask_container(&url)
                .doing(|| "cannot get S3 credentials");
        }
        if self
            .variable("AWS_EC2_METADATA_DISABLED")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
        {
            return Err(none());
        }
        self.ask_instance().map_err(|error| none().because(error))
    }

    /// Fails where the environment names an identity that we do not take: another one in its place, such as the role of the
    /// node, may have more rights than were meant, or those of somebody else's buckets.
    fn refuse_other_identity(&self) -> Result<()> {
        let named = NOT_TAKEN.iter().find_map(|(variables, what)| {
            let variable = variables
                .iter()
                .find(|name| self.variable(name).is_some())?;
            Some((variable, what))
        });
        match named {
            None => Ok(()),
            Some((variable, what)) => Err(Error::usage(format!(
                "{variable} is set: {what}, and no other role is taken in its place"
            ))
            .hint(OTHER_WAYS)),
        }
    }

    fn container_url(&self) -> Result<Option<String>> {
        if let Some(path) = self.variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
            return Ok(Some(format!(
                "{CONTAINER}/{}",
                path.trim_start_matches('/')
            )));
        }
        let Some(full) = self.variable("AWS_CONTAINER_CREDENTIALS_FULL_URI") else {
            return Ok(None);
        };
        if !is_trustworthy(&full) {
            return Err(Error::usage(format!(
                "AWS_CONTAINER_CREDENTIALS_FULL_URI is {full}, neither https nor an address of this machine"
            ))
            .hint(OTHER_WAYS));
        }
        Ok(Some(full))
    }

    fn ask_container(&self, url: &str) -> Result<SigningKeys> {
        let mut request = self.agent.get(url);
        let token = match self.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
            Some(path) => Some(
                std::fs::read_to_string(&path)
                    .doing(|| format!("cannot read the token in {path}"))?,
            ),
            None => self.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
        };
        if let Some(token) = token {
            request = request.header("authorization", token.trim());
        }
        keys_of(&answer(request.call(), "the container's endpoint")?)
    }

    fn ask_instance(&self) -> Result<SigningKeys> {
        let base = self
            .variable("AWS_EC2_METADATA_SERVICE_ENDPOINT")
            .unwrap_or_else(|| INSTANCE.to_string());
        let base = base.trim_end_matches('/');
        let url = format!("{base}/latest/api/token");
        let token = self
            .agent
            .put(&url)
            .header("x-aws-ec2-metadata-token-ttl-seconds", "300")
            .send_empty();
        let token = answer(token, SERVICE)?;
        let get = |path: &str| {
            let url = format!("{base}/latest/meta-data/iam/security-credentials/{path}");
            let request = self.agent.get(&url);
            answer(
                request
                    .header("x-aws-ec2-metadata-token", token.trim())
                    .call(),
                SERVICE,
            )
        };
        let roles = get("")?;
        let role = roles.lines().next().unwrap_or("").trim();
        if role.is_empty() {
            return Err(Error::failed("this EC2 instance has no role"));
        }
        keys_of(&get(role)?)
    }
}

fn none() -> Error {
    Error::usage("there are no S3 credentials: neither access_key and secret_key in the configuration, nor AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, nor a container's or EC2 instance's role")
        .hint("set access_key and secret_key of the storage, or give this machine a role")
}

/// Keys are asked for over TLS, or of this machine and the two services beside it.
fn is_trustworthy(url: &str) -> bool {
    let Ok(url) = url::Url::parse(url) else {
        return false;
    };
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(url::Host::Domain(name))) => name == "localhost",
        ("http", Some(url::Host::Ipv4(address))) => {
            address.is_loopback()
                || [[169, 254, 170, 2], [169, 254, 170, 23]].contains(&address.octets())
        }
        ("http", Some(url::Host::Ipv6(address))) => {
            address.is_loopback() || address.to_string() == "fd00:ec2::23"
        }
        _ => false,
    }
}

/// The text of a good answer. It may hold keys, and the address be a secret too, so neither is in a message.
fn answer(
    outcome: std::result::Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    who: &str,
) -> Result<String> {
    let mut response = outcome.map_err(|error| crate::http::explain(error, who))?;
    let status = response.status().as_u16();
    if status != 200 {
        let kind = if status >= 500 {
            Kind::Unavailable
        } else {
            Kind::Failed
        };
        return Err(Error::new(kind, format!("{who} answered {status}")));
    }
    let mut text = String::new();
    response
        .body_mut()
        .as_reader()
        .take(64 * 1024)
        .read_to_string(&mut text)
        .doing(|| format!("cannot read the answer of {who}"))?;
    Ok(text)
}

fn keys_of(text: &str) -> Result<SigningKeys> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Document {
        access_key_id: Secret,
        secret_access_key: Secret,
        token: Option<Secret>,
        expiration: Option<DateTime<Utc>>,
    }
    // serde's message could show a part of the document, so it is not passed on
    let document: Document = serde_json::from_str(text)
        .map_err(|_| Error::failed("what the endpoint answered holds no credentials"))?;
    let mut keys = SigningKeys::fixed(
        document.access_key_id,
        document.secret_access_key,
        document.token,
    );
    keys.expires = document.expiration;
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::s3::role_server::{document, environment, serve};
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, Mutex};

    fn now() -> DateTime<Utc> {
        "2026-11-20T02:00:00Z".parse().unwrap()
    }

    #[test]
    fn the_environment_comes_first_and_an_empty_token_is_none() {
        let credentials = Credentials::new(
            None,
            environment(&[
                ("AWS_ACCESS_KEY_ID", "a".into()),
                ("AWS_SECRET_ACCESS_KEY", "b".into()),
                ("AWS_SESSION_TOKEN", String::new()),
            ]),
        );
        let keys = credentials.get(now()).unwrap();
        assert_eq!(
            keys,
            SigningKeys::fixed(Secret::new("a"), Secret::new("b"), None)
        );
        assert!(!credentials.forget(), "these cannot be renewed");
    }

    #[test]
    fn an_instance_role_is_asked_for_with_a_token_and_renewed_before_it_expires() {
        let asked = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&asked);
        let address = serve(move |head| {
            let with_token = head
                .to_ascii_lowercase()
                .contains("x-aws-ec2-metadata-token: tok");
            match head.split_whitespace().take(2).collect::<Vec<_>>()[..] {
                ["PUT", "/latest/api/token"] => "tok".into(),
                ["GET", "/latest/meta-data/iam/security-credentials/"] if with_token => {
                    "role\n".into()
                }
                ["GET", "/latest/meta-data/iam/security-credentials/role"] if with_token => {
                    match count.fetch_add(1, Ordering::SeqCst) {
                        0 => document("first", "2026-11-20T02:30:00Z"),
                        _ => document("second", "2026-11-20T08:00:00Z"),
                    }
                }
                _ => String::new(),
            }
        });
        let credentials = Credentials::new(
            None,
            environment(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", address)]),
        );
        let key = |at| credentials.get(at).unwrap().access_key.expose().to_string();
        assert_eq!(key(now()), "first");
        assert_eq!(key(now() + TimeDelta::minutes(20)), "first");
        assert_eq!(key(now() + TimeDelta::minutes(26)), "second");
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        assert!(credentials.forget());
        assert_eq!(key(now()), "second");
        assert_eq!(asked.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn a_container_sends_its_token_and_keeps_old_keys_while_they_last() {
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&heads);
        let address = serve(move |head| {
            let mut seen = seen.lock().unwrap();
            seen.push(head.to_ascii_lowercase());
            match seen.len() {
                1 => document("only", "2026-11-20T02:30:00Z"),
                _ => String::new(),
            }
        });
        let credentials = Credentials::new(
            None,
            environment(&[
                (
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                    format!("{address}/v1"),
                ),
                ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "canary\n".into()),
            ]),
        );
        let at = |minutes| credentials.get(now() + TimeDelta::minutes(minutes));
        assert_eq!(at(0).unwrap().access_key.expose(), "only");
        assert_eq!(at(29).unwrap().access_key.expose(), "only");
        let error = at(31).unwrap_err();
        assert!(
            error
                .chain()
                .ends_with("the container's endpoint answered 404"),
            "{error:?}"
        );
        assert!(!format!("{error:?}").contains("canary"));
        assert!(heads.lock().unwrap()[0].contains("authorization: canary\r\n"));
    }

    #[test]
    fn keys_are_not_asked_of_strangers_in_clear() {
        for url in [
            "http://169.254.170.2/v2",
            "http://169.254.170.23/v1",
            "http://[fd00:ec2::23]/v1",
            "http://127.0.0.1:80/",
            "https://example.com/",
        ] {
            assert!(is_trustworthy(url), "{url}");
        }
        for url in ["http://example.com/", "http://10.0.0.1/", "ftp://x", "x"] {
            assert!(!is_trustworthy(url), "{url}");
        }
    }

    #[test]
    fn an_identity_that_is_not_taken_is_never_replaced_by_another() {
        let asked = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&asked);
        let address = serve(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            document("node", "2026-11-20T08:00:00Z")
        });
        for variable in [
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_ROLE_ARN",
            "AWS_PROFILE",
            "AWS_DEFAULT_PROFILE",
            "AWS_SHARED_CREDENTIALS_FILE",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
        ] {
            let credentials = Credentials::new(
                None,
                environment(&[
                    (variable, "canary".into()),
                    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", address.clone()),
                    ("AWS_EC2_METADATA_SERVICE_ENDPOINT", address.clone()),
                ]),
            );
            let error = credentials.get(now()).unwrap_err();
            assert_eq!(error.kind(), Kind::Usage, "{variable}");
            assert!(error.to_string().starts_with(variable), "{error}");
            assert!(!error.report().to_string().contains("canary"));
        }
        assert_eq!(asked.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn no_credentials_anywhere_says_where_they_were_looked_for() {
        let disabled = [("AWS_EC2_METADATA_DISABLED", "true".to_string())];
        let error = Credentials::new(None, environment(&disabled))
            .get(now())
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert!(error.to_string().contains("AWS_ACCESS_KEY_ID"));
    }
}
