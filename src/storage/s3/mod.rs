//! A bucket of Amazon S3 or of anything that speaks its protocol.
//!
//! ```text
//! settings     what a bucket is reached by
//! client       sends a request: signed, limited, tried again
//! upload       an object that is written; commit: the one request that makes it visible; kept: what the server has then
//! dated        small objects that hosts leave for each other
//! multipart    its parts; parts: their sizes
//! read         an object that is read, across dropped connections
//! listing      objects and unfinished uploads; pages: one after another, to the end; deletion in batches
//! credentials  the keys that sign; error: what a refusal means; http: limits; xml
//! ```
//!
//! Permissions: `s3:GetObject` and `s3:ListBucket` to list, verify and restore; besides, `s3:PutObject` and
//! `s3:AbortMultipartUpload` to write, which looks at what it wrote; `s3:ListBucketMultipartUploads` and `s3:ListMultipartUploadParts` to
//! sweep; `s3:DeleteObject` only where retention is set.

mod client;
mod commit;
mod credentials;
mod dated;
mod deletion;
mod error;
mod kept;
mod listing;
mod multipart;
mod pages;
mod parts;
mod read;
mod request;
#[cfg(test)]
mod role_server;
mod settings;
mod upload;
mod xml;

pub use crate::http::Limits;
pub use settings::{S3Settings, check};

use super::kind::{StorageKeys, StorageKind};
use super::runtime_directory::runtime_directory;
use super::{Dated, Object, Storage, Until, Upload, require_key};
use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::files::random;
use crate::http::{self, Address};
use crate::yaml::expand::Env;
use crate::yaml::keys::{KeyValues, names};
use chrono::{DateTime, TimeDelta, Utc};
use client::{BucketAccess, S3Client};
use commit::UploadTarget;
use credentials::Credentials;
use listing::{Listed, Unfinished};
use parts::{PartPlan, ProviderRules};
use request::S3Request;
use rusty_s3::Method;
use settings::KEYS;
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64};
use std::sync::{Arc, OnceLock};
use upload::S3Upload;

/// A bucket, as the configuration knows it.
pub(super) const KIND: StorageKind = StorageKind {
    word: "s3",
    example: "such as s3: { bucket: my-backups, region: us-east-1 }",
    keys: || names(&KEYS),
    read: |reader, spot| Some(Box::new(settings::read(reader, spot)?)),
};

impl StorageKeys for KeyValues<S3Settings> {
    fn open(&self, name: &str, env: &Env) -> Result<Box<dyn Storage>> {
        Ok(Box::new(S3::new(S3Settings::resolve(name, self, env)?)?))
    }

    fn directory(&self, _: &Env) -> Result<Option<PathBuf>> {
        Ok(None)
    }

    fn files(&self, env: &Env) -> Result<Vec<PathBuf>> {
        self.paths(env)
    }
}

/// Uploads that nobody added to for this long were left by a dead run.
const ORPHANED: TimeDelta = TimeDelta::hours(24);

/// Backups under one prefix of a bucket.
pub struct S3 {
    client: S3Client,
    headers: Vec<(&'static str, String)>,
    plan: PartPlan,
}

impl S3 {
    /// A storage with these settings. Asks nobody yet.
    pub fn new(settings: S3Settings) -> Result<S3> {
        let bucket = settings.bucket()?;
        let host = bucket.base_url().host_str().unwrap_or_default();
        let plan = PartPlan::new(
            ProviderRules::of(host),
            settings.part_size,
            settings.memory_ceiling,
            settings.concurrency,
        )
        .map_err(|error| error.doing(format!("storage {}", settings.name)))?;
        let prefix = match settings.prefix.trim_matches('/') {
            "" => String::new(),
            prefix => {
                require_key(prefix)?;
                format!("{prefix}/")
            }
        };
        let variable = |name: &str| std::env::var(name).ok();
        let roots = settings.ca_file.as_deref().map(http::roots).transpose()?;
        let shared = BucketAccess {
            credentials: Credentials::new(settings.keys()?, Box::new(variable)),
            address: Address::of(bucket.base_url(), &variable)
                .map_err(|error| error.doing(format!("storage {}", settings.name)))?,
            storage: settings.name.clone(),
            bucket,
            prefix,
            limits: settings.limits,
            roots,
            patience: settings.patience,
            now: settings.now,
            ahead: AtomicI64::new(0),
            conditional: AtomicBool::new(true),
            etags_are_md5: OnceLock::new(),
        };
        Ok(S3 {
            client: S3Client::new(Arc::new(shared)),
            headers: settings.headers(),
            plan,
        })
    }

    fn prefix(&self) -> &str {
        &self.client.shared.prefix
    }

    /// The whole key of `key`.
    fn whole(&self, key: &str) -> Result<String> {
        require_key(key)?;
        Ok(format!("{}{key}", self.prefix()))
    }

    /// Hands on what lies in `directory` itself, its keys relative to the storage.
    fn visit_directory(
        &self,
        directory: &str,
        cancel: &Cancel,
        each: &mut dyn FnMut(Object) -> Result<()>,
    ) -> Result<()> {
        let prefix = format!("{}/", self.whole(directory)?);
        listing::visit(&self.client, &prefix, cancel, &mut |listed| {
            let Listed::Object(object) = listed else {
                return Ok(());
            };
            // a name that is empty is how consoles make a directory
            match object.key.strip_prefix(&prefix) {
                Some(name) if !name.is_empty() && !name.contains('/') => each(Object {
                    key: format!("{directory}/{name}"),
                    bytes: object.bytes,
                }),
                _ => Ok(()),
            }
        })
    }

    /// The names of what lies deeper than `prefix`.
    fn directories_below(&self, prefix: &str, cancel: &Cancel) -> Result<Vec<String>> {
        let mut directories = Vec::new();
        listing::visit(&self.client, prefix, cancel, &mut |listed| {
            if let Listed::Directory(whole) = listed
                && let Some(name) = whole.strip_prefix(prefix)
                && let Some(name) = name.strip_suffix('/')
                && !name.starts_with('.')
                && require_key(name).is_ok()
            {
                directories.push(name.to_string());
            }
            Ok(())
        })?;
        Ok(directories)
    }

    fn target(&self, key: &str) -> Result<UploadTarget> {
        Ok(UploadTarget {
            client: self.client.clone(),
            key: self.whole(key)?,
            shown: self.locate(key),
            headers: self.headers.clone(),
            token: random::token()?,
        })
    }

    fn remove_orphans(
        &self,
        unfinished: Vec<Unfinished>,
        ours: &dyn Fn(&str) -> bool,
        cancel: &Cancel,
    ) -> Result<Vec<String>> {
        let client = &self.client;
        let now = (client.shared.now)();
        let is_old = |at: DateTime<Utc>| now - at > ORPHANED;
        let mut swept = Vec::new();
        for upload in unfinished {
            let Some(key) = upload.key.strip_prefix(self.prefix()) else {
                continue;
            };
            if !ours(key) || !upload.started.is_some_and(is_old) {
                continue;
            }
            // a backup that takes days is alive as long as its parts arrive
            let newest = listing::newest_part(client, &upload, cancel)?;
            if newest.is_none_or(is_old) && listing::abort(client, &upload, cancel)? {
                swept.push(key.to_string());
            }
        }
        Ok(swept)
    }
}

impl Storage for S3 {
    fn name(&self) -> &str {
        &self.client.shared.storage
    }

    fn locate(&self, key: &str) -> String {
        let bucket = self.client.shared.bucket.name();
        format!("s3://{bucket}/{}{key}", self.prefix())
    }

    fn create(&self, key: &str, cancel: &Cancel) -> Result<Box<dyn Upload>> {
        let target = self.target(key)?;
        Ok(Box::new(S3Upload::new(target, self.plan, cancel)))
    }

    fn open_at(&self, key: &str, offset: u64, cancel: &Cancel) -> Result<Box<dyn Read + Send>> {
        let whole = self.whole(key)?;
        read::open(&self.client, whole, self.locate(key), offset, cancel)
    }

    fn stat(&self, key: &str, cancel: &Cancel) -> Result<Option<Object>> {
        let request = |method| {
            let doing = format!("cannot look at {}", self.locate(key));
            Ok::<_, Error>(S3Request::new(
                method,
                self.whole(key)?,
                "s3:GetObject",
                doing,
            ))
        };
        let head = Arc::new(request(Method::Head)?);
        let answer = self.client.call(cancel, self.client.brief(), &head)?;
        if answer.is_good()
            && let Some(bytes) = answer.header("content-length")
        {
            let bytes = bytes
                .parse()
                .map_err(|_| Error::failed(format!("{} has no size", self.locate(key))))?;
            return Ok(Some(Object {
                key: key.to_string(),
                bytes,
            }));
        }
        // such an answer has no words; the same question as a GET has
        let get = Arc::new(request(Method::Get)?.header("range", "bytes=0-0"));
        let answer = self.client.call(cancel, self.client.brief(), &get)?;
        match answer.code.as_str() {
            "NoSuchKey" => Ok(None),
            _ => Err(self.client.explain(&get, &answer)),
        }
    }

    fn visit(
        &self,
        directory: Option<&str>,
        cancel: &Cancel,
        each: &mut dyn FnMut(Object) -> Result<()>,
    ) -> Result<()> {
        match directory {
            Some(directory) => self.visit_directory(directory, cancel, each),
            None => self
                .directories_below(self.prefix(), cancel)?
                .iter()
                .try_for_each(|directory| self.visit_directory(directory, cancel, each)),
        }
    }

    fn directories(&self, directory: &str, cancel: &Cancel) -> Result<Vec<String>> {
        let prefix = format!("{}/", self.whole(directory)?);
        self.directories_below(&prefix, cancel)
    }

    fn delete_until(
        &self,
        keys: &[String],
        until: Option<Until<'_>>,
        cancel: &Cancel,
    ) -> Result<()> {
        let whole: Vec<String> = keys
            .iter()
            .map(|key| self.whole(key))
            .collect::<Result<_>>()?;
        deletion::delete(&self.client, &whole, until, cancel)
    }

    fn claim(&self, key: &str, bytes: &[u8], cancel: &Cancel) -> Result<bool> {
        dated::claim(&self.target(key)?, bytes, cancel)
    }

    fn read_dated(&self, key: &str, largest: u64, cancel: &Cancel) -> Result<Option<Dated>> {
        let doing = format!("cannot read {}", self.locate(key));
        let request = S3Request::new(Method::Get, self.whole(key)?, "s3:GetObject", doing);
        dated::read(&self.client, request, largest, cancel)
    }

    fn sweep(
        &self,
        directory: &str,
        ours: &dyn Fn(&str) -> bool,
        cancel: &Cancel,
    ) -> Result<Vec<String>> {
        let prefix = format!("{}/", self.whole(directory)?);
        // what is wrong with the keys or the bucket ends a backup here, before its dump begins
        let unfinished = listing::uploads(&self.client, &prefix, cancel)?;
        match self.remove_orphans(unfinished, ours, cancel) {
            Err(error) if !error.kind().may_pass() && cancel.check().is_ok() => {
                // as above, without the right to look at parts or to abort
                log::warn!("unfinished uploads are not swept: {}", error.report());
                Ok(Vec::new())
            }
            other => other,
        }
    }

    fn lock_file(&self, directory: &str) -> Result<PathBuf> {
        require_key(directory)?;
        let place = format!("{}{}", self.client.shared.bucket.base_url(), self.prefix());
        let hash: String = Sha256::digest(place.as_bytes())[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let name = directory.replace('/', "%2F");
        Ok(runtime_directory()?.join(format!("s3-{hash}-{name}.lock")))
    }

    fn limit(&self) -> Option<u64> {
        Some(self.plan.limit())
    }

    fn clock_ahead(&self, cancel: &Cancel) -> Result<Option<TimeDelta>> {
        let bucket = self.client.shared.bucket.name();
        let doing = format!("cannot look at s3://{bucket}");
        // a refusal is dated as well
        let head = Arc::new(S3Request::new(Method::Head, "", "s3:ListBucket", doing));
        let answer = self.client.call(cancel, self.client.brief(), &head)?;
        let date = answer.header("date").map(DateTime::parse_from_rfc2822);
        let now = (self.client.shared.now)();
        Ok(date.and_then(Result::ok).map(|date| now - date.to_utc()))
    }

    fn replace(&self, key: &str, bytes: &[u8], cancel: &Cancel) -> Result<()> {
        self.target(key)?.replace(bytes, cancel)
    }
}
