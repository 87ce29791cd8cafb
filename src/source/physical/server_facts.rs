//! What a base backup has to know of the server, asked by SQL before it begins.

use super::details::ConfigurationFile;
use super::wal_check::is_segment_size;
use crate::error::{Error, Result};
use crate::postgres::client::Client;
use std::collections::BTreeMap;

/// The settings that a recovering server must not have smaller than its origin had.
pub const RECOVERY_INSISTS_ON: [&str; 5] = [
    "max_connections",
    "max_worker_processes",
    "max_wal_senders",
    "max_prepared_transactions",
    "max_locks_per_transaction",
];
/// What `settings`, which a manifest tells, has of [`RECOVERY_INSISTS_ON`]. A manifest is a claim: no more than a number is taken from
/// it.
pub fn insisted(
    settings: &BTreeMap<String, String>,
) -> impl Iterator<Item = (&'static str, u32)> + '_ {
    let known = RECOVERY_INSISTS_ON.into_iter();
    known.filter_map(|name| Some((name, settings.get(name)?.parse().ok()?)))
}

/// Settings that a server of such a cluster refuses to be without: they count segments of WAL, and their own defaults are for small
/// ones. `segment_size` is in bytes.
pub fn settings_of_segments(segment_size: u64) -> Vec<(String, String)> {
    /// The default of `min_wal_size`, which has to have room for two, and that of `max_wal_size`.
    const LEAST: u64 = 80 << 20;
    const MOST: u64 = 1 << 30;
    if 2 * segment_size <= LEAST {
        return Vec::new();
    }
    let megabytes = |bytes: u64| format!("{}MB", bytes >> 20);
    vec![
        ("min_wal_size".into(), megabytes(2 * segment_size)),
        ("max_wal_size".into(), megabytes(MOST.max(4 * segment_size))),
    ]
}

/// The settings that name configuration files.
const FILES: [&str; 3] = ["config_file", "hba_file", "ident_file"];

/// All of it in one question, since each is a session of its own. The role that initdb made always has the same number.
const FACTS: &str = "SELECT 'setting', name, setting FROM pg_settings WHERE name IN ('server_version', 'server_version_num', \
    'wal_segment_size', 'data_checksums', 'summarize_wal', 'wal_level', 'max_connections', 'max_worker_processes', \
    'max_wal_senders', 'max_prepared_transactions', 'max_locks_per_transaction', 'data_directory', 'config_file', 'hba_file', \
    'ident_file') \
    UNION ALL SELECT 'standby', '', pg_is_in_recovery()::text \
    UNION ALL SELECT 'superuser', '', rolname::text FROM pg_roles WHERE oid = 10 \
    UNION ALL SELECT 'database', oid::text, datname::text FROM pg_database";

/// What is known of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFacts {
    /// Such as `17.11`.
    pub version: String,
    pub major: u32,
    /// In bytes.
    pub wal_segment_size: u64,
    /// Pages have checksums.
    pub checksums: bool,
    /// WAL is summarized, which incremental backups need; never before PostgreSQL 17.
    pub summarizes_wal: bool,
    /// It is a standby.
    pub is_standby: bool,
    pub wal_level: String,
    /// The role that initdb made.
    pub superuser: String,
    /// [`RECOVERY_INSISTS_ON`].
    pub settings: BTreeMap<String, String>,
    /// The names of its databases, by OID.
    pub databases: BTreeMap<u32, String>,
    /// What lies outside of the data directory; `None` where the role may not see where that is.
    pub configuration: Option<Vec<ConfigurationFile>>,
}

impl ServerFacts {
    /// Asks the server of `client`.
    pub fn ask(client: &Client) -> Result<ServerFacts> {
        let rows = client.query_names(FACTS)?;
        let mut found: BTreeMap<String, String> = BTreeMap::new();
        let mut databases = BTreeMap::new();
        let (mut superuser, mut is_standby) = (String::new(), false);
        let rows = rows
            .into_iter()
            .filter_map(|row| <[String; 3]>::try_from(row).ok());
        for [what, key, value] in rows {
            match what.as_str() {
                "setting" => drop(found.insert(key, value)),
                "standby" => is_standby = value == "true",
                "superuser" => superuser = value,
                "database" => drop(key.parse().map(|oid| databases.insert(oid, value))),
                _ => {}
            }
        }
        let number = |name: &str| -> Result<u64> {
            let text = found.get(name).and_then(|text| text.parse().ok());
            text.ok_or_else(|| Error::failed(format!("the server does not tell its {name}")))
        };
        let is_on = |name: &str| found.get(name).is_some_and(|text| text == "on");
        let version = found.get("server_version").cloned().unwrap_or_default();
        let settings = RECOVERY_INSISTS_ON
            .iter()
            .filter_map(|name| Some((name.to_string(), found.get(*name)?.clone())));
        Ok(ServerFacts {
            version: version.split(' ').next().unwrap_or_default().to_string(),
            major: (number("server_version_num")? / 10_000) as u32,
            wal_segment_size: segment_size(number("wal_segment_size")?)?,
            checksums: is_on("data_checksums"),
            summarizes_wal: is_on("summarize_wal"),
            is_standby,
            wal_level: found.get("wal_level").cloned().unwrap_or_default(),
            settings: settings.collect(),
            superuser,
            databases,
            configuration: configuration(client, &found)?,
        })
    }

    /// What of the configuration a backup will lack, in words.
    pub fn unread_configuration(&self) -> Vec<String> {
        let Some(files) = &self.configuration else {
            return vec![
                "whether configuration files lie outside of the data directory is not known: the role may not see it, as one with \
                 pg_read_all_settings may"
                    .into(),
            ];
        };
        let unread = files.iter().filter(|file| file.text.is_none());
        let told = unread.map(|file| {
            format!(
                "{} lies outside of the data directory and is not in the backup: the role may not read it, as one with \
                 pg_read_server_files may",
                file.path
            )
        });
        told.collect()
    }
}

fn segment_size(size: u64) -> Result<u64> {
    match is_segment_size(size) {
        true => Ok(size),
        false => Err(Error::failed(format!(
            "the server tells of WAL segments of {size} bytes"
        ))),
    }
}

/// The configuration files outside of the data directory. Who may not read them is told where they are.
fn configuration(
    client: &Client,
    found: &BTreeMap<String, String>,
) -> Result<Option<Vec<ConfigurationFile>>> {
    let Some(data_directory) = found.get("data_directory") else {
        return Ok(None);
    };
    let inside = format!("{}/", data_directory.trim_end_matches('/'));
    let mut files = Vec::new();
    for setting in FILES {
        let Some(path) = found.get(setting).filter(|path| !path.starts_with(&inside)) else {
            continue;
        };
        let read = client.query(&format!(
            "SELECT pg_read_file(current_setting('{setting}'))"
        ));
        let text = match read {
            Ok(rows) => rows.into_iter().flatten().next(),
            Err(error) => {
                client.cancel().check()?;
                log::debug!("{path} is not stored: {}", error.chain());
                None
            }
        };
        files.push(ConfigurationFile {
            setting: setting.to_string(),
            path: path.clone(),
            text,
        });
    }
    files.extend(included(client, &inside, found)?);
    Ok(Some(files))
}

/// Files outside of the data directory that others include. Who may not ask for them may not read them either.
fn included(
    client: &Client,
    inside: &str,
    found: &BTreeMap<String, String>,
) -> Result<Vec<ConfigurationFile>> {
    let read = client.query(
        "SELECT sourcefile, pg_read_file(sourcefile) FROM (SELECT DISTINCT sourcefile FROM pg_file_settings) AS known",
    );
    let rows = match read {
        Ok(rows) => rows,
        Err(error) => {
            client.cancel().check()?;
            log::debug!("included files are not stored: {}", error.chain());
            return Ok(Vec::new());
        }
    };
    let files = rows.into_iter().filter_map(|row| {
        let [path, text] = <[String; 2]>::try_from(row).ok()?;
        let is_known = path.starts_with(inside) || found.get("config_file") == Some(&path);
        (!is_known).then_some(ConfigurationFile {
            setting: "include".into(),
            path,
            text: Some(text),
        })
    });
    Ok(files.collect())
}
