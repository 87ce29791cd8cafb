//! What a bucket is reached by, and the defaults.

use super::credentials::SigningKeys;
use super::parts::MIB;
use crate::error::{Error, Result};
use crate::http::Limits;
use crate::secret::Secret;
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
            wrong(format!("{endpoint:?} is no endpoint"))
                .because(error)
                .hint("write it as https://host or https://host:port")
        })?;
        if self.bucket.is_empty() || self.bucket.contains('/') {
            return Err(wrong(format!("{:?} is no name of a bucket", self.bucket)));
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

    #[test]
    fn a_setting_never_shows_its_secrets() {
        let mut settings = S3Settings::new("s3main", "b", "eu-west-1");
        settings.secret_key = Some(Secret::new("canary"));
        settings.session_token = Some(Secret::new("canary"));
        assert!(!format!("{settings:?}").contains("canary"));
    }
}
