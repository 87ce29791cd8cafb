//! What `init` has to know: from options, or asked on a terminal.

use crate::error::{Error, Result};
use crate::secret::Secret;
use std::fs;
use std::path::{Path, PathBuf};

/// What the configuration is to say.
#[derive(Debug, Clone)]
pub struct Answers {
    /// The server's host name, address or socket directory.
    pub host: String,
    pub port: u16,
    /// Who logs in.
    pub user: String,
    /// With which password.
    pub login: Login,
    /// The databases on the server that are dumped.
    pub databases: Vec<String>,
    /// What the whole of the server is to be called, where it is backed up as it lies on disk.
    pub cluster: Option<String>,
    /// Where backups go.
    pub destination: Destination,
    /// Whether they are encrypted.
    pub encrypt: bool,
}

/// How the server's password gets to us.
#[derive(Debug, Clone)]
pub enum Login {
    /// By libpq's own ways: a .pgpass file, peer authentication, a certificate.
    Libpq,
    /// In this file.
    File(PathBuf),
    /// As this, to be written into a file of its own.
    Password(Secret),
}

/// A place for backups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    Directory(PathBuf),
    Bucket {
        /// Its name.
        bucket: String,
        /// What keys begin with; may be empty.
        prefix: String,
        region: String,
        /// The server, where it is not Amazon's.
        endpoint: Option<String>,
        /// The access key and its secret key, where they are to stand in the configuration.
        keys: Option<(Secret, Secret)>,
    },
}

impl Destination {
    /// Reads a directory, which is made absolute and may begin with `~/`, or `s3://BUCKET/PREFIX`.
    pub fn parse(text: &str, region: &str, endpoint: Option<&str>) -> Result<Destination> {
        let Some(address) = text.strip_prefix("s3://") else {
            if is_address(text) {
                return Err(
                    Error::usage(format!("{text:?} is an address, and no directory")).hint(
                        "storage that speaks S3 is s3://BUCKET/PREFIX, and its server, where it is not Amazon's, the --endpoint: \
                         https://HOST:PORT; a directory of that name is written with ./ before it",
                    ),
                );
            }
            // no shell has made a path of it where it was typed as an answer
            let home = text.strip_prefix("~/").zip(std::env::home_dir());
            let typed = match home {
                Some((below, home)) => home.join(below),
                None => PathBuf::from(text),
            };
            let path = std::path::absolute(typed).map_err(|error| {
                Error::usage(format!("{text:?} is no place for backups"))
                    .because(error)
                    .hint("a directory, or s3://BUCKET/PREFIX")
            })?;
            return Ok(Destination::Directory(path));
        };
        let (bucket, prefix) = address.split_once('/').unwrap_or((address, ""));
        if bucket.is_empty() {
            return Err(Error::usage(format!("{text:?} names no bucket"))
                .hint("write it as s3://BUCKET or s3://BUCKET/PREFIX"));
        }
        Ok(Destination::Bucket {
            bucket: bucket.to_string(),
            prefix: prefix.trim_matches('/').to_string(),
            region: region.to_string(),
            endpoint: endpoint.map(str::to_string),
            keys: None,
        })
    }

    /// Fails where a directory is none, or cannot be made.
    pub fn require_possible(&self) -> Result<()> {
        match self {
            Destination::Directory(path) => require_directory(path),
            Destination::Bucket { .. } => Ok(()),
        }
    }

    /// True for a bucket whose keys are to stand in the configuration.
    pub fn has_keys(&self) -> bool {
        matches!(self, Destination::Bucket { keys: Some(_), .. })
    }

    /// The same with these keys, where it is a bucket.
    pub fn with_keys(self, given: Option<(Secret, Secret)>) -> Destination {
        match self {
            Destination::Bucket {
                bucket,
                prefix,
                region,
                endpoint,
                ..
            } => Destination::Bucket {
                bucket,
                prefix,
                region,
                endpoint,
                keys: given,
            },
            directory => directory,
        }
    }
}

/// True of a URL, and of a host and its port.
fn is_address(text: &str) -> bool {
    let begin = text.split('/').next().unwrap_or_default();
    begin.contains(':') && !begin.starts_with(['.', '~'])
}

/// Only making it shows whether a directory can be made; what is made for that is gone again.
fn require_directory(path: &Path) -> Result<()> {
    const HINT: &str = "name another directory, or a bucket: s3://BUCKET/PREFIX";
    if path.is_dir() {
        return Ok(());
    }
    let missing = path.ancestors().take_while(|path| !path.exists());
    let Some(first) = missing.last() else {
        let what = format!("{} is not a directory", path.display());
        return Err(Error::usage(what).hint(HINT));
    };
    let made = fs::create_dir(first).and_then(|()| fs::remove_dir(first));
    made.map_err(|error| {
        Error::usage(format!("cannot create the directory {}", first.display()))
            .because(error)
            .hint(HINT)
    })
}
