//! What a bucket is reached by: the settings with their defaults, and the keys of the configuration that fill them.

use super::credentials::SigningKeys;
use super::parts::MIB;
use crate::error::{Error, Result};
use crate::http::Limits;
use crate::secret::Secret;
use crate::yaml::cursor::Spot;
use crate::yaml::document::Node;
use crate::yaml::expand::Env;
use crate::yaml::keys::{KeyForm, KeyValues, SectionKey, names};
use crate::yaml::reader::KeyReader;
use crate::yaml::rules::{self, ValueFault};
use chrono::{DateTime, Utc};
use rusty_s3::{Bucket, UrlStyle};
use std::path::PathBuf;
use std::time::Duration;

/// What a bucket is reached by. [`S3Settings::new`] fills in what may be left out.
#[derive(Debug, Clone)]
pub struct S3Settings {
    /// The storage's name in the configuration.
    pub name: String,
    pub bucket: String,
    pub region: String,
    /// What all keys of ours begin with; slashes around it do not matter.
    pub prefix: String,
    /// The server, as `https://host[:port]`; Amazon's without it.
    pub endpoint: Option<String>,
    /// The bucket in the path instead of the host name; left out: with an endpoint, or where the name needs it.
    pub path_style: Option<bool>,
    /// With `secret_key`, the keys to sign with; without both they are looked for in the environment.
    pub access_key: Option<Secret>,
    /// Belongs to `access_key`.
    pub secret_key: Option<Secret>,
    /// Belongs to temporary keys.
    pub session_token: Option<Secret>,
    /// Certificates (PEM) to trust instead of Mozilla's.
    pub ca_file: Option<PathBuf>,
    /// The storage class of new objects.
    pub storage_class: Option<String>,
    /// `AES256` or `aws:kms`.
    pub server_side_encryption: Option<String>,
    /// The key for `aws:kms`.
    pub kms_key_id: Option<String>,
    /// Bytes of the first part; 8 MiB, or the most that fits where all parts must be equal.
    pub part_size: Option<u64>,
    /// Parts in flight at once.
    pub concurrency: usize,
    /// Bytes that the buffers of one upload may take.
    pub memory_ceiling: u64,
    /// How long to wait for what.
    pub limits: Limits,
    /// How long to try again for while an upload or a read is under way; questions get a tenth of it.
    pub patience: Duration,
    /// The clock that signs.
    pub now: fn() -> DateTime<Utc>,
}

/// The keys under `s3`.
pub(super) const KEYS: [SectionKey<S3Settings>; 14] = [
    SectionKey {
        name: "bucket",
        form: KeyForm::Required("the bucket's name", bucket_name, |s3, text| {
            s3.bucket = text
        }),
    },
    SectionKey {
        name: "region",
        form: KeyForm::Required("such as us-east-1", rules::no_control, |s3, text| {
            s3.region = text
        }),
    },
    SectionKey {
        name: "prefix",
        form: KeyForm::Text(prefix, |s3, text| s3.prefix = text),
    },
    SectionKey {
        name: "access_key",
        form: KeyForm::Secret(|s3, secret| s3.access_key = Some(secret)),
    },
    SectionKey {
        name: "secret_key",
        form: KeyForm::Password(|s3, secret| s3.secret_key = Some(secret)),
    },
    SectionKey {
        name: "session_token",
        form: KeyForm::Password(|s3, secret| s3.session_token = Some(secret)),
    },
    SectionKey {
        name: "endpoint",
        form: KeyForm::Text(endpoint, |s3, text| {
            s3.endpoint = Some(text.trim_end_matches('/').to_owned());
        }),
    },
    SectionKey {
        name: "path_style",
        form: KeyForm::Flag(|s3, flag| s3.path_style = Some(flag)),
    },
    SectionKey {
        name: "ca_file",
        form: KeyForm::Path(|s3, path| s3.ca_file = Some(path)),
    },
    SectionKey {
        name: "storage_class",
        form: KeyForm::Text(rules::no_control, |s3, text| s3.storage_class = Some(text)),
    },
    SectionKey {
        name: "server_side_encryption",
        form: KeyForm::Text(server_side_encryption, |s3, text| {
            s3.server_side_encryption = Some(text)
        }),
    },
    SectionKey {
        name: "kms_key_id",
        form: KeyForm::Text(rules::no_control, |s3, text| s3.kms_key_id = Some(text)),
    },
    SectionKey {
        name: "part_size",
        form: KeyForm::Size(5 << 20..=5 << 30, "5MiB to 5GiB", |s3, bytes| {
            s3.part_size = Some(bytes);
        }),
    },
    SectionKey {
        name: "concurrency",
        form: KeyForm::Number(1..=64, |s3, number| s3.concurrency = number as usize),
    },
];

/// Fails where `value` may not stand under `key`.
pub fn check(key: &str, value: &str) -> Result<()> {
    let rule = KEYS.iter().find(|known| known.name == key);
    let rule = rule.and_then(|known| match known.form {
        KeyForm::Required(_, rule, _) | KeyForm::Text(rule, _) => Some(rule),
        _ => None,
    });
    rule.map_or(Ok(()), |rule| rule(value))
        .map_err(|fault| fault.error(key))
}

/// Reads the keys under `s3`, and sees to those that need another beside them.
pub(super) fn read(reader: &mut KeyReader, spot: &Spot) -> Option<KeyValues<S3Settings>> {
    let table = reader.table(spot, &names(&KEYS))?;
    let values = reader.values(&table, &KEYS);
    reader.both_or_neither(&table, "access_key", "secret_key");
    if let (Some(spot), None) = (table.get("session_token"), table.get("access_key")) {
        let fault = ValueFault::new("needs access_key and secret_key beside it");
        reader.problem(&spot, fault);
    }
    let encryption = table.get("server_side_encryption");
    let by_kms =
        encryption.is_some_and(|spot| matches!(spot.node, Node::Text(text) if text == "aws:kms"));
    if let Some(spot) = table.get("kms_key_id")
        && !by_kms
    {
        let fault = ValueFault::new("needs server_side_encryption: aws:kms beside it");
        reader.problem(&spot, fault);
    }
    values
}

fn bucket_name(text: &str) -> Result<(), ValueFault> {
    match text.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control()) {
        true => Err(ValueFault::new("is not a bucket name")
            .hint("write the bare name; a path inside the bucket goes under prefix")),
        false => Ok(()),
    }
}

fn prefix(text: &str) -> Result<(), ValueFault> {
    let wrong = |what| Err(ValueFault::new(what).hint("write it as backups/host1"));
    if text.contains("//") {
        return wrong("contains two slashes in a row");
    }
    if text.split('/').any(|part| matches!(part, "." | "..")) {
        return wrong("contains . or .. as a part");
    }
    rules::no_control(text)
}

fn endpoint(text: &str) -> Result<(), ValueFault> {
    rules::http_url(text, "such as https://minio.example.com:9000")?;
    let Ok(url) = url::Url::parse(text) else {
        return Err(
            ValueFault::new("is no URL").hint("write it as https://host or https://host:port")
        );
    };
    // it is printed in messages and as a part of addresses
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ValueFault::new("holds a user or a password")
            .hint("write these as access_key and secret_key"));
    }
    let part = match (url.path(), url.query(), url.fragment()) {
        ("/", None, None) => return Ok(()),
        ("/", None, _) => "a fragment",
        ("/", ..) => "a query",
        _ => "a path",
    };
    let server = &url[..url::Position::BeforePath];
    Err(ValueFault::new(format!("holds {part}")).hint(format!(
        "write the server alone, endpoint: \"{server}\"; the bucket goes under bucket, and a path inside it under prefix"
    )))
}

fn server_side_encryption(text: &str) -> Result<(), ValueFault> {
    rules::one_of(text, &["AES256", "aws:kms"])
}

/// How long what fails is tried again. That and the cleaning up are over before a destination among several counts as
/// stalled, so that its own reason is what is told.
const PATIENCE: Duration = Duration::from_secs(270);

impl S3Settings {
    /// The settings that have to be given, and the usual ones for the rest.
    pub fn new(
        name: impl Into<String>,
        bucket: impl Into<String>,
        region: impl Into<String>,
    ) -> S3Settings {
        S3Settings {
            name: name.into(),
            bucket: bucket.into(),
            region: region.into(),
            prefix: String::new(),
            endpoint: None,
            path_style: None,
            access_key: None,
            secret_key: None,
            session_token: None,
            ca_file: None,
            storage_class: None,
            server_side_encryption: None,
            kms_key_id: None,
            part_size: None,
            concurrency: 4,
            memory_ceiling: 256 * MIB,
            limits: Limits::default(),
            patience: PATIENCE,
            now: Utc::now,
        }
    }

    /// What the configuration says about the storage `name`, with its variables replaced.
    pub(super) fn resolve(
        name: &str,
        values: &KeyValues<S3Settings>,
        env: &Env,
    ) -> Result<S3Settings> {
        let mut settings = S3Settings::new(name, "", "");
        values.fill(&mut settings, env)?;
        match (&settings.access_key, &settings.secret_key) {
            (Some(_), Some(_)) => Ok(settings),
            (None, None) if settings.session_token.is_none() => Ok(settings),
            _ => Err(Error::usage(format!(
                "{}: access_key and secret_key belong together, and one of them is empty",
                values.field
            ))
            .hint("give both, or neither to use the credentials of the surroundings")),
        }
    }

    /// The bucket and how its addresses are made.
    pub(super) fn bucket(&self) -> Result<Bucket> {
        let wrong = |what: String| Error::usage(format!("storage {}: {what}", self.name));
        let endpoint = match &self.endpoint {
            Some(endpoint) => endpoint.clone(),
            None if self.region.starts_with("cn-") => {
                format!("https://s3.{}.amazonaws.com.cn", self.region)
            }
            None => format!("https://s3.{}.amazonaws.com", self.region),
        };
        let url = url::Url::parse(&endpoint).map_err(|error| {
            wrong("its endpoint is none".to_string())
                .because(error)
                .hint("write it as https://host or https://host:port")
        })?;
        if self.bucket.is_empty() || self.bucket.contains('/') {
            return Err(wrong("its bucket is no name of one".to_string()));
        }
        // a dot in the name has no certificate, and other letters no host name
        let plain =
            |letter: u8| letter == b'-' || letter.is_ascii_lowercase() || letter.is_ascii_digit();
        let path_style = self
            .path_style
            .unwrap_or(self.endpoint.is_some() || !self.bucket.bytes().all(plain));
        let style = if path_style {
            UrlStyle::Path
        } else {
            UrlStyle::VirtualHost
        };
        Bucket::new(url, style, self.bucket.clone(), self.region.clone()).map_err(|_| {
            wrong(format!(
                "the bucket {} cannot be reached at {endpoint}",
                self.bucket
            ))
            .hint(
                "write the endpoint as https://host or https://host:port, or set path_style: true",
            )
        })
    }

    /// The keys of the configuration, if it has some.
    pub(super) fn keys(&self) -> Result<Option<SigningKeys>> {
        match (&self.access_key, &self.secret_key) {
            (Some(access), Some(secret)) => Ok(Some(SigningKeys::fixed(
                access.clone(),
                secret.clone(),
                self.session_token.clone(),
            ))),
            (None, None) => Ok(None),
            _ => Err(Error::usage(format!(
                "storage {}: access_key and secret_key belong together",
                self.name
            ))
            .hint("set both, or neither to use the machine's own credentials")),
        }
    }

    /// Headers of a request that makes an object.
    pub(super) fn headers(&self) -> Vec<(&'static str, String)> {
        let named = [
            ("x-amz-storage-class", &self.storage_class),
            ("x-amz-server-side-encryption", &self.server_side_encryption),
            (
                "x-amz-server-side-encryption-aws-kms-key-id",
                &self.kms_key_id,
            ),
        ];
        named
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.clone()?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::document;

    fn url(bucket: &str, change: impl Fn(&mut S3Settings)) -> String {
        let mut settings = S3Settings::new("s3main", bucket, "eu-west-1");
        change(&mut settings);
        settings.bucket().unwrap().base_url().to_string()
    }

    #[test]
    fn amazon_is_reached_by_host_name_where_the_bucket_can_be_one() {
        let amazon = "s3.eu-west-1.amazonaws.com";
        let plain = |_: &mut S3Settings| {};
        assert_eq!(url("my-b1", plain), format!("https://my-b1.{amazon}/"));
        assert_eq!(url("my.b", plain), format!("https://{amazon}/my.b/"));
        assert_eq!(url("My_b", plain), format!("https://{amazon}/My_b/"));
        let china = url("b", |settings| settings.region = "cn-north-1".into());
        assert_eq!(china, "https://b.s3.cn-north-1.amazonaws.com.cn/");
    }

    #[test]
    fn an_endpoint_holds_no_login() {
        assert!(super::endpoint("https://minio.example.com:9000").is_ok());
        for login in ["user:hunter2@", "hunter2@", ":hunter2@"] {
            let fault = super::endpoint(&format!("https://{login}minio.example.com"));
            let fault = fault.unwrap_err();
            assert!(fault.what.contains("password") && !fault.what.contains("hunter2"));
        }
    }

    #[test]
    fn an_endpoint_has_the_bucket_in_its_path_unless_told_otherwise() {
        let endpoint = |settings: &mut S3Settings| {
            settings.endpoint = Some("https://minio.example.com:9000".into());
        };
        assert_eq!(url("b", endpoint), "https://minio.example.com:9000/b/");
        let host = url("b", |settings| {
            endpoint(settings);
            settings.path_style = Some(false);
        });
        assert_eq!(host, "https://b.minio.example.com:9000/");
    }

    /// What the keys under `s3` say, and what is wrong with them.
    fn configured(text: &str, env: &Env) -> (Option<Result<S3Settings>>, Vec<String>) {
        let tree = document::parse(text).ok().unwrap();
        let mut reader = KeyReader {
            base: None,
            env,
            home_of: |_| None,
            problems: Vec::new(),
            warnings: Vec::new(),
            plain_secrets: Vec::new(),
            written_passwords: Vec::new(),
            secrets: Vec::new(),
        };
        let spot = Spot {
            node: &tree,
            path: "s3".into(),
            steps: Vec::new(),
        };
        let values = read(&mut reader, &spot);
        let problems = reader.problems.iter();
        let problems = problems.map(|problem| format!("{} {}", problem.path, problem.what));
        let settings = values.map(|values| S3Settings::resolve("s3main", &values, env));
        (settings, problems.collect())
    }

    #[test]
    fn every_key_fills_its_setting() {
        let text = "\
bucket: b
region: ${REGION:-garage}
prefix: /a/b/
access_key: ${ACCESS}
secret_key: s
session_token: t
endpoint: http://127.0.0.1:3900/
path_style: false
ca_file: /ca.pem
storage_class: STANDARD_IA
server_side_encryption: aws:kms
kms_key_id: k
part_size: 16MiB
concurrency: 2
";
        let env = |name: &str| (name == "ACCESS").then(|| "a: {key}".into());
        let (settings, problems) = configured(text, &env);
        assert!(problems.is_empty(), "{problems:?}");
        let settings = settings.unwrap().unwrap();
        let secret = |secret: &Option<Secret>| secret.as_ref().unwrap().expose().to_string();
        assert_eq!(
            (&*settings.name, &*settings.bucket, &*settings.region),
            ("s3main", "b", "garage")
        );
        assert_eq!(settings.prefix.trim_matches('/'), "a/b");
        assert_eq!(secret(&settings.access_key), "a: {key}");
        assert_eq!(secret(&settings.secret_key), "s");
        assert_eq!(secret(&settings.session_token), "t");
        assert_eq!(settings.endpoint.as_deref(), Some("http://127.0.0.1:3900"));
        assert_eq!(settings.path_style, Some(false));
        assert_eq!(settings.ca_file, Some("/ca.pem".into()));
        assert_eq!(settings.storage_class.as_deref(), Some("STANDARD_IA"));
        assert_eq!(settings.server_side_encryption.as_deref(), Some("aws:kms"));
        assert_eq!(settings.kms_key_id.as_deref(), Some("k"));
        assert_eq!(settings.part_size, Some(16 << 20));
        assert_eq!(settings.concurrency, 2);
    }

    #[test]
    fn a_key_that_needs_another_beside_it_is_told() {
        for (keys, what) in [
            (
                "kms_key_id: k",
                "s3.kms_key_id needs server_side_encryption: aws:kms beside it",
            ),
            (
                "server_side_encryption: AES256, kms_key_id: k",
                "s3.kms_key_id needs server_side_encryption: aws:kms beside it",
            ),
            ("access_key: a", "s3.access_key needs secret_key beside it"),
            (
                "session_token: t",
                "s3.session_token needs access_key and secret_key beside it",
            ),
        ] {
            let text = format!("{{ bucket: b, region: r, {keys} }}");
            let (_, problems) = configured(&text, &|_| None);
            assert_eq!(problems, [what]);
        }
    }

    #[test]
    fn a_pair_of_keys_of_which_one_turns_out_empty_is_refused() {
        let text = "{ bucket: b, region: r, access_key: a, secret_key: '${NONE:-}' }";
        let (settings, _) = configured(text, &|_| None);
        assert_eq!(
            settings.unwrap().unwrap_err().to_string(),
            "s3: access_key and secret_key belong together, and one of them is empty"
        );
        let text = "{ bucket: b, region: r, access_key: '${NONE:-}', secret_key: '${NONE:-}' }";
        let (settings, _) = configured(text, &|_| None);
        assert!(settings.unwrap().unwrap().access_key.is_none());
    }

    #[test]
    fn a_setting_never_shows_its_secrets() {
        let mut settings = S3Settings::new("s3main", "b", "eu-west-1");
        settings.secret_key = Some(Secret::new("canary"));
        settings.session_token = Some(Secret::new("canary"));
        assert!(!format!("{settings:?}").contains("canary"));
    }
}
