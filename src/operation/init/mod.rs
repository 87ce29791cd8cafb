//! `init`: a configuration that works, from a few answers.
//!
//! What is there already is never lost: the password that existing backups are encrypted with is used again, and
//! whatever is replaced is kept beside its successor.

mod files;
mod text;

pub use files::Files;

use crate::config::{Config, Env};
use crate::error::{Error, Result};
use crate::secret::Secret;
use chrono::{DateTime, Utc};
use std::path::PathBuf;

/// What the configuration is to say.
#[derive(Debug, Clone)]
pub struct Answers {
    /// The server's host name, address or socket directory.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Who logs in.
    pub user: String,
    /// With which password.
    pub login: Login,
    /// The databases on the server.
    pub databases: Vec<String>,
    /// Where backups go.
    pub place: Place,
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
pub enum Place {
    /// A directory.
    Directory(PathBuf),
    /// A bucket.
    Bucket {
        /// Its name.
        bucket: String,
        /// What keys begin with; may be empty.
        prefix: String,
        /// Its region.
        region: String,
        /// The server, where it is not Amazon's.
        endpoint: Option<String>,
    },
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The configuration, and the files of passwords that are new.
    pub files: Vec<PathBuf>,
    /// Where what they replaced is now.
    pub kept: Vec<PathBuf>,
    /// The file of the encryption password, if there is encryption, and whether an earlier one is used again.
    pub encryption: Option<(PathBuf, bool)>,
}

/// Writes the configuration and the files of passwords beside it. Nothing is written unless the configuration is valid.
pub fn run(answers: &Answers, files: &Files, env: &Env, now: DateTime<Utc>) -> Result<Written> {
    let text = text::configuration(answers, files);
    let shown = files.configuration.display().to_string();
    Config::parse(&shown, &text, env).map_err(|error| {
        Error::usage("these answers make no valid configuration").because(error)
    })?;
    files.write(answers, &text, now)
}

impl Place {
    /// Reads a directory, which is made absolute and may begin with `~/`, or `s3://BUCKET/PREFIX`.
    pub fn parse(text: &str, region: &str, endpoint: Option<&str>) -> Result<Place> {
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
            return Ok(Place::Directory(path));
        };
        let (bucket, prefix) = address.split_once('/').unwrap_or((address, ""));
        if bucket.is_empty() {
            return Err(Error::usage(format!("{text:?} names no bucket"))
                .hint("write it as s3://BUCKET or s3://BUCKET/PREFIX"));
        }
        Ok(Place::Bucket {
            bucket: bucket.to_string(),
            prefix: prefix.trim_matches('/').to_string(),
            region: region.to_string(),
            endpoint: endpoint.map(str::to_string),
        })
    }
}
