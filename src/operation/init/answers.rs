//! What `init` has to know: from options, or asked on a terminal.

use crate::error::{Error, Result};
use crate::secret::Secret;
use std::path::PathBuf;

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
